//! How long to wait before the next attempt (KIP-580): exponential, with jitter, up to a bound.

use std::time::Duration;

/// How far jitter moves a delay, up or down: a fifth, as in Kafka's own clients. Many clients that lost one broker do not
/// all come back at once.
const JITTER: f64 = 0.2;

/// The doublings after which any delay is at its bound.
const MAX_DOUBLINGS: u32 = 20;

/// A first delay and a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// The delay before the first retry, without jitter.
    pub(crate) initial: Duration,
    /// No delay exceeds it.
    pub(crate) max: Duration,
}

impl Backoff {
    /// The delay after `failures` failed attempts in a row, at least one. `random` lies in `0.0..1.0`.
    pub(crate) fn delay(&self, failures: u32, random: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(MAX_DOUBLINGS);
        let plain = self.initial.saturating_mul(1 << doublings).min(self.max);
        let factor = 1.0 + JITTER * (2.0 * random.clamp(0.0, 1.0) - 1.0);
        plain.mul_f64(factor).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff = Backoff { initial: Duration::from_millis(100), max: Duration::from_secs(1) };

    #[test]
    fn it_doubles_up_to_the_bound() {
        let delays: Vec<_> = (1..=6).map(|failures| BACKOFF.delay(failures, 0.5).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1000, 1000]);
    }

    proptest! {
        #[test]
        fn it_stays_within_a_fifth_and_the_bound(failures in any::<u32>(), random in 0.0..1.0) {
            let delay = BACKOFF.delay(failures, random);
            prop_assert!(delay >= BACKOFF.initial.mul_f64(0.799) && delay <= BACKOFF.max);
        }
    }
}
