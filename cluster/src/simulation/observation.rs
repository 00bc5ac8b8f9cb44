//! What the invariants are shown: everything that happens to logs and states, and everything that clients are told.

use bytes::Bytes;
use raft::eraftpb::Entry;

use super::call::{Answer, Call, Fetched, ReadBatch};
use crate::ids::{LeaderEpoch, NodeId, Offset, RaftGroupId, RaftIndex, Ticket};

/// The terms of a log's entries, from the one at `first` on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LogTerms {
    pub(super) first: u64,
    pub(super) terms: Vec<u64>,
}

impl LogTerms {
    /// The last entry's index; one before the first where there is none.
    pub(super) fn last(&self) -> u64 {
        self.first + self.terms.len() as u64 - 1
    }

    /// The term of the entry at `index`, if it is there.
    pub(super) fn term_of(&self, index: u64) -> Option<u64> {
        let at = usize::try_from(index.checked_sub(self.first)?).ok()?;
        self.terms.get(at).copied()
    }

    /// Whether the log has the entry, or had it before it was compacted.
    pub(super) fn holds(&self, index: RaftIndex, term: u64) -> bool {
        index.0 < self.first || self.term_of(index.0) == Some(term)
    }
}

/// One thing that was seen.
pub(super) enum Observation<'a> {
    /// A replica became leader.
    Elected { node: NodeId, group: RaftGroupId, term: u64, voters: &'a [NodeId], log: &'a LogTerms },
    /// An entry came into a replica's log, behind one of term `after`.
    Written { node: NodeId, group: RaftGroupId, entry: &'a Entry, after: Option<u64> },
    /// A disk holds this much of a log for certain.
    Durable { node: NodeId, group: RaftGroupId, log: &'a LogTerms },
    /// A node lost power, or its disk, and with it an entry that its replica held.
    Forgotten { node: NodeId, group: RaftGroupId, index: RaftIndex, term: u64 },
    /// A machine went down.
    LostPower { node: NodeId },
    /// Everything on a node's disk is lost.
    Wiped { node: NodeId },
    /// A replica in `term` applied an entry: if it is a partition's, these batches.
    Applied {
        node: NodeId,
        group: RaftGroupId,
        term: u64,
        voters: &'a [NodeId],
        entry: &'a Entry,
        batches: &'a [ReadBatch],
    },
    /// A replica applied that the records of a partition below an offset are deleted.
    Deleted { group: RaftGroupId, before: Offset },
    /// A replica is no more, as its topic is deleted. What it applied at last, nobody has seen.
    Removed { group: RaftGroupId },
    /// The state that a replica has once the entry at `index` is applied.
    State { node: NodeId, group: RaftGroupId, index: RaftIndex, state: &'a Bytes, is_coordinator: bool },
    /// A replica's readers see this from now on.
    Shows {
        node: NodeId,
        group: RaftGroupId,
        epoch: Option<LeaderEpoch>,
        log_start: Offset,
        high_watermark: Offset,
    },
    /// A process took a request up.
    Called { ticket: Ticket, call: &'a Call },
    /// A process answered a request.
    Answered { node: NodeId, ticket: Ticket, call: &'a Call, answer: &'a Answer },
    /// A replica gave this to a reader that began at `from`.
    Read { node: NodeId, group: RaftGroupId, from: Offset, fetched: &'a Fetched },
}
