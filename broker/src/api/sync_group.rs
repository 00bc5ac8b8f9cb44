//! SyncGroup (14), versions 0-5: a member of a group of the classic protocol asks for its assignment.
//!
//! The group's leader brings everybody's; the others' answers come once it has.
//!
//! * v1: throttle time. v2: throttling is the client's to wait out. v3: static members (KIP-345).
//! * v4: flexible. v5: the protocol is named, in the request and in the answer (KIP-559); a request that leaves
//!   it out is refused.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use trilog_cluster::coordinator::{
    Generation, GroupRequest, GroupResponse, InstanceId, MemberId, SyncGroup as Sync, SyncedGroup,
};

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::group_coordinator::{ask, group_id, optional_text};
use crate::connection::Reply;

/// See the module.
pub(super) struct SyncGroup;

/// From this version on the protocol is named.
const PROTOCOL_NAMED_FROM: i16 = 5;

impl Handler for SyncGroup {
    type Request = SyncGroupRequest;
    const SERVED: Versions = Versions::new(0, 5);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { request, context } = call;
        let is_named = request.protocol_type.is_some() && request.protocol_name.is_some();
        if context.version >= PROTOCOL_NAMED_FROM && !is_named {
            return context.now(&answer(Err(ResponseError::InconsistentGroupProtocol)));
        }
        let asked = ask(broker, GroupRequest::Sync(sync(&request))).without_deadline();
        drop(request);
        context.release_share();
        context.later(async move {
            let synced = asked.outcome(|response| match response {
                GroupResponse::Sync(synced) => Some(synced),
                _ => None,
            });
            answer(synced.await)
        })
    }
}

fn sync(request: &SyncGroupRequest) -> Sync {
    let assignments = request.assignments.iter();
    Sync {
        group: group_id(&request.group_id),
        member: MemberId::from(&*request.member_id),
        instance: request.group_instance_id.as_deref().map(InstanceId::from),
        generation: Generation(request.generation_id),
        protocol_type: request.protocol_type.as_deref().map(str::to_owned),
        protocol: request.protocol_name.as_deref().map(str::to_owned),
        assignments: assignments
            .map(|part| (MemberId::from(&*part.member_id), Bytes::copy_from_slice(&part.assignment)))
            .collect(),
    }
}

fn answer(outcome: Result<SyncedGroup, ResponseError>) -> SyncGroupResponse {
    match outcome {
        Ok(synced) => SyncGroupResponse::default()
            .with_protocol_type(optional_text(synced.protocol_type.as_deref()))
            .with_protocol_name(optional_text(synced.protocol.as_deref()))
            .with_assignment(synced.assignment),
        Err(error) => SyncGroupResponse::default().with_error_code(error.code()),
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;

    use super::*;

    #[test]
    fn every_version_can_carry_every_answer() {
        let synced = answer(Ok(SyncedGroup {
            protocol_type: Some("consumer".to_owned()),
            protocol: Some("range".to_owned()),
            assignment: Bytes::from_static(b"partitions"),
        }));
        let refused = answer(Err(ResponseError::RebalanceInProgress));
        assert_eq!((synced.error_code, refused.error_code), (0, 27));
        for version in SyncGroup::SERVED.min..=SyncGroup::SERVED.max {
            synced.encode(&mut BytesMut::new(), version).unwrap();
            refused.encode(&mut BytesMut::new(), version).unwrap();
        }
    }
}
