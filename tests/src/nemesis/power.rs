//! A power cut: nodes are gone at one moment, and their disks hold what was synced, and a part of the rest.
//!
//! Unlike a kill it takes what was in the page cache. A node that was killed shortly before reads that page cache when it starts,
//! and may take for durable what is not: hence a start between a kill and the cut.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use tokio::time::sleep;

use crate::cluster::Cluster;
use crate::faulty_disk::{Part, Trouble};

/// Whose power is cut, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PowerCut {
    /// Whose.
    pub nodes: Vec<i32>,
    /// How long the nodes run that are killed and started again before the cut; `None` if they are not.
    pub restarted_before: Option<Duration>,
    /// How long their syncs take up to the cut, so that it falls into one.
    pub sync_takes: Duration,
    /// Decides what survives.
    pub seed: u64,
}

/// How long syncs are slow before the cut.
const SLOW_BEFORE: Duration = Duration::from_millis(30);

impl PowerCut {
    pub(super) async fn strike(&self, cluster: &mut Cluster) {
        if let Some(runs) = self.restarted_before {
            for node in &self.nodes {
                cluster.kill(*node);
                cluster.start_node(*node);
            }
            sleep(runs).await;
        }
        let quiet = self.nodes.iter().filter(|node| !cluster.has_disk_trouble(**node)).copied();
        let quiet = quiet.collect::<Vec<_>>();
        if !self.sync_takes.is_zero() {
            for node in &quiet {
                cluster.faulty_disk(*node).trouble(Part::All, Trouble::Slow(self.sync_takes));
            }
            sleep(SLOW_BEFORE).await;
        }
        cluster.cut_power(&self.nodes, self.seed);
        quiet.iter().for_each(|node| cluster.faulty_disk(*node).heal());
    }
}

impl Display for PowerCut {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "power cut of nodes {:?}", self.nodes)?;
        if let Some(runs) = self.restarted_before {
            write!(f, ", {} ms after they were killed and started", runs.as_millis())?;
        }
        if !self.sync_takes.is_zero() {
            write!(f, ", while syncs take {} ms", self.sync_takes.as_millis())?;
        }
        write!(f, " (seed {})", self.seed)
    }
}
