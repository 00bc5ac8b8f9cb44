//! A node as its operator sees it: whether it works, what it holds, how far behind it is.
//!
//! Everything but the [survey](Node::survey) is read from what is published, and asks nothing of the driver.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Node;
use crate::driver::inbox::Input;
use crate::ids::{NodeId, RaftGroupId};
use crate::leadership::Leadership;
use crate::metrics::NodeMetrics;
use crate::replica::Replica;
use crate::shard::standing::Standing;
use crate::survey::Survey;

impl Node {
    /// What this node counts.
    #[must_use]
    pub fn metrics(&self) -> &NodeMetrics {
        &self.shared.metrics
    }

    /// Whether the controller has taken the registration that this process sent.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.shared.registered.load(Ordering::Relaxed)
    }

    /// Whether this node's copy of the metadata holds the registration that this process sent, and with it all that was
    /// decided before the process began. Before, topics may be missing in it that have been there for long, as may nodes.
    #[must_use]
    pub fn has_caught_up(&self) -> bool {
        let image = self.image();
        let own = image.broker(self.id());
        own.is_some_and(|broker| broker.incarnation == self.shared.incarnation)
    }

    /// How many nodes the cluster has, registered or not.
    #[must_use]
    pub fn cluster_size(&self) -> usize {
        self.shared.nodes
    }

    /// As [`leadership`](Self::leadership), but this node itself counts only while it serves: what it once told of its
    /// own leadership outlives that until somebody else leads.
    #[must_use]
    pub fn acting_leadership(&self, partition: RaftGroupId) -> Option<Leadership> {
        let serves = || self.replica(partition).is_some_and(|replica| replica.status().leading.is_some());
        self.leadership(partition).filter(|known| known.leader != self.id() || serves())
    }

    /// Whether a majority of the cluster's nodes is reached from here, this one included.
    #[must_use]
    pub fn reaches_majority(&self) -> bool {
        self.shared.published.trusted() > self.shared.nodes / 2
    }

    /// Whether enough of `replicas` are reached from here to elect a leader, this node included where it is one.
    #[must_use]
    pub fn reaches_majority_of(&self, replicas: impl ExactSizeIterator<Item = NodeId>) -> bool {
        let needed = replicas.len() / 2 + 1;
        replicas.filter(|node| self.shared.published.is_trusted(*node)).count() >= needed
    }

    /// Which replicas of this node cannot do their work. Looked at once a second.
    #[must_use]
    pub fn standing(&self) -> Arc<Standing> {
        self.shared.published.standing()
    }

    /// All partitions' replicas on this node.
    #[must_use]
    pub fn replicas(&self) -> Vec<Arc<Replica>> {
        self.shared.published.replicas()
    }

    /// Asks the driver how its groups stand. None if it does not answer within `patience`: it works on something that
    /// takes long, or is gone.
    pub async fn survey(&self, patience: Duration) -> Option<Survey> {
        let (reply, answer) = oneshot::channel();
        self.shared.inbox.push(Input::Survey(reply));
        tokio::time::timeout(patience, answer).await.ok()?.ok()
    }
}
