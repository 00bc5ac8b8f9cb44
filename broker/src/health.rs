//! `trilog health`: whether a node can be used, asked as any client would ask.
//!
//! A node is healthy if through it clients can do everything: the controller answers it, the coordinators of all
//! consumer groups have leaders, and so has every partition that could have one, which is to say every partition that
//! has a majority of its replicas alive. A partition of one replica on a node that is down is that node's illness, and
//! no reason to restart this one. A node that is cut off from the majority is unhealthy, as nobody is served there.
//!
//! A node in whose environment this runs is also asked over HTTP whether it is [ready](crate::http): that names what no
//! client sees yet, such as a replica that cannot catch up. One whose HTTP port does not answer is judged without it.
//!
//! Two requests tell the rest. The first proposes to create `__consumer_offsets` without meaning it: only the
//! controller can refuse that, with TOPIC_ALREADY_EXISTS, once the topic is there and a majority confirms that the
//! controller still is the controller. The second asks for the metadata of all topics.

use std::collections::BTreeSet;
use std::io;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::metadata_response::MetadataResponsePartition;
use kafka_protocol::messages::{
    CreateTopicsRequest, CreateTopicsResponse, MetadataRequest, MetadataResponse,
};
use kafka_protocol::protocol::StrBytes;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use trilog_client::wire::{ClientError, ConnectError, Connection, ConnectionOptions};
use trilog_cluster::controller::topic_name::CONSUMER_OFFSETS;

use crate::cli::HealthOptions;
use crate::cli::host_port::HostPort;

/// Where a node's HTTP port tells whether it is ready, and what a line begins with that says why not.
const READY: &str = "/health/ready";
const NOT_READY: &str = "not ready: ";

/// The most bytes of an answer that are read.
const MAX_TOLD: u64 = 64 << 10;

/// Why a node is not to be used, or not yet.
#[derive(Debug, Error)]
pub(crate) enum HealthError {
    /// Nobody answers there, or not as a broker does.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A question stayed without an answer.
    #[error("{address} does not answer: {error}")]
    Request {
        /// The node's address.
        address: String,
        /// What happened to the request.
        error: ClientError,
    },
    /// The node answers too slowly.
    #[error("{address} does not answer within {seconds} s (--timeout)")]
    TimedOut {
        /// The node's address.
        address: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The node answers, and the cluster behind it is not complete.
    #[error("{address} is not ready: {reason}")]
    NotReady {
        /// The node's address.
        address: String,
        /// What is missing.
        reason: NotReady,
    },
}

/// What a cluster lacks.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum NotReady {
    /// The node does not reach a controller, as a majority of the nodes is not up or not connected to it.
    #[error("no controller answers it; is a majority of the nodes up and connected to this one?")]
    NoController,
    /// The cluster is new, and some node has never been there yet.
    #[error("consumer groups have no coordinators yet; they are made when all nodes have been up once")]
    NoCoordinators,
    /// A partition that could have a leader has none.
    #[error("{topic}-{partition} has no leader, nor have {others} other partitions")]
    Leaderless {
        /// The first such partition's topic.
        topic: String,
        /// Its number.
        partition: i32,
        /// How many more there are.
        others: usize,
    },
    /// A topic does not exist.
    #[error("topic {0} (--create-topics) does not exist yet")]
    NoTopic(String),
    /// The node says so itself.
    #[error("{0}")]
    Told(String),
}

/// Asks the node, and says in one line how it is.
///
/// # Errors
///
/// [`HealthError`], unless the node can be used.
pub(crate) async fn run(options: HealthOptions) -> Result<String, HealthError> {
    let address = options.address.to_string();
    match timeout(options.timeout, ask(&address, &options)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(HealthError::TimedOut { address, seconds: options.timeout.as_secs() }),
    }
}

async fn ask(address: &str, options: &HealthOptions) -> Result<String, HealthError> {
    let connection_options = ConnectionOptions {
        client_id: "trilog-health".to_owned(),
        connect_timeout: options.timeout,
        request_timeout: options.timeout,
        ..ConnectionOptions::default()
    };
    let unanswered = |error| HealthError::Request { address: address.to_owned(), error };
    let not_ready = |reason| HealthError::NotReady { address: address.to_owned(), reason };
    let connection = Connection::connect(address, &connection_options).await?;
    let answer = connection.request(controller_question()).await.map_err(unanswered)?;
    check_controller(&answer).map_err(not_ready)?;
    let all_topics = MetadataRequest::default().with_topics(None).with_allow_auto_topic_creation(false);
    let metadata = connection.request(all_topics).await.map_err(unanswered)?;
    check_topics(&metadata, &options.topics).map_err(not_ready)?;
    if let Some(http) = &options.http {
        check_told(&told(http).await.unwrap_or_default()).map_err(not_ready)?;
    }
    let partitions = metadata.topics.iter().map(|topic| topic.partitions.len()).sum::<usize>();
    Ok(format!("{address} is ready: {} nodes, {partitions} partitions", metadata.brokers.len()))
}

/// What the node's HTTP port answers to the question whether it is ready, as far as it does.
async fn told(http: &HostPort) -> io::Result<String> {
    let mut stream = TcpStream::connect((http.host.as_str(), http.port)).await?;
    stream.write_all(format!("GET {READY} HTTP/1.1\r\nHost: {http}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_TOLD).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The reasons in an answer that says no.
fn check_told(answer: &str) -> Result<(), NotReady> {
    let reasons: Vec<&str> = answer.lines().filter_map(|line| line.strip_prefix(NOT_READY)).collect();
    let is_refusal = answer.starts_with("HTTP/1.1 503 ") && !reasons.is_empty();
    if is_refusal { Err(NotReady::Told(reasons.join("; "))) } else { Ok(()) }
}

/// What only the controller can answer, and what changes nothing.
fn controller_question() -> CreateTopicsRequest {
    let topic = CreatableTopic::default()
        .with_name(StrBytes::from_static_str(CONSUMER_OFFSETS).into())
        .with_num_partitions(-1)
        .with_replication_factor(-1);
    CreateTopicsRequest::default().with_topics(vec![topic]).with_validate_only(true)
}

fn check_controller(answer: &CreateTopicsResponse) -> Result<(), NotReady> {
    let error = answer.topics.first().map(|topic| ResponseError::try_from_code(topic.error_code));
    match error {
        Some(Some(ResponseError::TopicAlreadyExists)) => Ok(()),
        Some(Some(ResponseError::RequestTimedOut)) | None => Err(NotReady::NoController),
        // It could be made, or could not be made yet for want of nodes.
        Some(_) => Err(NotReady::NoCoordinators),
    }
}

fn check_topics(metadata: &MetadataResponse, expected: &[String]) -> Result<(), NotReady> {
    let names: BTreeSet<&str> =
        metadata.topics.iter().filter_map(|topic| topic.name.as_ref()).map(|name| name.0.as_str()).collect();
    if !names.contains(CONSUMER_OFFSETS) {
        return Err(NotReady::NoCoordinators);
    }
    if let Some(missing) = expected.iter().find(|name| !names.contains(name.as_str())) {
        return Err(NotReady::NoTopic(missing.clone()));
    }
    let mut leaderless = metadata.topics.iter().flat_map(|topic| {
        let name = topic.name.as_ref().map_or("", |name| name.0.as_str());
        let without = topic.partitions.iter().filter(move |partition| lacks_leader(name, partition));
        without.map(move |partition| (name.to_owned(), partition.partition_index))
    });
    match leaderless.next() {
        None => Ok(()),
        Some((topic, partition)) => {
            Err(NotReady::Leaderless { topic, partition, others: leaderless.count() })
        }
    }
}

/// Whether a partition has no leader although it could have one. Without its coordinators a cluster is of little use,
/// whatever is to blame.
fn lacks_leader(topic: &str, partition: &MetadataResponsePartition) -> bool {
    let replicas = partition.replica_nodes.len();
    let has_majority = (replicas - partition.offline_replicas.len().min(replicas)) * 2 > replicas;
    partition.leader_id.0 < 0 && (has_majority || topic == CONSUMER_OFFSETS)
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::BrokerId;
    use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
    use kafka_protocol::messages::metadata_response::MetadataResponseTopic;

    use super::*;

    fn topic(name: &'static str, leader: i32, replicas: &[i32], offline: &[i32]) -> MetadataResponseTopic {
        let ids = |nodes: &[i32]| nodes.iter().map(|id| BrokerId(*id)).collect::<Vec<_>>();
        let partition = MetadataResponsePartition::default()
            .with_leader_id(BrokerId(leader))
            .with_replica_nodes(ids(replicas))
            .with_offline_replicas(ids(offline));
        MetadataResponseTopic::default()
            .with_name(Some(StrBytes::from_static_str(name).into()))
            .with_partitions(vec![partition])
    }

    fn checked(topics: Vec<MetadataResponseTopic>, expected: &[&str]) -> Result<(), NotReady> {
        let expected: Vec<String> = expected.iter().map(|name| (*name).to_owned()).collect();
        check_topics(&MetadataResponse::default().with_topics(topics), &expected)
    }

    #[test]
    fn the_controller_answers_that_the_coordinators_exist() {
        let answered = |error: i16| {
            let topic = CreatableTopicResult::default().with_error_code(error);
            check_controller(&CreateTopicsResponse::default().with_topics(vec![topic]))
        };
        assert_eq!(answered(ResponseError::TopicAlreadyExists.code()), Ok(()));
        assert_eq!(answered(ResponseError::RequestTimedOut.code()), Err(NotReady::NoController));
        assert_eq!(answered(0), Err(NotReady::NoCoordinators));
        let early = ResponseError::InvalidReplicationFactor.code();
        assert_eq!(answered(early), Err(NotReady::NoCoordinators));
    }

    #[test]
    fn only_a_refusal_with_reasons_counts_of_what_is_told_over_http() {
        let refusal = "HTTP/1.1 503 Service Unavailable\r\nx: y\r\n\r\nnot ready: a\nnot ready: b\n";
        assert_eq!(check_told(refusal), Err(NotReady::Told("a; b".into())));
        for other in ["", "HTTP/1.1 200 OK\r\n\r\nready\n", "HTTP/1.1 503 No\r\n\r\nsome proxy\n"] {
            assert_eq!(check_told(other), Ok(()));
        }
    }

    #[test]
    fn coordinators_and_topics_asked_for_have_to_exist() {
        let coordinators = || topic(CONSUMER_OFFSETS, 1, &[1, 2, 3], &[]);
        assert_eq!(checked(vec![], &[]), Err(NotReady::NoCoordinators));
        assert_eq!(checked(vec![coordinators()], &[]), Ok(()));
        assert_eq!(checked(vec![coordinators()], &["orders"]), Err(NotReady::NoTopic("orders".into())));
        assert_eq!(checked(vec![coordinators(), topic("orders", 2, &[2], &[])], &["orders"]), Ok(()));
    }

    #[test]
    fn a_partition_without_a_leader_counts_if_it_could_have_one() {
        let with = |other| checked(vec![topic(CONSUMER_OFFSETS, 1, &[1, 2, 3], &[3]), other], &[]);
        let leaderless = || Err(NotReady::Leaderless { topic: "orders".into(), partition: 0, others: 0 });
        assert_eq!(with(topic("orders", -1, &[1, 2, 3], &[3])), leaderless());
        assert_eq!(with(topic("orders", -1, &[1, 2], &[])), leaderless());
        assert_eq!(with(topic("orders", -1, &[3], &[3])), Ok(()), "its only node is down");
        assert_eq!(with(topic("orders", -1, &[2, 3], &[3])), Ok(()), "half is no majority");
        let cut_off = checked(vec![topic(CONSUMER_OFFSETS, -1, &[1, 2, 3], &[2, 3])], &[]);
        assert!(matches!(cut_off, Err(NotReady::Leaderless { .. })), "{cut_off:?}");
    }
}
