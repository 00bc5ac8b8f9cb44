//! The vocabulary of a cluster, shared by every room of this crate and by the broker.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
pub use trilog_protocol::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};
pub use trilog_storage::ids::{RaftGroupId, RaftIndex, StoreId};
use uuid::Uuid;

/// A node of the cluster; what Kafka calls a broker id. Raft has no member 0, so that the node with this number has another id
/// here, and on disks and between nodes as well: [`number`](Self::number) is what people and clients see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeId(pub u32);

impl NodeId {
    /// What stands for the node of number 0: the first id that no other number has.
    const ZERO: u32 = 1 << 31;

    /// The node that people and clients call `number`.
    #[must_use]
    pub fn of_number(number: i32) -> Option<Self> {
        match u32::try_from(number) {
            Ok(0) => Some(Self(Self::ZERO)),
            Ok(id) => Some(Self(id)),
            Err(_) => None,
        }
    }

    /// What people and clients call it, if it is the id of a node.
    #[must_use]
    pub fn number(self) -> Option<i32> {
        match self.0 {
            0 => None,
            Self::ZERO => Some(0),
            id => i32::try_from(id).ok(),
        }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number() {
            Some(number) => number.fmt(f),
            None => write!(f, "({})", self.0),
        }
    }
}

/// The identity of a topic, which a topic of the same name made later does not share (KIP-516).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TopicId(pub Uuid);

/// A topic's name, shared rather than copied.
pub type TopicName = Arc<str>;

/// A partition's number within its topic, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PartitionIndex(pub i32);

impl fmt::Display for PartitionIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names an answer that somebody waits for. The driver knows who.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub(crate) u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_a_node_has_an_id_that_raft_takes() {
        for number in [0, 1, 2, i32::MAX] {
            let node = NodeId::of_number(number).unwrap();
            assert!(node.0 != 0 && node.number() == Some(number) && node.to_string() == number.to_string());
        }
        assert_eq!(NodeId::of_number(3), Some(NodeId(3)), "what is on disks stays what it is");
        assert_eq!([-1, i32::MIN].map(NodeId::of_number), [None, None]);
        assert_eq!([0, u32::MAX].map(|id| NodeId(id).number()), [None, None]);
    }
}
