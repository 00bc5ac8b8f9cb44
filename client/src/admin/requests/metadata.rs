//! Metadata, with all that it tells of topics.

use std::collections::BTreeMap;

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use kafka_protocol::messages::{MetadataRequest, MetadataResponse};

use super::{checked, known, nodes};
use crate::Error;
use crate::admin::Results;
use crate::admin::topics::{PartitionDescription, TopicDescription, TopicRef};
use crate::cluster::address;
use crate::config::Address;
use crate::messages::{topic_name, version_from};
use crate::metadata::NodeId;
use crate::wire::Connection;

/// Below it, an empty list of topics means all of them, and a broker creates every topic that it is asked for.
const LOWEST: i16 = 4;
/// From this version on, topics can be asked for by id (KIP-516).
const BY_ID: i16 = 12;

/// An answer.
#[derive(Debug, Default)]
pub(in crate::admin) struct Told {
    pub(in crate::admin) brokers: BTreeMap<NodeId, Address>,
    pub(in crate::admin) controller: Option<NodeId>,
    pub(in crate::admin) topics: Results<TopicRef, TopicDescription>,
}

/// Asks for these topics, and for none if the list is empty.
pub(in crate::admin) async fn topics(connection: &Connection, asked: &[TopicRef]) -> Result<Told, Error> {
    let (mut names, mut ids) = (Vec::new(), Vec::new());
    for topic in asked {
        match topic {
            TopicRef::Name(name) => {
                names.push(MetadataRequestTopic::default().with_name(Some(topic_name(name))));
            }
            TopicRef::Id(id) => {
                ids.push(MetadataRequestTopic::default().with_name(None).with_topic_id(*id));
            }
        }
    }
    let mut told = Told::default();
    // Brokers look at names or at ids, not at both.
    if !names.is_empty() || ids.is_empty() {
        told = ask(connection, Some(names), LOWEST).await?;
    }
    if !ids.is_empty() {
        let by_id = ask(connection, Some(ids), BY_ID).await?;
        (told.brokers, told.controller) = (by_id.brokers, by_id.controller);
        told.topics.extend(by_id.topics);
    }
    Ok(told)
}

/// Asks for all topics.
pub(in crate::admin) async fn all(connection: &Connection) -> Result<Told, Error> {
    ask(connection, None, LOWEST).await
}

async fn ask(
    connection: &Connection,
    topics: Option<Vec<MetadataRequestTopic>>,
    lowest: i16,
) -> Result<Told, Error> {
    let version = version_from::<MetadataRequest>(connection, lowest)?;
    let request = MetadataRequest::default().with_topics(topics).with_allow_auto_topic_creation(false);
    told(connection.request_at_version(request, version).await?, lowest == BY_ID)
}

fn told(answer: MetadataResponse, by_id: bool) -> Result<Told, Error> {
    checked(answer.error_code, None)?;
    let mut told = Told { controller: known(answer.controller_id.0), ..Told::default() };
    for broker in answer.brokers {
        told.brokers.insert(broker.node_id.0, address(&broker.host, broker.port)?);
    }
    for topic in answer.topics {
        let name = topic.name.as_ref().map(|name| name.to_string());
        let key = match name.clone() {
            Some(name) if !by_id => TopicRef::Name(name),
            _ => TopicRef::Id(topic.topic_id),
        };
        let row = checked(topic.error_code, None);
        told.topics.insert(key, row.map(|()| description(topic, name.unwrap_or_default())));
    }
    Ok(told)
}

fn description(topic: MetadataResponseTopic, name: String) -> TopicDescription {
    let mut partitions: Vec<_> = topic.partitions.into_iter().map(partition).collect();
    partitions.sort_unstable_by_key(|partition| partition.partition);
    TopicDescription {
        name,
        id: Some(topic.topic_id).filter(|id| !id.is_nil()),
        internal: topic.is_internal,
        partitions,
    }
}

fn partition(row: MetadataResponsePartition) -> PartitionDescription {
    PartitionDescription {
        partition: row.partition_index,
        leader: known(row.leader_id.0),
        leader_epoch: known(row.leader_epoch),
        replicas: nodes(&row.replica_nodes),
        in_sync: nodes(&row.isr_nodes),
        offline: nodes(&row.offline_replicas),
    }
}

#[cfg(test)]
mod tests {
    use trilog_protocol::ErrorCode;
    use uuid::Uuid;

    use super::*;

    fn row(name: Option<&str>, id: u128, code: ErrorCode) -> MetadataResponseTopic {
        MetadataResponseTopic::default()
            .with_name(name.map(topic_name))
            .with_topic_id(Uuid::from_u128(id))
            .with_error_code(code.0)
            .with_partitions(vec![
                MetadataResponsePartition::default().with_partition_index(1).with_leader_id((-1).into()),
                MetadataResponsePartition::default().with_partition_index(0).with_leader_id(3.into()),
            ])
    }

    fn answer(topics: Vec<MetadataResponseTopic>) -> MetadataResponse {
        MetadataResponse::default().with_topics(topics)
    }

    #[test]
    fn topics_have_the_key_that_they_were_asked_for_by() {
        let topics = || answer(vec![row(Some("t"), 7, ErrorCode::NONE)]);
        let by_name = told(topics(), false).unwrap().topics;
        assert_eq!(by_name.keys().collect::<Vec<_>>(), [&TopicRef::Name("t".to_owned())]);
        let by_id = told(topics(), true).unwrap().topics;
        assert_eq!(by_id.keys().collect::<Vec<_>>(), [&TopicRef::Id(Uuid::from_u128(7))]);
        let unknown = told(answer(vec![row(None, 9, ErrorCode::UNKNOWN_TOPIC_ID)]), true).unwrap().topics;
        assert!(unknown[&TopicRef::Id(Uuid::from_u128(9))].is_err());
    }

    #[test]
    fn partitions_are_in_order_and_a_leader_below_zero_is_none() {
        let topics = told(answer(vec![row(Some("t"), 0, ErrorCode::NONE)]), false).unwrap().topics;
        let topic = topics.into_values().next().unwrap().unwrap();
        let leaders: Vec<_> = topic.partitions.iter().map(|row| (row.partition, row.leader)).collect();
        assert_eq!(leaders, [(0, Some(3)), (1, None)]);
        assert_eq!(topic.id, None, "the nil id is none");
    }

    #[test]
    fn an_answer_that_is_an_error_as_a_whole_is_one() {
        let rebootstrap = answer(Vec::new()).with_error_code(ErrorCode::REBOOTSTRAP_REQUIRED.0);
        assert!(told(rebootstrap, false).is_err());
    }
}
