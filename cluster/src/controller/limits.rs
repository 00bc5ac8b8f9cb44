//! The bounds on what one request, one topic and the cluster may hold.
//!
//! Kafka bounds the records of one user request (10,000) and leaves the rest to operators' policies. A partition
//! here is a Raft group with memory of its own on every replica, so the cluster's total is bounded too.

/// The most partitions one topic may have. Beyond it: `POLICY_VIOLATION`.
pub const MAX_PARTITIONS_PER_TOPIC: usize = 10_000;

/// The most partitions one request may create, so that a Raft entry stays below a megabyte. Beyond it:
/// `POLICY_VIOLATION`, as Kafka answers.
pub const MAX_PARTITIONS_PER_REQUEST: usize = 10_000;

/// The most partitions the cluster may have in all its topics. Beyond it: `POLICY_VIOLATION`.
pub const MAX_PARTITIONS_PER_CLUSTER: usize = 50_000;

/// The settings that all topics may have of their own, in bytes of names and values: each node keeps them in memory. Beyond it:
/// `POLICY_VIOLATION` for what would add to them.
pub const MAX_TOPIC_CONFIG_BYTES: usize = 16 << 20;

/// How many producer ids a node is given at a time, so that `InitProducerId` seldom reaches the controller (KIP-730).
pub const PRODUCER_ID_BLOCK: u32 = 1_000;

/// Consumer groups that may have settings of their own.
pub const MAX_GROUPS_WITH_CONFIGS: usize = 10_000;

/// Consumer groups whose settings one request may change, so that a Raft entry stays small. Beyond it: `POLICY_VIOLATION`.
pub(super) const MAX_GROUPS_PER_REQUEST: usize = 1_000;

/// The longest name of a group that may have settings of its own, in bytes. Beyond it: `POLICY_VIOLATION`.
pub(super) const MAX_GROUP_NAME: usize = 1_024;

/// The longest entry that the controller proposes, in bytes: no honest request comes near it, and followers are sent no entry that
/// is longer than a frame. Beyond it: `POLICY_VIOLATION`.
pub const MAX_ENTRY_BYTES: usize = 16 << 20;
