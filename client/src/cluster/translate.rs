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

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::BrokerId;
    use kafka_protocol::messages::metadata_response::MetadataResponseBroker;

    use super::*;

    #[test]
    fn a_broker_that_listens_nowhere_spoils_the_answer() {
        for (host, port) in [("", 9092), ("a b", 9092), ("h", 0), ("h", -1), ("h", 65536)] {
            let host = StrBytes::from_static_str(host);
            let broker = MetadataResponseBroker::default().with_node_id(BrokerId(1)).with_host(host);
            let response = MetadataResponse::default().with_brokers(vec![broker.with_port(port)]);
            assert!(matches!(answer(response), Err(Error::Malformed { .. })), "port {port}");
        }
    }

    #[test]
    fn a_negative_leader_is_none() {
        let told = MetadataResponsePartition::default().with_leader_id(BrokerId(-1)).with_leader_epoch(-5);
        assert_eq!(partition(&told), Partition { leader: None, leader_epoch: UNKNOWN_EPOCH });
    }

    #[test]
    fn only_the_topics_in_use_are_asked_for() {
        assert_eq!(request(&[], true).topics, Some(Vec::new()), "none, where null would be all");
    }
}
