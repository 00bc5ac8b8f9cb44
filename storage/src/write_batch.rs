//! What is to be written in one atomic step, for any number of groups.
//!
//! A batch is filled by the rooms that own the data: [`RaftLog`](crate::RaftLog) puts entries and raft state, the
//! state machines put offset index rows and records. Whoever owns the thread hands it to
//! [`Store::apply`](crate::Store::apply), all groups at once.
//!
//! A key written twice keeps the later write. So a group's raft state may be set many times on the way; it is encoded
//! and written once.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use sled::IVec;

use crate::entry::LogEntry;
use crate::ids::{RaftGroupId, RaftIndex};
use crate::keys::offset_index::{self, OffsetIndexRow};
use crate::keys::raft_entry::{self, Header};
use crate::keys::raft_state::GroupState;
use crate::keys::{fence, slot};
use crate::store::memory::NOTED_BYTES;

/// Changes that become visible together.
#[derive(Clone, Debug, Default)]
pub struct WriteBatch {
    /// Entries and index rows, as sled takes them.
    pub(crate) rows: sled::Batch,
    /// Slots that have to be reserved before the rows are written.
    pub(crate) reserved_slots: Vec<(RaftGroupId, Range<u64>)>,
    /// Slots that long parts of bodies are put into.
    pub(crate) large_slots: Vec<(RaftGroupId, u64)>,
    /// Raft state rows. They get their versions when the batch is applied.
    pub(crate) states: BTreeMap<RaftGroupId, GroupState>,
    /// State records by group and key; `None` deletes. They are cut into chunks when the batch is applied.
    pub(crate) records: BTreeMap<(RaftGroupId, Vec<u8>), Option<Vec<u8>>>,
    /// Groups to delete.
    pub(crate) deleted_groups: BTreeSet<RaftGroupId>,
    /// Deleted groups whose tombstones may go.
    pub(crate) forgotten_groups: BTreeSet<RaftGroupId>,
    /// Bytes of keys and values put so far.
    len_bytes: usize,
}

impl WriteBatch {
    /// A batch without changes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// About how many bytes of keys and values the batch writes. What was overwritten within the batch counts twice.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.len_bytes
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len_bytes == 0
    }

    /// Records where an entry's records are.
    pub fn put_index_row(&mut self, group: RaftGroupId, row: &OffsetIndexRow) {
        self.put(&offset_index::key(group, row.base_offset), IVec::from(row.encode()));
    }

    /// Sets a state record of `group`. Keys and values may hold any bytes.
    pub fn put_record(&mut self, group: RaftGroupId, key: &[u8], value: impl Into<Vec<u8>>) {
        let value = value.into();
        self.len_bytes += 9 + key.len() + value.len();
        self.records.insert((group, key.to_vec()), Some(value));
    }

    /// Deletes a state record of `group`. One that is not there stays so.
    pub fn delete_record(&mut self, group: RaftGroupId, key: &[u8]) {
        self.len_bytes += 9 + key.len();
        self.records.insert((group, key.to_vec()), None);
    }

    /// Deletes a group: it is no longer among [`Store::groups`](crate::Store::groups) from here on, and
    /// [`Store::purge`](crate::Store::purge) removes its keys bit by bit. Raft state and records that are written to it
    /// from here on are left out; a group's number is never used again.
    ///
    /// [`Store::is_deleted`](crate::Store::is_deleted) tells of it until the group is
    /// [forgotten](Self::forget_deleted_group).
    pub fn mark_group_deleted(&mut self, group: RaftGroupId) {
        self.len_bytes += 2 * 9;
        self.deleted_groups.insert(group);
    }

    /// Forgets that a group was deleted, unless keys of it are left. To be put into the batch that writes metadata in which
    /// the group is no more: from then on nothing on disk can lead to its being made anew.
    pub fn forget_deleted_group(&mut self, group: RaftGroupId) {
        self.len_bytes += 9;
        self.forgotten_groups.insert(group);
    }

    /// Puts an entry with its header and all parts of its body.
    pub(crate) fn put_entry(&mut self, group: RaftGroupId, header: Header, entry: &LogEntry) {
        self.put(&raft_entry::key(group, entry.index), header.row(entry).into());
        for (slot, part) in header.parts(entry) {
            if part.len() >= NOTED_BYTES {
                self.large_slots.push((group, slot));
            }
            self.put(&slot::key(group, slot), part);
        }
    }

    /// Removes an entry and the slots of its body.
    pub(crate) fn remove_entry(&mut self, group: RaftGroupId, index: RaftIndex, slots: Range<u64>) {
        self.remove(&raft_entry::key(group, index));
        for slot in slots {
            self.remove(&slot::key(group, slot));
        }
    }

    /// Has slots reserved before anything else of the batch is written. What is lost of it if the batch is never applied
    /// is time.
    pub(crate) fn reserve_slots(&mut self, group: RaftGroupId, slots: Range<u64>) {
        if !slots.is_empty() {
            self.reserved_slots.push((group, slots));
        }
    }

    /// Fences the start of a group's log.
    pub(crate) fn put_log_fence(&mut self, group: RaftGroupId) {
        for key in fence::before_log(group) {
            self.put(&key, IVec::default());
        }
    }

    /// Sets a group's raft state.
    pub(crate) fn put_state(&mut self, group: RaftGroupId, state: GroupState) {
        self.len_bytes += 9 + state.encoded_len();
        self.states.insert(group, state);
    }

    /// Removes a key, whatever its family.
    pub(crate) fn remove(&mut self, key: &[u8]) {
        self.len_bytes += key.len();
        self.rows.remove(key);
    }

    /// Sets a key, whatever its family.
    pub(crate) fn put(&mut self, key: &[u8], value: IVec) {
        self.len_bytes += key.len() + value.len();
        self.rows.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_knows_its_size() {
        let mut batch = WriteBatch::new();
        assert!(batch.is_empty());
        batch.put_record(RaftGroupId(1), b"key", vec![0; 1000]);
        assert!(!batch.is_empty());
        assert_eq!(batch.len_bytes(), 9 + 3 + 1000);
        batch.delete_record(RaftGroupId(1), b"key");
        assert_eq!(batch.len_bytes(), 9 + 3 + 1000 + 9 + 3);
    }
}
