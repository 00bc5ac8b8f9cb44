//! Deadlines of a coordinator: who has to be heard from by when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::ids::{GroupId, MemberId};

/// What a deadline is about. Each has at most one: setting it again moves it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A member has to be heard from.
    Session(GroupId, MemberId),
    /// A member that was given an id has to join with it (KIP-394).
    PendingMember(GroupId, MemberId),
    /// A classic group's join phase ends, whoever has not joined by then.
    Join(GroupId),
    /// A classic group's members have to ask for their assignments, the leader's among them.
    Sync(GroupId),
    /// A member of a consumer group has to give up what was taken from it (KIP-848).
    Revocation(GroupId, MemberId),
    /// A classic member of a consumer group has to join again, or to ask for its assignment.
    ClassicMember(GroupId, MemberId),
}

impl Timer {
    /// Whose deadline it is.
    pub(super) const fn group(&self) -> &GroupId {
        match self {
            Self::Session(group, _)
            | Self::PendingMember(group, _)
            | Self::Join(group)
            | Self::Sync(group)
            | Self::Revocation(group, _)
            | Self::ClassicMember(group, _) => group,
        }
    }
}

/// The deadlines, soonest first.
///
/// They are kept in the time that this process has run, which [postponing](Self::postpone) all of them holds back.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_timer: BTreeMap<Timer, Duration>,
    by_time: BTreeSet<(Duration, Timer)>,
    /// How long all deadlines have been postponed.
    postponed: Duration,
}

impl Timers {
    /// Sets or moves a deadline.
    pub(super) fn set(&mut self, timer: Timer, at: Duration) {
        let at = at.saturating_sub(self.postponed);
        if let Some(before) = self.by_timer.insert(timer.clone(), at) {
            self.by_time.remove(&(before, timer.clone()));
        }
        self.by_time.insert((at, timer));
    }

    /// Removes a deadline, if it was set.
    pub(super) fn cancel(&mut self, timer: &Timer) {
        if let Some(at) = self.by_timer.remove(timer) {
            self.by_time.remove(&(at, timer.clone()));
        }
    }

    /// When a timer is due, if it is set.
    pub(super) fn deadline(&self, timer: &Timer) -> Option<Duration> {
        self.by_timer.get(timer).map(|at| *at + self.postponed)
    }

    /// Moves all deadlines.
    pub(super) fn postpone(&mut self, by: Duration) {
        self.postponed += by;
    }

    /// How many deadlines are set.
    pub(super) fn len(&self) -> usize {
        self.by_timer.len()
    }

    /// The soonest deadline.
    pub(super) fn next(&self) -> Option<Duration> {
        self.by_time.first().map(|(at, _)| *at + self.postponed)
    }

    /// Takes the soonest timer that is due.
    pub(super) fn pop_due(&mut self, now: Duration) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        let (_, timer) = self.by_time.pop_first()?;
        self.by_timer.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(name: &str) -> Timer {
        Timer::Join(name.into())
    }

    #[test]
    fn due_timers_come_in_order_and_once() {
        let mut timers = Timers::default();
        timers.set(join("b"), Duration::from_secs(2));
        timers.set(join("a"), Duration::from_secs(1));
        timers.set(join("c"), Duration::from_secs(3));
        assert_eq!(timers.next(), Some(Duration::from_secs(1)));
        assert_eq!(timers.pop_due(Duration::from_secs(2)), Some(join("a")));
        assert_eq!(timers.pop_due(Duration::from_secs(2)), Some(join("b")));
        assert_eq!(timers.pop_due(Duration::from_secs(2)), None);
        assert_eq!(timers.next(), Some(Duration::from_secs(3)));
    }

    #[test]
    fn a_timer_set_again_is_moved() {
        let mut timers = Timers::default();
        timers.set(join("a"), Duration::from_secs(1));
        timers.set(join("a"), Duration::from_secs(5));
        assert_eq!(timers.deadline(&join("a")), Some(Duration::from_secs(5)));
        assert_eq!(timers.pop_due(Duration::from_secs(4)), None);
        timers.cancel(&join("a"));
        assert_eq!((timers.next(), timers.pop_due(Duration::MAX)), (None, None));
    }

    #[test]
    fn postponed_timers_are_due_later_and_those_set_afterwards_are_not() {
        let mut timers = Timers::default();
        timers.set(join("a"), Duration::from_secs(5));
        timers.postpone(Duration::from_secs(3));
        timers.set(join("b"), Duration::from_secs(7));
        assert_eq!(timers.deadline(&join("a")), Some(Duration::from_secs(8)));
        assert_eq!(timers.pop_due(Duration::from_secs(7)), Some(join("b")));
        assert_eq!(timers.pop_due(Duration::from_secs(7)), None);
        assert_eq!(timers.pop_due(Duration::from_secs(8)), Some(join("a")));
    }
}
