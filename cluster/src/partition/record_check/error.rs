//! Why a produced record set is refused, sorted by the error code that the producer is sent.

use crate::ids::{Offset, ProducerEpoch, TimestampMs};
use trilog_protocol::batch::BatchError;
use trilog_protocol::records::{MAX_DECOMPRESSED_BYTES, WalkError};

/// A refused record set. Each variant is one of Kafka's error codes; what it holds says what was wrong.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// `CORRUPT_MESSAGE` (2): the bytes are not what their producer meant to send, and producers send the batch again.
    #[error("corrupt record set: {0}")]
    CorruptMessage(#[from] Corruption),
    /// `INVALID_RECORD` (87): it cannot be read, however often it is sent.
    #[error("unreadable record set: {0}")]
    Unreadable(#[from] Unreadable),
    /// `MESSAGE_TOO_LARGE` (10). Producers answer it by splitting the batch.
    #[error("record set too large: {0}")]
    MessageTooLarge(#[from] SizeLimit),
    /// `INVALID_TIMESTAMP` (32), of the whole batch.
    #[error("invalid timestamp: {0}")]
    InvalidTimestamp(TimestampReason),
    /// Single records are refused, and the batch with them: `INVALID_TIMESTAMP` (32) if one of them has such a timestamp, else
    /// `INVALID_RECORD` (87).
    #[error("{0}")]
    Records(#[from] RecordFaults),
    /// `UNSUPPORTED_COMPRESSION_TYPE` (76): a codec number that is unknown, or that the request's version does not know.
    #[error("compression codec {0} is not supported here")]
    UnsupportedCompressionType(i16),
    /// `INVALID_RECORD` (87): well-formed, and yet nothing a producer may write.
    #[error("invalid record set: {0}")]
    InvalidRecord(#[from] InvalidReason),
    /// `INVALID_TXN_STATE` (48): a transactional batch. There are no transactions yet, so it belongs to none.
    #[error("the batch is transactional and no transaction is open")]
    InvalidTxnState,
}

/// How a record set is corrupt.
#[derive(Debug, thiserror::Error)]
pub enum Corruption {
    /// The header makes no sense.
    #[error("{0}")]
    Header(BatchError),
    /// The CRC does not match.
    #[error("its CRC is {computed:#010x} and not {stated:#010x} as stated")]
    Crc {
        /// The CRC in the header.
        stated: u32,
        /// The CRC of the bytes received.
        computed: u32,
    },
}

/// Why a record set cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The batch is cut off.
    #[error("{0}")]
    CutOff(BatchError),
    /// Its bytes are no records, or not as many as it counts.
    #[error("{0}")]
    Records(WalkError),
}

/// Which size is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeLimit {
    /// The batch as sent.
    #[error("the batch is {length} bytes long and max.message.bytes is {max}")]
    Batch {
        /// The batch's length in bytes.
        length: usize,
        /// The limit.
        max: usize,
    },
    /// The records once decompressed.
    #[error("the records decompress to more than {MAX_DECOMPRESSED_BYTES} bytes")]
    Decompressed,
}

/// Which timestamp is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimestampReason {
    /// Only a leader may set this type.
    #[error("a producer must not set the timestamp type to LogAppendTime")]
    LogAppendTime,
    /// Outside what `message.timestamp.before.max.ms` and `message.timestamp.after.max.ms` allow (KIP-937).
    #[error("timestamp {} is not within {} and {}", timestamp.0, earliest.0, latest.0)]
    OutOfRange {
        /// The record's timestamp.
        timestamp: TimestampMs,
        /// The earliest one allowed.
        earliest: TimestampMs,
        /// The latest one allowed.
        latest: TimestampMs,
    },
    /// Base timestamp and delta are no timestamp together.
    #[error("a record's timestamp exceeds 64 bits")]
    Overflow,
}

/// A record that keeps its batch from being appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordFault {
    /// The record's position in the batch, from 0.
    pub index: u32,
    /// What is wrong with it.
    pub reason: RecordReason,
}

/// Why a single record is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordReason {
    /// In a compacted topic a later record replaces an earlier one with the same key.
    #[error("it has no key, which a topic with cleanup.policy=compact needs")]
    NoKey,
    /// Its timestamp is refused.
    #[error("{0}")]
    Timestamp(#[from] TimestampReason),
}

/// The refused records of a batch: at least one, in their order, and not more than were to be named.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.summary())]
pub struct RecordFaults(Vec<RecordFault>);

impl RecordFaults {
    pub(super) fn of(faults: Vec<RecordFault>) -> Option<Self> {
        (!faults.is_empty()).then_some(Self(faults))
    }

    /// Whether a timestamp is among the reasons.
    #[must_use]
    pub fn have_timestamp(&self) -> bool {
        self.0.iter().any(|fault| matches!(fault.reason, RecordReason::Timestamp(_)))
    }

    /// The records.
    #[must_use]
    pub fn into_vec(self) -> Vec<RecordFault> {
        self.0
    }

    fn summary(&self) -> String {
        let first = self.0.first().map(|first| format!("record {}: {}", first.index, first.reason));
        let first = first.unwrap_or_default();
        match self.0.len() {
            1 => format!("the batch is refused for {first}"),
            count => format!("the batch is refused for {count} or more of its records; {first}"),
        }
    }
}

/// Which rule for producers is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReason {
    /// Nothing was sent.
    #[error("it holds no batch")]
    NoBatch,
    /// The formats of clients before Kafka 0.11, which Produce carries below version 3 alone.
    #[error("record format (magic) {0} is not supported, only 2")]
    Format(i8),
    /// Something follows the first batch.
    #[error("it must be exactly one batch")]
    MoreThanOneBatch,
    /// A producer counts offsets from 0.
    #[error("the base offset is {0} and should be 0")]
    BaseOffset(Offset),
    /// The offsets are no range.
    #[error("{0}")]
    Offsets(BatchError),
    /// A batch has at least one record, and consecutive offsets.
    #[error("{record_count} records do not fit a last offset delta of {last_offset_delta}")]
    RecordCount {
        /// The stated number of records.
        record_count: i32,
        /// The stated difference between last and first offset.
        last_offset_delta: u32,
    },
    /// Control batches are for brokers to write.
    #[error("clients must not write control batches")]
    ControlBatch,
    /// An idempotent producer numbers its batches (KIP-98).
    #[error("a producer id needs a sequence and an epoch of at least 0, not {base_sequence} and {}", epoch.0)]
    Sequence {
        /// The stated base sequence.
        base_sequence: i32,
        /// The stated epoch.
        epoch: ProducerEpoch,
    },
}
