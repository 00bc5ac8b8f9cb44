//! JoinGroup in a consumer group: a classic member comes in, or comes back because it was told to.
//!
//! Nobody waits for anybody: the answer names the epoch that the member is in now as its generation, and no leader. What
//! it is to own it asks for with SyncGroup.

use std::time::Duration;

use super::CONSUMER_PROTOCOL_TYPE;
use super::embedded::to_owned;
use crate::coordinator::GroupCoordinator;
use crate::coordinator::classic::{MAX_GROUP_BYTES, SupportedProtocol};
use crate::coordinator::consumer::group::ConsumerGroup;
use crate::coordinator::consumer::member::{ClassicMetadata, MemberMetadata};
use crate::coordinator::consumer::records::ConsumerRecord;
use crate::coordinator::error::GroupErrorCode;
use crate::coordinator::ids::{Generation, MemberId};
use crate::coordinator::request::{GroupResponse, JoinGroup, JoinedGroup, TopicPartitions};
use crate::coordinator::timers::Timer;
use crate::ids::{Ticket, TopicName};
use trilog_protocol::consumer_protocol::Subscription;

/// What a classic member brings that has come in.
struct Entered {
    resubscribed: bool,
    owned: Vec<TopicPartitions>,
}

impl GroupCoordinator {
    /// JoinGroup in a consumer group that has members. Answered at once, unless the group is none after it.
    pub(in crate::coordinator) fn classic_join_in_consumer_group(
        &mut self,
        ticket: Ticket,
        request: JoinGroup,
    ) {
        let member = joining_id(&request);
        match self.enter_as_classic(&request, &member) {
            // In the place of the last member of the consumer protocol.
            Ok(_) if self.downgrade_if_all_classic(&request.group) => {
                self.join(ticket, JoinGroup { member, ..request });
            }
            Ok(entered) => {
                let joined = self.go_on_as_classic(&request, member, &entered);
                self.answer(ticket, GroupResponse::Join(joined));
            }
            Err(error) => {
                let named = if error == GroupErrorCode::MemberIdRequired { member } else { request.member };
                self.answer(ticket, GroupResponse::Join(JoinedGroup::refused(named, error)));
            }
        }
    }

    /// Lets a classic member in, and keeps what it says of itself. Fails without having changed anything.
    fn enter_as_classic(
        &mut self,
        request: &JoinGroup,
        member: &MemberId,
    ) -> Result<Entered, GroupErrorCode> {
        let group = self.consumer_group(&request.group).ok_or(GroupErrorCode::UnknownMemberId)?;
        self.check_room(group, member, request.instance.as_ref()).map_err(|refusal| refusal.code)?;
        let common = |protocol: &str| group.is_supported(protocol, member);
        let speaks = request.protocol_type == CONSUMER_PROTOCOL_TYPE
            && request.protocols.iter().any(|protocol| common(&protocol.name));
        if !speaks {
            return Err(GroupErrorCode::InconsistentGroupProtocol);
        }
        // As in a classic group, which this one may become.
        let stated = request.protocols.iter().map(|protocol| protocol.name.len() + protocol.metadata.len());
        if group.classic_bytes(member) + stated.sum::<usize>() > MAX_GROUP_BYTES {
            return Err(GroupErrorCode::GroupMaxSizeReached);
        }
        if request.member.as_str().is_empty() && request.instance.is_none() && request.requires_member_id {
            return Err(GroupErrorCode::MemberIdRequired);
        }
        let replaces = replaced_holder(group, request)?;
        // All protocols of a consumer come with one and the same subscription.
        let subscription =
            request.protocols.first().and_then(|protocol| Subscription::parse(&protocol.metadata));
        let subscription = subscription.ok_or(GroupErrorCode::InconsistentGroupProtocol)?;
        let owned = to_owned(&subscription.owned, group, &self.image);

        if let Some(replaced) = replaces {
            self.replace_member(&request.group, &replaced, member);
        }
        let resubscribed = self.update_classic_metadata(request, member, &subscription);
        Ok(Entered { resubscribed, owned })
    }

    /// Keeps what a classic member says of itself. Whether it subscribes to something else than before.
    fn update_classic_metadata(
        &mut self,
        request: &JoinGroup,
        member: &MemberId,
        subscription: &Subscription,
    ) -> bool {
        let known = self.consumer_group(&request.group).and_then(|group| group.member(member));
        let nothing = MemberMetadata::default();
        let before = known.map_or(&nothing, |known| &known.metadata);
        let updated = described_by(request, subscription, before);
        let resubscribed = !updated.subscribes_like(before);
        if updated != *before {
            self.record_consumer(&request.group, ConsumerRecord::Member(member.clone(), Box::new(updated)));
        }
        resubscribed
    }

    /// Takes a classic member a step nearer to its target, and gives it time to ask for what it owns now.
    fn go_on_as_classic(&mut self, request: &JoinGroup, member: MemberId, entered: &Entered) -> JoinedGroup {
        let id = &request.group;
        self.update_epoch(id, entered.resubscribed);
        self.update_targets(id);
        self.reconcile(id, &member, entered.resubscribed, Some(&entered.owned));
        self.await_classic_heartbeat(id, &member, millis(request.session_timeout_ms));
        self.timers.cancel(&Timer::Revocation(id.clone(), member.clone()));
        let to_sync = Timer::ClassicMember(id.clone(), member.clone());
        self.timers.set(to_sync, self.now + Duration::from_millis(rebalance_timeout_ms(request).into()));
        let epoch = self.consumer_group(id).and_then(|group| group.member(&member)).map(|m| m.current.epoch);
        JoinedGroup {
            error: None,
            generation: Generation(epoch.unwrap_or_default().0),
            protocol_type: Some(CONSUMER_PROTOCOL_TYPE.to_owned()),
            protocol: request.protocols.first().map(|protocol| protocol.name.clone()),
            leader: MemberId::from(""),
            skip_assignment: false,
            member,
            members: Vec::new(),
        }
    }
}

/// The id of who joins: one that has none is given one.
fn joining_id(request: &JoinGroup) -> MemberId {
    if request.member.as_str().is_empty() {
        MemberId::from(format!("{}-{}", request.client_id, request.fresh).as_str())
    } else {
        request.member.clone()
    }
}

/// The member in whose place a static one comes: whoever holds its instance id, also if it speaks the consumer protocol
/// and has not left, as a classic member never says that it leaves for a while.
fn replaced_holder(group: &ConsumerGroup, request: &JoinGroup) -> Result<Option<MemberId>, GroupErrorCode> {
    let Some(instance) = &request.instance else { return Ok(None) };
    let is_newcomer = request.member.as_str().is_empty();
    match group.static_member(instance) {
        Some((holder, _)) if *holder == request.member => Ok(None),
        Some((holder, _)) if is_newcomer => Ok(Some(holder.clone())),
        Some(_) => Err(GroupErrorCode::FencedInstanceId),
        None if is_newcomer => Ok(None),
        None => Err(GroupErrorCode::UnknownMemberId),
    }
}

/// What a classic member says of itself, where `before` is what it said so far.
fn described_by(request: &JoinGroup, subscription: &Subscription, before: &MemberMetadata) -> MemberMetadata {
    MemberMetadata {
        instance: request.instance.clone().or_else(|| before.instance.clone()),
        rack: subscription.rack.clone().or_else(|| before.rack.clone()),
        client_id: request.client_id.clone(),
        client_host: request.client_host.clone(),
        rebalance_timeout_ms: i32::try_from(rebalance_timeout_ms(request)).unwrap_or(i32::MAX),
        topics: subscription.topics.iter().map(|topic| TopicName::from(topic.as_str())).collect(),
        pattern: None,
        assignor: before.assignor,
        classic: Some(ClassicMetadata {
            session_timeout: millis(request.session_timeout_ms),
            protocols: SupportedProtocol::all_of(&request.protocols),
        }),
    }
}

/// How long a member may take to join, in milliseconds: as long as its session where it does not say (v0).
fn rebalance_timeout_ms(request: &JoinGroup) -> u32 {
    let stated = u32::try_from(request.rebalance_timeout_ms).ok().filter(|timeout| *timeout > 0);
    stated.or_else(|| u32::try_from(request.session_timeout_ms).ok()).unwrap_or(0)
}

/// Milliseconds as stated by a client; fewer than none are none.
fn millis(milliseconds: i32) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}
