//! The entries of the Raft logs, which are the partition logs: one header an entry, and its body.
//!
//! An entry's *body* is its context and then its payload. A short body follows the header in its row. A longer one is cut
//! into parts, which are in consecutive [slots](super::slot); the header says in which.
//!
//! The header also has a checksum of the entry and of its place. sled checks what it reads piece by piece; but when it
//! recovers a damaged file it goes on without the damaged piece, and an entry may come back put together from what was
//! never one.

use std::ops::Range;

use bytes::Bytes;
use protobuf::ProtobufEnum as _;
use raft::eraftpb::EntryType;
use sled::IVec;

use super::slot::MAX_PART_BYTES;
use super::{Family, RowReader};
use crate::entry::LogEntry;
use crate::ids::{RaftGroupId, RaftIndex};

/// Term, type, the lengths of context and payload, and the first slot.
const FIELDS_BYTES: usize = 8 + 1 + 4 + 4 + 8;

/// The fields and the checksum.
const HEADER_BYTES: usize = FIELDS_BYTES + 4;

/// The longest body that stays with its header. sled writes a row several times; a slot and its spacer are three more
/// changes, of which each costs about as much as writing a kilobyte or two.
const MAX_INLINE_BYTES: usize = 1024;

/// The key of an entry's row.
pub(crate) fn key(group: RaftGroupId, index: RaftIndex) -> [u8; 17] {
    let mut key = [0; 17];
    key[..9].copy_from_slice(&Family::RaftEntry.group_prefix(group));
    key[9..].copy_from_slice(&index.0.to_be_bytes());
    key
}

/// The group and index that a key names; `None` for any other key. The store itself always knows what it reads.
#[cfg(test)]
pub(crate) fn decode_key(key: &[u8]) -> Option<(RaftGroupId, RaftIndex)> {
    let group = Family::RaftEntry.group_of(key)?;
    let mut rest = RowReader::new(&key[9..]);
    let index = RaftIndex(rest.u64()?);
    rest.end((group, index))
}

/// What an entry's row begins with.
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
    /// The slot of the body's first part; where the next entry's would be if this one has none.
    slot: u64,
    /// CRC-32C of group, index, the fields above, context and payload.
    checksum: u32,
}

impl Header {
    /// The header of an entry of `group`, whose body goes into slots from `slot` on.
    ///
    /// # Panics
    ///
    /// When context or payload are longer than 4 GiB. Requests are bounded far below that.
    pub(crate) fn new(group: RaftGroupId, entry: &LogEntry, slot: u64) -> Self {
        let len = |bytes: &Bytes| u32::try_from(bytes.len()).expect("an entry below 4 GiB");
        let header = Self {
            term: entry.term,
            entry_type: entry.entry_type,
            context: len(&entry.context),
            payload: len(&entry.payload),
            slot,
            checksum: 0,
        };
        Self { checksum: header.checksum(group, entry), ..header }
    }

    /// The checksum of an entry with these fields.
    fn checksum(self, group: RaftGroupId, entry: &LogEntry) -> u32 {
        let place = key(group, entry.index);
        let parts = [&place[..], &self.fields(), &entry.context, &entry.payload];
        parts.into_iter().fold(0, crc32c::crc32c_append)
    }

    /// The header that `row` begins with, or `None` when it is no entry's row.
    pub(crate) fn decode(row: &[u8]) -> Option<Self> {
        let mut row = RowReader::new(row);
        let term = row.u64()?;
        let [entry_type] = row.array()?;
        let entry_type = EntryType::from_i32(i32::from(entry_type))?;
        let (context, payload) = (row.u32()?, row.u32()?);
        let header = Self { term, entry_type, context, payload, slot: row.u64()?, checksum: row.u32()? };
        header.slot.checked_add(header.part_count())?;
        let beside = if header.is_inline() { header.body_len() } else { 0 };
        (row.rest().len() == beside).then_some(header)
    }

    /// The row of `entry`, whose header this is.
    pub(crate) fn row(self, entry: &LogEntry) -> Vec<u8> {
        let mut row = Vec::with_capacity(HEADER_BYTES + MAX_INLINE_BYTES.min(self.body_len()));
        row.extend_from_slice(&self.fields());
        row.extend_from_slice(&self.checksum.to_be_bytes());
        if self.is_inline() {
            row.extend_from_slice(&entry.context);
            row.extend_from_slice(&entry.payload);
        }
        row
    }

    /// The bytes of all that comes before the checksum.
    fn fields(self) -> [u8; FIELDS_BYTES] {
        let mut fields = [0; FIELDS_BYTES];
        fields[..8].copy_from_slice(&self.term.to_be_bytes());
        fields[8] = u8::try_from(self.entry_type.value()).expect("raft has three entry types");
        fields[9..13].copy_from_slice(&self.context.to_be_bytes());
        fields[13..17].copy_from_slice(&self.payload.to_be_bytes());
        fields[17..].copy_from_slice(&self.slot.to_be_bytes());
        fields
    }

    /// The length of the body.
    const fn body_len(self) -> usize {
        self.context as usize + self.payload as usize
    }

    /// Whether the body follows the header.
    const fn is_inline(self) -> bool {
        self.body_len() <= MAX_INLINE_BYTES
    }

    /// The number of slots that the body takes.
    const fn part_count(self) -> u64 {
        if self.is_inline() { 0 } else { self.body_len().div_ceil(MAX_PART_BYTES) as u64 }
    }

    /// The slots that the body takes.
    pub(crate) const fn slots(self) -> Range<u64> {
        self.slot..self.slot + self.part_count()
    }

    /// Cuts the body of `entry`, whose header this is, into what goes into each slot.
    pub(crate) fn parts(self, entry: &LogEntry) -> impl Iterator<Item = (u64, IVec)> {
        let context = entry.context.len();
        self.slots().zip((0..).step_by(MAX_PART_BYTES)).map(move |(slot, start)| {
            let end = self.body_len().min(start + MAX_PART_BYTES);
            let of_payload = start.saturating_sub(context)..end.saturating_sub(context);
            if start >= context {
                return (slot, IVec::from(&entry.payload[of_payload]));
            }
            let mut part = Vec::with_capacity(end - start);
            part.extend_from_slice(&entry.context[start..end.min(context)]);
            part.extend_from_slice(&entry.payload[of_payload]);
            (slot, IVec::from(part))
        })
    }

    /// Puts an entry of `group` together from its row and its parts in order; `None` when they are not what the header
    /// says.
    ///
    /// A body that is in one piece is shared; one of several is copied once.
    pub(crate) fn assemble(
        self,
        group: RaftGroupId,
        index: RaftIndex,
        row: IVec,
        mut parts: Vec<IVec>,
    ) -> Option<LogEntry> {
        let body = match (parts.len(), self.is_inline()) {
            (0, true) => Bytes::from_owner(row).slice(HEADER_BYTES..),
            (1, false) => Bytes::from_owner(parts.swap_remove(0)),
            _ => parts
                .iter()
                .fold(Vec::with_capacity(self.body_len()), |mut body, part| {
                    body.extend_from_slice(part);
                    body
                })
                .into(),
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
        prop_oneof![0..300_usize, 900..1100_usize, 32_700..32_800_usize, 65_500..65_600_usize]
    }

    /// The row and the parts of an entry whose first slot is 40.
    fn written(entry: &LogEntry) -> (Header, IVec, Vec<IVec>) {
        let header = Header::new(GROUP, entry, 40);
        let (slots, parts): (Vec<u64>, Vec<IVec>) = header.parts(entry).unzip();
        assert!(slots.into_iter().eq(header.slots()));
        (header, header.row(entry).into(), parts)
    }

    proptest! {
        #[test]
        fn keys_round_trip_and_keep_order(a: (u64, u64), b: (u64, u64)) {
            let key_of = |(group, index): (u64, u64)| key(RaftGroupId(group), RaftIndex(index));
            prop_assert_eq!(decode_key(&key_of(a)), Some((RaftGroupId(a.0), RaftIndex(a.1))));
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
            let (header, row, parts) = written(&entry);
            prop_assert!(row.len() <= HEADER_BYTES + MAX_INLINE_BYTES);
            prop_assert!(parts.iter().all(|part| !part.is_empty() && part.len() <= MAX_PART_BYTES));
            prop_assert_eq!(Header::decode(&row), Some(header));
            let assemble = |group, index| {
                header.assemble(RaftGroupId(group), RaftIndex(index), row.clone(), parts.clone())
            };
            prop_assert_eq!(assemble(4, 9), None);
            prop_assert_eq!(assemble(3, 8), None);
            prop_assert_eq!(assemble(3, 9), Some(entry));
        }

        #[test]
        fn an_entry_of_two_entries_parts_is_none(at in 0..2_usize, flip in 0..8_u32) {
            let entry = |payload| LogEntry {
                index: RaftIndex(9),
                term: 1,
                entry_type: EntryType::EntryNormal,
                context: Bytes::new(),
                payload,
            };
            let mut other = bytes(MAX_PART_BYTES + 10_000).to_vec();
            other[at * MAX_PART_BYTES + 100] ^= 1 << flip;
            let (header, row, mut mixed) = written(&entry(bytes(MAX_PART_BYTES + 10_000)));
            mixed[at] = written(&entry(other.into())).2[at].clone();
            prop_assert_eq!(header.assemble(GROUP, RaftIndex(9), row, mixed), None);
        }

        #[test]
        fn any_bytes_decode_or_not(bytes: Vec<u8>) {
            let _ = decode_key(&bytes);
            if let Some(header) = Header::decode(&bytes) {
                let _ = header.assemble(GROUP, RaftIndex(1), IVec::from(bytes), Vec::new());
            }
        }
    }
}
