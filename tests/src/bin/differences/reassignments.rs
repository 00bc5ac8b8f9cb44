//! AlterPartitionReassignments and ListPartitionReassignments.

use std::rc::Rc;

use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
use kafka_protocol::messages::{AlterPartitionReassignmentsRequest, ListPartitionReassignmentsRequest};
use trilog_client::wire::Connection;
use trilog_tests::admin::NewTopic;
use trilog_tests::requests::{served, topic_name};

use crate::stage::{Stage, asked};
use crate::told;

fn row(index: i32, replicas: Option<&[i32]>) -> ReassignablePartition {
    ReassignablePartition::default()
        .with_partition_index(index)
        .with_replicas(replicas.map(|nodes| nodes.iter().map(|node| (*node).into()).collect()))
}

fn moved(topic: &str, partitions: Vec<ReassignablePartition>) -> ReassignableTopic {
    ReassignableTopic::default().with_name(topic_name(topic)).with_partitions(partitions)
}

async fn altered(connection: &Connection, topics: Vec<ReassignableTopic>, version: i16) -> String {
    let request = AlterPartitionReassignmentsRequest::default().with_timeout_ms(20_000).with_topics(topics);
    let answer = connection.request_at_version(request, version).await;
    let answer = answer.expect("AlterPartitionReassignments is answered");
    let rows: Vec<_> = answer
        .responses
        .iter()
        .flat_map(|topic| {
            topic.partitions.iter().map(|row| {
                let outcome = told::explained(row.error_code, row.error_message.as_ref());
                format!("{:?} {} {outcome}", topic.name.as_str(), row.partition_index)
            })
        })
        .collect();
    let outcome = told::explained(answer.error_code, answer.error_message.as_ref());
    let rows = if rows.len() > 20 { format!("{} partitions", rows.len()) } else { told::sorted(rows) };
    format!("{outcome}, [{rows}]")
}

pub(crate) async fn bad(stage: Rc<Stage>) {
    let topic = stage.named("topic");
    stage.create(&topic, NewTopic::new(&topic).assign(0, &[1, 2, 3]).assign(1, &[2, 3, 1])).await;
    let pair = stage.named("pair");
    stage.create(&pair, NewTopic::new(&pair).assign(0, &[2, 3])).await;
    let long = "x".repeat(300);
    let many = (5..5_005).map(|index| row(index, Some(&[1]))).collect();
    let cases: Vec<(&str, Vec<ReassignableTopic>)> = vec![
        ("nothing", vec![]),
        ("no partition", vec![moved(&topic, vec![])]),
        ("nothing to cancel", vec![moved(&topic, vec![row(0, None), row(1, None)])]),
        ("the same replicas", vec![moved(&topic, vec![row(0, Some(&[1, 2, 3]))])]),
        ("no replicas", vec![moved(&topic, vec![row(0, Some(&[]))])]),
        ("a node that is none", vec![moved(&topic, vec![row(0, Some(&[9])), row(1, Some(&[2, 9]))])]),
        ("a negative node", vec![moved(&topic, vec![row(0, Some(&[-1]))])]),
        ("a node twice", vec![moved(&topic, vec![row(0, Some(&[1, 1, 2]))])]),
        (
            "partitions that do not exist",
            vec![moved(&topic, vec![row(7, Some(&[1])), row(-1, Some(&[1])), row(7, None)])],
        ),
        (
            "names that are none",
            vec![
                moved("none", vec![row(0, Some(&[1]))]),
                moved("", vec![row(0, Some(&[1]))]),
                moved("a/b", vec![row(0, None)]),
                moved(&long, vec![row(0, None)]),
            ],
        ),
        ("5,000 partitions that do not exist", vec![moved(&topic, many)]),
        ("another order", vec![moved(&topic, vec![row(0, Some(&[3, 2, 1]))])]),
        ("a replica more", vec![moved(&pair, vec![row(0, Some(&[2, 3, 1]))])]),
    ];
    let connection = stage.connect(3).await;
    for (what, topics) in cases {
        for version in served::<AlterPartitionReassignmentsRequest>(&connection) {
            // What Kafka does the first time, it need not do again.
            if version > 0 && ["another order", "a replica more"].contains(&what) {
                continue;
            }
            let told = altered(&connection, topics.clone(), version).await;
            stage.note(format!("version {version}: {what}"), told.replace(&long, "300 letters"));
        }
    }
    list(&stage, &connection, &long).await;
}

/// Nothing is under way in a topic that nobody touched.
async fn list(stage: &Stage, connection: &Connection, long: &str) {
    let topic = stage.named("untouched");
    stage.create(&topic, NewTopic::new(&topic).partitions(2).replicas(3)).await;
    let named = |name: &str, partitions: &[i32]| {
        ListPartitionReassignmentsTopics::default()
            .with_name(topic_name(name))
            .with_partition_indexes(partitions.to_vec())
    };
    let many: Vec<i32> = (-5_000..5_000).collect();
    let cases = vec![
        ("no topic", vec![]),
        ("no partition", vec![named(&topic, &[])]),
        ("partitions twice, and some that do not exist", vec![named(&topic, &[0, 0, 1, 7, -1])]),
        ("a topic twice", vec![named(&topic, &[0]), named(&topic, &[0])]),
        (
            "names that are none",
            vec![named("none", &[0]), named("", &[0]), named("a/b", &[0]), named(long, &[0])],
        ),
        ("10,000 partitions", vec![named(&topic, &many)]),
    ];
    for (what, topics) in cases {
        for timeout in [20_000, 0, -1] {
            let request = ListPartitionReassignmentsRequest::default()
                .with_timeout_ms(timeout)
                .with_topics(Some(topics.clone()));
            let answer = asked(connection, request).await;
            let outcome = told::explained(answer.error_code, answer.error_message.as_ref());
            stage.note(
                format!("listed within {timeout} ms: {what}"),
                format!("{outcome}, {} topics", answer.topics.len()),
            );
        }
    }
}
