//! Heartbeat (12), versions 0-4: a member of a group of the classic protocol lives, and learns whether the
//! group is being rebalanced.
//!
//! * v1: throttle time. v2: throttling is the client's to wait out. v3: static members (KIP-345).
//! * v4: flexible.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};
use trilog_cluster::coordinator::{
    Generation, GroupRequest, GroupResponse, Heartbeat as Sign, InstanceId, MemberId,
};

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::group_coordinator::{ask, error_code, group_id};
use crate::connection::Reply;

/// See the module.
pub(super) struct Heartbeat;

impl Handler for Heartbeat {
    type Request = HeartbeatRequest;
    const SERVED: Versions = Versions::new(0, 4);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { request, context } = call;
        let sign = Sign {
            group: group_id(&request.group_id),
            member: MemberId::from(&*request.member_id),
            instance: request.group_instance_id.as_deref().map(InstanceId::from),
            generation: Generation(request.generation_id),
        };
        let asked = ask(broker, GroupRequest::Heartbeat(sign));
        context.later(async move {
            let heard = asked.outcome(|response| match response {
                GroupResponse::Heartbeat(heard) => Some(heard),
                _ => None,
            });
            answer(heard.await)
        })
    }
}

fn answer(outcome: Result<(), ResponseError>) -> HeartbeatResponse {
    HeartbeatResponse::default().with_error_code(error_code(&outcome))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;

    use super::*;

    #[test]
    fn every_version_can_carry_every_answer() {
        let answers = [answer(Ok(())), answer(Err(ResponseError::RebalanceInProgress))];
        assert_eq!(answers.each_ref().map(|answer| answer.error_code), [0, 27]);
        for version in Heartbeat::SERVED.min..=Heartbeat::SERVED.max {
            for answer in &answers {
                answer.encode(&mut BytesMut::new(), version).unwrap();
            }
        }
    }
}
