//! The replicated state of a consumer group, and what its records make of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::member::{CurrentAssignment, Member, MemberMetadata};
use super::partitions::OwnedPartitions;
use super::records::ConsumerRecord;
use super::topics::SubscribedTopics;
use crate::coordinator::assignor::Assignment;
use crate::coordinator::ids::{InstanceId, MemberEpoch, MemberId};
use crate::coordinator::state::Membership;
use crate::ids::{PartitionIndex, TopicId, TopicName};

/// A consumer group, all of which is replicated.
///
/// Invariants:
/// * A partition is owned by one member at most, where what a member has yet to give up is owned by it still. This is
///   what keeps two members from consuming one partition at a time.
/// * An instance id belongs to one member.
/// * The target assignment's epoch is never ahead of the group's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub(in crate::coordinator) struct ConsumerGroup {
    /// Counts the changes of members, subscriptions and topics.
    epoch: MemberEpoch,
    /// The group epoch that the target assignment was made for.
    target_epoch: MemberEpoch,
    topics: SubscribedTopics,
    /// The patterns that members subscribe to, with the topics that match.
    patterns: BTreeMap<Arc<str>, BTreeSet<TopicName>>,
    members: BTreeMap<MemberId, Member>,
    /// Who has which instance id: follows from the members.
    #[serde(skip)]
    instances: BTreeMap<InstanceId, MemberId>,
    /// Who owns which partition: follows from the members.
    #[serde(skip)]
    owners: BTreeMap<TopicId, BTreeMap<PartitionIndex, MemberId>>,
}

/// A [`ConsumerGroup`] as it is written: without what follows from the rest.
#[derive(Deserialize)]
struct Stored {
    epoch: MemberEpoch,
    target_epoch: MemberEpoch,
    topics: SubscribedTopics,
    patterns: BTreeMap<Arc<str>, BTreeSet<TopicName>>,
    members: BTreeMap<MemberId, Member>,
}

impl From<Stored> for ConsumerGroup {
    fn from(stored: Stored) -> Self {
        let Stored { epoch, target_epoch, topics, patterns, members } = stored;
        let mut group = Self { epoch, target_epoch, topics, patterns, ..Self::default() };
        for (id, member) in members {
            group.set_metadata(&id, member.metadata);
            group.set_current(&id, member.current);
            group.set_target(&id, member.target);
        }
        group
    }
}

impl ConsumerGroup {
    pub(super) fn epoch(&self) -> MemberEpoch {
        self.epoch
    }

    pub(super) fn target_epoch(&self) -> MemberEpoch {
        self.target_epoch
    }

    pub(super) fn topics(&self) -> &SubscribedTopics {
        &self.topics
    }

    pub(super) fn patterns(&self) -> &BTreeMap<Arc<str>, BTreeSet<TopicName>> {
        &self.patterns
    }

    pub(super) fn members(&self) -> &BTreeMap<MemberId, Member> {
        &self.members
    }

    /// What every member is told to own, and to give up.
    #[cfg(test)]
    pub(in crate::coordinator) fn assignments(
        &self,
    ) -> impl Iterator<Item = (&MemberId, &CurrentAssignment)> {
        self.members.iter().map(|(id, member)| (id, &member.current))
    }

    pub(super) fn member(&self, id: &MemberId) -> Option<&Member> {
        self.members.get(id)
    }

    /// The member that holds an instance id.
    pub(super) fn static_member(&self, instance: &InstanceId) -> Option<(&MemberId, &Member)> {
        self.members.get_key_value(self.instances.get(instance)?)
    }

    /// Who owns a partition, or has yet to give it up.
    pub(super) fn owner(&self, topic: TopicId, partition: PartitionIndex) -> Option<&MemberId> {
        self.owners.get(&topic)?.get(&partition)
    }

    /// Whether it has no members.
    pub(in crate::coordinator) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether a member subscribes to the topic.
    pub(in crate::coordinator) fn subscribes_to(&self, topic: &str) -> bool {
        self.members.values().any(|member| member.metadata.topics.contains(topic))
            || self.patterns.values().any(|matching| matching.contains(topic))
    }

    /// The topics, of those that exist, that a member with this metadata subscribes to.
    pub(super) fn subscription(&self, metadata: &MemberMetadata) -> BTreeSet<TopicId> {
        let matching = metadata.pattern.as_ref().and_then(|pattern| self.patterns.get(pattern));
        let names = metadata.topics.iter().chain(matching.into_iter().flatten());
        names.filter_map(|name| self.topics.id(name)).collect()
    }

    fn replay(&mut self, record: &ConsumerRecord) {
        match record {
            ConsumerRecord::Epoch(epoch) => self.epoch = *epoch,
            ConsumerRecord::Topics(topics) => self.topics.clone_from(topics),
            ConsumerRecord::Pattern(pattern, matching) => {
                self.patterns.insert(Arc::clone(pattern), matching.clone());
            }
            ConsumerRecord::PatternRemoved(pattern) => {
                self.patterns.remove(pattern);
            }
            ConsumerRecord::Member(id, metadata) => self.set_metadata(id, MemberMetadata::clone(metadata)),
            ConsumerRecord::MemberRemoved(id) => self.remove(id),
            ConsumerRecord::Target(id, target) => self.set_target(id, target.clone()),
            ConsumerRecord::TargetEpoch(epoch) => self.target_epoch = *epoch,
            ConsumerRecord::Current(id, current) => self.set_current(id, current.clone()),
            ConsumerRecord::Formed(_) => {}
        }
    }

    fn set_metadata(&mut self, id: &MemberId, metadata: MemberMetadata) {
        let member = self.members.entry(id.clone()).or_default();
        let before = std::mem::replace(&mut member.metadata, metadata.clone());
        self.release_instance(id, &before);
        if let Some(instance) = metadata.instance {
            self.instances.insert(instance, id.clone());
        }
    }

    fn set_target(&mut self, id: &MemberId, target: Assignment) {
        if let Some(member) = self.members.get_mut(id) {
            member.target = target;
        }
    }

    fn set_current(&mut self, id: &MemberId, current: CurrentAssignment) {
        let Some(member) = self.members.get_mut(id) else { return };
        let before = std::mem::replace(&mut member.current, current.clone());
        self.disown(id, &before);
        self.own(id, &current.assigned);
        self.own(id, &current.revoking);
    }

    fn remove(&mut self, id: &MemberId) {
        let Some(member) = self.members.remove(id) else { return };
        self.disown(id, &member.current);
        self.release_instance(id, &member.metadata);
    }

    fn release_instance(&mut self, id: &MemberId, metadata: &MemberMetadata) {
        if let Some(instance) = &metadata.instance
            && self.instances.get(instance) == Some(id)
        {
            self.instances.remove(instance);
        }
    }

    fn own(&mut self, id: &MemberId, partitions: &OwnedPartitions) {
        for (topic, partition, _) in partitions.iter() {
            let before = self.owners.entry(topic).or_default().insert(partition, id.clone());
            debug_assert!(before.is_none_or(|owner| owner == *id), "a partition has one owner");
        }
    }

    fn disown(&mut self, id: &MemberId, current: &CurrentAssignment) {
        for (topic, partition, _) in current.assigned.iter().chain(current.revoking.iter()) {
            let Some(owners) = self.owners.get_mut(&topic) else { continue };
            if owners.get(&partition) == Some(id) {
                owners.remove(&partition);
            }
            if owners.is_empty() {
                self.owners.remove(&topic);
            }
        }
    }
}

impl Membership {
    /// Applies a record of the consumer protocol. One that is about a group of another kind changes nothing.
    pub(in crate::coordinator) fn replay_consumer(&mut self, record: &ConsumerRecord) {
        match (&mut *self, record) {
            (_, ConsumerRecord::Formed(epoch)) => {
                let group = ConsumerGroup { epoch: *epoch, target_epoch: *epoch, ..ConsumerGroup::default() };
                *self = Self::Consumer(group);
            }
            (Self::Consumer(group), record) => group.replay(record),
            (Self::None | Self::Classic(_), _) => {}
        }
    }
}
