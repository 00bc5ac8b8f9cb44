//! LeaveGroup (13), versions 0-5: members leave a group of the classic protocol, or are put out of it.
//!
//! * v1: throttle time. v2: throttling is the client's to wait out.
//! * v3: many members at once, static ones by their instance's name (KIP-345). Before, the one member's error
//!   is the answer's.
//! * v4: flexible. v5: the client says why (KIP-800), which is logged.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};
use trilog_cluster::coordinator::{
    GroupErrorCode, GroupRequest, GroupResponse, InstanceId, LeaveGroup as Leave, LeavingMember, LeftGroup,
    MemberId,
};

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::distinct::keep_first;
use super::group_coordinator::{ask, error_code, group_id, optional_text, response_error, text};
use crate::connection::Reply;

/// See the module.
pub(super) struct LeaveGroup;

/// From this version on many members can leave at once.
const MANY_FROM: i16 = 3;

impl Handler for LeaveGroup {
    type Request = LeaveGroupRequest;
    const SERVED: Versions = Versions::new(0, 5);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { mut request, context } = call;
        keep_first(&mut request.members, |asked| (asked.member_id.clone(), asked.group_instance_id.clone()));
        let version = context.version;
        let asked = ask(broker, GroupRequest::Leave(leave(&request, version)));
        drop(request);
        context.later(async move {
            let left = asked.answer(|response| match response {
                GroupResponse::Leave(left) => Some(left),
                _ => None,
            });
            answer(left.await, version)
        })
    }
}

fn leave(request: &LeaveGroupRequest, version: i16) -> Leave {
    let members = if version >= MANY_FROM {
        request.members.iter().map(leaving).collect()
    } else {
        vec![LeavingMember { member: MemberId::from(&*request.member_id), instance: None }]
    };
    Leave { group: group_id(&request.group_id), members }
}

fn leaving(identity: &MemberIdentity) -> LeavingMember {
    tracing::debug!(
        member = %identity.member_id,
        instance = identity.group_instance_id.as_deref(),
        reason = identity.reason.as_deref(),
        "a member leaves"
    );
    LeavingMember {
        member: MemberId::from(&*identity.member_id),
        instance: identity.group_instance_id.as_deref().map(InstanceId::from),
    }
}

fn answer(outcome: Result<LeftGroup, ResponseError>, version: i16) -> LeaveGroupResponse {
    let LeftGroup { error, members } = match outcome {
        Ok(left) => left,
        Err(error) => return LeaveGroupResponse::default().with_error_code(error.code()),
    };
    if version >= MANY_FROM {
        return LeaveGroupResponse::default()
            .with_error_code(number(error))
            .with_members(members.into_iter().map(answer_member).collect());
    }
    let of_member = || members.into_iter().find_map(|(_, outcome)| outcome.err());
    LeaveGroupResponse::default().with_error_code(number(error.or_else(of_member)))
}

fn answer_member((member, outcome): (LeavingMember, Result<(), GroupErrorCode>)) -> MemberResponse {
    MemberResponse::default()
        .with_member_id(text(member.member.as_str()))
        .with_group_instance_id(optional_text(member.instance.as_ref().map(InstanceId::as_str)))
        .with_error_code(error_code(&outcome.map_err(response_error)))
}

fn number(error: Option<GroupErrorCode>) -> i16 {
    error.map_or(0, |error| response_error(error).code())
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;

    use super::*;

    fn left(outcome: Result<(), GroupErrorCode>) -> LeftGroup {
        let member = LeavingMember { member: MemberId::from("m-1"), instance: Some(InstanceId::from("i-1")) };
        LeftGroup { error: None, members: vec![(member, outcome)] }
    }

    #[test]
    fn every_version_can_carry_every_answer() {
        for version in LeaveGroup::SERVED.min..=LeaveGroup::SERVED.max {
            let gone = answer(Ok(left(Ok(()))), version);
            assert_eq!(gone.error_code, 0);
            let unknown = answer(Ok(left(Err(GroupErrorCode::UnknownMemberId))), version);
            let places = (unknown.error_code, unknown.members.first().map(|member| member.error_code));
            assert_eq!(places, if version >= 3 { (0, Some(25)) } else { (25, None) });
            let whole = LeftGroup { error: Some(GroupErrorCode::InvalidGroupId), members: Vec::new() };
            let whole = answer(Ok(whole), version);
            let elsewhere = answer(Err(ResponseError::NotCoordinator), version);
            assert_eq!((whole.error_code, elsewhere.error_code), (24, 16));
            for response in [gone, unknown, whole, elsewhere] {
                response.encode(&mut BytesMut::new(), version).unwrap();
            }
        }
    }

    #[test]
    fn before_many_could_leave_one_did() {
        let request = LeaveGroupRequest::default().with_member_id(text("m-1"));
        let one = LeavingMember { member: MemberId::from("m-1"), instance: None };
        assert_eq!(leave(&request, 2).members, [one]);
        assert_eq!(leave(&request, 3).members, []);
    }
}
