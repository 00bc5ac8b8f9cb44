//! ConsumerGroupDescribe (69), versions 0-1: groups of the consumer protocol, with their members (KIP-848).
//!
//! A group of the classic protocol does not exist for this API: DescribeGroups has it.
//!
//! * v1: which protocol each member speaks, as a group may be on its way from one to the other (KIP-1099).

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::consumer_group_describe_response::{
    Assignment, DescribedGroup, Member, TopicPartitions,
};
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, GroupId, TopicName,
};
use trilog_cluster::coordinator::{
    ConsumerDescription, ConsumerMemberDescription, GroupProtocol, GroupRequest, GroupResponse, InstanceId,
    NamedTopicPartitions,
};

use super::authorized_operations;
use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::distinct::keep_first;
use super::group_coordinator::{ask_each, group_id, group_item_error, optional_text, text};
use super::item_error::ItemError;
use crate::connection::Reply;

/// See the module.
pub(super) struct ConsumerGroupDescribe;

/// Kafka's numbers for the protocols that a member can speak.
const CLASSIC: i8 = 0;
const CONSUMER: i8 = 1;

impl Handler for ConsumerGroupDescribe {
    type Request = ConsumerGroupDescribeRequest;
    const SERVED: Versions = Versions::new(0, 1);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { mut request, context } = call;
        keep_first(&mut request.group_ids, GroupId::clone);
        let operations = authorized_operations::of_groups(request.include_authorized_operations);
        if !broker.settings().groups.protocols.contains(&GroupProtocol::Consumer) {
            let refusal = || Err(ItemError::bare(ResponseError::UnsupportedVersion));
            let groups = request.group_ids.into_iter().map(|group| answer(group, refusal(), operations));
            return context.now(&ConsumerGroupDescribeResponse::default().with_groups(groups.collect()));
        }
        let groups = request.group_ids.clone().into_iter();
        let asked = ask_each(broker, groups.map(|group| GroupRequest::DescribeConsumer(group_id(&group))));
        context.later(async move {
            let described = asked.answers(|response| match response {
                GroupResponse::DescribeConsumer(described) => Some(described.map_err(group_item_error)),
                _ => None,
            });
            let outcomes = described.await.into_iter().map(|outcome| outcome.map_err(ItemError::bare)?);
            let groups = request.group_ids.into_iter().zip(outcomes);
            let groups = groups.map(|(group, outcome)| answer(group, outcome, operations));
            ConsumerGroupDescribeResponse::default().with_groups(groups.collect())
        })
    }
}

fn answer(
    group: GroupId,
    outcome: Result<ConsumerDescription, ItemError>,
    operations: i32,
) -> DescribedGroup {
    let answer = DescribedGroup::default().with_group_id(group);
    match outcome {
        Ok(described) => answer
            .with_group_state(text(described.state))
            .with_group_epoch(described.epoch.0)
            .with_assignment_epoch(described.assignment_epoch.0)
            .with_assignor_name(described.assignor.into())
            .with_members(described.members.into_iter().map(answer_member).collect())
            .with_authorized_operations(operations),
        Err(ItemError { error, message }) => answer.with_error_code(error.code()).with_error_message(message),
    }
}

fn answer_member(member: ConsumerMemberDescription) -> Member {
    let names = member.topic_names.into_iter().map(|name| TopicName(name.into()));
    Member::default()
        .with_member_id(text(member.member.as_str()))
        .with_instance_id(optional_text(member.instance.as_ref().map(InstanceId::as_str)))
        .with_rack_id(member.rack.map(Into::into))
        .with_member_epoch(member.epoch.0)
        .with_client_id(member.client_id.into())
        .with_client_host(member.client_host.into())
        .with_subscribed_topic_names(names.collect())
        .with_subscribed_topic_regex(member.topic_regex.map(Into::into))
        .with_assignment(assignment(member.assignment))
        .with_target_assignment(assignment(member.target))
        .with_member_type(if member.is_classic { CLASSIC } else { CONSUMER })
}

fn assignment(partitions: Vec<NamedTopicPartitions>) -> Assignment {
    let partitions = partitions.into_iter().map(|of_topic| {
        TopicPartitions::default()
            .with_topic_id(of_topic.id.0)
            .with_topic_name(TopicName(text(&of_topic.name)))
            .with_partitions(of_topic.partitions.into_iter().map(|partition| partition.0).collect())
    });
    Assignment::default().with_topic_partitions(partitions.collect())
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;
    use trilog_cluster::coordinator::{MemberEpoch, MemberId};
    use trilog_cluster::ids::{PartitionIndex, TopicId};
    use uuid::Uuid;

    use super::*;

    fn described() -> ConsumerDescription {
        let owned = NamedTopicPartitions {
            id: TopicId(Uuid::from_u128(7)),
            name: "t".into(),
            partitions: vec![PartitionIndex(2)],
        };
        let member = ConsumerMemberDescription {
            member: MemberId::from("m-1"),
            instance: Some(InstanceId::from("i-1")),
            rack: Some("r1".to_owned()),
            epoch: MemberEpoch(3),
            client_id: "c".to_owned(),
            client_host: "/192.0.2.1".to_owned(),
            topic_names: vec!["t".to_owned()],
            topic_regex: Some("t.*".to_owned()),
            assignment: vec![owned.clone()],
            target: vec![owned],
            is_classic: false,
        };
        ConsumerDescription {
            state: "Stable",
            epoch: MemberEpoch(3),
            assignment_epoch: MemberEpoch(3),
            assignor: "uniform".to_owned(),
            members: vec![member],
        }
    }

    #[test]
    fn every_version_can_carry_every_answer() {
        let not_found = ItemError::new(ResponseError::GroupIdNotFound, "Group g not found.");
        let groups = [Ok(described()), Err(not_found)]
            .map(|outcome| answer(GroupId(text("g")), outcome, authorized_operations::of_groups(true)));
        let known = &groups[0].members[0];
        assert_eq!((known.member_epoch, known.member_type), (3, CONSUMER));
        assert_eq!(known.assignment.topic_partitions[0].topic_name.as_str(), "t");
        assert_eq!((groups[1].error_code, groups[1].error_message.is_some()), (69, true));
        let response = ConsumerGroupDescribeResponse::default().with_groups(groups.to_vec());
        for version in ConsumerGroupDescribe::SERVED.min..=ConsumerGroupDescribe::SERVED.max {
            response.encode(&mut BytesMut::new(), version).unwrap();
        }
    }
}
