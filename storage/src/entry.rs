//! One entry of a group's log, as the rest of the project sees it.

use bytes::Bytes;
use raft::eraftpb::{Entry, EntryType};

use crate::ids::RaftIndex;

/// One Raft entry. Cloning shares the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its position in the group's log.
    pub index: RaftIndex,
    /// The term of the leader that proposed it.
    pub term: u64,
    /// Data, or a change of the group's members.
    pub entry_type: EntryType,
    /// What the proposer attached, opaque here.
    pub context: Bytes,
    /// The proposal: for a partition, consecutive record batches as a consumer will be sent them.
    pub payload: Bytes,
}

impl LogEntry {
    /// What an entry takes beside its bytes, in memory and in a message: an estimate that keeps many empty
    /// entries from passing as free.
    const OVERHEAD_BYTES: usize = 64;

    /// The entry as raft has it, sharing its bytes.
    #[must_use]
    pub fn from_raft(entry: &Entry) -> Self {
        Self {
            index: RaftIndex(entry.index),
            term: entry.term,
            entry_type: entry.entry_type,
            context: entry.context.clone(),
            payload: entry.data.clone(),
        }
    }

    /// The entry as raft wants it, sharing its bytes.
    #[must_use]
    pub fn to_raft(&self) -> Entry {
        Entry {
            entry_type: self.entry_type,
            term: self.term,
            index: self.index.0,
            data: self.payload.clone(),
            context: self.context.clone(),
            ..Entry::default()
        }
    }

    /// What the entry counts for against a budget of bytes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.payload.len() + self.context.len() + Self::OVERHEAD_BYTES
    }
}
