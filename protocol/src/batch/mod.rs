//! The header of a record batch, format version 2 (<https://kafka.apache.org/documentation/#recordbatch>, KIP-98).
//!
//! Everything a broker needs to know of a batch stands in its first 61 bytes; the records behind them stay as the producer
//! sent them.
//!
//! ```text
//! at  0  base offset             i64   the leader's to write ┐
//!     8  batch length            i32   of all that follows   │ outside
//!    12  partition leader epoch  i32   the leader's to write │ the CRC
//!    16  magic                   i8    2                     │
//!    17  CRC-32C                 u32   of bytes 21..         ┘
//!    21  attributes              i16   see `Attributes`
//!    23  last offset delta       i32
//!    27  base timestamp          i64   ms; each record holds its difference to it
//!    35  max timestamp           i64   ms
//!    43  producer id             i64   -1 when the producer is not idempotent
//!    51  producer epoch          i16
//!    53  base sequence           i32
//!    57  record count            i32
//!    61  records, compressed as one piece or not at all
//! ```
//!
//! A parsed header is consistent in what every reader relies on: its length covers the header, its offsets are not
//! negative and do not overflow. Whether the *records* agree with it shows when they are walked or decoded
//! ([`records`](crate::records)).

mod attributes;
mod iterate;
mod stamp;
#[cfg(test)]
mod tests;
mod write;

use bytes::Buf;

pub use self::attributes::{Attributes, Codec, TimestampType, UnknownCodec, UnknownCodecName};
pub use self::iterate::{Batches, batches};
pub use self::stamp::{
    crc_of, stamp_append_time, stamp_base_offset, stamp_leader_epoch, stamp_max_timestamp, stamp_origin,
};
pub use self::write::{AddError, BatchOrigin, BatchWriter, FinishError};
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

/// The length of a batch without its records, in bytes.
pub const HEADER_LEN: usize = 61;
/// The only record format served, that of message format version 2.
pub const MAGIC: i8 = 2;

/// What precedes the part that `batch_length` counts: the base offset and the length itself.
const LENGTH_PREFIX: usize = 12;
const MAGIC_AT: usize = 16;
/// `batch_length` of a batch without any record.
const MIN_BATCH_LENGTH: i32 = 49;
/// How many sequence numbers there are: 0 to [`i32::MAX`].
const SEQUENCES: i64 = 1 << 31;
/// Above it, a batch's last offset might not fit its type.
const MAX_BASE_OFFSET: i64 = i64::MAX - i32::MAX as i64 - 1;

/// A parsed batch header. Made by [`parse`](Self::parse), which see for what holds of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The offset of the first record.
    pub base_offset: Offset,
    /// The bytes that follow this field; see [`total_len`](Self::total_len).
    pub batch_length: u32,
    /// The epoch of the leader that appended the batch; -1 before it is stamped.
    pub partition_leader_epoch: LeaderEpoch,
    /// The CRC-32C of everything behind this field, as the header states it.
    pub crc: u32,
    /// Compression and the other flags.
    pub attributes: Attributes,
    /// The last record's offset, counted from the base offset.
    pub last_offset_delta: u32,
    /// What the records' timestamps are counted from.
    pub base_timestamp: TimestampMs,
    /// The greatest timestamp of the records, or the append time; -1 when there is none.
    pub max_timestamp: TimestampMs,
    /// The idempotent producer, or -1.
    pub producer_id: ProducerId,
    /// The producer's epoch, or -1.
    pub producer_epoch: ProducerEpoch,
    /// The sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// The number of records, as the header states it.
    pub record_count: i32,
}

/// Why bytes are not the beginning of a record batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes end before the batch does.
    #[error("a record batch needs {needed} bytes and {available} are left")]
    Truncated {
        /// The bytes needed, counted from the batch's start.
        needed: usize,
        /// The bytes there are.
        available: usize,
    },
    /// A format other than [`MAGIC`]: 0 and 1 are those of clients before Kafka 0.11.
    #[error("record format (magic) {0} is not supported, only {MAGIC}")]
    UnsupportedMagic(i8),
    /// A stated length that cannot hold a header.
    #[error("batch length {0} is below that of an empty batch, {MIN_BATCH_LENGTH}")]
    InvalidLength(i32),
    /// Offsets that no partition can hold.
    #[error("base offset {base_offset} with last offset delta {last_offset_delta} is no range of offsets")]
    InvalidOffsets {
        /// The stated base offset.
        base_offset: i64,
        /// The stated difference to the last offset.
        last_offset_delta: i32,
    },
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`. The records need not be there: see [`batches`] for walking whole batches.
    ///
    /// Of a header returned it holds that `batch_length` covers at least the header, and that `base_offset` and
    /// [`last_offset`](Self::last_offset) are neither negative nor near overflow.
    ///
    /// # Errors
    ///
    /// As [`BatchError`] says. The magic is looked at first, as an older format has a shorter header.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        if let Some(&magic) = bytes.get(MAGIC_AT) {
            let magic = i8::from_be_bytes([magic]);
            if magic != MAGIC {
                return Err(BatchError::UnsupportedMagic(magic));
            }
        }
        let Some(mut fields) = bytes.get(..HEADER_LEN) else {
            return Err(BatchError::Truncated { needed: HEADER_LEN, available: bytes.len() });
        };
        let base_offset = fields.get_i64();
        let batch_length = fields.get_i32();
        let partition_leader_epoch = LeaderEpoch(fields.get_i32());
        fields.advance(1); // The magic, checked above.
        let crc = fields.get_u32();
        let attributes = Attributes(fields.get_i16());
        let last_offset_delta = fields.get_i32();
        if batch_length < MIN_BATCH_LENGTH {
            return Err(BatchError::InvalidLength(batch_length));
        }
        let offsets = BatchError::InvalidOffsets { base_offset, last_offset_delta };
        if !(0..=MAX_BASE_OFFSET).contains(&base_offset) {
            return Err(offsets);
        }
        Ok(Self {
            base_offset: Offset(base_offset),
            batch_length: u32::try_from(batch_length).map_err(|_| BatchError::InvalidLength(batch_length))?,
            partition_leader_epoch,
            crc,
            attributes,
            last_offset_delta: u32::try_from(last_offset_delta).map_err(|_| offsets)?,
            base_timestamp: TimestampMs(fields.get_i64()),
            max_timestamp: TimestampMs(fields.get_i64()),
            producer_id: ProducerId(fields.get_i64()),
            producer_epoch: ProducerEpoch(fields.get_i16()),
            base_sequence: fields.get_i32(),
            record_count: fields.get_i32(),
        })
    }

    /// The whole batch's length in bytes, header included.
    #[must_use]
    pub const fn total_len(&self) -> usize {
        LENGTH_PREFIX + self.batch_length as usize
    }

    /// The offset of the last record.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        self.base_offset.plus(i64::from(self.last_offset_delta))
    }

    /// The offset of whatever follows this batch.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.last_offset().plus(1)
    }

    /// Whether an idempotent producer sent the batch, so that its sequence numbers count (KIP-98).
    #[must_use]
    pub const fn is_idempotent(&self) -> bool {
        self.producer_id.0 >= 0
    }

    /// The sequence number of the last record. After [`i32::MAX`] comes 0. Of meaning only when
    /// [`is_idempotent`](Self::is_idempotent).
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        let last = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        i32::try_from(last.rem_euclid(SEQUENCES)).expect("a remainder is below its divisor")
    }
}
