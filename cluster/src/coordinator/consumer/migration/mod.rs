//! A group changes its protocol while it lives (KIP-848), so that a fleet can be restarted with the other one member
//! by member.
//!
//! * **Up.** The first member that comes with the consumer protocol makes a consumer group of a classic one
//!   ([`upgrade`]). The classic members stay and go on as before: they join, sync, heartbeat and leave
//!   ([`classic_join`], [`classic_requests`]), and never lead. For each of them a generation is its member epoch, joining
//!   again is how it hears of what it is to give up or to take, and what it says it owns while it joins is what it owns.
//! * **Down.** When the last member of the consumer protocol has gone and classic ones remain, the group becomes a
//!   classic one again, and they elect a leader ([`downgrade`]).
//!
//! `group.consumer.migration.policy` says which way groups with members may go. A group without members goes either way
//! at any time. A classic member may join a consumer group whatever the policy says, as in Kafka, if it is a consumer and
//! supports a protocol that all other classic members do.
//!
//! What differs from Apache Kafka, on purpose: a group that has become a classic one is always rebalanced, also where a
//! static member took the place of the last one of the consumer protocol and subscribes to the same, and also by the next
//! coordinator if this one is lost before it is done.

mod classic_join;
mod classic_requests;
mod downgrade;
mod embedded;
mod upgrade;

#[cfg(test)]
mod properties;

use std::time::Duration;

pub(super) use self::upgrade::Upgrade;

use super::group::ConsumerGroup;
use super::member::{ClassicMetadata, Member, MemberState};
use crate::coordinator::GroupCoordinator;
use crate::coordinator::ids::{GroupId, MemberId};
use crate::coordinator::timers::Timer;

/// The protocol type of classic consumers, the only ones that can be in one group with those of the consumer protocol.
const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

impl GroupCoordinator {
    /// A classic member has to be heard from within its session timeout.
    fn await_classic_heartbeat(&mut self, group: &GroupId, member: &MemberId, timeout: Duration) {
        self.timers.set(Timer::Session(group.clone(), member.clone()), self.now + timeout);
    }

    /// A classic member was told to join again, and has its rebalance timeout for that from the first time on.
    fn await_classic_join(&mut self, group: &GroupId, member: &MemberId, timeout: Duration) {
        let timer = Timer::ClassicMember(group.clone(), member.clone());
        if self.timers.deadline(&timer).is_none() {
            self.timers.set(timer, self.now + timeout);
        }
    }
}

impl ConsumerGroup {
    /// Whether all members speak the classic protocol, and there are some.
    fn is_all_classic(&self) -> bool {
        !self.is_empty() && self.members().values().all(|member| member.metadata.classic.is_some())
    }

    /// Whether each classic member but `except` supports the protocol.
    fn is_supported(&self, protocol: &str, except: &MemberId) -> bool {
        let others = self.members().iter().filter(|(id, _)| *id != except);
        { others }
            .filter_map(|(_, member)| member.metadata.classic.as_ref())
            .all(|classic| classic.supports(protocol))
    }

    /// How many bytes the classic members but `except` have said about themselves.
    fn classic_bytes(&self, except: &MemberId) -> usize {
        let others = self.members().iter().filter(|(id, _)| *id != except);
        { others }.filter_map(|(_, member)| member.metadata.classic.as_ref()).map(ClassicMetadata::size).sum()
    }

    /// Whether a classic member has to join again: because the group's epoch is ahead of its own, because it has
    /// partitions to give up, or because there are some to take.
    fn has_news_for(&self, id: &MemberId, member: &Member) -> bool {
        let can_take = || {
            member.current.state == MemberState::UnreleasedPartitions && !self.waits_for_others(id, member)
        };
        member.current.epoch < self.epoch()
            || member.current.state == MemberState::UnrevokedPartitions
            || can_take()
    }

    /// Whether another member still owns something of a member's target.
    fn waits_for_others(&self, id: &MemberId, member: &Member) -> bool {
        member.target.iter().any(|(&topic, partitions)| {
            partitions.iter().any(|&partition| self.owner(topic, partition).is_some_and(|owner| owner != id))
        })
    }
}
