//! CreateTopics (19), versions 2-7.
//!
//! Any node takes the request and hands it to the controller, which checks and decides it. The answer is
//! given once the new partitions have leaders, as far as the request's timeout allows; a topic that is made
//! but not led by then is answered REQUEST_TIMED_OUT. Settings are answered as an empty list where a topic
//! failed, never as null, which Java clients do not survive. A topic that is named more than once is refused, and answered once.
//!
//! * v2, v3: nothing new on the wire over v1, which had `validate_only`.
//! * v4: -1 stands for the cluster's default number of partitions or replicas (KIP-464).
//! * v5: flexible; the answer tells partitions, replicas and settings (KIP-525).
//! * v6: nothing new on the wire. v7: the answer tells the topic's id.

use std::collections::BTreeSet;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use trilog_cluster::bounds::MAX_PARTITIONS_PER_REQUEST;
use trilog_cluster::controller::{
    Assignment, ControllerRequest, ControllerResponse, CreateTopics as Creation, CreatedTopic, ItemResult,
    NewTopic,
};

use super::admin_deadline::{AdminDeadline, Expected};
use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::config_description::source_code;
use super::distinct::keep_first;
use super::item_error::{ItemError, parts};
use crate::connection::Reply;
use crate::replicas::warn_of_topic;

/// See the module.
pub(super) struct CreateTopics;

/// What a topic with its settings takes in the controller's answer and in the client's, in bytes.
const TOPIC_BYTES: usize = 8 << 10;

impl Handler for CreateTopics {
    type Request = CreateTopicsRequest;
    const SERVED: Versions = Versions::new(2, 7);

    fn answer_bytes(_: &Broker, request: &Self::Request, _: i16) -> usize {
        request.topics.len().min(MAX_PARTITIONS_PER_REQUEST) * TOPIC_BYTES
    }

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { request, context } = call;
        let broker = Arc::clone(broker);
        let deadline = AdminDeadline::after(request.timeout_ms);
        context.later(async move { create(&broker, request, deadline).await })
    }
}

async fn create(
    broker: &Broker,
    request: CreateTopicsRequest,
    deadline: AdminDeadline,
) -> CreateTopicsResponse {
    let validate_only = request.validate_only;
    let topics: Vec<_> = request.topics.into_iter().map(new_topic).collect();
    let names: Vec<_> = topics.iter().map(|topic| topic.name.clone()).collect();
    let creation = Creation { topics, validate_only };
    let results = match submit(broker, creation, deadline).await {
        Ok(results) => results,
        Err(error) => names.into_iter().map(|name| (name, Err(error.clone()))).collect(),
    };
    let unled = if validate_only {
        BTreeSet::new()
    } else {
        deadline.await_leaders(broker, &results.iter().filter_map(expected).collect::<Vec<_>>()).await
    };
    let answers = results.into_iter().map(|(name, outcome)| {
        let in_time =
            outcome.and_then(|made| if unled.contains(&name) { Err(not_led_in_time()) } else { Ok(made) });
        answer(name, in_time)
    });
    let mut answers: Vec<_> = answers.collect();
    keep_first(&mut answers, |answer| answer.name.clone());
    CreateTopicsResponse::default().with_topics(answers)
}

/// What came of one topic.
pub(super) type NamedOutcome = (String, Result<CreatedTopic, ItemError>);

/// The topic that is there now, if it was made.
pub(super) fn expected((name, outcome): &NamedOutcome) -> Option<Expected> {
    let made = outcome.as_ref().ok()?;
    Some(Expected { name: name.clone(), partitions: made.partitions })
}

/// Has the controller make the topics. One result for each, in their order.
pub(super) async fn submit(
    broker: &Broker,
    creation: Creation,
    deadline: AdminDeadline,
) -> Result<Vec<NamedOutcome>, ItemError> {
    let is_made = !creation.validate_only;
    let request = ControllerRequest::CreateTopics(creation);
    match broker.node.submit(request, deadline.left_for_commit()).await? {
        ControllerResponse::CreateTopics(results) => Ok(results
            .into_iter()
            .map(|ItemResult { item, outcome }| {
                if let Ok(made) = outcome.as_ref()
                    && is_made
                {
                    warn_of_topic(&item, made.replication_factor);
                }
                (item, outcome.map_err(ItemError::from))
            })
            .collect()),
        other => Err(ItemError::unexpected(&other)),
    }
}

fn not_led_in_time() -> ItemError {
    ItemError::new(
        ResponseError::RequestTimedOut,
        "The topic was created, but its partitions have no leaders yet.",
    )
}

fn new_topic(topic: CreatableTopic) -> NewTopic {
    let assignments = topic.assignments.into_iter().map(|assignment| Assignment {
        partition: assignment.partition_index,
        replicas: assignment.broker_ids.into_iter().map(i32::from).collect(),
    });
    let configs = topic.configs.into_iter();
    NewTopic {
        name: topic.name.to_string(),
        num_partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: assignments.collect(),
        configs: configs
            .map(|config| (config.name.to_string(), config.value.map(|value| value.to_string())))
            .collect(),
    }
}

/// The answer for one topic.
fn answer(name: String, outcome: Result<CreatedTopic, ItemError>) -> CreatableTopicResult {
    let (error_code, error_message) = parts(&outcome);
    let result = CreatableTopicResult::default()
        .with_name(TopicName(StrBytes::from_string(name)))
        .with_error_code(error_code)
        .with_error_message(error_message)
        .with_configs(Some(Vec::new()));
    let Ok(made) = outcome else { return result.with_num_partitions(-1).with_replication_factor(-1) };
    let configs = made.configs.into_iter().map(|config| {
        CreatableTopicConfigs::default()
            .with_name(StrBytes::from_string(config.name))
            .with_value(Some(StrBytes::from_string(config.value)))
            .with_config_source(source_code(config.source))
    });
    result
        .with_topic_id(made.id.0)
        .with_num_partitions(i32::try_from(made.partitions).unwrap_or(i32::MAX))
        .with_replication_factor(i16::try_from(made.replication_factor).unwrap_or(i16::MAX))
        .with_configs(Some(configs.collect()))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;
    use trilog_cluster::controller::ConfigEntry;
    use trilog_cluster::controller::configs::ConfigSource;
    use trilog_cluster::ids::TopicId;
    use uuid::Uuid;

    use super::*;

    fn made() -> CreatedTopic {
        let config = ConfigEntry {
            name: "retention.ms".into(),
            value: "1".into(),
            source: ConfigSource::DynamicTopic,
        };
        CreatedTopic {
            id: TopicId(Uuid::from_u128(7)),
            partitions: 3,
            replication_factor: 2,
            configs: vec![config],
        }
    }

    #[test]
    fn success_tells_what_was_made() {
        let result = answer("t".into(), Ok(made()));
        assert_eq!((result.error_code, result.num_partitions, result.replication_factor), (0, 3, 2));
        let configs = result.configs.unwrap();
        assert_eq!(configs[0].value.as_deref(), Some("1"));
        assert_eq!(configs[0].config_source, 1);
    }

    #[test]
    fn failure_has_settings_that_are_empty_and_not_null() {
        let result = answer("t".into(), Err(ItemError::new(ResponseError::InvalidPartitions, "none")));
        assert_eq!((result.error_code, result.num_partitions, result.replication_factor), (37, -1, -1));
        assert_eq!(result.configs, Some(vec![]));
    }

    #[test]
    fn every_version_can_carry_either() {
        let topics = vec![answer("t".into(), Ok(made())), answer("t".into(), Err(not_led_in_time()))];
        let response = CreateTopicsResponse::default().with_topics(topics);
        for version in CreateTopics::SERVED.min..=CreateTopics::SERVED.max {
            response.encode(&mut BytesMut::new(), version).unwrap();
        }
    }
}
