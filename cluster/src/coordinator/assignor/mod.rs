//! Assignors of the consumer protocol: who gets which partition, as pure functions (KIP-848).
//!
//! What both promise, whatever they are given:
//!
//! * A partition of a topic that exists and that anybody subscribes to has exactly one owner, one of its subscribers.
//!   Nobody gets anything else.
//! * The same input gives the same assignment: on every node, in every run.
//!
//! [`range`] keeps together what has to be joined: the same partition number of every topic goes to the same member.
//! [`uniform`] is as even as subscriptions allow, and moves as little as that takes.
//!
//! Racks are left out: as in Kafka, neither assignor looks at them.

mod range;
mod uniform;

use std::collections::{BTreeMap, BTreeSet};

use super::ids::{InstanceId, MemberId};
use super::settings::AssignorName;
use crate::ids::{PartitionIndex, TopicId};

/// Partitions by topic, both in order. No topic is without a partition.
pub(crate) type Assignment = BTreeMap<TopicId, BTreeSet<PartitionIndex>>;

/// How many partitions each topic has. A topic that is not in here does not exist, whoever subscribes to it.
pub(crate) type PartitionCounts = BTreeMap<TopicId, i32>;

/// A member of a group, as far as an assignor has to know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscriber<'a> {
    /// Its id, which no other subscriber has.
    pub(crate) member: &'a MemberId,
    /// Its static name, if it has one.
    pub(crate) instance: Option<&'a InstanceId>,
    /// The topics it wants.
    pub(crate) topics: &'a BTreeSet<TopicId>,
    /// What it was to have by the last assignment.
    pub(crate) assigned: &'a Assignment,
}

/// The assignment that `assignor` makes. Every subscriber has an entry in it, be it empty.
pub(crate) fn assign(
    assignor: AssignorName,
    subscribers: &[Subscriber<'_>],
    topics: &PartitionCounts,
) -> BTreeMap<MemberId, Assignment> {
    let assignments = match assignor {
        AssignorName::Range => range::assign(subscribers, topics),
        AssignorName::Uniform => uniform::assign(subscribers, topics),
    };
    debug_assert_eq!(assignments.len(), subscribers.len(), "no two subscribers have one id");
    assignments
}

#[cfg(test)]
mod tests;
