//! The entries of the Raft logs, which are the partition logs.
//!
//! An entry's *body* is its context and then its payload. Chunk 0 begins with a header that says how long both are,
//! so that the number of chunks is known from the first one; the body fills what is left of chunk 0 and then as many
//! further chunks as it takes.
//!
//! The header also has a checksum of the entry and of its place. sled checks what it reads piece by piece; but when it
//! recovers a damaged file it goes on without the damaged piece, and an entry may come back put together from chunks of
//! two, where one once replaced another.

use std::ops::Range;

use bytes::Bytes;
use protobuf::ProtobufEnum as _;
use raft::eraftpb::EntryType;
use sled::IVec;

use super::{Family, MAX_VALUE_BYTES, RowReader};
use crate::entry::LogEntry;
use crate::ids::{RaftGroupId, RaftIndex};

/// Term, type, and the lengths of context and payload.
const FIELDS_BYTES: usize = 8 + 1 + 4 + 4;

/// The fields and the checksum.
const HEADER_BYTES: usize = FIELDS_BYTES + 4;

/// The key of one chunk of an entry.
pub(crate) fn key(group: RaftGroupId, index: RaftIndex, chunk: u16) -> [u8; 19] {
    let mut key = [0; 19];
    key[..9].copy_from_slice(&Family::RaftEntry.group_prefix(group));
    key[9..17].copy_from_slice(&index.0.to_be_bytes());
    key[17..].copy_from_slice(&chunk.to_be_bytes());
    key
}

/// The group, index and chunk that a key names; `None` for any other key. The store itself always knows what it reads.
#[cfg(test)]
pub(crate) fn decode_key(key: &[u8]) -> Option<(RaftGroupId, RaftIndex, u16)> {
    let group = Family::RaftEntry.group_of(key)?;
    let mut rest = RowReader::new(&key[9..]);
    let index = RaftIndex(rest.u64()?);
    let chunk = u16::from_be_bytes(rest.array()?);
    rest.end((group, index, chunk))
}

/// The number of chunks of an entry.
///
/// # Panics
///
/// When the entry is longer than 65,535 chunks, which is 4 GiB. Requests are bounded far below that.
pub(crate) fn chunk_count(entry: &LogEntry) -> u16 {
    Header::without_checksum(entry).chunk_count()
}

/// Cuts an entry of `group` into chunks.
pub(crate) fn chunks(group: RaftGroupId, entry: &LogEntry) -> impl Iterator<Item = (u16, IVec)> {
    let header = Header::of(group, entry);
    (0..header.chunk_count()).map(move |chunk| {
        let range = header.body_range(chunk);
        let context = entry.context.len();
        let value = if range.start >= context && chunk > 0 {
            IVec::from(&entry.payload[range.start - context..range.end - context])
        } else {
            let mut value = Vec::with_capacity(HEADER_BYTES + range.len());
            if chunk == 0 {
                header.encode_into(&mut value);
            }
            value.extend_from_slice(&entry.context[range.start.min(context)..range.end.min(context)]);
            let payload = range.start.saturating_sub(context)..range.end.saturating_sub(context);
            value.extend_from_slice(&entry.payload[payload]);
            IVec::from(value)
        };
        (chunk, value)
    })
}

/// What chunk 0 begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The term the entry was proposed in.
    pub(crate) term: u64,
    /// What the entry is.
    entry_type: EntryType,
    /// The length of the context.
    context: u32,
    /// The length of the payload.
    payload: u32,
    /// CRC-32C of group, index, the fields above, context and payload.
    checksum: u32,
}

impl Header {
    /// The header of an entry of `group`.
    fn of(group: RaftGroupId, entry: &LogEntry) -> Self {
        let header = Self::without_checksum(entry);
        Self { checksum: header.checksum(group, entry), ..header }
    }

    /// What follows from the entry's lengths.
    fn without_checksum(entry: &LogEntry) -> Self {
        let len = |bytes: &Bytes| u32::try_from(bytes.len()).expect("an entry below 4 GiB");
        Self {
            term: entry.term,
            entry_type: entry.entry_type,
            context: len(&entry.context),
            payload: len(&entry.payload),
            checksum: 0,
        }
    }

    /// The checksum of an entry with these fields.
    fn checksum(self, group: RaftGroupId, entry: &LogEntry) -> u32 {
        let place = key(group, entry.index, 0);
        let parts = [&place[..], &self.fields(), &entry.context, &entry.payload];
        parts.into_iter().fold(0, crc32c::crc32c_append)
    }

    /// The header at the start of chunk 0, or `None` when the bytes are none.
    pub(crate) fn decode(chunk: &[u8]) -> Option<Self> {
        let mut row = RowReader::new(chunk);
        let term = row.u64()?;
        let [entry_type] = row.array()?;
        let entry_type = EntryType::from_i32(i32::from(entry_type))?;
        let header =
            Self { term, entry_type, context: row.u32()?, payload: row.u32()?, checksum: row.u32()? };
        // The count must fit, or the entry was never written by `chunks`.
        u16::try_from(header.chunks_needed()).ok().map(|_| header)
    }

    /// Appends the header's bytes.
    fn encode_into(self, value: &mut Vec<u8>) {
        value.extend_from_slice(&self.fields());
        value.extend_from_slice(&self.checksum.to_be_bytes());
    }

    /// The bytes of all that comes before the checksum.
    fn fields(self) -> [u8; FIELDS_BYTES] {
        let mut fields = [0; FIELDS_BYTES];
        fields[..8].copy_from_slice(&self.term.to_be_bytes());
        fields[8] = u8::try_from(self.entry_type.value()).expect("raft has three entry types");
        fields[9..13].copy_from_slice(&self.context.to_be_bytes());
        fields[13..].copy_from_slice(&self.payload.to_be_bytes());
        fields
    }

    /// The length of the body.
    const fn body_len(self) -> usize {
        self.context as usize + self.payload as usize
    }

    /// The number of chunks the entry takes, however large.
    const fn chunks_needed(self) -> usize {
        (HEADER_BYTES + self.body_len()).div_ceil(MAX_VALUE_BYTES)
    }

    /// The number of chunks the entry takes.
    pub(crate) fn chunk_count(self) -> u16 {
        u16::try_from(self.chunks_needed()).expect("an entry below 4 GiB")
    }

    /// Which part of the body `chunk` holds.
    fn body_range(self, chunk: u16) -> Range<usize> {
        let end = (usize::from(chunk) + 1) * MAX_VALUE_BYTES - HEADER_BYTES;
        let start = if chunk == 0 { 0 } else { end - MAX_VALUE_BYTES };
        start..end.min(self.body_len())
    }

    /// Puts an entry of `group` together from its chunks in order; `None` when they are not what the header says.
    ///
    /// An entry of one chunk shares the bytes of the chunk; a longer one is copied once.
    pub(crate) fn assemble(
        self,
        group: RaftGroupId,
        index: RaftIndex,
        chunks: Vec<IVec>,
    ) -> Option<LogEntry> {
        let body = match <[IVec; 1]>::try_from(chunks) {
            Ok([only]) => Bytes::from_owner(only).slice(HEADER_BYTES..),
            Err(chunks) => {
                let mut body = Vec::with_capacity(self.body_len());
                for (position, chunk) in chunks.iter().enumerate() {
                    body.extend_from_slice(chunk.get(if position == 0 { HEADER_BYTES } else { 0 }..)?);
                }
                Bytes::from(body)
            }
        };
        if body.len() != self.body_len() {
            return None;
        }
        let context = body.slice(..self.context as usize);
        let payload = body.slice(self.context as usize..);
        let entry = LogEntry { index, term: self.term, entry_type: self.entry_type, context, payload };
        (self.checksum(group, &entry) == self.checksum).then_some(entry)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GROUP: RaftGroupId = RaftGroupId(3);

    fn bytes(len: usize) -> Bytes {
        (0..=u8::MAX).cycle().take(len).collect()
    }

    fn any_len() -> impl Strategy<Value = usize> {
        prop_oneof![0..300_usize, 16_300..16_400_usize, 32_700..32_800_usize]
    }

    proptest! {
        #[test]
        fn keys_round_trip_and_keep_order(a: (u64, u64, u16), b: (u64, u64, u16)) {
            let key_of = |(group, index, chunk): (u64, u64, u16)| key(RaftGroupId(group), RaftIndex(index), chunk);
            prop_assert_eq!(decode_key(&key_of(a)), Some((RaftGroupId(a.0), RaftIndex(a.1), a.2)));
            prop_assert_eq!(key_of(a).cmp(&key_of(b)), a.cmp(&b));
        }

        #[test]
        fn entries_round_trip(term: u64, kind in 0_i32..3, context in any_len(), payload in any_len()) {
            let entry = LogEntry {
                index: RaftIndex(9),
                term,
                entry_type: EntryType::from_i32(kind).unwrap(),
                context: bytes(context),
                payload: bytes(payload),
            };
            let chunks: Vec<IVec> = chunks(GROUP, &entry).map(|(_, chunk)| chunk).collect();
            prop_assert!(chunks.iter().all(|chunk| chunk.len() <= MAX_VALUE_BYTES));
            let header = Header::decode(&chunks[0]).unwrap();
            prop_assert_eq!(usize::from(header.chunk_count()), chunks.len());
            prop_assert_eq!(header.assemble(RaftGroupId(4), RaftIndex(9), chunks.clone()), None);
            prop_assert_eq!(header.assemble(GROUP, RaftIndex(8), chunks.clone()), None);
            prop_assert_eq!(header.assemble(GROUP, RaftIndex(9), chunks), Some(entry));
        }

        #[test]
        fn an_entry_of_two_entries_chunks_is_none(at in 1..3_usize, flip in 0..8_u32) {
            let entry = |payload| LogEntry {
                index: RaftIndex(9),
                term: 1,
                entry_type: EntryType::EntryNormal,
                context: Bytes::new(),
                payload,
            };
            let mut other = bytes(40_000).to_vec();
            other[at * MAX_VALUE_BYTES + 100] ^= 1 << flip;
            let mut mixed: Vec<IVec> = chunks(GROUP, &entry(bytes(40_000))).map(|(_, chunk)| chunk).collect();
            mixed[at] = chunks(GROUP, &entry(other.into())).nth(at).unwrap().1;
            let header = Header::decode(&mixed[0]).unwrap();
            prop_assert_eq!(header.assemble(GROUP, RaftIndex(9), mixed), None);
        }

        #[test]
        fn any_bytes_decode_or_not(bytes: Vec<u8>) {
            let _ = decode_key(&bytes);
            if let Some(header) = Header::decode(&bytes) {
                let _ = header.assemble(GROUP, RaftIndex(1), vec![IVec::from(bytes)]);
            }
        }
    }
}
