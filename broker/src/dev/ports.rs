//! Whether the ports of a local cluster are free, asked before any node is started: one clear line then, rather than
//! the same complaint from each node.

use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;
use trilog_cluster::ids::NodeId;

use super::plan::{NodePlan, Plan};
use crate::cli::host_port::HostPort;
use crate::port::{self, PortError};

/// Another program has a port where a node is to listen.
#[derive(Debug, Error)]
#[error(
    "port {port} of 127.0.0.1, for {purpose} of node {node}, cannot be used ({source}); choose other ports with --base-port"
)]
pub(crate) struct PortTaken {
    /// The port.
    port: u16,
    /// What the node has it for.
    purpose: &'static str,
    /// The node.
    node: NodeId,
    /// What the operating system says, and who has it.
    source: PortError,
}

/// Looks at every port of the plan, for at most `patience` in all.
///
/// # Errors
///
/// [`PortTaken`]. That a port was free is a snapshot; a node that loses the race says so itself.
pub(super) async fn wait_until_free(plan: &Plan, patience: Duration) -> Result<(), PortTaken> {
    let deadline = Instant::now() + patience;
    for plan in &plan.nodes {
        let NodePlan { address, peer_address, http_address, id: node, .. } = plan;
        let ports =
            [(address, "the clients"), (peer_address, "the peers"), (http_address, "metrics and health")];
        for (HostPort { port, .. }, purpose) in ports {
            let free = port::listen("127.0.0.1", *port, deadline).await;
            free.map_err(|source| PortTaken { port: *port, purpose, node: *node, source })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;
    use crate::cli::{Invocation, invoke};

    fn plan(base_port: u16) -> Plan {
        let Ok(Invocation::Dev(options)) = invoke(&["dev", &format!("--base-port={base_port}")]) else {
            panic!()
        };
        Plan::new(&options)
    }

    #[tokio::test]
    async fn a_taken_port_names_the_flag() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        // It is among the nodes' ports, or their HTTP ports where there is no room for those above it.
        let port = taken.local_addr().unwrap().port();
        let base = if port <= 63_530 { port } else { port - 2000 };
        let refused = wait_until_free(&plan(base), Duration::ZERO).await.unwrap_err();
        assert!(refused.to_string().contains("--base-port"), "{refused}");
        assert!(refused.to_string().contains("of node 1"), "{refused}");
    }

    #[tokio::test]
    async fn a_port_that_becomes_free_is_waited_for() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let node = plan(9092).nodes.swap_remove(0);
        let node = NodePlan { address: HostPort { port, ..node.address.clone() }, ..node };
        let address = node.address.clone();
        let node = NodePlan { peer_address: address.clone(), http_address: address, ..node };
        let plan = Plan { nodes: vec![node], secret_file: "secret".into() };
        // The first future looks and finds the port taken before the second one is polled.
        let (free, ()) = tokio::join!(wait_until_free(&plan, Duration::from_secs(60)), async { drop(taken) });
        free.unwrap();
    }
}
