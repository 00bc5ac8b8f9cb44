//! Disks that fill up: somebody else takes all that is left, or so much that a node has to think of its reserve.
//!
//! A node with no room at all cannot write what it has promised to write, and waits; one whose reserve is touched takes no
//! records in and leaves the leading to others. Both go on by themselves when there is room.

use crate::cluster::Cluster;

/// What a node keeps free of its disk here, in mebibytes (`--min-free-space`).
pub(crate) const RESERVE: u64 = 40;

/// How large each disk is, in mebibytes: enough for a round's records and the reserve.
pub(crate) const DISK: u64 = 320;

/// The file that takes the room away.
const BALLAST: &str = "ballast";

/// How much is left of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Not a byte.
    Nothing,
    /// Less than the reserve, and enough for what a cluster writes of itself.
    HalfTheReserve,
}

impl Left {
    pub(super) fn strike(self, cluster: &Cluster, node: i32) {
        let disk = cluster.small_disk(node);
        match self {
            Self::Nothing => disk.fill(BALLAST),
            Self::HalfTheReserve => disk.take_all_but(BALLAST, RESERVE / 2),
        }
    }
}

pub(super) fn heal(cluster: &Cluster, node: i32) {
    cluster.small_disk(node).give_back(BALLAST);
}
