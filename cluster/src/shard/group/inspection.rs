//! A look at a group from outside, for tests that hold it against what Raft promises.

use raft::GetEntriesContext;
use raft::eraftpb::Entry;

use super::Group;
use crate::ids::{LeaderEpoch, NodeId, RaftGroupId, RaftIndex};
use crate::shard::Shard;
use crate::shard::machine::Machine;

/// One replica, as it is between two inputs.
#[derive(Clone, Copy)]
pub(crate) struct GroupView<'a>(&'a Group);

impl Shard {
    /// All groups of this node, in order.
    pub(crate) fn group_views(&self) -> impl Iterator<Item = GroupView<'_>> {
        self.groups.values().map(GroupView)
    }

    /// Whether this node takes part wherever others can let it in, and has got back what a lost disk held.
    pub(crate) fn has_rejoined(&self) -> bool {
        self.group_views().all(|group| group.is_admitted() || group.is_lost())
    }

    /// One of them, if it is here.
    pub(crate) fn group_view(&self, id: RaftGroupId) -> Option<GroupView<'_>> {
        self.groups.get(&id).map(GroupView)
    }
}

impl<'a> GroupView<'a> {
    pub(crate) const fn id(self) -> RaftGroupId {
        self.0.id
    }

    pub(crate) fn voters(self) -> &'a [NodeId] {
        &self.0.voters
    }

    fn is_admitted(self) -> bool {
        self.0.is_admitted()
    }

    /// Whether this was the only replica, and went with a disk. A group that was made while its node was about to find out
    /// that its disk was lost is taken for older than the loss, and stays lost, though nothing was ever in it.
    pub(crate) fn is_lost(self) -> bool {
        self.0.is_barred() && self.voters().len() == 1
    }

    pub(crate) fn term(self) -> u64 {
        self.0.term()
    }

    pub(crate) fn is_leader(self) -> bool {
        self.0.is_leader()
    }

    pub(crate) fn serving(self) -> Option<LeaderEpoch> {
        self.0.serving()
    }

    /// Whether the log holds batches.
    pub(crate) const fn is_partition(self) -> bool {
        matches!(self.0.machine, Machine::Partition(_))
    }

    /// Whether the state holds consumer groups.
    pub(crate) const fn is_coordinator(self) -> bool {
        matches!(self.0.machine, Machine::Coordinator(_))
    }

    /// The last entry that the state holds.
    pub(crate) fn applied(self) -> RaftIndex {
        self.0.installing.map_or(RaftIndex(self.0.node.raft.raft_log.applied), |(_, index)| index)
    }

    /// The first entry of the log.
    pub(crate) fn first(self) -> RaftIndex {
        RaftIndex(self.0.node.raft.raft_log.first_index())
    }

    /// The last entry of the log.
    pub(crate) fn last(self) -> RaftIndex {
        RaftIndex(self.0.node.raft.raft_log.last_index())
    }

    /// The term of an entry of the log, or of the one before it.
    pub(crate) fn term_of(self, index: RaftIndex) -> Option<u64> {
        self.0.node.raft.raft_log.term(index.0).ok()
    }

    /// Entries of the log, from `first` up to and including `last`.
    pub(crate) fn entries(self, first: RaftIndex, last: RaftIndex) -> Vec<Entry> {
        let log = &self.0.node.raft.raft_log;
        let mut entries: Vec<Entry> = Vec::new();
        let mut next = first.0;
        while next <= last.0 {
            // A log may hand out fewer than it is asked for, as when it has just read some of them for Raft.
            let context = GetEntriesContext::empty(false);
            entries.extend(log.slice(next, last.0 + 1, u64::MAX, context).expect("a log has its entries"));
            next = entries.last().expect("a slice is not empty").index + 1;
        }
        entries
    }

    /// The replicated state, encoded.
    pub(crate) fn state(self) -> bytes::Bytes {
        self.0.machine.state()
    }
}
