//! Clients that open fetch sessions of very many partitions, more than there are places, leave them, and come back on new connections.

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{FetchRequest, FetchResponse};
use tokio::task::JoinSet;
use trilog_client::wire::{ClientError, Connection};
use uuid::Uuid;

use super::{Attack, Scenario, Size};
use crate::batch::values;
use crate::cluster::{Cluster, ClusterOptions};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "fetch-sessions",
    what: "more fetch sessions than there are places, of thousands of partitions each, left and opened anew",
    cluster: || ClusterOptions::nodes(3),
    prepare: |cluster, size| -> Attack<'_> {
        Box::pin(super::create_wide(cluster, TOPIC, size.choose(200, 2_000)))
    },
    attack: |cluster, size| -> Attack<'_> { Box::pin(attack(cluster, size)) },
};

const TOPIC: &str = "wide";

/// Connections at the same time.
const AT_ONCE: usize = 32;

/// Sessions that each connection opens and leaves.
const SESSIONS: usize = 3;

/// Polls of a session after its first answer.
const POLLS: i32 = 3;

async fn attack(cluster: &mut Cluster, size: Size) {
    let partitions = size.choose(200, 2_000);
    let topic_id = cluster.topic(TOPIC).await.expect("it was created").topic_id;
    let clients = size.choose(100, 2_000) / AT_ONCE;
    let mut crowd = JoinSet::new();
    for _ in 0..AT_ONCE {
        let connections: Vec<String> =
            cluster.ids().into_iter().map(|id| cluster.node(id).address().to_owned()).collect();
        crowd.spawn(async move {
            let mut refused = 0;
            for (_, address) in (0..clients).zip(connections.iter().cycle()) {
                let options = crate::cluster::connection_options();
                let connection =
                    Connection::connect(address, &options).await.expect("the node takes connections");
                for _ in 0..SESSIONS {
                    refused += usize::from(!open_and_poll(&connection, topic_id, partitions).await);
                }
            }
            refused
        });
    }
    let refused: usize = crowd.join_all().await.into_iter().sum();
    if size == Size::Full {
        assert!(refused > 0, "there are fewer places than sessions");
    }
    // An honest consumer is served, with a session or without.
    let honest = cluster.new_partition("honest").await;
    honest.produce(values(1, &["a"])).await;
    assert_eq!(honest.fetch(0).await.len(), 1);
    let answer = ask(&honest.connection, request(honest.target.id, 1, 0, 0)).await.expect("it is answered");
    let records = answer.responses.iter().flat_map(|topic| &topic.partitions);
    assert_eq!(
        records.filter(|partition| partition.records.as_ref().is_some_and(|it| !it.is_empty())).count(),
        1
    );
}

/// Whether the node gave a session.
async fn open_and_poll(connection: &Connection, topic: Uuid, partitions: i32) -> bool {
    let opened = ask(connection, request(topic, partitions, 0, 0)).await.expect("a first fetch is answered");
    if opened.session_id == 0 {
        return false;
    }
    for epoch in 1..=POLLS {
        // Others may have had its place since: then the answer says so.
        let polled = ask(connection, request(topic, 0, opened.session_id, epoch)).await;
        if polled.expect("a poll is answered").error_code != 0 {
            break;
        }
    }
    true
}

async fn ask(connection: &Connection, request: FetchRequest) -> Result<FetchResponse, ClientError> {
    connection.request_at_version(request, 13).await
}

/// Names so many partitions of a topic in a session.
fn request(topic: Uuid, partitions: i32, session: i32, epoch: i32) -> FetchRequest {
    let partition = |index| FetchPartition::default().with_partition(index).with_partition_max_bytes(1 << 20);
    let topic =
        FetchTopic::default().with_topic_id(topic).with_partitions((0..partitions).map(partition).collect());
    FetchRequest::default()
        .with_max_bytes(1 << 20)
        .with_session_id(session)
        .with_session_epoch(epoch)
        .with_topics(if partitions > 0 { vec![topic] } else { Vec::new() })
}
