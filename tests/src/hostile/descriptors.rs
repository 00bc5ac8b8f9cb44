//! Clients take all connections of nodes that may have 256 files open. Health is answered, a restarted peer comes back, and
//! clients are served as soon as others leave.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Attack, Scenario, Size};
use crate::cluster::{Cluster, ClusterOptions};
use crate::waiting::wait_until;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "descriptors",
    what: "clients take all connections of nodes with ulimit -n 256, and a node is restarted meanwhile",
    cluster: || ClusterOptions::nodes(3).open_files(256),
    attack: |cluster, size| -> Attack<'_> { Box::pin(attack(cluster, size)) },
};

/// Connections that leave before the restart. The probe and this scenario's own requests are clients, too, and have to connect
/// anew then.
const MADE_ROOM_FOR: usize = 12;

async fn attack(cluster: &mut Cluster, size: Size) {
    let mut idle = Vec::new();
    for node in cluster.ids() {
        idle.push(take_all(cluster.node(node).address(), size.choose(300, 2_000)).await);
    }
    for node in cluster.ids() {
        answers(cluster, node).await;
    }
    for connections in &mut idle {
        connections.truncate(connections.len().saturating_sub(MADE_ROOM_FOR));
    }
    cluster.stop(2).await;
    cluster.start_node(2);
    for node in cluster.ids() {
        wait_until(&format!("node {node} is ready"), async || {
            let answer = cluster.node(node).get("/health/ready").await?;
            (answer.status == 200).then_some(())
        })
        .await;
    }
    answers(cluster, 2).await;
    drop(idle);
    cluster.wait_ready().await.expect("no node has died");
}

/// Connects again and again, and returns the connections that the node keeps.
async fn take_all(address: &str, tried: usize) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..tried {
        // When the node takes no more, the kernel's queue fills up, and connecting takes for ever.
        let connected = timeout(Duration::from_secs(1), TcpStream::connect(address)).await;
        match connected {
            Ok(Ok(stream)) => open.push(stream),
            Ok(Err(_)) | Err(_) => break,
        }
    }
    let taken = open.len();
    let mut kept = Vec::new();
    for mut stream in open {
        let closed = timeout(Duration::from_millis(5), stream.read(&mut [0])).await;
        if closed.is_err() {
            kept.push(stream);
        }
    }
    assert!(kept.len() < taken, "{address} takes {taken} connections with 256 files");
    kept
}

async fn answers(cluster: &Cluster, node: i32) {
    let live = cluster.node(node).get("/health/live").await.expect("the HTTP port answers");
    assert_eq!(live.status, 200, "{live:?}");
}
