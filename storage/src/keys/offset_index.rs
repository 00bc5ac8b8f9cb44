//! From a Kafka offset to the Raft entry that holds it.
//!
//! One row a Raft entry that holds record batches, written when the entry is applied. The DESIGN's first thought was a
//! row a batch; an entry's batches are consecutive, so the batch inside it is found by walking their 61-byte headers,
//! and the store keeps far fewer keys.
//!
//! Timestamps of records need not rise with their offsets, so a row carries the *running maximum* of the partition up
//! to and including its entry. That one does rise, which makes "the first offset at or after this time" a binary
//! search. So do the bytes of all entries up to and including this one, which answers "how much lies behind this offset"
//! in the same way, whatever was removed before it.

use super::{Family, RowReader};
use crate::ids::{Offset, RaftGroupId, RaftIndex};

/// Where the records of one Raft entry are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetIndexRow {
    /// The offset of the entry's first record.
    pub base_offset: Offset,
    /// The offset of its last one.
    pub last_offset: Offset,
    /// The entry.
    pub raft_index: RaftIndex,
    /// The greatest record timestamp of the partition up to and including this entry, in milliseconds since 1970.
    pub max_timestamp_so_far: i64,
    /// The bytes of all the partition's record batches up to and including this entry's, from the first one ever.
    pub bytes_so_far: u64,
}

/// The key of the row whose entry begins at `base`.
pub(crate) fn key(group: RaftGroupId, base: Offset) -> [u8; 17] {
    let mut key = [0; 17];
    key[..9].copy_from_slice(&Family::OffsetIndex.group_prefix(group));
    key[9..].copy_from_slice(&(base.0 ^ i64::MIN).to_be_bytes());
    key
}

/// The group and base offset of a row's key; `None` for any other key.
pub(crate) fn decode_key(key: &[u8]) -> Option<(RaftGroupId, Offset)> {
    let group = Family::OffsetIndex.group_of(key)?;
    let base: [u8; 8] = key.get(9..)?.try_into().ok()?;
    Some((group, Offset(i64::from_be_bytes(base) ^ i64::MIN)))
}

impl OffsetIndexRow {
    /// The row's bytes; the base offset stands in the key.
    pub(crate) fn encode(&self) -> [u8; 32] {
        let mut row = [0; 32];
        row[..8].copy_from_slice(&self.last_offset.0.to_be_bytes());
        row[8..16].copy_from_slice(&self.raft_index.0.to_be_bytes());
        row[16..24].copy_from_slice(&self.max_timestamp_so_far.to_be_bytes());
        row[24..].copy_from_slice(&self.bytes_so_far.to_be_bytes());
        row
    }

    /// The row at `base_offset`, or `None` when the bytes are none.
    pub(crate) fn decode(base_offset: Offset, row: &[u8]) -> Option<Self> {
        let mut row = RowReader::new(row);
        let decoded = Self {
            base_offset,
            last_offset: Offset(row.i64()?),
            raft_index: RaftIndex(row.u64()?),
            max_timestamp_so_far: row.i64()?,
            bytes_so_far: row.u64()?,
        };
        row.end(decoded)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_round_trip_and_keep_order(a: (u64, i64), b: (u64, i64)) {
            let key_of = |(group, base): (u64, i64)| key(RaftGroupId(group), Offset(base));
            prop_assert_eq!(decode_key(&key_of(a)), Some((RaftGroupId(a.0), Offset(a.1))));
            prop_assert_eq!(key_of(a).cmp(&key_of(b)), a.cmp(&b));
        }

        #[test]
        fn rows_round_trip(base: i64, last: i64, raft_index: u64, timestamp: i64, bytes: u64) {
            let row = OffsetIndexRow {
                base_offset: Offset(base),
                last_offset: Offset(last),
                raft_index: RaftIndex(raft_index),
                max_timestamp_so_far: timestamp,
                bytes_so_far: bytes,
            };
            prop_assert_eq!(OffsetIndexRow::decode(Offset(base), &row.encode()), Some(row));
        }

        #[test]
        fn any_bytes_decode_or_not(bytes: Vec<u8>) {
            let _ = decode_key(&bytes);
            let _ = OffsetIndexRow::decode(Offset(0), &bytes);
        }
    }
}
