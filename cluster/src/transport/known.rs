//! What is known of the peers beyond one connection, so that the log says what is new and no more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::warn;

use super::membership::Members;
use crate::ids::NodeId;

/// See the module's documentation. Shared by all tasks of a transport.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Peers>);

#[derive(Debug, Default)]
struct Peers {
    /// What peers were told of the cluster's nodes, as far as it was logged that it is something else.
    told: BTreeMap<NodeId, Members>,
    /// The peers that have said that they end.
    leaving: BTreeSet<NodeId>,
}

impl Known {
    /// Logs that `peer` was told other addresses than this node, unless that was logged. Returns whether it did.
    pub(super) fn compare(&self, ours: &Members, peer: NodeId, theirs: Members) -> bool {
        let differing = ours.with_other_address(&theirs);
        let told = &mut self.lock().told;
        if differing.is_empty() {
            told.remove(&peer);
            return false;
        }
        if told.get(&peer) == Some(&theirs) {
            return false;
        }
        let nodes: Vec<u32> = differing.iter().map(|node| node.0).collect();
        warn!(
            %peer, ?nodes, here = %ours, there = %theirs,
            "this node and the peer were given different addresses of these nodes: every node is given the same --peers, \
             unless it reaches the others another way; correct the one that is wrong"
        );
        told.insert(peer, theirs);
        true
    }

    /// The peer says that it ends, as it does with each heartbeat once it was asked to. Nothing takes that back.
    pub(super) fn leaves(&self, peer: NodeId) {
        self.lock().leaving.insert(peer);
    }

    /// Whether the peer's last process has said that it ends: its absence is no surprise.
    pub(super) fn has_left(&self, peer: NodeId) -> bool {
        self.lock().leaving.contains(&peer)
    }

    /// The peer has connected, perhaps as another process.
    pub(super) fn connected(&self, peer: NodeId) {
        self.lock().leaving.remove(&peer);
    }

    /// No code panics while it holds the lock, so a poisoned one guards nothing that is broken.
    fn lock(&self) -> MutexGuard<'_, Peers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: NodeId = NodeId(2);

    #[test]
    fn a_difference_is_logged_once_until_it_changes() {
        let members = |text: &str| Members::decode(text.as_bytes()).unwrap();
        let (known, ours) = (Known::default(), members("1@a:1,2@b:1"));
        assert!(known.compare(&ours, TWO, members("1@x:1,2@b:1")));
        assert!(!known.compare(&ours, TWO, members("1@x:1,2@b:1")));
        assert!(known.compare(&ours, TWO, members("1@y:1,2@b:1")));
        assert!(!known.compare(&ours, TWO, ours.clone()));
        assert!(known.compare(&ours, TWO, members("1@y:1,2@b:1")), "it came back");
    }

    #[test]
    fn a_farewell_stands_until_the_peer_is_back() {
        let known = Known::default();
        assert!(!known.has_left(TWO));
        known.leaves(TWO);
        assert!(known.has_left(TWO) && !known.has_left(NodeId(1)));
        known.connected(TWO);
        assert!(!known.has_left(TWO));
    }
}
