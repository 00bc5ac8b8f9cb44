//! What a coordinator is asked and what it answers, in the domain's terms. The broker translates from and to the wire.
//!
//! Numbers that a client states are kept as stated: what they may be is the coordinator's to judge.

mod classic;
mod consumer;
mod inspection;
mod offsets;
mod size;

pub use self::classic::{
    Heartbeat, JoinGroup, JoinProtocol, JoinedGroup, JoinedMember, LeaveGroup, LeavingMember, LeftGroup,
    SyncGroup, SyncedGroup,
};
pub use self::consumer::{ConsumerHeartbeat, ConsumerHeartbeatAnswer, TopicPartitions};
pub use self::inspection::{
    ClassicDescription, ClassicMemberDescription, ConsumerDescription, ConsumerMemberDescription, ListGroups,
    ListedGroup, NamedTopicPartitions,
};
pub use self::offsets::{
    CommitOffsets, CommitPartition, CommitTopic, DeleteOffsets, FetchOffsets, FetchedOffset, FetchedTopic,
    TopicResults,
};
use crate::coordinator::error::{GroupError, GroupErrorCode};
use crate::coordinator::ids::GroupId;

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

    /// The group that may have members, or offsets, after this and had none before, or the other way round.
    pub(super) const fn group_that_may_change_hands(&self) -> Option<&GroupId> {
        match self {
            Self::Join(_) | Self::Leave(_) | Self::ConsumerHeartbeat(_) | Self::CommitOffsets(_) => {
                self.group()
            }
            _ => None,
        }
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
