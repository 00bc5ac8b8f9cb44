//! LeaveGroup: members go in good order, themselves or put out by an administrator.

use super::group::LiveGroup;
use crate::coordinator::GroupCoordinator;
use crate::coordinator::error::GroupErrorCode;
use crate::coordinator::ids::MemberId;
use crate::coordinator::request::{GroupResponse, LeaveGroup, LeavingMember, LeftGroup};
use crate::coordinator::timers::Timer;
use crate::ids::Ticket;

impl GroupCoordinator {
    /// LeaveGroup. Answered at once, member by member.
    pub(in crate::coordinator) fn leave(&mut self, ticket: Ticket, request: LeaveGroup) {
        if request.group.as_str().is_empty() {
            let left = LeftGroup { error: Some(GroupErrorCode::InvalidGroupId), members: Vec::new() };
            self.answer(ticket, GroupResponse::Leave(left));
            return;
        }
        if self.has_consumer_members(&request.group) {
            self.classic_leave_in_consumer_group(ticket, request);
            return;
        }
        let LeaveGroup { group: id, members } = request;
        self.with_classic_group(&id, |coordinator, group| coordinator.leave_group(group, ticket, members));
    }

    fn leave_group(&mut self, group: &mut LiveGroup, ticket: Ticket, members: Vec<LeavingMember>) {
        let mut results = Vec::with_capacity(members.len());
        for leaving in members {
            let outcome = self.remove_leaving(group, &leaving);
            results.push((leaving, outcome));
        }
        if results.iter().any(|(_, outcome)| outcome.is_ok()) {
            self.go_on_without(group);
        }
        self.answer(ticket, GroupResponse::Leave(LeftGroup { error: None, members: results }));
    }

    fn remove_leaving(
        &mut self,
        group: &mut LiveGroup,
        leaving: &LeavingMember,
    ) -> Result<(), GroupErrorCode> {
        let LeavingMember { member, instance } = leaving;
        if group.pending.remove(member) {
            self.timers.cancel(&Timer::PendingMember(group.id.clone(), member.clone()));
            return Ok(());
        }
        let member = resolve(group, leaving)?;
        group.validate_member(&member, instance.as_ref())?;
        self.drop_member(group, &member);
        Ok(())
    }
}

/// Who is meant: administrators name a static member by its instance id alone (KIP-345).
fn resolve(group: &LiveGroup, leaving: &LeavingMember) -> Result<MemberId, GroupErrorCode> {
    if !leaving.member.as_str().is_empty() {
        return Ok(leaving.member.clone());
    }
    let holder = leaving.instance.as_ref().and_then(|instance| group.holder(instance));
    holder.cloned().ok_or(GroupErrorCode::UnknownMemberId)
}
