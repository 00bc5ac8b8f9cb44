//! Silence between nodes: nothing passes, no connection breaks, nobody is told. Clients reach every node all the time, which
//! makes it the harder case: a leader that is cut off goes on hearing its clients.

use std::fmt::{self, Display, Formatter};

use super::links_of;
use crate::cluster::Cluster;

/// Which links are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// All of a node, both ways.
    Off(i32),
    /// Those between two nodes, both ways; the third one reaches both.
    Between(i32, i32),
    /// What the first sends to the second.
    OneWay(i32, i32),
    /// All that a node sends: it hears the others and is not heard.
    Mute(i32),
    /// All that is sent to a node: it is heard and hears nobody.
    Deaf(i32),
}

impl Cut {
    pub(super) fn links(self, cluster: &Cluster) -> Vec<(i32, i32)> {
        match self {
            Self::Off(node) => links_of(cluster, node),
            Self::Between(one, other) => vec![(one, other), (other, one)],
            Self::OneWay(from, to) => vec![(from, to)],
            Self::Mute(node) => {
                links_of(cluster, node).into_iter().filter(|(from, _)| *from == node).collect()
            }
            Self::Deaf(node) => links_of(cluster, node).into_iter().filter(|(_, to)| *to == node).collect(),
        }
    }

    pub(super) fn strike(self, cluster: &Cluster) {
        for (from, to) in self.links(cluster) {
            cluster.links().cut(from, to);
        }
    }

    pub(super) fn heal(self, cluster: &Cluster) {
        for (from, to) in self.links(cluster) {
            cluster.links().heal(from, to);
        }
    }
}

impl Display for Cut {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off(node) => write!(f, "node {node} is cut off"),
            Self::Between(one, other) => write!(f, "nodes {one} and {other} are cut off from each other"),
            Self::OneWay(from, to) => write!(f, "node {from} does not reach node {to}"),
            Self::Mute(node) => write!(f, "node {node} reaches nobody"),
            Self::Deaf(node) => write!(f, "nobody reaches node {node}"),
        }
    }
}
