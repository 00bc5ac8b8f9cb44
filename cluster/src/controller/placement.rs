//! Which nodes a new partition's replicas go to.
//!
//! Three things are spread, in this order, each first within the topic and then over the cluster, because a client
//! uses a topic and not the cluster:
//!
//! * **Leaders.** The first replica is the preferred leader; it goes to the live node that leads the fewest.
//! * **Successors.** The second replica takes over when the leader dies. For each leader the successors rotate over
//!   the other nodes, so that what a dead node led is spread over all that remain, instead of doubling one node's
//!   load.
//! * **Replicas.** The rest goes where there are fewest.
//!
//! What is still even is settled by the distance from the leader, counting upwards through the node ids, so that
//! equal clusters choose equally. Nodes that are down get a replica only when there are not enough others, and never
//! the first. Racks are not considered.

use std::collections::{BTreeMap, BTreeSet};

use super::image::MetadataImage;
use super::topic::Partition;
use crate::ids::NodeId;

/// Chooses replicas while one request is decided, remembering what it chose.
pub(super) struct Placer {
    /// The registered nodes by id. Everything below speaks of positions in here.
    nodes: Vec<NodeId>,
    alive: Vec<bool>,
    cluster: Load,
}

/// What the nodes carry already.
struct Load {
    /// Partitions with the node as their first replica.
    leaders: Vec<usize>,
    /// Partitions with the one node as their first and the other as their second replica.
    successors: Vec<Vec<usize>>,
    /// Replicas on the node.
    replicas: Vec<usize>,
}

impl Load {
    fn new(nodes: usize) -> Self {
        Self { leaders: vec![0; nodes], successors: vec![vec![0; nodes]; nodes], replicas: vec![0; nodes] }
    }

    fn add(&mut self, replicas: &[usize]) {
        if let [leader, ..] = *replicas {
            self.leaders[leader] += 1;
        }
        if let [leader, successor, ..] = *replicas {
            self.successors[leader][successor] += 1;
        }
        for &replica in replicas {
            self.replicas[replica] += 1;
        }
    }
}

impl Placer {
    /// A placer for the nodes and partitions of `image`, of which `alive` are up.
    pub(super) fn new(image: &MetadataImage, alive: &BTreeSet<NodeId>) -> Self {
        let nodes: Vec<_> = image.brokers().map(|broker| broker.node).collect();
        let alive = nodes.iter().map(|node| alive.contains(node)).collect();
        let mut placer = Self { cluster: Load::new(nodes.len()), nodes, alive };
        let positions = placer.positions();
        for view in image.partitions() {
            placer.cluster.add(&at(&positions, &view.partition.replicas));
        }
        placer
    }

    /// How many nodes there are.
    pub(super) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// How many of them are up.
    pub(super) fn alive(&self) -> usize {
        self.alive.iter().filter(|alive| **alive).count()
    }

    /// Chooses the replicas of `count` partitions more for a topic that has `existing` ones: `factor` different
    /// nodes for each.
    ///
    /// # Panics
    ///
    /// If there are fewer nodes than `factor`, or none is alive: the request has to be refused then.
    pub(super) fn place(&mut self, existing: &[Partition], count: usize, factor: usize) -> Vec<Vec<NodeId>> {
        assert!((1..=self.nodes()).contains(&factor), "there are enough nodes for the replicas");
        assert!(self.alive() > 0, "there is a node to lead");
        let positions = self.positions();
        let mut topic = Load::new(self.nodes());
        for partition in existing {
            topic.add(&at(&positions, &partition.replicas));
        }
        let mut placed = Vec::with_capacity(count);
        for _ in 0..count {
            let chosen = self.choose(&topic, factor);
            topic.add(&chosen);
            self.cluster.add(&chosen);
            placed.push(chosen.into_iter().map(|position| self.nodes[position]).collect());
        }
        placed
    }

    /// Takes into account replicas that somebody else chose.
    pub(super) fn placed(&mut self, replicas: &[NodeId]) {
        let positions = self.positions();
        self.cluster.add(&at(&positions, replicas));
    }

    fn choose(&self, topic: &Load, factor: usize) -> Vec<usize> {
        let nodes = 0..self.nodes.len();
        let leader = nodes
            .clone()
            .filter(|&node| self.alive[node])
            .min_by_key(|&node| (topic.leaders[node], self.cluster.leaders[node]));
        let mut chosen: Vec<usize> = leader.into_iter().collect();
        while chosen.len() < factor {
            let free = nodes.clone().filter(|node| !chosen.contains(node));
            chosen.extend(free.min_by_key(|&node| self.follower_rank(topic, &chosen, node)));
        }
        chosen
    }

    /// The order in which nodes are taken as the next replica after `chosen`; the lowest comes first.
    fn follower_rank(&self, topic: &Load, chosen: &[usize], node: usize) -> (bool, [usize; 5]) {
        let leader = chosen[0];
        let successions = |load: &Load| if chosen.len() == 1 { load.successors[leader][node] } else { 0 };
        let distance = (node + self.nodes.len() - leader) % self.nodes.len();
        let rank = [
            successions(topic),
            topic.replicas[node],
            successions(&self.cluster),
            self.cluster.replicas[node],
            distance,
        ];
        (!self.alive[node], rank)
    }

    fn positions(&self) -> BTreeMap<NodeId, usize> {
        self.nodes.iter().enumerate().map(|(position, node)| (*node, position)).collect()
    }
}

/// The positions of `replicas`, without nodes that are not registered.
fn at(positions: &BTreeMap<NodeId, usize>, replicas: &[NodeId]) -> Vec<usize> {
    replicas.iter().filter_map(|node| positions.get(node).copied()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn placer(nodes: u32, alive: &[u32]) -> Placer {
        let nodes: Vec<_> = (1..=nodes).map(NodeId).collect();
        let alive = nodes.iter().map(|node| alive.contains(&node.0)).collect();
        Placer { cluster: Load::new(nodes.len()), nodes, alive }
    }

    fn ids(placed: &[Vec<NodeId>]) -> Vec<Vec<u32>> {
        placed.iter().map(|replicas| replicas.iter().map(|node| node.0).collect()).collect()
    }

    fn spread(counts: &[usize]) -> usize {
        counts.iter().max().unwrap() - counts.iter().min().unwrap()
    }

    #[test]
    fn three_nodes_share_six_partitions() {
        let placed = placer(3, &[1, 2, 3]).place(&[], 6, 3);
        assert_eq!(
            ids(&placed),
            [[1, 2, 3], [2, 3, 1], [3, 1, 2], [1, 3, 2], [2, 1, 3], [3, 2, 1]].map(Vec::from)
        );
    }

    #[test]
    fn many_topics_of_one_partition_are_spread_too() {
        let mut placer = placer(3, &[1, 2, 3]);
        for _ in 0..30 {
            placer.place(&[], 1, 2);
        }
        assert_eq!(placer.cluster.leaders, [10, 10, 10]);
        assert_eq!(placer.cluster.replicas, [20, 20, 20]);
        assert_eq!(placer.cluster.successors, [[0, 5, 5], [5, 0, 5], [5, 5, 0]].map(Vec::from));
    }

    #[test]
    fn a_dead_node_leads_nothing_and_is_the_last_choice() {
        assert_eq!(ids(&placer(3, &[1, 3]).place(&[], 2, 3)), [[1, 3, 2], [3, 1, 2]].map(Vec::from));
        assert_eq!(ids(&placer(3, &[1, 3]).place(&[], 2, 2)), [[1, 3], [3, 1]].map(Vec::from));
    }

    #[test]
    fn more_partitions_go_on_where_the_others_stopped() {
        let mut placer = placer(3, &[1, 2, 3]);
        let existing: Vec<_> = placer
            .place(&[], 2, 1)
            .into_iter()
            .map(|replicas| Partition { group: crate::ids::RaftGroupId(1), replicas })
            .collect();
        assert_eq!(ids(&placer.place(&existing, 1, 1)), [vec![3]]);
    }

    proptest! {
        #[test]
        fn a_topic_is_balanced(
            nodes in 1usize..8,
            factor in 1usize..8,
            earlier in proptest::collection::vec(1usize..20, 0..8),
            count in 1usize..200,
        ) {
            let factor = factor.min(nodes);
            let all: Vec<u32> = (1..=u32::try_from(nodes).unwrap()).collect();
            let mut placer = placer(u32::try_from(nodes).unwrap(), &all);
            for partitions in earlier {
                placer.place(&[], partitions, factor);
            }
            let placed = placer.place(&[], count, factor);
            let positions = placer.positions();
            let mut topic = Load::new(nodes);
            for replicas in &placed {
                prop_assert_eq!(replicas.iter().collect::<BTreeSet<_>>().len(), factor);
                topic.add(&at(&positions, replicas));
            }
            prop_assert!(spread(&topic.leaders) <= 1, "leaders {:?}", topic.leaders);
            if factor > 1 {
                for leader in 0..nodes {
                    let mut successors = topic.successors[leader].clone();
                    successors.remove(leader);
                    prop_assert!(spread(&successors) <= 1, "successors {:?}", topic.successors);
                }
            }
        }
    }
}
