//! Leaders move when their node goes, and go back when it returns.

use std::collections::BTreeMap;

use kafka_protocol::messages::MetadataRequest;
use trilog_tests::admin::NewTopic;
use trilog_tests::batch::values;
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::waiting::wait_until;

/// How many partitions of a topic each node leads.
async fn led(cluster: &Cluster, topic: &str) -> Option<BTreeMap<i32, usize>> {
    let mut led = BTreeMap::new();
    for partition in cluster.topic(topic).await?.partitions {
        *led.entry(partition.leader_id.0).or_insert(0) += 1;
    }
    Some(led)
}

async fn wait_spread(cluster: &Cluster, topic: &str) {
    wait_until("each node leads four of twelve partitions", async || {
        (led(cluster, topic).await? == BTreeMap::from([(1, 4), (2, 4), (3, 4)])).then_some(())
    })
    .await;
}

#[tokio::test]
async fn leaders_spread_again_after_a_node_was_killed() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    cluster.create(NewTopic::new("spread").partitions(12)).await;
    wait_spread(&cluster, "spread").await;
    for node in cluster.ids() {
        cluster.kill(node);
        wait_until("the others lead everything", async || {
            let led = led(&cluster, "spread").await?;
            (led.len() == 2 && !led.contains_key(&node) && !led.contains_key(&-1)).then_some(())
        })
        .await;
        for partition in 0..12 {
            cluster.partition("spread", partition).await.produce(values(1, &["a"])).await;
        }
        cluster.start_node(node);
        cluster.wait_ready().await.unwrap();
        wait_spread(&cluster, "spread").await;
    }
}

#[tokio::test]
async fn sigterm_hands_leadership_over() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    let partition = cluster.new_partition("handed-over").await;
    partition.produce(values(1, &["a"])).await;
    let leader = cluster.leader("handed-over", 0).await;
    // Ends with exit code 0.
    cluster.stop(leader).await;
    let partition = cluster.partition("handed-over", 0).await;
    assert_eq!(partition.produce(values(1, &["b"])).await, 1);
    assert_eq!(partition.read_values().await, ["a", "b"]);
    cluster.start_node(leader);
    cluster.wait_ready().await.unwrap();
    cluster.assert_alive();
}

#[tokio::test]
async fn the_controllers_node_may_be_killed() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    let metadata = cluster.connect(1).await.request(MetadataRequest::default()).await;
    let controller = metadata.unwrap().controller_id.0;
    cluster.kill(controller);
    cluster.wait_ready().await.unwrap();
    let partition = cluster.new_partition("after-the-controller").await;
    assert_eq!(partition.produce(values(1, &["a"])).await, 0);
    cluster.start_node(controller);
    cluster.wait_ready().await.unwrap();
    wait_until("the new topic is known to the old controller", async || {
        cluster.topic_at(controller, "after-the-controller").await.map(|_| ())
    })
    .await;
}
