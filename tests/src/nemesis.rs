//! What happens to nodes: one fault a file, each with how it strikes and how it is healed.
//!
//! | fault | file |
//! | --- | --- |
//! | SIGKILL of a node, and of all at once | [`kill`] |
//! | SIGTERM | [`terminate`] |
//! | SIGSTOP | [`pause`] |
//! | nodes cut off from each other, one way or both | [`cut`] |
//! | connections that break again and again | [`resets`] |
//! | slow links | [`slow`] |
//! | a wall clock that jumps | [`clock`] |
//! | a full disk | [`full`] |
//! | a disk that is lost | [`wipe`] |
//! | a power cut | [`power`] |
//! | a disk that is slow, hangs or fails | [`device`] |
//! | packets that are lost, a cable that is pulled | [`packets`] |
//!
//! Faults of different [families](Family) may overlap, those of one do not: a node that is killed cannot be paused. What
//! happens when, [`plan`] decides from a seed.

mod clock;
mod cut;
mod device;
mod full;
mod kill;
mod packets;
mod pause;
pub mod plan;
mod power;
mod resets;
mod slow;
mod terminate;
mod wipe;

use std::fmt::{self, Display, Formatter};

use clap::ValueEnum;

use crate::cluster::Cluster;
use crate::faulty_disk::{Part, Trouble};

pub use cut::Cut;
pub use full::Left;
pub(crate) use full::{DISK, RESERVE};
pub use power::PowerCut;

/// A fault, and whom it strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL; healed by a start.
    Kill(i32),
    /// SIGKILL of all nodes at once; healed by starting them all.
    KillAll,
    /// SIGTERM; healed by a start.
    Terminate(i32),
    /// SIGSTOP; healed by SIGCONT.
    Pause(i32),
    /// SIGKILL, and the disk is empty when it is healed by a start. At most once in a plan.
    Wipe(i32),
    /// Silence between nodes.
    Cut(Cut),
    /// All links of a node are reset again and again.
    Resets(i32),
    /// All links of a node are slow.
    Slow {
        /// Which one.
        node: i32,
        /// How long each byte is on its way, in ms.
        delay_ms: u64,
        /// How much passes in a second.
        bytes_per_second: u64,
    },
    /// The wall clock of a node jumps by so many seconds, and back.
    Clock {
        /// Which one.
        node: i32,
        /// How far, backwards if negative.
        seconds: i64,
    },
    /// A node's disk fills up.
    Full {
        /// Whose.
        node: i32,
        /// How far.
        left: Left,
    },
    /// The power of nodes is cut; healed by starting them.
    Power(PowerCut),
    /// A node's disk is slow, hangs or fails.
    Device {
        /// Whose.
        node: i32,
        /// With which of its files.
        part: Part,
        /// What is wrong with it.
        trouble: Trouble,
    },
    /// Packets between nodes are dropped.
    Drop(Cut),
    /// Some packets to a node are dropped, whoever sent them.
    Lossy {
        /// Which one.
        node: i32,
        /// How many of a hundred.
        percent: u8,
    },
    /// A node's cable is pulled: nobody reaches it, clients neither.
    Unplug(i32),
}

/// What faults have in common that cannot overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub enum Family {
    /// What happens to processes.
    Processes,
    /// What happens to links. Not together with a network of its own.
    Links,
    /// What happens to clocks.
    Clocks,
    /// Disks that fill up.
    Disks,
    /// Power cuts. They and devices not together with disks that fill up.
    Power,
    /// What else happens to disks, but for their loss.
    Devices,
    /// What happens to packets. Not together with links.
    Network,
}

impl Fault {
    /// The family it belongs to.
    pub fn family(&self) -> Family {
        match self {
            Self::Kill(_) | Self::KillAll | Self::Terminate(_) | Self::Pause(_) | Self::Wipe(_) => {
                Family::Processes
            }
            Self::Cut(_) | Self::Resets(_) | Self::Slow { .. } => Family::Links,
            Self::Clock { .. } => Family::Clocks,
            Self::Full { .. } => Family::Disks,
            Self::Power(_) => Family::Power,
            Self::Device { .. } => Family::Devices,
            Self::Drop(_) | Self::Lossy { .. } | Self::Unplug(_) => Family::Network,
        }
    }

    /// Makes of a lost disk a mere SIGKILL.
    fn spare_the_disk(&mut self) {
        if let Self::Wipe(node) = *self {
            *self = Self::Kill(node);
        }
    }

    /// Strikes.
    pub async fn strike(&self, cluster: &mut Cluster) {
        match self {
            Self::Kill(node) => kill::strike(cluster, &[*node]),
            Self::KillAll => kill::strike(cluster, &cluster.ids()),
            Self::Terminate(node) => terminate::strike(cluster, *node).await,
            Self::Pause(node) => pause::strike(cluster, *node),
            Self::Wipe(node) => wipe::strike(cluster, *node),
            Self::Cut(cut) => cut.strike(cluster),
            Self::Resets(node) => resets::strike(cluster, *node),
            Self::Slow { node, delay_ms, bytes_per_second } => {
                slow::strike(cluster, *node, *delay_ms, *bytes_per_second);
            }
            Self::Clock { node, seconds } => clock::strike(cluster, *node, *seconds),
            Self::Full { node, left } => left.strike(cluster, *node),
            Self::Power(cut) => cut.strike(cluster).await,
            Self::Device { node, part, trouble } => device::strike(cluster, *node, *part, *trouble),
            Self::Drop(cut) => packets::cut(cluster, *cut),
            Self::Lossy { node, percent } => cluster.network().lose(*node, *percent),
            Self::Unplug(node) => cluster.network().unplug(*node),
        }
    }

    /// Heals what it did.
    pub async fn heal(&self, cluster: &mut Cluster) {
        match self {
            Self::Kill(node) | Self::Terminate(node) | Self::Wipe(node) => kill::heal(cluster, &[*node]),
            Self::KillAll => kill::heal(cluster, &cluster.ids()),
            Self::Pause(node) => pause::heal(cluster, *node),
            Self::Cut(cut) => cut.heal(cluster),
            Self::Resets(node) | Self::Slow { node, .. } => slow::heal(cluster, *node),
            Self::Clock { node, .. } => clock::heal(cluster, *node),
            Self::Full { node, .. } => full::heal(cluster, *node),
            Self::Power(cut) => kill::heal(cluster, &cut.nodes),
            Self::Device { node, trouble, .. } => device::heal(cluster, *node, *trouble).await,
            Self::Drop(cut) => packets::mend(cluster, *cut),
            Self::Lossy { node, percent } => cluster.network().lose_no_more(*node, *percent),
            Self::Unplug(node) => cluster.network().plug(*node),
        }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(node) => write!(f, "SIGKILL of node {node}"),
            Self::KillAll => write!(f, "SIGKILL of all nodes"),
            Self::Terminate(node) => write!(f, "SIGTERM of node {node}"),
            Self::Pause(node) => write!(f, "SIGSTOP of node {node}"),
            Self::Wipe(node) => write!(f, "SIGKILL of node {node}, whose disk is lost"),
            Self::Cut(cut) => write!(f, "{cut}"),
            Self::Resets(node) => write!(f, "links of node {node} are reset again and again"),
            Self::Slow { node, delay_ms, bytes_per_second } => {
                write!(f, "links of node {node} take {delay_ms} ms and {bytes_per_second} bytes a second")
            }
            Self::Clock { node, seconds } => write!(f, "wall clock of node {node} jumps by {seconds} s"),
            Self::Full { node, left: Left::Nothing } => write!(f, "disk of node {node} is full"),
            Self::Full { node, left: Left::HalfTheReserve } => {
                write!(f, "disk of node {node} is nearly full")
            }
            Self::Power(cut) => write!(f, "{cut}"),
            Self::Device { node, part, trouble } => write!(f, "disk of node {node}: {part} {trouble}"),
            Self::Drop(cut) => write!(f, "{cut}: packets are dropped"),
            Self::Lossy { node, percent } => write!(f, "{percent} % of the packets to node {node} are lost"),
            Self::Unplug(node) => write!(f, "cable of node {node} is pulled"),
        }
    }
}

/// Both directions of each pair that a node is part of.
fn links_of(cluster: &Cluster, node: i32) -> Vec<(i32, i32)> {
    let others = cluster.ids().into_iter().filter(|other| *other != node);
    others.flat_map(|other| [(node, other), (other, node)]).collect()
}
