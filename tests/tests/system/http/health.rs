//! Liveness and readiness.

use std::time::Duration;

use kafka_protocol::messages::MetadataRequest;
use trilog_client::wire::Connection;
use trilog_tests::admin::{NewTopic, delete_topic};
use trilog_tests::binary;
use trilog_tests::cluster::{Cluster, ClusterOptions, connection_options};
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
    // Until it has noticed both deaths, it may name what the first one led to.
    wait_until("node 1 says that it reaches no majority", async || {
        let answer = cluster.node(1).get("/health/ready").await?;
        (answer.status == 503 && answer.body.contains("no majority")).then_some(())
    })
    .await;
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

#[tokio::test]
async fn a_node_that_is_ready_turns_no_client_away() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    cluster.create(NewTopic::new("there").partitions(3)).await;
    for _ in 0..5 {
        for id in cluster.ids() {
            cluster.kill(id);
        }
        for id in cluster.ids() {
            cluster.start_node(id);
        }
        for id in cluster.ids() {
            let node = cluster.node(id);
            // Nearly without a pause: a moment later it is too late to see a node that is ready too early.
            while node.get("/health/ready").await.is_none_or(|answer| answer.status != 200) {
                assert!(!node.has_died());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let connection = Connection::connect(node.address(), &connection_options()).await.unwrap();
            let metadata = connection.request(MetadataRequest::default().with_topics(None)).await;
            assert!(metadata.is_ok(), "node {id} is ready, and {metadata:?}");
        }
    }
}

#[tokio::test]
async fn a_node_is_not_ready_that_waits_to_be_readmitted() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    // On the node whose disk is lost alone.
    cluster.create(NewTopic::new("lost").assign(0, &[3])).await;
    cluster.wipe(3);
    cluster.kill(2);
    cluster.start_node(3);
    let unready = wait_until("node 3 says what it waits for", async || {
        cluster.node(3).get("/health/ready").await.filter(|answer| answer.body.contains("readmitted"))
    })
    .await;
    assert_eq!(unready.status, 503, "{unready:?}");
    assert!(unready.body.contains("the controller"), "{unready:?}");

    // What only the lost disk held does not come back.
    cluster.start_node(2);
    let unready = wait_until("node 3 is back but for a partition", async || {
        let unready = cluster.node(3).get("/health/ready").await?;
        let waits = unready.body.lines().find(|line| line.contains("readmitted"))?;
        (waits.contains(": lost-0 (1 in all)") && !unready.body.contains("turned away")).then_some(unready)
    })
    .await;
    assert_eq!(unready.status, 503, "{unready:?}");
    let node = cluster.node(3);
    let flags =
        [format!("--listeners=P://{}", node.address()), format!("--http-listener={}", node.http_address())];
    let output = binary::run(&["health", &flags[0], &flags[1]], &[]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("lost-0"), "{said}");
    for id in [1, 2] {
        wait_status(&cluster, id, "/health/ready", 200).await;
    }
    assert_eq!(delete_topic(&cluster.connect(1).await, "lost").await, 0);
    wait_status(&cluster, 3, "/health/ready", 200).await;
}
