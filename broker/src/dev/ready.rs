//! When a local cluster can be used, and the topics that were asked for with it.
//!
//! Ready means that every node, asked by itself, lists all nodes and a controller among them, and knows the leaders of
//! all partitions of `__consumer_offsets`, which coordinate the consumer groups: whichever node a client comes to first,
//! with whatever it wants, it is served. The nodes are asked as any client would ask, over the Kafka protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{CreateTopicsRequest, MetadataRequest, MetadataResponse};
use kafka_protocol::protocol::StrBytes;
use tokio::time::sleep;
use tracing::debug;
use trilog_client::wire::{ClientError, Connection, ConnectionOptions};
use trilog_cluster::controller::topic_name::CONSUMER_OFFSETS;
use trilog_cluster::ids::NodeId;

use super::plan::Plan;
use crate::cli::new_topic::NewTopic;

/// Between two rounds of questions. Short, since nothing else is going on while a user waits for the cluster.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// How long a node may take to accept a connection, and to answer; a hanging one is asked again.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// How long the cluster may take to create the topics of one request.
const CREATE_WITHIN: Duration = Duration::from_secs(30);

/// A cluster that can be used.
#[derive(Debug)]
pub(super) struct Ready {
    /// The node that decides on topics.
    pub(super) controller: NodeId,
    /// The topics that were asked for, each with what came of it, as a sentence.
    pub(super) topics: Vec<String>,
}

/// Waits until the cluster can be used, then creates the topics. Waits for ever if a node never comes: that it ended
/// is reported elsewhere, and it may be started again.
pub(super) async fn wait_until_ready(plan: Plan, topics: Vec<NewTopic>) -> Ready {
    let mut connections = BTreeMap::new();
    loop {
        if let Some(controller) = controller(&plan, &mut connections).await {
            let outcome = match connections.get(&controller) {
                Some(connection) => create_topics(connection, &topics).await,
                None => Ok(None),
            };
            match outcome {
                Ok(Some(topics)) => return Ready { controller, topics },
                Ok(None) => {}
                Err(error) => {
                    debug!(%error, "topics not created yet");
                    connections.clear();
                }
            }
        }
        sleep(ASK_AGAIN_AFTER).await;
    }
}

/// The controller, if every node of the plan answers, knows all the others and the leaders of all coordinators, and
/// names the same controller.
async fn controller(plan: &Plan, connections: &mut BTreeMap<NodeId, Connection>) -> Option<NodeId> {
    let expected: BTreeSet<NodeId> = plan.nodes.iter().map(|node| node.id).collect();
    let options = ConnectionOptions {
        client_id: "trilog-dev".to_owned(),
        connect_timeout: ANSWER_WITHIN,
        request_timeout: ANSWER_WITHIN,
        ..ConnectionOptions::default()
    };
    let mut agreed = None;
    for node in &plan.nodes {
        let connection = match connections.remove(&node.id) {
            Some(connection) => connection,
            None => Connection::connect(&node.address.to_string(), &options).await.ok()?,
        };
        let answer = connection.request(question()).await.ok()?;
        let named = controller_in(&answer, &expected).filter(|_| has_coordinators(&answer))?;
        // A connection that failed is not put back, so that the next round dials afresh.
        connections.insert(node.id, connection);
        if *agreed.get_or_insert(named) != named {
            return None;
        }
    }
    agreed
}

/// What a node is asked. The nodes make the topic by themselves, when all of them are there.
fn question() -> MetadataRequest {
    let name = StrBytes::from_static_str(CONSUMER_OFFSETS).into();
    let topic = MetadataRequestTopic::default().with_name(Some(name));
    MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(false)
}

/// Whether this answer names the leaders of all coordinators.
fn has_coordinators(answer: &MetadataResponse) -> bool {
    let mut topics = answer.topics.iter();
    let is_led = |topic: &MetadataResponseTopic| {
        let led = topic.partitions.iter().all(|partition| partition.error_code == 0);
        topic.error_code == 0 && !topic.partitions.is_empty() && led
    };
    topics.next().is_some_and(is_led) && topics.next().is_none()
}

/// The controller, if this answer lists exactly the nodes expected and the controller is one of them.
fn controller_in(answer: &MetadataResponse, expected: &BTreeSet<NodeId>) -> Option<NodeId> {
    let listed: Option<BTreeSet<NodeId>> =
        answer.brokers.iter().map(|broker| NodeId::of_number(broker.node_id.0)).collect();
    let controller =
        NodeId::of_number(answer.controller_id.0).filter(|controller| expected.contains(controller));
    if listed.as_ref() == Some(expected) { controller } else { None }
}

/// Creates the topics; `None` if the cluster was not able to yet and is to be asked again.
///
/// Topics that exist were perhaps created by the attempt before: that is no failure, and what they hold is left alone.
async fn create_topics(
    connection: &Connection,
    topics: &[NewTopic],
) -> Result<Option<Vec<String>>, ClientError> {
    if topics.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let creatable = topics.iter().map(|topic| {
        CreatableTopic::default()
            .with_name(StrBytes::from_string(topic.name.clone()).into())
            .with_num_partitions(topic.partitions)
            .with_replication_factor(topic.replication_factor)
    });
    let timeout = i32::try_from(CREATE_WITHIN.as_millis()).unwrap_or(i32::MAX);
    let request = CreateTopicsRequest::default().with_topics(creatable.collect()).with_timeout_ms(timeout);
    let answer = connection.request(request).await?;
    Ok(answer.topics.iter().map(outcome).collect())
}

/// What came of one topic, `None` if it is worth another attempt.
fn outcome(result: &CreatableTopicResult) -> Option<String> {
    let name = result.name.0.as_str();
    match ResponseError::try_from_code(result.error_code) {
        None => Some(format!("topic {name}: created")),
        Some(ResponseError::TopicAlreadyExists) => Some(format!("topic {name}: exists, left as it is")),
        Some(error) if error.is_retriable() => None,
        Some(error) => {
            let message = result.error_message.as_ref().map(|message| format!(": {}", message.as_str()));
            Some(format!("topic {name}: not created, {error}{}", message.unwrap_or_default()))
        }
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::BrokerId;
    use kafka_protocol::messages::metadata_response::{MetadataResponseBroker, MetadataResponsePartition};

    use super::*;

    fn answer(brokers: &[i32], controller: i32) -> MetadataResponse {
        let brokers = brokers.iter().map(|id| MetadataResponseBroker::default().with_node_id(BrokerId(*id)));
        MetadataResponse::default().with_brokers(brokers.collect()).with_controller_id(BrokerId(controller))
    }

    #[test]
    fn ready_takes_all_nodes_and_a_controller() {
        let expected = BTreeSet::from([NodeId(1), NodeId(2), NodeId(3)]);
        assert_eq!(controller_in(&answer(&[3, 1, 2], 2), &expected), Some(NodeId(2)));
        assert_eq!(controller_in(&answer(&[1, 2], 2), &expected), None, "a node is missing");
        assert_eq!(controller_in(&answer(&[1, 2, 3], -1), &expected), None, "no controller yet");
        assert_eq!(controller_in(&answer(&[1, 2, 3], 4), &expected), None, "another cluster's controller");
        assert_eq!(controller_in(&answer(&[1, 2, 3, 4], 2), &expected), None, "another cluster");
    }

    #[test]
    fn ready_takes_the_leaders_of_all_coordinators() {
        let answer = |topic_error: i16, partition_errors: &[i16]| {
            let partitions = partition_errors
                .iter()
                .map(|error| MetadataResponsePartition::default().with_error_code(*error));
            let topic = MetadataResponseTopic::default()
                .with_error_code(topic_error)
                .with_partitions(partitions.collect());
            MetadataResponse::default().with_topics(vec![topic])
        };
        assert!(has_coordinators(&answer(0, &[0, 0])));
        assert!(!has_coordinators(&answer(0, &[0, 5])), "a leader is missing");
        assert!(!has_coordinators(&answer(3, &[])), "the topic is not there yet");
        assert!(!has_coordinators(&MetadataResponse::default()));
    }

    #[test]
    fn only_a_retriable_error_is_tried_again() {
        let result = |error: i16| {
            let name = StrBytes::from_static_str("orders").into();
            outcome(&CreatableTopicResult::default().with_name(name).with_error_code(error))
        };
        assert_eq!(result(0).unwrap(), "topic orders: created");
        assert_eq!(
            result(ResponseError::TopicAlreadyExists.code()).unwrap(),
            "topic orders: exists, left as it is"
        );
        assert_eq!(result(ResponseError::NotController.code()), None);
        assert!(result(ResponseError::InvalidTopicException.code()).unwrap().contains("not created"));
    }
}
