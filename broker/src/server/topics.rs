//! The topics of `--create-topics`, made when the cluster first comes up.
//!
//! Every node may be given the same list: each asks for what it sees missing, the controller makes a topic once, and
//! whoever comes second is told that it exists. A topic that exists is left as it is, whatever the list says. They wait
//! until every node of the cluster has registered, as the coordinators do, so that partitions spread over all nodes.

use std::time::Duration;

use tracing::{error, info, warn};
use trilog_cluster::controller::{
    ControllerRequest, ControllerResponse, CreateTopics, CreatedTopic, ErrorCode, ItemResult,
    NewTopic as Creation,
};
use trilog_cluster::node::{Awaited, Node, SubmitError};

use crate::cli::new_topic::NewTopic;
use crate::replicas::warn_of_topic;

/// How long one attempt may take, and how often it is said what is waited for.
const ATTEMPT: Duration = Duration::from_secs(60);

/// Makes the topics that are missing; ends when there is nothing left to do. `members` is the number of nodes.
pub(super) async fn create_missing(node: Node, members: usize, topics: Vec<NewTopic>) {
    if topics.is_empty() {
        return;
    }
    let all_registered = || node.image().brokers().len() >= members;
    loop {
        match node.await_published(ATTEMPT, all_registered).await {
            Awaited::Held => break,
            Awaited::TimedOut => {
                let registered = node.image().brokers().len();
                warn!("--create-topics waits until all {members} nodes have registered; {registered} have");
            }
            Awaited::Ended => return,
        }
    }
    loop {
        let image = node.image();
        let missing = topics.iter().filter(|topic| image.topic(&topic.name).is_none());
        let creation = CreateTopics { topics: missing.map(creation).collect(), validate_only: false };
        if creation.topics.is_empty() {
            return;
        }
        match node.submit(ControllerRequest::CreateTopics(creation), ATTEMPT).await {
            Ok(ControllerResponse::CreateTopics(results)) => return results.iter().for_each(tell),
            Err(SubmitError::TimedOut) => warn!("--create-topics: no controller yet, trying again"),
            Err(SubmitError::Ended) => return,
            Ok(response) => {
                return error!(?response, "--create-topics: the controller answered something else");
            }
            Err(error @ (SubmitError::BadAnswer | SubmitError::TooLarge)) => {
                return error!("--create-topics: {error}");
            }
        }
    }
}

fn creation(topic: &NewTopic) -> Creation {
    Creation {
        name: topic.name.clone(),
        num_partitions: topic.partitions,
        replication_factor: topic.replication_factor,
        assignments: Vec::new(),
        configs: Vec::new(),
    }
}

fn tell(ItemResult { item: topic, outcome }: &ItemResult<String, CreatedTopic>) {
    match outcome {
        Ok(made) => {
            info!(topic, partitions = made.partitions, "created, as --create-topics says");
            warn_of_topic(topic, made.replication_factor);
        }
        // Another node was quicker.
        Err(refused) if refused.code == ErrorCode::TopicAlreadyExists => {}
        Err(refused) => error!(topic, "--create-topics: not created: {}", refused.message),
    }
}
