//! What a member of a classic group wants done, and what it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::consumer::assignor::Assignor;
use crate::consumer::group::{Callback, MemberFailure};

/// What the owner of the machine has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this to the coordinator, and tell the member what came of it.
    Send(Request),
    /// Find the coordinator, and tell by `coordinator_found` or `coordinator_missing`.
    FindCoordinator,
    /// Run the application's callback to its end, then tell by `callback_done`.
    Call(Callback),
    /// Count the partitions of these topics, and tell by `topics_counted`. Unknown ones are left out.
    Count(BTreeSet<Arc<str>>),
    /// The membership is over.
    Fail(MemberFailure),
}

/// A request to the coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// JoinGroup, protocol type "consumer". Its answer goes to `joined`.
    Join {
        /// The member's id, empty at first.
        member_id: String,
        /// Each assignor with the member's subscription, the preferred one first.
        protocols: Vec<(Assignor, Vec<u8>)>,
    },
    /// SyncGroup. Its answer goes to `synced`.
    Sync {
        /// The generation that the answer to JoinGroup named.
        generation: i32,
        /// The member's id.
        member_id: String,
        /// The assignor that the group agreed on.
        assignor: Assignor,
        /// What each member gets, encoded; empty from all members but the leader.
        assignments: BTreeMap<String, Vec<u8>>,
    },
    /// Heartbeat. Its answer goes to `heartbeat_answered`.
    Heartbeat {
        /// The member's generation.
        generation: i32,
        /// The member's id.
        member_id: String,
    },
    /// LeaveGroup. No answer is waited for.
    Leave {
        /// The member's id.
        member_id: String,
    },
}

/// What a successful JoinGroup answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The new generation.
    pub generation: i32,
    /// The member's id.
    pub member_id: String,
    /// The assignor that the group agreed on.
    pub assignor: Assignor,
    /// Whether this member is the leader.
    pub leads: bool,
    /// Whether the leader need not assign, as nothing has changed (KIP-814): a static member came back.
    pub skip_assignment: bool,
    /// To the leader: each member's id, instance id and subscription.
    pub members: Vec<(String, Option<String>, Vec<u8>)>,
}

/// The name under which a member commits offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The member's id.
    pub member_id: String,
    /// Its generation, or its epoch (KIP-848).
    pub generation: i32,
    /// `group.instance.id`, of a static member.
    pub instance: Option<String>,
}
