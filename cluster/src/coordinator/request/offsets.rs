//! OffsetCommit, OffsetFetch, OffsetDelete.

use std::collections::BTreeMap;

use crate::coordinator::error::GroupErrorCode;
use crate::coordinator::ids::{GroupId, InstanceId, MemberId};
use crate::ids::{LeaderEpoch, Offset, PartitionIndex, TopicName};

/// Offsets to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitOffsets {
    /// Which group.
    pub group: GroupId,
    /// The member that commits; empty for a consumer that is in no group.
    pub member: MemberId,
    /// Its generation or member epoch; -1 for a consumer that is in no group.
    pub epoch: i32,
    /// Its static name, if it has one (v7).
    pub instance: Option<InstanceId>,
    /// How long to keep the offsets, where the client says (v2-4, milliseconds; -1 and later versions leave it to the
    /// coordinator).
    pub retention_ms: Option<i64>,
    /// Whether the version can express a member epoch's errors (v9, KIP-848).
    pub knows_epochs: bool,
    /// Topic by topic.
    pub topics: Vec<CommitTopic>,
}

/// Offsets of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitTopic {
    /// The topic's name.
    pub name: TopicName,
    /// Partition by partition.
    pub partitions: Vec<CommitPartition>,
}

/// The offset of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitPartition {
    /// Which partition.
    pub index: PartitionIndex,
    /// The next offset to consume.
    pub offset: Offset,
    /// The epoch of the last record consumed, if it is known (v6).
    pub leader_epoch: Option<LeaderEpoch>,
    /// Whatever the client wants to keep with it; comes back as given.
    pub metadata: String,
}

/// What came of each partition of a request, in the request's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicResults {
    /// The topic's name.
    pub name: TopicName,
    /// Partition by partition.
    pub partitions: Vec<(PartitionIndex, Result<(), GroupErrorCode>)>,
}

/// Which offsets are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchOffsets {
    /// Which group.
    pub group: GroupId,
    /// The member that asks, if it says (v9, KIP-848).
    pub member: Option<MemberId>,
    /// Its member epoch, -1 if it does not say.
    pub epoch: i32,
    /// Which partitions; None for all that have an offset.
    pub topics: Option<BTreeMap<TopicName, Vec<PartitionIndex>>>,
    /// Whether offsets with an open transaction are to be waited for (KIP-447). There are none yet.
    pub require_stable: bool,
}

/// Offsets of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedTopic {
    /// The topic's name.
    pub name: TopicName,
    /// Partition by partition; None where nothing was committed.
    pub partitions: Vec<(PartitionIndex, Option<FetchedOffset>)>,
}

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedOffset {
    /// The next offset to consume.
    pub offset: Offset,
    /// The epoch of the last record consumed, if it was known.
    pub leader_epoch: Option<LeaderEpoch>,
    /// As it was committed.
    pub metadata: String,
}

/// Offsets to forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteOffsets {
    /// Which group.
    pub group: GroupId,
    /// Of which partitions.
    pub topics: Vec<(TopicName, Vec<PartitionIndex>)>,
}
