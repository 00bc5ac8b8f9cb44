//! The vocabulary of a cluster, shared by every room of this crate and by the broker.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
pub use trilog_protocol::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};
pub use trilog_storage::ids::{RaftGroupId, RaftIndex, StoreId};
use uuid::Uuid;

/// A node of the cluster; what Kafka calls a broker id. From 1 upwards, as Raft has no member 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeId(pub u32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
