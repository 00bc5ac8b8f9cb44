//! Replay keeps the image's invariants, and says the same thing however often it is said.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::*;
use crate::controller::fixtures::broker;

impl MetadataImage {
    /// Panics where an invariant of the image does not hold.
    pub(in crate::controller) fn check_invariants(&self) {
        assert_eq!(self.names.len(), self.topics.len());
        let mut groups = BTreeMap::new();
        for (name, topic) in self.topics.iter() {
            assert_eq!(*name, topic.name);
            assert_eq!(self.names.get(&topic.id), Some(name));
            assert!(!topic.partitions.is_empty(), "{name} has a partition");
            for (index, partition) in topic.indexed_partitions() {
                let distinct: BTreeSet<_> = partition.replicas.iter().collect();
                assert!(!distinct.is_empty() && distinct.len() == partition.replicas.len(), "{name}");
                assert!(partition.group > RaftGroupId::CONTROLLER && partition.group < self.next_group);
                assert_eq!(groups.insert(partition.group, (topic.id, index)), None, "{name}");
            }
        }
        assert_eq!(groups, *self.groups);
    }
}

fn id(number: u128) -> TopicId {
    TopicId(Uuid::from_u128(number))
}

fn partition(group: u64, replicas: &[u32]) -> PartitionRecord {
    PartitionRecord { group, replicas: replicas.iter().copied().map(NodeId).collect() }
}

fn created(name: &str, number: u128, partitions: &[PartitionRecord]) -> ControllerRecord {
    ControllerRecord::TopicCreated {
        name: name.into(),
        id: id(number),
        partitions: partitions.to_vec(),
        configs: Configs::new(),
    }
}

fn image_of(records: &[ControllerRecord]) -> MetadataImage {
    let mut image = MetadataImage::default();
    for record in records {
        image.replay(record);
        image.check_invariants();
    }
    image
}

#[test]
fn a_topic_is_found_by_name_id_and_group() {
    let image = image_of(&[
        ControllerRecord::BrokerRegistered(broker(2)),
        created("orders", 1, &[partition(1, &[1, 2]), partition(2, &[2, 3])]),
    ]);
    assert_eq!(image.topic("orders").unwrap().id, id(1));
    assert_eq!(&*image.topic_by_id(id(1)).unwrap().name, "orders");
    let view = image.partition_of(RaftGroupId(2)).unwrap();
    assert_eq!((&*view.topic.name, view.index), ("orders", PartitionIndex(1)));
    assert_eq!(view.partition.replicas, [NodeId(2), NodeId(3)]);
    assert!(image.topic("order").is_none() && image.topic_by_id(id(2)).is_none());
    assert!(image.partition_of(RaftGroupId::CONTROLLER).is_none());
    assert!(image.partition_of(RaftGroupId(3)).is_none());
    assert_eq!(image.broker(NodeId(2)), Some(&broker(2)));
    assert_eq!(image.next_group(), RaftGroupId(3));
    assert_eq!(image.partition_count(), 2);
}

#[test]
fn a_node_sees_its_own_groups() {
    let image = image_of(&[
        created("b", 1, &[partition(1, &[1, 2]), partition(2, &[2, 3])]),
        created("a", 2, &[partition(3, &[3, 1])]),
    ]);
    let groups = |node| image.groups_on(NodeId(node)).map(|view| view.partition.group.0).collect::<Vec<_>>();
    assert_eq!(groups(1), [3, 1]);
    assert_eq!(groups(2), [1, 2]);
    assert_eq!(groups(4), Vec::<u64>::new());
}

#[test]
fn partitions_are_added_once() {
    let more = ControllerRecord::PartitionsAdded {
        id: id(1),
        first: PartitionIndex(1),
        partitions: vec![partition(2, &[2]), partition(3, &[3])],
    };
    let mut image = image_of(&[created("t", 1, &[partition(1, &[1])]), more.clone()]);
    assert_eq!(image.topic("t").unwrap().partitions.len(), 3);
    assert_eq!(image.partition_of(RaftGroupId(3)).unwrap().index, PartitionIndex(2));
    let before = image.clone();
    image.replay(&more);
    assert_eq!(image, before);
}

#[test]
fn a_deleted_topic_leaves_only_its_groups_numbers() {
    let mut image = image_of(&[
        created("t", 1, &[partition(1, &[1]), partition(2, &[1])]),
        ControllerRecord::TopicDeleted { id: id(1) },
    ]);
    assert_eq!(image.topics().len(), 0);
    assert_eq!(image.partition_count(), 0);
    assert_eq!(image.next_group(), RaftGroupId(3));
    let before = image.clone();
    image.replay(&ControllerRecord::TopicDeleted { id: id(1) });
    assert_eq!(image, before);
    image.replay(&created("t", 2, &[partition(3, &[1])]));
    assert_eq!(image.topic("t").unwrap().id, id(2));
}

#[test]
fn what_contradicts_the_image_changes_nothing_but_the_next_group() {
    let image = image_of(&[created("t", 1, &[partition(1, &[1])])]);
    for record in [
        created("t", 2, &[partition(2, &[1])]),
        created("u", 1, &[partition(2, &[1])]),
        created("u", 2, &[partition(1, &[1]), partition(2, &[1])]),
        ControllerRecord::PartitionsAdded {
            id: id(1),
            first: PartitionIndex(2),
            partitions: vec![partition(2, &[1])],
        },
        ControllerRecord::PartitionsAdded {
            id: id(9),
            first: PartitionIndex(1),
            partitions: vec![partition(2, &[1])],
        },
    ] {
        let mut other = image.clone();
        other.replay(&record);
        other.check_invariants();
        assert_eq!(other.topics, image.topics, "{record:?}");
        assert_eq!(other.next_group(), RaftGroupId(3), "{record:?}");
    }
    let mut other = image.clone();
    other.replay(&ControllerRecord::TopicConfigsSet { id: id(9), configs: Configs::new() });
    assert_eq!(other, image);
}

#[test]
fn settings_and_ids_are_kept() {
    let configs = Configs::from([("retention.ms".into(), "1".into())]);
    let image = image_of(&[
        created("t", 1, &[partition(1, &[1])]),
        ControllerRecord::TopicConfigsSet { id: id(1), configs: configs.clone() },
        ControllerRecord::ClusterConfigsSet {
            configs: Configs::from([("message.max.bytes".into(), "9".into())]),
        },
        ControllerRecord::ProducerIdsAllocated { next: ProducerId(2_000) },
        ControllerRecord::ProducerIdsAllocated { next: ProducerId(1_000) },
    ]);
    let topic = image.topic("t").unwrap();
    assert_eq!(topic.configs, configs);
    assert_eq!(image.topic_settings(topic, NodeId(1), &BrokerSettings::default()).max_message_bytes, 9);
    assert_eq!(image.next_producer_id(), ProducerId(2_000));
}

#[test]
fn a_clone_does_not_see_later_changes() {
    let mut image = image_of(&[created("t", 1, &[partition(1, &[1])])]);
    let before = image.clone();
    image.replay(&ControllerRecord::TopicDeleted { id: id(1) });
    assert!(before.topic("t").is_some() && image.topic("t").is_none());
}

#[test]
fn a_snapshot_is_the_whole_image() {
    let image = image_of(&[
        ControllerRecord::BrokerRegistered(broker(1)),
        created("gone", 1, &[partition(8, &[1])]),
        ControllerRecord::TopicDeleted { id: id(1) },
        created("t", 2, &[partition(2, &[3, 1]), partition(1, &[1])]),
        ControllerRecord::TopicConfigsSet {
            id: id(2),
            configs: Configs::from([("retention.ms".into(), "1".into())]),
        },
        ControllerRecord::ClusterConfigsSet {
            configs: Configs::from([("message.max.bytes".into(), "9".into())]),
        },
        ControllerRecord::ProducerIdsAllocated { next: ProducerId(1_000) },
        ControllerRecord::NodeConfigsSet { node: NodeId(1), configs: configs("message.max.bytes", "8") },
        ControllerRecord::NodeConfigsSet { node: NodeId(2), configs: Configs::new() },
        ControllerRecord::GroupConfigsSet {
            group: "g".into(),
            configs: configs("consumer.session.timeout.ms", "1"),
        },
    ]);
    assert_eq!(MetadataImage::decode(&image.encode()), Ok(image));
    assert_eq!(MetadataImage::decode(&[]), Err(DecodeError::Empty));
}

fn configs(name: &str, value: &str) -> Configs {
    Configs::from([(name.to_owned(), value.to_owned())])
}

#[test]
fn settings_of_nodes_and_groups_are_kept_apart() {
    let node = |node, configs| ControllerRecord::NodeConfigsSet { node: NodeId(node), configs };
    let group = |group: &str, configs| ControllerRecord::GroupConfigsSet { group: group.into(), configs };
    let mut image = image_of(&[
        created("t", 1, &[partition(1, &[1])]),
        ControllerRecord::ClusterConfigsSet { configs: configs("message.max.bytes", "9") },
        node(2, configs("message.max.bytes", "8")),
        group("g", configs("consumer.session.timeout.ms", "1")),
    ]);
    let settings = BrokerSettings::default();
    let largest = |image: &MetadataImage, node| {
        image.topic_settings(image.topic("t").unwrap(), NodeId(node), &settings).max_message_bytes
    };
    assert_eq!([1, 2].map(|node| largest(&image, node)), [9, 8]);
    assert_eq!(image.groups_with_configs().collect::<Vec<_>>(), ["g"]);
    image.replay(&node(2, Configs::new()));
    image.replay(&group("g", Configs::new()));
    assert_eq!(largest(&image, 2), 9);
    assert_eq!(image.groups_with_configs().len(), 0);
}

/// What a release without settings of nodes and groups wrote. Every release reads it.
#[test]
fn an_older_snapshot_is_read() {
    let image = image_of(&[
        created("t", 1, &[partition(1, &[1])]),
        ControllerRecord::ClusterConfigsSet { configs: configs("message.max.bytes", "9") },
        ControllerRecord::ProducerIdsAllocated { next: ProducerId(1_000) },
    ]);
    let mut old = vec![2, 4, 1, 1, b't', 16];
    old.extend([0; 15]);
    old.extend([1, 1, 1, 1, 1, 0]);
    old.extend([5, 1, 17]);
    old.extend(b"message.max.bytes");
    old.extend([1, b'9', 6, 0xd0, 0x0f, 7, 2]);
    assert_eq!(MetadataImage::decode(&old).as_ref(), Ok(&image));
    assert_eq!(image.encode(), old, "and this one writes the same where there are none");
}
