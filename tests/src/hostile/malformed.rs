//! Frames that are none, each on a connection of its own, to the clients' and to the peers' port. Each is counted, and the
//! log does not grow with them.

use tokio::task::JoinSet;
use trilog_client::wire::RawConnection;

use super::{Attack, Scenario, Size};
use crate::cluster::{Cluster, ClusterOptions};
use crate::http::sum;
use crate::waiting::wait_until;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "malformed",
    what: "frames that are none, each on a connection of its own, to the clients' and the peers' ports",
    cluster: || ClusterOptions::nodes(3),
    prepare: super::nothing,
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
            let mut sent = 0;
            for number in 0..each {
                sent += u64::from(send(&address, FRAMES[(client + number) % FRAMES.len()]).await);
                if number % 10 == 0 {
                    send(&peers, FRAMES[number % FRAMES.len()]).await;
                }
            }
            sent
        });
    }
    let sent: u64 = clients.join_all().await.into_iter().sum();
    assert!(sent > 0, "no frame could be sent");
    wait_until(&format!("{sent} frames are counted"), async || {
        (counted(cluster).await - before >= sent as f64).then_some(())
    })
    .await;
    let refused = sum(&cluster.node(1).scrape().await, "trilog_peers_refused_total", &[]);
    assert!(refused > 0.0, "strangers at the peer port are counted");
    let lines = cluster.node(1).log().lines().count() - lines;
    assert!(lines <= MOST_LINES, "{lines} lines about {sent} frames");
}

/// Sends bytes and waits until the node has closed the connection. Whether that could be done: a machine has so many ports a minute.
async fn send(address: &str, bytes: &[u8]) -> bool {
    let Ok(mut connection) = RawConnection::connect(address).await else { return false };
    let sent = connection.send_bytes(bytes).await.is_ok() && connection.finish_sending().await.is_ok();
    if sent {
        while let Ok(Some(_)) = connection.read_frame().await {}
    }
    sent
}

async fn counted(cluster: &Cluster) -> f64 {
    let samples = cluster.node(1).scrape().await;
    ["frame", "request"]
        .map(|kind| sum(&samples, "trilog_connections_failed_total", &[("why", kind)]))
        .iter()
        .sum()
}
