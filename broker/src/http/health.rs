//! Whether a node is alive, and whether it is ready.
//!
//! **Live** is about this process alone, so that a supervisor restarts it when that may help and not when a neighbour is
//! down: the driver, through which everything goes, began a round within the last [`DRIVER_SILENCE`]. A node that is
//! still starting is alive, and so is one that waits for room on its disk.
//!
//! **Ready** is about what clients get. A node is ready when
//!
//! 1. it has started, is not about to stop, and is alive in the sense above;
//! 2. it serves clients: its copy of the cluster's metadata holds the registration of this process, and no client that
//!    connects is turned away any more;
//! 3. it reaches a majority of the cluster's nodes, itself included, and knows who leads the controller;
//! 4. every partition with a replica here whose replicas are in the majority reached has a leader;
//! 5. none of its own replicas is kept from catching up: none waits to be readmitted after the loss of this node's disk,
//!    and none is [stuck](trilog_cluster::node::Standing), which is to be behind and to get nothing for ten seconds.
//!
//! Partitions without a majority of their replicas do not count: a topic with one replica on a dead node is no reason to
//! keep clients away from those that live. An election shows as a moment of not being ready. A replica that is behind and
//! catches up does not keep a node from being ready: its leader serves clients meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use trilog_cluster::ids::RaftGroupId;
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
        Stage::CatchingUp(node) => Readiness::look_up(node, false).reasons(),
        Stage::Serving(node) => Readiness::look_up(node, true).reasons(),
    }
}

/// What readiness depends on.
#[derive(Clone, Debug)]
struct Readiness {
    driver_silence: Duration,
    reaches_majority: bool,
    controller_known: bool,
    registered: bool,
    /// No client is turned away.
    serving: bool,
    /// Partitions with a replica here, and a majority of their replicas reached, that have no leader.
    leaderless: Vec<String>,
    /// The data directory is new, and other nodes have yet to say whether an older one was lost.
    unrecognized: bool,
    /// Partitions whose replica here waits to be readmitted.
    barred: Vec<String>,
    /// Partitions whose replica here is behind and gets nothing.
    stuck: Vec<String>,
}

/// How many partitions a reason names at most.
const NAMED: usize = 5;

impl Readiness {
    fn look_up(node: &Node, serving: bool) -> Self {
        let image = node.image();
        let leaderless = image.groups_on(node.id()).filter(|view| {
            let replicas = view.partition.replicas.iter().copied();
            node.acting_leadership(view.partition.group).is_none() && node.reaches_majority_of(replicas)
        });
        let standing = node.standing();
        let name = |group: RaftGroupId| image.name_of(group).unwrap_or_else(|| group.to_string());
        let names = |groups: &BTreeSet<RaftGroupId>| groups.iter().copied().map(name).collect();
        Self {
            driver_silence: node.metrics().driver_silence(),
            reaches_majority: node.reaches_majority(),
            controller_known: node.controller().is_some(),
            registered: node.is_registered(),
            serving,
            leaderless: leaderless.map(|view| name(view.partition.group)).collect(),
            unrecognized: standing.is_unrecognized,
            barred: names(&standing.barred),
            stuck: names(&standing.stuck),
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
        if self.unrecognized {
            reasons.push(
                "this node's data directory is new, and not all other nodes have said yet whether an older one was lost"
                    .to_owned(),
            );
        }
        if !self.registered {
            reasons.push("this node is not registered with the controller yet".to_owned());
        } else if !self.serving {
            reasons.push(
                "clients are turned away until this node has caught up with the cluster's metadata"
                    .to_owned(),
            );
        }
        let of_partitions = [
            (self.leaderless, "without a leader"),
            (self.barred, "that wait to be readmitted after the loss of this node's disk"),
            (self.stuck, "that are behind their leaders and have got nothing for ten seconds"),
        ];
        reasons.extend(of_partitions.into_iter().filter_map(|(names, what)| about(&names, what)));
        reasons
    }
}

/// A reason that is about the replicas of some partitions here, if there are any.
fn about(names: &[String], what: &str) -> Option<String> {
    let named = names.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if names.len() > NAMED { ", …" } else { "" };
    (!names.is_empty()).then(|| format!("replicas here {what}: {named}{more} ({} in all)", names.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: Readiness = Readiness {
        driver_silence: Duration::from_millis(50),
        reaches_majority: true,
        controller_known: true,
        registered: true,
        serving: true,
        leaderless: Vec::new(),
        unrecognized: false,
        barred: Vec::new(),
        stuck: Vec::new(),
    };

    #[test]
    fn each_condition_has_its_reason() {
        assert!(READY.reasons().is_empty());
        let names = |count: usize| (0..count).map(|number| format!("t-{number}")).collect::<Vec<_>>();
        for (readiness, says) in [
            (Readiness { driver_silence: Duration::from_secs(11), ..READY }, "stuck for 11 s"),
            (Readiness { reaches_majority: false, ..READY }, "no majority"),
            (Readiness { controller_known: false, ..READY }, "no controller"),
            (Readiness { registered: false, serving: false, ..READY }, "not registered"),
            (Readiness { serving: false, ..READY }, "turned away"),
            (Readiness { unrecognized: true, ..READY }, "is new"),
            (Readiness { leaderless: names(3), ..READY }, "without a leader: t-0, t-1, t-2 (3 in all)"),
            (Readiness { barred: names(1), ..READY }, "wait to be readmitted"),
            (Readiness { stuck: names(6), ..READY }, "ten seconds: t-0, t-1, t-2, t-3, t-4, … (6 in all)"),
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
