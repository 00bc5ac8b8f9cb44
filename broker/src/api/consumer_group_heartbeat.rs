//! ConsumerGroupHeartbeat (68), versions 0-1: a member of a group of the consumer protocol joins, lives, says
//! what it owns and learns what it is to own, and leaves, all in one request (KIP-848).
//!
//! * v1: subscription by regular expression; the client makes up its member id before it joins (KIP-1082).

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions as OwnedPartitions;
use kafka_protocol::messages::consumer_group_heartbeat_response::{
    Assignment, TopicPartitions as AssignedPartitions,
};
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use trilog_cluster::coordinator::{
    ConsumerHeartbeat, ConsumerHeartbeatAnswer, GroupProtocol, GroupRequest, GroupResponse, InstanceId,
    MemberEpoch, MemberId, TopicPartitions,
};
use trilog_cluster::ids::{PartitionIndex, TopicId};
use uuid::Uuid;

use super::broker::Broker;
use super::call::{Call, CallContext, Handler, Versions};
use super::group_coordinator::{Asked, ask, group_id, group_item_error, text};
use super::item_error::ItemError;
use crate::connection::Reply;

/// See the module.
pub(super) struct ConsumerGroupHeartbeat;

/// From this version on clients make up their member ids.
const MEMBER_ID_GIVEN_FROM: i16 = 1;

impl Handler for ConsumerGroupHeartbeat {
    type Request = ConsumerGroupHeartbeatRequest;
    const SERVED: Versions = Versions::new(0, 1);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { request, context } = call;
        if !broker.settings().groups.protocols.contains(&GroupProtocol::Consumer) {
            return context.now(&answer(Err(ItemError::bare(ResponseError::UnsupportedVersion))));
        }
        if context.version >= MEMBER_ID_GIVEN_FROM && request.member_id.is_empty() {
            let refusal = ItemError::new(ResponseError::InvalidRequest, "MemberId can't be empty.");
            return context.now(&answer(Err(refusal)));
        }
        let patterns = broker.node.topic_patterns();
        let pattern = request.subscribed_topic_regex.as_deref().filter(|pattern| !patterns.knows(pattern));
        let pattern = pattern.map(str::to_owned);
        let asked = GroupRequest::ConsumerHeartbeat(heartbeat(&request, &context));
        drop(request);
        let Some(pattern) = pattern else { return context.later(heard(ask(broker, asked))) };
        let broker = Arc::clone(broker);
        context.later(async move {
            // What is wrong with it the coordinator says, once it has seen to all else.
            let _ = broker.node.topic_patterns().learn(&pattern).await;
            heard(ask(&broker, asked)).await
        })
    }
}

async fn heard(asked: Asked) -> ConsumerGroupHeartbeatResponse {
    let heard = asked.answer(|response| match response {
        GroupResponse::ConsumerHeartbeat(heard) => Some(heard.map_err(group_item_error)),
        _ => None,
    });
    answer(heard.await.unwrap_or_else(|error| Err(ItemError::bare(error))))
}

fn heartbeat(request: &ConsumerGroupHeartbeatRequest, context: &CallContext) -> ConsumerHeartbeat {
    let names = request.subscribed_topic_names.as_ref();
    let owned = request.topic_partitions.as_ref();
    ConsumerHeartbeat {
        group: group_id(&request.group_id),
        member: MemberId::from(&*request.member_id),
        epoch: MemberEpoch(request.member_epoch),
        instance: request.instance_id.as_deref().map(InstanceId::from),
        rack: request.rack_id.as_deref().map(str::to_owned),
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        topic_names: names.map(|names| names.iter().map(|name| name.to_string()).collect()),
        topic_regex: request.subscribed_topic_regex.as_deref().map(str::to_owned),
        assignor: request.server_assignor.as_deref().map(str::to_owned),
        owned: owned.map(|owned| owned.iter().map(owned_partitions).collect()),
        client_id: context.client_name(),
        client_host: context.client_host(),
        fresh: Uuid::new_v4(),
    }
}

fn owned_partitions(owned: &OwnedPartitions) -> TopicPartitions {
    TopicPartitions {
        topic: TopicId(owned.topic_id),
        partitions: owned.partitions.iter().copied().map(PartitionIndex).collect(),
    }
}

fn answer(outcome: Result<ConsumerHeartbeatAnswer, ItemError>) -> ConsumerGroupHeartbeatResponse {
    match outcome {
        Ok(heard) => ConsumerGroupHeartbeatResponse::default()
            .with_member_id(Some(text(heard.member.as_str())))
            .with_member_epoch(heard.epoch.0)
            .with_heartbeat_interval_ms(heard.heartbeat_interval_ms)
            .with_assignment(heard.assignment.map(assignment)),
        Err(ItemError { error, message }) => ConsumerGroupHeartbeatResponse::default()
            .with_error_code(error.code())
            .with_error_message(message),
    }
}

fn assignment(partitions: Vec<TopicPartitions>) -> Assignment {
    let partitions = partitions.into_iter().map(|assigned| {
        AssignedPartitions::default()
            .with_topic_id(assigned.topic.0)
            .with_partitions(assigned.partitions.into_iter().map(|partition| partition.0).collect())
    });
    let assignment = Assignment::default().with_topic_partitions(partitions.collect());
    #[cfg(debug_assertions)]
    let assignment = crate::faults::assigned(assignment);
    assignment
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;

    use super::*;

    fn heard(assignment: Option<Vec<TopicPartitions>>) -> ConsumerHeartbeatAnswer {
        ConsumerHeartbeatAnswer {
            member: MemberId::from("m-1"),
            epoch: MemberEpoch(3),
            heartbeat_interval_ms: 5000,
            assignment,
        }
    }

    #[test]
    fn every_version_can_carry_every_answer() {
        let one = TopicPartitions { topic: TopicId(Uuid::from_u128(7)), partitions: vec![PartitionIndex(2)] };
        let assigned = answer(Ok(heard(Some(vec![one]))));
        assert_eq!((assigned.error_code, assigned.member_epoch), (0, 3));
        assert_eq!(assigned.assignment.as_ref().unwrap().topic_partitions[0].partitions, [2]);
        let unchanged = answer(Ok(heard(None)));
        assert_eq!(unchanged.assignment, None);
        let fenced = answer(Err(ItemError::new(ResponseError::FencedMemberEpoch, "too old")));
        assert_eq!((fenced.error_code, fenced.error_message.as_deref()), (110, Some("too old")));
        for version in ConsumerGroupHeartbeat::SERVED.min..=ConsumerGroupHeartbeat::SERVED.max {
            for response in [&assigned, &unchanged, &fenced] {
                response.encode(&mut BytesMut::new(), version).unwrap();
            }
        }
    }
}
