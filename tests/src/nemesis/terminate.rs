//! SIGTERM: a node hands its leaderships over and ends by itself, with exit code 0, whatever state the others are in.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cluster::Cluster;
use crate::waiting::within;

/// How long a node that was just started may take to listen. Before it does, it may not even know of signals.
const LISTENS_WITHIN: Duration = Duration::from_secs(2);

pub(super) async fn strike(cluster: &mut Cluster, node: i32) {
    // One that waits for its disk cannot end, and whoever waits for it would not get to heal the disk.
    if !cluster.started().contains(&node) || cluster.has_disk_trouble(node) {
        return;
    }
    let address = cluster.node(node).address();
    let listens = within(LISTENS_WITHIN, async || TcpStream::connect(address).await.ok());
    // Of a node whose cable is pulled nothing is heard at all.
    if timeout(LISTENS_WITHIN, listens).await.is_ok_and(|found| found.is_some()) {
        cluster.stop(node).await;
    }
}
