//! A node's own idea of time: a clock that runs at its own rate and may jump ahead, and a wall clock that may be anywhere.

use std::time::Duration;

use super::random::Random;
use crate::ids::TimestampMs;

/// What a wall clock shows when a simulation begins, in milliseconds since 1970.
const EPOCH_MS: i64 = 1_700_000_000_000;

/// How far, in thousandths, clocks run too fast or too slow. Real ones are ten thousand times better.
const DRIFT: u64 = 100;

/// How often a process looks for old offsets.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The clocks of one process, the first of which shows zero at its start.
pub(super) struct Clock {
    started: Duration,
    jumped: Duration,
    /// Thousandths of the true rate.
    rate: u32,
    wall_offset_ms: i64,
    next_sweep: Duration,
}

impl Clock {
    /// Clocks of a process that starts now, on a machine whose wall clock is so far ahead of the time.
    pub(super) fn new(started: Duration, wall_offset_ms: i64, random: &mut Random) -> Self {
        let rate = u32::try_from(random.between(1000 - DRIFT, 1000 + DRIFT)).expect("a rate is about 1000");
        Self { started, jumped: Duration::ZERO, rate, wall_offset_ms, next_sweep: Duration::ZERO }
    }

    /// What the clock shows at the true time `at`.
    pub(super) fn shows(&self, at: Duration) -> Duration {
        at.saturating_sub(self.started) * self.rate / 1000 + self.jumped
    }

    /// How long it truly takes until `length` has passed on this clock.
    pub(super) fn truly(&self, length: Duration) -> Duration {
        length * 1000 / self.rate
    }

    /// Whether old offsets are to be looked for now, which then is not said again for a while.
    pub(super) fn is_time_to_sweep(&mut self, at: Duration) -> bool {
        let shown = self.shows(at);
        let is_time = shown >= self.next_sweep;
        if is_time {
            self.next_sweep = shown + SWEEP_EVERY;
        }
        is_time
    }

    pub(super) fn jump(&mut self, by: Duration) {
        self.jumped += by;
    }

    pub(super) const fn jump_wall(&mut self, by_ms: i64) {
        self.wall_offset_ms += by_ms;
    }

    /// How far the wall clock is ahead; no time if it is behind.
    pub(super) fn is_ahead_by(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.wall_offset_ms).unwrap_or(0))
    }

    pub(super) fn wall(&self, at: Duration) -> TimestampMs {
        let passed = i64::try_from(at.as_millis()).expect("a simulation is short");
        TimestampMs(EPOCH_MS + passed + self.wall_offset_ms)
    }
}
