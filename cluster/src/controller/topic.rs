//! A topic as the image holds it.

use std::collections::BTreeSet;

use super::configs::Configs;
use super::records::PartitionRecord;
use crate::ids::{NodeId, PartitionIndex, RaftGroupId, TopicId, TopicName};

/// A topic: its partitions and what was configured for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The topic's identity, which a later topic of the same name does not share.
    pub id: TopicId,
    /// The topic's name.
    pub name: TopicName,
    /// The partitions by index. Never empty, and never fewer than before.
    pub partitions: Vec<Partition>,
    /// The settings given for this topic, as they were given. The rest comes from the broker's settings.
    pub configs: Configs,
}

impl Topic {
    /// The partition of that index, if the topic has so many.
    pub fn partition(&self, index: PartitionIndex) -> Option<&Partition> {
        self.partitions.get(usize::try_from(index.0).ok()?)
    }

    /// The partitions with their indexes, in order.
    pub fn indexed_partitions(&self) -> impl Iterator<Item = (PartitionIndex, &Partition)> {
        (0..).map(PartitionIndex).zip(&self.partitions)
    }

    /// What its settings come to, in bytes of names and values.
    pub(super) fn config_bytes(&self) -> usize {
        config_bytes(&self.configs)
    }

    /// How many replicas a partition has. Partitions assigned by hand have as many as the first one.
    pub fn replication_factor(&self) -> usize {
        self.partitions.first().map_or(0, |partition| partition.replicas.len())
    }
}

/// What settings come to, in bytes of names and values.
pub(super) fn config_bytes(configs: &Configs) -> usize {
    configs.iter().map(|(name, value)| name.len() + value.len()).sum()
}

/// A partition: the Raft group that is its log, and where the group's members are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The Raft group that replicates this partition and no other, ever.
    pub group: RaftGroupId,
    /// The nodes with a replica, without repetition and never empty. The first is the preferred leader; when it is
    /// gone, the second is the next in line.
    pub replicas: Vec<NodeId>,
}

impl From<&PartitionRecord> for Partition {
    fn from(record: &PartitionRecord) -> Self {
        let distinct: BTreeSet<_> = record.replicas.iter().collect();
        assert!(!distinct.is_empty(), "a partition has a replica");
        assert_eq!(distinct.len(), record.replicas.len(), "a node holds at most one replica of a partition");
        Self { group: RaftGroupId(record.group), replicas: record.replicas.clone() }
    }
}

impl From<&Partition> for PartitionRecord {
    fn from(partition: &Partition) -> Self {
        Self { group: partition.group.0, replicas: partition.replicas.clone() }
    }
}
