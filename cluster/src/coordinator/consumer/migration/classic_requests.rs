//! What else classic members ask of a consumer group: SyncGroup, Heartbeat, LeaveGroup. All are answered at once.

use super::CONSUMER_PROTOCOL_TYPE;
use super::embedded::{to_named, version_of};
use crate::coordinator::GroupCoordinator;
use crate::coordinator::consumer::group::ConsumerGroup;
use crate::coordinator::consumer::member::{ClassicMetadata, Member, MemberState};
use crate::coordinator::error::GroupErrorCode;
use crate::coordinator::ids::{Generation, GroupId, InstanceId, MemberId};
use crate::coordinator::request::{
    GroupResponse, Heartbeat, LeaveGroup, LeavingMember, LeftGroup, SyncGroup, SyncedGroup,
};
use crate::coordinator::timers::Timer;
use crate::ids::Ticket;
use trilog_protocol::consumer_protocol::encode_assignment;

impl GroupCoordinator {
    /// SyncGroup in a consumer group: a member asks what it owns. What it brings is no leader's, and is left alone.
    pub(in crate::coordinator) fn classic_sync_in_consumer_group(
        &mut self,
        ticket: Ticket,
        request: SyncGroup,
    ) {
        let outcome = self.sync_as_classic(request);
        self.answer(ticket, GroupResponse::Sync(outcome));
    }

    fn sync_as_classic(&mut self, request: SyncGroup) -> Result<SyncedGroup, GroupErrorCode> {
        let SyncGroup { group: id, member: member_id, .. } = &request;
        let group = self.consumer_group(id).ok_or(GroupErrorCode::UnknownMemberId)?;
        let (member, classic) = group.classic_member(member_id, request.instance.as_ref())?;
        check_generation(member, request.generation)?;
        check_protocol(classic, &request)?;
        let is_behind =
            group.epoch() > member.current.epoch && member.current.state != MemberState::UnrevokedPartitions;
        if is_behind {
            let timeout = member.metadata.rebalance_timeout();
            self.await_classic_join(id, member_id, timeout);
            return Err(GroupErrorCode::RebalanceInProgress);
        }
        let version = classic.protocols.first().map_or(0, |supported| version_of(&supported.metadata));
        let assigned = to_named(&member.current.assigned, group, &self.image);
        let session = classic.session_timeout;
        self.timers.cancel(&Timer::ClassicMember(id.clone(), member_id.clone()));
        self.await_classic_heartbeat(id, member_id, session);
        Ok(SyncedGroup {
            protocol_type: request.protocol_type,
            protocol: request.protocol,
            assignment: encode_assignment(&assigned, version).into(),
        })
    }

    /// Heartbeat in a consumer group: a classic member lives, and learns whether it has to join again.
    pub(in crate::coordinator) fn classic_heartbeat_in_consumer_group(
        &mut self,
        ticket: Ticket,
        request: &Heartbeat,
    ) {
        let outcome = self.heartbeat_as_classic(request);
        self.answer(ticket, GroupResponse::Heartbeat(outcome));
    }

    fn heartbeat_as_classic(&mut self, request: &Heartbeat) -> Result<(), GroupErrorCode> {
        let Heartbeat { group: id, member: member_id, instance, generation } = request;
        self.update_epoch(id, false);
        let group = self.consumer_group(id).ok_or(GroupErrorCode::UnknownMemberId)?;
        let (member, classic) = group.classic_member(member_id, instance.as_ref())?;
        check_generation(member, *generation)?;
        let (session, rebalance) = (classic.session_timeout, member.metadata.rebalance_timeout());
        let has_news = group.has_news_for(member_id, member);
        self.await_classic_heartbeat(id, member_id, session);
        if has_news {
            self.await_classic_join(id, member_id, rebalance);
            return Err(GroupErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    /// LeaveGroup in a consumer group: classic members leave, or an administrator puts out members of either protocol.
    pub(in crate::coordinator) fn classic_leave_in_consumer_group(
        &mut self,
        ticket: Ticket,
        request: LeaveGroup,
    ) {
        let LeaveGroup { group: id, members } = request;
        let mut leaving = Vec::new();
        let mut results = Vec::with_capacity(members.len());
        for member in members {
            let outcome = self.who_leaves(&id, &member).map(|id| leaving.push(id));
            results.push((member, outcome));
        }
        self.remove_members(&id, &leaving);
        self.answer(ticket, GroupResponse::Leave(LeftGroup { error: None, members: results }));
    }

    /// Who is meant: administrators name a static member by its instance id alone (KIP-345).
    fn who_leaves(&self, id: &GroupId, leaving: &LeavingMember) -> Result<MemberId, GroupErrorCode> {
        let group = self.consumer_group(id).ok_or(GroupErrorCode::UnknownMemberId)?;
        let LeavingMember { member, instance } = leaving;
        let holder = match instance {
            Some(instance) if member.as_str().is_empty() => group.static_member(instance).map(|(id, _)| id),
            _ => return group.validated(member, instance.as_ref()).map(|_| member.clone()),
        };
        holder.cloned().ok_or(GroupErrorCode::UnknownMemberId)
    }
}

impl ConsumerGroup {
    /// A member that is in the group, and holds its instance id if it says one.
    fn validated(&self, member: &MemberId, instance: Option<&InstanceId>) -> Result<&Member, GroupErrorCode> {
        if let Some(instance) = instance {
            let (holder, _) = self.static_member(instance).ok_or(GroupErrorCode::UnknownMemberId)?;
            if holder != member {
                return Err(GroupErrorCode::FencedInstanceId);
            }
        }
        self.member(member).ok_or(GroupErrorCode::UnknownMemberId)
    }

    /// As [`validated`](Self::validated), and it speaks the classic protocol.
    fn classic_member(
        &self,
        member: &MemberId,
        instance: Option<&InstanceId>,
    ) -> Result<(&Member, &ClassicMetadata), GroupErrorCode> {
        let member = self.validated(member, instance)?;
        let classic = member.metadata.classic.as_ref().ok_or(GroupErrorCode::UnknownMemberId)?;
        Ok((member, classic))
    }
}

fn check_generation(member: &Member, generation: Generation) -> Result<(), GroupErrorCode> {
    if member.current.epoch.0 == generation.0 { Ok(()) } else { Err(GroupErrorCode::IllegalGeneration) }
}

/// Whether a member believes in the protocol that it was told when it joined.
fn check_protocol(classic: &ClassicMetadata, request: &SyncGroup) -> Result<(), GroupErrorCode> {
    let told = classic.protocols.first().map(|supported| supported.name.as_str());
    let believes =
        |stated: &Option<String>, told: Option<&str>| stated.is_none() || stated.as_deref() == told;
    if believes(&request.protocol_type, Some(CONSUMER_PROTOCOL_TYPE)) && believes(&request.protocol, told) {
        Ok(())
    } else {
        Err(GroupErrorCode::InconsistentGroupProtocol)
    }
}
