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
    fn latency_includes_lateness_that_no_timer_explains() {
        let due = Instant::now();
        assert_eq!(counted_from(due, due + TIMER), due + TIMER);
        assert_eq!(counted_from(due, due + TIMER * 2), due);
    }
}
