//! The replicated offsets of one group, and the records that change them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::flat_map::FlatMap;
use crate::controller::{MetadataImage, Topic};
use crate::coordinator::service_time::ServiceTime;
use crate::ids::{LeaderEpoch, Offset, PartitionIndex, RaftGroupId, TopicName};

/// The committed offsets of one group. No topic in it is without an offset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::coordinator) struct GroupOffsets {
    topics: FlatMap<TopicName, FlatMap<PartitionIndex, CommittedOffset>>,
    /// When the last member of the group has gone. None while there are members, and where there never were any.
    unused_since: Option<ServiceTime>,
}

/// How far one partition has been consumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::coordinator) struct CommittedOffset {
    /// The next offset to consume.
    #[serde(with = "StoredOffset")]
    pub(in crate::coordinator) offset: Offset,
    /// The epoch of the last record consumed, if it was known.
    pub(in crate::coordinator) leader_epoch: Option<LeaderEpoch>,
    /// When it was committed.
    pub(in crate::coordinator) committed_at: ServiceTime,
    /// From when on the client does not need it any more, if it said so.
    pub(in crate::coordinator) expires_at: Option<ServiceTime>,
    /// Which partition had the name when this was committed.
    #[serde(with = "StoredRaftGroup")]
    pub(in crate::coordinator) raft_group: RaftGroupId,
    /// What the client wants to be kept with it.
    pub(in crate::coordinator) metadata: Box<str>,
}

/// Offsets by topic and partition, as a record holds them.
pub(in crate::coordinator) type OffsetsByTopic =
    BTreeMap<TopicName, BTreeMap<PartitionIndex, CommittedOffset>>;

/// Partitions by topic, as a record holds them.
pub(in crate::coordinator) type PartitionsByTopic = BTreeMap<TopicName, BTreeSet<PartitionIndex>>;

/// A change of a group's offsets. Variants are numbered by their order on disk: new ones go to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::coordinator) enum OffsetsRecord {
    /// These are the offsets now: all of one request that could be kept.
    Committed(OffsetsByTopic),
    /// These partitions have no offset any more.
    Removed(PartitionsByTopic),
    /// Since when the group has had no members.
    Unused {
        /// None: it has members again.
        since: Option<ServiceTime>,
    },
}

impl OffsetsRecord {
    /// When the record was made, if it says so.
    pub(in crate::coordinator) fn time(&self) -> Option<ServiceTime> {
        match self {
            Self::Committed(topics) => {
                topics.values().flat_map(BTreeMap::values).map(|committed| committed.committed_at).max()
            }
            Self::Unused { since } => *since,
            Self::Removed(_) => None,
        }
    }
}

/// How an offset is written down: as its number.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Offset")]
struct StoredOffset(i64);

/// How a Raft group is written down: as its number.
#[derive(Serialize, Deserialize)]
#[serde(remote = "RaftGroupId")]
struct StoredRaftGroup(u64);

impl GroupOffsets {
    /// Whether nothing is committed.
    pub(in crate::coordinator) const fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// How many partitions have an offset.
    pub(super) fn len(&self) -> usize {
        self.topics.iter().map(|(_, partitions)| partitions.iter().len()).sum()
    }

    pub(in crate::coordinator) const fn unused_since(&self) -> Option<ServiceTime> {
        self.unused_since
    }

    pub(super) fn get(&self, topic: &str, partition: PartitionIndex) -> Option<&CommittedOffset> {
        self.topics.get(topic)?.get(&partition)
    }

    /// The topics by name, each with its offsets by partition.
    pub(in crate::coordinator) fn topics(
        &self,
    ) -> impl Iterator<Item = (&TopicName, impl ExactSizeIterator<Item = (PartitionIndex, &CommittedOffset)>)>
    {
        self.topics.iter().map(|(name, partitions)| {
            (name, partitions.iter().map(|(partition, committed)| (*partition, committed)))
        })
    }

    /// Applies a record. Replaying one twice changes nothing.
    pub(in crate::coordinator) fn replay(&mut self, record: &OffsetsRecord) {
        match record {
            OffsetsRecord::Committed(topics) => self.commit(topics),
            OffsetsRecord::Removed(topics) => self.remove(topics),
            OffsetsRecord::Unused { since } => self.unused_since = *since,
        }
    }

    fn commit(&mut self, topics: &OffsetsByTopic) {
        let mut added = Vec::new();
        for (name, offsets) in topics {
            let offsets = offsets.iter().map(|(partition, committed)| (*partition, committed.clone()));
            match self.topics.get_mut(name) {
                Some(present) => present.extend(offsets),
                None => added.push((TopicName::clone(name), offsets.collect())),
            }
        }
        added.retain(|(_, partitions): &(_, FlatMap<_, _>)| !partitions.is_empty());
        self.topics.extend(added);
    }

    fn remove(&mut self, topics: &PartitionsByTopic) {
        let mut emptied = false;
        for (name, removed) in topics {
            if let Some(present) = self.topics.get_mut(name) {
                present.retain(|partition, _| !removed.contains(partition));
                emptied |= present.is_empty();
            }
        }
        if emptied {
            self.topics.retain(|_, partitions| !partitions.is_empty());
        }
    }
}

impl CommittedOffset {
    /// Whether the partition that this is the offset of has been deleted, whatever now has its name. `topic` is the one
    /// that has it, and spares most questions a search.
    pub(super) fn is_orphaned(
        &self,
        image: &MetadataImage,
        topic: Option<&Topic>,
        partition: PartitionIndex,
    ) -> bool {
        let now = topic.and_then(|topic| topic.partition(partition)).map(|partition| partition.group);
        now != Some(self.raft_group) && image.has_dropped(self.raft_group)
    }
}
