//! State records: what a group's state machine keeps on disk beside its log.
//!
//! A record has a key of any bytes and a value of any length. The value is cut into chunks; chunk 0 begins with the
//! value's length, so a reader knows how many chunks belong to it, and a checksum of the record.
//!
//! The checksums of all records are summed up elsewhere (see [`ProgressRow`](super::meta::ProgressRow)), so that a record
//! which fell back to an earlier value is noticed.
//!
//! The chunk number ends the key and has a fixed width. So no two records share a key in the tree, and the records'
//! first chunks stand in the order of the records' keys, though further chunks of one may stand between them.

use sled::IVec;

use super::{Family, MAX_VALUE_BYTES, RowReader};
use crate::ids::RaftGroupId;

/// Bytes before the value in chunk 0: its length, and the record's checksum.
const HEADER_BYTES: usize = 4 + 4;

/// CRC-32C of a record, its group and key included.
pub(crate) fn checksum(group: RaftGroupId, record: &[u8], value: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&scan_prefix(group, record)), value)
}

/// The key of one chunk of a record.
pub(crate) fn key(group: RaftGroupId, record: &[u8], chunk: u16) -> Vec<u8> {
    let mut key = scan_prefix(group, record);
    key.extend_from_slice(&chunk.to_be_bytes());
    key
}

/// What the keys of all records begin with whose own keys begin with `prefix`.
pub(crate) fn scan_prefix(group: RaftGroupId, prefix: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(9 + prefix.len() + 2);
    key.extend_from_slice(&Family::Record.group_prefix(group));
    key.extend_from_slice(prefix);
    key
}

/// The record's key and the chunk that a key names; `None` for any other key.
pub(crate) fn decode_key(key: &[u8]) -> Option<(RaftGroupId, &[u8], u16)> {
    let group = Family::Record.group_of(key)?;
    let (record, chunk) = key[9..].split_last_chunk()?;
    Some((group, record, u16::from_be_bytes(*chunk)))
}

/// The number of chunks of a value `len` bytes long.
///
/// # Panics
///
/// When the value is longer than 65,535 chunks, which is 4 GiB: more than any state machine hands over at once.
pub(crate) fn chunk_count(len: usize) -> u16 {
    let chunks = (HEADER_BYTES + len).div_ceil(MAX_VALUE_BYTES);
    u16::try_from(chunks).expect("a state record below 4 GiB")
}

/// Cuts a value with this checksum into chunks.
pub(crate) fn chunks(checksum: u32, value: &[u8]) -> impl Iterator<Item = (u16, IVec)> {
    let len = u32::try_from(value.len()).expect("a state record below 4 GiB");
    let (head, rest) = value.split_at(value.len().min(MAX_VALUE_BYTES - HEADER_BYTES));
    let first = [&len.to_be_bytes(), &checksum.to_be_bytes(), head].concat();
    let further = rest.chunks(MAX_VALUE_BYTES).map(IVec::from);
    (0..chunk_count(value.len())).zip(std::iter::once(IVec::from(first)).chain(further))
}

/// What chunk 0 says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct First<'a> {
    /// The whole value's length.
    pub(crate) len: usize,
    /// The record's checksum.
    pub(crate) checksum: u32,
    /// The part of the value that is in this chunk.
    pub(crate) head: &'a [u8],
}

/// Reads chunk 0; `None` when the bytes are none.
pub(crate) fn decode_first(chunk: &[u8]) -> Option<First<'_>> {
    let mut chunk = RowReader::new(chunk);
    let len = usize::try_from(chunk.u32()?).ok()?;
    let checksum = chunk.u32()?;
    Some(First { len, checksum, head: chunk.rest() }).filter(|first| first.head.len() <= len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_round_trip(group: u64, record: Vec<u8>, chunk: u16) {
            let encoded = key(RaftGroupId(group), &record, chunk);
            prop_assert_eq!(decode_key(&encoded), Some((RaftGroupId(group), record.as_slice(), chunk)));
        }

        #[test]
        fn first_chunks_keep_the_order_of_records(
            a in (any::<u64>(), prop::collection::vec(0_u8..3, 0..5)),
            b in (any::<u64>(), prop::collection::vec(0_u8..3, 0..5)),
        ) {
            let key_of = |(group, record): &(u64, Vec<u8>)| key(RaftGroupId(*group), record, 0);
            prop_assert_eq!(key_of(&a).cmp(&key_of(&b)), a.cmp(&b));
        }

        #[test]
        fn values_round_trip(len in prop_oneof![0..200_usize, 16_300..16_500_usize, 32_700..32_800_usize]) {
            let value: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
            let chunks: Vec<_> = chunks(7, &value).collect();
            prop_assert_eq!(chunks.len(), usize::from(chunk_count(len)));
            prop_assert!(chunks.iter().all(|(_, chunk)| chunk.len() <= MAX_VALUE_BYTES));
            let First { len: found, checksum, head } = decode_first(&chunks[0].1).unwrap();
            prop_assert_eq!(checksum, 7);
            let mut joined = head.to_vec();
            chunks[1..].iter().for_each(|(_, chunk)| joined.extend_from_slice(chunk));
            prop_assert_eq!(found, len);
            prop_assert_eq!(joined, value);
        }

        #[test]
        fn any_bytes_decode_or_not(bytes: Vec<u8>) {
            let _ = decode_key(&bytes);
            let _ = decode_first(&bytes);
        }
    }
}
