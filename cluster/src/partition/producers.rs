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
//! A producer is forgotten when it has written nothing for `producer.id.expiration.ms`, as in Kafka, and for no other reason: a
//! retry that comes before is never appended again. Replicas have no common clock, and the times in batches are the clients' own.
//! So a leader counts the time and puts steps of it into the log ([`Command::AgeProducers`](super::Command::AgeProducers)):
//! [`AGE_STEPS`] of them make the expiration, and whoever wrote nothing since the first of so many is forgotten with the next, on
//! all replicas alike. The time between a leader's last step and its end does not count. So a producer may live longer, never shorter.
//!
//! Memory is bounded by refusing *new* producers ([`ProducerError::TooMany`]): to forget a known one would break the promise, and
//! no answer to it could mend that. Kafka's own client takes UNKNOWN_PRODUCER_ID as leave to send the batch again in a new epoch.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::ids::{Offset, ProducerEpoch, ProducerId, TimestampMs};
use trilog_protocol::batch::BatchHeader;

/// The steps in which producers age: after so many without a batch, a producer is forgotten with the next one.
pub const AGE_STEPS: u32 = 8;
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

/// A producer as administrators are told of it (KIP-664).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveProducer {
    /// The producer.
    pub id: ProducerId,
    /// The epoch of its last batch.
    pub epoch: ProducerEpoch,
    /// The sequence number of its last record.
    pub last_sequence: i32,
    /// The greatest timestamp of its last batch.
    pub last_timestamp: TimestampMs,
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
    /// `NOT_ENOUGH_REPLICAS` (19): the partition, or this node, remembers as many producers as it may, and this would be one more.
    /// Clients wait and try again.
    #[error(
        "no room for another idempotent producer beside the {known} that the partition remembers, until some have \
         written nothing for producer.id.expiration.ms"
    )]
    TooMany {
        /// The producers that the partition remembers.
        known: usize,
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
/// * `ends` rise, there are at most [`AGE_STEPS`], and none where no producer is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    by_id: HashMap<ProducerId, Producer>,
    by_last_offset: BTreeMap<Offset, ProducerId>,
    /// How many steps of time have been counted.
    pub(super) age: u64,
    /// The log's end at the last steps, the earliest first.
    pub(super) ends: VecDeque<Offset>,
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

    /// Remembers an appended batch. One that does not lie above the last one of its producer changes nothing, nor does one
    /// without a producer id.
    pub(super) fn record(&mut self, header: &BatchHeader) {
        if !header.is_idempotent() || header.attributes.is_control() {
            return;
        }
        let id = header.producer_id;
        let batch = ProducedBatch::of(header);
        if let Some(producer) = self.by_id.get_mut(&id) {
            let previous = producer.last().last_offset;
            if batch.last_offset <= previous {
                return;
            }
            self.by_last_offset.remove(&previous);
            if producer.epoch != header.producer_epoch {
                producer.epoch = header.producer_epoch;
                producer.batches.clear();
            } else if producer.batches.len() == WINDOW {
                producer.batches.remove(0);
            }
            // Most producers of a crowd write one batch: no room is taken for more.
            producer.batches.reserve_exact(1);
            producer.batches.push(batch);
        } else {
            self.by_id.insert(id, Producer { epoch: header.producer_epoch, batches: vec![batch] });
        }
        let displaced = self.by_last_offset.insert(batch.last_offset, id);
        assert!(displaced.is_none(), "two producers wrote one offset");
    }

    /// All producers that are remembered, the one silent for longest first.
    pub fn active(&self) -> impl Iterator<Item = ActiveProducer> {
        self.iter().map(|(id, producer)| ActiveProducer {
            id,
            epoch: producer.epoch,
            last_sequence: producer.last().last_sequence,
            last_timestamp: producer.last().max_timestamp,
        })
    }

    /// The number of the next step of time.
    pub(super) const fn next_age(&self) -> u64 {
        self.age + 1
    }

    /// The `age`th step of time comes when the log ends at `end`. Forgets whoever has written nothing for [`AGE_STEPS`] steps
    /// before it. A step that was counted already changes nothing.
    pub(super) fn grow_older(&mut self, age: u64, end: Offset) {
        if age != self.next_age() {
            return;
        }
        self.age = age;
        self.ends.push_back(end);
        if self.ends.len() > AGE_STEPS as usize
            && let Some(first) = self.ends.pop_front()
        {
            self.forget_before(first);
        }
        if self.is_empty() {
            self.ends.clear();
        }
    }

    /// Forgets the producers whose last record lies before `offset`.
    fn forget_before(&mut self, offset: Offset) {
        let kept = self.by_last_offset.split_off(&offset);
        for id in std::mem::replace(&mut self.by_last_offset, kept).into_values() {
            self.by_id.remove(&id);
        }
        if self.by_id.len() < self.by_id.capacity() / 4 {
            self.by_id.shrink_to_fit();
        }
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
        producers.record(&header);
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

    /// One batch of one record by each producer, one after the other from `base_offset` on.
    fn write(producers: &mut Producers, ids: &[i64], sequence: i32, base_offset: i64) {
        for (id, offset) in ids.iter().zip(base_offset..) {
            let batch = BatchBuilder::of_count(1).producer(*id, 0, sequence).base_offset(offset);
            producers.record(&header_of(&batch.build()));
        }
    }

    fn known(producers: &Producers) -> Vec<i64> {
        producers.iter().map(|(id, _)| id.0).collect()
    }

    #[test]
    fn a_producer_is_forgotten_with_the_first_step_after_enough_without_a_batch() {
        let mut producers = Producers::default();
        write(&mut producers, &[1, 2], 0, 0);
        for age in 1..=AGE_STEPS.into() {
            producers.grow_older(age, Offset(if age == 1 { 2 } else { 3 }));
            assert_eq!(known(&producers), [1, 2], "after {age} steps");
            if age == 1 {
                write(&mut producers, &[2], 1, 2);
            }
        }
        let before = producers.clone();
        producers.grow_older(AGE_STEPS.into(), Offset(3));
        assert_eq!(producers, before, "that step was counted");
        producers.grow_older(producers.next_age(), Offset(3));
        assert_eq!(known(&producers), [2], "the other wrote within the first step");
        producers.grow_older(producers.next_age(), Offset(3));
        assert!(producers.is_empty() && producers.ends.is_empty());
        write(&mut producers, &[1], 1, 3);
        for _ in 0..AGE_STEPS {
            producers.grow_older(producers.next_age(), Offset(4));
        }
        assert_eq!(known(&producers), [1], "it begins anew");
    }
}
