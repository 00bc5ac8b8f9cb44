//! Times, counted in buckets of which each is at most a 64th of its times wide.

use std::time::Duration;

/// Buckets for each doubling of the time.
const STEPS: u64 = 64;

/// Counts times from a nanosecond to centuries in a bounded space.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: Duration,
}

impl Histogram {
    pub(super) fn record(&mut self, time: Duration) {
        let bucket = bucket(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
        self.max = self.max.max(time);
    }

    /// How many times were recorded.
    pub(super) const fn len(&self) -> u64 {
        self.total
    }

    /// The longest time, exactly.
    pub(super) const fn max(&self) -> Duration {
        self.max
    }

    /// The time that so many of a million times do not exceed, zero without any.
    pub(super) fn quantile(&self, of_a_million: u64) -> Duration {
        let rank = u128::from(self.total) * u128::from(of_a_million);
        let rank = u64::try_from(rank.div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1);
        let mut seen = 0;
        for (bucket, count) in (0_u64..).zip(&self.counts) {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(greatest(bucket)).min(self.max);
            }
        }
        self.max
    }
}

/// Where a time belongs. The first 2 · `STEPS` buckets are a nanosecond wide, each further `STEPS` twice as wide as those before.
fn bucket(nanos: u64) -> usize {
    let shift = (u64::BITS - 1 - (nanos | STEPS).leading_zeros()).saturating_sub(STEPS.ilog2());
    let index = u64::from(shift) * STEPS + (nanos >> shift);
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// The greatest time of a bucket.
fn greatest(bucket: u64) -> u64 {
    let shift = (bucket / STEPS).saturating_sub(1);
    let within = bucket - shift * STEPS;
    ((u128::from(within) + 1) << shift).saturating_sub(1).try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_recorded_is_zero() {
        assert_eq!(Histogram::default().quantile(500_000), Duration::ZERO);
    }

    #[test]
    fn quantiles_are_those_of_the_times() {
        let mut histogram = Histogram::default();
        (1..=100).for_each(|nanos| histogram.record(Duration::from_nanos(nanos)));
        assert_eq!(histogram.quantile(500_000), Duration::from_nanos(50));
        assert_eq!(histogram.quantile(990_000), Duration::from_nanos(99));
        assert_eq!((histogram.max(), histogram.len()), (Duration::from_nanos(100), 100));
    }

    proptest! {
        #[test]
        fn a_bucket_holds_times_that_differ_by_a_64th_at_most(nanos: u64) {
            let top = greatest(bucket(nanos) as u64);
            prop_assert!(top >= nanos && top - nanos <= nanos / 64, "{nanos} {top}");
        }

        #[test]
        fn longer_times_are_in_later_buckets(one: u64, other: u64) {
            prop_assert_eq!(bucket(one.min(other)) <= bucket(one.max(other)), true);
        }
    }
}
