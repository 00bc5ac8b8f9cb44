//! What is logged, changed while a node runs, and the form of a line.

use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::http::request;

#[tokio::test]
async fn the_filter_is_changed_while_the_node_runs() {
    let cluster = Cluster::start(ClusterOptions::nodes(1)).await;
    let node = cluster.node(1);
    let connected = "client connected";
    cluster.connect(1).await;
    assert!(!node.log().contains(connected), "nothing about single clients at info");

    let address = node.http_address();
    let changed = request(address, "PUT", "/log", "info,trilog=debug").await.unwrap();
    assert_eq!(changed.status, 200, "{changed:?}");
    let told = request(address, "GET", "/log", "").await.unwrap();
    assert_eq!(told.body, changed.body);
    cluster.connect(1).await;
    assert!(node.log().contains(connected), "{}", node.log());

    let refused = request(address, "PUT", "/log", "trilog=loud").await.unwrap();
    assert_eq!(refused.status, 400, "{refused:?}");
    assert_eq!(request(address, "GET", "/log", "").await.unwrap().body, changed.body);
}

#[tokio::test]
async fn lines_are_json_if_wanted_and_the_first_says_who_speaks() {
    let cluster = Cluster::start(ClusterOptions::nodes(1).flag("--log-format=json")).await;
    let node = cluster.node(1);
    let log = node.log();
    assert!(log.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{log}");
    let first = log.lines().next().unwrap();
    let data_dir = node.data_dir().display().to_string();
    for said in ["version", "durability", node.address(), node.http_address(), &data_dir] {
        assert!(first.contains(said), "{said} is missing: {first}");
    }
}
