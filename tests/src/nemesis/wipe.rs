//! A disk that is lost, and the node's process with it. It comes back under its id with an empty one, and has to be readmitted
//! by both others.
//!
//! A plan has it once: of three disks of which two are lost, nobody has to bring anything back.

use crate::cluster::Cluster;

pub(super) fn strike(cluster: &mut Cluster, node: i32) {
    let lost = cluster.wipe(node);
    // It would take up room on a small disk, and nobody puts it back.
    std::fs::remove_dir_all(lost).expect("what was lost can be removed");
    cluster.settle_disk(node);
}
