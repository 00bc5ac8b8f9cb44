//! The members of the cluster and where each listens for the others: `1@host:port,2@host:port,…`.
//!
//! The notation is that of Kafka's `controller.quorum.voters`. Every node is given the same text, so it names the node
//! itself too.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use trilog_cluster::ids::NodeId;
use trilog_cluster::transport::MAX_MEMBERS_LEN;

use super::host_port::{HostPort, HostPortError};

/// The greatest number of a node: Kafka's broker ids are signed 32-bit numbers.
const MAX_NODE_ID: i32 = i32::MAX;

/// The value of `--peers`: at least one node, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peers(pub(crate) BTreeMap<NodeId, HostPort>);

/// Why a text does not name the cluster's nodes.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum PeersError {
    /// An entry lacks its node id.
    #[error("{0:?} is not ID@host:port, such as 1@localhost:10092")]
    Shape(String),
    /// A node id is out of range.
    #[error("node id {0:?} is not a number from 0 to {MAX_NODE_ID}")]
    NodeId(String),
    /// The address of a node is wrong.
    #[error("node {node}: {error}")]
    Address {
        /// The node.
        node: NodeId,
        /// What is wrong with its address.
        error: HostPortError,
    },
    /// A wildcard cannot be connected to.
    #[error("node {0}: every address is nothing that other nodes can connect to; name one")]
    Wildcard(NodeId),
    /// Two entries name one node.
    #[error("node {0} is named twice")]
    NodeTwice(NodeId),
    /// Nodes tell each other the text.
    #[error("the text is longer than {MAX_MEMBERS_LEN} bytes")]
    TooLong,
    /// Two nodes share one address.
    #[error("nodes {0} and {1} share the address {2}")]
    AddressTwice(NodeId, NodeId, HostPort),
}

/// A node by its number.
///
/// # Errors
///
/// [`PeersError::NodeId`].
pub(super) fn node_id(text: &str) -> Result<NodeId, PeersError> {
    let number = text.parse().ok().and_then(NodeId::of_number);
    number.ok_or_else(|| PeersError::NodeId(text.to_owned()))
}

impl FromStr for Peers {
    type Err = PeersError;

    fn from_str(text: &str) -> Result<Self, PeersError> {
        if text.len() > MAX_MEMBERS_LEN {
            return Err(PeersError::TooLong);
        }
        let mut nodes: BTreeMap<NodeId, HostPort> = BTreeMap::new();
        for entry in text.split(',') {
            let (id, address) = entry.split_once('@').ok_or_else(|| PeersError::Shape(entry.to_owned()))?;
            let node = node_id(id)?;
            let address: HostPort = address.parse().map_err(|error| PeersError::Address { node, error })?;
            if address.is_wildcard() {
                return Err(PeersError::Wildcard(node));
            }
            if let Some((other, _)) =
                nodes.iter().find(|(other, known)| **other != node && **known == address)
            {
                return Err(PeersError::AddressTwice(*other, node, address));
            }
            if nodes.insert(node, address).is_some() {
                return Err(PeersError::NodeTwice(node));
            }
        }
        assert!(!nodes.is_empty(), "splitting a text yields at least one piece");
        Ok(Self(nodes))
    }
}

impl fmt::Display for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (node, address)) in self.0.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{node}@{address}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nodes_come_with_their_addresses() {
        let peers: Peers = "2@b:10093,1@[::1]:10092".parse().unwrap();
        assert_eq!(peers.to_string(), "1@[::1]:10092,2@b:10093");
        assert_eq!(peers.0[&NodeId(2)].host, "b");
    }

    #[test]
    fn nodes_may_be_counted_from_0() {
        let peers: Peers = "0@a:1,1@b:1".parse().unwrap();
        assert_eq!(peers.0.keys().filter_map(|node| node.number()).collect::<Vec<_>>(), [1, 0]);
    }

    #[test]
    fn wrong_lists_are_refused() {
        let refused = |text: &str| text.parse::<Peers>().unwrap_err();
        assert!(matches!(refused(""), PeersError::Shape(_)));
        assert!(matches!(refused("1@a:1,"), PeersError::Shape(_)));
        assert!(matches!(refused("-1@a:1"), PeersError::NodeId(_)));
        assert!(matches!(refused("2147483648@a:1"), PeersError::NodeId(_)));
        assert!(matches!(refused("one@a:1"), PeersError::NodeId(_)));
        assert!(matches!(refused("1@a"), PeersError::Address { .. }));
        assert!(matches!(refused("1@0.0.0.0:1"), PeersError::Wildcard(_)));
        assert!(matches!(refused("1@a:1,1@b:1"), PeersError::NodeTwice(_)));
        assert!(matches!(refused("1@a:1,2@a:1"), PeersError::AddressTwice(..)));
        assert!(matches!(refused(&"1@a:1,".repeat(4000)), PeersError::TooLong));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[0-9@:,.a-c\\[\\]]{0,50}") {
            if let Ok(peers) = text.parse::<Peers>() {
                prop_assert_eq!(peers.to_string().parse::<Peers>().unwrap(), peers);
            }
        }
    }
}
