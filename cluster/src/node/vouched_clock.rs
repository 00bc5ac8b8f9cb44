//! The wall clock for those who delete what is old.
//!
//! A clock may be far from the truth for a while: a machine without a battery starts in another year and is put right once
//! it finds a time server; somebody mistypes a date. Who believes it at once deletes records that are a minute
//! old. So nobody is told a time before it has been vouched for, by the look before and by how much has passed since then
//! on the clock that only goes forward.

use std::time::Duration;

use tokio::time::Instant;

use crate::ids::TimestampMs;

/// The wall clock, as far as the reading before vouches for it.
#[derive(Debug, Default)]
pub(super) struct VouchedClock {
    last: Option<(Instant, TimestampMs)>,
}

impl VouchedClock {
    /// What is certain of the time at `now`, at which the wall clock shows `wall_clock`: nothing at the first reading. Then
    /// it is the earlier of what the clock shows, and of what it showed at the last reading and the time since.
    pub(super) fn read(&mut self, now: Instant, wall_clock: TimestampMs) -> Option<TimestampMs> {
        let (then, shown) = self.last.replace((now, wall_clock))?;
        let passed = now.saturating_duration_since(then);
        Some(wall_clock.min(after(shown, passed)))
    }
}

fn after(time: TimestampMs, passed: Duration) -> TimestampMs {
    TimestampMs(time.0.saturating_add(i64::try_from(passed.as_millis()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the readings give at these times, both in seconds, of the clock that only goes forward and of the other.
    fn read(times: &[(u64, i64)]) -> Vec<Option<i64>> {
        let (start, mut clock) = (Instant::now(), VouchedClock::default());
        let read = times.iter().map(|(now, shown)| {
            clock.read(start + Duration::from_secs(*now), TimestampMs(shown * 1000)).map(|time| time.0 / 1000)
        });
        read.collect()
    }

    #[test]
    fn a_clock_that_goes_right_is_believed_from_the_second_reading_on() {
        assert_eq!(read(&[(0, 1000), (60, 1060), (120, 1120)]), [None, Some(1060), Some(1120)]);
    }

    #[test]
    fn a_jump_is_not_believed_unless_it_lasts() {
        assert_eq!(read(&[(0, 1000), (60, 99_000), (120, 1120)]), [None, Some(1060), Some(1120)]);
        assert_eq!(read(&[(0, 99_000), (60, 1060), (120, 1120)]), [None, Some(1060), Some(1120)]);
        assert_eq!(read(&[(0, 1000), (60, 99_000), (120, 99_060)]), [None, Some(1060), Some(99_060)]);
        assert_eq!(read(&[(0, 1000), (60, 70), (120, 1120)]), [None, Some(70), Some(130)]);
        assert_eq!(read(&[(0, i64::MAX / 1000), (60, 5)]), [None, Some(5)]);
    }
}
