//! The controller's own Raft group as its leader knows it, for administrators (KIP-595).
//!
//! Positions are counted in Raft entries, as Kafka counts the records of `__cluster_metadata`. Times are told as how long ago
//! something was: the nodes have no common clock.

use serde::{Deserialize, Serialize};

use crate::ids::NodeId;

/// The controller's group at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quorum {
    /// Its leader, which tells this. None before it leads.
    pub leader: Option<NodeId>,
    /// The leader's epoch.
    pub epoch: i32,
    /// How many entries are committed.
    pub high_watermark: u64,
    /// All its voters, which are all nodes, by id.
    pub voters: Vec<Voter>,
}

/// One voter of the controller's group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voter {
    /// Which node.
    pub node: NodeId,
    /// How many entries its log is known to have.
    pub log_end: u64,
    /// How long ago the leader last heard it, in milliseconds; none if it never did.
    pub silent_ms: Option<u64>,
    /// How long ago it was last known to have the whole log, in milliseconds; none if it never was.
    pub behind_ms: Option<u64>,
}

/// What came of the request to hand a leadership to the preferred replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Handover {
    /// The leadership is on its way.
    UnderWay,
    /// The preferred replica leads already.
    NotNeeded,
    /// The node that was asked does not lead the partition.
    NotLeader,
    /// The preferred replica cannot lead now: it is not alive, not caught up, about to end, or has no room.
    Unavailable,
}
