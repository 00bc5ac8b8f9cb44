//! Membership in a consumer group, as pure machines: answers and time go in, requests and callbacks come out.
//!
//! | module | protocol |
//! | --- | --- |
//! | [`classic`] | `group.protocol=classic`: JoinGroup, SyncGroup, Heartbeat, LeaveGroup; a member assigns |
//! | [`modern`] | `group.protocol=consumer` (KIP-848): one heartbeat carries everything; the coordinator assigns |
//!
//! Both keep one promise: a partition that the member gives up is named in a [`Callback`] first, and the coordinator learns
//! that it is free only after [`callback_done`](classic::ClassicMember::callback_done). An application can therefore commit
//! what it has done before anybody else begins where it ended.

pub mod classic;
mod holding;
pub mod modern;

use std::collections::BTreeSet;

use trilog_protocol::ErrorCode;

use super::partition::TopicPartition;

/// What the application is told, and has to be done with before the group goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callback {
    /// The member gives these up. They are still its own: offsets can be committed.
    Revoke(BTreeSet<TopicPartition>),
    /// The member lost these: the coordinator has given it up, and somebody else may have them. A commit would be refused.
    Lose(BTreeSet<TopicPartition>),
    /// The member has these in addition to what it keeps. May be empty: the rebalance is over.
    Assign(BTreeSet<TopicPartition>),
}

/// Why a member left its group for good. Nothing but a new consumer, or another configuration, helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the group does not take the member: {0}")]
pub struct MemberFailure(pub ErrorCode);
