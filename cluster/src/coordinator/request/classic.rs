//! The classic protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.

use bytes::Bytes;
use uuid::Uuid;

use crate::coordinator::error::GroupErrorCode;
use crate::coordinator::ids::{Generation, GroupId, InstanceId, MemberId};

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
    pub(in crate::coordinator) fn refused(member: MemberId, error: GroupErrorCode) -> Self {
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
