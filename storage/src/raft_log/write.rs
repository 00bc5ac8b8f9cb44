//! What changes a log: new entries and new Raft state.

use std::ops::Range;

use raft::eraftpb::{Entry, HardState};

use super::{Pending, RaftLog};
use crate::entry::LogEntry;
use crate::error::StoreError;
use crate::ids::RaftIndex;
use crate::keys::raft_entry::Header;
use crate::keys::raft_state::LogPosition;
use crate::write_batch::WriteBatch;

impl RaftLog {
    /// Puts `entries` at the end of the log. Those that have their indexes or higher ones, which a new leader has
    /// overruled, are removed in the same batch.
    ///
    /// # Errors
    ///
    /// When an entry that is to be removed cannot be read.
    ///
    /// # Panics
    ///
    /// When the entries would leave a gap or replace what is committed. raft never hands over such entries.
    pub fn append(&mut self, entries: &[Entry], batch: &mut WriteBatch) -> Result<(), StoreError> {
        let Some(first) = entries.first().map(|entry| RaftIndex(entry.index)) else { return Ok(()) };
        assert!(first > self.state.commit, "{}: entry {first} would replace a committed one", self.group);
        assert!(first <= self.state.last.index.next(), "{}: entry {first} would leave a gap", self.group);
        self.remove_from(first, batch)?;
        for (expected, entry) in (first.0..).zip(entries) {
            assert_eq!(entry.index, expected, "{}: appended entries are not consecutive", self.group);
            let entry = LogEntry::from_raft(entry);
            let header = Header::new(self.group, &entry, self.state.next_slot);
            batch.put_entry(self.group, header, &entry);
            let at = LogPosition { index: entry.index, term: entry.term };
            let slots = header.slots();
            if !slots.is_empty() {
                batch.reserve_slots(self.group, self.reserved.extend(slots.end));
                self.state.next_slot = slots.end;
            }
            self.pending.push_back(Pending { at, slots });
            self.state.last = at;
        }
        self.record_state(batch);
        Ok(())
    }

    /// Takes note that the batch with `entries` was applied: from here on they are readable, by this log and by every
    /// [`LogReader`](crate::LogReader), from memory.
    pub fn appended(&mut self, entries: &[Entry]) {
        let Some(last) = entries.last() else { return };
        self.reader.tail().append(self.group, entries.iter().map(LogEntry::from_raft));
        while self.pending.front().is_some_and(|pending| pending.at.index.0 <= last.index) {
            self.pending.pop_front();
        }
    }

    /// Records term, vote and commit. A commit index that is lower than a known one is not taken back.
    pub fn set_hard_state(&mut self, hard_state: &HardState, batch: &mut WriteBatch) {
        self.state.term = hard_state.term;
        self.state.vote = hard_state.vote;
        self.state.commit = self.state.commit.max(RaftIndex(hard_state.commit));
        self.record_state(batch);
    }

    /// Records that the effects of everything up to `applied` are in the stored state, or in the same batch.
    ///
    /// What is applied is committed, so the commit index goes along. raft tells a new commit index apart from the hard
    /// state; without this, one that was applied could be missing after a restart, which raft answers with a panic.
    pub fn set_applied(&mut self, applied: RaftIndex, batch: &mut WriteBatch) {
        self.state.applied = self.state.applied.max(applied);
        self.state.commit = self.state.commit.max(applied);
        self.record_state(batch);
    }

    /// Removes the entries from `first` to the end of the log.
    pub(super) fn remove_from(&mut self, first: RaftIndex, batch: &mut WriteBatch) -> Result<(), StoreError> {
        let end = self.state.last.index;
        if first > end {
            return Ok(());
        }
        self.fetches.borrow_mut().invalidate();
        for index in (first.0..=end.0).map(RaftIndex) {
            let slots = self.slots_of(index)?;
            batch.remove_entry(self.group, index, slots);
        }
        while self.pending.back().is_some_and(|pending| pending.at.index >= first) {
            self.pending.pop_back();
        }
        Ok(())
    }

    /// The slots that an entry of the log takes, or will take once its batch is applied.
    pub(super) fn slots_of(&self, index: RaftIndex) -> Result<Range<u64>, StoreError> {
        if let Some(pending) = self.pending_at(index) {
            return Ok(pending.slots.clone());
        }
        let header = self.reader.stored_header(self.group, index)?;
        header.map(Header::slots).ok_or_else(|| self.missing(index))
    }
}
