//! The consumer protocol of KIP-848: ConsumerGroupHeartbeat.

use uuid::Uuid;

use crate::coordinator::ids::{GroupId, InstanceId, MemberEpoch, MemberId};
use crate::ids::{PartitionIndex, TopicId};

/// A member of a consumer group says what has changed, or that it lives (KIP-848). What is None has not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerHeartbeat {
    /// Which group.
    pub group: GroupId,
    /// Which member. Empty when it joins with v0: it is then given an id.
    pub member: MemberId,
    /// The epoch it has reached; 0 joins, -1 leaves, -2 leaves for a while.
    pub epoch: MemberEpoch,
    /// Its static name.
    pub instance: Option<InstanceId>,
    /// Its rack.
    pub rack: Option<String>,
    /// How long it may take to give partitions up, in milliseconds; -1 unchanged.
    pub rebalance_timeout_ms: i32,
    /// The topics it subscribes to by name.
    pub topic_names: Option<Vec<String>>,
    /// The topics it subscribes to by pattern; empty takes a pattern back (v1).
    pub topic_regex: Option<String>,
    /// The assignor it wants.
    pub assignor: Option<String>,
    /// The partitions it owns.
    pub owned: Option<Vec<TopicPartitions>>,
    /// How the client calls itself.
    pub client_id: String,
    /// Where it connects from, as `/address`.
    pub client_host: String,
    /// Fresh, for the id of a member that has none.
    pub fresh: Uuid,
}

/// The answer to a [`ConsumerHeartbeat`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerHeartbeatAnswer {
    /// The member's id.
    pub member: MemberId,
    /// The epoch that it is in now.
    pub epoch: MemberEpoch,
    /// When it is to heartbeat again, in milliseconds.
    pub heartbeat_interval_ms: i32,
    /// What it is to own from now on, if that has changed or it asked.
    pub assignment: Option<Vec<TopicPartitions>>,
}

/// Partitions of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPartitions {
    /// Which topic.
    pub topic: TopicId,
    /// Which of its partitions.
    pub partitions: Vec<PartitionIndex>,
}
