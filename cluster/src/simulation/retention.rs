//! How long committed offsets outlive their group's use.
//!
//! In a quarter of all seeds that is seconds, and [jobs](super::workload) take the place of consumers that are in no group, whose
//! offsets would be gone whenever a fault kept them from committing. In the others it is Kafka's default, and nothing grows so old.

use std::time::Duration;

use super::random::Random;

/// How many seeds there are for one in which offsets grow old.
const SEEDS: u64 = 4;

/// `offsets.retention.minutes`, where it is not the default.
pub(super) fn short_retention(seed: u64) -> Option<Duration> {
    let seconds = Random::new(seed.rotate_left(24)).pick(&[2, 3, 5]).unwrap_or(3);
    (seed % SEEDS == 1).then_some(Duration::from_secs(seconds))
}
