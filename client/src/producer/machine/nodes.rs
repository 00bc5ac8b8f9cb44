//! The brokers that lead partitions: whether they are connected, and how much is on its way to them.

use std::collections::HashMap;

use crate::metadata::NodeId;

/// A connection's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Link {
    /// There is none.
    #[default]
    Down,
    /// The driver was asked for one.
    Dialling,
    /// It stands.
    Up,
}

/// One broker.
#[derive(Debug, Default)]
struct Node {
    link: Link,
    in_flight: usize,
}

/// All brokers that were ever needed.
#[derive(Debug)]
pub(super) struct Nodes {
    max_in_flight: usize,
    nodes: HashMap<NodeId, Node>,
}

/// What may be done with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// A request may be sent.
    Open,
    /// The driver has to connect first, and was not asked to yet.
    Unconnected,
    /// An answer or a connection has to be waited for.
    Busy,
}

impl Nodes {
    pub(super) fn new(max_in_flight: usize) -> Self {
        Self { max_in_flight, nodes: HashMap::new() }
    }

    pub(super) fn access(&self, id: NodeId) -> Access {
        match self.nodes.get(&id) {
            None | Some(Node { link: Link::Down, .. }) => Access::Unconnected,
            Some(Node { link: Link::Up, in_flight }) if *in_flight < self.max_in_flight => Access::Open,
            Some(_) => Access::Busy,
        }
    }

    /// The driver was asked to connect.
    pub(super) fn dialled(&mut self, id: NodeId) {
        self.nodes.entry(id).or_default().link = Link::Dialling;
    }

    pub(super) fn connected(&mut self, id: NodeId) {
        self.nodes.entry(id).or_default().link = Link::Up;
    }

    pub(super) fn disconnected(&mut self, id: NodeId) {
        self.nodes.entry(id).or_default().link = Link::Down;
    }

    pub(super) fn sent(&mut self, id: NodeId) {
        self.nodes.entry(id).or_default().in_flight += 1;
    }

    pub(super) fn answered(&mut self, id: NodeId) {
        let node = self.nodes.entry(id).or_default();
        node.in_flight = node.in_flight.saturating_sub(1);
    }
}
