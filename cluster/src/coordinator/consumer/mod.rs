//! The consumer protocol of KIP-848: ConsumerGroupHeartbeat.

use serde::{Deserialize, Serialize};

use super::GroupCoordinator;
use super::error::{GroupError, GroupErrorCode};
use super::ids::MemberEpoch;
use super::ids::{GroupId, MemberId};
use super::request::{
    CommitOffsets, ConsumerDescription, ConsumerHeartbeat, ConsumerHeartbeatAnswer, FetchOffsets,
};
use super::state::Membership;
use crate::ids::Ticket;

/// A consumer group, all of which is replicated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ConsumerGroup {}

impl ConsumerGroup {
    pub(super) fn is_empty(&self) -> bool {
        true
    }

    pub(super) fn state_name(&self) -> &'static str {
        "Empty"
    }

    pub(super) fn subscribes_to(&self, _topic: &str) -> bool {
        false
    }
}

/// A change of a consumer group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ConsumerRecord {}

/// What a coordinator knows of a consumer group beyond what is replicated.
#[derive(Debug)]
pub(super) struct LiveGroup {}

impl LiveGroup {
    /// Classic members that wait for an answer, during a migration.
    pub(super) fn into_waiting(self) -> Vec<Ticket> {
        Vec::new()
    }
}

impl Membership {
    pub(super) fn replay_consumer(&mut self, _record: &ConsumerRecord) {}
}

impl GroupCoordinator {
    pub(super) fn load_consumer_groups(&mut self) {}

    pub(super) fn check_consumer_commit(&mut self, _request: &CommitOffsets) -> Result<(), GroupErrorCode> {
        Ok(())
    }

    pub(super) fn check_offset_fetch(&self, _request: &FetchOffsets) -> Result<(), GroupErrorCode> {
        Ok(())
    }

    pub(super) fn describe_consumer_group(&self, _group: &GroupId) -> ConsumerDescription {
        ConsumerDescription {
            state: "Empty",
            epoch: MemberEpoch(0),
            assignment_epoch: MemberEpoch(0),
            assignor: String::new(),
            members: Vec::new(),
        }
    }

    pub(super) fn remove_consumer_group(&mut self, group: &GroupId) {
        self.consumer.remove(group);
    }

    pub(super) fn consumer_heartbeat(
        &mut self,
        _request: ConsumerHeartbeat,
    ) -> Result<ConsumerHeartbeatAnswer, GroupError> {
        Err(GroupErrorCode::CoordinatorNotAvailable.into())
    }

    pub(super) fn consumer_session_expired(&mut self, _group: &GroupId, _member: &MemberId) {}

    pub(super) fn revocation_overdue(&mut self, _group: &GroupId, _member: &MemberId) {}

    pub(super) fn classic_member_overdue(&mut self, _group: &GroupId, _member: &MemberId) {}
}
