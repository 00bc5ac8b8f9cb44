//! Liveness and readiness.

use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::http::HttpAnswer;
use trilog_tests::waiting::wait_until;

/// Waits until the node answers `path` with `status`, and returns what it says.
async fn wait_status(cluster: &Cluster, id: i32, path: &str, status: u16) -> HttpAnswer {
    wait_until(&format!("node {id} answers {path} with {status}"), async || {
        cluster.node(id).get(path).await.filter(|answer| answer.status == status)
    })
    .await
}

#[tokio::test]
async fn a_node_is_ready_while_it_reaches_a_majority() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    for id in cluster.ids() {
        wait_status(&cluster, id, "/health/ready", 200).await;
    }
    cluster.kill(2);
    cluster.kill(3);
    let unready = wait_status(&cluster, 1, "/health/ready", 503).await;
    assert!(unready.body.contains("no majority"), "{unready:?}");
    // A restart would not help.
    wait_status(&cluster, 1, "/health/live", 200).await;

    cluster.start_node(2);
    for id in [1, 2] {
        wait_status(&cluster, id, "/health/ready", 200).await;
    }
}

#[tokio::test]
async fn a_node_that_starts_alone_is_alive_and_not_ready() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    for id in cluster.ids() {
        cluster.kill(id);
    }
    cluster.start_node(1);
    let unready = wait_status(&cluster, 1, "/health/ready", 503).await;
    assert!(unready.body.starts_with("not ready: "), "{unready:?}");
    wait_status(&cluster, 1, "/health/live", 200).await;
    for id in [2, 3] {
        cluster.start_node(id);
    }
    for id in cluster.ids() {
        wait_status(&cluster, id, "/health/ready", 200).await;
    }
}
