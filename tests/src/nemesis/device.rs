//! Disks that are slow, that hang, or that fail, in all files or in one.
//!
//! A node whose disk hangs keeps its process and its connections, and has to leave leading to others. One whose disk fails has
//! to end: it cannot know what is on its disk. It is started again when the disk is well and its machine was, too: the kernel takes
//! what a failed sync did not write for written, and shows it to every process until then.

use super::kill;
use crate::cluster::Cluster;
use crate::faulty_disk::{Part, Trouble};
use crate::waiting::wait_until;

pub(super) fn strike(cluster: &Cluster, node: i32, part: Part, trouble: Trouble) {
    let disk = cluster.faulty_disk(node);
    disk.has_failed();
    disk.trouble(part, trouble);
}

pub(super) async fn heal(cluster: &mut Cluster, node: i32, trouble: Trouble) {
    let disk = cluster.faulty_disk(node);
    disk.heal();
    if trouble == Trouble::Fail && disk.has_failed() && cluster.started().contains(&node) {
        let what = format!("node {node} ends, as a write of its failed");
        wait_until(&what, async || cluster.node(node).has_died().then_some(())).await;
        cluster.cut_power(&[node], 0);
        kill::heal(cluster, &[node]);
    }
}
