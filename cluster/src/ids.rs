//! The vocabulary of a cluster, shared by every room of this crate and by the broker.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
pub use trilog_storage::ids::{Offset, RaftGroupId, RaftIndex, StoreId};
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

/// The term of a partition's leader. Stamped into every batch that this leader accepts; equal to the Raft term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeaderEpoch(pub i32);

/// An idempotent producer's identity, unique in the cluster (KIP-98).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProducerId(pub i64);

/// How often a producer id has been taken over; a lower one is fenced (KIP-98).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProducerEpoch(pub i16);

/// Names an answer that somebody waits for. The driver knows who.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub(crate) u64);

/// Milliseconds since the Unix epoch, as record timestamps count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TimestampMs(pub i64);
