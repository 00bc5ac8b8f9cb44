//! DescribeGroups (15), versions 0-6: groups of the classic protocol, with their members.
//!
//! A group that does not exist is in the state Dead, without an error until v5. One of the consumer protocol
//! does not exist for this API: ConsumerGroupDescribe has it.
//!
//! * v1: throttle time. v2: throttling is the client's to wait out. v3: what the client may do, if it asks
//!   (KIP-430). v4: static members (KIP-345). v5: flexible.
//! * v6: a group that does not exist is GROUP_ID_NOT_FOUND, and errors have a message (KIP-1043).

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse, GroupId};
use trilog_cluster::coordinator::{
    ClassicDescription, ClassicMemberDescription, GroupRequest, GroupResponse, InstanceId,
};

use super::authorized_operations;
use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::distinct::keep_first;
use super::group_coordinator::{ask_each, group_id, group_item_error, optional_text, text};
use super::item_error::ItemError;
use crate::connection::Reply;

/// See the module.
pub(super) struct DescribeGroups;

/// From this version on a group that does not exist is an error, and errors have a message.
const NOT_FOUND_FROM: i16 = 6;

/// The state of a group that does not exist.
const DEAD: &str = "Dead";

impl Handler for DescribeGroups {
    type Request = DescribeGroupsRequest;
    const SERVED: Versions = Versions::new(0, 6);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { mut request, context } = call;
        keep_first(&mut request.groups, GroupId::clone);
        let version = context.version;
        let groups = request.groups.clone().into_iter();
        let asked = ask_each(broker, groups.map(|group| GroupRequest::DescribeClassic(group_id(&group))));
        context.later(async move {
            let described = asked.answers(|response| match response {
                GroupResponse::DescribeClassic(described) => Some(described.map_err(group_item_error)),
                _ => None,
            });
            let operations = authorized_operations::of_groups(request.include_authorized_operations);
            let outcomes = described.await.into_iter().map(|outcome| outcome.map_err(ItemError::bare)?);
            let groups = request.groups.into_iter().zip(outcomes);
            let groups = groups.map(|(group, outcome)| answer(group, outcome, version, operations));
            DescribeGroupsResponse::default().with_groups(groups.collect())
        })
    }
}

fn answer(
    group: GroupId,
    outcome: Result<ClassicDescription, ItemError>,
    version: i16,
    operations: i32,
) -> DescribedGroup {
    let answer = DescribedGroup::default().with_group_id(group);
    match outcome {
        Ok(described) => answer
            .with_group_state(text(described.state))
            .with_protocol_type(described.protocol_type.into())
            .with_protocol_data(described.protocol.into())
            .with_members(described.members.into_iter().map(answer_member).collect())
            .with_authorized_operations(operations),
        Err(ItemError { error: ResponseError::GroupIdNotFound, .. }) if version < NOT_FOUND_FROM => {
            answer.with_group_state(text(DEAD)).with_authorized_operations(operations)
        }
        Err(ItemError { error, message }) => answer
            .with_group_state(text(if error == ResponseError::GroupIdNotFound { DEAD } else { "" }))
            .with_error_code(error.code())
            .with_error_message(message.filter(|_| version >= NOT_FOUND_FROM)),
    }
}

fn answer_member(member: ClassicMemberDescription) -> DescribedGroupMember {
    DescribedGroupMember::default()
        .with_member_id(text(member.member.as_str()))
        .with_group_instance_id(optional_text(member.instance.as_ref().map(InstanceId::as_str)))
        .with_client_id(member.client_id.into())
        .with_client_host(member.client_host.into())
        .with_member_metadata(member.metadata)
        .with_member_assignment(member.assignment)
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use kafka_protocol::protocol::Encodable;
    use trilog_cluster::coordinator::MemberId;

    use super::*;

    fn described() -> ClassicDescription {
        let member = ClassicMemberDescription {
            member: MemberId::from("m-1"),
            instance: Some(InstanceId::from("i-1")),
            client_id: "c".to_owned(),
            client_host: "/192.0.2.1".to_owned(),
            metadata: Bytes::from_static(b"topics"),
            assignment: Bytes::from_static(b"partitions"),
        };
        ClassicDescription {
            state: "Stable",
            protocol_type: "consumer".to_owned(),
            protocol: "range".to_owned(),
            members: vec![member],
        }
    }

    #[test]
    fn every_version_can_carry_every_answer() {
        let not_found = || ItemError::new(ResponseError::GroupIdNotFound, "Group g not found.");
        for version in DescribeGroups::SERVED.min..=DescribeGroups::SERVED.max {
            let operations = authorized_operations::of_groups(version >= 3);
            let groups =
                [Ok(described()), Err(not_found()), Err(ItemError::bare(ResponseError::NotCoordinator))]
                    .map(|outcome| answer(GroupId(text("g")), outcome, version, operations));
            let states = groups.each_ref().map(|group| (group.group_state.to_string(), group.error_code));
            let expected = [("Stable", 0), ("Dead", if version >= 6 { 69 } else { 0 }), ("", 16)];
            assert_eq!(states, expected.map(|(state, code)| (state.to_owned(), code)));
            assert_eq!(groups[1].error_message.is_some(), version >= 6);
            let response = DescribeGroupsResponse::default().with_groups(groups.to_vec());
            response.encode(&mut BytesMut::new(), version).unwrap();
        }
    }
}
