//! The resident memory of each node before an attack, at its peak and afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::waiting::within;

/// What a node may take at most, in bytes.
pub const MOST: u64 = 400_000_000;

/// A node is back at its baseline when it takes no more than this above what it took before, in bytes: allocators keep some.
const BASELINE_SLACK: u64 = 64_000_000;

/// How long a node may take to give back its memory.
const SETTLE_WITHIN: Duration = Duration::from_secs(20);

/// One node's memory, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeMemory {
    /// Before the attack.
    pub before: u64,
    /// The most during the attack. Of a node that was restarted, since its last start.
    pub peak: u64,
    /// Once it has settled, or has had the time for it.
    pub after: u64,
}

/// The memory of all nodes, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// By the node's id.
    pub nodes: BTreeMap<i32, NodeMemory>,
}

impl Memory {
    /// Takes down what the nodes take now, and has the kernel count their peaks anew.
    ///
    /// # Panics
    /// On a system without `/proc`.
    pub fn before(cluster: &Cluster) -> Self {
        let nodes = cluster.started().into_iter().map(|id| {
            let node = cluster.node(id);
            fs::write(format!("/proc/{}/clear_refs", node.pid()), "5").expect("a peak can be reset");
            let before = node.resident_bytes();
            (id, NodeMemory { before, peak: before, after: before })
        });
        Self { nodes: nodes.collect() }
    }

    /// Takes down the peaks.
    pub fn attacked(&mut self, cluster: &Cluster) {
        for (id, memory) in &mut self.nodes {
            if cluster.started().contains(id) {
                memory.peak = memory.peak.max(cluster.node(*id).peak_resident_bytes());
            }
        }
    }

    /// Waits a while for every node to be back at its baseline, and takes down what it takes then.
    pub async fn settle(&mut self, cluster: &Cluster) {
        within(SETTLE_WITHIN, async || {
            for (id, memory) in &mut self.nodes {
                if cluster.started().contains(id) {
                    memory.after = cluster.node(*id).resident_bytes();
                }
            }
            self.is_settled().then_some(())
        })
        .await;
    }

    /// Whether no node ever took more than [`MOST`].
    pub fn is_bounded(&self) -> bool {
        self.nodes.values().all(|memory| memory.peak <= MOST)
    }

    /// Whether every node is back at its baseline.
    pub fn is_settled(&self) -> bool {
        self.nodes.values().all(|memory| memory.after <= memory.before + BASELINE_SLACK)
    }
}
