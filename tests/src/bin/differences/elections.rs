//! DescribeQuorum and ElectLeaders: partitions that do not exist, kinds that are none, repeated and long lists.

use std::collections::BTreeMap;
use std::rc::Rc;

use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse, ElectLeadersRequest};
use trilog_client::wire::Connection;
use trilog_tests::admin::NewTopic;
use trilog_tests::requests::{served, topic_name};

use crate::stage::{Stage, asked};
use crate::told;

/// The topic of which the controllers are the quorum.
const METADATA: &str = "__cluster_metadata";

pub(crate) async fn bad(stage: Rc<Stage>) {
    quorum(&stage).await;
    let topic = stage.named("topic");
    stage.create(&topic, NewTopic::new(&topic).partitions(3).replicas(3)).await;
    for partition in 0..3 {
        stage.partition(&topic, partition).await;
    }
    for node in [1, 2] {
        let connection = stage.connect(node).await;
        elections(&stage, &connection, node, &topic).await;
    }
}

fn quorum_topic(name: &str, partitions: &[i32]) -> TopicData {
    let partitions = partitions.iter().map(|index| PartitionData::default().with_partition_index(*index));
    TopicData::default().with_topic_name(topic_name(name)).with_partitions(partitions.collect())
}

fn quorum_told(answer: &DescribeQuorumResponse) -> String {
    let rows = answer.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|row| {
            let outcome = told::explained(row.error_code, row.error_message.as_ref());
            let voters = row.current_voters.len();
            format!("{:?} {} {outcome} {voters} voters", topic.topic_name.as_str(), row.partition_index)
        })
    });
    format!(
        "{}, {} nodes, [{}]",
        told::explained(answer.error_code, answer.error_message.as_ref()),
        answer.nodes.len(),
        told::list(rows)
    )
}

async fn quorum(stage: &Stage) {
    let connection = stage.connect(2).await;
    let cases: Vec<(&str, Vec<TopicData>)> = vec![
        ("the one there is", vec![quorum_topic(METADATA, &[0])]),
        ("no topic", vec![]),
        ("no partition", vec![quorum_topic(METADATA, &[])]),
        ("partition 1", vec![quorum_topic(METADATA, &[1])]),
        ("partition -1", vec![quorum_topic(METADATA, &[-1])]),
        ("the partition twice", vec![quorum_topic(METADATA, &[0, 0])]),
        ("the topic twice", vec![quorum_topic(METADATA, &[0]), quorum_topic(METADATA, &[0])]),
        ("another topic, too", vec![quorum_topic(METADATA, &[0]), quorum_topic("none", &[0])]),
        ("another topic", vec![quorum_topic("none", &[0])]),
        ("a topic without a name", vec![quorum_topic("", &[0])]),
    ];
    for (what, topics) in cases {
        for version in served::<DescribeQuorumRequest>(&connection) {
            let request = DescribeQuorumRequest::default().with_topics(topics.clone());
            let answer = connection.request_at_version(request, version).await;
            let answer = answer.expect("DescribeQuorum is answered");
            stage.note(format!("quorum, version {version}: {what}"), quorum_told(&answer));
        }
    }
    let many = DescribeQuorumRequest::default()
        .with_topics((0..3_000).map(|number| quorum_topic(&format!("t{number}"), &[0, 1])).collect());
    let answer = asked(&connection, many).await;
    stage.note(
        "quorum: 3,000 topics",
        format!("{}, {} topics", told::code(answer.error_code), answer.topics.len()),
    );
}

fn named(topic: &str, partitions: &[i32]) -> TopicPartitions {
    TopicPartitions::default().with_topic(topic_name(topic)).with_partitions(partitions.to_vec())
}

/// What is told of each partition, and of how many; a topic may come in several parts.
async fn elected(
    connection: &Connection,
    kind: i8,
    topics: Option<Vec<TopicPartitions>>,
    timeout: i32,
    version: i16,
) -> String {
    let request = ElectLeadersRequest::default()
        .with_election_type(if version > 0 { kind } else { 0 })
        .with_topic_partitions(topics)
        .with_timeout_ms(timeout);
    let answer = connection.request_at_version(request, version).await.expect("ElectLeaders is answered");
    let mut counts = BTreeMap::<String, usize>::new();
    for topic in &answer.replica_election_results {
        for row in &topic.partition_result {
            let partition =
                if row.partition_id.abs() < 100 { row.partition_id.to_string() } else { "more".to_owned() };
            let what = format!("{:?} {partition} {}", topic.topic.as_str(), told::code(row.error_code));
            *counts.entry(what).or_default() += 1;
        }
    }
    let rows =
        counts.into_iter().map(|(what, count)| if count == 1 { what } else { format!("{count} of {what}") });
    format!("{}, [{}]", told::code(answer.error_code), told::list(rows))
}

async fn elections(stage: &Stage, connection: &Connection, node: i32, topic: &str) {
    let many: Vec<i32> = (1_000..6_000).collect();
    let cases: Vec<(&str, Vec<TopicPartitions>)> = vec![
        ("leaders that are preferred", vec![named(topic, &[0, 1, 2])]),
        ("partitions twice, and some that do not exist", vec![named(topic, &[0, 0, 7, -1])]),
        ("a topic twice", vec![named(topic, &[0]), named(topic, &[0, 1])]),
        ("no partition", vec![named(topic, &[])]),
        ("no topic", vec![]),
        ("names that are none", vec![named("none", &[0]), named("", &[0]), named("a/b", &[0])]),
        ("5,000 partitions that do not exist", vec![named(topic, &many)]),
    ];
    for kind in [0, 1] {
        for (what, topics) in cases.clone() {
            let told = elected(connection, kind, Some(topics), 20_000, 2).await;
            stage.note(format!("node {node}, election {kind}: {what}"), told);
        }
    }
    for kind in [2, 7, -1] {
        let told = elected(connection, kind, Some(vec![named(topic, &[0])]), 20_000, 2).await;
        stage.note(format!("node {node}, election {kind}"), told);
    }
    for timeout in [0, -1, i32::MIN, i32::MAX] {
        let told = elected(connection, 0, Some(vec![named(topic, &[0])]), timeout, 2).await;
        stage.note(format!("node {node}, within {timeout} ms"), told);
    }
    for version in served::<ElectLeadersRequest>(connection) {
        let told =
            elected(connection, 0, Some(vec![named(topic, &[0]), named("none", &[3])]), 20_000, version)
                .await;
        stage.note(format!("node {node}, version {version}"), told);
    }
}
