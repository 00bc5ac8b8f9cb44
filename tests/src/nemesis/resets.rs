//! Connections between nodes break: once each time this strikes, so that a plan has it strike again and again. What was on its
//! way may be lost or not; frames of several connections of a pair may even pass each other.

use super::links_of;
use crate::cluster::Cluster;

pub(super) fn strike(cluster: &Cluster, node: i32) {
    for (from, to) in links_of(cluster, node) {
        cluster.links().cut_reset(from, to);
    }
}
