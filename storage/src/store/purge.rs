//! Removing what nobody can read any more, bit by bit: everything of deleted groups, and the entries and index rows
//! before the beginning of a compacted log.
//!
//! Nothing here is in a hurry, nothing needs to be atomic, and all of it can be found again after a restart: a deleted
//! group by its tombstone, a compacted log by its raft state. That leaves the freedom to remove in the way that costs sled
//! least, which is not a batch:
//!
//! * A batch stops every reader of the store, and takes its keys in random order. Keys are removed one by one.
//! * A leaf with fewer than four keys is merged into its neighbour, and the merged leaf is written, with what is left of
//!   the values. So all values of a step are blanked first, and only then the keys removed.
//!
//! But nothing is removed before it is given up for certain: where the batch that gave it up may not be durable, a sync comes
//! first. Else a power cut might leave a log that begins where nothing is any more.
//!
//! Removed as a batch, every byte was written two and a half times more on its way out; like this it is next to nothing.
//!
//! The steps of a deletion, each of which a crash may come before:
//!
//! 1. One batch removes the group's raft state row and writes its tombstone. From here on nobody opens the group.
//! 2. Values are blanked and keys removed, one write each. Records that are blank or half gone belong to a group with a
//!    tombstone, so that nobody reads them.
//! 3. The tombstone says that nothing is left.
//! 4. The batch that writes metadata without the group removes the tombstone.
//!
//! **Invariant:** a blank value is one that is gone, or not there yet. Rows and parts of entries are never empty otherwise.

use std::ops::Bound;

use sled::IVec;

use super::memory::give_memory_back;
use super::{Store, lock};
use crate::error::StoreError;
use crate::ids::{Offset, RaftGroupId, RaftIndex};
use crate::keys::offset_index::{self, OffsetIndexRow};
use crate::keys::{Family, raft_entry, slot, tombstone};

/// Values up to this length are not worth blanking.
const SMALL_BYTES: usize = 256;

/// Whether a purge is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purge {
    /// There is more to remove: call again, after other work had its turn.
    pub more: bool,
}

/// The families a group has keys in, beside its raft state row, which goes when the group is deleted.
const FAMILIES: [Family; 4] = [Family::RaftEntry, Family::Slot, Family::OffsetIndex, Family::Record];

/// How much one step of a purge may still do.
struct Budget {
    keys: usize,
    writes: usize,
}

impl Budget {
    /// Whether the step is over. What it was about may be done in part.
    const fn is_spent(&self) -> bool {
        self.keys == 0 || self.writes == 0
    }

    /// Counts one write; returns false when there is none left.
    const fn write(&mut self) -> bool {
        let may = self.writes > 0;
        self.writes = self.writes.saturating_sub(1);
        may
    }
}

impl Store {
    /// Removes up to `max_keys` keys of deleted groups and from before the beginnings of compacted logs. To be called
    /// after groups were deleted or logs were compacted, and once after the store was opened, on a thread that may wait
    /// for the disk; after a large deletion it also waits, a little each time, for the file to become shorter. What is
    /// removed needs no sync of its own.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or written.
    ///
    /// # Panics
    ///
    /// When `max_keys` is 0, with which nothing would ever be done.
    pub fn purge(&self, max_keys: usize) -> Result<Purge, StoreError> {
        self.purge_cut_short(max_keys, usize::MAX)
    }

    /// As [`Self::purge`], but ends after `max_writes` writes, wherever that is: what a crash in its midst leaves. For
    /// simulations.
    ///
    /// # Errors
    ///
    /// As for [`Self::purge`].
    ///
    /// # Panics
    ///
    /// As for [`Self::purge`].
    #[doc(hidden)]
    pub fn purge_cut_short(&self, max_keys: usize, max_writes: usize) -> Result<Purge, StoreError> {
        assert!(max_keys > 0, "a purge of no keys never ends");
        self.shared.check_not_failed()?;
        let budget = Budget { keys: max_keys, writes: max_writes };
        let purged = self.purge_some(budget).inspect_err(|error| self.shared.fail(error));
        give_memory_back();
        purged
    }

    /// As [`Self::purge`], without regard to failures.
    fn purge_some(&self, mut left: Budget) -> Result<Purge, StoreError> {
        loop {
            let with_remains = lock(&self.shared.progress).first_with_remains();
            let Some(group) = with_remains else { break };
            self.make_certain()?;
            for family in FAMILIES {
                let erased = self.erase(self.scan(&family.group_prefix(group)), &mut left)?;
                self.count_deleted(erased);
                if left.is_spent() {
                    return Ok(Purge { more: true });
                }
            }
            self.note_emptied(group)?;
        }
        loop {
            let compacted = lock(&self.shared.progress).first_compacted();
            let Some((group, start)) = compacted else { break };
            self.make_certain()?;
            let rows = self.erase(self.entries_up_to(group, start.truncated), &mut left)?;
            // Bodies go once no row leads there: whoever finds a row expects the body.
            let bodies = self.erase(self.slots_before(group, start.slot), &mut left)?;
            self.count_deleted(rows + bodies);
            self.erase(self.index_rows_up_to(group, start.truncated), &mut left)?;
            if left.is_spent() {
                return Ok(Purge { more: true });
            }
            lock(&self.shared.progress).purged(group, start);
        }
        Ok(Purge { more: self.turn_over()? })
    }

    /// Makes durable what was given up by now.
    fn make_certain(&self) -> Result<(), StoreError> {
        let given_up_in = lock(&self.shared.progress).given_up_in();
        let is_certain = lock(&self.shared.durable).durable() >= given_up_in;
        if is_certain { Ok(()) } else { self.sync() }
    }

    /// Notes that a deleted group has no keys left.
    fn note_emptied(&self, group: RaftGroupId) -> Result<(), StoreError> {
        let mut progress = lock(&self.shared.progress);
        let written = self.shared.db.insert(tombstone::key(group), tombstone::EMPTIED);
        written.map_err(write_error)?;
        progress.emptied(group);
        Ok(())
    }

    /// The rows of a group's entries up to and including `truncated`.
    fn entries_up_to(
        &self,
        group: RaftGroupId,
        truncated: RaftIndex,
    ) -> impl Iterator<Item = Result<(IVec, IVec), StoreError>> + use<> {
        let first = raft_entry::key(group, RaftIndex(1));
        let end = raft_entry::key(group, truncated);
        self.range((Bound::Included(first), Bound::Included(end)))
    }

    /// A group's slots before `end`, without the fence.
    fn slots_before(
        &self,
        group: RaftGroupId,
        end: u64,
    ) -> impl Iterator<Item = Result<(IVec, IVec), StoreError>> + use<> {
        let first = slot::key(group, slot::FIRST_SLOT);
        self.range((Bound::Included(first), Bound::Excluded(slot::key(group, end))))
    }

    /// A group's index rows that lead to entries up to and including `truncated`. Both offsets and indexes rise from row
    /// to row.
    fn index_rows_up_to(
        &self,
        group: RaftGroupId,
        truncated: RaftIndex,
    ) -> impl Iterator<Item = Result<(IVec, IVec), StoreError>> + use<> {
        let first = offset_index::key(group, Offset(i64::MIN));
        let last = offset_index::key(group, Offset(i64::MAX));
        let rows = self.range((Bound::Included(first), Bound::Included(last)));
        rows.take_while(move |pair| match pair {
            Ok((_, row)) => {
                OffsetIndexRow::decode(Offset(0), row).is_none_or(|row| row.raft_index <= truncated)
            }
            Err(_) => true,
        })
    }

    /// Removes these pairs, which come in the order of their keys, as far as the budget goes. Returns the bytes of their
    /// values.
    fn erase(
        &self,
        pairs: impl Iterator<Item = Result<(IVec, IVec), StoreError>>,
        left: &mut Budget,
    ) -> Result<u64, StoreError> {
        let mut keys = Vec::new();
        let mut value_bytes = 0;
        for pair in pairs.take(left.keys) {
            let (key, value) = pair?;
            value_bytes += value.len() as u64;
            if value.len() > SMALL_BYTES {
                if !left.write() {
                    return Ok(value_bytes);
                }
                self.shared.db.insert(&key, IVec::default()).map_err(write_error)?;
            }
            keys.push(key);
        }
        left.keys -= keys.len();
        for key in &keys {
            if !left.write() {
                return Ok(value_bytes);
            }
            self.shared.db.remove(key).map_err(write_error)?;
        }
        Ok(value_bytes)
    }
}

/// Sorts an error of sled's writes.
fn write_error(error: sled::Error) -> StoreError {
    StoreError::from_sled("purge the store", error)
}
