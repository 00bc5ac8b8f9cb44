//! What makes a log shorter at its front: compaction and snapshots.
//!
//! Here only the log's beginning moves. The keys before it are removed by [`Store::purge`](crate::Store::purge) once the
//! batch is applied, in small steps on another thread.

use super::RaftLog;
use crate::error::StoreError;
use crate::ids::RaftIndex;
use crate::keys::raft_state::LogPosition;
use crate::write_batch::WriteBatch;

impl RaftLog {
    /// Gives up the entries up to and including `up_to`, and the offset index rows that lead to them. An index that is
    /// compacted away already changes nothing.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    ///
    /// # Panics
    ///
    /// When `up_to` is not applied: what replaces the entries is the stored state.
    pub fn compact(&mut self, up_to: RaftIndex, batch: &mut WriteBatch) -> Result<(), StoreError> {
        assert!(up_to <= self.state.applied, "{}: entry {up_to} is not applied", self.group);
        if up_to > self.state.truncated.index {
            let term = self.find_term(up_to)?.ok_or_else(|| self.missing(up_to))?;
            self.state.first_slot = self.slots_of(up_to)?.end;
            self.state.truncated = LogPosition { index: up_to, term };
            self.record_state(batch);
            self.reader.tail().compact(self.group, up_to);
            self.snapshot.borrow_mut().drop_older_than(up_to);
        }
        Ok(())
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
        self.state.first_slot = self.state.next_slot;
        self.state.applied = index;
        self.state.commit = index;
        self.state.term = self.state.term.max(term);
        self.state.voters = voters.into();
        self.record_state(batch);
        Ok(())
    }
}
