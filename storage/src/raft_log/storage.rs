//! [`raft::Storage`]: what raft reads of a log.

use raft::eraftpb::{ConfState, Entry, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};

use super::RaftLog;
use crate::entry::LogEntry;
use crate::error::StoreError;
use crate::ids::RaftIndex;

impl Storage for RaftLog {
    fn initial_state(&self) -> raft::Result<RaftState> {
        let members = ConfState { voters: self.state.voters.to_vec(), ..ConfState::default() };
        Ok(RaftState::new(self.hard_state(), members))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        let (low, high) = (RaftIndex(low), RaftIndex(high));
        if low <= self.state.truncated.index {
            return Err(Error::Store(StorageError::Compacted));
        }
        assert!(high <= self.state.last.index.next(), "{}: raft asks beyond the end of its log", self.group);
        if low >= high {
            return Ok(Vec::new());
        }
        // Without a bound raft asks for one reason: whether there are changes of the members among what is committed and
        // not applied, before it stands for election. There never are any, and there may be megabytes to read.
        let Some(max_size) = max_size.into() else { return Ok(Vec::new()) };
        let max_bytes = usize::try_from(max_size).unwrap_or(usize::MAX);
        let recent = self.reader.tail().range(self.group, low, high, max_bytes);
        if !recent.is_empty() {
            return Ok(to_raft(&recent));
        }
        let fetched = self.fetches.borrow_mut().collect(low);
        match fetched {
            Some(fetched) if !fetched.is_empty() => return Ok(to_raft(until(&fetched, high, max_bytes))),
            // Looked for elsewhere and not found: look here, where the log's ends are known.
            Some(_) => {}
            None if context.can_async() => {
                self.fetches.borrow_mut().want(self.group, low, high, max_bytes, context);
                return Err(Error::Store(StorageError::LogTemporarilyUnavailable));
            }
            None => {}
        }
        match self.reader.entries(self.group, low, high, max_bytes) {
            Ok(stored) if stored.is_empty() => Err(self.keep_fault(self.missing(low))),
            Ok(stored) => {
                let bytes = stored.iter().map(LogEntry::size_bytes).sum::<usize>();
                self.read_bytes.set(self.read_bytes.get().saturating_add(bytes));
                Ok(to_raft(&stored))
            }
            Err(error) => Err(self.keep_fault(error)),
        }
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        let index = RaftIndex(index);
        match self.find_term(index).map_err(|error| self.keep_fault(error))? {
            Some(term) => Ok(term),
            None if index < self.state.truncated.index => Err(Error::Store(StorageError::Compacted)),
            None => Err(Error::Store(StorageError::Unavailable)),
        }
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.state.truncated.index.next().0)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.state.last.index.0)
    }

    fn snapshot(&self, request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        self.snapshot.borrow_mut().get(request_index.max(self.state.truncated.index.0))
    }
}

impl RaftLog {
    /// Keeps an error for the owner, and tells raft that there was one. raft may take it for a sign that the follower
    /// needs a snapshot, and say nothing.
    fn keep_fault(&self, error: StoreError) -> Error {
        let told = Error::Store(StorageError::Unavailable);
        self.fault.borrow_mut().get_or_insert(error);
        told
    }

    /// The bytes of entries that raft read from the store since this was last called. It does so on the thread that drives
    /// the group, which then does nothing else.
    pub fn take_read_bytes(&mut self) -> usize {
        self.read_bytes.take()
    }

    /// What went wrong when raft read the log, if anything did since this was last called.
    ///
    /// # Errors
    ///
    /// The first such failure: the store cannot be read or is damaged, and the process has to end.
    pub fn check(&mut self) -> Result<(), StoreError> {
        self.fault.get_mut().take().map_or(Ok(()), Err)
    }
}

/// The entries below `high`, as many as fit into `max_bytes`, at least one.
fn until(entries: &[LogEntry], high: RaftIndex, max_bytes: usize) -> &[LogEntry] {
    let mut bytes = 0;
    let fitting = entries.iter().take_while(|entry| {
        bytes += entry.size_bytes();
        entry.index < high && bytes <= max_bytes
    });
    &entries[..fitting.count().max(1)]
}

/// The entries as raft wants them.
fn to_raft(entries: &[LogEntry]) -> Vec<Entry> {
    entries.iter().map(LogEntry::to_raft).collect()
}
