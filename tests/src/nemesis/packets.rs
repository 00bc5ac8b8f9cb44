//! Packets that are lost, in a network that nodes have to themselves: some of them, all from one node to another, or all to and
//! from a node, whose cable is pulled. TCP sends again and again, and clients suffer with the nodes.

use super::Cut;
use crate::cluster::Cluster;

pub(super) fn cut(cluster: &Cluster, cut: Cut) {
    for (from, to) in cut.links(cluster) {
        cluster.network().drop_packets(from, to);
    }
}

pub(super) fn mend(cluster: &Cluster, cut: Cut) {
    for (from, to) in cut.links(cluster) {
        cluster.network().pass_packets(from, to);
    }
}
