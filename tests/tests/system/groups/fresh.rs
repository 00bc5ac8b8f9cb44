//! A cluster that has just said that it is ready coordinates groups at once. Some clients hand whatever a coordinator says
//! meanwhile to their caller instead of asking again, and so does this one.

use std::slice;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::FindCoordinatorRequest;
use trilog_client::wire::Connection;
use trilog_tests::cluster::{Cluster, ClusterOptions, connection_options, permit_to_run};
use trilog_tests::dev::{Dev, DevOptions};
use trilog_tests::group::Group;
use trilog_tests::group::classic::ClassicMember;
use trilog_tests::group::consumer::{ConsumerMember, LEAVES};
use trilog_tests::ports::free_block;
use trilog_tests::requests::{error, only, text};
use trilog_tests::scratch::Scratch;
use trilog_tests::waiting::wait_until;

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

/// What a coordinator says when a member with a name joins and leaves a group: the first refusal, if any.
async fn classic(group: &Group) -> Option<ResponseError> {
    // One with a name joins without being sent back for an id.
    let mut member = ClassicMember::new(group).await.named("fresh");
    let joined = member.try_join().await;
    if let Some(refusal) = error(joined.error_code) {
        return Some(refusal);
    }
    member.id = joined.member_id.to_string();
    if let Some(refusal) = member.leave().await {
        return Some(refusal);
    }
    let offsets = group.try_fetch_offsets(None).await.unwrap();
    assert!(offsets.topics.is_empty());
    error(offsets.error_code)
}

/// The same for a member that the coordinator assigns.
async fn consumer(group: &Group) -> Option<ResponseError> {
    let mut member = ConsumerMember::new(group, &["fresh"]).await;
    let joined = member.try_heartbeat().await.unwrap();
    if let Some(refusal) = error(joined.error_code) {
        return Some(refusal);
    }
    member.obey(&joined);
    member.epoch = LEAVES;
    error(member.try_heartbeat().await.unwrap().error_code)
}

/// Has members visit each group. A coordinator may refuse them for one reason: that it is none any more, as leaders move
/// to where they belong a while after a start. Then another one is named.
async fn assert_coordinated(
    address: &str,
    names: &[String],
    visit: impl AsyncFn(&Group) -> Option<ResponseError>,
) {
    for mut group in find(address, names).await {
        while let Some(refusal) = visit(&group).await {
            assert_eq!(refusal, ResponseError::NotCoordinator, "{} at {}", group.name, group.node);
            group = wait_until(&format!("{} is not sent to {}", group.name, group.node), async || {
                let named = only(find(address, slice::from_ref(&group.name)).await);
                (named.node != group.node).then_some(named)
            })
            .await;
        }
    }
}

/// Has each node name the coordinators of many groups, and members join and leave each.
async fn assert_all_coordinated(addresses: &[String]) {
    for (node, address) in (1..).zip(addresses) {
        let names = |kind: &str| (0..GROUPS).map(|n| format!("{kind}-{node}-{n}")).collect::<Vec<_>>();
        assert_coordinated(address, &names("classic"), classic).await;
        assert_coordinated(address, &names("consumer"), consumer).await;
    }
}

#[tokio::test]
async fn a_local_cluster_that_is_ready_has_its_coordinators() {
    let _permit = permit_to_run().await;
    for _ in 0..ROUNDS {
        let scratch = Scratch::new("fresh");
        let base_port = free_block(3, &[0, 1000, 2000]);
        // As below: each of the groups would wait for further members.
        let options = DevOptions::new(base_port, scratch.join("data"));
        let dev = Dev::start(&options.flags(&["--set=group.initial.rebalance.delay.ms=0"]));
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
