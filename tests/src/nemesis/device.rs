//! Disks that are slow, that hang, or that fail, in all files or in one.
//!
//! A node whose disk hangs keeps its process and its connections, and has to leave leading to others. One whose disk fails has
//! to end: it cannot know what is on its disk. It is started again when the disk is well and its machine was, too: the kernel takes
//! what a failed sync did not write for written, and shows it to every process until then.

use std::time::Duration;

use super::kill;
use crate::cluster::Cluster;
use crate::faulty_disk::{Part, Trouble};
use crate::waiting::{wait_until, within};

/// A node that is at work syncs far more often.
const SYNCS_WITHIN: Duration = Duration::from_secs(5);

pub(super) fn strike(cluster: &Cluster, node: i32, part: Part, trouble: Trouble) {
    let disk = cluster.faulty_disk(node);
    disk.has_failed();
    disk.trouble(part, trouble);
}

pub(super) async fn heal(cluster: &mut Cluster, node: i32, trouble: Trouble) {
    let disk = cluster.faulty_disk(node);
    disk.heal();
    if trouble == Trouble::Fail && disk.has_failed() && cluster.started().contains(&node) {
        let has_died = async || cluster.node(node).has_died().then_some(());
        // A node that was started meanwhile may have met no failure. One without a majority may have nothing to sync: the failure that
        // sled's own thread has met is still to be reported to the node.
        let is_to_end = disk.has_reported_failure();
        if is_to_end && within(SYNCS_WITHIN, has_died).await.is_none() && !disk.has_unreported_failure() {
            wait_until(&format!("node {node} ends, as a write of its failed"), has_died).await;
        }
        cluster.cut_power(&[node], 0);
        kill::heal(cluster, &[node]);
    }
}
