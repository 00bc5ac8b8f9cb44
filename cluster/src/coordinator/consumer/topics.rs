//! The topics that a group subscribes to, as far as they exist: what its target assignment is made for.
//!
//! They are part of the group's replicated state, so that every coordinator of the group, the next one too, notices
//! when a topic has come, gone or grown since the last assignment.
//!
//! A node learns of the controller's decisions a moment later than others do. A coordinator that has just taken over
//! may thus know less than the one before it did, and must not take that for a deletion, which would take partitions
//! away from members and give them back a second later. The Raft group of a topic's first partition tells the two
//! apart: such groups are numbered in the order of their creation, and a number that was given out and belongs to no
//! topic belonged to one that was deleted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::controller::{MetadataImage, Topic};
use crate::coordinator::assignor::PartitionCounts;
use crate::ids::{PartitionIndex, RaftGroupId, TopicId, TopicName};

/// Topics by name, those that exist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::coordinator) struct SubscribedTopics(BTreeMap<TopicName, TopicShape>);

/// What an assignment depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TopicShape {
    id: TopicId,
    partitions: i32,
    /// The number of the Raft group of the first partition.
    first_log: u64,
}

impl SubscribedTopics {
    /// The topics of these names by what `image` knows, and what `self` knew.
    pub(super) fn refreshed<'a>(
        &self,
        names: impl IntoIterator<Item = &'a TopicName>,
        image: &MetadataImage,
    ) -> Self {
        let shape = |name: &TopicName| match self.0.get(name) {
            Some(known) if !known.is_deleted_in(image) => Some(known.grown_in(image)),
            _ => image.topic(name).and_then(|topic| TopicShape::of(topic)),
        };
        Self(names.into_iter().filter_map(|name| Some((name.clone(), shape(name)?))).collect())
    }

    /// Whether the topic is among these, and `image` does not say that it was deleted.
    pub(super) fn survives_in(&self, name: &str, image: &MetadataImage) -> bool {
        self.0.get(name).is_some_and(|shape| !shape.is_deleted_in(image))
    }

    pub(super) fn id(&self, name: &str) -> Option<TopicId> {
        self.0.get(name).map(|shape| shape.id)
    }

    /// The names by id.
    pub(super) fn names(&self) -> BTreeMap<TopicId, &TopicName> {
        self.0.iter().map(|(name, shape)| (shape.id, name)).collect()
    }

    /// How many partitions each has.
    pub(in crate::coordinator) fn partition_counts(&self) -> PartitionCounts {
        self.0.values().map(|shape| (shape.id, shape.partitions)).collect()
    }
}

impl TopicShape {
    fn of(topic: &Topic) -> Option<Self> {
        let first = topic.partition(PartitionIndex(0))?;
        let partitions = i32::try_from(topic.partitions.len()).ok()?;
        Some(Self { id: topic.id, partitions, first_log: first.group.0 })
    }

    fn is_deleted_in(&self, image: &MetadataImage) -> bool {
        image.has_dropped(RaftGroupId(self.first_log))
    }

    /// A topic has never fewer partitions than it had.
    fn grown_in(&self, image: &MetadataImage) -> Self {
        let seen = image.topic_by_id(self.id).and_then(|topic| Self::of(topic));
        let partitions = seen.map_or(0, |seen| seen.partitions).max(self.partitions);
        Self { partitions, ..self.clone() }
    }
}
