//! What a leader has refused of its idempotent producers, for reasons that pass: no room, not enough replicas, a batch that
//! overtook others.
//!
//! A producer has several batches in flight, and sends all of them again that were refused; librdkafka in one go, Kafka's own
//! client one by one. The reason may pass between two of them. Were a later one appended then, the earlier one could not be any
//! more; were it called out of order, its producer would begin a new epoch, and send what it does not know to be appended once more
//! under new numbers: to other partitions, too, where it may well be in the log.
//!
//! So the least sequence number refused is a floor: what lies above it is refused as well, until the batch at the floor is
//! appended. Producers send in order, so that this is what comes next. It ends, too, with the producer's epoch, or when
//! nothing has come for as long as no producer waits: then it has given up what was refused.
//!
//! Sequence numbers go round: after [`i32::MAX`] comes 0. Of two, the one is the later that the other reaches within half of
//! the way round.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::time::Duration;

use crate::ids::{ProducerEpoch, ProducerId};
use trilog_protocol::batch::BatchHeader;

/// Producers of which this is remembered, some 250 KiB of them. Of more, the one that was silent for longest is forgotten.
const MAX_PRODUCERS: usize = 4096;

/// How long a floor stays after the batch at it was refused last. A producer tries for two minutes (Java) or five
/// (librdkafka) if it is not told otherwise.
const LASTS: Duration = Duration::from_secs(600);

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    by_producer: HashMap<ProducerId, Refused>,
}

/// What was refused of one producer and has not come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    epoch: ProducerEpoch,
    /// The floor: the least sequence number refused.
    from: i32,
    /// The greatest one.
    to: i32,
    /// When the batch at the floor was refused last.
    at: Duration,
}

/// How a batch stands to what was refused of its producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing was refused, or it does not count any more.
    Unheard,
    /// It is the first that was refused, or comes before it.
    AtTheFloor,
    /// It comes after one that was refused and has not been appended.
    Above,
}

impl Refusals {
    /// How a batch stands that comes at the time `now`.
    pub(super) fn standing(&self, header: &BatchHeader, now: Duration) -> Standing {
        let refused = self.by_producer.get(&header.producer_id);
        match refused.filter(|refused| refused.epoch == header.producer_epoch && refused.counts(now)) {
            None => Standing::Unheard,
            Some(refused) if is_after(header.base_sequence, refused.from) => Standing::Above,
            Some(_) => Standing::AtTheFloor,
        }
    }

    /// An idempotent batch is refused.
    pub(super) fn note(&mut self, header: &BatchHeader, now: Duration) {
        let (epoch, sequence) = (header.producer_epoch, header.base_sequence);
        let alone = Refused { epoch, from: sequence, to: sequence, at: now };
        match self.by_producer.get_mut(&header.producer_id) {
            Some(refused) if epoch < refused.epoch => {}
            Some(refused) if epoch == refused.epoch && refused.counts(now) => refused.add(sequence, now),
            Some(refused) => *refused = alone,
            None => {
                if self.by_producer.len() == MAX_PRODUCERS {
                    self.forget_the_longest_silent();
                }
                self.by_producer.insert(header.producer_id, alone);
            }
        }
    }

    /// A batch is appended. Returns what there was, to be [`restore`](Self::restore)d should it not come to pass.
    pub(super) fn appended(&mut self, header: &BatchHeader) -> Option<Refused> {
        let refused = self.by_producer.get_mut(&header.producer_id)?;
        let (before, last) = (*refused, header.last_sequence());
        let is_over = match header.producer_epoch.cmp(&refused.epoch) {
            Ordering::Less => false,
            Ordering::Equal => !is_after(refused.to, last),
            Ordering::Greater => true,
        };
        if is_over {
            self.by_producer.remove(&header.producer_id);
        } else if header.producer_epoch == refused.epoch && !is_after(refused.from, last) {
            refused.from = if last == i32::MAX { 0 } else { last + 1 };
        }
        Some(before)
    }

    /// Puts a producer back to what it was, `None` for nothing refused.
    pub(super) fn restore(&mut self, id: ProducerId, before: Option<Refused>) {
        match before {
            Some(refused) => self.by_producer.insert(id, refused),
            None => self.by_producer.remove(&id),
        };
    }

    fn forget_the_longest_silent(&mut self) {
        // By its id, too: equal inputs have equal outcomes, and the map's order is not one.
        let silent = self.by_producer.iter().min_by_key(|(id, refused)| (refused.at, **id));
        if let Some(id) = silent.map(|(id, _)| *id) {
            self.by_producer.remove(&id);
        }
    }
}

impl Refused {
    fn counts(&self, now: Duration) -> bool {
        now < self.at.saturating_add(LASTS)
    }

    fn add(&mut self, sequence: i32, now: Duration) {
        if is_after(sequence, self.to) {
            self.to = sequence;
        }
        if !is_after(sequence, self.from) {
            self.from = sequence;
            self.at = now;
        }
    }
}

/// Whether a sequence number comes after another one.
pub(super) const fn is_after(sequence: i32, other: i32) -> bool {
    let ahead = sequence.wrapping_sub(other) & i32::MAX;
    ahead != 0 && ahead <= i32::MAX / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::testing::{BatchBuilder, header_of};

    const SOON: Duration = Duration::from_secs(1);

    /// A batch of five records by producer `id`.
    fn by(id: i64, epoch: i16, sequence: i32) -> BatchHeader {
        header_of(&BatchBuilder::of_count(5).producer(id, epoch, sequence).build())
    }

    fn batch(sequence: i32) -> BatchHeader {
        by(7, 0, sequence)
    }

    fn refused(sequences: &[i32]) -> Refusals {
        let mut refusals = Refusals::default();
        for sequence in sequences {
            refusals.note(&batch(*sequence), Duration::ZERO);
        }
        refusals
    }

    #[test]
    fn what_comes_after_a_refused_batch_waits_until_that_is_appended() {
        let mut refusals = refused(&[10, 15, 20]);
        assert_eq!(refusals.standing(&batch(10), SOON), Standing::AtTheFloor);
        assert_eq!(refusals.standing(&batch(5), SOON), Standing::AtTheFloor);
        for above in [15, 20, 25] {
            assert_eq!(refusals.standing(&batch(above), SOON), Standing::Above);
        }
        refusals.appended(&batch(10));
        assert_eq!(refusals.standing(&batch(15), SOON), Standing::AtTheFloor);
        assert_eq!(refusals.standing(&batch(20), SOON), Standing::Above);
        refusals.appended(&batch(15));
        refusals.appended(&batch(20));
        assert_eq!(refusals.standing(&batch(30), SOON), Standing::Unheard);
    }

    #[test]
    fn what_was_on_its_way_before_takes_nothing_away() {
        let mut refusals = refused(&[10]);
        refusals.appended(&batch(5));
        assert_eq!(refusals.standing(&batch(15), SOON), Standing::Above);
        refusals.note(&batch(5), SOON);
        assert_eq!(refusals.standing(&batch(10), SOON), Standing::Above);
        refusals.appended(&batch(5));
        assert_eq!(refusals.standing(&batch(10), SOON), Standing::AtTheFloor, "it was refused, too");
    }

    #[test]
    fn a_floor_ends_with_the_epoch() {
        let mut refusals = refused(&[10]);
        assert_eq!(refusals.standing(&by(7, 1, 20), SOON), Standing::Unheard);
        refusals.note(&by(7, 1, 5), SOON);
        assert_eq!(refusals.standing(&by(7, 1, 10), SOON), Standing::Above);
        refusals.note(&batch(0), SOON);
        refusals.appended(&batch(0));
        assert_eq!(refusals.standing(&by(7, 1, 5), SOON), Standing::AtTheFloor, "the older epoch is over");
        assert_eq!(refusals.standing(&by(7, 1, 10), SOON), Standing::Above);
        refusals.appended(&by(7, 2, 0));
        assert_eq!(refusals.standing(&by(7, 1, 10), SOON), Standing::Unheard);
    }

    #[test]
    fn a_floor_ends_when_its_batch_has_not_come_for_long() {
        let mut refusals = refused(&[10]);
        refusals.note(&batch(15), LASTS / 2);
        assert_eq!(
            refusals.standing(&batch(15), LASTS),
            Standing::Unheard,
            "only the one at the floor counts"
        );
        refusals.note(&batch(10), LASTS / 2);
        assert_eq!(refusals.standing(&batch(15), LASTS), Standing::Above);
        refusals.note(&batch(15), LASTS * 2);
        assert_eq!(refusals.standing(&batch(15), LASTS * 2), Standing::AtTheFloor, "a floor of its own");
    }

    #[test]
    fn sequence_numbers_go_round() {
        assert!(is_after(0, i32::MAX) && !is_after(i32::MAX, 0) && !is_after(3, 3));
        assert!(is_after(i32::MAX / 2, 0) && !is_after(i32::MAX / 2 + 1, 0));
        let mut refusals = refused(&[i32::MAX - 1, 3]);
        assert_eq!(refusals.standing(&batch(3), SOON), Standing::Above);
        assert_eq!(batch(i32::MAX - 1).last_sequence(), 2);
        refusals.appended(&batch(i32::MAX - 1));
        assert_eq!(refusals.standing(&batch(3), SOON), Standing::AtTheFloor);
        assert_eq!(refusals.standing(&batch(8), SOON), Standing::Above);
    }

    #[test]
    fn the_longest_silent_producer_is_forgotten_first() {
        let mut refusals = Refusals::default();
        let id = |number: usize| i64::try_from(number).unwrap();
        for number in 0..MAX_PRODUCERS {
            refusals.note(&by(id(number), 0, 5), Duration::ZERO);
        }
        refusals.note(&by(0, 0, 5), SOON);
        refusals.note(&by(id(MAX_PRODUCERS), 0, 5), SOON);
        assert_eq!(refusals.by_producer.len(), MAX_PRODUCERS);
        assert_eq!(refusals.standing(&by(1, 0, 10), SOON), Standing::Unheard);
        assert_eq!(refusals.standing(&by(0, 0, 10), SOON), Standing::Above);
    }

    #[test]
    fn what_did_not_come_to_pass_is_restored() {
        let mut refusals = refused(&[10, 15]);
        let before = refusals.appended(&batch(10));
        refusals.restore(ProducerId(7), before);
        assert_eq!(refusals.standing(&batch(15), SOON), Standing::Above);
        assert_eq!(refusals.appended(&by(8, 0, 0)), None);
    }
}
