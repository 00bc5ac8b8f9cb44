//! Clients take all connections of nodes that may have 256 files open. Health is answered, a restarted peer comes back, and
//! clients are served as soon as others leave.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Attack, Scenario, Size};
use crate::cluster::{Cluster, ClusterOptions};
use crate::waiting::wait_until;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "descriptors",
    what: "clients take all connections of nodes with ulimit -n 256, and a node is restarted meanwhile",
    cluster: || ClusterOptions::nodes(3).open_files(256),
    prepare: super::nothing,
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

/// Connects again and again, and returns the connections that the node serves. It accepts no more than that, and those that
/// have to wait leave.
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
    let made = open.len();
    let mut served = Vec::new();
    for mut stream in open {
        // They are accepted in their order.
        if !is_served(&mut stream).await {
            break;
        }
        served.push(stream);
    }
    assert!(served.len() < made, "{address} serves {made} connections with 256 files");
    served
}

/// Whether the node answers an ApiVersions request. One that it has not accepted waits for ever.
async fn is_served(stream: &mut TcpStream) -> bool {
    let request = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    let exchange = async { stream.write_all(&request).await.is_ok() && stream.read_i32().await.is_ok() };
    timeout(Duration::from_secs(2), exchange).await.unwrap_or(false)
}

async fn answers(cluster: &Cluster, node: i32) {
    let live = cluster.node(node).get("/health/live").await.expect("the HTTP port answers");
    assert_eq!(live.status, 200, "{live:?}");
}
