//! The join phase of a rebalance, from its beginning to its end, and the beginning of the sync phase.

use std::time::Duration;

use super::group::{InitialDelay, LiveGroup, State};
use crate::coordinator::GroupCoordinator;
use crate::coordinator::error::GroupErrorCode;
use crate::coordinator::ids::{GroupId, MemberId};
use crate::coordinator::request::GroupResponse;
use crate::coordinator::state::Membership;
use crate::coordinator::timers::Timer;

/// How long at least to wait for static members when nobody else is left, before looking again. Their sessions say when
/// they are gone.
const MIN_WAIT_FOR_STATIC_MEMBERS: Duration = Duration::from_secs(1);

impl GroupCoordinator {
    /// Begins a rebalance; if one is under way already, ends its join phase unless somebody is missing.
    pub(super) fn rebalance_or_complete(&mut self, group: &mut LiveGroup) {
        match group.state {
            State::PreparingRebalance { .. } => self.complete_join_if_all_joined(group),
            State::Empty | State::CompletingRebalance | State::Stable => self.prepare_rebalance(group),
        }
    }

    /// Begins a rebalance, and ends its join phase if nobody is missing.
    pub(super) fn prepare_rebalance(&mut self, group: &mut LiveGroup) {
        if group.state == State::CompletingRebalance {
            self.call_sync_phase_off(group, GroupErrorCode::RebalanceInProgress);
        }
        group.unsynced.clear();
        self.timers.cancel(&Timer::Sync(group.id.clone()));
        if group.state == State::Empty {
            let delay = self.settings.initial_rebalance_delay;
            let remaining = group.rebalance_timeout().saturating_sub(delay);
            self.wait_for_newcomers(group, InitialDelay { delay, remaining, has_newcomers: false });
            return;
        }
        group.state = State::PreparingRebalance { initial: None };
        if !group.have_all_joined() {
            let deadline = self.now + group.rebalance_timeout();
            self.timers.set(Timer::Join(group.id.clone()), deadline);
        }
        self.complete_join_if_all_joined(group);
    }

    /// Those who wait for their assignments have to join again instead. What they were assigned last is still known: a
    /// cooperative member has not given it up.
    pub(super) fn call_sync_phase_off(&mut self, group: &mut LiveGroup, error: GroupErrorCode) {
        for (member, ticket) in group.take_syncs() {
            self.answer(ticket, GroupResponse::Sync(Err(error)));
            self.await_heartbeat(group, &member);
        }
    }

    /// The first rebalance of a group that was empty: whoever comes meanwhile is in the first generation.
    fn wait_for_newcomers(&mut self, group: &mut LiveGroup, initial: InitialDelay) {
        group.state = State::PreparingRebalance { initial: Some(initial) };
        if initial.delay.is_zero() {
            self.complete_join(group);
        } else {
            self.timers.set(Timer::Join(group.id.clone()), self.now + initial.delay);
        }
    }

    /// Ends the join phase if there is one and nobody is missing in it. The initial delay ends by the clock alone: others
    /// may be about to come.
    pub(super) fn complete_join_if_all_joined(&mut self, group: &mut LiveGroup) {
        if group.state == (State::PreparingRebalance { initial: None }) && group.have_all_joined() {
            self.complete_join(group);
        }
    }

    /// The time of a join phase is over.
    pub(in crate::coordinator) fn join_phase_over(&mut self, id: &GroupId) {
        self.with_classic_group(id, |coordinator, group| match group.state {
            State::PreparingRebalance { initial: Some(initial) }
                if initial.has_newcomers && !initial.remaining.is_zero() =>
            {
                // As long as members keep coming, the rebalance waits: up to the time that they allow for one.
                let delay = coordinator.settings.initial_rebalance_delay.min(initial.remaining);
                let remaining = initial.remaining.saturating_sub(initial.delay);
                let next = InitialDelay { delay, remaining, has_newcomers: false };
                coordinator.wait_for_newcomers(group, next);
            }
            State::PreparingRebalance { .. } => coordinator.complete_join(group),
            State::Empty | State::CompletingRebalance | State::Stable => {}
        });
    }

    /// The next generation begins with those who have joined. Static members stay also if they have not: they may be
    /// restarting, and their sessions say when they are gone.
    fn complete_join(&mut self, group: &mut LiveGroup) {
        self.timers.cancel(&Timer::Join(group.id.clone()));
        for member in group.dynamic_members_not_joined() {
            self.drop_member(group, &member);
        }
        if !group.elect_joined_leader() && !group.members().is_empty() {
            let wait = group.rebalance_timeout().max(MIN_WAIT_FOR_STATIC_MEMBERS);
            self.timers.set(Timer::Join(group.id.clone()), self.now + wait);
            return;
        }
        group.next_generation();
        if group.members().is_empty() {
            self.record_emptiness(group);
        } else {
            self.begin_sync_phase(group);
        }
    }

    /// Nobody is left. What was never written down needs no end.
    fn record_emptiness(&mut self, group: &LiveGroup) {
        if matches!(self.membership(&group.id), Some(Membership::Classic(_))) {
            self.record_classic(group);
        }
    }

    /// Tells the members the new generation. They have as long to ask for their assignments as they had to join.
    fn begin_sync_phase(&mut self, group: &mut LiveGroup) {
        for (member, ticket) in group.take_joins() {
            let joined = group.joined(&member);
            self.answer(ticket, GroupResponse::Join(joined));
        }
        for member in group.members().keys().cloned().collect::<Vec<MemberId>>() {
            self.await_heartbeat(group, &member);
        }
        self.timers.set(Timer::Sync(group.id.clone()), self.now + group.rebalance_timeout());
    }
}
