//! JoinGroup: how a member comes in, and how it comes back for the next generation.

use std::time::Duration;

use bytes::Bytes;

use super::group::{LiveGroup, State};
use super::record::{ClassicMember, SupportedProtocol};
use crate::coordinator::GroupCoordinator;
use crate::coordinator::error::GroupErrorCode;
use crate::coordinator::ids::MemberId;
use crate::coordinator::request::{GroupResponse, JoinGroup};
use crate::coordinator::timers::Timer;
use crate::ids::Ticket;

/// How long a new member may wait in its first join. It cannot heartbeat before that is answered, and its connection
/// may be gone without a word; whoever is still there joins again. Kafka's constant.
const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::from_secs(5 * 60);

impl GroupCoordinator {
    /// JoinGroup. Answered at once, or when the join phase is over.
    pub(in crate::coordinator) fn join(&mut self, ticket: Ticket, request: JoinGroup) {
        if let Err(error) = self.check_join(&request) {
            self.refuse_join(ticket, request.member, error);
            return;
        }
        if self.has_consumer_members(&request.group) {
            self.classic_join_in_consumer_group(ticket, request);
            return;
        }
        let id = request.group.clone();
        self.with_classic_group(&id, |coordinator, group| coordinator.join_group(group, ticket, request));
        // Not before: one who is refused changes nothing.
        if self.classic.contains_key(&id) {
            self.end_empty_consumer_group(&id);
        }
    }

    fn check_join(&self, request: &JoinGroup) -> Result<(), GroupErrorCode> {
        if request.group.as_str().is_empty() {
            return Err(GroupErrorCode::InvalidGroupId);
        }
        let session_timeout = u64::try_from(request.session_timeout_ms).map(Duration::from_millis);
        let bounds = self.settings.min_session_timeout..=self.settings.max_session_timeout;
        if session_timeout.is_ok_and(|timeout| bounds.contains(&timeout)) {
            Ok(())
        } else {
            Err(GroupErrorCode::InvalidSessionTimeout)
        }
    }

    fn join_group(&mut self, group: &mut LiveGroup, ticket: Ticket, request: JoinGroup) {
        let place = place_taken(group, &request);
        let has_room = group.has_room_for(&request.protocols, place);
        if !group.accepts(place, self.settings.max_size) {
            self.turn_away(group, &request.member);
            self.refuse_join(ticket, MemberId::from(""), GroupErrorCode::GroupMaxSizeReached);
            return;
        }
        let member = request.member.clone();
        let outcome = if !has_room {
            Err(GroupErrorCode::GroupMaxSizeReached)
        } else if member.as_str().is_empty() {
            self.join_newcomer(group, ticket, &request)
        } else {
            self.join_known(group, ticket, &request)
        };
        if let Err(error) = outcome {
            self.refuse_join(ticket, member, error);
        }
    }

    /// There is no place for who wants to join, or to stay.
    fn turn_away(&mut self, group: &mut LiveGroup, member: &MemberId) {
        if group.pending.remove(member) {
            self.timers.cancel(&Timer::PendingMember(group.id.clone(), member.clone()));
        }
        self.drop_member(group, member);
        self.complete_join_if_all_joined(group);
    }

    /// Somebody without a member id.
    fn join_newcomer(
        &mut self,
        group: &mut LiveGroup,
        ticket: Ticket,
        request: &JoinGroup,
    ) -> Result<(), GroupErrorCode> {
        let is_new_group = group.is_vacant() && self.state.group(&group.id).is_none();
        if !group.supports(request) {
            return Err(GroupErrorCode::InconsistentGroupProtocol);
        }
        let member = new_member_id(request);
        if let Some(holder) = request.instance.as_ref().and_then(|instance| group.holder(instance).cloned()) {
            self.replace_static_member(group, ticket, request, &holder, &member);
        } else if !self.has_room_for_member() || (is_new_group && !self.has_room()) {
            return Err(GroupErrorCode::GroupMaxSizeReached);
        } else if request.instance.is_none() && request.requires_member_id {
            self.hand_out_id(group, ticket, request, member);
        } else {
            self.add_member(group, ticket, request, member);
        }
        Ok(())
    }

    /// Gives a member its id and nothing more, so that clients which never hear the answer do not pile up as members
    /// (KIP-394).
    fn hand_out_id(&mut self, group: &mut LiveGroup, ticket: Ticket, request: &JoinGroup, member: MemberId) {
        let timer = Timer::PendingMember(group.id.clone(), member.clone());
        self.timers.set(timer, self.now + millis(request.session_timeout_ms));
        group.pending.insert(member.clone());
        self.refuse_join(ticket, member, GroupErrorCode::MemberIdRequired);
    }

    /// Somebody with a member id: given out before, or of a member that joins again.
    fn join_known(
        &mut self,
        group: &mut LiveGroup,
        ticket: Ticket,
        request: &JoinGroup,
    ) -> Result<(), GroupErrorCode> {
        let member = &request.member;
        if group.is_vacant() {
            return Err(GroupErrorCode::UnknownMemberId);
        }
        if !group.supports(request) {
            return Err(GroupErrorCode::InconsistentGroupProtocol);
        }
        // Ids are only given out ahead to members that are not static.
        if group.pending.contains(member) && request.instance.is_none() {
            self.timers.cancel(&Timer::PendingMember(group.id.clone(), member.clone()));
            self.add_member(group, ticket, request, member.clone());
            return Ok(());
        }
        group.validate_member(member, request.instance.as_ref())?;
        let unchanged = group.members()[member].supports_just(&request.protocols);
        let knows_already = match group.state {
            // It may have missed the answer that the others got.
            State::CompletingRebalance => unchanged,
            // A leader joins again in order to assign anew, for instance because a topic has more partitions now.
            State::Stable => unchanged && !group.is_leader(member),
            State::PreparingRebalance { .. } | State::Empty => false,
        };
        if knows_already {
            let joined = group.joined(member);
            self.answer(ticket, GroupResponse::Join(joined));
        } else {
            self.rejoin(group, ticket, request);
        }
        Ok(())
    }

    /// A new member. The others have to join again, if there are any.
    fn add_member(&mut self, group: &mut LiveGroup, ticket: Ticket, request: &JoinGroup, member: MemberId) {
        if let State::PreparingRebalance { initial: Some(delay) } = &mut group.state {
            delay.has_newcomers = true;
        }
        group.put(member.clone(), described_by(request, Bytes::new()), &request.protocol_type);
        group.mark_new(member.clone());
        let timer = Timer::Session(group.id.clone(), member.clone());
        self.timers.set(timer, self.now + NEW_MEMBER_JOIN_TIMEOUT);
        self.await_next_generation(group, member, ticket);
        self.rebalance_or_complete(group);
    }

    /// A member joins again, with news or because the group is being rebalanced.
    fn rejoin(&mut self, group: &mut LiveGroup, ticket: Ticket, request: &JoinGroup) {
        let assignment = group.members()[&request.member].assignment.clone();
        let mut member = described_by(request, assignment);
        // A static member may leave its instance id out; it keeps it.
        member.instance.clone_from(&group.members()[&request.member].instance);
        group.put(request.member.clone(), member, &request.protocol_type);
        self.await_next_generation(group, request.member.clone(), ticket);
        self.rebalance_or_complete(group);
    }

    /// Lets a join wait for the end of the join phase.
    pub(super) fn await_next_generation(&mut self, group: &mut LiveGroup, member: MemberId, ticket: Ticket) {
        if let Some(earlier) = group.await_join(member.clone(), ticket) {
            self.refuse_join(earlier, member, GroupErrorCode::RebalanceInProgress);
        }
    }
}

/// The member whose place somebody takes who joins: its own, or that of the static member that has come back.
fn place_taken<'a>(group: &'a LiveGroup, request: &'a JoinGroup) -> &'a MemberId {
    let is_newcomer = request.member.as_str().is_empty();
    let instance = request.instance.as_ref().filter(|_| is_newcomer);
    instance.and_then(|instance| group.holder(instance)).unwrap_or(&request.member)
}

/// A member as it describes itself when it joins.
pub(super) fn described_by(request: &JoinGroup, assignment: Bytes) -> ClassicMember {
    let session_timeout = millis(request.session_timeout_ms);
    let rebalance_timeout = millis(request.rebalance_timeout_ms);
    ClassicMember {
        instance: request.instance.clone(),
        client_id: request.client_id.clone(),
        client_host: request.client_host.clone(),
        session_timeout,
        rebalance_timeout: if rebalance_timeout.is_zero() { session_timeout } else { rebalance_timeout },
        protocols: SupportedProtocol::all_of(&request.protocols),
        assignment,
    }
}

/// The id of a new member, as Kafka makes it: readable, and unique by the part that is drawn.
fn new_member_id(request: &JoinGroup) -> MemberId {
    let name = request.instance.as_ref().map_or(request.client_id.as_str(), |instance| instance.as_str());
    MemberId::from(format!("{name}-{}", request.fresh).as_str())
}

/// Milliseconds as stated by a client; fewer than none are none.
fn millis(milliseconds: i32) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}
