//! How fast old entries are read for followers that lag: as fast as it goes, unless producers suffer by it.
//!
//! A node that was away for an hour lacks gigabytes, and to give them to it takes the processors and disks that producers
//! live on. So a leader remembers how much producers write when nobody lags. While they write less than [`KEPT`] of it
//! and entries are read for a laggard, the reading slows down; otherwise it speeds up until nothing limits it. It is
//! never slower than [`AHEAD`] of the producers' own pace, or the laggard would not arrive.
//!
//! What producers wrote is forgotten by half in [`HALF_LIFE`], as they may write less for reasons of their own. Who writes
//! less than [`ENDED`] of it has such a reason.

use std::time::Duration;

/// What producers are to keep of their pace.
const KEPT: f64 = 0.8;

/// Below this part of their pace they have ended.
const ENDED: f64 = 0.1;

/// How much faster than producers write a laggard is given entries at least.
const AHEAD: f64 = 1.2;

/// Bytes a second that a laggard is given at least.
const LEAST: f64 = 16e6;

/// How long after the last read nobody lags any more.
const LAG_ENDS: Duration = Duration::from_secs(1);

/// How far back a rate looks that is to be that of now.
const RECENT: Duration = Duration::from_millis(500);

/// How far back one looks that is to be the usual one.
const USUAL: Duration = Duration::from_secs(3);

/// While somebody lags, the usual pace is forgotten by half in this time.
const HALF_LIFE: Duration = Duration::from_secs(300);

/// How long it takes a limit to fall to a third, or to rise to almost three times as much.
const CHANGES: Duration = Duration::from_secs(1);

/// See the module. Rates are in bytes a second.
#[derive(Debug)]
pub(super) struct Pace {
    /// What producers write when nobody lags.
    usual: f64,
    /// What they write now.
    recent: f64,
    /// What is read now.
    reading: f64,
    since_read: Duration,
    /// What may be read. Infinite without a limit.
    limit: f64,
}

impl Pace {
    pub(super) const fn new() -> Self {
        Self { usual: 0.0, recent: 0.0, reading: 0.0, since_read: LAG_ENDS, limit: f64::INFINITY }
    }

    /// Takes note of the bytes that producers `appended` and that were `read` in the time that has `passed` since the last
    /// look. Returns how many bytes a second may be read from now on; infinitely many without a limit.
    pub(super) fn look(&mut self, passed: Duration, appended: u64, read: u64) -> f64 {
        if passed.is_zero() {
            return self.limit;
        }
        let (appended, read) = (rate(appended, passed), rate(read, passed));
        blend(&mut self.recent, appended, passed, RECENT);
        blend(&mut self.reading, read, passed, RECENT);
        self.since_read = if read > 0.0 { Duration::ZERO } else { self.since_read + passed };
        if self.since_read >= LAG_ENDS {
            blend(&mut self.usual, appended, passed, USUAL);
            self.limit = f64::INFINITY;
            return self.limit;
        }
        if self.recent > self.usual {
            blend(&mut self.usual, self.recent, passed, USUAL);
        } else {
            self.usual *= 0.5_f64.powf(passed.div_duration_f64(HALF_LIFE));
        }
        let change = passed.div_duration_f64(CHANGES).exp();
        if self.recent < KEPT * self.usual && self.recent > ENDED * self.usual {
            self.limit = (self.limit.min(self.reading) / change).max(AHEAD * self.recent).max(LEAST);
        } else {
            self.limit *= change;
            if self.limit > 2.0 * self.reading.max(LEAST) {
                self.limit = f64::INFINITY;
            }
        }
        self.limit
    }
}

/// Bytes a second.
fn rate(bytes: u64, time: Duration) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / time.as_secs_f64()
}

/// Moves an average towards a new sample, which holds for the time that has passed.
fn blend(average: &mut f64, sample: f64, passed: Duration, memory: Duration) {
    *average += (sample - *average) * (1.0 - (-passed.div_duration_f64(memory)).exp());
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(50);

    /// Machines that three nodes share: what producers write costs three times as much as what a laggard is given.
    struct Machines {
        pace: Pace,
        /// What they can do, in megabytes of the laggard's a second.
        capacity: f64,
        /// What producers would write, in megabytes a second.
        demand: f64,
        limit: f64,
    }

    impl Machines {
        fn new(demand: f64) -> Self {
            Self { pace: Pace::new(), capacity: 450.0, demand, limit: f64::INFINITY }
        }

        /// Lets some seconds pass, with somebody who lags or without. Returns what producers wrote in them and what was
        /// read, in megabytes a second.
        fn run(&mut self, seconds: u32, lags: bool) -> (f64, f64) {
            let steps = seconds * 20;
            let (mut written, mut read) = (0.0, 0.0);
            for _ in 0..steps {
                // Without a limit, reading takes half of what there is, or what producers leave of it.
                let free = (self.capacity - 3.0 * self.demand).max(self.capacity / 2.0);
                let reading = if lags { free.min(self.limit / 1e6) } else { 0.0 };
                let writing = ((self.capacity - reading) / 3.0).min(self.demand);
                self.limit = self.pace.look(STEP, bytes(writing), bytes(reading));
                written += writing / f64::from(steps);
                read += reading / f64::from(steps);
            }
            (written, read)
        }
    }

    /// What is moved in a step.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
    fn bytes(megabytes_a_second: f64) -> u64 {
        (megabytes_a_second * 1e6 * STEP.as_secs_f64()) as u64
    }

    #[test]
    fn producers_keep_more_than_two_thirds_and_the_laggard_arrives() {
        let mut machines = Machines::new(1000.0);
        let (before, _) = machines.run(10, false);
        assert!(before > 149.0, "{before}");
        let (during, reading) = machines.run(30, true);
        assert!(during > before * 0.68, "{during} of {before}");
        assert!(reading > during * 1.19, "{reading} and {during}");
        assert!(machines.limit.is_finite());
        machines.run(2, false);
        assert!(machines.limit.is_infinite(), "nobody lags any more");
    }

    #[test]
    fn nothing_limits_the_reading_while_there_is_enough_for_all() {
        for demand in [0.0, 5.0, 60.0] {
            let mut machines = Machines::new(demand);
            machines.run(10, false);
            for _ in 0..20 {
                assert_eq!(machines.run(1, true).0, demand);
                assert!(machines.limit.is_infinite());
            }
        }
    }

    #[test]
    fn who_ends_or_wants_less_is_not_waited_for() {
        let mut machines = Machines::new(1000.0);
        machines.run(10, false);
        machines.run(10, true);
        machines.demand = 1.0;
        machines.run(8, true);
        assert!(machines.limit.is_infinite(), "they have ended");

        machines.demand = 1000.0;
        machines.run(10, false);
        machines.run(10, true);
        machines.demand = 40.0;
        let (_, at_first) = machines.run(5, true);
        assert!(at_first > 16.0, "{at_first}");
        machines.run(600, true);
        assert!(machines.limit.is_infinite(), "they want less");
    }

    #[test]
    fn who_comes_while_somebody_lags_gets_a_share() {
        let mut machines = Machines::new(0.0);
        machines.run(10, true);
        machines.demand = 1000.0;
        let (written, _) = machines.run(10, true);
        assert!(written > 70.0, "{written}");
    }

    #[test]
    fn a_look_at_no_time_changes_nothing() {
        let mut pace = Pace::new();
        assert!(pace.look(Duration::ZERO, 1, 1).is_infinite());
        assert!(pace.look(STEP, 0, 0).is_infinite());
    }
}
