//! The cluster's topics, as they come, grow and go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::controller::{ControllerRecord, MetadataImage, PartitionRecord};
use crate::ids::{NodeId, PartitionIndex, TopicId};

/// A partition of one topic; of a topic of the same name made later it is none.
pub(crate) type TopicPartition = (TopicId, PartitionIndex);

/// All names that topics have.
pub(super) const NAMES: [&str; 3] = ["t0", "t1", "t2"];

#[derive(Clone, Debug, Default)]
pub(crate) struct Topics(MetadataImage);

impl From<&MetadataImage> for Topics {
    fn from(image: &MetadataImage) -> Self {
        Self(image.clone())
    }
}

impl Topics {
    pub(super) fn image(&self) -> Arc<MetadataImage> {
        Arc::new(self.0.clone())
    }

    pub(super) fn id(&self, name: &str) -> Option<TopicId> {
        self.0.topic(name).map(|topic| topic.id)
    }

    pub(super) fn exists(&self, id: TopicId) -> bool {
        self.0.topic_by_id(id).is_some()
    }

    pub(super) fn name(&self, id: TopicId) -> Option<String> {
        self.0.topic_by_id(id).map(|topic| topic.name.to_string())
    }

    /// How many partitions a topic has; none if there is no such topic.
    pub(super) fn partition_count(&self, name: &str) -> i32 {
        self.0.topic(name).map_or(0, |topic| i32::try_from(topic.partitions.len()).unwrap())
    }

    /// All partitions of the topics of those names, as far as they exist.
    pub(super) fn partitions<'a>(
        &self,
        names: impl IntoIterator<Item = &'a String>,
    ) -> BTreeSet<TopicPartition> {
        let topics = names.into_iter().filter_map(|name| self.0.topic(name));
        topics.flat_map(|topic| topic.indexed_partitions().map(|(index, _)| (topic.id, index))).collect()
    }

    pub(super) fn create(&mut self, name: &str, partitions: i32) {
        let id = TopicId(Uuid::from_u128(self.0.next_group().0.into()));
        let partitions = self.new_partitions(partitions);
        let (name, configs) = (name.to_owned(), BTreeMap::new());
        self.0.replay(&ControllerRecord::TopicCreated { name, id, partitions, configs });
    }

    pub(super) fn grow(&mut self, id: TopicId, more: i32) {
        let Some(topic) = self.0.topic_by_id(id) else { return };
        let first = PartitionIndex(i32::try_from(topic.partitions.len()).unwrap());
        let partitions = self.new_partitions(more);
        self.0.replay(&ControllerRecord::PartitionsAdded { id, first, partitions });
    }

    pub(super) fn delete(&mut self, id: TopicId) {
        self.0.replay(&ControllerRecord::TopicDeleted { id });
    }

    fn new_partitions(&self, count: i32) -> Vec<PartitionRecord> {
        let groups = (self.0.next_group().0..).take(usize::try_from(count).unwrap());
        groups.map(|group| PartitionRecord { group, replicas: vec![NodeId(1)] }).collect()
    }
}
