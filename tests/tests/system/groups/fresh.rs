//! A cluster that has just said that it is ready coordinates groups at once. Some clients hand whatever a coordinator says
//! meanwhile to their caller instead of asking again, and so does this one.

use kafka_protocol::messages::FindCoordinatorRequest;
use trilog_client::Connection;
use trilog_tests::cluster::{Cluster, ClusterOptions, connection_options, permit_to_run};
use trilog_tests::dev::{Dev, DevOptions};
use trilog_tests::group::Group;
use trilog_tests::group::classic::ClassicMember;
use trilog_tests::group::consumer::{ConsumerMember, LEAVES};
use trilog_tests::ports::free_block;
use trilog_tests::requests::{error, text};
use trilog_tests::scratch::Scratch;

/// Enough that each coordinator has some.
const GROUPS: usize = 60;

/// How often a cluster is started, as what counts happens once in each.
const ROUNDS: usize = 3;

/// The groups of these names, found by one node in one request.
async fn find(address: &str, names: &[String]) -> Vec<Group> {
    let connection = Connection::connect(address, &connection_options()).await.unwrap();
    let keys = names.iter().map(|name| text(name)).collect();
    let request = FindCoordinatorRequest::default().with_coordinator_keys(keys);
    let answer = connection.request(request).await.unwrap();
    assert_eq!(answer.coordinators.len(), names.len());
    let mut groups = Vec::new();
    for found in answer.coordinators {
        assert_eq!(error(found.error_code), None, "{}: {:?}", found.key, found.error_message);
        let address = format!("{}:{}", found.host, found.port);
        let connection = Connection::connect(&address, &connection_options()).await.unwrap();
        groups.push(Group { name: found.key.to_string(), node: found.node_id.0, connection });
    }
    groups
}

/// Has each node name the coordinators of many groups, and members join and leave each.
async fn assert_all_coordinated(addresses: &[String]) {
    for (node, address) in (1..).zip(addresses) {
        let names = |kind: &str| (0..GROUPS).map(|n| format!("{kind}-{node}-{n}")).collect::<Vec<_>>();
        for group in find(address, &names("classic")).await {
            // One with a name joins without being sent back for an id.
            let mut member = ClassicMember::new(&group).await.named("fresh");
            member.join().await;
            assert_eq!(member.leave().await, None);
            assert!(group.offsets().await.is_empty());
        }
        for group in find(address, &names("consumer")).await {
            let mut member = ConsumerMember::new(&group, &["fresh"]).await;
            member.heartbeat().await;
            member.leave(LEAVES).await;
        }
    }
}

#[tokio::test]
async fn a_local_cluster_that_is_ready_has_its_coordinators() {
    let _permit = permit_to_run().await;
    for _ in 0..ROUNDS {
        let scratch = Scratch::new("fresh");
        let base_port = free_block(3, &[0, 1000, 2000]);
        let dev = Dev::start(&DevOptions::new(base_port, scratch.join("data")));
        dev.ready().await;
        let addresses = (0..3).map(|node| format!("127.0.0.1:{}", base_port + node)).collect::<Vec<_>>();
        assert_all_coordinated(&addresses).await;
    }
}

#[tokio::test]
async fn a_cluster_that_was_started_again_has_its_coordinators() {
    let settings = ClusterOptions::nodes(3).set("group.initial.rebalance.delay.ms", "0");
    let mut cluster = Cluster::start(settings).await;
    let addresses = cluster.ids().iter().map(|id| cluster.node(*id).address().to_owned()).collect::<Vec<_>>();
    for _ in 0..ROUNDS {
        for node in cluster.ids() {
            cluster.kill(node);
        }
        for node in cluster.ids() {
            cluster.start_node(node);
        }
        cluster.wait_ready().await.unwrap();
        assert_all_coordinated(&addresses).await;
    }
}
