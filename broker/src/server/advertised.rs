//! Advertised addresses that two nodes claim.
//!
//! Flags that were copied for the next node easily keep the first one's advertised address. Clients of either node then
//! come to one of them, learn there that it does not lead what they ask for, and ask again. Nothing else tells, so the
//! nodes do.

use std::time::Duration;

use tracing::error;
use trilog_cluster::controller::{Listener, MetadataImage};
use trilog_cluster::ids::NodeId;
use trilog_cluster::node::{Awaited, Node};

/// Says so, once each, when another node registers with an address of this one. Ends with the node.
pub(super) async fn watch(node: Node, forever: Duration) {
    let mut told = Vec::new();
    loop {
        let mut news = None;
        let found = node.await_published(forever, || {
            news = clashes(&node.image(), node.id()).into_iter().find(|clash| !told.contains(clash));
            news.is_some()
        });
        if found.await == Awaited::Ended {
            return;
        }
        if let Some((other, Listener { name, host, port })) = &news {
            error!(
                "--advertised-listeners: node {other} gives its clients {name}://{host}:{port}, as this one does; each \
                 node needs an address that leads to it alone"
            );
        }
        told.extend(news);
    }
}

/// The other nodes that share an address with `own`, and which.
fn clashes(image: &MetadataImage, own: NodeId) -> Vec<(NodeId, Listener)> {
    let Some(registered) = image.broker(own) else { return Vec::new() };
    let others = image.brokers().filter(|broker| broker.node != own);
    others
        .flat_map(|broker| {
            let shared = broker.listeners.iter().filter(|listener| registered.listeners.contains(listener));
            shared.map(|listener| (broker.node, listener.clone()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use trilog_cluster::controller::{Broker, ControllerRecord};
    use uuid::Uuid;

    use super::*;

    fn registered(node: u32, addresses: &[(&str, &str, u16)]) -> ControllerRecord {
        let listeners = addresses.iter().map(|(name, host, port)| Listener {
            name: (*name).to_owned(),
            host: (*host).to_owned(),
            port: *port,
        });
        ControllerRecord::BrokerRegistered(Broker {
            node: NodeId(node),
            incarnation: Uuid::from_u128(1),
            listeners: listeners.collect(),
            rack: None,
        })
    }

    #[test]
    fn an_address_of_two_nodes_is_found_from_either() {
        let mut image = MetadataImage::default();
        image.replay(&registered(1, &[("INTERNAL", "one", 29092), ("EXTERNAL", "localhost", 9092)]));
        image.replay(&registered(2, &[("INTERNAL", "two", 29092), ("EXTERNAL", "localhost", 9092)]));
        image.replay(&registered(3, &[("INTERNAL", "three", 29092), ("EXTERNAL", "localhost", 9094)]));
        let names = |own| {
            let clashes = clashes(&image, NodeId(own)).into_iter();
            clashes.map(|(node, listener)| (node.0, listener.name)).collect::<Vec<_>>()
        };
        assert_eq!(names(1), [(2, "EXTERNAL".to_owned())]);
        assert_eq!(names(2), [(1, "EXTERNAL".to_owned())]);
        assert_eq!(names(3), []);
        assert_eq!(names(4), [], "a node that has not registered");
    }
}
