//! FindCoordinator, and what a node says that is not the coordinator.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use trilog_client::wire::Connection;
use trilog_tests::cluster::{CONSUMER_OFFSETS, connection_options, shared};
use trilog_tests::group::classic::ClassicMember;
use trilog_tests::group::offsets::Commit;
use trilog_tests::group::{Group, partition_of};
use trilog_tests::requests::{error, only, served, text};

/// The first version that asks for several at once (KIP-699).
const SEVERAL: i16 = 4;

fn request(names: &[&str], version: i16) -> FindCoordinatorRequest {
    match version {
        SEVERAL.. => FindCoordinatorRequest::default()
            .with_coordinator_keys(names.iter().map(|name| text(name)).collect()),
        _ => FindCoordinatorRequest::default().with_key(text(names[0])),
    }
}

fn answers(answer: FindCoordinatorResponse, version: i16) -> Vec<Coordinator> {
    match version {
        SEVERAL.. => answer.coordinators,
        _ => vec![
            Coordinator::default()
                .with_error_code(answer.error_code)
                .with_node_id(answer.node_id)
                .with_host(answer.host)
                .with_port(answer.port),
        ],
    }
}

#[tokio::test]
async fn every_version_and_every_node_names_the_same_coordinator() {
    let cluster = shared().await;
    let group = cluster.group("found").await;
    for node in cluster.ids() {
        let connection = cluster.connect(node).await;
        for version in served::<FindCoordinatorRequest>(&connection) {
            let answer = connection.request_at_version(request(&["found"], version), version).await.unwrap();
            let found = only(answers(answer, version));
            assert_eq!(error(found.error_code), None, "version {version} at node {node}");
            assert_eq!(found.node_id.0, group.node, "version {version} at node {node}");
            let address = format!("{}:{}", found.host, found.port);
            assert_eq!(address, group.connection.address(), "version {version} at node {node}");
        }
    }
}

#[tokio::test]
async fn many_are_found_in_one_request_on_all_nodes() {
    let cluster = shared().await;
    cluster.group("found-many-0").await;
    let names = (0..200).map(|number| format!("found-many-{number}")).collect::<Vec<_>>();
    let list = names.iter().map(String::as_str).collect::<Vec<_>>();
    let connection = cluster.connect(2).await;
    let partitions = cluster.topic(CONSUMER_OFFSETS).await.expect("it exists").partitions.len();
    for version in served::<FindCoordinatorRequest>(&connection).filter(|version| *version >= SEVERAL) {
        let answer = connection.request_at_version(request(&list, version), version).await.unwrap();
        let mut nodes: BTreeMap<usize, BTreeSet<i32>> = BTreeMap::new();
        let mut told = BTreeSet::new();
        for found in answer.coordinators {
            assert_eq!(error(found.error_code), None, "version {version}: {:?}", found.error_message);
            nodes.entry(partition_of(&found.key, partitions)).or_default().insert(found.node_id.0);
            told.insert(found.key.to_string());
        }
        assert_eq!(told, names.iter().cloned().collect());
        assert!(nodes.values().all(|nodes| nodes.len() == 1), "a partition has one leader: {nodes:?}");
        let all = nodes.into_values().flatten().collect::<BTreeSet<_>>();
        assert_eq!(all.into_iter().collect::<Vec<_>>(), cluster.ids(), "all nodes coordinate");
    }
}

#[tokio::test]
async fn a_kind_of_coordinator_that_does_not_exist_is_refused() {
    let cluster = shared().await;
    let connection = cluster.connect(1).await;
    for version in served::<FindCoordinatorRequest>(&connection).filter(|version| *version >= 1) {
        let request = request(&["found"], version).with_key_type(99);
        let answer = connection.request_at_version(request, version).await.unwrap();
        let found = only(answers(answer, version));
        assert_eq!(error(found.error_code), Some(ResponseError::InvalidRequest), "version {version}");
    }
}

#[tokio::test]
async fn any_other_node_says_that_it_is_not_the_coordinator() {
    let cluster = shared().await;
    cluster.new_partition("not-coordinated-here").await;
    let group = cluster.group("elsewhere").await;
    for node in cluster.ids().into_iter().filter(|node| *node != group.node) {
        let address = cluster.node(node).address();
        let connection = Connection::connect(address, &connection_options()).await.unwrap();
        let wrong = Group { node, connection, ..group.clone() };
        let refused = Some(ResponseError::NotCoordinator);
        let member = ClassicMember::new(&wrong).await;
        assert_eq!(error(member.try_join().await.error_code), refused);
        assert_eq!(error(member.try_sync(&[]).await.error_code), refused);
        assert_eq!(member.heartbeat().await, refused);
        assert_eq!(member.leave().await, refused);
        assert_eq!(wrong.commit(&Commit::outside("not-coordinated-here", 0, 1)).await, refused);
        let fetched = wrong.try_fetch_offsets(None).await.unwrap();
        assert_eq!(error(fetched.error_code), refused);
        assert_eq!(wrong.delete_offset("not-coordinated-here", 0).await, refused);
        assert_eq!(wrong.delete().await, refused);
        assert_eq!(error(wrong.describe().await.error_code), refused);
        assert_eq!(error(wrong.describe_consumer().await.error_code), refused);
    }
}
