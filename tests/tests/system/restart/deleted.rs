//! Topics that were deleted just before the nodes died: the metadata on disk still name them, and their data are half gone.

use tokio::net::TcpStream;
use trilog_tests::admin::{NewTopic, delete_topic};
use trilog_tests::batch::{BatchBuilder, Record, values};
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::waiting::wait_until;

const PARTITIONS: i32 = 40;

/// Producers of each partition: so many that the records of its state are worth blanking before they are removed.
const PRODUCERS: usize = 12;

fn kill_all(cluster: &mut Cluster) {
    for node in cluster.ids() {
        cluster.kill(node);
    }
}

fn start_all(cluster: &mut Cluster) {
    for node in cluster.ids() {
        cluster.start_node(node);
    }
}

/// Has every node write its state and end, and starts all again: what is on disk now names all topics.
async fn stop_and_start(cluster: &mut Cluster) {
    for node in cluster.ids() {
        cluster.stop(node).await;
    }
    start_all(cluster);
    cluster.wait_ready().await.expect("all nodes come back");
}

/// Kills all nodes again and again as soon as they listen, which is when they have opened their stores and removal goes on,
/// and then lets them come back.
async fn die_while_starting(cluster: &mut Cluster, times: usize) {
    for _ in 0..times {
        kill_all(cluster);
        start_all(cluster);
        for node in cluster.ids() {
            let listens = async || TcpStream::connect(cluster.node(node).address()).await.ok().map(drop);
            wait_until("a node listens", async || {
                assert!(!cluster.node(node).has_died(), "{}", cluster.node(node).log());
                listens().await
            })
            .await;
        }
    }
    cluster.wait_ready().await.unwrap_or_else(|node| panic!("{}", cluster.node(node).log()));
}

async fn is_usable(cluster: &Cluster, topic: &str) {
    let partition = cluster.new_partition(topic).await;
    partition.produce(values(1, &["a"])).await;
    assert_eq!(partition.read_values().await, ["a"]);
    cluster.assert_alive();
}

#[tokio::test]
async fn nodes_that_die_while_a_topic_is_removed_come_back_without_it() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    for round in 0..3 {
        let topic = format!("removed-{round}");
        cluster.create(NewTopic::new(&topic).partitions(PARTITIONS)).await;
        let first = cluster.partition(&topic, 0).await;
        let mut producers = Vec::new();
        for _ in 0..PRODUCERS {
            producers.push(first.new_producer().await);
        }
        for index in 0..PARTITIONS {
            let batch = |id: &i64| BatchBuilder::new(vec![Record::new(1, "x")]).producer(*id, 0, 0).build();
            let partition = cluster.partition(&topic, index).await;
            for answer in partition.produce_in_flight(producers.iter().map(batch)).await {
                assert_eq!(answer.error_code, 0);
            }
        }
        stop_and_start(&mut cluster).await;
        assert_eq!(delete_topic(&cluster.connect_any().await, &topic).await, 0);
        die_while_starting(&mut cluster, 4).await;
        assert!(cluster.topic(&topic).await.is_none_or(|topic| topic.error_code != 0), "it is deleted");
        is_usable(&cluster, &format!("after-{round}")).await;
    }
}

#[tokio::test]
async fn a_topic_whose_log_was_cut_is_deleted_for_good() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    let partition = cluster.new_partition("cut-and-deleted").await;
    let large = |number: usize| {
        let padding = "0".repeat(1 << 19);
        BatchBuilder::new(vec![Record::new(1, format!("{padding}{number}"))]).build()
    };
    // More than a checkpoint's distance, before and behind the cut.
    for number in 0..150 {
        partition.produce(large(number)).await;
    }
    partition.delete_records(140).await;
    for number in 0..150 {
        partition.produce(large(number)).await;
    }
    stop_and_start(&mut cluster).await;
    assert_eq!(delete_topic(&cluster.connect_any().await, "cut-and-deleted").await, 0);
    die_while_starting(&mut cluster, 2).await;
    is_usable(&cluster, "after").await;
}
