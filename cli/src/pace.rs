//! How fast records may leave.

use std::time::{Duration, Instant};

/// How late a timer of the runtime is at most, on a machine that is not overloaded.
const TIMER: Duration = Duration::from_millis(5);

/// A number of records a second, or no limit.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    pub(crate) started: Instant,
    pub(crate) rate: Option<u32>,
}

impl Pace {
    /// Waits until the record of this number, from 1, is due. Gives the time from which its latency counts: now, or when it was due
    /// if slow records before it made it late.
    pub(crate) async fn wait(&self, number: u64) -> Instant {
        let Some(due) = self.due(number) else { return Instant::now() };
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
        counted_from(due, Instant::now())
    }

    fn due(&self, number: u64) -> Option<Instant> {
        let nanos = u128::from(number.saturating_sub(1)) * 1_000_000_000 / u128::from(self.rate?);
        Some(self.started + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

/// How far behind its rate a [`Throttle`] may be and catch up: timers come late, and a rate may be far above theirs.
const BEHIND: Duration = Duration::from_millis(50);

/// An upper bound on records a second. A pause of the input or of the cluster is not made up for.
#[derive(Clone, Debug)]
pub(crate) struct Throttle {
    interval: Option<Duration>,
    /// When the next record is due.
    next: Instant,
}

impl Throttle {
    pub(crate) fn new(now: Instant, rate: Option<u32>) -> Self {
        Self { interval: rate.map(|rate| Duration::from_secs(1) / rate), next: now }
    }

    /// Waits until the next record may leave.
    pub(crate) async fn wait(&mut self) {
        let now = Instant::now();
        if let Some(due) = self.due(now)
            && due > now
        {
            tokio::time::sleep_until(due.into()).await;
        }
    }

    fn due(&mut self, now: Instant) -> Option<Instant> {
        let interval = self.interval?;
        let due = self.next.max(now.checked_sub(BEHIND).unwrap_or(now));
        self.next = due + interval;
        Some(due)
    }
}

fn counted_from(due: Instant, now: Instant) -> Instant {
    if now.saturating_duration_since(due) > TIMER { due } else { now }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_that_divides_no_second_does_not_drift() {
        let pace = Pace { started: Instant::now(), rate: Some(3) };
        assert_eq!(pace.due(1), Some(pace.started));
        assert_eq!(pace.due(3_000_001), Some(pace.started + Duration::from_secs(1_000_000)));
    }

    #[test]
    fn a_silence_is_no_credit_and_a_late_timer_is() {
        let start = Instant::now();
        let mut throttle = Throttle::new(start, Some(100));
        let step = Duration::from_millis(10);
        assert_eq!((throttle.due(start), throttle.due(start)), (Some(start), Some(start + step)));
        let late = start + 4 * step;
        assert_eq!(throttle.due(late), Some(start + 2 * step));
        let later = start + Duration::from_secs(60);
        let at_once = std::iter::repeat_with(|| throttle.due(later))
            .take_while(|due| due.is_some_and(|due| due <= later));
        assert_eq!(at_once.count(), 6, "50 ms behind, and the one that is due now");
        assert_eq!(Throttle::new(start, None).due(later), None);
    }

    #[test]
    fn latency_includes_lateness_that_no_timer_explains() {
        let due = Instant::now();
        assert_eq!(counted_from(due, due + TIMER), due + TIMER);
        assert_eq!(counted_from(due, due + TIMER * 2), due);
    }
}
