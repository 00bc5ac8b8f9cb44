//! SIGTERM: a node hands its leaderships over and ends by itself, with exit code 0, whatever state the others are in.

use std::time::Duration;

use tokio::net::TcpStream;

use crate::cluster::Cluster;
use crate::waiting::within;

/// How long a node that was just started may take to listen. Before it does, it may not even know of signals.
const LISTENS_WITHIN: Duration = Duration::from_secs(2);

pub(super) async fn strike(cluster: &mut Cluster, node: i32) {
    if !cluster.started().contains(&node) {
        return;
    }
    let address = cluster.node(node).address();
    if within(LISTENS_WITHIN, async || TcpStream::connect(address).await.ok()).await.is_some() {
        cluster.stop(node).await;
    }
}
