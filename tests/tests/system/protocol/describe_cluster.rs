//! DescribeCluster (KIP-700).

use kafka_protocol::messages::DescribeClusterRequest;
use trilog_tests::cluster::{CLUSTER_ID, shared};
use trilog_tests::requests::{error, served};

#[tokio::test]
async fn every_version_tells_the_cluster() {
    let cluster = shared().await;
    for node in cluster.ids() {
        let connection = cluster.connect(node).await;
        for version in served::<DescribeClusterRequest>(&connection) {
            let request = DescribeClusterRequest::default();
            let answer = connection.request_at_version(request, version).await.unwrap();
            assert_eq!(error(answer.error_code), None, "version {version}");
            assert_eq!(&*answer.cluster_id, CLUSTER_ID);
            assert!(cluster.ids().contains(&answer.controller_id.0));
            let mut brokers = answer.brokers;
            brokers.sort_by_key(|broker| broker.broker_id.0);
            assert_eq!(brokers.iter().map(|broker| broker.broker_id.0).collect::<Vec<_>>(), cluster.ids());
            for broker in brokers {
                let address = format!("{}:{}", broker.host, broker.port);
                assert_eq!(address, cluster.node(broker.broker_id.0).address());
            }
        }
    }
}
