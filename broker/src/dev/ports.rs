//! Whether the ports of a local cluster are free, asked before any node is started: one clear line then, rather than
//! the same complaint from each node.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use thiserror::Error;
use tokio::time::{Instant, sleep};

use super::plan::Plan;

/// Between two looks at a port that is to become free.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Another program listens where a node is to.
#[derive(Debug, Error)]
#[error("port {port} of 127.0.0.1 cannot be used ({source}); choose other ports with --base-port")]
pub(crate) struct PortTaken {
    /// The port.
    port: u16,
    /// What the operating system says.
    source: std::io::Error,
}

/// Looks at every port of the plan, for at most `patience` in all: nodes whose `trilog dev` was killed need a moment
/// to end.
///
/// # Errors
///
/// [`PortTaken`]. That a port was free is a snapshot; a node that loses the race says so itself.
pub(super) async fn wait_until_free(plan: &Plan, patience: Duration) -> Result<(), PortTaken> {
    let deadline = Instant::now() + patience;
    for port in plan.nodes.iter().flat_map(|node| [node.address.port, node.peer_address.port]) {
        while let Err(source) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            if Instant::now() >= deadline {
                return Err(PortTaken { port, source });
            }
            sleep(LOOK_AGAIN_AFTER).await;
        }
    }
    Ok(())
}
