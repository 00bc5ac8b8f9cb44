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
//! arrive when this replica leads again. Told that they are out of order, it would begin a new epoch, and send what it does not
//! know to be appended once more under new numbers: to other partitions, too, where it may well be in the log. So such a batch is
//! refused as its predecessors were, and comes again behind them. Each is refused that way once at most, and only before the
//! producer's first batch under this leader: a gap that is one is told.
//!
//! The same goes for what a partition hears first of a producer, if it does not begin with sequence 0. Taken at once, it
//! would stand before the batches that it has overtaken, and these could never be appended (KAFKA-15591; Kafka calls such a
//! batch out of order if the partition is empty, for which librdkafka gives up altogether). When it comes again,
//! nothing is taken to be missing: Kafka's clients send one by one what was refused. Then the partition has forgotten its
//! producer, or is a new one of an old name. What cannot be told apart: a client that sends its first batches together a
//! second time, and has the very first refused again, gets the others appended before it.
//!
//! Architecture Invariant: an appender answers no one. Whether a batch is durable, only the applied state tells; a
//! duplicate, too, may be of a batch that is not committed yet.

use std::collections::HashMap;

use super::batch::{
    BatchHeader, TimestampType, stamp_append_time, stamp_base_offset, stamp_leader_epoch, stamp_max_timestamp,
};
use super::producers::{Producer, ProducerError, ProducerVerdict, Producers};
use super::record_check::CheckedBatch;
use super::state::PartitionState;
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

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

/// Producers whose overtaken batches are remembered. What exceeds it is told to be out of order at once, or taken if its
/// producer is unknown.
const MAX_OVERTAKEN: usize = 4096;

/// A producer as it was before the draft touched it.
#[derive(Debug)]
struct Undo {
    id: ProducerId,
    before: Option<Producer>,
}

/// The leader's side of a partition, for one term.
#[derive(Debug)]
pub struct Appender {
    leader_epoch: LeaderEpoch,
    /// The first offset of this leader's.
    start: Offset,
    /// The greatest sequence number refused as [`ProducerError::Overtaken`] of each producer that has nothing appended
    /// since `start`.
    overtaken: HashMap<ProducerId, (ProducerEpoch, i32)>,
    /// The offset after the last record proposed or drafted.
    next_offset: Offset,
    /// The producers, as they will be when everything proposed and drafted is applied.
    producers: Producers,
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
            overtaken: HashMap::new(),
            next_offset: state.log_end_offset(),
            producers: state.producers().clone(),
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

    /// Adds a batch to the draft: decides by its producer's numbers, then copies it, stamped, to the end of `payload`. This
    /// is the only copy between the socket and the log.
    ///
    /// `timestamp_type` is the topic's. `now` is stamped if that is [`TimestampType::LogAppendTime`].
    pub fn prepare(
        &mut self,
        batch: &CheckedBatch,
        now: TimestampMs,
        timestamp_type: TimestampType,
        payload: &mut Vec<u8>,
    ) -> Prepared {
        let stamped = |time: TimestampMs| (timestamp_type == TimestampType::LogAppendTime).then_some(time);
        match self.producers.check(batch.header()) {
            ProducerVerdict::Append => {
                if let Some(error) = self.overtakes_the_first(batch.header()) {
                    return Prepared::Refused(error);
                }
            }
            ProducerVerdict::Refused(error) => return Prepared::Refused(self.forgive(batch.header(), error)),
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
        while let Some(Undo { id, before }) = self.undo.pop() {
            self.producers.restore(id, before);
        }
    }

    /// Makes an out-of-order batch an overtaken one, if it may be.
    fn forgive(&mut self, header: &BatchHeader, error: ProducerError) -> ProducerError {
        let ProducerError::OutOfOrderSequence { producer, expected, found } = error else {
            return error;
        };
        let is_led = self.producers.last_offset(producer).is_some_and(|last| last >= self.start);
        if found < expected || is_led || !self.may_come_again(header) {
            return error;
        }
        ProducerError::Overtaken { producer, expected, found }
    }

    /// Why a batch has to come again that would be its producer's first here, and has not the first number.
    fn overtakes_the_first(&mut self, header: &BatchHeader) -> Option<ProducerError> {
        let (producer, found) = (header.producer_id, header.base_sequence);
        let is_first = header.is_idempotent() && self.producers.producer(producer).is_none();
        let overtakes = is_first && found > 0 && self.may_come_again(header);
        overtakes.then_some(ProducerError::Overtaken { producer, expected: 0, found })
    }

    /// Whether a batch may be refused for having overtaken others, which is to say: was not yet. Takes note that it is.
    fn may_come_again(&mut self, header: &BatchHeader) -> bool {
        let (producer, found) = (header.producer_id, header.base_sequence);
        let is_repeated = self
            .overtaken
            .get(&producer)
            .is_some_and(|(epoch, greatest)| *epoch == header.producer_epoch && found <= *greatest);
        let is_full = self.overtaken.len() >= MAX_OVERTAKEN && !self.overtaken.contains_key(&producer);
        if is_repeated || is_full {
            return false;
        }
        self.overtaken.insert(producer, (header.producer_epoch, found));
        true
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
        self.overtaken.remove(&id);
        let before = self.producers.producer(id).cloned();
        let forgotten = self.producers.record(header);
        self.undo.push(Undo { id, before });
        self.undo.extend(forgotten.map(|(id, producer)| Undo { id, before: Some(producer) }));
    }
}

#[cfg(test)]
mod tests;
