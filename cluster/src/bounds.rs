//! The bounds of this crate that operators are told of, in one place: `docs/bounds.md` lists them, and a test of the broker
//! compares that list with these constants.

pub use crate::controller::{
    MAX_ENTRY_BYTES, MAX_GROUPS_WITH_CONFIGS, MAX_PARTITIONS_PER_CLUSTER, MAX_PARTITIONS_PER_REQUEST,
    MAX_PARTITIONS_PER_TOPIC, MAX_REQUEST_BYTES, MAX_TOPIC_CONFIG_BYTES,
};
pub use crate::driver::inbox::MAX_PEER_BYTES;
use crate::shard::ProducerLimits;
pub use crate::transport::{MAX_QUEUED_BYTES, MAX_STRANGERS};

/// Idempotent producers that a partition remembers.
pub const MAX_PRODUCERS_PER_PARTITION: usize = ProducerLimits::DEFAULT.partition;
/// Idempotent producers that the replicas of a node remember.
pub const MAX_PRODUCERS_PER_NODE: usize = ProducerLimits::DEFAULT.node;
