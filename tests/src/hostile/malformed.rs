//! Frames that are none, each on a connection of its own, to the clients' and to the peers' port. Each is counted, and the
//! log does not grow with them.

use tokio::task::JoinSet;
use trilog_client::RawConnection;

use super::{Attack, Scenario, Size};
use crate::cluster::{Cluster, ClusterOptions};
use crate::http::sum;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "malformed",
    what: "frames that are none, each on a connection of its own, to the clients' and the peers' ports",
    cluster: || ClusterOptions::nodes(3),
    attack: |cluster, size| -> Attack<'_> { Box::pin(attack(cluster, size)) },
};

/// Connections at the same time.
const AT_ONCE: usize = 8;

/// Lines of the log that a node may write about all of it: some kinds of frames, each told every few seconds.
const MOST_LINES: usize = 300;

/// Frames of three kinds: a length below zero, an API that there is not, and a body that is none.
const FRAMES: [&[u8]; 3] = [
    &[0xff, 0xff, 0xff, 0xff],
    &[0, 0, 0, 10, 0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
    &[0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff],
];

async fn attack(cluster: &mut Cluster, size: Size) {
    let each = size.choose(500, 100_000);
    let before = counted(cluster).await;
    let lines = cluster.node(1).log().lines().count();
    let mut clients = JoinSet::new();
    for client in 0..AT_ONCE {
        let address = cluster.node(1).address().to_owned();
        let peers = cluster.node(1).peer_address().to_owned();
        clients.spawn(async move {
            for number in 0..each {
                send(&address, FRAMES[(client + number) % FRAMES.len()]).await;
                if number % 10 == 0 {
                    send(&peers, FRAMES[number % FRAMES.len()]).await;
                }
            }
        });
    }
    clients.join_all().await;
    let counted = counted(cluster).await - before;
    assert!(counted >= (AT_ONCE * each) as f64, "{counted} of {} are counted", AT_ONCE * each);
    let lines = cluster.node(1).log().lines().count() - lines;
    assert!(lines <= MOST_LINES, "{lines} lines about {counted} frames");
}

/// Sends bytes and waits until the node has closed the connection.
async fn send(address: &str, bytes: &[u8]) {
    let Ok(mut connection) = RawConnection::connect(address).await else { return };
    if connection.send_bytes(bytes).await.is_ok() && connection.finish_sending().await.is_ok() {
        while let Ok(Some(_)) = connection.read_frame().await {}
    }
}

async fn counted(cluster: &Cluster) -> f64 {
    let samples = cluster.node(1).scrape().await;
    ["frame", "request"]
        .map(|kind| sum(&samples, "trilog_connections_failed_total", &[("why", kind)]))
        .iter()
        .sum()
}
