//! `--durability relaxed`: the end of processes loses nothing, and nodes whose machines went down come back by themselves.

use std::time::Instant;

use trilog_tests::admin::NewTopic;
use trilog_tests::batch::values;
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::failover::steady_load::SteadyLoad;
use trilog_tests::waiting::wait_until;

/// Each node leads a partition of `relaxed`, and follows in the others.
async fn start() -> Cluster {
    let cluster = Cluster::start(ClusterOptions::nodes(3).flag("--durability=relaxed")).await;
    let topic = NewTopic::new("relaxed").assign(0, &[1, 2, 3]).assign(1, &[2, 3, 1]).assign(2, &[3, 1, 2]);
    cluster.create(topic).await;
    cluster
}

async fn wait_all_acknowledged(load: &SteadyLoad) {
    let now = Instant::now();
    for partition in 0..3 {
        load.wait_acknowledged(partition, now, 50).await;
    }
}

async fn wait_logged(cluster: &Cluster, node: i32, from: usize, text: &str) {
    let said = async || cluster.node(node).log()[from..].contains(text).then_some(());
    wait_until(&format!("node {node} says `{text}`"), said).await;
}

#[tokio::test]
async fn killed_nodes_lose_nothing() {
    let mut cluster = start().await;
    let load = SteadyLoad::start(&cluster, "relaxed", 3, &[]);
    for round in 0..2 {
        for node in [1, 2, 3] {
            wait_all_acknowledged(&load).await;
            cluster.kill(node);
            cluster.start_node(node);
            cluster.wait_ready().await.unwrap_or_else(|dead| panic!("node {dead} died in round {round}"));
        }
    }
    wait_all_acknowledged(&load).await;
    for node in cluster.ids() {
        cluster.kill(node);
    }
    for node in cluster.ids() {
        cluster.start_node(node);
    }
    cluster.wait_ready().await.unwrap();
    wait_all_acknowledged(&load).await;
    load.verify(&cluster).await;
    assert_eq!(load.failures(), 0);
    cluster.assert_alive();
    for node in cluster.ids() {
        assert!(
            !cluster.node(node).log().contains("this machine went down"),
            "node {node} has forgotten nothing"
        );
    }
}

#[tokio::test]
async fn nodes_whose_machines_went_down_come_back_by_themselves() {
    let mut cluster = start().await;
    cluster.create(NewTopic::new("lone").assign(0, &[3])).await;
    cluster.partition("lone", 0).await.produce(values(1, &["a"])).await;
    let load = SteadyLoad::start(&cluster, "relaxed", 3, &[]);
    for node in [1, 2, 3] {
        wait_all_acknowledged(&load).await;
        let from = cluster.node(node).log().len();
        cluster.lose_power(node);
        cluster.start_node(node);
        wait_logged(&cluster, node, from, "this machine went down").await;
        cluster.wait_ready().await.unwrap();
        wait_logged(&cluster, node, from, "partitions caught up").await;
        wait_all_acknowledged(&load).await;
    }
    let from =
        cluster.ids().into_iter().map(|node| (node, cluster.node(node).log().len())).collect::<Vec<_>>();
    for node in cluster.ids() {
        cluster.lose_power(node);
    }
    for node in [1, 2] {
        cluster.start_node(node);
    }
    wait_logged(&cluster, 1, from[0].1, "without these nodes: are they up and reachable? nodes=[3]").await;
    cluster.start_node(3);
    cluster.wait_ready().await.unwrap();
    wait_all_acknowledged(&load).await;
    let told = "all replicas go on with the longest log that is left";
    wait_until("some node says what may be lost", async || {
        from.iter().any(|(node, from)| cluster.node(*node).log()[*from..].contains(told)).then_some(())
    })
    .await;
    // Their files were whole, as only the nodes believed that power was lost.
    load.verify(&cluster).await;
    assert_eq!(load.failures(), 0);
    assert_eq!(cluster.partition("lone", 0).await.read_values().await, ["a"]);
    cluster.assert_alive();
}
