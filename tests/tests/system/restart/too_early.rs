//! Nodes that are asked before they can know: no answer is better than one from long ago.

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse};
use tokio::net::TcpStream;
use trilog_client::wire::Connection;
use trilog_tests::admin::NewTopic;
use trilog_tests::cluster::{Cluster, ClusterOptions, connection_options, listed};
use trilog_tests::requests::topic_name;
use trilog_tests::waiting::wait_until;

/// What a node says of the nodes and of a topic; none if it turns clients away.
async fn asked(cluster: &Cluster, node: i32, topic: &str) -> Option<MetadataResponse> {
    let connection = Connection::connect(cluster.node(node).address(), &connection_options()).await.ok()?;
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name(topic)));
    let request =
        MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(false);
    connection.request(request).await.ok()
}

#[tokio::test]
async fn a_node_that_starts_tells_of_all_topics_and_nodes_or_nothing() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    cluster.create(NewTopic::new("there").partitions(3)).await;
    for _ in 0..3 {
        for node in cluster.ids() {
            cluster.kill(node);
        }
        // What the first one could say alone is what it happens to have on disk.
        cluster.start_node(1);
        let address = cluster.node(1).address();
        wait_until("the node listens", async || TcpStream::connect(address).await.ok()).await;
        for _ in 0..50 {
            assert!(asked(&cluster, 1, "there").await.is_none(), "it cannot know");
        }
        cluster.start_node(2);
        for node in [1, 2] {
            let first = wait_until("the node answers", async || asked(&cluster, node, "there").await).await;
            assert_eq!(first.topics[0].error_code, 0, "the topic has been there for long");
            assert!(listed(&first).starts_with(&[1, 2]), "{:?}", listed(&first));
        }
        cluster.start_node(3);
        cluster.wait_ready().await.unwrap();
    }
    cluster.assert_alive();
}
