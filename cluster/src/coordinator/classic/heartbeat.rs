//! Heartbeat: a member lives, and learns whether it has to join again. By far the most frequent request of the room:
//! it looks two things up, moves a deadline, and writes nothing.

use super::group::{LiveGroup, State};
use crate::coordinator::GroupCoordinator;
use crate::coordinator::error::GroupErrorCode;
use crate::coordinator::request::{GroupResponse, Heartbeat};
use crate::coordinator::timers::Timer;
use crate::ids::Ticket;

impl GroupCoordinator {
    /// Heartbeat. Answered at once.
    pub(in crate::coordinator) fn heartbeat(&mut self, ticket: Ticket, request: &Heartbeat) {
        if self.has_consumer_members(&request.group) {
            self.classic_heartbeat_in_consumer_group(ticket, request);
            return;
        }
        let outcome = self.classic_heartbeat(request);
        self.answer(ticket, GroupResponse::Heartbeat(outcome));
    }

    fn classic_heartbeat(&mut self, request: &Heartbeat) -> Result<(), GroupErrorCode> {
        if request.group.as_str().is_empty() {
            return Err(GroupErrorCode::InvalidGroupId);
        }
        let group = self.classic.get(&request.group).ok_or(GroupErrorCode::UnknownMemberId)?;
        check_heartbeat(group, request)?;
        let session_timeout = group.members()[&request.member].session_timeout;
        let timer = Timer::Session(request.group.clone(), request.member.clone());
        self.timers.set(timer, self.now + session_timeout);
        match group.state {
            State::PreparingRebalance { .. } => Err(GroupErrorCode::RebalanceInProgress),
            // Members heartbeat as soon as they have joined, before they have their assignments.
            State::CompletingRebalance | State::Stable => Ok(()),
            State::Empty => Err(GroupErrorCode::UnknownMemberId),
        }
    }
}

fn check_heartbeat(group: &LiveGroup, request: &Heartbeat) -> Result<(), GroupErrorCode> {
    group.validate_member(&request.member, request.instance.as_ref())?;
    if request.generation == group.generation() { Ok(()) } else { Err(GroupErrorCode::IllegalGeneration) }
}
