//! OffsetFetch: the offsets of a group, all of them or those asked for.
//!
//! What was never committed is no error, nor is a group that does not exist: its consumers start where
//! `auto.offset.reset` says. The answer holds what was committed by requests before it, and is itself held back until
//! they are on a majority.

use std::sync::Arc;

use super::GroupOffsets;
use super::committed::CommittedOffset;
use crate::coordinator::GroupCoordinator;
use crate::coordinator::error::GroupErrorCode;
use crate::coordinator::request::{FetchOffsets, FetchedOffset, FetchedTopic};
use crate::coordinator::view::GroupView;
use crate::ids::{PartitionIndex, TopicName};

impl GroupCoordinator {
    /// OffsetFetch. Only a consumer group asks who wants to know.
    pub(in crate::coordinator) fn fetch_offsets(
        &self,
        request: &FetchOffsets,
    ) -> Result<Vec<FetchedTopic>, GroupErrorCode> {
        if let Some(GroupView::Consumer(_)) = self.view(&request.group) {
            self.check_offset_fetch(request)?;
        }
        let offsets = self.state.group(&request.group).map(|group| &group.offsets);
        Ok(match &request.topics {
            None => offsets.map(|offsets| self.fetch_all(offsets)).unwrap_or_default(),
            Some(topics) => topics
                .iter()
                .map(|(name, partitions)| FetchedTopic {
                    name: TopicName::clone(name),
                    partitions: self.fetch_some(offsets, name, partitions),
                })
                .collect(),
        })
    }

    fn fetch_all(&self, offsets: &GroupOffsets) -> Vec<FetchedTopic> {
        let topics = offsets.topics().map(|(name, partitions)| {
            let topic = self.image.topic(name).map(Arc::as_ref);
            let partitions = partitions
                .filter(|(partition, committed)| !committed.is_orphaned(&self.image, topic, *partition))
                .map(|(partition, committed)| (partition, Some(fetched(committed))))
                .collect();
            FetchedTopic { name: TopicName::clone(name), partitions }
        });
        topics.filter(|topic| !topic.partitions.is_empty()).collect()
    }

    fn fetch_some(
        &self,
        offsets: Option<&GroupOffsets>,
        name: &TopicName,
        partitions: &[PartitionIndex],
    ) -> Vec<(PartitionIndex, Option<FetchedOffset>)> {
        let topic = self.image.topic(name).map(Arc::as_ref);
        let find = |partition: PartitionIndex| {
            let committed = offsets?.get(name, partition)?;
            (!committed.is_orphaned(&self.image, topic, partition)).then(|| fetched(committed))
        };
        partitions.iter().map(|partition| (*partition, find(*partition))).collect()
    }
}

fn fetched(committed: &CommittedOffset) -> FetchedOffset {
    FetchedOffset {
        offset: committed.offset,
        leader_epoch: committed.leader_epoch,
        metadata: committed.metadata.to_string(),
    }
}
