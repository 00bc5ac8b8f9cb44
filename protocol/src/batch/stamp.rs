//! Fields of a batch that change after it was written, in place: those that are the leader's, and a producer's identity.
//!
//! Base offset and leader epoch lie before the part that the CRC covers, so that stamping them costs nothing more. The
//! other functions compute the CRC anew, which is one pass over the batch.
//!
//! Each takes the bytes of one whole batch and panics when they are too few to hold a header.

use super::{Attributes, HEADER_LEN};
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

const BASE_OFFSET_AT: usize = 0;
const LEADER_EPOCH_AT: usize = 12;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const MAX_TIMESTAMP_AT: usize = 35;
const PRODUCER_ID_AT: usize = 43;
const PRODUCER_EPOCH_AT: usize = 51;
const BASE_SEQUENCE_AT: usize = 53;

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
    stamp_crc(batch);
}

/// Gives the batch another producer id, epoch and first sequence number, as a producer does that was given a new epoch before it
/// sends the batch again (KIP-360).
///
/// # Panics
///
/// When `batch` is shorter than a header.
pub fn stamp_origin(batch: &mut [u8], id: ProducerId, epoch: ProducerEpoch, base_sequence: i32) {
    write_at(batch, PRODUCER_ID_AT, &id.0.to_be_bytes());
    write_at(batch, PRODUCER_EPOCH_AT, &epoch.0.to_be_bytes());
    write_at(batch, BASE_SEQUENCE_AT, &base_sequence.to_be_bytes());
    stamp_crc(batch);
}

/// Makes the CRC that of the bytes.
fn stamp_crc(batch: &mut [u8]) {
    let crc = crc_of(batch);
    write_at(batch, CRC_AT, &crc.to_be_bytes());
}

/// Makes the CRC in `header` that of a batch whose records stand elsewhere.
pub(super) fn stamp_crc_of_parts(header: &mut [u8], records: &[u8]) {
    let crc = crc32c::crc32c_append(crc_of(header), records);
    write_at(header, CRC_AT, &crc.to_be_bytes());
}

fn write_at(batch: &mut [u8], at: usize, bytes: &[u8]) {
    assert!(batch.len() >= HEADER_LEN, "only a whole batch is stamped");
    batch[at..at + bytes.len()].copy_from_slice(bytes);
}
