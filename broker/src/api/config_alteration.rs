//! Changing settings, whether all of a resource's (AlterConfigs) or one by one (IncrementalAlterConfigs).
//!
//! The controller decides about topics, nodes and groups, and its log keeps what they have. What may be set of nodes is what
//! takes effect at once: the rest is refused by its name, as in Kafka. Clients send a node's own settings
//! to that node. The empty name means all nodes, and any node takes the request.
//!
//! Levels of loggers are a node's own, and last as long as its process. Only clients on the node's machine may change them, as over
//! HTTP: a log of everything fills disks. Others are refused with CLUSTER_AUTHORIZATION_FAILED.

use std::net::IpAddr;

use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;
use trilog_cluster::controller::{
    AlterConfigs, AlterTopicConfigs, ConfigAlteration, ConfigChange, ConfigOperation, ConfigResource,
    ControllerError, ControllerRequest, ControllerResponse, ItemResult, ResourceAlteration, TopicAlteration,
    topic_name,
};

use super::admin_deadline::AdminDeadline;
use super::broker::Broker;
use super::config_description::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use super::distinct::{keep_first, repeated};
use super::item_error::ItemError;
use crate::logging::{LogLevelError, LogLevels};

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

/// Who carries a change out.
enum Asked {
    Topic(TopicAlteration),
    Other(ResourceAlteration),
    /// This node, which has done so.
    Nobody,
}

/// Has the settings of `resources` changed by a client at this address, or with `validate_only` says what would come of it. One result for each, in their
/// order; one that is named more than once is refused, and has one result.
pub(super) async fn alter(
    broker: &Broker,
    client: IpAddr,
    resources: Vec<Resource>,
    validate_only: bool,
) -> Vec<Altered> {
    let (mut topics, mut others) = (Vec::new(), Vec::new());
    let twice = repeated(resources.iter().map(|resource| (resource.resource_type, resource.name.clone())));
    let mut altered = Vec::with_capacity(resources.len());
    for Resource { resource_type, name, change } in resources {
        let is_twice = resource_type == BROKER_LOGGER && twice.contains(&(resource_type, name.clone()));
        let change = if is_twice { Err(invalid("Each resource must appear at most once.")) } else { change };
        let asked =
            change.and_then(|change| asked(broker, client, resource_type, &name, change, validate_only));
        // What the controller decides is filled in below, in the same order.
        let outcome = asked.map(|asked| match asked {
            Asked::Topic(topic) => topics.push(topic),
            Asked::Other(other) => others.push(other),
            Asked::Nobody => {}
        });
        altered.push(Altered { resource_type, name, outcome });
    }
    let mut topics = submit_topics(broker, topics, validate_only).await.into_iter();
    let mut others = submit_others(broker, others, validate_only).await.into_iter();
    for altered in altered.iter_mut().filter(|altered| altered.outcome.is_ok()) {
        let outcome = match altered.resource_type {
            TOPIC => topics.next(),
            BROKER | GROUP => others.next(),
            _ => continue,
        };
        altered.outcome = outcome.unwrap_or(Err(ItemError::bare(ResponseError::UnknownServerError)));
    }
    keep_first(&mut altered, |altered| (altered.resource_type, altered.name.clone()));
    altered
}

fn asked(
    broker: &Broker,
    client: IpAddr,
    resource_type: i8,
    name: &StrBytes,
    change: ConfigChange,
    validate_only: bool,
) -> Result<Asked, ItemError> {
    let other = |resource, change| Ok(Asked::Other(ResourceAlteration { resource, change }));
    match resource_type {
        TOPIC => {
            check_topic_name(name)?;
            Ok(Asked::Topic(TopicAlteration { name: name.to_string(), change }))
        }
        BROKER if name.is_empty() => other(ConfigResource::Cluster, change),
        BROKER => {
            check_own_id(broker, name)?;
            other(ConfigResource::Node(broker.node.id()), change)
        }
        GROUP => other(ConfigResource::Group(name.to_string()), change),
        BROKER_LOGGER => {
            check_own_id(broker, name)?;
            check_same_machine(client)?;
            set_levels(broker, &change, validate_only).map(|()| Asked::Nobody)
        }
        CLIENT_METRICS => Err(no_client_metrics(name)),
        other => Err(invalid(format!("Unknown resource type {other}"))),
    }
}

/// Refuses a name that no topic may have with the codes that Kafka has for it.
fn check_topic_name(name: &str) -> Result<(), ItemError> {
    if name.is_empty() {
        return Err(invalid("Default topic resources are not allowed."));
    }
    topic_name::check(name).map_err(|why| ItemError::new(ResponseError::InvalidTopicException, why))
}

/// A node is asked for what is its own.
///
/// # Errors
///
/// INVALID_REQUEST for another node's id.
pub(super) fn check_own_id(broker: &Broker, name: &str) -> Result<(), ItemError> {
    let own = broker.node.id();
    if name == own.to_string() {
        return Ok(());
    }
    Err(invalid(format!("Unexpected broker id, expected {own}, but received {name}")))
}

/// Levels of loggers are changed from the node's own machine.
fn check_same_machine(client: IpAddr) -> Result<(), ItemError> {
    if client.to_canonical().is_loopback() {
        return Ok(());
    }
    let why = "Levels of loggers are changed from the node's own machine only.";
    Err(ItemError::fixed(ResponseError::ClusterAuthorizationFailed, why))
}

/// The refusal of a subscription to clients' metrics.
pub(super) fn no_client_metrics(name: &str) -> ItemError {
    invalid(format!("Client metrics are not collected: {name} cannot be a subscription to them."))
}

fn invalid(why: impl std::fmt::Display) -> ItemError {
    ItemError::new(ResponseError::InvalidRequest, why)
}

fn set_levels(broker: &Broker, change: &ConfigChange, validate_only: bool) -> Result<(), ItemError> {
    let log = &broker.started.log;
    let failed = |error| ItemError::new(ResponseError::UnknownServerError, error);
    let mut levels = LogLevels::of(&log.current().map_err(failed)?);
    let ConfigChange::Incremental(changes) = change else {
        return Err(invalid("Levels of loggers are set one by one, with IncrementalAlterConfigs."));
    };
    for change in changes {
        set_level(&mut levels, change)?;
    }
    if validate_only { Ok(()) } else { log.set(&levels.filter()).map_err(failed) }
}

fn set_level(levels: &mut LogLevels, change: &ConfigAlteration) -> Result<(), ItemError> {
    let level = match change.operation {
        ConfigOperation::Set => {
            Some(change.value.as_deref().ok_or_else(|| invalid("A level to set must not be null."))?)
        }
        ConfigOperation::Delete => None,
        ConfigOperation::Append => {
            return Err(invalid("APPEND operation is not allowed for the BROKER_LOGGER resource"));
        }
        ConfigOperation::Subtract => {
            return Err(invalid("SUBTRACT operation is not allowed for the BROKER_LOGGER resource"));
        }
    };
    levels.set(&change.name, level).map_err(|error| match error {
        LogLevelError::Root => invalid(error),
        LogLevelError::UnknownLogger(_) | LogLevelError::UnknownLevel(..) => {
            ItemError::new(ResponseError::InvalidConfig, error)
        }
    })
}

async fn submit_topics(
    broker: &Broker,
    topics: Vec<TopicAlteration>,
    validate_only: bool,
) -> Vec<Result<(), ItemError>> {
    let count = topics.len();
    let request = ControllerRequest::AlterTopicConfigs(AlterTopicConfigs { topics, validate_only });
    submit(broker, request, count, |response| match response {
        ControllerResponse::AlterTopicConfigs(results) => Ok(outcomes(results)),
        other => Err(other),
    })
    .await
}

async fn submit_others(
    broker: &Broker,
    resources: Vec<ResourceAlteration>,
    validate_only: bool,
) -> Vec<Result<(), ItemError>> {
    let count = resources.len();
    let request = ControllerRequest::AlterConfigs(AlterConfigs { resources, validate_only });
    submit(broker, request, count, |response| match response {
        ControllerResponse::AlterConfigs(results) => Ok(outcomes(results)),
        other => Err(other),
    })
    .await
}

fn outcomes<K>(results: Vec<ItemResult<K, ()>>) -> Vec<Result<(), ControllerError>> {
    results.into_iter().map(|result| result.outcome).collect()
}

/// Asks the controller about `count` resources, if there are any.
async fn submit(
    broker: &Broker,
    request: ControllerRequest,
    count: usize,
    results: impl FnOnce(ControllerResponse) -> Result<Vec<Result<(), ControllerError>>, ControllerResponse>,
) -> Vec<Result<(), ItemError>> {
    if count == 0 {
        return Vec::new();
    }
    match broker.node.submit(request, AdminDeadline::after(TIMEOUT_MS).left_for_commit()).await {
        Ok(response) => match results(response) {
            Ok(results) => results.into_iter().map(|outcome| outcome.map_err(ItemError::from)).collect(),
            Err(other) => vec![Err(ItemError::unexpected(&other)); count],
        },
        Err(error) => vec![Err(error.into()); count],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loggers_are_set_from_the_same_machine_only() {
        let code =
            |client: &str| check_same_machine(client.parse().unwrap()).err().map(|error| error.error.code());
        assert_eq!(["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1"].map(code), [None; 4]);
        assert_eq!(["192.0.2.1", "0.0.0.0", "2001:db8::1", "::ffff:192.0.2.1"].map(code), [Some(31); 4]);
    }
}
