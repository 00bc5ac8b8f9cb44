//! How partitions are: those that this node has a replica of, and those of the whole cluster as this node knows them.
//!
//! In Kafka these are MBeans of the replica manager and of the controller. Here every node knows every partition's leader
//! and in-sync replicas, so that each can tell of the whole cluster, and one of them that still answers is enough.

use trilog_cluster::controller::{MetadataImage, Partition};
use trilog_cluster::node::{Leadership, Node};

use super::families::Families;

/// How many partitions are in which trouble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PartitionCounts {
    /// All that were counted.
    pub(super) partitions: usize,
    /// Those that this node leads.
    pub(super) led: usize,
    /// Those whose leader is none of the living nodes.
    pub(super) leaderless: usize,
    /// Those that have a leader and lack a replica in sync.
    pub(super) under_replicated: usize,
    /// Those that have a leader other than the preferred one.
    pub(super) not_preferred: usize,
}

impl PartitionCounts {
    /// Counts `partition` in, of which this is known; `own` says whether it is this node that leads it.
    pub(super) fn count(&mut self, partition: &Partition, leadership: Option<&Leadership>, own: bool) {
        self.partitions += 1;
        let Some(leadership) = leadership else {
            self.leaderless += 1;
            return;
        };
        self.led += usize::from(own);
        self.under_replicated += usize::from(leadership.isr.len() < partition.replicas.len());
        self.not_preferred += usize::from(partition.replicas.first() != Some(&leadership.leader));
    }
}

/// The whole cluster, and this node's part of it.
pub(super) fn look_up(node: &Node, image: &MetadataImage, families: &mut Families) {
    let (mut cluster, mut local) = (PartitionCounts::default(), PartitionCounts::default());
    for view in image.partitions() {
        let leadership = node.acting_leadership(view.partition.group);
        let own = leadership.as_ref().is_some_and(|known| known.leader == node.id());
        cluster.count(view.partition, leadership.as_ref(), own);
        if view.partition.replicas.contains(&node.id()) {
            local.count(view.partition, leadership.as_ref(), own);
        }
    }
    tell_local(local, families);
    tell_cluster(cluster, families);
    families.count(
        "trilog_cluster_topics",
        "Topics of the cluster, internal ones included.",
        image.topics().len(),
    );
    tell_nodes(node, image, families);
}

fn tell_local(counts: PartitionCounts, families: &mut Families) {
    families.count("trilog_partitions", "Partitions with a replica on this node.", counts.partitions);
    families.count("trilog_partitions_led", "Partitions that this node leads.", counts.led);
    families.count(
        "trilog_partitions_leaderless",
        "Partitions with a replica on this node that have no leader.",
        counts.leaderless,
    );
    families.count(
        "trilog_partitions_under_replicated",
        "Partitions with a replica on this node that lack a replica in sync.",
        counts.under_replicated,
    );
}

fn tell_cluster(counts: PartitionCounts, families: &mut Families) {
    families.count("trilog_cluster_partitions", "Partitions of the cluster.", counts.partitions);
    families.count(
        "trilog_cluster_partitions_leaderless",
        "Partitions of the cluster that have no leader.",
        counts.leaderless,
    );
    families.count(
        "trilog_cluster_partitions_under_replicated",
        "Partitions of the cluster that lack a replica in sync.",
        counts.under_replicated,
    );
    families.count(
        "trilog_cluster_partitions_not_preferred",
        "Partitions of the cluster whose leader is not the preferred one.",
        counts.not_preferred,
    );
}

fn tell_nodes(node: &Node, image: &MetadataImage, families: &mut Families) {
    let live = image.brokers().filter(|broker| node.is_live(broker.node)).count();
    families.count("trilog_cluster_nodes", "Nodes that the cluster consists of.", node.cluster_size());
    families.count("trilog_cluster_nodes_live", "Nodes that clients are told of.", live);
    families.count(
        "trilog_controller_known",
        "1 if this node knows who leads the controller.",
        usize::from(node.controller().is_some()),
    );
}

#[cfg(test)]
mod tests {
    use trilog_cluster::ids::{LeaderEpoch, NodeId, RaftGroupId};

    use super::*;

    #[test]
    fn a_partition_is_counted_by_what_is_wrong_with_it() {
        let nodes: Vec<NodeId> = (1..=3).map(NodeId).collect();
        let partition = Partition { group: RaftGroupId(1), replicas: nodes.clone() };
        let led = |leader, isr: &[NodeId]| Leadership {
            leader: NodeId(leader),
            epoch: LeaderEpoch(1),
            isr: isr.into(),
        };
        let mut counts = PartitionCounts::default();
        counts.count(&partition, Some(&led(1, &nodes)), true);
        counts.count(&partition, Some(&led(2, &nodes[1..])), false);
        counts.count(&partition, None, false);
        let expected =
            PartitionCounts { partitions: 3, led: 1, leaderless: 1, under_replicated: 1, not_preferred: 1 };
        assert_eq!(counts, expected);
    }
}
