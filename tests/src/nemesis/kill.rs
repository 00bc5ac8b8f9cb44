//! SIGKILL: a process is gone, hands nothing over, and its connections are reset. What it had not synced is in the page cache
//! still, unlike after a [power cut](super::power).

use crate::cluster::Cluster;

pub(super) fn strike(cluster: &mut Cluster, nodes: &[i32]) {
    for node in nodes {
        cluster.kill(*node);
    }
}

/// Starts those that do not run.
pub(super) fn heal(cluster: &mut Cluster, nodes: &[i32]) {
    let started = cluster.started();
    for node in nodes.iter().filter(|node| !started.contains(node)) {
        cluster.start_node(*node);
    }
}
