//! Whether a node is alive, and whether it is ready.
//!
//! **Live** is about this process alone, so that a supervisor restarts it when that may help and not when a neighbour is
//! down: the driver, through which everything goes, began a round within the last [`DRIVER_SILENCE`]. A node that is
//! still starting is alive, and so is one that waits for room on its disk.
//!
//! **Ready** is about what clients get. A node is ready when
//!
//! 1. it has started, is not about to stop, and is alive in the sense above;
//! 2. it reaches a majority of the cluster's nodes, itself included;
//! 3. it knows who leads the controller, and the controller has taken its registration;
//! 4. every partition with a replica here whose replicas are in the majority reached has a leader.
//!
//! Partitions without a majority of their replicas do not count: a topic with one replica on a dead node is no reason to
//! keep clients away from those that live. An election shows as a moment of not being ready.

use std::time::Duration;

use trilog_cluster::node::Node;

use super::lifecycle::{Lifecycle, Stage};

/// A driver that is silent for longer is stuck. It begins a round every 50 ms; a disk that is slow to take a batch may
/// hold it up for a second or two.
const DRIVER_SILENCE: Duration = Duration::from_secs(10);

/// Why a node is not alive; none if it is.
pub(super) fn not_live(lifecycle: &Lifecycle) -> Option<String> {
    lifecycle.node().and_then(|node| stuck(node.metrics().driver_silence()))
}

fn stuck(silence: Duration) -> Option<String> {
    (silence > DRIVER_SILENCE).then(|| format!("the driver has been stuck for {} s", silence.as_secs()))
}

/// Why a node is not ready, one reason after the other; none if it is.
pub(super) fn not_ready(lifecycle: &Lifecycle) -> Vec<String> {
    match lifecycle.stage() {
        Stage::WaitingForRoom => vec!["the disk is full, and the node waits for room to start".to_owned()],
        Stage::Starting => vec!["the node is starting".to_owned()],
        Stage::Stopping => vec!["the node is stopping".to_owned()],
        Stage::Running(node) => Readiness::look_up(node).reasons(),
    }
}

/// What readiness depends on.
#[derive(Clone, Copy, Debug)]
struct Readiness {
    driver_silence: Duration,
    reaches_majority: bool,
    controller_known: bool,
    registered: bool,
    /// Partitions with a replica here, and a majority of their replicas reached, that have no leader.
    leaderless: usize,
}

impl Readiness {
    fn look_up(node: &Node) -> Self {
        let image = node.image();
        let leaderless = image.groups_on(node.id()).filter(|view| {
            let replicas = view.partition.replicas.iter().copied();
            node.acting_leadership(view.partition.group).is_none() && node.reaches_majority_of(replicas)
        });
        Self {
            driver_silence: node.metrics().driver_silence(),
            reaches_majority: node.reaches_majority(),
            controller_known: node.controller().is_some(),
            registered: node.is_registered(),
            leaderless: leaderless.count(),
        }
    }

    fn reasons(self) -> Vec<String> {
        let mut reasons: Vec<String> = stuck(self.driver_silence).into_iter().collect();
        if !self.reaches_majority {
            reasons.push("this node reaches no majority of the cluster's nodes (--peers)".to_owned());
        }
        if !self.controller_known {
            reasons.push("no controller is known".to_owned());
        }
        if !self.registered {
            reasons.push("this node is not registered with the controller yet".to_owned());
        }
        if self.leaderless > 0 {
            reasons.push(format!("{} partitions with a replica here have no leader", self.leaderless));
        }
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: Readiness = Readiness {
        driver_silence: Duration::from_millis(50),
        reaches_majority: true,
        controller_known: true,
        registered: true,
        leaderless: 0,
    };

    #[test]
    fn each_condition_has_its_reason() {
        assert!(READY.reasons().is_empty());
        for (readiness, says) in [
            (Readiness { driver_silence: Duration::from_secs(11), ..READY }, "stuck for 11 s"),
            (Readiness { reaches_majority: false, ..READY }, "no majority"),
            (Readiness { controller_known: false, ..READY }, "no controller"),
            (Readiness { registered: false, ..READY }, "not registered"),
            (Readiness { leaderless: 3, ..READY }, "3 partitions"),
        ] {
            let reasons = readiness.reasons();
            assert!(reasons.len() == 1 && reasons[0].contains(says), "{reasons:?}");
        }
    }

    #[test]
    fn a_node_that_is_starting_is_alive_and_not_ready() {
        let lifecycle = Lifecycle::default();
        assert_eq!(not_live(&lifecycle), None);
        assert_eq!(not_ready(&lifecycle), ["the node is starting"]);
        lifecycle.waits_for_room(true);
        assert_eq!(not_live(&lifecycle), None);
        assert!(not_ready(&lifecycle)[0].contains("disk is full"));
    }
}
