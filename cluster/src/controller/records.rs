//! What the controller writes down: every change of the cluster's metadata, as an entry of Raft group 0.
//!
//! A record states a fact and its outcome, never an instruction: a topic's record names its id, its groups and its
//! replicas. That is why replaying needs no knowledge of how they were chosen, and why a later release may choose
//! differently. Records that set something hold the whole new value, so that the last one wins however often it is
//! replayed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::configs::Configs;
use crate::encoding::{self, DecodeError};
use crate::ids::{NodeId, PartitionIndex, ProducerId, TopicId};

/// One change of the cluster's metadata. Variants are numbered by their order on disk: new ones go to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ControllerRecord {
    /// A node has started, or started again: this is how clients reach it from now on.
    BrokerRegistered(Broker),
    /// A topic exists from here on.
    TopicCreated {
        /// The topic's name.
        name: String,
        /// The topic's identity.
        id: TopicId,
        /// The partitions by index.
        partitions: Vec<PartitionRecord>,
        /// The settings given for it.
        configs: Configs,
    },
    /// A topic has more partitions from here on (KIP-195).
    PartitionsAdded {
        /// Which topic.
        id: TopicId,
        /// The index of the first new partition. Stated, so that a replay adds nothing twice.
        first: PartitionIndex,
        /// The new partitions in order.
        partitions: Vec<PartitionRecord>,
    },
    /// A topic is gone, its settings and its data with it.
    TopicDeleted {
        /// Which topic.
        id: TopicId,
    },
    /// A topic's settings are these and no others.
    TopicConfigsSet {
        /// Which topic.
        id: TopicId,
        /// All settings given for it.
        configs: Configs,
    },
    /// The broker settings that hold for every node and override what the nodes were started with are these and no
    /// others.
    ClusterConfigsSet {
        /// All such settings, by the broker settings' names.
        configs: Configs,
    },
    /// Producer ids below this one are handed out.
    ProducerIdsAllocated {
        /// The first id that is still free.
        next: ProducerId,
    },
    /// Raft groups below this one have been used. Only a snapshot needs it, for groups of topics that are gone.
    GroupsUsed {
        /// The first group that was never used.
        next: u64,
    },
    /// The settings that hold for one node and override those for every node are these and no others.
    NodeConfigsSet {
        /// Which node.
        node: NodeId,
        /// All such settings, by the broker settings' names.
        configs: Configs,
    },
    /// A consumer group's settings are these and no others.
    GroupConfigsSet {
        /// Which group, whether there is one of that name or not.
        group: String,
        /// All settings given for it.
        configs: Configs,
    },
}

/// A node as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broker {
    /// The node's number, Kafka's broker id.
    pub node: NodeId,
    /// Which run of the node's process this is; drawn anew at each start.
    pub incarnation: Uuid,
    /// The addresses to be told to clients, one a listener name. A client gets that of the listener it came in on.
    pub listeners: Vec<Listener>,
    /// The rack the node stands in, if it was told (`broker.rack`).
    pub rack: Option<String>,
}

/// An advertised address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// The listener's name, such as `PLAINTEXT`.
    pub name: String,
    /// Host name or address, never a wildcard.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// A partition in a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionRecord {
    /// The number of its Raft group; from 1, as 0 is the controller's own.
    pub group: u64,
    /// The nodes with a replica, the preferred leader first.
    pub replicas: Vec<NodeId>,
}

/// The payload of the Raft entry that makes all of `records` happen together.
pub fn encode_entry(records: &[ControllerRecord]) -> Vec<u8> {
    encoding::encode(records)
}

/// The records of an entry. Fails on damaged bytes, on those of a release that knows more, and on records that no
/// decision produces; never panics.
pub fn decode_entry(bytes: &[u8]) -> Result<Vec<ControllerRecord>, DecodeError> {
    let records: Vec<ControllerRecord> = encoding::decode(bytes)?;
    records.iter().try_for_each(check)?;
    Ok(records)
}

/// Whether a record is possible by itself. How it fits the image is replay's business.
fn check(record: &ControllerRecord) -> Result<(), DecodeError> {
    let possible = match record {
        ControllerRecord::TopicCreated { partitions, .. } => check_partitions(partitions),
        ControllerRecord::PartitionsAdded { first, partitions, .. } => {
            if first.0 < 1 {
                return Err(DecodeError::ImpossibleRecord("partitions added before the first"));
            }
            check_partitions(partitions)
        }
        ControllerRecord::ProducerIdsAllocated { next } if next.0 < 0 => Err("a negative producer id"),
        ControllerRecord::GroupsUsed { next: 0 } => Err("the controller's own group given away"),
        _ => Ok(()),
    };
    possible.map_err(DecodeError::ImpossibleRecord)
}

fn check_partitions(partitions: &[PartitionRecord]) -> Result<(), &'static str> {
    if partitions.is_empty() {
        return Err("no partitions");
    }
    let mut groups = BTreeSet::new();
    for PartitionRecord { group, replicas } in partitions {
        // The greatest number is kept free, so that there is always a next one.
        if *group == 0 || *group == u64::MAX {
            return Err("a partition in a group that is none");
        }
        if !groups.insert(group) {
            return Err("two partitions in one group");
        }
        if replicas.is_empty() || replicas.iter().collect::<BTreeSet<_>>().len() != replicas.len() {
            return Err("a partition without replicas, or with two on one node");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created(partitions: Vec<PartitionRecord>) -> Vec<u8> {
        let id = TopicId(Uuid::from_u128(7));
        encode_entry(&[ControllerRecord::TopicCreated {
            name: "t".into(),
            id,
            partitions,
            configs: Configs::new(),
        }])
    }

    fn partition(group: u64, replicas: &[u32]) -> PartitionRecord {
        PartitionRecord { group, replicas: replicas.iter().copied().map(NodeId).collect() }
    }

    #[test]
    fn impossible_records_are_not_read() {
        assert!(decode_entry(&created(vec![partition(1, &[1, 2])])).is_ok());
        for (bytes, why) in [
            (created(vec![]), "no partitions"),
            (created(vec![partition(0, &[1])]), "a partition in a group that is none"),
            (created(vec![partition(u64::MAX, &[1])]), "a partition in a group that is none"),
            (created(vec![partition(1, &[1]), partition(1, &[2])]), "two partitions in one group"),
            (created(vec![partition(1, &[])]), "a partition without replicas, or with two on one node"),
            (created(vec![partition(1, &[2, 2])]), "a partition without replicas, or with two on one node"),
            (
                encode_entry(&[ControllerRecord::ProducerIdsAllocated { next: ProducerId(-1) }]),
                "a negative producer id",
            ),
            (
                encode_entry(&[ControllerRecord::GroupsUsed { next: 0 }]),
                "the controller's own group given away",
            ),
        ] {
            assert_eq!(decode_entry(&bytes), Err(DecodeError::ImpossibleRecord(why)));
        }
    }
}
