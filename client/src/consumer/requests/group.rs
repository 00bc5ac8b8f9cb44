//! Requests to a group's coordinator, and the one that finds it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ConsumerGroupHeartbeatRequest, FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest,
    LeaveGroupRequest, MetadataRequest, SyncGroupRequest,
};
use trilog_protocol::ErrorCode;
use uuid::Uuid;

use super::{ask, group_id, millis, text, topic_name, version};
use crate::Error;
use crate::cluster::address;
use crate::config::Address;
use crate::consumer::assignor::Assignor;
use crate::consumer::config::ConsumerConfig;
use crate::consumer::group::classic::{Joined, Request};
use crate::consumer::group::modern::{self, HeartbeatAnswer, PartitionsById};
use crate::metadata::NodeId;
use crate::wire::Connection;

/// The protocol type of groups of consumers.
const CONSUMER: &str = "consumer";
/// From this version on, members leave by a list.
const LEAVE_BY_LIST: i16 = 3;
/// From this version on, SyncGroup names the protocol.
const SYNC_NAMES_PROTOCOL: i16 = 5;
/// From this version on, topics can be asked for by id.
const METADATA_BY_ID: i16 = 12;

/// What a classic request was answered. The outer error says that there is no answer.
#[derive(Debug)]
pub(in crate::consumer) enum ClassicAnswer {
    Joined(Result<Joined, ErrorCode>),
    /// JoinGroup has to be sent again under this id.
    MemberId(String),
    Synced(Result<Vec<u8>, ErrorCode>),
    Beat {
        generation: i32,
        answer: Result<(), ErrorCode>,
    },
    Left,
}

/// Which broker coordinates the group, and where it listens.
pub(in crate::consumer) async fn find_coordinator(
    connection: &Connection,
    group: &str,
) -> Result<(NodeId, Address), Error> {
    // Later versions ask for many at once.
    let answer = ask(connection, FindCoordinatorRequest::default().with_key(text(group)), 3).await?;
    ErrorCode(answer.error_code).check().map_err(Error::code)?;
    Ok((answer.node_id.0, address(&answer.host, answer.port)?))
}

/// Sends a request of the classic protocol.
pub(in crate::consumer) async fn classic(
    connection: &Connection,
    group: &str,
    config: &ConsumerConfig,
    request: Request,
) -> Result<ClassicAnswer, Error> {
    let instance = config.instance.as_deref().map(text);
    match request {
        Request::Join { member_id, protocols } => {
            join(connection, group, config, &member_id, protocols).await
        }
        Request::Sync { generation, member_id, assignor, assignments } => {
            let version = version::<SyncGroupRequest>(connection, i16::MAX)?;
            let assignments = assignments.into_iter().map(|(member, assignment)| {
                SyncGroupRequestAssignment::default()
                    .with_member_id(text(&member))
                    .with_assignment(assignment.into())
            });
            let mut request = SyncGroupRequest::default()
                .with_group_id(group_id(group))
                .with_generation_id(generation)
                .with_member_id(text(&member_id))
                .with_group_instance_id(instance)
                .with_assignments(assignments.collect());
            if version >= SYNC_NAMES_PROTOCOL {
                request.protocol_type = Some(text(CONSUMER));
                request.protocol_name = Some(text(assignor.name()));
            }
            let answer = connection.request_at_version(request, version).await?;
            let code = ErrorCode(answer.error_code).check();
            Ok(ClassicAnswer::Synced(code.map(|()| answer.assignment.to_vec())))
        }
        Request::Heartbeat { generation, member_id } => {
            let request = HeartbeatRequest::default()
                .with_group_id(group_id(group))
                .with_generation_id(generation)
                .with_member_id(text(&member_id))
                .with_group_instance_id(instance);
            let answer = ask(connection, request, i16::MAX).await?;
            Ok(ClassicAnswer::Beat { generation, answer: ErrorCode(answer.error_code).check() })
        }
        Request::Leave { member_id } => {
            let version = version::<LeaveGroupRequest>(connection, i16::MAX)?;
            let request = LeaveGroupRequest::default().with_group_id(group_id(group));
            let request = if version >= LEAVE_BY_LIST {
                request.with_members(vec![MemberIdentity::default().with_member_id(text(&member_id))])
            } else {
                request.with_member_id(text(&member_id))
            };
            connection.request_at_version(request, version).await?;
            Ok(ClassicAnswer::Left)
        }
    }
}

async fn join(
    connection: &Connection,
    group: &str,
    config: &ConsumerConfig,
    member_id: &str,
    protocols: Vec<(Assignor, Vec<u8>)>,
) -> Result<ClassicAnswer, Error> {
    let protocols = protocols.into_iter().map(|(assignor, metadata)| {
        JoinGroupRequestProtocol::default().with_name(text(assignor.name())).with_metadata(metadata.into())
    });
    let mut request = JoinGroupRequest::default()
        .with_group_id(group_id(group))
        .with_session_timeout_ms(millis(config.session_timeout))
        .with_member_id(text(member_id))
        .with_group_instance_id(config.instance.as_deref().map(text))
        .with_protocol_type(text(CONSUMER))
        .with_protocols(protocols.collect());
    let version = version::<JoinGroupRequest>(connection, i16::MAX)?;
    if version >= 1 {
        request.rebalance_timeout_ms = millis(config.max_poll_interval);
    }
    let answer = connection.request_at_version(request, version).await?;
    match ErrorCode(answer.error_code) {
        ErrorCode::NONE => {}
        ErrorCode::MEMBER_ID_REQUIRED => return Ok(ClassicAnswer::MemberId(answer.member_id.to_string())),
        code => return Ok(ClassicAnswer::Joined(Err(code))),
    }
    let name = answer.protocol_name.as_deref().unwrap_or_default();
    let assignor =
        Assignor::named(name).filter(|assignor| config.assignors.contains(assignor)).ok_or_else(|| {
            Error::Malformed { cause: format!("the group has chosen {name:?}, which this member lacks") }
        })?;
    let members = answer.members.into_iter().map(|member| {
        let instance = member.group_instance_id.map(|instance| instance.to_string());
        (member.member_id.to_string(), instance, member.metadata.to_vec())
    });
    Ok(ClassicAnswer::Joined(Ok(Joined {
        generation: answer.generation_id,
        leads: answer.leader == answer.member_id,
        member_id: answer.member_id.to_string(),
        assignor,
        skip_assignment: answer.skip_assignment,
        members: members.collect(),
    })))
}

/// Sends a heartbeat of the consumer protocol.
pub(in crate::consumer) async fn heartbeat(
    connection: &Connection,
    group: &str,
    request: modern::HeartbeatRequest,
) -> Result<Result<HeartbeatAnswer, ErrorCode>, Error> {
    let version = version::<ConsumerGroupHeartbeatRequest>(connection, i16::MAX)?;
    let wanted = request.wanted;
    if version == 0 && wanted.as_ref().is_some_and(|wanted| wanted.pattern.is_some()) {
        let cause = "ConsumerGroupHeartbeat 0 knows no regular expressions".to_owned();
        return Err(Error::Unsupported { cause });
    }
    let names = wanted.as_ref().map(|wanted| wanted.names.iter().map(|name| topic_name(name)).collect());
    // A pattern that is taken back is told as an empty one.
    let pattern = wanted.filter(|_| version >= 1).map(|wanted| text(&wanted.pattern.unwrap_or_default()));
    let message = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group_id(group))
        .with_member_id(text(&request.member_id))
        .with_member_epoch(request.epoch)
        .with_instance_id(request.instance.as_deref().map(text))
        .with_rack_id(request.rack.as_deref().map(text))
        .with_rebalance_timeout_ms(request.rebalance_timeout.map_or(-1, millis))
        .with_subscribed_topic_names(names)
        .with_subscribed_topic_regex(pattern)
        .with_server_assignor(request.assignor.as_deref().map(text))
        .with_topic_partitions(request.owned.map(owned));
    let answer = connection.request_at_version(message, version).await?;
    if let Err(code) = ErrorCode(answer.error_code).check() {
        return Ok(Err(code));
    }
    let assignment = answer.assignment.map(|assignment| {
        let topic = assignment.topic_partitions.into_iter();
        topic.map(|topic| (topic.topic_id, topic.partitions.into_iter().collect())).collect()
    });
    Ok(Ok(HeartbeatAnswer {
        member_id: answer.member_id.map_or(request.member_id, |id| id.to_string()),
        epoch: answer.member_epoch,
        interval: Duration::from_millis(u64::try_from(answer.heartbeat_interval_ms).unwrap_or(0).max(100)),
        assignment,
    }))
}

fn owned(partitions: PartitionsById) -> Vec<TopicPartitions> {
    let topic = |(id, partitions): (Uuid, BTreeSet<i32>)| {
        TopicPartitions::default().with_topic_id(id).with_partitions(partitions.into_iter().collect())
    };
    partitions.into_iter().map(topic).collect()
}

/// The names of topics. Those that the broker does not know are left out.
pub(in crate::consumer) async fn topic_names(
    connection: &Connection,
    ids: &BTreeSet<Uuid>,
) -> Result<BTreeMap<Uuid, Arc<str>>, Error> {
    connection.versions().check::<MetadataRequest>(METADATA_BY_ID)?;
    let topics = ids.iter().map(|id| MetadataRequestTopic::default().with_topic_id(*id).with_name(None));
    let request =
        MetadataRequest::default().with_topics(Some(topics.collect())).with_allow_auto_topic_creation(false);
    let answer = connection.request_at_version(request, METADATA_BY_ID).await?;
    let named =
        answer.topics.into_iter().filter_map(|topic| Some((topic.topic_id, Arc::from(topic.name?.as_str()))));
    Ok(named.filter(|(id, _)| ids.contains(id)).collect())
}
