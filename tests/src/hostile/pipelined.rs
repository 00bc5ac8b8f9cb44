//! Connections that send thousands of requests without waiting for an answer. Each of them is cheap and all of them are there
//! at once: what matters is that others have their turn in between, other clients and the peers.

use kafka_protocol::messages::MetadataRequest;
use kafka_protocol::protocol::StrBytes;
use tokio::task::JoinSet;
use trilog_client::wire::RawConnection;
use trilog_client::wire::frame::encode_request;

use super::{Attack, Scenario, Size};
use crate::cluster::{Cluster, ClusterOptions};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "pipelined",
    what: "connections send 10,000 Metadata requests each, all at once",
    cluster: || ClusterOptions::nodes(3),
    prepare: super::nothing,
    attack: |cluster, size| -> Attack<'_> { Box::pin(attack(cluster, size)) },
};

/// The version of the requests: one in which topics are not made by the way.
const VERSION: i16 = 9;

async fn attack(cluster: &mut Cluster, size: Size) {
    let (connections, requests): (i32, i32) = size.choose((16, 1_000), (64, 10_000));
    let request = MetadataRequest::default().with_topics(None);
    let client_id = StrBytes::from_static_str("in-haste");
    let frames: Vec<u8> = (0..requests)
        .flat_map(|number| encode_request(&request, VERSION, number, &client_id).expect("it can be encoded"))
        .collect();
    for _ in 0..size.choose(1, 3) {
        let mut clients = JoinSet::new();
        for (_, id) in (0..connections).zip(cluster.ids().into_iter().cycle()) {
            let (address, frames) = (cluster.node(id).address().to_owned(), frames.clone());
            clients.spawn(async move {
                let mut connection =
                    RawConnection::connect(&address).await.expect("the node takes connections");
                connection.send_bytes(&frames).await.expect("the node reads");
                for number in 0..requests {
                    let answer = connection.read_frame().await.expect("the node answers");
                    let answer = answer.unwrap_or_else(|| panic!("no answer to request {number}"));
                    assert_eq!(answer[..4], number.to_be_bytes(), "answers come in order");
                }
            });
        }
        clients.join_all().await;
    }
}
