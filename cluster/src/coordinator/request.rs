//! What a coordinator is asked and what it answers, in the domain's terms. The broker translates from and to the wire.
//!
//! Numbers that a client states are kept as stated: what they may be is the coordinator's to judge.

use std::collections::BTreeMap;

use bytes::Bytes;
use uuid::Uuid;

use super::error::{GroupError, GroupErrorCode};
use super::ids::{Generation, GroupId, InstanceId, MemberEpoch, MemberId};
use crate::ids::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId, TopicName};

/// A request for one coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupRequest {
    /// JoinGroup.
    Join(JoinGroup),
    /// SyncGroup.
    Sync(SyncGroup),
    /// Heartbeat of a classic member.
    Heartbeat(Heartbeat),
    /// LeaveGroup.
    Leave(LeaveGroup),
    /// ConsumerGroupHeartbeat (KIP-848).
    ConsumerHeartbeat(ConsumerHeartbeat),
    /// OffsetCommit.
    CommitOffsets(CommitOffsets),
    /// OffsetFetch, of one group.
    FetchOffsets(FetchOffsets),
    /// OffsetDelete (KIP-496).
    DeleteOffsets(DeleteOffsets),
    /// DescribeGroups, of one group.
    DescribeClassic(GroupId),
    /// ConsumerGroupDescribe (KIP-848), of one group.
    DescribeConsumer(GroupId),
    /// ListGroups, of all groups of one coordinator.
    List(ListGroups),
    /// DeleteGroups, of one group.
    Delete(GroupId),
}

impl GroupRequest {
    /// The group that is asked about; none where it is all groups of a coordinator.
    #[must_use]
    pub const fn group(&self) -> Option<&GroupId> {
        Some(match self {
            Self::Join(request) => &request.group,
            Self::Sync(request) => &request.group,
            Self::Heartbeat(request) => &request.group,
            Self::Leave(request) => &request.group,
            Self::ConsumerHeartbeat(request) => &request.group,
            Self::CommitOffsets(request) => &request.group,
            Self::FetchOffsets(request) => &request.group,
            Self::DeleteOffsets(request) => &request.group,
            Self::DescribeClassic(group) | Self::DescribeConsumer(group) | Self::Delete(group) => group,
            Self::List(_) => return None,
        })
    }
}

/// The answer to a [`GroupRequest`], variant by variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupResponse {
    /// To [`GroupRequest::Join`].
    Join(JoinedGroup),
    /// To [`GroupRequest::Sync`].
    Sync(Result<SyncedGroup, GroupErrorCode>),
    /// To [`GroupRequest::Heartbeat`].
    Heartbeat(Result<(), GroupErrorCode>),
    /// To [`GroupRequest::Leave`].
    Leave(LeftGroup),
    /// To [`GroupRequest::ConsumerHeartbeat`].
    ConsumerHeartbeat(Result<ConsumerHeartbeatAnswer, GroupError>),
    /// To [`GroupRequest::CommitOffsets`].
    CommitOffsets(Vec<TopicResults>),
    /// To [`GroupRequest::FetchOffsets`].
    FetchOffsets(Result<Vec<FetchedTopic>, GroupErrorCode>),
    /// To [`GroupRequest::DeleteOffsets`].
    DeleteOffsets(Result<Vec<TopicResults>, GroupErrorCode>),
    /// To [`GroupRequest::DescribeClassic`].
    DescribeClassic(Result<ClassicDescription, GroupError>),
    /// To [`GroupRequest::DescribeConsumer`].
    DescribeConsumer(Result<ConsumerDescription, GroupError>),
    /// To [`GroupRequest::List`].
    List(Vec<ListedGroup>),
    /// To [`GroupRequest::Delete`].
    Delete(Result<(), GroupErrorCode>),
}

/// A member wants in, or has heard that the group is being rebalanced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinGroup {
    /// Which group.
    pub group: GroupId,
    /// The member's id, empty at first.
    pub member: MemberId,
    /// The static member's name, if it is one (v5, KIP-345).
    pub instance: Option<InstanceId>,
    /// How the client calls itself.
    pub client_id: String,
    /// Where it connects from, as `/address`.
    pub client_host: String,
    /// After how long without a word the member is gone, in milliseconds.
    pub session_timeout_ms: i32,
    /// How long the member may take to join a rebalance, in milliseconds. v0 has none and means the session timeout.
    pub rebalance_timeout_ms: i32,
    /// The kind of protocols below, `consumer` for consumers.
    pub protocol_type: String,
    /// The assignors that the member supports, the best first, each with what it wants to tell the group's leader.
    pub protocols: Vec<JoinProtocol>,
    /// Whether a new member must come back with the id it is given (v4, KIP-394).
    pub requires_member_id: bool,
    /// Whether the answer can tell a static leader to keep the assignment as it is (v9, KIP-814).
    pub supports_skip_assignment: bool,
    /// Fresh, for the id of a member that has none: a coordinator has no randomness of its own.
    pub fresh: Uuid,
}

/// One protocol of a [`JoinGroup`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinProtocol {
    /// The assignor's name.
    pub name: String,
    /// The member's subscription, for the assignor alone to read.
    pub metadata: Bytes,
}

/// The outcome of a [`JoinGroup`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedGroup {
    /// What was wrong, if anything was. The member id may be set all the same.
    pub error: Option<GroupErrorCode>,
    /// The new generation, -1 with an error.
    pub generation: Generation,
    /// The kind of the group's protocols.
    pub protocol_type: Option<String>,
    /// The protocol that was chosen.
    pub protocol: Option<String>,
    /// The member that assigns. Empty with an error.
    pub leader: MemberId,
    /// Whether the leader is to leave the assignment as it is.
    pub skip_assignment: bool,
    /// The id of the member that asked.
    pub member: MemberId,
    /// For the leader: everybody, with what they said about the protocol that was chosen.
    pub members: Vec<JoinedMember>,
}

impl JoinedGroup {
    /// A refusal.
    pub(super) fn refused(member: MemberId, error: GroupErrorCode) -> Self {
        Self {
            error: Some(error),
            generation: Generation(-1),
            protocol_type: None,
            protocol: None,
            leader: MemberId::from(""),
            skip_assignment: false,
            member,
            members: Vec::new(),
        }
    }
}

/// A member as the group's leader is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member: MemberId,
    /// Its static name, if it has one.
    pub instance: Option<InstanceId>,
    /// Its subscription.
    pub metadata: Bytes,
}

/// A member asks for its assignment; the leader brings everybody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncGroup {
    /// Which group.
    pub group: GroupId,
    /// The member that asks.
    pub member: MemberId,
    /// Its static name, if it has one (v3).
    pub instance: Option<InstanceId>,
    /// The generation that it joined.
    pub generation: Generation,
    /// The protocol type that it believes in (v5).
    pub protocol_type: Option<String>,
    /// The protocol that it believes in (v5).
    pub protocol: Option<String>,
    /// From the leader: each member's part.
    pub assignments: Vec<(MemberId, Bytes)>,
}

/// A member's assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncedGroup {
    /// The kind of the group's protocols.
    pub protocol_type: Option<String>,
    /// The protocol that was chosen.
    pub protocol: Option<String>,
    /// The member's part, as the leader gave it.
    pub assignment: Bytes,
}

/// A classic member lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Which group.
    pub group: GroupId,
    /// Which member.
    pub member: MemberId,
    /// Its static name, if it has one (v3).
    pub instance: Option<InstanceId>,
    /// The generation that it believes in.
    pub generation: Generation,
}

/// Members leave: themselves, or put out by an administrator (KIP-345).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveGroup {
    /// Which group.
    pub group: GroupId,
    /// Who leaves.
    pub members: Vec<LeavingMember>,
}

/// One member of a [`LeaveGroup`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeavingMember {
    /// Its id; may be empty for a static member.
    pub member: MemberId,
    /// Its static name, if it has one (v3).
    pub instance: Option<InstanceId>,
}

/// The outcome of a [`LeaveGroup`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftGroup {
    /// What was wrong with the request as a whole.
    pub error: Option<GroupErrorCode>,
    /// Member by member, in the request's order.
    pub members: Vec<(LeavingMember, Result<(), GroupErrorCode>)>,
}

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
    /// The wall clock now.
    pub now: TimestampMs,
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

/// A classic group, or one without members, as administrators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicDescription {
    /// Kafka's name of its state.
    pub state: &'static str,
    /// The kind of its protocols; empty without members.
    pub protocol_type: String,
    /// The protocol in use; empty while there is none.
    pub protocol: String,
    /// Its members.
    pub members: Vec<ClassicMemberDescription>,
}

/// A member of a [`ClassicDescription`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicMemberDescription {
    /// Its id.
    pub member: MemberId,
    /// Its static name, if it has one.
    pub instance: Option<InstanceId>,
    /// How it calls itself.
    pub client_id: String,
    /// Where it connects from.
    pub client_host: String,
    /// Its subscription, in the protocol in use.
    pub metadata: Bytes,
    /// Its part.
    pub assignment: Bytes,
}

/// A consumer group as administrators see it (KIP-848).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerDescription {
    /// Kafka's name of its state.
    pub state: &'static str,
    /// Counts the changes of members, subscriptions and topics.
    pub epoch: MemberEpoch,
    /// The epoch that the target assignment was made for.
    pub assignment_epoch: MemberEpoch,
    /// The assignor in use.
    pub assignor: String,
    /// Its members.
    pub members: Vec<ConsumerMemberDescription>,
}

/// A member of a [`ConsumerDescription`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerMemberDescription {
    /// Its id.
    pub member: MemberId,
    /// Its static name, if it has one.
    pub instance: Option<InstanceId>,
    /// Its rack.
    pub rack: Option<String>,
    /// The epoch it has reached.
    pub epoch: MemberEpoch,
    /// How it calls itself.
    pub client_id: String,
    /// Where it connects from.
    pub client_host: String,
    /// The topics it subscribes to by name.
    pub topic_names: Vec<String>,
    /// The pattern it subscribes to.
    pub topic_regex: Option<String>,
    /// What it owns now.
    pub assignment: Vec<NamedTopicPartitions>,
    /// What it is to own.
    pub target: Vec<NamedTopicPartitions>,
    /// Whether it speaks the classic protocol, during a migration.
    pub is_classic: bool,
}

/// Partitions of one topic, by id and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedTopicPartitions {
    /// The topic's id.
    pub id: TopicId,
    /// Its name.
    pub name: TopicName,
    /// Which of its partitions.
    pub partitions: Vec<PartitionIndex>,
}

/// Which groups to list. An empty filter lets everything pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListGroups {
    /// By state, in whatever case (KIP-518).
    pub states: Vec<String>,
    /// By type, in whatever case (KIP-848).
    pub types: Vec<String>,
}

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    /// Its name.
    pub group: GroupId,
    /// The kind of its protocols; empty where there never was a member.
    pub protocol_type: String,
    /// Kafka's name of its state.
    pub state: &'static str,
    /// `classic` or `consumer`.
    pub group_type: &'static str,
}
