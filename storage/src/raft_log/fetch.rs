//! Reading old entries for raft on another thread.
//!
//! A leader that feeds a lagging follower needs entries that left the tail long ago. Read on the thread that drives a
//! thousand groups, they would hold all of them up. So the log answers that they are not there yet, and:
//!
//! ```text
//! raft: entries(..)            → LogTemporarilyUnavailable, the request is kept
//! owner: take_fetches()        → EntryFetch, sent to another thread
//! other thread: fetch.read(..) → FetchedEntries, sent back
//! owner: provide_fetched(..)   → context, handed to RawNode::on_entries_fetched
//! raft: entries(..)            → served from what was fetched
//! ```
//!
//! What was fetched is used once. What came too late, because the log was cut meanwhile, is dropped; raft asks again.

use std::mem;

use raft::GetEntriesContext;

use super::RaftLog;
use crate::entry::LogEntry;
use crate::error::StoreError;
use crate::ids::{RaftGroupId, RaftIndex};
use crate::log_reader::LogReader;

/// How many fetched runs a log keeps for raft to collect. A group has few followers, and raft collects at once.
const MAX_UNCOLLECTED: usize = 4;

/// Entries that raft waits for. To be [read](Self::read) on a thread that may wait for the disk.
#[derive(Debug)]
pub struct EntryFetch {
    group: RaftGroupId,
    low: RaftIndex,
    high: RaftIndex,
    max_bytes: usize,
    generation: u64,
    context: GetEntriesContext,
}

/// What was read. To be handed to [`RaftLog::provide_fetched`] of the log that asked for it.
#[derive(Debug)]
pub struct FetchedEntries {
    low: RaftIndex,
    entries: Vec<LogEntry>,
    generation: u64,
    context: GetEntriesContext,
}

impl EntryFetch {
    /// The group whose log asked.
    #[must_use]
    pub const fn group(&self) -> RaftGroupId {
        self.group
    }

    /// Reads the entries: as many as raft wanted at most, fewer or none when they were compacted away meanwhile.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or is damaged. Raft is then left without an answer; the process has to end.
    pub fn read(self, reader: &LogReader) -> Result<FetchedEntries, StoreError> {
        let entries = reader.entries(self.group, self.low, self.high, self.max_bytes)?;
        let Self { low, generation, context, .. } = self;
        Ok(FetchedEntries { low, entries, generation, context })
    }
}

impl FetchedEntries {
    /// How many bytes the entries' payloads have.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.payload.len()).sum()
    }
}

/// What a log has asked for and what it got.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    /// Asked for and not yet taken by the owner.
    wanted: Vec<EntryFetch>,
    /// First indexes of what is being read.
    under_way: Vec<RaftIndex>,
    /// Read, and not yet collected by raft.
    fetched: Vec<(RaftIndex, Vec<LogEntry>)>,
    /// Counts how often the log was cut. What was read of an older generation may be of entries that are gone.
    generation: u64,
}

impl Fetches {
    /// Forgets what was read, and makes sure that what is being read will be forgotten, too.
    pub(super) fn invalidate(&mut self) {
        self.generation += 1;
        self.fetched.clear();
    }

    /// Asks for the entries from `low` up to but not including `high`. While entries from `low` on are being read they
    /// are not asked for again: raft asks with every heartbeat that is answered.
    pub(super) fn want(
        &mut self,
        group: RaftGroupId,
        low: RaftIndex,
        high: RaftIndex,
        max_bytes: usize,
        context: GetEntriesContext,
    ) {
        if !self.under_way.contains(&low) {
            self.under_way.push(low);
            let generation = self.generation;
            self.wanted.push(EntryFetch { group, low, high, max_bytes, generation, context });
        }
    }

    /// What was read from `low` on, if anything was. An empty answer means that the entries were not found.
    pub(super) fn collect(&mut self, low: RaftIndex) -> Option<Vec<LogEntry>> {
        let at = self.fetched.iter().position(|(first, _)| *first == low)?;
        Some(self.fetched.swap_remove(at).1)
    }

    /// Keeps what was read until raft collects it.
    fn put(&mut self, fetched: FetchedEntries) -> GetEntriesContext {
        self.under_way.retain(|low| *low != fetched.low);
        if fetched.generation == self.generation {
            self.fetched.retain(|(low, _)| *low != fetched.low);
            if self.fetched.len() == MAX_UNCOLLECTED {
                self.fetched.remove(0);
            }
            self.fetched.push((fetched.low, fetched.entries));
        }
        fetched.context
    }
}

impl RaftLog {
    /// What raft waits for since this was last called. Each is to be read elsewhere and brought back, or raft waits on.
    pub fn take_fetches(&mut self) -> Vec<EntryFetch> {
        mem::take(&mut self.fetches.get_mut().wanted)
    }

    /// Drops what was read and not collected. Who leads no more feeds nobody.
    pub fn forget_fetched(&mut self) {
        self.fetches.get_mut().fetched = Vec::new();
    }

    /// The bytes of what was read and not collected.
    #[must_use]
    pub fn fetched_bytes(&self) -> usize {
        let fetches = self.fetches.borrow();
        fetches.fetched.iter().flat_map(|(_, entries)| entries).map(LogEntry::size_bytes).sum()
    }

    /// Takes what was read. The context that comes back is for `RawNode::on_entries_fetched`, which makes raft ask
    /// again.
    pub fn provide_fetched(&mut self, fetched: FetchedEntries) -> GetEntriesContext {
        self.fetches.get_mut().put(fetched)
    }
}
