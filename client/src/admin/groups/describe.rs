//! ConsumerGroupDescribe, and DescribeGroups for classic groups.

use std::sync::Arc;

use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, DescribeGroupsRequest, consumer_group_describe_response as modern,
};
use trilog_protocol::ErrorCode;
use trilog_protocol::consumer_protocol::{Subscription, parse_assignment};

use crate::Error;
use crate::admin::requests::checked;
use crate::admin::rounds::Policy;
use crate::admin::route::{Coordinated, Route};
use crate::admin::run::{Attempt, Operation};
use crate::admin::{Admin, Results};
use crate::consumer::TopicPartition;
use crate::consumer::partition::flatten;
use crate::messages::group_id;
use crate::wire::Api;

/// The state of a group that the coordinator does not have.
const DEAD: &str = "Dead";

/// A group with its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its name.
    pub group: String,
    /// `classic` or `consumer`.
    pub kind: String,
    /// What its members speak: `consumer` for consumers; empty for offsets without members.
    pub protocol_type: String,
    /// Its state, as `Stable` or `Empty`.
    pub state: String,
    /// The assignor in use.
    pub assignor: String,
    /// The broker that coordinates it.
    pub coordinator: Option<i32>,
    /// The group epoch, of a group of KIP-848.
    pub epoch: Option<i32>,
    /// The epoch of the target assignment, of a group of KIP-848.
    pub assignment_epoch: Option<i32>,
    /// Its members.
    pub members: Vec<MemberDescription>,
}

/// A member of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberDescription {
    /// Its id.
    pub member_id: String,
    /// Its `group.instance.id`, of a static member.
    pub instance: Option<String>,
    /// Its `client.id`.
    pub client_id: String,
    /// Its address, as the coordinator sees it.
    pub host: String,
    /// Its `client.rack`, of a group of KIP-848.
    pub rack: Option<String>,
    /// Its epoch, of a group of KIP-848.
    pub epoch: Option<i32>,
    /// The topics that it subscribes to.
    pub topics: Vec<String>,
    /// The regular expression that it subscribes to.
    pub pattern: Option<String>,
    /// The partitions that it has.
    pub assignment: Vec<TopicPartition>,
    /// The partitions that it is to have, of a group of KIP-848.
    pub target: Vec<TopicPartition>,
}

impl Admin {
    /// Describes groups of both protocols. A group that does not exist is `GROUP_ID_NOT_FOUND`.
    pub async fn describe_groups<G: Into<String>>(
        &self,
        groups: impl IntoIterator<Item = G>,
    ) -> Results<String, GroupDescription> {
        self.run(DescribeGroups, groups.into_iter().map(Into::into)).await
    }
}

struct DescribeGroups;

impl Operation for DescribeGroups {
    type Key = String;
    type Value = GroupDescription;
    const POLICY: Policy = Policy::FREE;

    fn route(&self, group: &String) -> Route {
        Route::Coordinator(Coordinated::Group(group.clone()))
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        groups: &[String],
    ) -> Result<Results<String, GroupDescription>, Error> {
        let mut rows = Results::new();
        let mut classic: Vec<_> = groups.iter().map(|group| group_id(group)).collect();
        let serves_both =
            attempt.connection.versions().get(Api::of::<ConsumerGroupDescribeRequest>()).is_some();
        if serves_both {
            let request = ConsumerGroupDescribeRequest::default().with_group_ids(classic.clone());
            let answer = attempt.connection.request(request).await?;
            for row in answer.groups {
                let group = row.group_id.to_string();
                let row = checked(row.error_code, row.error_message.clone()).map(|()| consumer_group(row));
                rows.insert(group, row);
            }
            classic.retain(|group| matches!(rows.get(group.as_str()), Some(Err(error)) if is_classic(error)));
        }
        if !classic.is_empty() {
            let request = DescribeGroupsRequest::default().with_groups(classic);
            let answer = attempt.connection.request(request).await?;
            for row in answer.groups {
                let group = row.group_id.to_string();
                let row =
                    checked(row.error_code, row.error_message.clone()).and_then(|()| classic_group(row));
                rows.insert(group, row);
            }
        }
        for group in rows.values_mut().flatten() {
            group.coordinator = attempt.node;
        }
        Ok(rows)
    }
}

/// Whether the answer to ConsumerGroupDescribe says that the group, if there is one, is a classic group.
const fn is_classic(error: &Error) -> bool {
    matches!(
        error,
        Error::Broker { code: ErrorCode::GROUP_ID_NOT_FOUND | ErrorCode::UNSUPPORTED_VERSION, .. }
    )
}

fn classic_group(row: DescribedGroup) -> Result<GroupDescription, Error> {
    if row.group_state.as_str() == DEAD {
        return Err(Error::code(ErrorCode::GROUP_ID_NOT_FOUND));
    }
    Ok(GroupDescription {
        group: row.group_id.to_string(),
        kind: "classic".to_owned(),
        protocol_type: row.protocol_type.to_string(),
        state: row.group_state.to_string(),
        assignor: row.protocol_data.to_string(),
        members: row.members.into_iter().map(classic_member).collect(),
        ..GroupDescription::default()
    })
}

/// The member of a classic group. What its client has encoded in its own way is left out.
fn classic_member(row: DescribedGroupMember) -> MemberDescription {
    let subscription = Subscription::parse(&row.member_metadata);
    let assigned = parse_assignment(&row.member_assignment).unwrap_or_default();
    MemberDescription {
        member_id: row.member_id.to_string(),
        instance: row.group_instance_id.map(|instance| instance.to_string()),
        client_id: row.client_id.to_string(),
        host: row.client_host.to_string(),
        topics: subscription.map(|subscription| subscription.topics).unwrap_or_default(),
        assignment: flatten(&assigned).collect(),
        ..MemberDescription::default()
    }
}

fn consumer_group(row: modern::DescribedGroup) -> GroupDescription {
    GroupDescription {
        group: row.group_id.to_string(),
        kind: "consumer".to_owned(),
        protocol_type: "consumer".to_owned(),
        state: row.group_state.to_string(),
        assignor: row.assignor_name.to_string(),
        coordinator: None,
        epoch: Some(row.group_epoch),
        assignment_epoch: Some(row.assignment_epoch),
        members: row.members.into_iter().map(consumer_member).collect(),
    }
}

fn consumer_member(row: modern::Member) -> MemberDescription {
    let pattern = row.subscribed_topic_regex.map(|pattern| pattern.to_string());
    MemberDescription {
        member_id: row.member_id.to_string(),
        instance: row.instance_id.map(|instance| instance.to_string()),
        client_id: row.client_id.to_string(),
        host: row.client_host.to_string(),
        rack: row.rack_id.map(|rack| rack.to_string()),
        epoch: Some(row.member_epoch),
        topics: row.subscribed_topic_names.iter().map(|topic| topic.to_string()).collect(),
        pattern: pattern.filter(|pattern| !pattern.is_empty()),
        assignment: partitions(row.assignment),
        target: partitions(row.target_assignment),
    }
}

fn partitions(assignment: modern::Assignment) -> Vec<TopicPartition> {
    let mut partitions = Vec::new();
    for topic in assignment.topic_partitions {
        let name = Arc::<str>::from(topic.topic_name.as_str());
        let named = |partition| TopicPartition { topic: name.clone(), partition };
        partitions.extend(topic.partitions.into_iter().map(named));
    }
    partitions.sort_unstable();
    partitions
}

#[cfg(test)]
mod tests {
    use kafka_protocol::protocol::StrBytes;

    use super::*;

    #[test]
    fn a_group_that_the_coordinator_does_not_have_is_no_group() {
        let dead = DescribedGroup::default().with_group_state(StrBytes::from_static_str(DEAD));
        assert!(matches!(
            classic_group(dead),
            Err(Error::Broker { code: ErrorCode::GROUP_ID_NOT_FOUND, .. })
        ));
    }

    #[test]
    fn members_that_encode_in_their_own_way_are_still_described() {
        let rubbish = bytes::Bytes::from_static(&[0xff, 0xff, 0xff]);
        let row = DescribedGroupMember::default().with_member_id(StrBytes::from_static_str("m"));
        let member =
            classic_member(row.with_member_metadata(rubbish.clone()).with_member_assignment(rubbish));
        assert_eq!(member, MemberDescription { member_id: "m".to_owned(), ..Default::default() });
    }
}
