//! CreatePartitions (37), versions 0-3: topics get more partitions (KIP-195).
//!
//! Handed to the controller by whichever node is asked, and answered once the new partitions have leaders,
//! within the request's timeout. A topic that is named more than once is refused, and answered once.
//!
//! * v1: throttling is the client's to wait out. v2: flexible. v3: nothing new on the wire.

use std::collections::BTreeSet;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use trilog_cluster::controller::{
    ControllerRequest, ControllerResponse, CreatePartitions as Growth, ItemResult, NewPartitions, TopicGrowth,
};

use super::admin_deadline::{AdminDeadline, Expected};
use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::distinct::keep_first;
use super::item_error::{ItemError, parts};
use crate::connection::Reply;

/// See the module.
pub(super) struct CreatePartitions;

impl Handler for CreatePartitions {
    type Request = CreatePartitionsRequest;
    const SERVED: Versions = Versions::new(0, 3);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { request, context } = call;
        let broker = Arc::clone(broker);
        let deadline = AdminDeadline::after(request.timeout_ms);
        context.later(async move { grow(&broker, request, deadline).await })
    }
}

/// What came of one topic.
type NamedOutcome = (String, Result<NewPartitions, ItemError>);

/// The topic as it is now, if it has grown.
fn expected((name, outcome): &NamedOutcome) -> Option<Expected> {
    let grown = outcome.as_ref().ok()?;
    Some(Expected { name: name.clone(), partitions: grown.partitions })
}

async fn grow(
    broker: &Broker,
    request: CreatePartitionsRequest,
    deadline: AdminDeadline,
) -> CreatePartitionsResponse {
    let validate_only = request.validate_only;
    let topics: Vec<_> = request.topics.into_iter().map(topic_growth).collect();
    let names: Vec<_> = topics.iter().map(|topic| topic.name.clone()).collect();
    let results = match submit(broker, Growth { topics, validate_only }, deadline).await {
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
            outcome.and_then(|_| if unled.contains(&name) { Err(not_led_in_time()) } else { Ok(()) });
        let (error_code, error_message) = parts(&in_time);
        CreatePartitionsTopicResult::default()
            .with_name(TopicName(StrBytes::from_string(name)))
            .with_error_code(error_code)
            .with_error_message(error_message)
    });
    let mut answers: Vec<_> = answers.collect();
    keep_first(&mut answers, |answer| answer.name.clone());
    CreatePartitionsResponse::default().with_results(answers)
}

async fn submit(
    broker: &Broker,
    growth: Growth,
    deadline: AdminDeadline,
) -> Result<Vec<NamedOutcome>, ItemError> {
    let request = ControllerRequest::CreatePartitions(growth);
    match broker.node.submit(request, deadline.left_for_commit()).await? {
        ControllerResponse::CreatePartitions(results) => Ok(results
            .into_iter()
            .map(|ItemResult { item, outcome }| (item, outcome.map_err(ItemError::from)))
            .collect()),
        other => Err(ItemError::unexpected(&other)),
    }
}

fn not_led_in_time() -> ItemError {
    ItemError::new(ResponseError::RequestTimedOut, "The partitions were created, but have no leaders yet.")
}

fn topic_growth(topic: CreatePartitionsTopic) -> TopicGrowth {
    let replicas = |ids: Vec<_>| ids.into_iter().map(i32::from).collect();
    let assignments =
        topic.assignments.map(|all| all.into_iter().map(|one| replicas(one.broker_ids)).collect());
    TopicGrowth { name: topic.name.to_string(), count: topic.count, assignments }
}
