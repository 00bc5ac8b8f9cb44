//! DescribeLogDirs and DescribeProducers: topics and partitions that do not exist, or that the node has not.

use std::rc::Rc;

use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeProducersRequest};
use trilog_client::wire::Connection;
use trilog_tests::admin::NewTopic;
use trilog_tests::batch::{BatchBuilder, Record, values};
use trilog_tests::partition::Partition;
use trilog_tests::requests::{only, served, topic_name};
use trilog_tests::waiting::wait_until;

use crate::stage::{Stage, asked};
use crate::told;

pub(crate) async fn bad(stage: Rc<Stage>) {
    let topic = stage.named("topic");
    let replicas = [1, 2, 3];
    stage.create(&topic, NewTopic::new(&topic).assign(0, &replicas).assign(1, &replicas)).await;
    let single = stage.named("single");
    stage.create(&single, NewTopic::new(&single).assign(0, &[1])).await;
    let partition = stage.partition(&topic, 0).await;
    log_dirs(&stage, (&topic, &single), &partition).await;
    producers(&stage, &topic, &partition).await;
}

/// Partitions by topic, with whether they are larger than nothing; the directory's own name and space are each node's.
fn directory(answer: DescribeLogDirsResponse) -> String {
    let error = answer.error_code;
    let row = only(answer.results);
    let mut topics = row.topics;
    topics.sort_by(|one, two| one.name.cmp(&two.name));
    let topics = topics.iter().map(|topic| {
        let mut partitions: Vec<_> = topic
            .partitions
            .iter()
            .map(|row| {
                let size = if row.partition_size > 0 { "some bytes" } else { "no bytes" };
                format!("{} {size} lag {} future {}", row.partition_index, row.offset_lag, row.is_future_key)
            })
            .collect();
        partitions.sort();
        format!("{}: {}", topic.name.as_str(), partitions.join(", "))
    });
    format!("{}, {}, [{}]", told::code(error), told::code(row.error_code), told::list(topics))
}

fn log_dir_topic(name: &str, partitions: &[i32]) -> DescribableLogDirTopic {
    DescribableLogDirTopic::default().with_topic(topic_name(name)).with_partitions(partitions.to_vec())
}

async fn log_dirs(stage: &Stage, (topic, single): (&str, &str), partition: &Partition) {
    let batch = values(1, &["a", "b"]);
    let size = i64::try_from(batch.len()).expect("a small batch");
    partition.produce(batch).await;
    for node in stage.ids() {
        let connection = stage.connect(node).await;
        wait_until("the replica has the batch", async || {
            let request =
                DescribeLogDirsRequest::default().with_topics(Some(vec![log_dir_topic(topic, &[0])]));
            let row = only(asked(&connection, request).await.results);
            (row.topics.first()?.partitions.first()?.partition_size == size).then_some(())
        })
        .await;
    }
    let long = "x".repeat(300);
    let many: Vec<i32> = (-5_000..5_000).collect();
    let cases: Vec<(&str, Vec<DescribableLogDirTopic>)> = vec![
        ("no topic", vec![]),
        ("no partition", vec![log_dir_topic(topic, &[])]),
        (
            "partitions twice, and some that do not exist",
            vec![log_dir_topic(topic, &[0, 0, 7, -1, i32::MIN, i32::MAX])],
        ),
        ("a topic twice", vec![log_dir_topic(topic, &[0]), log_dir_topic(topic, &[1])]),
        ("a partition of node 1 alone", vec![log_dir_topic(single, &[0])]),
        ("10,000 partitions", vec![log_dir_topic(topic, &many)]),
        (
            "names that are none",
            vec![
                log_dir_topic("none", &[0]),
                log_dir_topic("", &[0]),
                log_dir_topic("a/b", &[0]),
                log_dir_topic(&long, &[0]),
            ],
        ),
    ];
    for node in [1, 2] {
        let connection = stage.connect(node).await;
        for (what, topics) in cases.clone() {
            for version in served::<DescribeLogDirsRequest>(&connection) {
                let request = DescribeLogDirsRequest::default().with_topics(Some(topics.clone()));
                let answer = connection.request_at_version(request, version).await;
                let answer = answer.expect("DescribeLogDirs is answered");
                stage.note(format!("log dirs of node {node}, version {version}: {what}"), directory(answer));
            }
        }
        let all = asked(&connection, DescribeLogDirsRequest::default().with_topics(None)).await;
        let row = only(all.results);
        let own = row.topics.iter().filter(|row| row.name.as_str() == topic).flat_map(|row| &row.partitions);
        let own = told::sorted(own.map(|row| row.partition_index.to_string()));
        let has_space = row.usable_bytes > 0 && row.total_bytes >= row.usable_bytes;
        stage.note(
            format!("log dirs of node {node}: all"),
            format!("{own}, space {has_space}, a path {}", row.log_dir.starts_with('/')),
        );
    }
}

async fn told_of_producers(connection: &Connection, topics: Vec<TopicRequest>) -> String {
    let answer = asked(connection, DescribeProducersRequest::default().with_topics(topics)).await;
    let rows = answer.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|row| {
            let outcome = told::explained(row.error_code, row.error_message.as_ref());
            format!(
                "{:?} {} {outcome} {}",
                topic.name.as_str(),
                row.partition_index,
                row.active_producers.len()
            )
        })
    });
    told::sorted(rows)
}

async fn producers(stage: &Stage, topic: &str, partition: &Partition) {
    let producer = partition.new_producer().await;
    for (sequence, times) in [(0, [77, 78]), (2, [90, 80])] {
        let records = times.map(|time| Record::new(time, "a")).to_vec();
        partition.produce(BatchBuilder::new(records).producer(producer, 0, sequence).build()).await;
    }
    let row = |name: &str, partitions: &[i32]| {
        TopicRequest::default().with_name(topic_name(name)).with_partition_indexes(partitions.to_vec())
    };
    let request = DescribeProducersRequest::default().with_topics(vec![row(topic, &[0])]);
    let answer = only(only(asked(&partition.connection, request).await.topics).partitions);
    let told = only(answer.active_producers);
    stage.note(
        "a producer",
        format!(
            "its own id {}, epoch {}, sequence {}, time {}, coordinator {}, transaction {}",
            told.producer_id.0 == producer,
            told.producer_epoch,
            told.last_sequence,
            told.last_timestamp,
            told.coordinator_epoch,
            told.current_txn_start_offset
        ),
    );
    let other = stage.elsewhere(partition).await;
    let cases: Vec<(&str, &Connection, Vec<TopicRequest>)> = vec![
        ("no topic", &partition.connection, vec![]),
        ("no partition", &partition.connection, vec![row(topic, &[])]),
        ("partitions that do not exist", &partition.connection, vec![row(topic, &[7, -1, i32::MAX])]),
        ("partitions twice", &partition.connection, vec![row(topic, &[0, 0])]),
        ("a topic twice", &partition.connection, vec![row(topic, &[0]), row(topic, &[0, 9])]),
        ("no such topic", &partition.connection, vec![row("none", &[0])]),
        ("a topic without a name", &partition.connection, vec![row("", &[0])]),
        (
            "a topic that can have no such name",
            &partition.connection,
            vec![row("a/b", &[0]), row("..", &[0])],
        ),
        ("a node that does not lead", &other.connection, vec![row(topic, &[0, 7])]),
    ];
    for (what, connection, topics) in cases {
        stage.note(format!("producers: {what}"), told_of_producers(connection, topics).await);
    }
    let many =
        vec![row(topic, &(0..5_000).collect::<Vec<_>>()), row("none", &(0..5_000).collect::<Vec<_>>())];
    let request = DescribeProducersRequest::default().with_topics(many);
    let answer = asked(&partition.connection, request).await;
    let counts = answer.topics.iter().map(|topic| topic.partitions.len().to_string());
    stage.note("producers: 10,000 partitions", told::sorted(counts));
}
