//! The consumer protocol of KIP-848: one request, ConsumerGroupHeartbeat, and a coordinator that assigns.
//!
//! Three epochs follow one another:
//!
//! * The **group epoch** goes up when members come or go, subscribe to something else, or a topic that they subscribe
//!   to changes.
//! * The **target assignment** is made for a group epoch: what everybody is to own in the end.
//! * A **member epoch** says which target a member has reached. It gets there at its own pace: it gives up what is not
//!   its own any more, and takes what the others have given up. Whoever keeps its partitions notices nothing.
//!
//! Everything about a group is replicated, so that its next coordinator goes on where this one was: members keep
//! their epochs and partitions and hear no more of it than that a heartbeat took longer. Only the deadlines start
//! afresh.
//!
//! | file | what it tells |
//! | --- | --- |
//! | [`heartbeat`] | what comes of a heartbeat, from top to bottom |
//! | [`validation`], [`admission`] | who is refused, and why |
//! | [`subscriptions`], [`pattern`], [`topics`] | what a group subscribes to, and what of it exists |
//! | [`target`] | what everybody is to own |
//! | [`reconciliation`] | how a member gets there |
//! | [`departure`] | leaving, and being late |
//! | [`group`], [`member`], [`partitions`], [`records`] | what is replicated |
//! | [`migration`] | members of both protocols in one group |
//! | [`offset_checks`], [`describe`] | what the rest of the coordinator asks of a group |
//!
//! What differs from Apache Kafka, on purpose:
//! * Patterns are matched before the heartbeat that brings them is answered, and not some seconds later. They match no
//!   topics of the broker itself. One that makes too large an automaton is refused.
//! * A static member that joins again under the member id that it had all along is let in, as a dynamic one is, instead
//!   of being told that its own instance id is taken. One that comes back finds its place also in a full group.
//! * While a group is on its way to a new assignment, its members are asked to heartbeat more often
//!   ([`heartbeat`]), so that it gets there in a fraction of the time.
//! * A coordinator that has heard of less than the one before it does not take that for a deletion ([`topics`]).

mod admission;
mod departure;
mod describe;
mod group;
mod heartbeat;
mod member;
mod migration;
mod offset_checks;
mod partitions;
mod pattern;
mod reconciliation;
mod records;
mod subscriptions;
mod target;
mod topics;
mod validation;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::Weak;
use std::time::Duration;

pub(super) use self::group::ConsumerGroup;
use self::member::{Member, MemberState};
pub(super) use self::records::ConsumerRecord;
use super::GroupCoordinator;
use super::ids::{GroupId, MemberId};
use super::records::GroupChange;
use super::state::Membership;
use super::timers::Timer;
use crate::controller::MetadataImage;
use crate::controller::configs::GroupOverrides;

/// What a coordinator knows of a consumer group beyond what is replicated.
#[derive(Debug, Default)]
pub(super) struct LiveGroup {
    /// The metadata that the group's topics and patterns were last held against. It keeps nothing alive.
    image: Weak<MetadataImage>,
    /// When the group's epoch or somebody's assignment last changed. None as far as this coordinator knows.
    moved_at: Option<Duration>,
}

impl GroupCoordinator {
    /// Takes over the consumer groups there are: every member gets a fresh session, and time to give up what it was
    /// told to.
    pub(super) fn load_consumer_groups(&mut self) {
        for (id, group) in self.state.groups() {
            let Membership::Consumer(group) = &group.membership else { continue };
            self.consumer.insert(id.clone(), LiveGroup::default());
            for (member_id, member) in group.members() {
                let session = match &member.metadata.classic {
                    Some(classic) => classic.session_timeout,
                    None => self.session_timeout(id),
                };
                self.timers.set(Timer::Session(id.clone(), member_id.clone()), self.now + session);
                if let Some(timeout) = revocation_timeout(member) {
                    self.timers.set(Timer::Revocation(id.clone(), member_id.clone()), self.now + timeout);
                }
            }
        }
    }

    /// After how long without a heartbeat a member of `group` is gone.
    fn session_timeout(&self, group: &GroupId) -> Duration {
        self.overrides(group).session_timeout.unwrap_or(self.settings.consumer_session_timeout)
    }

    /// How often a member of `group` is to heartbeat.
    fn heartbeat_interval(&self, group: &GroupId) -> Duration {
        self.overrides(group).heartbeat_interval.unwrap_or(self.settings.consumer_heartbeat_interval)
    }

    fn overrides(&self, group: &GroupId) -> GroupOverrides {
        GroupOverrides::of(self.image.group_configs(group.as_str()))
    }

    /// The group is deleted.
    pub(super) fn remove_consumer_group(&mut self, group: &GroupId) {
        self.consumer.remove(group);
        let members: Vec<MemberId> = self
            .consumer_group(group)
            .into_iter()
            .flat_map(|group| group.members().keys().cloned())
            .collect();
        for member in &members {
            self.cancel_member_timers(group, member);
        }
    }

    /// The group, if it is a consumer group.
    fn consumer_group(&self, group: &GroupId) -> Option<&ConsumerGroup> {
        match &self.state.group(group)?.membership {
            Membership::Consumer(group) => Some(group),
            Membership::None | Membership::Classic(_) => None,
        }
    }

    fn record_consumer(&mut self, group: &GroupId, record: ConsumerRecord) {
        if matches!(record, ConsumerRecord::Epoch(_) | ConsumerRecord::Current(..)) {
            self.consumer.entry(group.clone()).or_default().moved_at = Some(self.now);
        }
        self.record(group, GroupChange::Consumer(record));
    }
}

/// How long a member has to give up what it was told to. A classic member has its own deadlines.
fn revocation_timeout(member: &Member) -> Option<Duration> {
    let is_here = member.metadata.classic.is_none() && !member.current.is_away();
    let waits = member.current.state == MemberState::UnrevokedPartitions && is_here;
    waits.then(|| member.metadata.rebalance_timeout())
}
