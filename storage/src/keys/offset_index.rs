//! From a Kafka offset to the Raft entry that holds it.
//!
//! One row a Raft entry that holds record batches, written when the entry is applied. The DESIGN's first thought was a
//! row a batch; an entry's batches are consecutive, so the batch inside it is found by walking their 61-byte headers,
//! and the store keeps far fewer keys.
//!
//! The bytes of all entries up to and including this one rise from row to row, which makes "how much lies behind this offset" a
//! binary search, whatever was removed before it.
//!
//! Timestamps of records need not rise with their offsets. A running maximum would, but a record that is deleted, and was later
//! than what is left, would stay in it for ever. So a row carries the greatest timestamp of its own entry and of blocks of
//! entries that end with it, as many as its number has: rows are counted, and the row of an odd number has one block, its own
//! entry; the one of number 12 has three, of 1, 2 and 4 entries. On average it is two. [`LogReader`](crate::LogReader)
//! searches them.

use super::{Family, RowReader};
use crate::ids::{Offset, RaftGroupId, RaftIndex};

/// Where the records of one Raft entry are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetIndexRow {
    /// The offset of the entry's first record.
    pub base_offset: Offset,
    /// The offset of its last one.
    pub last_offset: Offset,
    /// The entry.
    pub raft_index: RaftIndex,
    /// The bytes of all the partition's record batches up to and including this entry's, from the first one ever.
    pub bytes_so_far: u64,
    /// Which row of the partition it is, from the first one ever, which is 1.
    pub number: u64,
    /// Of the last 1, 2, 4, … entries up to and including this one, as long as that divides the number.
    pub spans: Vec<IndexSpan>,
}

/// A block of entries that ends with a row's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexSpan {
    /// The greatest record timestamp in it, in milliseconds since 1970; -1 if there is none.
    pub max_timestamp: i64,
    /// The base offset of the row before it; of no meaning where it begins with the first row.
    pub before: Offset,
}

/// How many spans the row of that number has.
const fn spans_of(number: u64) -> u32 {
    number.trailing_zeros() + 1
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
    /// The greatest record timestamp of the entry, in milliseconds since 1970; -1 if there is none.
    #[must_use]
    pub fn max_timestamp(&self) -> i64 {
        self.spans[0].max_timestamp
    }

    /// The row's bytes; the base offset stands in the key.
    ///
    /// # Panics
    ///
    /// When it has another number of spans than it should.
    pub(crate) fn encode(&self) -> Vec<u8> {
        assert_eq!(self.spans.len(), spans_of(self.number) as usize, "row {} has its spans", self.number);
        let mut row = Vec::with_capacity(32 + 16 * self.spans.len());
        row.extend(self.last_offset.0.to_be_bytes());
        row.extend(self.raft_index.0.to_be_bytes());
        row.extend(self.bytes_so_far.to_be_bytes());
        row.extend(self.number.to_be_bytes());
        for span in &self.spans {
            row.extend(span.max_timestamp.to_be_bytes());
            row.extend(span.before.0.to_be_bytes());
        }
        row
    }

    /// The row at `base_offset`, or `None` when the bytes are none.
    pub(crate) fn decode(base_offset: Offset, row: &[u8]) -> Option<Self> {
        let mut row = RowReader::new(row);
        let (last_offset, raft_index) = (Offset(row.i64()?), RaftIndex(row.u64()?));
        let (bytes_so_far, number) = (row.u64()?, row.u64()?);
        if number == 0 {
            return None;
        }
        let span = |_| Some(IndexSpan { max_timestamp: row.i64()?, before: Offset(row.i64()?) });
        let spans = (0..spans_of(number)).map(span).collect::<Option<_>>()?;
        row.end(Self { base_offset, last_offset, raft_index, bytes_so_far, number, spans })
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
        fn rows_round_trip(
            base: i64, last: i64, raft_index: u64, bytes_so_far: u64, number in 1..=u64::MAX, spans: Vec<(i64, i64)>
        ) {
            let spans = spans.into_iter().map(|(max_timestamp, before)| {
                IndexSpan { max_timestamp, before: Offset(before) }
            });
            let none = IndexSpan { max_timestamp: -1, before: Offset(-1) };
            let row = OffsetIndexRow {
                base_offset: Offset(base),
                last_offset: Offset(last),
                raft_index: RaftIndex(raft_index),
                bytes_so_far,
                number,
                spans: spans.chain(std::iter::repeat(none)).take(spans_of(number) as usize).collect(),
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
