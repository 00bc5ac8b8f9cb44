//! The leader's view of its partition: the applied state and, beyond it, what is proposed and not yet applied.
//!
//! An [`Appender`] is made when a replica starts to lead, which is when it has applied an entry of its own term, so that
//! nothing of earlier terms is still on its way. It is forgotten when the replica stops leading. In between it runs ahead
//! of the [`PartitionState`]: it hands out the offsets, and recognises a retry of a batch that is still in flight.
//!
//! Many produce requests become one Raft entry, so a payload is drafted batch by batch and then proposed:
//!
//! ```text
//! prepare ─► prepare ─► … ─► propose ──► accepted: accept_draft
//!                                   └──► refused:  discard_draft, all of the draft's requests fail
//! ```
//!
//! After [`discard_draft`](Appender::discard_draft) the appender is what it was at the draft's beginning: each change is
//! noted with what it replaced, and undone backwards. Drafting is therefore no dearer than appending for good.
//!
//! A producer that keeps several batches in flight may have the first ones refused while nobody leads here, and the next ones
//! arrive when this replica leads again. Then the later ones are refused as well, and come again behind them. Each is refused
//! that way once at most, and only before the producer's first batch under this leader: a gap that is one is told. The same goes
//! for what a partition hears first of a producer, if it does not begin with sequence 0. Taken at once, it would stand before the
//! batches that it has overtaken, and these could never be appended (KAFKA-15591; Kafka calls such a batch out of order if the
//! partition is empty, for which librdkafka gives up altogether). When it comes again, and nothing before it has, then the
//! partition has forgotten its producer, or is a new one of an old name.
//!
//! Whatever this leader itself refuses for a while, the producer's later batches have to wait for, as
//! [`refusals`](super::refusals) tells.
//!
//! Architecture Invariant: an appender answers no one. Whether a batch is durable, only the applied state tells; a
//! duplicate, too, may be of a batch that is not committed yet.

use std::time::Duration;

use super::producers::{Producer, ProducerError, ProducerVerdict, Producers};
use super::record_check::CheckedBatch;
use super::refusals::{Refusals, Refused, Standing, is_after};
use super::state::PartitionState;
use crate::ids::{LeaderEpoch, Offset, ProducerId, TimestampMs};
use trilog_protocol::batch::{
    BatchHeader, TimestampType, stamp_append_time, stamp_base_offset, stamp_leader_epoch, stamp_max_timestamp,
};

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// It is part of the draft, and takes effect once `last_offset` lies below the high watermark.
    Append {
        /// The offset of its first record.
        base_offset: Offset,
        /// The offset of its last record.
        last_offset: Offset,
        /// The time stamped, if the topic has `LogAppendTime`.
        log_append_time: Option<TimestampMs>,
    },
    /// It is a retry; the first attempt's answer holds, once `last_offset` lies below the high watermark. If the first
    /// attempt is part of the same draft, it shares the draft's fate.
    Duplicate {
        /// The offset of the first attempt's first record.
        base_offset: Offset,
        /// The offset of the first attempt's last record.
        last_offset: Offset,
        /// The time stamped on the first attempt, if the topic has `LogAppendTime`.
        log_append_time: Option<TimestampMs>,
    },
    /// It must not be appended, and the draft is as before.
    Refused(ProducerError),
}

/// A producer as it was before the draft touched it.
#[derive(Debug)]
struct Undo {
    id: ProducerId,
    before: Option<Producer>,
    refused: Option<Refused>,
}

/// The leader's side of a partition, for one term.
#[derive(Debug)]
pub struct Appender {
    leader_epoch: LeaderEpoch,
    /// The first offset of this leader's.
    start: Offset,
    /// What is to come again before anything later of its producer does.
    refusals: Refusals,
    /// The offset after the last record proposed or drafted.
    next_offset: Offset,
    /// The producers, as they will be when everything proposed and drafted is applied.
    producers: Producers,
    /// How many of them there may be: one more is refused.
    max_producers: usize,
    /// Where the draft at hand begins. Equal to `next_offset` while nothing is drafted.
    draft_start: Offset,
    /// What the draft changed, in order.
    undo: Vec<Undo>,
}

impl Appender {
    /// The appender of a replica that leads under `leader_epoch` and has applied everything of earlier epochs.
    ///
    /// # Panics
    ///
    /// When the log holds a batch of a later epoch.
    #[must_use]
    pub fn new(state: &PartitionState, leader_epoch: LeaderEpoch) -> Self {
        let latest = state.leader_epochs().latest();
        assert!(
            latest.is_none_or(|latest| latest <= leader_epoch),
            "a leader's epoch is the greatest in its log"
        );
        Self {
            leader_epoch,
            start: state.log_end_offset(),
            refusals: Refusals::default(),
            next_offset: state.log_end_offset(),
            producers: state.producers().clone(),
            max_producers: usize::MAX,
            draft_start: state.log_end_offset(),
            undo: Vec::new(),
        }
    }

    /// The epoch that is stamped into every batch.
    #[must_use]
    pub const fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// The offset that the next record will have.
    #[must_use]
    pub const fn next_offset(&self) -> Offset {
        self.next_offset
    }

    /// How many producers the partition remembers once everything proposed and drafted is applied.
    #[must_use]
    pub fn producers(&self) -> usize {
        self.producers.len()
    }

    /// From now on a producer is refused that would be one more than `max`. Without this there is no bound.
    pub const fn bound_producers(&mut self, max: usize) {
        self.max_producers = max;
    }

    /// A step of time is proposed for the producers, behind all that was proposed before. Returns its number.
    ///
    /// # Panics
    ///
    /// In the middle of a draft.
    pub fn age_producers(&mut self) -> u64 {
        assert_eq!(self.draft_start, self.next_offset, "producers do not age in the middle of a draft");
        let age = self.producers.next_age();
        self.producers.grow_older(age, self.next_offset);
        age
    }

    /// Adds a batch to the draft: decides by its producer's numbers, then copies it, stamped, to the end of `payload`. This
    /// is the only copy between the socket and the log.
    ///
    /// `timestamp_type` is the topic's. `now` is stamped if that is [`TimestampType::LogAppendTime`]. `at` is the time by a
    /// clock that only goes forward.
    pub fn prepare(
        &mut self,
        batch: &CheckedBatch,
        now: TimestampMs,
        at: Duration,
        timestamp_type: TimestampType,
        payload: &mut Vec<u8>,
    ) -> Prepared {
        let stamped = |time: TimestampMs| (timestamp_type == TimestampType::LogAppendTime).then_some(time);
        match self.producers.check(batch.header()) {
            ProducerVerdict::Append => {
                let refusal = self.is_too_many(batch.header(), at);
                if let Some(error) = refusal.or_else(|| self.overtakes_the_first(batch.header(), at)) {
                    return Prepared::Refused(error);
                }
            }
            ProducerVerdict::Refused(error) => {
                return Prepared::Refused(self.forgive(batch.header(), error, at));
            }
            ProducerVerdict::Duplicate(first) => {
                return Prepared::Duplicate {
                    base_offset: first.base_offset,
                    last_offset: first.last_offset,
                    log_append_time: stamped(first.max_timestamp),
                };
            }
        }
        let header = self.append_stamped(batch, stamped(now), payload);
        self.record(&header);
        self.next_offset = header.next_offset();
        Prepared::Append {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            log_append_time: stamped(now),
        }
    }

    /// The draft is proposed: it will be applied, or this replica stops leading.
    pub fn accept_draft(&mut self) {
        self.draft_start = self.next_offset;
        self.undo.clear();
    }

    /// The draft was not proposed. Its payload must not be used.
    pub fn discard_draft(&mut self) {
        self.next_offset = self.draft_start;
        while let Some(Undo { id, before, refused }) = self.undo.pop() {
            self.producers.restore(id, before);
            self.refusals.restore(id, refused);
        }
    }

    /// A batch is refused that did not even come to its turn. Its producer's later ones have to wait for it.
    pub fn refused(&mut self, batch: &CheckedBatch, at: Duration) {
        let header = batch.header();
        let is_there_already =
            self.producers.expected(header).is_some_and(|expected| is_after(expected, header.base_sequence));
        if header.is_idempotent() && !is_there_already {
            self.refusals.note(header, at);
        }
    }

    /// Forgets what was refused.
    #[cfg(test)]
    pub(crate) fn forget_refusals(&mut self) {
        self.refusals = Refusals::default();
    }

    /// Makes an out-of-order batch an overtaken one, if it may be.
    fn forgive(&mut self, header: &BatchHeader, error: ProducerError, at: Duration) -> ProducerError {
        let ProducerError::OutOfOrderSequence { producer, expected, found } = error else {
            return error;
        };
        if !is_after(found, expected) || !self.comes_again(header, at) {
            return error;
        }
        ProducerError::Overtaken { producer, expected, found }
    }

    /// Why a batch is refused whose producer would be one too many.
    fn is_too_many(&mut self, header: &BatchHeader, at: Duration) -> Option<ProducerError> {
        let known = self.producers.len();
        let is_known = self.producers.producer(header.producer_id).is_some();
        if !header.is_idempotent() || is_known || known < self.max_producers {
            return None;
        }
        self.refusals.note(header, at);
        Some(ProducerError::TooMany { known })
    }

    /// Why a batch has to come again that would be its producer's first here, and has not the first number.
    fn overtakes_the_first(&mut self, header: &BatchHeader, at: Duration) -> Option<ProducerError> {
        let (producer, found) = (header.producer_id, header.base_sequence);
        let is_first = header.is_idempotent() && self.producers.producer(producer).is_none();
        let overtakes = is_first && found > 0 && self.comes_again(header, at);
        overtakes.then_some(ProducerError::Overtaken { producer, expected: 0, found })
    }

    /// Whether a batch that does not continue its producer's last one is to come again, behind those before it: they were
    /// refused here, or may have been before this replica led. Takes note if it is.
    fn comes_again(&mut self, header: &BatchHeader, at: Duration) -> bool {
        let is_led = || self.producers.last_offset(header.producer_id).is_some_and(|last| last >= self.start);
        let comes_again = match self.refusals.standing(header, at) {
            Standing::Above => true,
            Standing::AtTheFloor => false,
            Standing::Unheard => !is_led(),
        };
        if comes_again {
            self.refusals.note(header, at);
        }
        comes_again
    }

    /// Copies the batch to the payload and returns its header as stamped.
    fn append_stamped(
        &self,
        batch: &CheckedBatch,
        log_append_time: Option<TimestampMs>,
        payload: &mut Vec<u8>,
    ) -> BatchHeader {
        let mut header = *batch.header();
        let start = payload.len();
        payload.extend_from_slice(batch.bytes());
        let stamped = &mut payload[start..];
        header.base_offset = self.next_offset;
        stamp_base_offset(stamped, header.base_offset);
        header.partition_leader_epoch = self.leader_epoch;
        stamp_leader_epoch(stamped, header.partition_leader_epoch);
        if let Some(now) = log_append_time {
            header.attributes = header.attributes.with_log_append_time();
            header.max_timestamp = now;
            stamp_append_time(stamped, now);
        } else if header.max_timestamp != batch.max_timestamp() {
            header.max_timestamp = batch.max_timestamp();
            stamp_max_timestamp(stamped, header.max_timestamp);
        }
        header
    }

    /// Remembers the batch's producer, and how to undo it.
    fn record(&mut self, header: &BatchHeader) {
        if !header.is_idempotent() {
            return;
        }
        let id = header.producer_id;
        let refused = self.refusals.appended(header);
        let before = self.producers.producer(id).cloned();
        self.producers.record(header);
        self.undo.push(Undo { id, before, refused });
    }
}

#[cfg(test)]
mod tests;
