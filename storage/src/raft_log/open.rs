//! A log from nothing, and a log from disk.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use super::RaftLog;
use crate::error::StoreError;
use crate::ids::{RaftGroupId, RaftIndex};
use crate::keys::raft_state::{self, GroupState, LogPosition};
use crate::keys::slot::{FIRST_SLOT, Reserved};
use crate::store::Store;
use crate::tail::TailCache;
use crate::write_batch::WriteBatch;

impl RaftLog {
    /// A new group's empty log, whose members are `voters`. The group exists once `batch` is applied.
    #[must_use]
    pub fn create(
        store: &Store,
        tail: &TailCache,
        group: RaftGroupId,
        voters: &[u64],
        batch: &mut WriteBatch,
    ) -> Self {
        let state = GroupState {
            term: 0,
            vote: 0,
            commit: RaftIndex(0),
            applied: RaftIndex(0),
            truncated: LogPosition::default(),
            last: LogPosition::default(),
            first_slot: FIRST_SLOT,
            next_slot: FIRST_SLOT,
            voters: voters.into(),
        };
        let log = Self::with_state(store, tail, group, state);
        batch.put_log_fence(group);
        log.record_state(batch);
        log
    }

    /// The log of a group as it is on disk; `None` when the group does not live here.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or the log is not what was written: its ends are out of order, or the entry at
    /// one of them is missing.
    pub fn open(store: &Store, tail: &TailCache, group: RaftGroupId) -> Result<Option<Self>, StoreError> {
        let Some(row) = store.get(&raft_state::key(group))? else { return Ok(None) };
        let Some((_, state)) = GroupState::decode(&row) else {
            return Err(StoreError::damaged_in(group, "its raft state row cannot be read"));
        };
        let log = Self::with_state(store, tail, group, state);
        log.verify()?;
        Ok(Some(log))
    }

    /// The term in which a group is, by what is on disk; `None` when the group does not live here.
    ///
    /// # Errors
    ///
    /// As for [`Self::open`].
    pub fn stored_term(store: &Store, group: RaftGroupId) -> Result<Option<u64>, StoreError> {
        let Some(row) = store.get(&raft_state::key(group))? else { return Ok(None) };
        let state = GroupState::decode(&row);
        let state =
            state.ok_or_else(|| StoreError::damaged_in(group, "its raft state row cannot be read"))?;
        Ok(Some(state.1.term))
    }

    fn with_state(store: &Store, tail: &TailCache, group: RaftGroupId, state: GroupState) -> Self {
        Self {
            group,
            reader: store.reader(tail),
            reserved: Reserved::of_log(state.next_slot),
            state,
            pending: VecDeque::new(),
            fetches: RefCell::default(),
            read_bytes: Cell::new(0),
            snapshot: RefCell::default(),
            fault: RefCell::default(),
        }
    }

    /// Checks the order of the log's ends, and that there are entries at them. Their rows are all that is read: a node
    /// opens thousands of logs before it serves anybody, and bodies are checked by whoever reads them.
    fn verify(&self) -> Result<(), StoreError> {
        let GroupState { truncated, last, commit, applied, .. } = &self.state;
        if !(truncated.index <= *applied && applied <= commit && *commit <= last.index) {
            let detail = format!(
                "its log is compacted up to {}, applied up to {applied}, committed up to {commit} and ends at {}",
                truncated.index, last.index
            );
            return Err(StoreError::damaged_in(self.group, detail));
        }
        if truncated.index == last.index {
            return Ok(());
        }
        for index in [truncated.index.next(), last.index] {
            let header = self.reader.stored_header(self.group, index)?.ok_or_else(|| self.missing(index))?;
            if index == last.index && header.term != last.term {
                let detail =
                    format!("its last entry {index} has term {} instead of {}", header.term, last.term);
                return Err(StoreError::damaged_in(self.group, detail));
            }
        }
        Ok(())
    }
}
