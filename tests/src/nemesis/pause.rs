//! SIGSTOP: a process stands still with all its connections, as one does whose machine is swapping or migrating. It wakes up in
//! a world that may have moved on, believing what it believed before.

use crate::cluster::Cluster;

pub(super) fn strike(cluster: &Cluster, node: i32) {
    if cluster.started().contains(&node) {
        cluster.pause(node);
    }
}

pub(super) fn heal(cluster: &Cluster, node: i32) {
    if cluster.started().contains(&node) {
        cluster.resume(node);
    }
}
