//! Slow links: every byte is late, and few of them pass. Heartbeats come behind bulk, answers after their time.

use std::time::Duration;

use super::links_of;
use crate::cluster::Cluster;

pub(super) fn strike(cluster: &Cluster, node: i32, delay_ms: u64, bytes_per_second: u64) {
    for (from, to) in links_of(cluster, node) {
        cluster.links().delay(from, to, Duration::from_millis(delay_ms));
        cluster.links().rate(from, to, Some(bytes_per_second));
    }
}

/// All links of a node are well again.
pub(super) fn heal(cluster: &Cluster, node: i32) {
    for (from, to) in links_of(cluster, node) {
        cluster.links().heal(from, to);
    }
}
