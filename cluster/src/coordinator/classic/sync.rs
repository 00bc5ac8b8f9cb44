//! SyncGroup: the leader brings the assignments, the others wait for theirs.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::group::{LiveGroup, State};
use crate::coordinator::GroupCoordinator;
use crate::coordinator::error::GroupErrorCode;
use crate::coordinator::ids::{GroupId, MemberId};
use crate::coordinator::request::{GroupResponse, SyncGroup};
use crate::coordinator::timers::Timer;
use crate::ids::Ticket;

impl GroupCoordinator {
    /// SyncGroup. Answered at once, or when the leader has synced.
    pub(in crate::coordinator) fn sync(&mut self, ticket: Ticket, request: SyncGroup) {
        if request.group.as_str().is_empty() {
            self.answer(ticket, GroupResponse::Sync(Err(GroupErrorCode::InvalidGroupId)));
            return;
        }
        if self.has_consumer_members(&request.group) {
            self.classic_sync_in_consumer_group(ticket, request);
            return;
        }
        let id = request.group.clone();
        let outcome =
            self.with_classic_group(&id, |coordinator, group| coordinator.sync_group(group, ticket, request));
        if let Err(error) = outcome {
            self.answer(ticket, GroupResponse::Sync(Err(error)));
        }
    }

    fn sync_group(
        &mut self,
        group: &mut LiveGroup,
        ticket: Ticket,
        request: SyncGroup,
    ) -> Result<(), GroupErrorCode> {
        check_sync(group, &request)?;
        match group.state {
            State::Empty => return Err(GroupErrorCode::UnknownMemberId),
            State::PreparingRebalance { .. } => return Err(GroupErrorCode::RebalanceInProgress),
            State::CompletingRebalance => {
                if let Some(earlier) = group.await_sync(request.member.clone(), ticket) {
                    self.answer(earlier, GroupResponse::Sync(Err(GroupErrorCode::RebalanceInProgress)));
                }
                if group.is_leader(&request.member) {
                    self.assign_and_stabilize(group, request.assignments);
                }
            }
            State::Stable => {
                let synced = group.synced(&request.member);
                self.answer(ticket, GroupResponse::Sync(Ok(synced)));
            }
        }
        self.has_synced(group, &request.member);
        Ok(())
    }

    /// The leader has assigned: with that the rebalance is over. Who is missing in the assignments gets nothing, and
    /// who is none of the members is left out.
    fn assign_and_stabilize(&mut self, group: &mut LiveGroup, assignments: Vec<(MemberId, Bytes)>) {
        let kept = |(member, assignment): (MemberId, Bytes)| (member, Bytes::copy_from_slice(&assignment));
        let assignments: BTreeMap<_, _> = assignments.into_iter().map(kept).collect();
        if !group.has_room_for_assignments(&assignments) {
            // Kafka's answer when the record is too large for its log.
            self.call_sync_phase_off(group, GroupErrorCode::UnknownServerError);
            self.prepare_rebalance(group);
            return;
        }
        group.assign(assignments);
        group.state = State::Stable;
        self.record_classic(group);
        for (member, ticket) in group.take_syncs() {
            let synced = group.synced(&member);
            self.answer(ticket, GroupResponse::Sync(Ok(synced)));
            self.await_heartbeat(group, &member);
        }
    }

    /// A member has asked for its assignment. When the last one has, nobody has to be waited for.
    fn has_synced(&mut self, group: &mut LiveGroup, member: &MemberId) {
        group.unsynced.remove(member);
        if group.unsynced.is_empty() {
            self.timers.cancel(&Timer::Sync(group.id.clone()));
        }
    }

    /// The time to sync is over: members that have not asked for their assignments are gone, static ones too, and the
    /// others share what was theirs.
    pub(in crate::coordinator) fn sync_phase_over(&mut self, id: &GroupId) {
        self.with_classic_group(id, |coordinator, group| {
            if group.unsynced.is_empty() {
                return;
            }
            for member in group.unsynced.clone() {
                coordinator.drop_member(group, &member);
            }
            coordinator.prepare_rebalance(group);
        });
    }
}

/// Whether a member may sync: it is who it says it is, in the group's generation and of its protocol.
fn check_sync(group: &LiveGroup, request: &SyncGroup) -> Result<(), GroupErrorCode> {
    group.validate_member(&request.member, request.instance.as_ref())?;
    if request.generation != group.generation() {
        return Err(GroupErrorCode::IllegalGeneration);
    }
    let contradicts = |stated: &Option<String>, known: &Option<String>| stated.is_some() && stated != known;
    if contradicts(&request.protocol_type, &group.group().protocol_type)
        || contradicts(&request.protocol, &group.group().protocol)
    {
        return Err(GroupErrorCode::InconsistentGroupProtocol);
    }
    Ok(())
}
