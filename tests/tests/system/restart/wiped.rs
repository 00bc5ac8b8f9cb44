//! Nodes that lose their disks and come back under their ids: what was acknowledged stays, and what cannot is told.

use std::time::{Duration, Instant};

use kafka_protocol::messages::ProduceRequest;
use trilog_client::wire::Connection;
use trilog_tests::admin::{NewTopic, delete_topic};
use trilog_tests::batch::values;
use trilog_tests::cluster::{Cluster, ClusterOptions, connection_options};
use trilog_tests::failover::steady_load::SteadyLoad;
use trilog_tests::http::sum;
use trilog_tests::requests::{Target, error, produced};
use trilog_tests::waiting::wait_until;

/// Waits until a node's log says so, from a place in it on.
async fn wait_logged(cluster: &Cluster, node: i32, from: usize, text: &str) {
    let said = async || cluster.node(node).log()[from..].contains(text).then_some(());
    wait_until(&format!("node {node} says `{text}`"), said).await;
}

/// Wipes a node's disk and starts the node again. Returns where in its log that was.
fn wipe_and_start(cluster: &mut Cluster, node: i32) -> usize {
    let from = cluster.node(node).log().len();
    cluster.wipe(node);
    cluster.start_node(node);
    from
}

/// Waits until a node has got back everything, as it says itself.
async fn wait_rejoined(cluster: &Cluster, node: i32, from: usize) {
    wait_until(&format!("node {node} has caught up everywhere"), async || {
        let log = cluster.node(node).log();
        let mut told = log[from..].lines().filter_map(|line| line.split_once("rejoining: "));
        let (done, total) = told.next_back()?.1.split_once(" of ")?;
        // The controller's group comes first, and alone.
        (total.starts_with(&format!("{done} ")) && done != "1").then_some(())
    })
    .await;
}

/// Whether a batch is acknowledged by whoever thinks that it leads the partition, as `node` knows.
async fn is_acknowledged(cluster: &Cluster, node: i32, topic: &str) -> bool {
    if Connection::connect(cluster.node(node).address(), &connection_options()).await.is_err() {
        // It turns clients away, as it knows nothing for certain.
        return false;
    }
    let Some(shown) = cluster.topic_at(node, topic).await else { return false };
    let leader = shown.partitions[0].leader_id.0;
    if !cluster.started().contains(&leader) {
        return false;
    }
    let connection = cluster.connect(leader).await;
    let target = Target { topic: topic.to_owned(), id: shown.topic_id, partition: 0 };
    let version = connection.versions().negotiate::<ProduceRequest>().unwrap();
    let request = target.produce(version, -1, values(1, &["never"])).with_timeout_ms(300);
    let answer = connection.request(request).await;
    answer.is_ok_and(|answer| error(produced(answer).error_code).is_none())
}

#[tokio::test]
async fn every_node_loses_its_disk_in_turn_and_nothing_is_lost() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    // Each node leads a partition, and follows in the others.
    let topic = NewTopic::new("wiped").assign(0, &[1, 2, 3]).assign(1, &[2, 3, 1]).assign(2, &[3, 1, 2]);
    cluster.create(topic).await;
    let before = (0..100).map(|n| n.to_string()).collect::<Vec<_>>();
    cluster.create(NewTopic::new("before").assign(0, &[1, 2, 3])).await;
    for text in &before {
        cluster.partition("before", 0).await.produce(values(1, &[text])).await;
    }
    let load = SteadyLoad::start(&cluster, "wiped", 3, &[]);
    for node in [3, 1, 2] {
        load.wait_acknowledged(0, Instant::now(), 100).await;
        let from = wipe_and_start(&mut cluster, node);
        wait_logged(&cluster, node, from, "data directory is new, and another node knew an older one").await;
        wait_rejoined(&cluster, node, from).await;
        cluster.wait_ready().await.unwrap();
        for partition in 0..3 {
            load.wait_acknowledged(partition, Instant::now(), 20).await;
        }
        load.verify(&cluster).await;
    }
    assert_eq!(load.failures(), 0);
    // By now no disk is left of those that took the first records.
    assert_eq!(cluster.partition("before", 0).await.read_values().await, before);
    cluster.assert_alive();
}

#[tokio::test]
async fn a_wiped_node_and_one_that_lags_are_no_majority() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    cluster.create(NewTopic::new("stale").assign(0, &[1, 2, 3])).await;
    let mut written = vec!["all".to_owned()];
    cluster.partition("stale", 0).await.produce(values(1, &["all"])).await;
    cluster.kill(2);
    for n in 0..50 {
        let text = format!("without 2, {n}");
        cluster.partition("stale", 0).await.produce(values(1, &[&text])).await;
        written.push(text);
    }
    cluster.kill(1);
    let from = wipe_and_start(&mut cluster, 3);
    cluster.start_node(2);
    wait_logged(&cluster, 3, from, "data directory is new, and another node knew an older one").await;
    wait_logged(&cluster, 3, from, "without these nodes: are they up and reachable? nodes=[1]").await;
    assert!(sum(&cluster.node(3).scrape().await, "trilog_raft_groups_rejoining", &[]) > 0.0);
    // Longer than an election takes, were there one.
    for _ in 0..20 {
        assert!(
            !is_acknowledged(&cluster, 2, "stale").await,
            "a record is acknowledged by who lacks the others"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    cluster.start_node(1);
    cluster.wait_ready().await.unwrap();
    wait_rejoined(&cluster, 3, from).await;
    assert_eq!(cluster.partition("stale", 0).await.read_values().await, written);
    // Now the one that was wiped may stand for the others.
    cluster.kill(1);
    cluster.leader_where("stale", 0, |leader| leader != 1).await;
    let partition = cluster.partition("stale", 0).await;
    assert_eq!(partition.read_values().await, written);
    partition.produce(values(1, &["more"])).await;
}

#[tokio::test]
async fn what_had_one_replica_is_named_and_not_empty_in_silence() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    cluster.create(NewTopic::new("lone").assign(0, &[3])).await;
    cluster.create(NewTopic::new("pair").assign(0, &[3, 1])).await;
    for topic in ["lone", "pair"] {
        cluster.partition(topic, 0).await.produce(values(1, &["a"])).await;
    }
    let from = wipe_and_start(&mut cluster, 3);
    wait_logged(&cluster, 3, from, "lone-0: lost with the disks").await;
    cluster.wait_ready().await.unwrap();
    assert!(
        !is_acknowledged(&cluster, 3, "lone").await,
        "an empty partition takes records as if nothing had been"
    );
    // Of two replicas the other one has everything.
    cluster.leader_where("pair", 0, |leader| leader > 0).await;
    assert_eq!(cluster.partition("pair", 0).await.read_values().await, ["a"]);
    cluster.partition("pair", 0).await.produce(values(1, &["b"])).await;

    assert_eq!(error(delete_topic(&cluster.connect(1).await, "lone").await), None);
    wait_until("the topic is made anew", async || {
        let answer = NewTopic::new("lone").assign(0, &[3]).try_create(&cluster.connect(1).await).await;
        error(answer.error_code).is_none().then_some(())
    })
    .await;
    cluster.partition("lone", 0).await.produce(values(1, &["b"])).await;
    assert_eq!(cluster.partition("lone", 0).await.read_values().await, ["b"]);
}

#[tokio::test]
async fn two_empty_disks_of_three_do_not_begin_a_second_history() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    let partition = cluster.new_partition("history").await;
    partition.produce(values(1, &["a"])).await;
    cluster.kill(1);
    let lost = [2, 3].map(|node| (node, cluster.node(node).log().len(), cluster.wipe(node)));
    for (node, ..) in &lost {
        cluster.start_node(*node);
    }
    for (node, from, _) in &lost {
        wait_logged(&cluster, *node, *from, "have yet to say whether its cluster is").await;
    }
    cluster.start_node(1);
    for (node, from, _) in &lost {
        wait_logged(&cluster, *node, *from, "most nodes of the cluster came up with new data directories")
            .await;
    }
    // They were not lost, but not mounted.
    for (node, _, directory) in &lost {
        cluster.kill(*node);
        cluster.put_back(*node, directory);
        cluster.start_node(*node);
    }
    cluster.wait_ready().await.unwrap();
    assert_eq!(cluster.partition("history", 0).await.read_values().await, ["a"]);
    cluster.partition("history", 0).await.produce(values(1, &["b"])).await;
}
