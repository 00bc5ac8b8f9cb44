//! The classic protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.

use serde::{Deserialize, Serialize};

use super::GroupCoordinator;
use super::error::GroupErrorCode;
use super::ids::{GroupId, MemberId};
use super::request::{
    ClassicDescription, CommitOffsets, GroupResponse, Heartbeat, JoinGroup, JoinedGroup, LeaveGroup,
    LeftGroup, SyncGroup,
};
use super::state::Membership;
use crate::ids::Ticket;

/// The replicated part of a classic group: how its last rebalance ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClassicGroup {}

/// A change of a classic group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClassicRecord {}

/// A classic group on its coordinator.
#[derive(Debug)]
pub(super) struct LiveGroup {}

impl LiveGroup {
    /// Whoever waits for a join or a sync.
    pub(super) fn into_waiting(self) -> Vec<Ticket> {
        Vec::new()
    }

    pub(super) fn is_empty(&self) -> bool {
        true
    }

    pub(super) fn state_name(&self) -> &'static str {
        "Empty"
    }

    pub(super) fn protocol_type(&self) -> &str {
        ""
    }

    pub(super) fn describe(&self) -> ClassicDescription {
        ClassicDescription {
            state: "Empty",
            protocol_type: String::new(),
            protocol: String::new(),
            members: Vec::new(),
        }
    }

    pub(super) fn subscribes_to(&self, _topic: &str) -> bool {
        false
    }
}

impl Membership {
    pub(super) fn replay_classic(&mut self, _record: &ClassicRecord) {}
}

impl GroupCoordinator {
    pub(super) fn load_classic_groups(&mut self) {}

    pub(super) fn check_classic_commit(&mut self, _request: &CommitOffsets) -> Result<(), GroupErrorCode> {
        Ok(())
    }

    pub(super) fn remove_classic_group(&mut self, group: &GroupId) {
        self.classic.remove(group);
    }

    pub(super) fn join(&mut self, ticket: Ticket, request: JoinGroup) {
        let refused = JoinedGroup::refused(request.member, GroupErrorCode::CoordinatorNotAvailable);
        self.answer(ticket, GroupResponse::Join(refused));
    }

    pub(super) fn sync(&mut self, ticket: Ticket, _request: SyncGroup) {
        self.answer(ticket, GroupResponse::Sync(Err(GroupErrorCode::CoordinatorNotAvailable)));
    }

    pub(super) fn heartbeat(&mut self, ticket: Ticket, _request: &Heartbeat) {
        self.answer(ticket, GroupResponse::Heartbeat(Err(GroupErrorCode::CoordinatorNotAvailable)));
    }

    pub(super) fn leave(&mut self, ticket: Ticket, _request: LeaveGroup) {
        let left = LeftGroup { error: Some(GroupErrorCode::CoordinatorNotAvailable), members: Vec::new() };
        self.answer(ticket, GroupResponse::Leave(left));
    }

    pub(super) fn classic_session_expired(&mut self, _group: &GroupId, _member: &MemberId) {}

    pub(super) fn pending_member_expired(&mut self, _group: &GroupId, _member: &MemberId) {}

    pub(super) fn join_phase_over(&mut self, _group: &GroupId) {}

    pub(super) fn sync_phase_over(&mut self, _group: &GroupId) {}
}
