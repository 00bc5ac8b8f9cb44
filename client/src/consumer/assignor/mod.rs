//! Who gets which partition: the assignors of classic groups, as pure functions.
//!
//! The coordinator makes one member the leader. The leader is sent what every member has written into its JoinGroup, and
//! answers with an assignment for each. An assignor must therefore come to the same kind of result as its namesake in
//! other clients: the leader may be any member.
//!
//! | file | assignor |
//! | --- | --- |
//! | `range` | each topic apart, in contiguous ranges: partitions of the same number meet in one member |
//! | `round_robin` | all partitions in turn |
//! | `sticky` | balanced first, then as few moves as possible |
//! | `cooperative` | sticky; a partition that changes its owner is free for one generation in between |
//!
//! What Java's client does and this does not: racks (KIP-881) are carried in subscriptions and not looked at.

mod cooperative;
#[cfg(test)]
mod properties;
mod range;
mod round_robin;
mod sticky;
#[cfg(test)]
mod vectors;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trilog_protocol::consumer_protocol::{
    Subscription, encode_sticky_user_data, parse_sticky_user_data, subscription_user_data,
};

use super::partition::{TopicPartition, by_topic, flatten};

/// What becomes of the partitions that a member has while the group rebalances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebalanceProtocol {
    /// The member gives all of them up before it joins.
    Eager,
    /// The member keeps them, and gives up afterwards what it is no longer assigned (KIP-429).
    Cooperative,
}

/// An assignor of the classic protocol, by what `partition.assignment.strategy` calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Assignor {
    /// `range`: each topic apart, in contiguous ranges. Topics with equally many partitions and the same consumers are
    /// co-partitioned, as a join needs it.
    Range,
    /// `roundrobin`: all partitions of all topics in turn.
    RoundRobin,
    /// `sticky`: balanced, with as few moves as possible. Members still give up everything while the group rebalances.
    Sticky,
    /// `cooperative-sticky`: as sticky, and members keep consuming what they keep.
    CooperativeSticky,
}

/// What an assignor knows of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// The id that the coordinator gave it.
    pub id: String,
    /// `group.instance.id`, if it is a static member.
    pub instance: Option<String>,
    /// The topics it wants.
    pub topics: BTreeSet<Arc<str>>,
    /// What it claims to own, and in which generation it was given that.
    pub owned: Vec<TopicPartition>,
    /// The generation of that claim.
    pub generation: Option<i32>,
}

/// How many partitions each topic has. Topics that nobody knows are left out, and so is whoever wants them.
pub type Topics = BTreeMap<Arc<str>, i32>;

/// What each member gets, by member id. Every member has an entry.
pub type Assignment = BTreeMap<String, Vec<TopicPartition>>;

impl Assignor {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Range, Self::RoundRobin, Self::Sticky, Self::CooperativeSticky];

    /// Its name, by which the members of a group agree on one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::Sticky => "sticky",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// The assignor of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|assignor| assignor.name() == name)
    }

    /// What becomes of a member's partitions while the group rebalances.
    #[must_use]
    pub const fn protocol(self) -> RebalanceProtocol {
        match self {
            Self::CooperativeSticky => RebalanceProtocol::Cooperative,
            Self::Range | Self::RoundRobin | Self::Sticky => RebalanceProtocol::Eager,
        }
    }

    /// Assigns every partition of every topic that somebody wants.
    #[must_use]
    pub fn assign(self, members: &[Member], topics: &Topics) -> Assignment {
        match self {
            Self::Range => range::assign(members, topics),
            Self::RoundRobin => round_robin::assign(members, topics),
            Self::Sticky => sticky::assign(members, topics),
            Self::CooperativeSticky => cooperative::assign(members, topics),
        }
    }

    /// What the assignor has its members add to their subscription: their last assignment and its generation.
    #[must_use]
    pub fn user_data(self, owned: &[TopicPartition], generation: Option<i32>) -> Option<Vec<u8>> {
        match self {
            Self::Range | Self::RoundRobin => None,
            Self::Sticky if owned.is_empty() => None,
            Self::Sticky => Some(encode_sticky_user_data(&by_topic(owned), generation)),
            Self::CooperativeSticky => Some(generation.unwrap_or(-1).to_be_bytes().to_vec()),
        }
    }

    /// Reads what a member wrote into its JoinGroup. Metadata that is none leaves a member that wants nothing, so that one
    /// broken client does not keep a whole group from its partitions.
    #[must_use]
    pub fn read_member(self, id: &str, instance: Option<&str>, metadata: &[u8]) -> Member {
        let subscription = Subscription::parse(metadata).unwrap_or_default();
        let user_data = subscription_user_data(metadata);
        let mut member = Member {
            id: id.to_owned(),
            instance: instance.map(str::to_owned),
            topics: subscription.topics.iter().map(|topic| Arc::from(topic.as_str())).collect(),
            owned: flatten(&subscription.owned).collect(),
            generation: subscription.generation,
        };
        match self {
            // An eager member owns nothing any more when it joins: what it had stands in the user data.
            Self::Sticky => {
                let (owned, generation) = user_data.and_then(parse_sticky_user_data).unwrap_or_default();
                (member.owned, member.generation) = (flatten(&owned).collect(), generation);
            }
            Self::CooperativeSticky if member.generation.is_none() => {
                let generation =
                    user_data.and_then(|data| data.first_chunk()).map(|data| i32::from_be_bytes(*data));
                member.generation = generation.filter(|generation| *generation >= 0);
            }
            Self::Range | Self::RoundRobin | Self::CooperativeSticky => {}
        }
        member
    }
}

impl Member {
    fn wants(&self, topic: &str) -> bool {
        self.topics.contains(topic)
    }

    /// The order of members in Java's range and round-robin assignors: static members first, by instance id, so that a restart
    /// changes nothing; then the others by member id.
    fn rank(&self) -> (bool, &str) {
        match &self.instance {
            Some(instance) => (false, instance),
            None => (true, &self.id),
        }
    }
}

fn ranked(members: &[Member]) -> Vec<&Member> {
    let mut ranked: Vec<_> = members.iter().collect();
    ranked.sort_by_key(|member| member.rank());
    ranked
}

/// An entry for each member, with nothing in it.
fn nothing(members: &[Member]) -> Assignment {
    members.iter().map(|member| (member.id.clone(), Vec::new())).collect()
}

/// The partitions of a topic.
fn partitions(topic: &Arc<str>, count: i32) -> impl Iterator<Item = TopicPartition> + '_ {
    (0..count).map(|partition| TopicPartition { topic: topic.clone(), partition })
}
