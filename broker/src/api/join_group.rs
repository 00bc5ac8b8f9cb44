//! JoinGroup (11), versions 0-9: a member joins a group of the classic protocol, or a rebalance of it.
//!
//! The answer comes when all members have joined, or when the others' time to do so is over. It tells the new
//! generation, and one of the members, the leader, everybody's subscription.
//!
//! * v1: the time to join a rebalance, which before was the session's. v2: throttle time.
//! * v3: throttling is the client's to wait out. v4: a new member is given an id and joins again with it
//!   (KIP-394).
//! * v5: static members (KIP-345). v6: flexible. v7: the answer tells the kind of protocols (KIP-559), and no
//!   protocol is null instead of empty.
//! * v8: the client says why it joins (KIP-800), which is logged. v9: a static leader that comes back is told
//!   to leave the assignment as it is (KIP-814).

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use kafka_protocol::protocol::StrBytes;
use trilog_cluster::coordinator::{
    GroupRequest, GroupResponse, InstanceId, JoinGroup as Join, JoinProtocol, JoinedGroup, JoinedMember,
    MemberId,
};
use uuid::Uuid;

use super::broker::Broker;
use super::call::{Call, CallContext, Handler, Versions};
use super::group_coordinator::{ask, group_id, optional_text, response_error, text};
use crate::connection::Reply;

/// See the module.
pub(super) struct JoinGroup;

/// From this version on the time to join a rebalance is stated.
const REBALANCE_TIMEOUT_FROM: i16 = 1;
/// From this version on a new member can be told to join again with the id that it is given.
const MEMBER_ID_REQUIRED_FROM: i16 = 4;
/// From this version on the answer can say that there is no protocol.
const PROTOCOL_NULLABLE_FROM: i16 = 7;
/// From this version on a leader can be told to skip its assignment.
const SKIP_ASSIGNMENT_FROM: i16 = 9;

impl Handler for JoinGroup {
    type Request = JoinGroupRequest;
    const SERVED: Versions = Versions::new(0, 9);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { request, context } = call;
        tracing::debug!(
            group = %*request.group_id,
            member = %request.member_id,
            reason = request.reason.as_deref(),
            "a member joins"
        );
        let (version, member) = (context.version, StrBytes::from_string(request.member_id.to_string()));
        let asked = ask(broker, GroupRequest::Join(join(&request, &context))).without_deadline();
        drop(request);
        context.release_share();
        context.later(async move {
            let joined = asked.answer(|response| match response {
                GroupResponse::Join(joined) => Some(joined),
                _ => None,
            });
            match joined.await {
                Ok(joined) => answer(joined, version),
                Err(error) => refused(error, member),
            }
        })
    }
}

fn join(request: &JoinGroupRequest, context: &CallContext) -> Join {
    let version = context.version;
    let is_new = request.member_id.is_empty() && request.group_instance_id.is_none();
    Join {
        group: group_id(&request.group_id),
        member: MemberId::from(&*request.member_id),
        instance: request.group_instance_id.as_deref().map(InstanceId::from),
        client_id: context.client_name(),
        client_host: context.client_host(),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: if version >= REBALANCE_TIMEOUT_FROM {
            request.rebalance_timeout_ms
        } else {
            request.session_timeout_ms
        },
        protocol_type: request.protocol_type.to_string(),
        protocols: request.protocols.iter().map(protocol).collect(),
        requires_member_id: is_new && version >= MEMBER_ID_REQUIRED_FROM,
        supports_skip_assignment: version >= SKIP_ASSIGNMENT_FROM,
        fresh: Uuid::new_v4(),
    }
}

fn protocol(asked: &JoinGroupRequestProtocol) -> JoinProtocol {
    JoinProtocol { name: asked.name.to_string(), metadata: Bytes::copy_from_slice(&asked.metadata) }
}

fn answer(joined: JoinedGroup, version: i16) -> JoinGroupResponse {
    let protocol = optional_text(joined.protocol.as_deref());
    let protocol =
        if version >= PROTOCOL_NULLABLE_FROM { protocol } else { Some(protocol.unwrap_or_default()) };
    JoinGroupResponse::default()
        .with_error_code(joined.error.map_or(0, |error| response_error(error).code()))
        .with_generation_id(joined.generation.0)
        .with_protocol_type(optional_text(joined.protocol_type.as_deref()))
        .with_protocol_name(protocol)
        .with_leader(text(joined.leader.as_str()))
        .with_skip_assignment(joined.skip_assignment && version >= SKIP_ASSIGNMENT_FROM)
        .with_member_id(text(joined.member.as_str()))
        .with_members(joined.members.into_iter().map(answer_member).collect())
}

fn answer_member(joined: JoinedMember) -> JoinGroupResponseMember {
    JoinGroupResponseMember::default()
        .with_member_id(text(joined.member.as_str()))
        .with_group_instance_id(optional_text(joined.instance.as_ref().map(InstanceId::as_str)))
        .with_metadata(joined.metadata)
}

/// The answer of a node that is not the coordinator. The message's other defaults are those of a refusal.
fn refused(error: ResponseError, member: StrBytes) -> JoinGroupResponse {
    JoinGroupResponse::default().with_error_code(error.code()).with_member_id(member)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;
    use trilog_cluster::coordinator::{Generation, GroupErrorCode};

    use super::*;

    fn joined(error: Option<GroupErrorCode>) -> JoinedGroup {
        let is_in = error.is_none();
        let member = JoinedMember {
            member: MemberId::from("m-1"),
            instance: Some(InstanceId::from("i-1")),
            metadata: Bytes::from_static(b"topics"),
        };
        JoinedGroup {
            error,
            generation: Generation(if is_in { 3 } else { -1 }),
            protocol_type: is_in.then(|| "consumer".to_owned()),
            protocol: is_in.then(|| "range".to_owned()),
            leader: MemberId::from("m-1"),
            skip_assignment: is_in,
            member: MemberId::from("m-1"),
            members: vec![member],
        }
    }

    #[test]
    fn every_version_can_carry_every_answer() {
        for version in JoinGroup::SERVED.min..=JoinGroup::SERVED.max {
            let is_in = answer(joined(None), version);
            assert_eq!((is_in.error_code, is_in.generation_id, is_in.members.len()), (0, 3, 1));
            assert_eq!(is_in.skip_assignment, version >= 9);
            let out = answer(joined(Some(GroupErrorCode::MemberIdRequired)), version);
            assert_eq!((out.error_code, out.generation_id), (79, -1));
            assert_eq!(out.protocol_name.is_none(), version >= 7);
            let elsewhere = refused(ResponseError::NotCoordinator, StrBytes::from_static_str("m-1"));
            assert_eq!((elsewhere.error_code, elsewhere.generation_id), (16, -1));
            for response in [is_in, out, elsewhere] {
                response.encode(&mut BytesMut::new(), version).unwrap();
            }
        }
    }
}
