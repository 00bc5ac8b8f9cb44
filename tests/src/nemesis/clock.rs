//! A wall clock that jumps, as it does when somebody sets it, or NTP finds out. Timeouts and elections go by the monotonic clock
//! and must not notice; record timestamps and the age of committed offsets go by this one.

use crate::cluster::Cluster;

pub(super) fn strike(cluster: &Cluster, node: i32, seconds: i64) {
    cluster.node(node).set_clock(seconds);
}

pub(super) fn heal(cluster: &Cluster, node: i32) {
    cluster.node(node).set_clock(0);
}
