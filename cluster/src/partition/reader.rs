//! Which part of a payload answers a fetch, and which record answers a question for a timestamp.
//!
//! A consumer gets whole batches, and the first is the one that *contains* the offset asked for; it skips what lies before.
//! The batches of a payload lie one behind the other, so the answer is always one slice of it. It is copied only where it would
//! keep a payload in memory that is much longer than itself.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::payload::batches_of_entry;
use super::record_check::RecordError;
use crate::ids::{LeaderEpoch, Offset, TimestampMs};
use trilog_protocol::batch::{BatchError, BatchHeader, TimestampType};
use trilog_protocol::records::walk_records;

/// A slice of less than this part of its payload is copied: whoever counts what answers hold counts the slice.
const COPIED_PART: usize = 4;

/// The part of a payload that a fetch gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchSlice {
    /// Whole batches; empty if the payload ends before the offset, or nothing fits.
    pub bytes: Bytes,
    /// Where to go on: the offset after the last batch in `bytes`, or the offset asked for if that is empty.
    pub next_offset: Offset,
    /// Whether a batch was left out because it did not fit.
    pub limit_reached: bool,
}

/// A record found by its timestamp, as ListOffsets reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampedOffset {
    /// The record's offset.
    pub offset: Offset,
    /// The record's timestamp.
    pub timestamp: TimestampMs,
    /// The leader epoch it was written in.
    pub leader_epoch: LeaderEpoch,
}

/// Slices `payload` for a fetch from `start` on, to at most `max_bytes`.
///
/// With `at_least_one` the first batch is included even if it is longer: a consumer must never be stuck before a batch
/// that is larger than what it asked for (KIP-74).
///
/// # Errors
///
/// When the payload is damaged.
pub fn slice_for_fetch(
    payload: &Bytes,
    start: Offset,
    max_bytes: usize,
    at_least_one: bool,
) -> Result<FetchSlice, BatchError> {
    let mut position = 0;
    let mut slice = 0..0;
    let mut next_offset = start;
    let mut limit_reached = false;
    for batch in batches_of_entry(payload) {
        let (header, _) = batch?;
        let end = position + header.total_len();
        if header.last_offset() >= start {
            if slice.is_empty() {
                slice = position..position;
            }
            let forced = slice.is_empty() && at_least_one;
            if end - slice.start > max_bytes && !forced {
                limit_reached = true;
                break;
            }
            slice.end = end;
            next_offset = header.next_offset();
        }
        position = end;
    }
    let is_small_part = slice.len() < payload.len() / COPIED_PART;
    let bytes = if is_small_part { Bytes::copy_from_slice(&payload[slice]) } else { payload.slice(slice) };
    Ok(FetchSlice { bytes, next_offset, limit_reached })
}

/// The first record at or behind `from` whose timestamp is at least `timestamp`, if the payload has one.
///
/// Only the batch that can hold it is walked, and decompressed in bounded memory.
///
/// # Errors
///
/// When the payload is damaged.
pub fn offset_for_timestamp(
    payload: &Bytes,
    from: Offset,
    timestamp: TimestampMs,
) -> Result<Option<TimestampedOffset>, RecordError> {
    for batch in batches_of_entry(payload) {
        let (header, bytes) = batch?;
        if header.last_offset() < from || header.max_timestamp < timestamp {
            continue;
        }
        let found = first_record(&header, &bytes, |offset, found| offset >= from && found >= timestamp)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The first of the records at or behind `from` that has the greatest timestamp among them, unless none has a timestamp
/// (KIP-734).
///
/// Of the batches wholly behind `from`, headers tell which one it may be in; the one that `from` lies in is walked.
///
/// # Errors
///
/// When the payload is damaged.
pub fn offset_of_max_timestamp(
    payload: &Bytes,
    from: Offset,
) -> Result<Option<TimestampedOffset>, RecordError> {
    let mut greatest: Option<(BatchHeader, Bytes)> = None;
    let mut cut = None;
    for batch in batches_of_entry(payload) {
        let (header, bytes) = batch?;
        if header.base_offset < from {
            cut = if header.last_offset() < from { None } else { greatest_of_rest(&header, &bytes, from)? };
            continue;
        }
        let best = greatest.as_ref().map_or(TimestampMs(-1), |(best, _)| best.max_timestamp);
        if header.max_timestamp > best {
            greatest = Some((header, bytes));
        }
    }
    let whole = match greatest {
        Some((header, bytes)) => {
            first_record(&header, &bytes, |_, timestamp| timestamp >= header.max_timestamp)?
        }
        None => None,
    };
    Ok(match (cut, whole) {
        (Some(cut), Some(whole)) if whole.timestamp > cut.timestamp => Some(whole),
        (cut, whole) => cut.or(whole),
    })
}

/// The first of a batch's records at or behind `from` that has the greatest timestamp among them.
fn greatest_of_rest(
    header: &BatchHeader,
    batch: &Bytes,
    from: Offset,
) -> Result<Option<TimestampedOffset>, RecordError> {
    let mut greatest = TimestampMs(-1);
    let mut at = from;
    first_record(header, batch, |offset, timestamp| {
        if offset >= from && timestamp > greatest {
            (greatest, at) = (timestamp, offset);
        }
        false
    })?;
    if greatest < TimestampMs(0) {
        return Ok(None);
    }
    first_record(header, batch, |offset, _| offset == at)
}

/// The batch's first record that `wanted` accepts by its offset and timestamp.
fn first_record(
    header: &BatchHeader,
    batch: &Bytes,
    mut wanted: impl FnMut(Offset, TimestampMs) -> bool,
) -> Result<Option<TimestampedOffset>, RecordError> {
    let append_time = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
    let mut found = None;
    walk_records(header, batch, |record| {
        let offset = header.base_offset.plus(i64::from(record.offset_delta));
        let own = TimestampMs(header.base_timestamp.0.saturating_add(record.timestamp_delta));
        let timestamp = if append_time { header.max_timestamp } else { own };
        if wanted(offset, timestamp) {
            found =
                Some(TimestampedOffset { offset, timestamp, leader_epoch: header.partition_leader_epoch });
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests;
