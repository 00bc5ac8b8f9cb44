//! Walking the records inside a batch without building any of them.
//!
//! A walk reads the few numbers of a record and skips its key, value and headers, so that in an uncompressed batch most
//! bytes are never looked at, and in a compressed one they only pass through a fixed buffer. It proves that each record fills
//! its stated length exactly, that offset deltas count up from 0, and that nothing is left when the last record ends: what any
//! client needs to be able to read the batch.
//!
//! Left out on purpose: what keys, values and headers *contain*. Header keys should be UTF-8, but Kafka's brokers do not
//! look, and a header may repeat.

use std::ops::ControlFlow;

use super::source::{DecompressedSource, RecordSource, SliceSource};
use super::varint;
use crate::batch::{BatchHeader, HEADER_LEN, UnknownCodec};
use crate::compression::Decompressor;

/// The most that the records of one batch may decompress to, in bytes. Kafka has no such bound; here it keeps a few
/// kilobytes from occupying a core for minutes. A batch of the default `max.message.bytes` may still be compressed 128 to 1.
pub const MAX_DECOMPRESSED_BYTES: u64 = 128 << 20;

/// What a walk tells of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkedRecord {
    /// The record's offset, counted from the batch's base offset.
    pub offset_delta: u32,
    /// The record's timestamp, counted from the batch's base timestamp, in milliseconds.
    pub timestamp_delta: i64,
    /// Whether the record has a key. An empty key is one.
    pub has_key: bool,
}

/// Why the records of a batch cannot be walked.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// The header names a codec that does not exist.
    #[error(transparent)]
    UnknownCodec(#[from] UnknownCodec),
    /// The bytes end in the middle of a record, or before the last.
    #[error("the records end too soon")]
    Truncated,
    /// Something follows the last record.
    #[error("there is data behind the last record")]
    TrailingData,
    /// A varint has more bytes or bits than its type.
    #[error("a varint is too long")]
    VarintTooLong,
    /// A length or count is negative where there is no null.
    #[error("a length of {0} makes no sense")]
    InvalidLength(i32),
    /// A key, a value or a header reaches beyond the end of its record.
    #[error("a field reaches beyond its record")]
    FieldTooLong,
    /// A record's fields do not add up to its stated length.
    #[error("a record's fields do not fill its stated length")]
    LengthMismatch,
    /// A record has more headers than a consumer takes.
    #[error("a record has {0} headers")]
    TooManyHeaders(u64),
    /// Records are not numbered 0, 1, 2 and so on.
    #[error("record {expected} has offset delta {found}")]
    OffsetDelta {
        /// The record's position in the batch.
        expected: u32,
        /// The delta that it states.
        found: i32,
    },
    /// The compressed data is not what its codec writes.
    #[error("the records cannot be decompressed: {0}")]
    Decompression(#[from] std::io::Error),
    /// The records decompress to more than [`MAX_DECOMPRESSED_BYTES`].
    #[error("the records decompress to more than {MAX_DECOMPRESSED_BYTES} bytes")]
    DecompressedTooLarge,
}

/// Walks the records of one whole batch, in order, until all are seen or `visit` breaks.
///
/// Memory is bounded whatever the data claims: a fixed buffer, plus what the codec needs, which is at most 128 MiB and
/// only for data that really decompresses to that much.
///
/// # Errors
///
/// As [`WalkError`] says. The records behind one at which `visit` breaks are not looked at.
///
/// # Panics
///
/// When `batch` is shorter than a header.
pub fn walk_records(
    header: &BatchHeader,
    batch: &[u8],
    visit: impl FnMut(WalkedRecord) -> ControlFlow<()>,
) -> Result<(), WalkError> {
    let records = &batch[HEADER_LEN..];
    let count =
        u32::try_from(header.record_count).map_err(|_| WalkError::InvalidLength(header.record_count))?;
    let max = usize::try_from(MAX_DECOMPRESSED_BYTES).unwrap_or(usize::MAX);
    match Decompressor::new(header.attributes.codec()?, records, max)? {
        Some(decompressor) => walk(&mut DecompressedSource::new(decompressor), count, visit),
        None => walk(&mut SliceSource::new(records), count, visit),
    }
}

fn walk<S: RecordSource>(
    source: &mut S,
    count: u32,
    mut visit: impl FnMut(WalkedRecord) -> ControlFlow<()>,
) -> Result<(), WalkError> {
    for position in 0..count {
        let record = walk_record(source, position)?;
        if visit(record).is_break() {
            return Ok(());
        }
    }
    source.expect_end()
}

fn walk_record<S: RecordSource>(source: &mut S, position: u32) -> Result<WalkedRecord, WalkError> {
    let length = non_negative(varint::read_i32(source)?)?;
    let end = source.position() + length;
    source.next_byte()?; // The attributes, in which no bit has a meaning yet.
    let timestamp_delta = varint::read_i64(source)?;
    let offset_delta = varint::read_i32(source)?;
    if i64::from(offset_delta) != i64::from(position) {
        return Err(WalkError::OffsetDelta { expected: position, found: offset_delta });
    }
    let has_key = skip_nullable(source, end)?;
    skip_nullable(source, end)?;
    let headers = non_negative(varint::read_i32(source)?)?;
    for _ in 0..headers {
        let key = non_negative(varint::read_i32(source)?)?;
        skip_within(source, key, end)?;
        skip_nullable(source, end)?;
    }
    if source.position() != end {
        return Err(WalkError::LengthMismatch);
    }
    Ok(WalkedRecord { offset_delta: position, timestamp_delta, has_key })
}

/// Skips a key or a value, which may be null. Returns whether it is there.
#[inline]
fn skip_nullable<S: RecordSource>(source: &mut S, end: u64) -> Result<bool, WalkError> {
    match varint::read_i32(source)? {
        -1 => Ok(false),
        length => skip_within(source, non_negative(length)?, end).map(|()| true),
    }
}

#[inline]
fn skip_within<S: RecordSource>(source: &mut S, length: u64, end: u64) -> Result<(), WalkError> {
    if source.position() + length > end {
        return Err(WalkError::FieldTooLong);
    }
    source.skip(length)
}

#[inline]
pub(super) fn non_negative(length: i32) -> Result<u64, WalkError> {
    u64::try_from(length).map_err(|_| WalkError::InvalidLength(length))
}

#[cfg(test)]
mod tests;
