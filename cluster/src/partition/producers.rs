//! Idempotent producers (KIP-98, KIP-360): what tells a retry from a new batch.
//!
//! A producer that has an id numbers its records in each partition from 0, and keeps at most five requests in flight. So
//! the last five batches of each producer are all that is needed: a batch whose sequence numbers equal one of theirs is a
//! retry, and gets the first one's answer; the batch that continues the last is new; anything else means that a batch is
//! missing, and appending it would reorder.
//!
//! The rules are those of Kafka's `ProducerStateManager` and `ProducerAppendInfo`:
//! * A producer that the partition does not know may start at any sequence number. Its state may have been dropped, and a
//!   producer could do nothing about being refused. (But see [`Appender`](super::Appender): it has to insist.)
//! * A greater epoch starts at sequence 0 and forgets the older epoch's batches; a lower epoch is fenced.
//! * After [`i32::MAX`] comes 0.
//! * A retry older than the five batches is out of order, as Kafka has it; a correct producer never sends one.
//!
//! Kafka forgets a producer a day after its last write. Replicas have no common clock, so here a partition remembers the
//! [`MAX_PRODUCERS`] that wrote last, and the one that has been silent for the most offsets goes first: the same on every
//! replica. A forgotten producer can write on; only its retries from before are not recognised.

use std::collections::{BTreeMap, HashMap};

use crate::ids::{Offset, ProducerEpoch, ProducerId, TimestampMs};
use trilog_protocol::batch::BatchHeader;

/// How many producers a partition remembers. Each takes about 300 bytes, so that a partition's never exceed 1.5 MiB.
pub const MAX_PRODUCERS: usize = 4096;
/// How many batches of a producer are remembered, which is also how many requests it may have in flight.
pub const WINDOW: usize = 5;

/// What is remembered of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducedBatch {
    /// The sequence number of its first record.
    pub base_sequence: i32,
    /// The sequence number of its last record.
    pub last_sequence: i32,
    /// The offset of its first record.
    pub base_offset: Offset,
    /// The offset of its last record.
    pub last_offset: Offset,
    /// Its greatest timestamp; its append time if the topic has `LogAppendTime`.
    pub max_timestamp: TimestampMs,
}

impl ProducedBatch {
    fn of(header: &BatchHeader) -> Self {
        Self {
            base_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            max_timestamp: header.max_timestamp,
        }
    }

    const fn next_sequence(&self) -> i32 {
        if self.last_sequence == i32::MAX { 0 } else { self.last_sequence + 1 }
    }
}

/// One producer's epoch and last batches. Invariant: at least one batch and at most [`WINDOW`], by rising offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Producer {
    pub(super) epoch: ProducerEpoch,
    pub(super) batches: Vec<ProducedBatch>,
}

impl Producer {
    fn last(&self) -> &ProducedBatch {
        &self.batches[self.batches.len() - 1]
    }

    /// The batch that this one is a retry of.
    fn find(&self, header: &BatchHeader) -> Option<&ProducedBatch> {
        let numbers = (header.base_sequence, header.last_sequence());
        let is_it = |batch: &&ProducedBatch| (batch.base_sequence, batch.last_sequence) == numbers;
        self.batches.iter().find(is_it).filter(|_| header.producer_epoch == self.epoch)
    }

    /// The sequence number with which the next batch begins, in this epoch or a greater one.
    fn expected_in(&self, epoch: ProducerEpoch) -> i32 {
        if epoch == self.epoch { self.last().next_sequence() } else { 0 }
    }
}

/// What becomes of a batch, by its producer's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProducerVerdict {
    /// It is new and in order, or not numbered at all.
    Append,
    /// It is a retry of this batch, whose answer it gets.
    Duplicate(ProducedBatch),
    /// It must not be appended.
    Refused(ProducerError),
}

/// Why a producer's batch is refused. Each variant is one of Kafka's error codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    /// `OUT_OF_ORDER_SEQUENCE_NUMBER` (45): a batch before this one is missing.
    #[error("producer {} sent sequence {found} where {expected} was expected", producer.0)]
    OutOfOrderSequence {
        /// Who sent it.
        producer: ProducerId,
        /// The sequence number that would have continued the producer's last batch.
        expected: i32,
        /// The sequence number sent.
        found: i32,
    },
    /// `NOT_LEADER_OR_FOLLOWER` (6): a batch before this one is missing, and was refused for a while, by this leader or
    /// while nobody led here. Its sender is about to send both again.
    #[error("producer {} sent sequence {found} where {expected} was expected, which was refused", producer.0)]
    Overtaken {
        /// Who sent it.
        producer: ProducerId,
        /// The sequence number that would have continued the producer's last batch.
        expected: i32,
        /// The sequence number sent.
        found: i32,
    },
    /// `INVALID_PRODUCER_EPOCH` (47): another instance has taken the producer id over.
    #[error("producer {} has epoch {} and sent {}", producer.0, current.0, found.0)]
    InvalidProducerEpoch {
        /// Who sent it.
        producer: ProducerId,
        /// The epoch in force.
        current: ProducerEpoch,
        /// The epoch sent.
        found: ProducerEpoch,
    },
}

/// The producers of one partition.
///
/// Invariants, asserted where they could break:
/// * `by_last_offset` holds exactly the producers of `by_id`, each under the offset of its last record.
/// * There are at most [`MAX_PRODUCERS`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    by_id: HashMap<ProducerId, Producer>,
    by_last_offset: BTreeMap<Offset, ProducerId>,
}

impl Producers {
    /// How many producers are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether no producer is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// What is to become of a batch that a client sent. Its base offset does not matter.
    #[must_use]
    pub fn check(&self, header: &BatchHeader) -> ProducerVerdict {
        if !header.is_idempotent() {
            return ProducerVerdict::Append;
        }
        let producer = header.producer_id;
        let Some(known) = self.by_id.get(&producer) else {
            return ProducerVerdict::Append;
        };
        if header.producer_epoch < known.epoch {
            let (current, found) = (known.epoch, header.producer_epoch);
            return ProducerVerdict::Refused(ProducerError::InvalidProducerEpoch {
                producer,
                current,
                found,
            });
        }
        if let Some(first) = known.find(header) {
            return ProducerVerdict::Duplicate(*first);
        }
        let expected = known.expected_in(header.producer_epoch);
        if header.base_sequence != expected {
            let found = header.base_sequence;
            return ProducerVerdict::Refused(ProducerError::OutOfOrderSequence { producer, expected, found });
        }
        ProducerVerdict::Append
    }

    /// Remembers an appended batch, and returns the producer forgotten for it, if any. A batch that does not lie above the
    /// last one of its producer changes nothing, nor does one without a producer id.
    pub(super) fn record(&mut self, header: &BatchHeader) -> Option<(ProducerId, Producer)> {
        if !header.is_idempotent() || header.attributes.is_control() {
            return None;
        }
        let id = header.producer_id;
        let batch = ProducedBatch::of(header);
        if let Some(producer) = self.by_id.get_mut(&id) {
            let previous = producer.last().last_offset;
            if batch.last_offset <= previous {
                return None;
            }
            self.by_last_offset.remove(&previous);
            if producer.epoch != header.producer_epoch {
                producer.epoch = header.producer_epoch;
                producer.batches.clear();
            } else if producer.batches.len() == WINDOW {
                producer.batches.remove(0);
            }
            producer.batches.push(batch);
        } else {
            self.by_id.insert(id, Producer { epoch: header.producer_epoch, batches: vec![batch] });
        }
        let displaced = self.by_last_offset.insert(batch.last_offset, id);
        assert!(displaced.is_none(), "two producers wrote one offset");
        self.forget_excess()
    }

    fn forget_excess(&mut self) -> Option<(ProducerId, Producer)> {
        if self.by_id.len() <= MAX_PRODUCERS {
            return None;
        }
        let (_, id) = self.by_last_offset.pop_first()?;
        self.by_id.remove(&id).map(|producer| (id, producer))
    }

    /// The sequence number that continues what is known of a batch's producer in the batch's epoch, if any of it is.
    pub(super) fn expected(&self, header: &BatchHeader) -> Option<i32> {
        let known = self.by_id.get(&header.producer_id);
        known.filter(|known| known.epoch == header.producer_epoch).map(|known| known.last().next_sequence())
    }

    /// The offset of the last record of a producer, if it is known.
    pub(super) fn last_offset(&self, id: ProducerId) -> Option<Offset> {
        self.by_id.get(&id).map(|producer| producer.last().last_offset)
    }

    /// One producer's state, to be [`restore`](Self::restore)d should what is about to be recorded not come to pass.
    pub(super) fn producer(&self, id: ProducerId) -> Option<&Producer> {
        self.by_id.get(&id)
    }

    /// Puts a producer back to what it was, `None` for unknown.
    pub(super) fn restore(&mut self, id: ProducerId, before: Option<Producer>) {
        if let Some(undone) = self.by_id.remove(&id) {
            self.by_last_offset.remove(&undone.last().last_offset);
        }
        if let Some(producer) = before {
            self.by_last_offset.insert(producer.last().last_offset, id);
            self.by_id.insert(id, producer);
        }
        assert_eq!(self.by_id.len(), self.by_last_offset.len(), "each producer has one last offset");
    }

    /// The producers, the one silent for longest first: an order that all replicas share.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ProducerId, &Producer)> {
        self.by_last_offset.values().filter_map(|id| self.by_id.get(id).map(|producer| (*id, producer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::testing::{BatchBuilder, header_of};

    /// A batch of `count` records by producer 7.
    fn batch(epoch: i16, base_sequence: i32, count: u32, base_offset: i64) -> BatchHeader {
        header_of(
            &BatchBuilder::of_count(count).producer(7, epoch, base_sequence).base_offset(base_offset).build(),
        )
    }

    fn out_of_order(expected: i32, found: i32) -> ProducerVerdict {
        ProducerVerdict::Refused(ProducerError::OutOfOrderSequence {
            producer: ProducerId(7),
            expected,
            found,
        })
    }

    #[test]
    fn a_batch_without_producer_id_is_always_new() {
        let mut producers = Producers::default();
        let header = header_of(&BatchBuilder::of_count(3).build());
        assert_eq!(producers.check(&header), ProducerVerdict::Append);
        assert!(producers.record(&header).is_none());
        assert!(producers.is_empty());
        assert_eq!(producers.check(&header), ProducerVerdict::Append);
    }

    #[test]
    fn an_unknown_producer_starts_anywhere_and_then_has_to_continue() {
        let mut producers = Producers::default();
        assert_eq!(producers.check(&batch(0, 40, 2, 0)), ProducerVerdict::Append);
        producers.record(&batch(0, 40, 2, 10));
        assert_eq!(producers.check(&batch(0, 42, 1, 0)), ProducerVerdict::Append);
        assert_eq!(producers.check(&batch(0, 43, 1, 0)), out_of_order(42, 43));
        assert_eq!(producers.check(&batch(0, 41, 1, 0)), out_of_order(42, 41));
    }

    #[test]
    fn each_of_the_last_five_batches_is_known_again_and_the_sixth_is_not() {
        let mut producers = Producers::default();
        for i in 0..6 {
            producers.record(&batch(0, i * 2, 2, i64::from(i) * 2));
        }
        for i in 1..6 {
            let ProducerVerdict::Duplicate(first) = producers.check(&batch(0, i * 2, 2, 0)) else {
                panic!("batch {i} is not known again");
            };
            assert_eq!(first.base_offset, Offset(i64::from(i) * 2));
            assert_eq!(first.last_offset, Offset(i64::from(i) * 2 + 1));
        }
        assert_eq!(producers.check(&batch(0, 0, 2, 0)), out_of_order(12, 0));
    }

    #[test]
    fn a_part_of_a_known_batch_is_no_retry() {
        let mut producers = Producers::default();
        producers.record(&batch(0, 0, 4, 0));
        assert_eq!(producers.check(&batch(0, 0, 2, 0)), out_of_order(4, 0));
    }

    #[test]
    fn sequence_numbers_wrap_to_zero() {
        let mut producers = Producers::default();
        producers.record(&batch(0, i32::MAX, 1, 0));
        assert_eq!(producers.check(&batch(0, 0, 1, 0)), ProducerVerdict::Append);

        let across = batch(0, i32::MAX - 1, 4, 1);
        assert_eq!(across.last_sequence(), 1);
        let mut producers = Producers::default();
        producers.record(&across);
        assert_eq!(producers.check(&batch(0, 2, 1, 0)), ProducerVerdict::Append);
    }

    #[test]
    fn a_greater_epoch_starts_at_zero_and_fences_the_lower_one() {
        let mut producers = Producers::default();
        producers.record(&batch(1, 0, 3, 0));
        assert_eq!(producers.check(&batch(2, 3, 1, 0)), out_of_order(0, 3));
        assert_eq!(producers.check(&batch(2, 0, 3, 0)), ProducerVerdict::Append);
        producers.record(&batch(2, 0, 3, 3));
        let fenced = ProducerError::InvalidProducerEpoch {
            producer: ProducerId(7),
            current: ProducerEpoch(2),
            found: ProducerEpoch(1),
        };
        assert_eq!(producers.check(&batch(1, 3, 1, 0)), ProducerVerdict::Refused(fenced));
        assert_eq!(producers.check(&batch(1, 0, 3, 0)), ProducerVerdict::Refused(fenced));
    }

    #[test]
    fn recording_a_batch_again_changes_nothing() {
        let mut producers = Producers::default();
        producers.record(&batch(0, 0, 2, 0));
        producers.record(&batch(0, 2, 2, 2));
        let before = producers.clone();
        producers.record(&batch(0, 0, 2, 0));
        producers.record(&batch(0, 2, 2, 2));
        assert_eq!(producers, before);
    }

    #[test]
    fn the_longest_silent_producer_is_forgotten_first() {
        let mut producers = Producers::default();
        let by = |id: usize, sequence: i32, offset: usize| {
            let (id, offset) = (i64::try_from(id).unwrap(), i64::try_from(offset).unwrap());
            header_of(&BatchBuilder::of_count(1).producer(id, 0, sequence).base_offset(offset).build())
        };
        for id in 0..MAX_PRODUCERS {
            assert!(producers.record(&by(id, 0, id)).is_none());
        }
        producers.record(&by(0, 1, MAX_PRODUCERS));
        let (forgotten, _) = producers.record(&by(MAX_PRODUCERS, 0, MAX_PRODUCERS + 1)).unwrap();
        assert_eq!(forgotten, ProducerId(1));
        assert_eq!(producers.len(), MAX_PRODUCERS);
    }
}
