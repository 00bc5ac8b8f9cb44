//! OffsetCommit: who may commit, and what is kept.
//!
//! The partitions are looked up first, and those that do not exist are refused whatever the group says, as Kafka does
//! it. Then the group decides for all others at once. All that is kept of a request is one record, so that it is kept
//! as a whole, and a commit costs the partitions that it names, not those that the group has.

use std::sync::Arc;
use std::time::Duration;

use super::committed::{CommittedOffset, OffsetsByTopic, OffsetsRecord};
use crate::controller::Topic;
use crate::coordinator::GroupCoordinator;
use crate::coordinator::error::GroupErrorCode;
use crate::coordinator::records::GroupChange;
use crate::coordinator::request::{CommitOffsets, CommitPartition, CommitTopic, TopicResults};
use crate::coordinator::service_time::ServiceTime;
use crate::coordinator::view::GroupView;
use crate::ids::{RaftGroupId, TopicName};

/// How much one request may want to be kept, in bytes. It becomes one record and is replicated as a whole, so it has to
/// be far below what a message between nodes holds. Kafka has a lower bound, from its `message.max.bytes`.
const MAX_COMMIT_BYTES: usize = 4 << 20;

/// The most that a record holds of one partition beside its metadata.
const MAX_FIXED_BYTES: usize = 64;

/// What `retention_ms` says when the client leaves it to the coordinator.
const DEFAULT_RETENTION: i64 = -1;

impl GroupCoordinator {
    /// OffsetCommit. An error of the whole request stands at each of its partitions that exist.
    pub(in crate::coordinator) fn commit_offsets(&mut self, request: CommitOffsets) -> Vec<TopicResults> {
        // A request that names nothing that exists is not shown to the group, and does not bring it into being.
        let admitted = if self.names_anything(&request) { self.admit_commit(&request) } else { Ok(()) };
        let committed_at = self.time();
        let expires_at = expires_at(&request, committed_at);
        let mut kept = OffsetsByTopic::new();
        let mut results = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let existing = self.image.topic(&topic.name).map(Arc::as_ref);
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in topic.partitions {
                let outcome = self.check_partition(existing, &partition, admitted);
                partitions.push((partition.index, outcome.map(|_| ())));
                if let (Ok(raft_group), Some(existing)) = (outcome, existing) {
                    let committed = CommittedOffset {
                        offset: partition.offset,
                        leader_epoch: partition.leader_epoch,
                        committed_at,
                        expires_at,
                        raft_group,
                        metadata: partition.metadata.into_boxed_str(),
                    };
                    let name = TopicName::clone(&existing.name);
                    kept.entry(name).or_default().insert(partition.index, committed);
                }
            }
            results.push(TopicResults { name: topic.name, partitions });
        }
        if !kept.is_empty() {
            self.record(&request.group, GroupChange::Offsets(OffsetsRecord::Committed(kept)));
        }
        results
    }

    fn names_anything(&self, request: &CommitOffsets) -> bool {
        request.topics.iter().any(|topic| {
            self.image.topic(&topic.name).is_some_and(|existing| {
                topic.partitions.iter().any(|partition| existing.partition(partition.index).is_some())
            })
        })
    }

    /// Whether the group takes commits from whoever sends this one.
    fn admit_commit(&mut self, request: &CommitOffsets) -> Result<(), GroupErrorCode> {
        let claims_membership = request.epoch >= 0;
        match self.view(&request.group) {
            Some(GroupView::Classic(_)) => self.check_classic_commit(request),
            Some(GroupView::Consumer(_)) => self.check_consumer_commit(request),
            Some(GroupView::Simple | GroupView::Abandoned(_)) if claims_membership => {
                Err(GroupErrorCode::UnknownMemberId)
            }
            None if claims_membership && request.knows_epochs => Err(GroupErrorCode::GroupIdNotFound),
            None if claims_membership => Err(GroupErrorCode::IllegalGeneration),
            None if !self.has_room() => Err(GroupErrorCode::GroupMaxSizeReached),
            Some(GroupView::Simple | GroupView::Abandoned(_)) | None => Ok(()),
        }?;
        if max_size(request) > MAX_COMMIT_BYTES {
            return Err(GroupErrorCode::InvalidCommitOffsetSize);
        }
        Ok(())
    }

    /// The Raft group of a partition whose offset can be kept.
    fn check_partition(
        &self,
        topic: Option<&Topic>,
        commit: &CommitPartition,
        admitted: Result<(), GroupErrorCode>,
    ) -> Result<RaftGroupId, GroupErrorCode> {
        let partition = topic.and_then(|topic| topic.partition(commit.index));
        let partition = partition.ok_or(GroupErrorCode::UnknownTopicOrPartition)?;
        admitted?;
        if is_longer(&commit.metadata, self.settings.offset_metadata_max_bytes) {
            return Err(GroupErrorCode::OffsetMetadataTooLarge);
        }
        Ok(partition.group)
    }
}

/// How long the record of a request is at most.
fn max_size(request: &CommitOffsets) -> usize {
    let partitions = |topic: &CommitTopic| -> usize {
        topic.partitions.iter().map(|partition| partition.metadata.len() + MAX_FIXED_BYTES).sum()
    };
    request.topics.iter().map(|topic| topic.name.len() + partitions(topic)).sum()
}

/// Until when the client wants the offsets kept, if it says so: not at all for less than no time.
fn expires_at(request: &CommitOffsets, committed_at: ServiceTime) -> Option<ServiceTime> {
    let retention = request.retention_ms.filter(|retention| *retention != DEFAULT_RETENTION)?;
    Some(committed_at.after(Duration::from_millis(u64::try_from(retention).unwrap_or(0))))
}

/// Whether `metadata` has more than `max` UTF-16 units: Kafka's setting speaks of bytes and means the length of a Java
/// string.
fn is_longer(metadata: &str, max: usize) -> bool {
    metadata.len() > max && metadata.encode_utf16().count() > max
}
