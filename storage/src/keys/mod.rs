//! The keyspace: one file a key family, and this table.
//!
//! All families share one sled tree, because a sled batch is atomic within one tree only. The first byte of a key
//! names its family. Numbers are big-endian, so that byte order is number order; an [`Offset`](crate::ids::Offset),
//! which is signed, has its sign bit flipped for the same reason.
//!
//! | family | key after the ordinal | value |
//! | --- | --- | --- |
//! | 1 [`meta`] | name u8 | by name: identity and format; progress of the writes; store id |
//! | 2 [`raft_state`] | group u64 | row version, hard state, applied index, truncated and last position, first and next slot, voters |
//! | 3 [`tombstone`] | group u64 | empty, or 1 when the group has no keys left |
//! | 4 [`offset_index`] | group u64, base offset i64 | last offset, raft index, bytes so far, number, greatest timestamps |
//! | 5 [`record`] | group u64, key bytes, chunk u16 | chunk 0: length u32, checksum u32; then the value |
//! | 6 [`raft_entry`] | group u64, index u64 | term, type, lengths, first slot, checksum; a short body |
//! | 7 [`slot`] | group u64, slot u64 | a part of an entry's body: context and payload; empty while it is reserved |
//!
//! **Invariant:** ordinals are append-only. A family that is given up leaves its number unused for good, and a value
//! whose layout changes gets a new family or a new format version.
//!
//! **Invariant:** no value is longer than [`MAX_VALUE_BYTES`], or [`slot::MAX_PART_BYTES`] where every other key is blank;
//! longer ones are cut into pieces. sled keeps up to 17 values
//! on a leaf, moves a page above a quarter of a segment into a file of its own, which it never syncs, and keeps more
//! pages in memory than it is told to, whatever their size.
//!
//! The families stand in the order of their values' size. The small rows that every batch rewrites (progress, raft
//! state, index) so share leaves with their like; on one leaf with payloads they would drag megabytes along each
//! time sled rewrites it. [`fence`] keeps the borders clean, and [`slot`] is where the payloads are.

pub(crate) mod fence;
pub(crate) mod meta;
pub(crate) mod offset_index;
pub(crate) mod raft_entry;
pub(crate) mod raft_state;
pub(crate) mod record;
pub(crate) mod slot;
pub(crate) mod tombstone;

use crate::ids::RaftGroupId;

/// The longest value, in bytes. Measured: larger ones cost memory, smaller ones time.
pub(crate) const MAX_VALUE_BYTES: usize = 16 * 1024;

/// The first byte of a key. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Family {
    Meta = 1,
    RaftState = 2,
    Tombstone = 3,
    OffsetIndex = 4,
    Record = 5,
    RaftEntry = 6,
    Slot = 7,
}

impl Family {
    /// The ordinal as it stands in a key.
    pub(crate) const fn ordinal(self) -> u8 {
        self as u8
    }

    /// What every key of `group` in this family begins with.
    pub(crate) fn group_prefix(self, group: RaftGroupId) -> [u8; 9] {
        let mut key = [0; 9];
        key[0] = self.ordinal();
        key[1..].copy_from_slice(&group.0.to_be_bytes());
        key
    }

    /// The group of a key of this family; `None` when the key is of another family or too short.
    pub(crate) fn group_of(self, key: &[u8]) -> Option<RaftGroupId> {
        let (&ordinal, rest) = key.split_first()?;
        let group = rest.first_chunk()?;
        (ordinal == self.ordinal()).then(|| RaftGroupId(u64::from_be_bytes(*group)))
    }
}

/// The group that a key belongs to, whatever its family; `None` when it belongs to the store itself, or is no key.
pub(crate) fn group_of(key: &[u8]) -> Option<RaftGroupId> {
    let families = [
        Family::RaftState,
        Family::Tombstone,
        Family::OffsetIndex,
        Family::Record,
        Family::RaftEntry,
        Family::Slot,
    ];
    families.into_iter().find_map(|family| family.group_of(key))
}

/// Takes values off the front of a row. Every read is checked, so that damaged bytes decode to nothing, never to a
/// panic.
pub(crate) struct RowReader<'a>(&'a [u8]);

impl<'a> RowReader<'a> {
    /// Reads `row` from its start.
    pub(crate) const fn new(row: &'a [u8]) -> Self {
        Self(row)
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    /// The next eight bytes as a number.
    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// The next four bytes as a number.
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next eight bytes as a signed number.
    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// What is left.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.0
    }

    /// `value`, if the row ends here.
    pub(crate) fn end<T>(self, value: T) -> Option<T> {
        self.0.is_empty().then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_are_what_is_on_disk() {
        let families = [
            (Family::Meta, 1),
            (Family::RaftState, 2),
            (Family::Tombstone, 3),
            (Family::OffsetIndex, 4),
            (Family::Record, 5),
            (Family::RaftEntry, 6),
            (Family::Slot, 7),
        ];
        for (family, ordinal) in families {
            assert_eq!(family.ordinal(), ordinal);
            let prefix = family.group_prefix(RaftGroupId(7));
            assert_eq!(family.group_of(&prefix), Some(RaftGroupId(7)));
            assert_eq!(family.group_of(&prefix[..8]), None);
            assert_eq!(group_of(&prefix), (family != Family::Meta).then_some(RaftGroupId(7)));
        }
    }
}
