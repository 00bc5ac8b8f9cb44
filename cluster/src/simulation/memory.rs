//! How long and of how many producers partitions remember what they wrote, and how long producers try.
//!
//! Half of all seeds have what a node has by default. The others have so little that it is met all the time: few producers, and a
//! memory of seconds. A producer there gives a batch up before it could be forgotten, as real ones do whose delivery timeout is
//! minutes while the memory lasts a day. It is drawn apart from everything else, so that a seed's faults stay what they were.

use std::time::Duration;

use super::mutant::Mutant;
use super::random::Random;
use crate::shard::ProducerLimits;

/// How long a producer tries where partitions are full and nobody is ever forgotten.
const PATIENCE: Duration = Duration::from_secs(4);

/// See the module's documentation.
#[derive(Clone, Copy)]
pub(super) struct Memory {
    /// `producer.id.expiration.ms`, if it is not the default.
    pub(super) expiration_ms: Option<u64>,
    pub(super) limits: ProducerLimits,
    /// After how long a producer gives a batch up. None: never.
    pub(super) patience: Option<Duration>,
}

impl Memory {
    pub(super) fn of(seed: u64, mutant: Option<Mutant>) -> Self {
        let mut random = Random::new(seed.rotate_left(32));
        let default = Self { expiration_ms: None, limits: ProducerLimits::DEFAULT, patience: None };
        if mutant == Some(Mutant::ForgetProducers) {
            return Self { expiration_ms: Some(400), ..default };
        }
        if random.chance(500) {
            return default;
        }
        let expiration_ms = random.pick(&[None, Some(2_000), Some(4_000), Some(8_000)]).flatten();
        Self {
            expiration_ms,
            limits: ProducerLimits {
                partition: random.pick(&[1, 2, 3, 1 << 15]).unwrap_or(2),
                node: random.pick(&[2, 8, 1 << 17]).unwrap_or(8),
            },
            patience: Some(
                expiration_ms.map_or(PATIENCE, |expiration| Duration::from_millis(expiration / 2)),
            ),
        }
    }
}
