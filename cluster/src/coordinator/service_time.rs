//! The time by which offsets grow old: how long there has been a coordinator for them.
//!
//! No wall clock is asked. The one of whichever node leads may be years off, and stamps that it made would outlive it:
//! what was committed years ahead would never be old, and what was committed years behind would be as soon as the clock
//! is right again. A running maximum over such stamps only passes the error on to all that follow. So each coordinator
//! measures by the clock of its process, which only goes forward, how long it has been there, and goes on from the
//! latest time that the coordinators before it wrote down: with every commit, with the end of a group's last member, and
//! with every sweep.
//!
//! Time is missing from that, and never too much: the time while nobody coordinates, as when the cluster is off, and the
//! time between the last record of a coordinator and its loss, which is no longer than a sweep's interval. Offsets are
//! kept for as much longer.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment, in milliseconds of coordination since there were coordinators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ServiceTime(u64);

impl ServiceTime {
    /// The moment that long after this one.
    pub(super) fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long this moment is after another one; no time if it is before it.
    pub(super) const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// What a coordinator reads the time from.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServiceClock {
    /// The time up to which the coordinators before it have counted.
    counted: ServiceTime,
    /// When it took over, by its process's clock.
    since: Duration,
}

impl ServiceClock {
    /// The clock of a coordinator that takes over.
    pub(super) const fn new(counted: ServiceTime, now: Duration) -> Self {
        Self { counted, since: now }
    }

    /// The time when the process's clock shows `now`.
    pub(super) fn read(self, now: Duration) -> ServiceTime {
        self.counted.after(now.saturating_sub(self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_goes_on_from_what_was_counted_before() {
        let first = ServiceClock::new(ServiceTime::default(), Duration::from_secs(100));
        let written = first.read(Duration::from_secs(107));
        assert_eq!(written.since(ServiceTime::default()), Duration::from_secs(7));
        let next = ServiceClock::new(written, Duration::from_secs(3));
        assert_eq!(next.read(Duration::from_secs(3)), written);
        assert_eq!(next.read(Duration::from_secs(5)).since(written), Duration::from_secs(2));
        assert_eq!(next.read(Duration::ZERO), written, "it never goes back");
    }

    #[test]
    fn times_end_where_numbers_do() {
        let end = ServiceTime::default().after(Duration::MAX);
        assert_eq!(end.after(Duration::from_secs(1)), end);
        assert_eq!(ServiceTime::default().since(end), Duration::ZERO);
    }
}
