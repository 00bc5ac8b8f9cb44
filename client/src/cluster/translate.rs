//! Metadata between Kafka's messages and this crate's types.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use trilog_protocol::ErrorCode;

use crate::Error;
use crate::config::Address;
use crate::metadata::{Answer, NodeId, Partition, TopicAnswer, UNKNOWN_EPOCH};
use crate::wire::{BrokerVersions, ClientError};

/// Below it, an empty list of topics means all of them, and a broker makes every topic that it is asked for.
const LOWEST_VERSION: i16 = 4;

/// The version to ask in.
pub(super) fn metadata_version(versions: &BrokerVersions) -> Result<i16, ClientError> {
    let version = versions.negotiate::<MetadataRequest>()?;
    if version < LOWEST_VERSION {
        versions.check::<MetadataRequest>(LOWEST_VERSION)?;
    }
    Ok(version)
}

/// A request for these topics, none of which is all that is asked for if the list is empty.
pub(super) fn request(topics: &[Arc<str>], auto_create: bool) -> MetadataRequest {
    let topics = topics.iter().map(|topic| {
        let name = TopicName(StrBytes::from_string(topic.to_string()));
        MetadataRequestTopic::default().with_name(Some(name))
    });
    MetadataRequest::default().with_topics(Some(topics.collect())).with_allow_auto_topic_creation(auto_create)
}

/// What an answer tells.
pub(super) fn answer(response: MetadataResponse) -> Result<Answer, Error> {
    let mut brokers = BTreeMap::new();
    for broker in response.brokers {
        let address = address(&broker.host, broker.port)?;
        brokers.insert(broker.node_id.0, address);
    }
    let topics = response.topics.into_iter().filter_map(topic).collect();
    Ok(Answer { brokers, topics })
}

/// Where a broker listens, as an answer names it.
pub(crate) fn address(host: &str, port: i32) -> Result<Address, Error> {
    let is_host = !host.is_empty() && !host.contains(char::is_whitespace);
    match u16::try_from(port) {
        Ok(port) if port > 0 && is_host => Ok(Address { host: host.to_owned(), port }),
        _ => Err(Error::Malformed { cause: format!("a broker listens at {host:?}, port {port}") }),
    }
}

fn topic(topic: MetadataResponseTopic) -> Option<TopicAnswer> {
    let name = topic.name?;
    let partitions = topic.partitions.iter().map(|told| (told.partition_index, partition(told)));
    Some(TopicAnswer {
        name: name.0.as_str().into(),
        id: topic.topic_id,
        error: ErrorCode(topic.error_code),
        partitions: partitions.collect(),
    })
}

fn partition(told: &MetadataResponsePartition) -> Partition {
    let leader: NodeId = told.leader_id.0;
    // Brokers before Kafka 2.1 tell no epoch; the message then has -1.
    let leader_epoch = told.leader_epoch.max(UNKNOWN_EPOCH);
    Partition { leader: (leader >= 0).then_some(leader), leader_epoch }
}
