//! A node that was away learns what happened meanwhile.

use kafka_protocol::messages::BrokerId;
use trilog_tests::admin::{NewTopic, delete_topic};
use trilog_tests::batch::{BatchBuilder, Record, values};
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::requests::error;
use trilog_tests::waiting::wait_until;

/// Waits until a node says itself that it is in sync in every partition of a topic.
async fn wait_in_sync(cluster: &Cluster, topic: &str, node: i32) {
    wait_until(&format!("node {node} is in sync in {topic}"), async || {
        let shown = cluster.topic_at(node, topic).await?;
        let in_sync = |isr: &[BrokerId]| isr.iter().any(|id| id.0 == node);
        shown.partitions.iter().all(|row| in_sync(&row.isr_nodes)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn topics_created_deleted_and_written_to_meanwhile() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    // Node 3 is the preferred leader of what it is to serve afterwards, so that it is asked itself.
    cluster.create(NewTopic::new("kept").assign(0, &[3, 1, 2])).await;
    cluster.create(NewTopic::new("deleted").assign(0, &[3, 1, 2])).await;
    cluster.create(NewTopic::new("replaced").assign(0, &[3, 1, 2])).await;
    for topic in ["kept", "deleted", "replaced"] {
        cluster.partition(topic, 0).await.produce(values(1, &["before"])).await;
    }
    cluster.kill(3);

    for topic in ["deleted", "replaced"] {
        cluster.leader_where(topic, 0, |leader| leader != 3).await;
        assert_eq!(error(delete_topic(&cluster.connect(1).await, topic).await), None);
    }
    cluster.create(NewTopic::new("created").assign(0, &[3, 2, 1])).await;
    wait_until("the name is free", async || {
        let again = NewTopic::new("replaced").assign(0, &[3, 1, 2]);
        let answer = again.try_create(&cluster.connect(1).await).await;
        (error(answer.error_code).is_none()).then_some(())
    })
    .await;
    for topic in ["kept", "created", "replaced"] {
        let partition = cluster.partition(topic, 0).await;
        let big = Record::new(2, "x".repeat(10_000));
        for _ in 0..50 {
            partition.produce(BatchBuilder::new(vec![big.clone(); 10]).build()).await;
        }
        partition.produce(values(3, &["meanwhile"])).await;
    }

    cluster.start_node(3);
    cluster.wait_ready().await.unwrap();
    for (topic, first) in [("kept", "before"), ("created", "xxxxxx"), ("replaced", "xxxxxx")] {
        wait_in_sync(&cluster, topic, 3).await;
        cluster.leader_where(topic, 0, |leader| leader == 3).await;
        let read = cluster.partition(topic, 0).await.read_values().await;
        assert_eq!(&read[0][..6], first, "{topic}");
        assert_eq!(read.last().map(String::as_str), Some("meanwhile"), "{topic}");
        assert_eq!(read.len(), if topic == "kept" { 502 } else { 501 }, "{topic}");
    }
    assert!(cluster.topic_at(3, "deleted").await.is_none());
    cluster.assert_alive();
}

#[tokio::test]
async fn what_a_lone_survivor_of_a_catch_up_says_is_right() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    let partition = cluster.new_partition("caught-up").await;
    partition.produce(values(1, &["one"])).await;
    cluster.kill(2);
    let partition = cluster.partition("caught-up", 0).await;
    partition.produce(values(1, &["two"])).await;
    cluster.start_node(2);
    cluster.wait_ready().await.unwrap();
    wait_in_sync(&cluster, "caught-up", 2).await;
    // Now nodes 2 and 3 are a majority, of which one was away while the write was made.
    cluster.kill(1);
    let partition = cluster.partition("caught-up", 0).await;
    assert_eq!(partition.read_values().await, ["one", "two"]);
    assert_eq!(partition.produce(values(1, &["three"])).await, 2);
}

#[tokio::test]
async fn killed_again_and_again_in_turn_nothing_is_lost() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    cluster.create(NewTopic::new("in-turn").partitions(1)).await;
    let mut written = Vec::new();
    for round in 0..6 {
        let node = round % 3 + 1;
        cluster.kill(node);
        let partition = cluster.partition("in-turn", 0).await;
        for n in 0..20 {
            let text = format!("{round}-{n}");
            partition.produce(values(1, &[&text])).await;
            written.push(text);
        }
        cluster.start_node(node);
        cluster.wait_ready().await.unwrap();
        wait_in_sync(&cluster, "in-turn", node).await;
    }
    assert_eq!(cluster.partition("in-turn", 0).await.read_values().await, written);
}
