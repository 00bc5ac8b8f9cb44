//! What classic members ask of a group of the consumer protocol, which is not served.

use crate::coordinator::GroupCoordinator;
use crate::coordinator::error::GroupErrorCode;
use crate::coordinator::request::{GroupResponse, Heartbeat, JoinGroup, LeaveGroup, LeftGroup, SyncGroup};
use crate::ids::Ticket;

impl GroupCoordinator {
    pub(super) fn classic_join_in_consumer_group(&mut self, ticket: Ticket, request: JoinGroup) {
        self.refuse_join(ticket, request.member, GroupErrorCode::InconsistentGroupProtocol);
    }

    pub(super) fn classic_sync_in_consumer_group(&mut self, ticket: Ticket, _request: SyncGroup) {
        self.answer(ticket, GroupResponse::Sync(Err(GroupErrorCode::UnknownMemberId)));
    }

    pub(super) fn classic_heartbeat_in_consumer_group(&mut self, ticket: Ticket, _request: &Heartbeat) {
        self.answer(ticket, GroupResponse::Heartbeat(Err(GroupErrorCode::UnknownMemberId)));
    }

    pub(super) fn classic_leave_in_consumer_group(&mut self, ticket: Ticket, request: LeaveGroup) {
        let refused = |member| (member, Err(GroupErrorCode::UnknownMemberId));
        let left = LeftGroup { error: None, members: request.members.into_iter().map(refused).collect() };
        self.answer(ticket, GroupResponse::Leave(left));
    }
}
