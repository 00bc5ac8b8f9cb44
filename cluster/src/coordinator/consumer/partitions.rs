//! Partitions in a member's hands.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::coordinator::assignor::Assignment;
use crate::coordinator::ids::MemberEpoch;
use crate::coordinator::request::TopicPartitions;
use crate::ids::{PartitionIndex, TopicId};

/// Partitions that a member owns, each with the epoch in which it was given them: a commit of that epoch or a later
/// one is a commit of its owner (KIP-1251).
///
/// No topic is without partitions, so that equal sets are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::coordinator) struct OwnedPartitions(BTreeMap<TopicId, BTreeMap<PartitionIndex, MemberEpoch>>);

impl OwnedPartitions {
    /// All of `assignment`, given in `epoch`.
    pub(super) fn given(assignment: &Assignment, epoch: MemberEpoch) -> Self {
        let mut owned = Self::default();
        for (&topic, partitions) in assignment {
            for &partition in partitions {
                owned.insert(topic, partition, epoch);
            }
        }
        owned
    }

    pub(super) fn insert(&mut self, topic: TopicId, partition: PartitionIndex, epoch: MemberEpoch) {
        self.0.entry(topic).or_default().insert(partition, epoch);
    }

    pub(in crate::coordinator) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The epoch in which the partition was given to its owner; None if it is not among these.
    pub(super) fn epoch_of(&self, topic: TopicId, partition: PartitionIndex) -> Option<MemberEpoch> {
        self.0.get(&topic)?.get(&partition).copied()
    }

    pub(super) fn contains(&self, topic: TopicId, partition: PartitionIndex) -> bool {
        self.epoch_of(topic, partition).is_some()
    }

    /// All partitions, in order.
    pub(in crate::coordinator) fn iter(
        &self,
    ) -> impl Iterator<Item = (TopicId, PartitionIndex, MemberEpoch)> + '_ {
        self.0.iter().flat_map(|(&topic, partitions)| {
            partitions.iter().map(move |(&partition, &epoch)| (topic, partition, epoch))
        })
    }

    /// Whether each of `claimed` is among these.
    pub(super) fn cover(&self, claimed: &[TopicPartitions]) -> bool {
        each(claimed).all(|(topic, partition)| self.contains(topic, partition))
    }

    /// Whether one of `claimed` is among these.
    pub(super) fn overlap(&self, claimed: &[TopicPartitions]) -> bool {
        each(claimed).any(|(topic, partition)| self.contains(topic, partition))
    }

    /// Whether `claimed` is these and no others.
    pub(super) fn are(&self, claimed: &[TopicPartitions]) -> bool {
        self.cover(claimed) && self.iter().count() == each(claimed).collect::<BTreeSet<_>>().len()
    }

    /// These as an answer names them.
    pub(in crate::coordinator) fn to_answer(&self) -> Vec<TopicPartitions> {
        self.0
            .iter()
            .map(|(&topic, partitions)| TopicPartitions {
                topic,
                partitions: partitions.keys().copied().collect(),
            })
            .collect()
    }
}

fn each(claimed: &[TopicPartitions]) -> impl Iterator<Item = (TopicId, PartitionIndex)> + '_ {
    claimed.iter().flat_map(|topic| topic.partitions.iter().map(|&partition| (topic.topic, partition)))
}
