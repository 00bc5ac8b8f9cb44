//! What comes of a CreateTopics request: every refusal, and the topics.

use std::collections::BTreeSet;

use super::*;
use crate::controller::configs::{BrokerSettings, ConfigSource};
use crate::controller::fixtures::{Cluster, create, topic};
use crate::controller::limits::{
    MAX_PARTITIONS_PER_CLUSTER, MAX_PARTITIONS_PER_REQUEST, MAX_PARTITIONS_PER_TOPIC,
};
use crate::controller::requests::{Assignment, ControllerRequest};
use crate::ids::RaftGroupId;

type Outcome = Result<CreatedTopic, ControllerError>;

fn sized(name: &str, num_partitions: i32, replication_factor: i16) -> NewTopic {
    NewTopic { num_partitions, replication_factor, ..topic(name) }
}

/// A partition and the brokers it is assigned to.
type Replicas<'a> = (i32, &'a [i32]);

fn assigned(name: &str, assignments: &[Replicas<'_>]) -> NewTopic {
    let assignments = assignments
        .iter()
        .map(|(partition, replicas)| Assignment { partition: *partition, replicas: replicas.to_vec() })
        .collect();
    NewTopic { assignments, ..topic(name) }
}

fn configured(name: &str, configs: &[(&str, Option<&str>)]) -> NewTopic {
    let owned = |text: &&str| (*text).to_owned();
    let configs = configs.iter().map(|(name, value)| (owned(name), value.as_ref().map(owned))).collect();
    NewTopic { configs, ..topic(name) }
}

fn outcomes(cluster: &mut Cluster, request: &ControllerRequest) -> Vec<Outcome> {
    match cluster.handle(request) {
        ControllerResponse::CreateTopics(results) => {
            results.into_iter().map(|result| result.outcome).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn outcome(cluster: &mut Cluster, topic: NewTopic) -> Outcome {
    outcomes(cluster, &create(vec![topic])).remove(0)
}

#[track_caller]
fn refused(cluster: &mut Cluster, topic: NewTopic, code: ErrorCode, message: &str) {
    let before = cluster.image.clone();
    assert_eq!(outcome(cluster, topic), Err(ControllerError::new(code, message)));
    assert_eq!(cluster.image, before);
}

#[test]
fn what_is_left_open_is_the_clusters_default() {
    let mut cluster = Cluster::of(3);
    let created = outcome(&mut cluster, topic("t")).unwrap();
    assert_eq!((created.partitions, created.replication_factor), (1, 3));
    assert_eq!(cluster.image.topic("t").unwrap().id, created.id);
    cluster.settings =
        BrokerSettings::from_pairs([("num.partitions", "4"), ("default.replication.factor", "2")]).unwrap();
    let created = outcome(&mut cluster, topic("u")).unwrap();
    assert_eq!((created.partitions, created.replication_factor), (4, 2));
    let alone = outcome(&mut Cluster::of(1), topic("t")).unwrap();
    assert_eq!(alone.replication_factor, 1);
}

#[test]
fn partitions_get_groups_of_their_own_and_leaders_in_turn() {
    let mut cluster = Cluster::of(3);
    outcome(&mut cluster, sized("a", 3, 2)).unwrap();
    outcome(&mut cluster, sized("b", 2, 3)).unwrap();
    let groups: Vec<_> = cluster.image.partitions().map(|view| view.partition.group).collect();
    assert_eq!(groups, (1..=5).map(RaftGroupId).collect::<Vec<_>>());
    let leaders: BTreeSet<_> =
        cluster.image.topic("a").unwrap().partitions.iter().map(|partition| partition.replicas[0]).collect();
    assert_eq!(leaders.len(), 3);
}

#[test]
fn an_even_replication_factor_is_fine() {
    assert_eq!(outcome(&mut Cluster::of(5), sized("t", 1, 4)).unwrap().replication_factor, 4);
}

#[test]
fn names_are_checked() {
    use ErrorCode::{InvalidTopicException, TopicAlreadyExists, TopicAuthorizationFailed};
    let mut cluster = Cluster::of(3).with_topics(&["a.b", "t"]);
    let cluster = &mut cluster;
    refused(
        cluster,
        topic(""),
        InvalidTopicException,
        "Topic name is invalid: the empty string is not allowed",
    );
    refused(cluster, topic(".."), InvalidTopicException, "Topic name is invalid: '..' is not allowed");
    refused(
        cluster,
        topic("a b"),
        InvalidTopicException,
        "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
    );
    refused(cluster, topic("a_b"), InvalidTopicException, "Topic 'a_b' collides with existing topic: a.b");
    refused(cluster, topic("a.b"), TopicAlreadyExists, "Topic 'a.b' already exists.");
    refused(
        cluster,
        topic("__cluster_metadata"),
        TopicAuthorizationFailed,
        "Creation of internal topic __cluster_metadata is prohibited.",
    );
    assert_eq!(
        outcome(cluster, topic(&"x".repeat(40_000))).unwrap_err().message,
        "Topic name is invalid: its length of 40000 is longer than the max allowed length 249"
    );
}

#[test]
fn a_name_given_twice_is_made_not_even_once() {
    let mut cluster = Cluster::of(3);
    let results = outcomes(&mut cluster, &create(vec![topic("a"), topic("b"), topic("a")]));
    let duplicate = Err(ControllerError::new(ErrorCode::InvalidRequest, "Duplicate topic name."));
    assert_eq!(results[0], duplicate);
    assert!(results[1].is_ok());
    assert_eq!(results[2], duplicate);
    assert_eq!(cluster.image.topics().len(), 1);
}

#[test]
fn names_that_collide_within_a_request() {
    let results = outcomes(&mut Cluster::of(3), &create(vec![topic("a.b"), topic("a_b")]));
    assert!(results[0].is_ok());
    assert_eq!(results[1].as_ref().unwrap_err().code, ErrorCode::InvalidTopicException);
}

#[test]
fn counts_are_checked() {
    use ErrorCode::{InvalidPartitions, InvalidReplicationFactor};
    let mut cluster = Cluster::of(3);
    let cluster = &mut cluster;
    for partitions in [0, -2, -5] {
        let why = "Number of partitions was set to an invalid non-positive value.";
        refused(cluster, sized("t", partitions, 1), InvalidPartitions, why);
    }
    for factor in [0, -2] {
        let why = "Replication factor must be larger than 0, or -1 to use the default value.";
        refused(cluster, sized("t", 1, factor), InvalidReplicationFactor, why);
    }
    refused(
        cluster,
        sized("t", 1, 4),
        InvalidReplicationFactor,
        "Unable to replicate the partition 4 time(s): The target replication factor of 4 cannot be reached because \
         only 3 broker(s) are registered.",
    );
    cluster.settings = BrokerSettings::from_pairs([("default.replication.factor", "4")]).unwrap();
    assert_eq!(outcome(cluster, topic("t")).unwrap_err().code, InvalidReplicationFactor);
    let nobody = outcome(&mut Cluster::of(0), topic("t")).unwrap_err();
    assert_eq!(nobody.code, InvalidReplicationFactor);
}

#[test]
fn a_dead_node_holds_replicas_but_somebody_has_to_live() {
    let mut cluster = Cluster::of(3);
    cluster.alive.retain(|node| node.0 == 2);
    outcome(&mut cluster, sized("t", 3, 3)).unwrap();
    assert!(cluster.image.partitions().all(|view| view.partition.replicas[0] == NodeId(2)));
    cluster.alive.clear();
    refused(
        &mut cluster,
        sized("u", 1, 1),
        ErrorCode::InvalidReplicationFactor,
        "Unable to replicate the partition 1 time(s): All brokers are currently fenced.",
    );
}

#[test]
fn partitions_are_bounded() {
    let mut cluster = Cluster::of(1);
    let most = i32::try_from(MAX_PARTITIONS_PER_TOPIC).unwrap();
    for count in [most + 1, i32::MAX] {
        let error = outcome(&mut cluster, sized("t", count, 1)).unwrap_err();
        assert_eq!(error.code, ErrorCode::PolicyViolation);
        let names_the_bound = format!("at most {most} partitions, and not {count}");
        assert!(error.message.contains(&names_the_bound), "{}", error.message);
    }
    let results = outcomes(&mut cluster, &create(vec![sized("a", most, 1), sized("b", 1, 1)]));
    assert!(results[0].is_ok());
    assert_eq!(results[1].as_ref().unwrap_err().code, ErrorCode::PolicyViolation);
    for number in 1..MAX_PARTITIONS_PER_CLUSTER / MAX_PARTITIONS_PER_REQUEST {
        outcome(&mut cluster, sized(&format!("t{number}"), most, 1)).unwrap();
    }
    assert_eq!(cluster.image.partition_count(), MAX_PARTITIONS_PER_CLUSTER);
    assert_eq!(outcome(&mut cluster, topic("last")).unwrap_err().code, ErrorCode::PolicyViolation);
}

#[test]
fn replicas_assigned_by_hand_are_taken_as_they_are() {
    let mut cluster = Cluster::of(3);
    let created = outcome(&mut cluster, assigned("t", &[(1, &[3, 1]), (0, &[2, 3])])).unwrap();
    assert_eq!((created.partitions, created.replication_factor), (2, 2));
    let replicas: Vec<_> = cluster.image.partitions().map(|view| view.partition.replicas.clone()).collect();
    assert_eq!(replicas, [[NodeId(2), NodeId(3)], [NodeId(3), NodeId(1)]].map(Vec::from));
}

#[test]
fn replicas_assigned_by_hand_are_checked() {
    let mut cluster = Cluster::of(3);
    cluster.alive.remove(&NodeId(3));
    let cases: &[(&[Replicas], &str)] = &[
        (&[(0, &[])], "The manual partition assignment includes an empty replica list."),
        (
            &[(0, &[1, 4])],
            "The manual partition assignment includes broker 4, but no such broker is registered.",
        ),
        (
            &[(0, &[-1])],
            "The manual partition assignment includes broker -1, but no such broker is registered.",
        ),
        (&[(0, &[1, 2, 1])], "The manual partition assignment includes the broker 1 more than once."),
        (
            &[(0, &[1, 2]), (1, &[1])],
            "The manual partition assignment includes a partition with 1 replica(s), but this is not consistent with \
             previous partitions, which have 2 replica(s).",
        ),
        (&[(0, &[1]), (0, &[2])], "Found multiple manual partition assignments for partition 0"),
        (&[(0, &[1]), (2, &[2])], "partitions should be a consecutive 0-based integer sequence"),
        (&[(-1, &[1]), (0, &[2])], "partitions should be a consecutive 0-based integer sequence"),
        (
            &[(0, &[3])],
            "All brokers specified in the manual partition assignment for partition 0 are fenced or in controlled \
             shutdown.",
        ),
    ];
    for (assignments, message) in cases {
        refused(&mut cluster, assigned("t", assignments), ErrorCode::InvalidReplicaAssignment, message);
    }
    let both = NewTopic { replication_factor: 1, ..assigned("t", &[(0, &[1])]) };
    assert_eq!(outcome(&mut cluster, both).unwrap_err().code, ErrorCode::InvalidRequest);
    let both = NewTopic { num_partitions: 1, ..assigned("t", &[(0, &[1])]) };
    assert_eq!(outcome(&mut cluster, both).unwrap_err().code, ErrorCode::InvalidRequest);
}

#[test]
fn settings_are_checked_kept_and_told() {
    let mut cluster = Cluster::of(3);
    cluster.settings = BrokerSettings::from_pairs([("min.insync.replicas", "2")]).unwrap();
    let created = outcome(&mut cluster, configured("t", &[("retention.ms", Some("5"))])).unwrap();
    assert_eq!(
        cluster.image.topic("t").unwrap().configs,
        Configs::from([("retention.ms".into(), "5".into())])
    );
    let told = |name: &str| {
        let entry = created.configs.iter().find(|entry| entry.name == name).unwrap();
        (entry.value.as_str(), entry.source)
    };
    assert_eq!(told("retention.ms"), ("5", ConfigSource::DynamicTopic));
    assert_eq!(told("min.insync.replicas"), ("2", ConfigSource::StaticBroker));
    assert_eq!(told("cleanup.policy"), ("delete", ConfigSource::Default));
    for (configs, message) in [
        ([("nonsense", Some("1"))], "Unknown topic config name: nonsense"),
        (
            [("retention.ms", Some("-2"))],
            "Invalid value -2 for configuration retention.ms: Value must be at least -1",
        ),
        ([("retention.ms", None)], "Null value not supported for topic configs: retention.ms"),
    ] {
        refused(&mut cluster, configured("u", &configs), ErrorCode::InvalidConfig, message);
    }
}

#[test]
fn validating_changes_nothing() {
    let mut cluster = Cluster::of(3);
    let request = ControllerRequest::CreateTopics(CreateTopics {
        topics: vec![sized("t", 2, 3), sized("u", 0, 1)],
        validate_only: true,
    });
    let decision = cluster.decide(&request);
    assert_eq!(decision.records, []);
    let results = outcomes(&mut cluster, &request);
    assert_eq!(results[0].as_ref().unwrap().partitions, 2);
    assert_eq!(results[1].as_ref().unwrap_err().code, ErrorCode::InvalidPartitions);
}

#[test]
fn the_clusters_own_topics_have_the_partitions_that_they_have_to_have() {
    let made = |settings: &[(&str, &str)], wanted| {
        let mut cluster = Cluster::of(3);
        cluster.settings = BrokerSettings::from_pairs(settings.iter().copied()).unwrap();
        let made = outcome(&mut cluster, wanted).unwrap();
        (made.partitions, made.replication_factor)
    };
    let own = topic_name::CONSUMER_OFFSETS;
    assert_eq!(made(&[], topic(own)), (16, 3));
    assert_eq!(made(&[], sized(own, 16, 2)), (16, 2));
    assert_eq!(made(&[("default.replication.factor", "1")], topic(own)), (16, 1));
    assert_eq!(made(&[("default.replication.factor", "2")], topic(own)), (16, 3), "two survive no loss");
    let smaller = [("offsets.topic.num.partitions", "4"), ("offsets.topic.replication.factor", "1")];
    assert_eq!(made(&smaller, topic(own)), (4, 1));
    assert_eq!(made(&smaller, topic("t")), (1, 3));

    let assignments = vec![Assignment { partition: 0, replicas: vec![1] }];
    for (wanted, partitions) in [(sized(own, 3, 3), 3), (NewTopic { assignments, ..topic(own) }, 1)] {
        let message = format!(
            "The internal topic __consumer_offsets has 16 partition(s), and cannot be created with {partitions}."
        );
        refused(&mut Cluster::of(3), wanted, ErrorCode::InvalidRequest, &message);
    }
}

#[test]
fn no_name_may_keep_the_clusters_own_topics_from_being_made() {
    refused(
        &mut Cluster::of(3),
        topic("__consumer.offsets"),
        ErrorCode::InvalidTopicException,
        "Topic '__consumer.offsets' collides with existing topic: __consumer_offsets",
    );
}
