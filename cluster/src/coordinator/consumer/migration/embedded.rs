//! Between the names of the embedded protocol that classic consumers speak, and the ids of this one.

use std::collections::BTreeMap;

use crate::controller::MetadataImage;
use crate::coordinator::assignor::Assignment;
use crate::coordinator::consumer::group::ConsumerGroup;
use crate::coordinator::consumer::partitions::OwnedPartitions;
use crate::coordinator::request::TopicPartitions;
use crate::ids::{PartitionIndex, TopicId, TopicName};
use trilog_protocol::consumer_protocol::NamedPartitions;

/// An assignment by names, of the topics that exist.
pub(super) fn to_assignment(named: &NamedPartitions, image: &MetadataImage) -> Assignment {
    let mut assignment = Assignment::new();
    for (name, partitions) in named {
        if let Some(topic) = image.topic(name)
            && !partitions.is_empty()
        {
            let indexes = partitions.iter().map(|&index| PartitionIndex(index));
            assignment.entry(topic.id).or_default().extend(indexes);
        }
    }
    assignment
}

/// What a member says it owns, by ids. The group may know a topic that this node has not heard of yet.
pub(super) fn to_owned(
    named: &NamedPartitions,
    group: &ConsumerGroup,
    image: &MetadataImage,
) -> Vec<TopicPartitions> {
    let id = |name: &str| group.topics().id(name).or_else(|| image.topic(name).map(|topic| topic.id));
    let topic = |(name, partitions): &(String, Vec<i32>)| {
        let partitions = partitions.iter().map(|&index| PartitionIndex(index)).collect();
        Some(TopicPartitions { topic: id(name)?, partitions })
    };
    named.iter().filter_map(topic).collect()
}

/// Partitions by names.
pub(super) fn to_named(
    owned: &OwnedPartitions,
    group: &ConsumerGroup,
    image: &MetadataImage,
) -> NamedPartitions {
    let names: BTreeMap<TopicId, &TopicName> = group.topics().names();
    let name = |id: TopicId| {
        let known = names.get(&id).copied().or_else(|| image.topic_by_id(id).map(|topic| &topic.name));
        known.map(|name| name.to_string())
    };
    let topic = |topic: TopicPartitions| {
        let partitions = topic.partitions.iter().map(|partition| partition.0).collect();
        Some((name(topic.topic)?, partitions))
    };
    owned.to_answer().into_iter().filter_map(topic).collect()
}

/// The version of the embedded protocol that a member's metadata is written in; the oldest if it does not say.
pub(super) fn version_of(metadata: &[u8]) -> i16 {
    metadata.first_chunk().map_or(0, |version| i16::from_be_bytes(*version)).clamp(0, 3)
}
