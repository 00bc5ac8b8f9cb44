//! The classic protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup. The members' leader assigns the partitions; the
//! coordinator brings the members together, counts the generations and hands the assignments out.
//!
//! ```text
//!            somebody joins                     all have joined, or the time is over
//!   Empty ─────────────────► PreparingRebalance ─────────────────► CompletingRebalance
//!     ▲                        │      ▲     ▲                         │          │
//!     └── nobody is left ──────┘      │     └── a member comes, goes, ┘          │ the leader syncs
//!                                     │         changes or stays silent          ▼
//!                                     └────────────────────────────────────── Stable
//! ```
//!
//! *Join phase* (PreparingRebalance): members learn by their heartbeats that they have to join again, and wait in
//! JoinGroup until all of them have or the longest of their rebalance timeouts is over. Then the next generation begins
//! with those who came. *Sync phase* (CompletingRebalance): they wait in SyncGroup until the leader brings everybody's
//! assignment. With that the group is written down, and Stable.
//!
//! A group that has been empty waits `group.initial.rebalance.delay.ms` for more members before its first generation, so
//! that a fleet that starts together is rebalanced once.
//!
//! | file | what it tells |
//! | --- | --- |
//! | [`group`] | the state machine, without time and answers |
//! | [`protocols`] | the vote on the protocol |
//! | [`record`] | what is replicated |
//! | [`join`], [`static_member`] | JoinGroup; a static member that comes back |
//! | [`rebalance`] | the join phase, from its beginning to its end |
//! | [`sync`], [`heartbeat`], [`leave`] | the other requests |
//! | [`expiry`] | members that are not heard from |
//! | [`commit`], [`describe`] | what the offsets and the administrators ask of a group |
//!
//! What differs from Kafka, on purpose:
//! * A request that is superseded by a later one of the same member is answered (REBALANCE_IN_PROGRESS) instead of being
//!   forgotten: on a connection whose answers come in order, a forgotten one holds up all that follow. For the same
//!   reason a member that is removed while it waits in SyncGroup is told so.
//! * A group that never completed a rebalance leaves nothing behind. Kafka writes down that it exists.
//! * A member that is turned away because the group is full may have been the last one that the join phase waited for;
//!   then the phase ends at once.
//! * A static member that comes back is let in even if the group is full, as it takes its own place. It is described by
//!   the host and the client id that it has now, and if it subscribes to other topics than before, the group is
//!   rebalanced.
//!
//! There is no state Dead: a group that is gone is not found.

mod commit;
mod describe;
mod expiry;
mod group;
mod heartbeat;
mod join;
mod leave;
mod protocols;
mod rebalance;
mod record;
mod static_member;
mod sync;
#[cfg(test)]
mod tests;

use self::group::Waiting;
pub(super) use self::group::{LiveGroup, MAX_GROUP_BYTES};
pub(super) use self::record::{ClassicGroup, ClassicMember, ClassicRecord, SupportedProtocol};
use super::GroupCoordinator;
use super::error::GroupErrorCode;
use super::ids::{GroupId, MemberId};
use super::records::GroupChange;
use super::request::{GroupResponse, JoinedGroup};
use super::state::{Group, Membership};
use super::timers::Timer;
use crate::ids::Ticket;

impl GroupCoordinator {
    /// Brings the groups to life that have members, each with a fresh session.
    pub(super) fn load_classic_groups(&mut self) {
        let with_members = |(id, group): (&GroupId, &Group)| match &group.membership {
            Membership::Classic(group) if !group.members.is_empty() => Some((id.clone(), group.clone())),
            _ => None,
        };
        let groups: Vec<_> = self.state.groups().filter_map(with_members).collect();
        for (id, group) in groups {
            // The setting has changed: the members join again, and those that come last are turned away.
            let too_many = group.members.len() > self.settings.max_size;
            // The members spoke the consumer protocol, and have not yet been rebalanced since.
            let never_rebalanced = group.protocol.is_none();
            self.enliven(id.clone(), group);
            if too_many || never_rebalanced {
                self.with_classic_group(&id, Self::prepare_rebalance);
            }
        }
    }

    fn enliven(&mut self, id: GroupId, group: ClassicGroup) {
        let live = LiveGroup::new(id.clone(), group);
        for member in live.members().keys().cloned().collect::<Vec<_>>() {
            self.await_heartbeat(&live, &member);
        }
        self.classic.insert(id, live);
    }

    /// Does something with a classic group, live, empty or not there at all. Afterwards only a group with somebody in
    /// it has a live one, so that names alone take no room.
    fn with_classic_group<T>(&mut self, id: &GroupId, act: impl FnOnce(&mut Self, &mut LiveGroup) -> T) -> T {
        let was_forming = self.is_forming(id);
        let mut group =
            self.classic.remove(id).unwrap_or_else(|| LiveGroup::new(id.clone(), self.recorded(id)));
        let outcome = act(self, &mut group);
        if cfg!(debug_assertions) {
            group.check_invariants();
        }
        if group.is_vacant() {
            // Left during the initial delay: it never became a generation, and there is nothing to take back.
            self.timers.cancel(&Timer::Join(id.clone()));
        } else {
            self.classic.insert(id.clone(), group);
        }
        self.count_forming(id, was_forming);
        outcome
    }

    /// The group as it was last written down.
    fn recorded(&self, id: &GroupId) -> ClassicGroup {
        match self.membership(id) {
            Some(Membership::Classic(group)) => group.clone(),
            _ => ClassicGroup::default(),
        }
    }

    fn membership(&self, id: &GroupId) -> Option<&Membership> {
        self.state.group(id).map(|group| &group.membership)
    }

    /// Whether the group belongs to the consumer protocol, which then judges what classic members ask.
    fn has_consumer_members(&self, id: &GroupId) -> bool {
        matches!(self.membership(id), Some(Membership::Consumer(group)) if !group.is_empty())
    }

    /// A classic member has come into a group of the consumer protocol that nobody was in: it is a classic one from here on.
    fn end_empty_consumer_group(&mut self, id: &GroupId) {
        if matches!(self.membership(id), Some(Membership::Consumer(_))) {
            self.remove_consumer_group(id);
            self.record(id, GroupChange::Classic(ClassicRecord::Group(ClassicGroup::default())));
        }
    }

    /// Ends a classic group that is deleted, or goes over to the consumer protocol: whoever waits in it has to join again.
    /// What is replicated of it is the caller's.
    pub(super) fn remove_classic_group(&mut self, id: &GroupId) {
        let was_forming = self.is_forming(id);
        let Some(group) = self.classic.remove(id) else { return };
        self.count_forming(id, was_forming);
        self.timers.cancel(&Timer::Join(id.clone()));
        self.timers.cancel(&Timer::Sync(id.clone()));
        for member in group.members().keys() {
            self.timers.cancel(&Timer::Session(id.clone(), member.clone()));
        }
        for member in &group.pending {
            self.timers.cancel(&Timer::PendingMember(id.clone(), member.clone()));
        }
        for (member, waiting) in group.into_waiting_members() {
            self.refuse_waiting(waiting, &member, GroupErrorCode::RebalanceInProgress);
        }
    }

    /// Makes a live classic group of one that was put together elsewhere: what is left of a consumer group when its last
    /// member of the consumer protocol has gone (KIP-848). Its members have to join again.
    pub(super) fn install_classic_group(&mut self, id: &GroupId, group: ClassicGroup) {
        self.record(id, GroupChange::Classic(ClassicRecord::Group(group.clone())));
        self.enliven(id.clone(), group);
        self.with_classic_group(id, |coordinator, group| coordinator.go_on_without(group));
    }

    /// Writes the group down as it is.
    fn record_classic(&mut self, group: &LiveGroup) {
        let record = ClassicRecord::Group(group.group().clone());
        self.record(&group.id, GroupChange::Classic(record));
    }

    /// A member has to be heard from within its session timeout from now on.
    fn await_heartbeat(&mut self, group: &LiveGroup, member: &MemberId) {
        if let Some(known) = group.members().get(member) {
            let timer = Timer::Session(group.id.clone(), member.clone());
            self.timers.set(timer, self.now + known.session_timeout);
        }
    }

    /// Removes a member that has left, or is gone. What it waits for is answered.
    fn drop_member(&mut self, group: &mut LiveGroup, member: &MemberId) {
        self.timers.cancel(&Timer::Session(group.id.clone(), member.clone()));
        let waiting = group.remove(member);
        self.refuse_waiting(waiting, &MemberId::from(""), GroupErrorCode::UnknownMemberId);
    }

    fn refuse_waiting(&mut self, waiting: Waiting, member: &MemberId, error: GroupErrorCode) {
        if let Some(ticket) = waiting.join {
            self.refuse_join(ticket, member.clone(), error);
        }
        if let Some(ticket) = waiting.sync {
            self.answer(ticket, GroupResponse::Sync(Err(error)));
        }
    }

    fn refuse_join(&mut self, ticket: Ticket, member: MemberId, error: GroupErrorCode) {
        self.answer(ticket, GroupResponse::Join(JoinedGroup::refused(member, error)));
    }
}
