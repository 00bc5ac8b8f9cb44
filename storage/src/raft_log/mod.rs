//! One group's log, in the shape raft asks for.
//!
//! A [`RaftLog`] belongs to the thread that drives the group. It keeps in memory what raft asks for all the time: hard
//! state, members, and where the log begins and ends. Entries are in the [tail](crate::TailCache) while they are
//! recent, and read by key afterwards.
//!
//! Writing is in three steps, because batches are shared by many groups:
//!
//! 1. [`RaftLog::append`] and its like put the change into a [`WriteBatch`] and take it as done;
//! 2. the owner of the thread applies the batch ([`Store::apply`](crate::Store::apply));
//! 3. [`RaftLog::appended`] makes the new entries readable from memory.
//!
//! If step 2 fails the process ends, so a log never has to take anything back. Within step 1 the order is raft's: a
//! snapshot, then entries, then the hard state, which may commit them, then what is applied.
//!
//! **Invariants**, asserted where they could break:
//!
//! * `truncated <= applied <= commit <= last`, counted in indexes;
//! * entries from `truncated + 1` to `last` are all there, others may be leftovers on their way out;
//! * a committed entry is never replaced;
//! * every change of the log's ends or of the hard state is in the same batch as the entries it is about.
//!
//! What is left out: members are voters only, and the log does not make snapshots. It tells that one is wanted and
//! hands out the one it was given.

mod compact;
mod fetch;
mod open;
mod snapshot;
mod storage;
mod write;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::Range;

use raft::eraftpb::HardState;

use crate::error::StoreError;
use crate::ids::{RaftGroupId, RaftIndex};
use crate::keys::raft_state::{GroupState, LogPosition};
use crate::keys::slot::Reserved;
use crate::log_reader::LogReader;
use crate::write_batch::WriteBatch;
use fetch::Fetches;
use snapshot::SnapshotSlot;

pub use fetch::{EntryFetch, FetchedEntries};

/// One group's log and Raft state.
#[derive(Debug)]
pub struct RaftLog {
    group: RaftGroupId,
    reader: LogReader,
    state: GroupState,
    /// The slots that are reserved for bodies to come.
    reserved: Reserved,
    /// Entries that are in a batch and not yet known to be applied, so that nobody can look them up.
    pending: VecDeque<Pending>,
    /// What is being read for raft elsewhere. Behind a cell, since raft asks through a shared reference.
    fetches: RefCell<Fetches>,
    /// Bytes of entries that raft read from the store on this thread.
    read_bytes: Cell<usize>,
    /// The snapshot that raft may have, or wants.
    snapshot: RefCell<SnapshotSlot>,
    /// What went wrong when raft read the log.
    fault: RefCell<Option<StoreError>>,
}

/// What must be known of an entry that is in a batch.
#[derive(Clone, Debug)]
struct Pending {
    at: LogPosition,
    slots: Range<u64>,
}

impl RaftLog {
    /// The group whose log it is.
    #[must_use]
    pub const fn group(&self) -> RaftGroupId {
        self.group
    }

    /// Term, vote and commit as last recorded.
    #[must_use]
    pub fn hard_state(&self) -> HardState {
        let GroupState { term, vote, commit, .. } = self.state;
        HardState { term, vote, commit: commit.0, ..HardState::default() }
    }

    /// The highest index whose effects are in the stored state.
    #[must_use]
    pub const fn applied(&self) -> RaftIndex {
        self.state.applied
    }

    /// The group's voting members.
    #[must_use]
    pub fn voters(&self) -> &[u64] {
        &self.state.voters
    }

    /// The last index that is compacted away; the log begins after it.
    #[must_use]
    pub const fn truncated(&self) -> RaftIndex {
        self.state.truncated.index
    }

    /// The term of the last entry of the log, or of the last that is compacted away.
    #[must_use]
    pub const fn last_term(&self) -> u64 {
        self.state.last.term
    }

    /// The last index of the log; [`Self::truncated`] when it has no entries.
    #[must_use]
    pub const fn last(&self) -> RaftIndex {
        self.state.last.index
    }

    /// Puts the state into a batch. A batch keeps one state a group, so this may happen many times.
    fn record_state(&self, batch: &mut WriteBatch) {
        let state = &self.state;
        assert!(
            state.truncated.index <= state.applied
                && state.applied <= state.commit
                && state.commit <= state.last.index,
            "{}: the log's ends are out of order: {state:?}",
            self.group
        );
        batch.put_state(self.group, state.clone());
    }

    /// The term of an entry that is in the log; `None` when it is not.
    fn find_term(&self, index: RaftIndex) -> Result<Option<u64>, StoreError> {
        let state = &self.state;
        if index == state.last.index {
            return Ok(Some(state.last.term));
        }
        if index == state.truncated.index {
            return Ok(Some(state.truncated.term));
        }
        if index < state.truncated.index || index > state.last.index {
            return Ok(None);
        }
        if let Some(pending) = self.pending_at(index) {
            return Ok(Some(pending.at.term));
        }
        // Terms never fall along a log. Where both ends of a stretch have the same one, so has all between.
        let (tail_first, tail_term) =
            self.reader.tail().first(self.group).unwrap_or((state.last.index, state.last.term));
        if index <= tail_first && tail_term == state.truncated.term {
            return Ok(Some(tail_term));
        }
        if let Some(entry) = self.reader.tail().get(self.group, index) {
            return Ok(Some(entry.term));
        }
        match self.reader.stored_header(self.group, index)? {
            Some(header) => Ok(Some(header.term)),
            None => Err(self.missing(index)),
        }
    }

    /// The entry at `index`, if it is in a batch that is not known to be applied.
    fn pending_at(&self, index: RaftIndex) -> Option<&Pending> {
        let first = self.pending.front()?.at.index;
        let at = usize::try_from(index.0.checked_sub(first.0)?).ok()?;
        self.pending.get(at)
    }

    /// That an entry between the log's ends is not there.
    fn missing(&self, index: RaftIndex) -> StoreError {
        let (first, last) = (self.state.truncated.index.next(), self.state.last.index);
        let detail = format!("entry {index} is missing from a log that goes from {first} to {last}");
        StoreError::damaged_in(self.group, detail)
    }
}

#[cfg(test)]
mod tests;
