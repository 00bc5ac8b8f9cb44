//! A consumer group as administrators see it.

use std::collections::BTreeSet;

use super::group::ConsumerGroup;
use super::member::Member;
use super::target::preferred_assignor;
use crate::controller::MetadataImage;
use crate::coordinator::GroupCoordinator;
use crate::coordinator::ids::{GroupId, MemberId};
use crate::coordinator::request::{ConsumerDescription, ConsumerMemberDescription, NamedTopicPartitions};
use crate::ids::{PartitionIndex, TopicId};

impl ConsumerGroup {
    /// Kafka's name of the group's state.
    pub(in crate::coordinator) fn state_name(&self) -> &'static str {
        let target_epoch = self.target_epoch();
        if self.is_empty() {
            "Empty"
        } else if self.epoch() > target_epoch {
            "Assigning"
        } else if self.members().values().all(|member| member.current.is_reconciled_to(target_epoch)) {
            "Stable"
        } else {
            "Reconciling"
        }
    }
}

impl GroupCoordinator {
    /// Describes a group, which is a consumer group; one that is not is described as an empty one.
    pub(in crate::coordinator) fn describe_consumer_group(&self, id: &GroupId) -> ConsumerDescription {
        let nothing = ConsumerGroup::default();
        let group = self.consumer_group(id).unwrap_or(&nothing);
        ConsumerDescription {
            state: group.state_name(),
            epoch: group.epoch(),
            assignment_epoch: group.target_epoch(),
            assignor: preferred_assignor(group, &self.settings.consumer_assignors).as_str().to_owned(),
            members: group.members().iter().map(|(id, member)| describe(id, member, &self.image)).collect(),
        }
    }
}

/// A member with what it owns: also what it is told to give up, until it has.
fn describe(id: &MemberId, member: &Member, image: &MetadataImage) -> ConsumerMemberDescription {
    let Member { metadata, target, current } = member;
    let owned = current.assigned.iter().chain(current.revoking.iter());
    let owned: BTreeSet<_> = owned.map(|(topic, partition, _)| (topic, partition)).collect();
    let to_own =
        target.iter().flat_map(|(&topic, partitions)| partitions.iter().map(move |&index| (topic, index)));
    ConsumerMemberDescription {
        member: id.clone(),
        instance: metadata.instance.clone(),
        rack: metadata.rack.clone(),
        epoch: current.epoch,
        client_id: metadata.client_id.clone(),
        client_host: metadata.client_host.clone(),
        topic_names: metadata.topics.iter().map(ToString::to_string).collect(),
        topic_regex: metadata.pattern.as_deref().map(str::to_owned),
        assignment: named(owned.into_iter(), image),
        target: named(to_own, image),
        is_classic: metadata.classic.is_some(),
    }
}

/// Partitions, which come by topic, with the topics' names. Topics that are gone are left out.
fn named(
    partitions: impl Iterator<Item = (TopicId, PartitionIndex)>,
    image: &MetadataImage,
) -> Vec<NamedTopicPartitions> {
    let mut topics: Vec<NamedTopicPartitions> = Vec::new();
    for (id, partition) in partitions {
        match topics.last_mut() {
            Some(topic) if topic.id == id => topic.partitions.push(partition),
            _ => {
                let Some(topic) = image.topic_by_id(id) else { continue };
                let name = topic.name.clone();
                topics.push(NamedTopicPartitions { id, name, partitions: vec![partition] });
            }
        }
    }
    topics
}
