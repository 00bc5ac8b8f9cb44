//! Rules that coordinators once broke, broken again on purpose, to show that the properties would tell.
//!
//! None of them needs a switch in the coordinator: what is falsified is what the [world](super::world) carries from a decision to
//! the log, and from one coordinator to the next.
//!
//! | mutant | found in case, of 256 |
//! | --- | --- |
//! | `AwaitTheAway` | 99 |
//! | `CountReplicatedGroups` | 5 |
//! | `ConfirmAll` | 8 |
//! | `LateTimers` | 2 |
//!
//! A group's use that only sweeps write down is played by the [simulation](crate::simulation), and so is `ConfirmAll` once more.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use super::client::QUICK_REBALANCE_TIMEOUT;
use super::{action, limits, run};
use crate::coordinator::consumer::{ConsumerGroup, ConsumerRecord};
use crate::coordinator::records::{GroupChange, GroupRecord};
use crate::coordinator::state::Membership;
use crate::coordinator::timers::Timer;
use crate::coordinator::{
    CoordinatorRecord, CoordinatorState, GroupCoordinator, GroupId, GroupProtocol, MemberEpoch, MemberId,
};

/// A rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutant {
    /// The next coordinator waits for members that are away to give up what they had to.
    AwaitTheAway,
    /// Groups of which nothing is replicated yet do not count towards the most that there may be.
    CountReplicatedGroups,
    /// The next coordinator takes all members that have reached their targets for confirmed.
    ConfirmAll,
    /// A request is decided by the time of the last call: what has become due since comes after it.
    LateTimers,
}

/// The members that left for a while and had partitions to give up, as a coordinator that waits for them would have them.
#[derive(Debug, Default)]
pub(super) struct Leavings(BTreeMap<(GroupId, MemberId), CoordinatorRecord>);

impl Leavings {
    /// Looks at a record that is about to be applied.
    pub(super) fn see(&mut self, state: &CoordinatorState, record: &CoordinatorRecord) {
        let CoordinatorRecord::Group(GroupRecord {
            group: id,
            change: GroupChange::Consumer(ConsumerRecord::Current(member, current)),
        }) = record
        else {
            return;
        };
        if current.epoch != MemberEpoch::LEAVE_FOR_A_WHILE {
            return;
        }
        let before = consumer_group(state, id)
            .and_then(|group| group.assignments().find(|(known, _)| *known == member))
            .map(|(_, current)| current.clone());
        if let Some(mut kept) = before.filter(|before| !before.revoking.is_empty()) {
            kept.epoch = MemberEpoch::LEAVE_FOR_A_WHILE;
            let kept = record_of(id, ConsumerRecord::Current(member.clone(), kept));
            self.0.insert((id.clone(), member.clone()), kept);
        }
    }

    /// Those that are still away.
    fn away(&self, state: &CoordinatorState) -> Vec<(&(GroupId, MemberId), &CoordinatorRecord)> {
        let is_away = |(group, member): &(GroupId, MemberId)| {
            consumer_group(state, group).is_some_and(|group| {
                let mut assignments = group.assignments();
                assignments.any(|(known, current)| {
                    known == member && current.epoch == MemberEpoch::LEAVE_FOR_A_WHILE
                })
            })
        };
        self.0.iter().filter(|(key, _)| is_away(key)).collect()
    }
}

impl Mutant {
    /// Makes a coordinator's bound on groups one on those that are replicated.
    pub(super) fn falsify_limits(self, coordinator: &mut GroupCoordinator, most: usize) {
        if self == Self::CountReplicatedGroups {
            coordinator.limits.groups = most + coordinator.forming;
        }
    }

    /// Changes what the next coordinator begins with.
    pub(super) fn falsify_state(self, state: &mut CoordinatorState, leavings: &Leavings) {
        if self == Self::AwaitTheAway {
            leavings.away(state).into_iter().for_each(|(_, record)| state.replay(record));
        }
        if self == Self::ConfirmAll {
            state.confirm_members();
        }
    }

    /// The time by which a request is decided that comes at `now`, while the coordinator was last called at `before`.
    pub(super) fn falsify_time(self, before: Duration, now: Duration) -> Duration {
        if self == Self::LateTimers { before } else { now }
    }

    /// Has the next coordinator wait for what it should not wait for.
    pub(super) fn falsify_timers(self, next: &mut GroupCoordinator, now: Duration, leavings: &Leavings) {
        if self != Self::AwaitTheAway {
            return;
        }
        for ((group, member), _) in leavings.away(&next.state) {
            let timer = Timer::Revocation(group.clone(), member.clone());
            next.timers.set(timer, now + QUICK_REBALANCE_TIMEOUT);
        }
    }
}

fn consumer_group<'a>(state: &'a CoordinatorState, id: &GroupId) -> Option<&'a ConsumerGroup> {
    match &state.group(id)?.membership {
        Membership::Consumer(group) => Some(group),
        Membership::None | Membership::Classic(_) => None,
    }
}

fn record_of(group: &GroupId, record: ConsumerRecord) -> CoordinatorRecord {
    CoordinatorRecord::Group(GroupRecord { group: group.clone(), change: GroupChange::Consumer(record) })
}

/// How many cases a mutant has to be found in: as many as a property plays.
const CASES: u32 = 256;

/// Plays the same cases each time, until one finds the mutant.
fn finds(mutant: Mutant, protocols: &'static [GroupProtocol]) {
    let config = Config { cases: CASES, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let played = Cell::new(0);
    let cases = (vec(action(protocols), 1..60), limits());
    let outcome = TestRunner::new_with_rng(config, rng).run(&cases, |(actions, limits)| {
        played.set(played.get() + 1);
        run(&actions, limits, Some(mutant));
        Ok(())
    });
    match outcome {
        Err(TestError::Fail(reason, _)) => println!("{mutant:?}: case {}: {reason}", played.get()),
        _ => panic!("{mutant:?} is not found in {CASES} cases"),
    }
}

#[test]
fn awaiting_the_away_is_found() {
    finds(Mutant::AwaitTheAway, &[GroupProtocol::Consumer]);
}

#[test]
fn counting_replicated_groups_alone_is_found() {
    finds(Mutant::CountReplicatedGroups, &[GroupProtocol::Classic]);
}

#[test]
fn confirming_all_members_is_found() {
    finds(Mutant::ConfirmAll, &[GroupProtocol::Consumer]);
}

#[test]
fn late_timers_are_found() {
    finds(Mutant::LateTimers, &[GroupProtocol::Classic, GroupProtocol::Consumer]);
}
