//! Which nodes form the cluster and where they are reached, as each node was told by `--peers`.
//!
//! Nodes that were told of different nodes must not form Raft groups together: each would count another majority. They
//! refuse each other. Nodes that were told different addresses of one node may be right, as where a node is reached may
//! depend on where one is. They go on, and each logs once what the other was told: the wrong address shows elsewhere
//! only as a peer that cannot be reached.

use std::collections::BTreeMap;
use std::fmt;

use crate::ids::NodeId;

/// The most bytes that a list of the cluster's nodes has as text: five hundred nodes, or fifty with the longest names.
pub const MAX_MEMBERS_LEN: usize = 16 << 10;

/// Every node of a cluster with its address, which is empty where it is not known. Empty as a whole if nothing was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Members(BTreeMap<NodeId, String>);

impl Members {
    /// # Panics
    ///
    /// If the text of it is longer than [`MAX_MEMBERS_LEN`].
    pub(super) fn new(addresses: BTreeMap<NodeId, String>) -> Self {
        let members = Self(addresses);
        assert!(
            members.to_string().len() <= MAX_MEMBERS_LEN,
            "the text of --peers has at most {MAX_MEMBERS_LEN} bytes"
        );
        members
    }

    pub(super) fn contains(&self, node: NodeId) -> bool {
        self.0.contains_key(&node)
    }

    /// Whether both name the same nodes.
    pub(super) fn has_nodes_of(&self, other: &Self) -> bool {
        self.0.keys().eq(other.0.keys())
    }

    /// The nodes of which both know an address, and not the same.
    pub(super) fn with_other_address(&self, other: &Self) -> Vec<NodeId> {
        let differs = |(node, address): (&NodeId, &String)| {
            let told = other.0.get(node).filter(|told| !told.is_empty() && !address.is_empty())?;
            (told != address).then_some(*node)
        };
        self.0.iter().filter_map(differs).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The list that this text is, or none.
    pub(super) fn decode(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        if text.is_empty() {
            return Some(Self::default());
        }
        let entry = |entry: &str| {
            let (node, address) = entry.split_once('@')?;
            // It goes into the log.
            let printable = address.chars().all(|c| c.is_ascii_graphic());
            Some((NodeId::of_number(node.parse().ok()?)?, address.to_owned())).filter(|_| printable)
        };
        text.split(',').map(entry).collect::<Option<_>>().map(Self)
    }
}

/// As `--peers` writes it.
impl fmt::Display for Members {
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

    fn members(text: &str) -> Members {
        Members::decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn only_addresses_that_both_know_differ() {
        let ours = members("1@a:1,2@b:1,3@");
        assert!(ours.has_nodes_of(&members("1@x:1,2@y:1,3@z:1")));
        assert!(!ours.has_nodes_of(&members("1@a:1,2@b:1")));
        assert_eq!(ours.with_other_address(&members("1@a:1,2@x:1,3@z:1")), [NodeId(2)]);
        assert_eq!(ours.with_other_address(&members("1@,2@b:1,4@z:1")), []);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_list_or_not(text in "[0-9@:,a-c ]{0,40}") {
            if let Some(members) = Members::decode(text.as_bytes()) {
                prop_assert_eq!(Members::decode(members.to_string().as_bytes()), Some(members));
            }
        }
    }
}
