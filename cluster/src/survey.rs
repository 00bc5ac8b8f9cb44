//! What the driver alone can tell of a node's Raft groups and consumer groups, gathered when somebody asks.
//!
//! A survey is one pass over the groups, made between two rounds and handed over as values: a few ten microseconds for
//! a thousand groups, and nothing at all while nobody asks. Committed offsets are not copied but shared with the
//! coordinators, so that their size does not count.

use std::collections::BTreeMap;

use crate::coordinator::CommittedOffsets;

/// A node's groups at one moment.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// The term of the controller's group.
    pub controller_term: u64,
    /// Whether this node serves as the controller's leader.
    pub leads_controller: bool,
    /// The highest term of any group.
    pub highest_term: u64,
    /// Raft groups of which this node has a replica.
    pub groups: usize,
    /// Those among them that are ticked: an idle group sleeps.
    pub groups_awake: usize,
    /// Those that this node's disk was to hold, had it not been lost, and does not hold yet.
    pub groups_rejoining: usize,
    /// Those that this node leads.
    pub groups_led: usize,
    /// Entries in this node's logs that it does not know to be committed.
    pub commit_lag: Lag,
    /// Entries that are known to be committed and not applied here yet.
    pub apply_lag: Lag,
    /// Committed entries of groups led here that some follower is not known to have, counted for the follower that is
    /// furthest behind.
    pub replication_lag: Lag,
    /// Bytes that are written and not yet synced.
    pub unsynced_bytes: usize,
    /// Consumer groups coordinated here, by Kafka's names of their type and their state.
    pub consumer_groups: BTreeMap<(&'static str, &'static str), usize>,
    /// What the groups coordinated here have committed, group by group.
    pub committed_offsets: Vec<CommittedOffsets>,
}

/// By how much groups are behind, in Raft entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// All groups together.
    pub total: u64,
    /// The group that is furthest behind.
    pub most: u64,
}

impl Lag {
    /// Counts a group that has `reached` one index and is to reach another.
    pub(crate) fn count(&mut self, target: u64, reached: u64) {
        let behind = target.saturating_sub(reached);
        self.total += behind;
        self.most = self.most.max(behind);
    }
}
