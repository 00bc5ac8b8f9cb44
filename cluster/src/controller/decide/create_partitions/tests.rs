//! What comes of a CreatePartitions request.

use super::*;
use crate::controller::fixtures::Cluster;
use crate::controller::limits::MAX_PARTITIONS_PER_TOPIC;
use crate::controller::requests::ControllerRequest;

fn growth(name: &str, count: i32) -> TopicGrowth {
    TopicGrowth { name: name.into(), count, assignments: None }
}

fn assigned(name: &str, count: i32, assignments: &[&[i32]]) -> TopicGrowth {
    let assignments = assignments.iter().map(|replicas| replicas.to_vec()).collect();
    TopicGrowth { assignments: Some(assignments), ..growth(name, count) }
}

fn request(topics: Vec<TopicGrowth>, validate_only: bool) -> ControllerRequest {
    ControllerRequest::CreatePartitions(CreatePartitions { topics, validate_only })
}

fn outcomes(
    cluster: &mut Cluster,
    request: &ControllerRequest,
) -> Vec<Result<NewPartitions, ControllerError>> {
    match cluster.handle(request) {
        ControllerResponse::CreatePartitions(results) => {
            results.into_iter().map(|result| result.outcome).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(cluster: &mut Cluster, growth: TopicGrowth, code: ErrorCode, message: &str) {
    let before = cluster.image.clone();
    let results = outcomes(cluster, &request(vec![growth], false));
    assert_eq!(results, [Err(ControllerError::new(code, message))]);
    assert_eq!(cluster.image, before);
}

#[test]
fn a_topic_grows() {
    let mut cluster = Cluster::of(3).with_topics(&["t"]);
    let results = outcomes(&mut cluster, &request(vec![growth("t", 4)], false));
    let topic = cluster.image.topic("t").unwrap();
    assert_eq!(results, [Ok(NewPartitions { id: topic.id, partitions: 4 })]);
    let shape: Vec<_> = topic.partitions.iter().map(|p| (p.group.0, p.replicas.len())).collect();
    assert_eq!(shape, [(1, 3), (2, 3), (3, 3), (4, 3)]);
    let leaders: Vec<_> = topic.partitions.iter().map(|p| p.replicas[0].0).collect();
    assert_eq!(leaders, [1, 2, 3, 1]);
}

#[test]
fn new_partitions_go_where_the_client_says() {
    let mut cluster = Cluster::of(3).with_topics(&["t"]);
    let results = outcomes(&mut cluster, &request(vec![assigned("t", 2, &[&[3, 2, 1]])], false));
    assert!(results[0].is_ok());
    let replicas = &cluster.image.topic("t").unwrap().partitions[1].replicas;
    assert_eq!(*replicas, [NodeId(3), NodeId(2), NodeId(1)]);
}

#[test]
fn what_is_wrong_is_refused() {
    use ErrorCode::{InvalidPartitions, InvalidReplicaAssignment, PolicyViolation, UnknownTopicOrPartition};
    let mut cluster = Cluster::of(3).with_topics(&["t"]);
    let cluster = &mut cluster;
    refused(
        cluster,
        growth("u", 2),
        UnknownTopicOrPartition,
        "This server does not host this topic-partition.",
    );
    refused(cluster, growth("t", 1), InvalidPartitions, "Topic already has 1 partition(s).");
    for count in [0, -1, i32::MIN] {
        let message = format!("The topic t currently has 1 partition(s); {count} would not be an increase.");
        refused(cluster, growth("t", count), InvalidPartitions, &message);
    }
    refused(
        cluster,
        growth("t", i32::try_from(MAX_PARTITIONS_PER_TOPIC).unwrap() + 1),
        PolicyViolation,
        "A topic may have at most 10000 partitions, and not 10001.",
    );
    refused(
        cluster,
        assigned("t", 3, &[&[1, 2, 3]]),
        InvalidReplicaAssignment,
        "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.",
    );
    refused(
        cluster,
        assigned("t", 2, &[&[1, 2]]),
        InvalidReplicaAssignment,
        "The manual partition assignment includes a partition with 2 replica(s), but this is not consistent with \
         previous partitions, which have 3 replica(s).",
    );
    cluster.alive.clear();
    refused(
        cluster,
        growth("t", 2),
        ErrorCode::InvalidReplicationFactor,
        "Unable to replicate the partition 3 time(s): All brokers are currently fenced.",
    );
}

#[test]
fn a_topic_named_twice_does_not_grow() {
    let mut cluster = Cluster::of(3).with_topics(&["t", "u"]);
    let results =
        outcomes(&mut cluster, &request(vec![growth("t", 2), growth("u", 2), growth("t", 3)], false));
    assert_eq!(results[0].as_ref().unwrap_err().code, ErrorCode::InvalidRequest);
    assert!(results[1].is_ok());
    assert_eq!(cluster.image.topic("t").unwrap().partitions.len(), 1);
}

#[test]
fn validating_changes_nothing() {
    let mut cluster = Cluster::of(3).with_topics(&["t"]);
    let before = cluster.image.clone();
    let results = outcomes(&mut cluster, &request(vec![growth("t", 2)], true));
    assert_eq!(results[0].as_ref().unwrap().partitions, 2);
    assert_eq!(cluster.image, before);
}

#[test]
fn the_clusters_own_topics_do_not_grow() {
    let mut cluster = Cluster::of(3).with_topics(&["__consumer_offsets"]);
    refused(
        &mut cluster,
        growth("__consumer_offsets", 17),
        ErrorCode::InvalidRequest,
        "The internal topic __consumer_offsets keeps the number of partitions that it has.",
    );
}
