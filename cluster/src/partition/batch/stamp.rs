//! The fields of a batch that a leader writes, in place.
//!
//! Base offset and leader epoch lie before the part that the CRC covers, so that stamping them costs nothing more. The
//! two functions that touch a timestamp compute the CRC anew, which is one pass over the batch.
//!
//! Each takes the bytes of one whole batch and panics when they are too few to hold a header.

use super::{Attributes, HEADER_LEN};
use crate::ids::{LeaderEpoch, Offset, TimestampMs};

const BASE_OFFSET_AT: usize = 0;
const LEADER_EPOCH_AT: usize = 12;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const MAX_TIMESTAMP_AT: usize = 35;

/// The CRC-32C of a whole batch's checked part: all that lies behind the CRC field.
///
/// # Panics
///
/// When `batch` is shorter than a header.
#[must_use]
pub fn crc_of(batch: &[u8]) -> u32 {
    crc32c::crc32c(&batch[ATTRIBUTES_AT..])
}

/// Gives the batch its place in the partition.
///
/// # Panics
///
/// When `batch` is shorter than a header.
pub fn stamp_base_offset(batch: &mut [u8], base_offset: Offset) {
    write_at(batch, BASE_OFFSET_AT, &base_offset.0.to_be_bytes());
}

/// Marks the batch as appended under `epoch`.
///
/// # Panics
///
/// When `batch` is shorter than a header.
pub fn stamp_leader_epoch(batch: &mut [u8], epoch: LeaderEpoch) {
    write_at(batch, LEADER_EPOCH_AT, &epoch.0.to_be_bytes());
}

/// Gives every record of the batch the leader's time `now`, as `message.timestamp.type=LogAppendTime` wants. The records'
/// own timestamps stay in the bytes, and consumers look past them.
///
/// # Panics
///
/// When `batch` is shorter than a header.
pub fn stamp_append_time(batch: &mut [u8], now: TimestampMs) {
    let attributes = Attributes(i16::from_be_bytes([batch[ATTRIBUTES_AT], batch[ATTRIBUTES_AT + 1]]));
    write_at(batch, ATTRIBUTES_AT, &attributes.with_log_append_time().0.to_be_bytes());
    stamp_max_timestamp(batch, now);
}

/// Corrects the batch's greatest timestamp. Kafka's leader does so too, as lookups by timestamp trust this field.
///
/// # Panics
///
/// When `batch` is shorter than a header.
pub fn stamp_max_timestamp(batch: &mut [u8], max_timestamp: TimestampMs) {
    write_at(batch, MAX_TIMESTAMP_AT, &max_timestamp.0.to_be_bytes());
    let crc = crc_of(batch);
    write_at(batch, CRC_AT, &crc.to_be_bytes());
}

fn write_at(batch: &mut [u8], at: usize, bytes: &[u8]) {
    assert!(batch.len() >= HEADER_LEN, "only a whole batch is stamped");
    batch[at..at + bytes.len()].copy_from_slice(bytes);
}
