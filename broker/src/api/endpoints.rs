//! Where clients reach the nodes.
//!
//! A client is told the addresses of the listener it came in on, by the listener's name, so that one inside a
//! container network is never sent to an address that only works outside. Only nodes heard of lately are
//! told.

use std::collections::BTreeMap;

use kafka_protocol::messages::BrokerId;
use kafka_protocol::protocol::StrBytes;
use trilog_cluster::controller::{Broker, MetadataImage};
use trilog_cluster::ids::NodeId;

/// The live nodes, and where clients of one listener reach them.
#[derive(Debug)]
pub(super) struct Endpoints {
    live: BTreeMap<NodeId, Option<Endpoint>>,
}

/// A node's address as clients are told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) node: BrokerId,
    pub(super) host: StrBytes,
    pub(super) port: i32,
    pub(super) rack: Option<StrBytes>,
}

impl Endpoints {
    /// The nodes of `image` that `is_live` vouches for, as seen from the listener called `listener`.
    pub(super) fn new(image: &MetadataImage, listener: &str, is_live: impl Fn(NodeId) -> bool) -> Self {
        let live = image.brokers().filter(|broker| is_live(broker.node));
        Self { live: live.map(|broker| (broker.node, Endpoint::of(broker, listener))).collect() }
    }

    /// Whether the node has been heard of lately.
    pub(super) fn is_live(&self, node: NodeId) -> bool {
        self.live.contains_key(&node)
    }

    /// Where the node is reached; none when it is not live, or has no listener of this name.
    pub(super) fn get(&self, node: NodeId) -> Option<&Endpoint> {
        self.live.get(&node)?.as_ref()
    }

    /// All live nodes that can be reached, by id.
    pub(super) fn reachable(&self) -> impl Iterator<Item = &Endpoint> {
        self.live.values().flatten()
    }

    /// The node to name as the controller. Every node forwards to the real one, so any live node will do;
    /// `leader` is named while it can be reached, else the lowest one, so that the answer is stable. -1
    /// without any.
    pub(super) fn controller(&self, leader: Option<NodeId>) -> BrokerId {
        let leader = leader.and_then(|leader| self.get(leader));
        leader.or_else(|| self.reachable().next()).map_or(BrokerId(-1), |endpoint| endpoint.node)
    }
}

impl Endpoint {
    /// The address that `broker` registered for the listener of that name.
    pub(super) fn of(broker: &Broker, listener: &str) -> Option<Self> {
        let registered = broker.listeners.iter().find(|registered| registered.name == listener)?;
        Some(Self {
            node: broker_id(broker.node),
            host: StrBytes::from_string(registered.host.clone()),
            port: i32::from(registered.port),
            rack: broker.rack.clone().map(StrBytes::from_string),
        })
    }
}

/// A node as clients number it.
pub(super) fn broker_id(node: NodeId) -> BrokerId {
    BrokerId(node.number().expect("the controller admits no other ids"))
}

#[cfg(test)]
mod tests {
    use trilog_cluster::controller::{ControllerRecord, Listener};
    use uuid::Uuid;

    use super::*;

    fn image() -> MetadataImage {
        let mut image = MetadataImage::default();
        for node in 1..=3 {
            let listener =
                |name: &str, host: &str| Listener { name: name.into(), host: host.into(), port: 9092 };
            let mut listeners = vec![listener("PLAINTEXT", &format!("n{node}"))];
            if node != 3 {
                listeners.push(listener("OUTSIDE", &format!("n{node}.example")));
            }
            image.replay(&ControllerRecord::BrokerRegistered(Broker {
                node: NodeId(node),
                incarnation: Uuid::nil(),
                listeners,
                rack: (node == 1).then(|| "r1".into()),
            }));
        }
        image
    }

    #[test]
    fn addresses_are_those_of_the_listener_the_client_came_in_on() {
        let endpoints = Endpoints::new(&image(), "OUTSIDE", |_| true);
        assert_eq!(endpoints.get(NodeId(1)).unwrap().host.as_str(), "n1.example");
        assert_eq!(endpoints.get(NodeId(1)).unwrap().rack.as_deref(), Some("r1"));
        assert!(endpoints.get(NodeId(3)).is_none(), "node 3 has no such listener");
        assert!(endpoints.is_live(NodeId(3)));
        assert_eq!(endpoints.reachable().count(), 2);
    }

    #[test]
    fn the_controller_named_is_live_and_stable() {
        let without_2 = Endpoints::new(&image(), "PLAINTEXT", |node| node != NodeId(2));
        assert_eq!(without_2.controller(Some(NodeId(3))), BrokerId(3));
        assert_eq!(without_2.controller(Some(NodeId(2))), BrokerId(1));
        assert_eq!(without_2.controller(None), BrokerId(1));
        assert_eq!(Endpoints::new(&image(), "PLAINTEXT", |_| false).controller(None), BrokerId(-1));
    }
}
