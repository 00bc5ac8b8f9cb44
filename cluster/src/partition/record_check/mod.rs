//! What a leader demands of a produced record set before it proposes it.
//!
//! Applying an entry never fails, so whatever is wrong with a batch has to be found here, once, by the leader. The rules
//! are those of Kafka's `LogValidator` and `UnifiedLog`, with their error codes, and a little stricter where Kafka stores
//! something that some client could not read back. Nothing is re-encoded: a batch that passes is stored as it came.
//!
//! The cost for the usual, uncompressed batch is one pass for the CRC and one short walk over its records.

mod error;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

use bytes::Bytes;

pub use self::error::{
    Corruption, InvalidReason, RecordError, RecordFault, RecordFaults, RecordReason, SizeLimit,
    TimestampReason, Unreadable,
};
use crate::ids::{Offset, TimestampMs};
use trilog_protocol::batch::{BatchError, BatchHeader, Codec, TimestampType, crc_of};
use trilog_protocol::records::{WalkError, WalkedRecord, walk_records};

/// What a topic and a request allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordLimits {
    /// `max.message.bytes`: the longest batch, in bytes, compressed and with its header.
    pub max_batch_bytes: usize,
    /// The earliest timestamp of a record: the present less `message.timestamp.before.max.ms`.
    pub earliest_timestamp: TimestampMs,
    /// The latest timestamp of a record: the present plus `message.timestamp.after.max.ms`.
    pub latest_timestamp: TimestampMs,
    /// Whether the request's version knows zstd: Produce from version 7 (KIP-110).
    pub zstd_allowed: bool,
    /// Whether each record needs a key: `cleanup.policy` has `compact`.
    pub keys_required: bool,
    /// How many records of one batch are named at most when records are refused. The first one always is.
    pub max_faults: usize,
}

impl RecordLimits {
    /// Limits that leave only the size bounded, as for a topic with `LogAppendTime`.
    #[must_use]
    pub const fn of_size(max_batch_bytes: usize) -> Self {
        Self {
            max_batch_bytes,
            earliest_timestamp: TimestampMs(i64::MIN),
            latest_timestamp: TimestampMs(i64::MAX),
            zstd_allowed: true,
            keys_required: false,
            max_faults: MAX_FAULTS,
        }
    }
}

/// A batch that a leader may append. Only [`check_record_set`] makes one.
#[derive(Clone, Debug)]
pub struct CheckedBatch {
    header: BatchHeader,
    max_timestamp: TimestampMs,
    bytes: Bytes,
}

impl CheckedBatch {
    /// The header as the producer sent it.
    #[must_use]
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The greatest timestamp of the records themselves, whatever the header says.
    #[must_use]
    pub const fn max_timestamp(&self) -> TimestampMs {
        self.max_timestamp
    }

    /// The whole batch as the producer sent it.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// How many refused records one request names at most, of all its batches.
pub const MAX_FAULTS: usize = 1000;

/// A record's timestamp when its producer gave none.
const NO_TIMESTAMP: i64 = -1;

/// Checks what a producer sent for one partition. A record set is exactly one batch in every version of Produce served
/// (3 and later).
///
/// # Errors
///
/// The variants of [`RecordError`] are Kafka's error codes; see there for what each covers.
pub fn check_record_set(records: Bytes, limits: &RecordLimits) -> Result<CheckedBatch, RecordError> {
    if records.is_empty() {
        return Err(InvalidReason::NoBatch.into());
    }
    let header = BatchHeader::parse(&records)?;
    check_length(&header, records.len(), limits)?;
    let crc = crc_of(&records);
    if crc != header.crc {
        return Err(Corruption::Crc { stated: header.crc, computed: crc }.into());
    }
    check_header(&header, limits)?;
    let max_timestamp = check_records(&header, &records, limits)?;
    Ok(CheckedBatch { header, max_timestamp, bytes: records })
}

fn check_length(header: &BatchHeader, available: usize, limits: &RecordLimits) -> Result<(), RecordError> {
    let length = header.total_len();
    if length > available {
        return Err(BatchError::Truncated { needed: length, available }.into());
    }
    if length < available {
        return Err(InvalidReason::MoreThanOneBatch.into());
    }
    if length > limits.max_batch_bytes {
        return Err(SizeLimit::Batch { length, max: limits.max_batch_bytes }.into());
    }
    Ok(())
}

/// The rules that need only the header.
fn check_header(header: &BatchHeader, limits: &RecordLimits) -> Result<(), RecordError> {
    if header.base_offset != Offset(0) {
        return Err(InvalidReason::BaseOffset(header.base_offset).into());
    }
    let BatchHeader { record_count, last_offset_delta, .. } = *header;
    if record_count <= 0 || i64::from(record_count) != i64::from(last_offset_delta) + 1 {
        return Err(InvalidReason::RecordCount { record_count, last_offset_delta }.into());
    }
    let codec =
        header.attributes.codec().map_err(|unknown| RecordError::UnsupportedCompressionType(unknown.0))?;
    if codec == Codec::Zstd && !limits.zstd_allowed {
        return Err(RecordError::UnsupportedCompressionType(ZSTD));
    }
    if header.attributes.is_control() {
        return Err(InvalidReason::ControlBatch.into());
    }
    if header.attributes.is_transactional() {
        return Err(RecordError::InvalidTxnState);
    }
    if header.attributes.timestamp_type() == TimestampType::LogAppendTime {
        return Err(RecordError::InvalidTimestamp(TimestampReason::LogAppendTime));
    }
    let numbered = header.base_sequence >= 0 && header.producer_epoch.0 >= 0;
    if header.is_idempotent() && !numbered {
        return Err(InvalidReason::Sequence {
            base_sequence: header.base_sequence,
            epoch: header.producer_epoch,
        }
        .into());
    }
    Ok(())
}

/// The number of [`Codec::Zstd`] in the attributes, for the error that names it.
const ZSTD: i16 = 4;

/// Walks the records and returns the greatest timestamp among them, -1 when none has any. Once as many records are refused
/// as may be named, the walk ends.
fn check_records(
    header: &BatchHeader,
    batch: &[u8],
    limits: &RecordLimits,
) -> Result<TimestampMs, RecordError> {
    let mut max_timestamp = NO_TIMESTAMP;
    let mut faults = Vec::new();
    walk_records(header, batch, |record| {
        match check_record(header, record, limits) {
            Ok(timestamp) => max_timestamp = max_timestamp.max(timestamp),
            Err(reason) => faults.push(RecordFault { index: record.offset_delta, reason }),
        }
        let is_full = !faults.is_empty() && faults.len() >= limits.max_faults;
        if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    RecordFaults::of(faults).map_or(Ok(TimestampMs(max_timestamp)), |faults| Err(faults.into()))
}

/// Checks one record and returns its timestamp.
fn check_record(
    header: &BatchHeader,
    record: WalkedRecord,
    limits: &RecordLimits,
) -> Result<i64, RecordReason> {
    if limits.keys_required && !record.has_key {
        return Err(RecordReason::NoKey);
    }
    let timestamp = header.base_timestamp.0.checked_add(record.timestamp_delta);
    let timestamp = timestamp.ok_or(TimestampReason::Overflow)?;
    let allowed = limits.earliest_timestamp.0..=limits.latest_timestamp.0;
    if timestamp != NO_TIMESTAMP && !allowed.contains(&timestamp) {
        let (earliest, latest) = (limits.earliest_timestamp, limits.latest_timestamp);
        return Err(
            TimestampReason::OutOfRange { timestamp: TimestampMs(timestamp), earliest, latest }.into()
        );
    }
    Ok(timestamp)
}

impl From<BatchError> for RecordError {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::UnsupportedMagic(magic @ 0..=1) => InvalidReason::Format(magic).into(),
            BatchError::InvalidOffsets { .. } => InvalidReason::Offsets(error).into(),
            BatchError::Truncated { .. } => Unreadable::CutOff(error).into(),
            BatchError::UnsupportedMagic(_) | BatchError::InvalidLength(_) => {
                Corruption::Header(error).into()
            }
        }
    }
}

impl From<WalkError> for RecordError {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::DecompressedTooLarge => SizeLimit::Decompressed.into(),
            WalkError::UnknownCodec(unknown) => Self::UnsupportedCompressionType(unknown.0),
            damage => Unreadable::Records(damage).into(),
        }
    }
}
