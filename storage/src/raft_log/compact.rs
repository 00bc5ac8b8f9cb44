//! What makes a log shorter at its front: compaction and snapshots.
//!
//! The log's beginning moves at once. The keys before it are removed a bounded number a step, since a batch stops every
//! reader of the store while it is applied. What a step has not come to is found again after a restart.

use std::ops::ControlFlow;

use super::RaftLog;
use crate::error::StoreError;
use crate::ids::{Offset, RaftIndex};
use crate::keys::raft_state::LogPosition;
use crate::write_batch::WriteBatch;

/// How many keys one step removes. Each may hold 64 KiB, and its leaf is read to remove it.
const KEYS_A_STEP: usize = 128;

impl RaftLog {
    /// Gives up the entries up to and including `up_to`, and the offset index rows that lead to them. Returns whether
    /// keys of them remain, for [`Self::purge_step`] to remove. An index that is compacted away already changes nothing.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    ///
    /// # Panics
    ///
    /// When `up_to` is not applied: what replaces the entries is the stored state.
    pub fn compact(&mut self, up_to: RaftIndex, batch: &mut WriteBatch) -> Result<bool, StoreError> {
        assert!(up_to <= self.state.applied, "{}: entry {up_to} is not applied", self.group);
        if up_to > self.state.truncated.index {
            let term = self.find_term(up_to)?.ok_or_else(|| self.missing(up_to))?;
            self.state.truncated = LogPosition { index: up_to, term };
            self.record_state(batch);
            self.reader.tail().compact(self.group, up_to);
            self.snapshot.borrow_mut().drop_older_than(up_to);
        }
        self.purge_step(batch)
    }

    /// Removes some keys of entries that were given up. Returns whether more remain.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn purge_step(&mut self, batch: &mut WriteBatch) -> Result<bool, StoreError> {
        let mut left = KEYS_A_STEP;
        while self.purge_from <= self.state.truncated.index {
            let chunks = self
                .reader
                .stored_header(self.group, self.purge_from)?
                .map_or(0, |header| header.chunk_count());
            batch.remove_entry(self.group, self.purge_from, chunks);
            self.purge_from = self.purge_from.next();
            left = left.saturating_sub(usize::from(chunks).max(1));
            if left == 0 {
                return Ok(true);
            }
        }
        let mut base = Offset(i64::MIN);
        while let ControlFlow::Continue(next) = self.purge_index_row(base, batch)? {
            base = next;
            left -= 1;
            if left == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Empties the log and lets it begin after a snapshot that covers everything up to `index`, proposed in `term`, in
    /// a group of `voters`. What the snapshot holds is the stored state, and goes into the same batch.
    ///
    /// # Errors
    ///
    /// When an entry above the snapshot cannot be read for its removal.
    ///
    /// # Panics
    ///
    /// When more than the snapshot holds is applied already. raft never restores such a snapshot.
    pub fn install_snapshot(
        &mut self,
        index: RaftIndex,
        term: u64,
        voters: &[u64],
        batch: &mut WriteBatch,
    ) -> Result<(), StoreError> {
        assert!(index >= self.state.applied, "{}: snapshot {index} lacks what is applied", self.group);
        self.fetches.borrow_mut().invalidate();
        self.remove_from(index.next(), batch)?;
        self.pending.clear();
        self.reader.tail().forget(self.group);
        self.snapshot.borrow_mut().drop_older_than(index);
        let position = LogPosition { index, term };
        self.state.truncated = position;
        self.state.last = position;
        self.state.applied = index;
        self.state.commit = index;
        self.state.term = self.state.term.max(term);
        self.state.voters = voters.into();
        self.record_state(batch);
        Ok(())
    }

    /// Removes the first index row above `base` if its entry was given up, and says which it was.
    fn purge_index_row(
        &self,
        base: Offset,
        batch: &mut WriteBatch,
    ) -> Result<ControlFlow<(), Offset>, StoreError> {
        match self.reader.index_after(self.group, base)? {
            Some(row) if row.raft_index <= self.state.truncated.index => {
                batch.delete_index_row(self.group, row.base_offset);
                Ok(ControlFlow::Continue(row.base_offset))
            }
            _ => Ok(ControlFlow::Break(())),
        }
    }
}
