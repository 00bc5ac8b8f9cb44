//! Clients that come before the node has anything true to tell them.
//!
//! A node that has just started knows what it knew at its last checkpoint, which may be nothing, until the controller's
//! log is applied. What it would answer from that is worse than no answer: clients believe that topics are gone, and
//! librdkafka (2.10 and later) forgets every node that it is not told of, itself and the bootstrap ones included, so that
//! it never connects to anybody again. Kafka's brokers do not listen before they have caught up either.
//!
//! The addresses are bound all the same, as a port in use is to be found at once. So connections are accepted and closed,
//! and clients turn to another node, which they would not do if they were kept waiting.

use std::io;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::info;
use trilog_cluster::node::Node;

use crate::connection::Listener;

/// The pause after a failed accept.
const BACKOFF: Duration = Duration::from_millis(50);

/// Closes whatever connects, until the node has caught up with the cluster's metadata or has stopped, and returns whether
/// it has caught up. The sockets are as before then.
///
/// # Errors
///
/// When a socket cannot be handed to the runtime.
pub(super) async fn until_caught_up(
    node: &Node,
    listeners: &[Listener],
    forever: Duration,
) -> io::Result<bool> {
    let mut loops = JoinSet::new();
    for socket in listeners.iter().flat_map(|listener| &listener.sockets) {
        let socket = socket.try_clone()?;
        socket.set_nonblocking(true)?;
        loops.spawn(close_all(TcpListener::from_std(socket)?));
    }
    let caught_up = node.await_published(forever, || node.has_caught_up()).await.held();
    loops.shutdown().await;
    if caught_up {
        info!("caught up with the cluster's metadata: clients are served");
    }
    Ok(caught_up)
}

async fn close_all(socket: TcpListener) {
    loop {
        if socket.accept().await.is_err() {
            tokio::time::sleep(BACKOFF).await;
        }
    }
}
