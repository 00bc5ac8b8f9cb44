//! `max.connections` while the node runs.

use std::time::Duration;

use tokio::sync::watch;
use tracing::info;
use trilog_cluster::node::{Awaited, Node};

use super::open_files::Shares;

/// Keeps `most` at what is set, as far as the limit of open files has room for it. Ends with the node.
pub(super) async fn follow(node: Node, files: Shares, most: watch::Sender<usize>, forever: Duration) {
    loop {
        let mut set = *most.borrow();
        let changed = node.await_published(forever, || {
            let image = node.image();
            set = files.clients_of(image.broker_layers(node.id(), node.settings()).max_connections());
            set != *most.borrow()
        });
        match changed.await {
            Awaited::Held => {
                most.send_replace(set);
                info!(clients = set, "max.connections was changed");
            }
            Awaited::TimedOut => {}
            Awaited::Ended => return,
        }
    }
}
