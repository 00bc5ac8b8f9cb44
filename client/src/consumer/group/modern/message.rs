//! What a member of the consumer protocol sends, what it is answered, and what it wants done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::consumer::group::{Callback, MemberFailure};

/// Partitions by topic id, as heartbeats list them.
pub type PartitionsById = BTreeMap<Uuid, BTreeSet<i32>>;

/// What a member wants to consume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Topics by name.
    pub names: BTreeSet<Arc<str>>,
    /// A regular expression in RE2's syntax, which the coordinator matches against all topics.
    pub pattern: Option<String>,
}

impl Wanted {
    pub(super) fn is_nothing(&self) -> bool {
        self.names.is_empty() && self.pattern.is_none()
    }
}

/// ConsumerGroupHeartbeat. What is None has not changed since the last answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatRequest {
    /// The member's id.
    pub member_id: String,
    /// Its epoch: 0 to join, -1 to leave, -2 to leave as a static member.
    pub epoch: i32,
    /// `group.instance.id`.
    pub instance: Option<String>,
    /// `client.rack`.
    pub rack: Option<String>,
    /// How long the coordinator waits for the member to let go of a partition.
    pub rebalance_timeout: Option<Duration>,
    /// What it wants.
    pub wanted: Option<Wanted>,
    /// The assignor that it asks for.
    pub assignor: Option<String>,
    /// What it has.
    pub owned: Option<PartitionsById>,
}

/// What a successful heartbeat answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatAnswer {
    /// The member's id.
    pub member_id: String,
    /// The member's epoch.
    pub epoch: i32,
    /// How long until the next heartbeat.
    pub interval: Duration,
    /// The assignment, if it has changed.
    pub assignment: Option<PartitionsById>,
}

/// What the owner of the machine has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this to the coordinator, and tell by `heartbeat_answered` or `heartbeat_failed`. A heartbeat that leaves is not
    /// waited for.
    Send(HeartbeatRequest),
    /// Find the coordinator, and tell by `coordinator_found` or `coordinator_missing`.
    FindCoordinator,
    /// Run the application's callback to its end, then tell by `callback_done`.
    Call(Callback),
    /// Ask the brokers for the names of these topics, and tell by `topics_named`. What stays unknown is asked for again.
    NameTopics(BTreeSet<Uuid>),
    /// The membership is over.
    Fail(MemberFailure),
}
