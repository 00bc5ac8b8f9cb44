//! A member: what it says of itself, what it is to own, and how far it has got there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::partitions::OwnedPartitions;
use crate::coordinator::assignor::Assignment;
use crate::coordinator::classic::SupportedProtocol;
use crate::coordinator::ids::{InstanceId, MemberEpoch};
use crate::coordinator::request::ConsumerHeartbeat;
use crate::coordinator::settings::AssignorName;
use crate::ids::TopicName;

/// A member of a consumer group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    /// What it says of itself.
    pub(in crate::coordinator) metadata: MemberMetadata,
    /// What it is to own, by the group's target assignment.
    pub(in crate::coordinator) target: Assignment,
    /// What it owns.
    pub(in crate::coordinator) current: CurrentAssignment,
}

/// What a member says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::coordinator) struct MemberMetadata {
    /// The static member's name, if it is one.
    pub(in crate::coordinator) instance: Option<InstanceId>,
    pub(in crate::coordinator) rack: Option<String>,
    pub(in crate::coordinator) client_id: String,
    pub(in crate::coordinator) client_host: String,
    /// How long it may take to give partitions up, in milliseconds as it said.
    pub(in crate::coordinator) rebalance_timeout_ms: i32,
    /// The topics it subscribes to by name.
    pub(in crate::coordinator) topics: BTreeSet<TopicName>,
    /// The pattern it subscribes to as well; never empty.
    pub(in crate::coordinator) pattern: Option<Arc<str>>,
    /// The assignor it votes for.
    pub(in crate::coordinator) assignor: Option<AssignorName>,
    /// What there is to know of a member that speaks the classic protocol, during a migration.
    pub(in crate::coordinator) classic: Option<ClassicMetadata>,
}

/// What there is to know of a member that speaks the classic protocol, and of no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::coordinator) struct ClassicMetadata {
    /// After how long without a word it is gone.
    pub(in crate::coordinator) session_timeout: Duration,
    /// The protocols that it supports, the best first, as it joined with them.
    pub(in crate::coordinator) protocols: Vec<SupportedProtocol>,
}

/// How far a member has got on its way to its target assignment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::coordinator) struct CurrentAssignment {
    /// The epoch that it was last told; [`MemberEpoch::LEAVE_FOR_A_WHILE`] of a static member that is away.
    pub(in crate::coordinator) epoch: MemberEpoch,
    /// The epoch before that one: it may still come with it, if the answer with the later one was lost.
    pub(in crate::coordinator) previous_epoch: MemberEpoch,
    pub(in crate::coordinator) state: MemberState,
    /// What it is told to own.
    pub(in crate::coordinator) assigned: OwnedPartitions,
    /// What it owned and is told to give up. Nobody else gets it before it has done so.
    pub(in crate::coordinator) revoking: OwnedPartitions,
    /// Whether it has said that it owns what it is told to. Until then each answer tells it again, once the group stands
    /// still: a client whose request times out sends the same one once more (librdkafka does), and the answer that it did
    /// not get may have been the only one to tell it. In Kafka it would not hear of it again.
    pub(in crate::coordinator) confirmed: bool,
}

/// What a member is waited for, or waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::coordinator) enum MemberState {
    /// Nothing: it owns what it was to own in its epoch.
    #[default]
    Stable,
    /// It has partitions to give up before it goes on to the next epoch.
    UnrevokedPartitions,
    /// It waits for partitions that other members have not given up yet.
    UnreleasedPartitions,
}

impl MemberMetadata {
    /// What it says of itself after `request`; None if that is what it said before.
    pub(super) fn updated(&self, request: &ConsumerHeartbeat) -> Option<Self> {
        if self.is_all_that(request) {
            return None;
        }
        let mut updated = self.clone();
        updated.classic = None;
        updated.client_id.clone_from(&request.client_id);
        updated.client_host.clone_from(&request.client_host);
        if request.instance.is_some() {
            updated.instance.clone_from(&request.instance);
        }
        if request.rack.is_some() {
            updated.rack.clone_from(&request.rack);
        }
        if request.rebalance_timeout_ms != -1 {
            updated.rebalance_timeout_ms = request.rebalance_timeout_ms;
        }
        if let Some(topics) = &request.topic_names {
            updated.topics = topics.iter().map(|topic| TopicName::from(topic.as_str())).collect();
        }
        if let Some(pattern) = &request.topic_regex {
            updated.pattern = (!pattern.is_empty()).then(|| Arc::from(pattern.as_str()));
        }
        if let Some(assignor) = &request.assignor {
            updated.assignor = AssignorName::named(assignor);
        }
        (updated != *self).then_some(updated)
    }

    /// Whether `request` says nothing beyond this, as all but a few heartbeats do. Cheap, so that those are.
    fn is_all_that(&self, request: &ConsumerHeartbeat) -> bool {
        let silent = request.rack.is_none()
            && request.rebalance_timeout_ms == -1
            && request.topic_names.is_none()
            && request.topic_regex.is_none()
            && request.assignor.is_none();
        silent
            && self.classic.is_none()
            && (request.instance.is_none() || request.instance == self.instance)
            && request.client_id == self.client_id
            && request.client_host == self.client_host
    }

    /// Whether it subscribes to the same as `other`.
    pub(super) fn subscribes_like(&self, other: &Self) -> bool {
        self.topics == other.topics && self.pattern == other.pattern
    }

    /// How long it may take to give partitions up.
    pub(super) fn rebalance_timeout(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.rebalance_timeout_ms).unwrap_or(0))
    }
}

impl ClassicMetadata {
    /// How many bytes it takes.
    pub(super) fn size(&self) -> usize {
        self.protocols.iter().map(|supported| supported.name.len() + supported.metadata.len()).sum()
    }

    /// Whether it supports the protocol.
    pub(super) fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|supported| supported.name == protocol)
    }
}

impl CurrentAssignment {
    /// Whether there is nothing left to do for the target assignment of `epoch`.
    pub(in crate::coordinator) fn is_reconciled_to(&self, epoch: MemberEpoch) -> bool {
        self.state == MemberState::Stable && self.epoch == epoch
    }

    /// Whether a static member has left for a while.
    pub(super) fn is_away(&self) -> bool {
        self.epoch == MemberEpoch::LEAVE_FOR_A_WHILE
    }
}
