//! Offsets that go before their time: because an administrator says so (OffsetDelete, KIP-496), or because their
//! topic was deleted.

use std::sync::Arc;

use super::GroupOffsets;
use super::committed::{OffsetsRecord, PartitionsByTopic};
use crate::coordinator::GroupCoordinator;
use crate::coordinator::error::GroupErrorCode;
use crate::coordinator::records::GroupChange;
use crate::coordinator::request::{DeleteOffsets, TopicResults};
use crate::ids::TopicName;

impl GroupCoordinator {
    /// OffsetDelete. What was never committed is deleted without further ado; what the group consumes stays.
    pub(in crate::coordinator) fn delete_offsets(
        &mut self,
        request: DeleteOffsets,
    ) -> Result<Vec<TopicResults>, GroupErrorCode> {
        if request.group.as_str().is_empty() {
            return Err(GroupErrorCode::InvalidGroupId);
        }
        let view = self.view(&request.group).ok_or(GroupErrorCode::GroupIdNotFound)?;
        if !view.is_empty() && !view.is_of_consumers() {
            // Only consumers say what they subscribe to: of others any topic may be in use.
            return Err(GroupErrorCode::NonEmptyGroup);
        }
        let offsets = self.state.group(&request.group).map(|group| &group.offsets);
        let mut removed = PartitionsByTopic::new();
        let mut results = Vec::with_capacity(request.topics.len());
        for (name, partitions) in request.topics {
            let topic = self.image.topic(&name);
            let is_subscribed = view.subscribes_to(&name);
            let mut outcomes = Vec::with_capacity(partitions.len());
            for partition in partitions {
                let outcome = if topic.is_none_or(|topic| topic.partition(partition).is_none()) {
                    Err(GroupErrorCode::UnknownTopicOrPartition)
                } else if is_subscribed {
                    Err(GroupErrorCode::GroupSubscribedToTopic)
                } else {
                    if offsets.is_some_and(|offsets| offsets.get(&name, partition).is_some()) {
                        removed.entry(TopicName::clone(&name)).or_default().insert(partition);
                    }
                    Ok(())
                };
                outcomes.push((partition, outcome));
            }
            results.push(TopicResults { name, partitions: outcomes });
        }
        if !removed.is_empty() {
            self.record(&request.group, GroupChange::Offsets(OffsetsRecord::Removed(removed)));
        }
        Ok(results)
    }

    /// Removes the offsets of topics that the metadata say are gone. A topic that this node does not know yet is not
    /// gone.
    pub(in crate::coordinator) fn forget_deleted_topics(&mut self) {
        let orphaned = self.state.groups().filter_map(|(id, group)| {
            let orphaned = self.orphaned(&group.offsets);
            (!orphaned.is_empty()).then(|| (id.clone(), orphaned))
        });
        for (group, orphaned) in orphaned.collect::<Vec<_>>() {
            self.record(&group, GroupChange::Offsets(OffsetsRecord::Removed(orphaned)));
        }
    }

    fn orphaned(&self, offsets: &GroupOffsets) -> PartitionsByTopic {
        let mut orphaned = PartitionsByTopic::new();
        for (name, partitions) in offsets.topics() {
            let topic = self.image.topic(name).map(Arc::as_ref);
            for (partition, committed) in partitions {
                if committed.is_orphaned(&self.image, topic, partition) {
                    orphaned.entry(TopicName::clone(name)).or_default().insert(partition);
                }
            }
        }
        orphaned
    }
}
