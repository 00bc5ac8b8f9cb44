//! What a request does to the cluster's metadata: one file a request.
//!
//! Deciding is a function of the image, the request and the context. It changes nothing; what it wants changed it says
//! in records. The checks, their order and their messages are Kafka's, so that tools and tests that look at them
//! find what they know.

mod allocate_producer_ids;
mod alter_configs;
mod alter_topic_configs;
mod assignment;
mod config_change;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod draft;
mod register_broker;

use std::collections::{BTreeMap, BTreeSet};

use super::configs::BrokerSettings;
use super::errors::{ControllerError, ErrorCode};
use super::image::MetadataImage;
use super::limits::{MAX_ENTRY_BYTES, MAX_TOPIC_CONFIG_BYTES};
use super::quorum::{Handover, Quorum};
use super::records::{ControllerRecord, encode_entry};
use super::requests::{ControllerRequest, ControllerResponse};
use crate::ids::{NodeId, TopicId};

/// What a decision needs beside the image.
pub struct DecisionContext<'a> {
    /// The nodes that are up, as the leader knows it.
    pub alive: &'a BTreeSet<NodeId>,
    /// Whether there is room for more topics and partitions: a majority of the nodes has a disk that is not full.
    pub has_room: bool,
    /// What holds where a request leaves something open: the settings of the leader's node.
    pub defaults: &'a BrokerSettings,
    /// Where the ids of new topics come from. Random ids, never the same twice, and none of the two that Kafka
    /// reserves (0 and 1).
    pub new_topic_id: &'a mut dyn FnMut() -> TopicId,
    /// How the controller's own group stands.
    pub quorum: &'a Quorum,
}

/// What comes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What is to be written, as one entry. Empty: nothing changes, and the response may leave at once.
    pub records: Vec<ControllerRecord>,
    /// What the client is told once the records are committed.
    pub response: ControllerResponse,
}

impl Decision {
    /// The entry to propose, if anything changes, and what the client is told. A decision whose entry would be too long to be sent
    /// to followers is refused instead: the controller would wait for that entry for ever.
    #[must_use]
    pub fn into_entry(self) -> (Option<Vec<u8>>, ControllerResponse) {
        let Self { records, mut response } = self;
        if records.is_empty() {
            return (None, response);
        }
        let entry = encode_entry(&records);
        if entry.len() <= MAX_ENTRY_BYTES {
            return (Some(entry), response);
        }
        let why = "The request changes too much at once: ask for less in one request.";
        response.refuse(&ControllerError::new(ErrorCode::PolicyViolation, why));
        (None, response)
    }
}

/// Decides a request on an image that contains every record proposed before.
///
/// # Panics
///
/// If `new_topic_id` yields a reserved id, or one that a topic has.
pub fn decide(
    image: &MetadataImage,
    request: &ControllerRequest,
    context: &mut DecisionContext<'_>,
) -> Decision {
    match request {
        ControllerRequest::RegisterBroker(broker) => register_broker::decide(image, broker),
        ControllerRequest::CreateTopics(request) => create_topics::decide(image, request, context),
        ControllerRequest::DeleteTopics(request) => delete_topics::decide(image, request, context),
        ControllerRequest::CreatePartitions(request) => create_partitions::decide(image, request, context),
        ControllerRequest::AlterTopicConfigs(request) => alter_topic_configs::decide(image, request, context),
        ControllerRequest::AlterConfigs(request) => alter_configs::decide(image, request, context),
        ControllerRequest::AllocateProducerIds => allocate_producer_ids::decide(image),
        ControllerRequest::DescribeQuorum => {
            answer(ControllerResponse::DescribeQuorum(context.quorum.clone()))
        }
        // The shard carries these out, and leaves none to the controller.
        ControllerRequest::HandToPreferred(groups) => {
            answer(ControllerResponse::HandToPreferred(vec![Handover::NotLeader; groups.len()]))
        }
    }
}

/// A decision that changes nothing.
const fn answer(response: ControllerResponse) -> Decision {
    Decision { records: Vec::new(), response }
}

/// The items that occur more than once: such a request cannot be carried out in any order that its sender would
/// expect.
fn repeated<'a, T: Ord>(items: impl IntoIterator<Item = &'a T>) -> BTreeSet<&'a T> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_insert(0usize) += 1;
    }
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(item, _)| item).collect()
}

/// Refuses what would take room where there is none.
fn check_room(context: &DecisionContext<'_>) -> Result<(), ControllerError> {
    if context.has_room {
        return Ok(());
    }
    Err(ControllerError::new(ErrorCode::KafkaStorageError, "The disks of too many nodes are full."))
}

/// Refuses settings of a topic that come to `bytes`, instead of `before`, where all topics' come to `total` and may not grow.
fn check_config_bytes(total: usize, before: usize, bytes: usize) -> Result<(), ControllerError> {
    if bytes <= before || total - before + bytes <= MAX_TOPIC_CONFIG_BYTES {
        return Ok(());
    }
    let message = format!("The settings of all topics may come to {MAX_TOPIC_CONFIG_BYTES} bytes at most.");
    Err(ControllerError::new(ErrorCode::PolicyViolation, message))
}

fn unknown_topic() -> ControllerError {
    ControllerError::new(
        ErrorCode::UnknownTopicOrPartition,
        "This server does not host this topic-partition.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::configs::Configs;
    use crate::controller::requests::{ConfigResource, ItemResult};

    #[test]
    fn an_entry_that_followers_could_not_be_sent_is_refused() {
        let decision = |bytes: usize| {
            let configs = Configs::from([("a".to_owned(), "x".repeat(bytes))]);
            let results = vec![
                ItemResult { item: ConfigResource::Cluster, outcome: Ok(()) },
                ItemResult { item: ConfigResource::Node(NodeId(1)), outcome: Ok(()) },
            ];
            Decision {
                records: vec![ControllerRecord::ClusterConfigsSet { configs }],
                response: ControllerResponse::AlterConfigs(results),
            }
        };
        let (entry, response) = decision(MAX_ENTRY_BYTES / 2).into_entry();
        assert!(entry.is_some_and(|entry| entry.len() > MAX_ENTRY_BYTES / 2));
        assert_eq!(response, decision(0).response);
        let (entry, response) = decision(MAX_ENTRY_BYTES).into_entry();
        assert_eq!(entry, None);
        let ControllerResponse::AlterConfigs(results) = response else { panic!("{response:?}") };
        let codes: Vec<_> = results.into_iter().map(|result| result.outcome.unwrap_err().code).collect();
        assert_eq!(codes, [ErrorCode::PolicyViolation; 2]);
    }
}
