//! Changing settings, whether all of a topic's (AlterConfigs) or one by one (IncrementalAlterConfigs).
//!
//! Only topics' settings change while the cluster runs. A broker has what it was started with, and an attempt
//! to change it is answered INVALID_REQUEST, as Kafka answers for settings that are not dynamic.

use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;
use trilog_cluster::controller::{
    AlterTopicConfigs, ConfigChange, ControllerRequest, ControllerResponse, TopicAlteration,
};

use super::admin_deadline::AdminDeadline;
use super::broker::Broker;
use super::config_description::{BROKER, TOPIC};
use super::distinct::keep_first;
use super::item_error::ItemError;

/// How long a change may take, in milliseconds. The requests state nothing.
const TIMEOUT_MS: i32 = 30_000;

/// A resource whose settings are to change.
pub(super) struct Resource {
    /// Kafka's number for what kind of resource it is.
    pub(super) resource_type: i8,
    /// The resource's name.
    pub(super) name: StrBytes,
    /// What is to change, or why that cannot be.
    pub(super) change: Result<ConfigChange, ItemError>,
}

/// What came of one resource.
pub(super) struct Altered {
    /// Kafka's number for what kind of resource it is.
    pub(super) resource_type: i8,
    /// The resource's name.
    pub(super) name: StrBytes,
    /// The outcome.
    pub(super) outcome: Result<(), ItemError>,
}

/// Has the controller change the settings of `resources`, or with `validate_only` say what would come of it.
/// One result for each, in their order; one that is named more than once is refused, and has one result.
pub(super) async fn alter(broker: &Broker, resources: Vec<Resource>, validate_only: bool) -> Vec<Altered> {
    let mut topics = Vec::new();
    let mut altered = Vec::with_capacity(resources.len());
    for Resource { resource_type, name, change } in resources {
        let outcome = change.and_then(|change| topic_alteration(resource_type, &name, change));
        // What the controller decides is filled in below, in the same order.
        let outcome = outcome.map(|topic| topics.push(topic));
        altered.push(Altered { resource_type, name, outcome });
    }
    if !topics.is_empty() {
        let mut outcomes = submit(broker, AlterTopicConfigs { topics, validate_only }).await.into_iter();
        for altered in altered.iter_mut().filter(|altered| altered.outcome.is_ok()) {
            altered.outcome =
                outcomes.next().unwrap_or(Err(ItemError::bare(ResponseError::UnknownServerError)));
        }
    }
    keep_first(&mut altered, |altered| (altered.resource_type, altered.name.clone()));
    altered
}

fn topic_alteration(
    resource_type: i8,
    name: &StrBytes,
    change: ConfigChange,
) -> Result<TopicAlteration, ItemError> {
    match resource_type {
        TOPIC => Ok(TopicAlteration { name: name.to_string(), change }),
        BROKER => Err(ItemError::new(
            ResponseError::InvalidRequest,
            "A broker's settings are set with --set when it starts and cannot be changed while it runs.",
        )),
        other => {
            Err(ItemError::new(ResponseError::InvalidRequest, format!("Unsupported resource type: {other}")))
        }
    }
}

async fn submit(broker: &Broker, alteration: AlterTopicConfigs) -> Vec<Result<(), ItemError>> {
    let count = alteration.topics.len();
    let request = ControllerRequest::AlterTopicConfigs(alteration);
    match broker.node.submit(request, AdminDeadline::after(TIMEOUT_MS).left_for_commit()).await {
        Ok(ControllerResponse::AlterTopicConfigs(results)) => {
            results.into_iter().map(|result| result.outcome.map_err(ItemError::from)).collect()
        }
        Ok(other) => vec![Err(ItemError::unexpected(&other)); count],
        Err(error) => vec![Err(error.into()); count],
    }
}
