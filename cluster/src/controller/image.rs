//! The cluster's metadata at one position of the controller's log.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::configs::{BrokerLayers, BrokerSettings, Configs, TopicSettings};
use super::records::{Broker, ControllerRecord, PartitionRecord, decode_entry, encode_entry};
use super::topic::{Partition, Topic, config_bytes};
use crate::encoding::DecodeError;
use crate::ids::{NodeId, PartitionIndex, ProducerId, RaftGroupId, TopicId, TopicName};

#[cfg(test)]
mod tests;

/// Brokers, topics, partitions and settings, as the records replayed so far make them.
///
/// A clone costs seven reference counts, so one may be handed to every request. Changing a clone copies the one map
/// that changes; topics are shared between all images that have them.
///
/// Invariants, which `replay` keeps whatever record it is given:
/// * A name, an id and a group each belong to at most one topic, and the three maps agree.
/// * No group is the controller's own, and every group is below `next_group`: a group is never given out twice, not
///   even after its topic is gone, because a node that slept through the deletion still has the old group's data.
/// * Every topic has a partition; every partition has a replica and no node twice.
/// * A node or a group without settings of its own is in neither map of them.
/// * `topic_config_bytes` is the sum over all topics.
/// * `next_group` and `next_producer_id` never go down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataImage {
    topics: Arc<BTreeMap<TopicName, Arc<Topic>>>,
    names: Arc<BTreeMap<TopicId, TopicName>>,
    groups: Arc<BTreeMap<RaftGroupId, (TopicId, PartitionIndex)>>,
    brokers: Arc<BTreeMap<NodeId, Broker>>,
    topic_config_bytes: usize,
    cluster_configs: Arc<Configs>,
    node_configs: Arc<BTreeMap<NodeId, Configs>>,
    group_configs: Arc<BTreeMap<String, Configs>>,
    next_group: RaftGroupId,
    next_producer_id: ProducerId,
}

/// No settings.
static NO_CONFIGS: Configs = Configs::new();

/// A partition together with the topic it is of.
#[derive(Clone, Copy, Debug)]
pub struct PartitionView<'a> {
    /// The topic.
    pub topic: &'a Arc<Topic>,
    /// The partition's number within the topic.
    pub index: PartitionIndex,
    /// The partition itself, with its group and its replicas.
    pub partition: &'a Partition,
}

impl Default for MetadataImage {
    /// The image before the first record: nothing exists.
    fn default() -> Self {
        Self {
            topics: Arc::default(),
            names: Arc::default(),
            groups: Arc::default(),
            brokers: Arc::default(),
            topic_config_bytes: 0,
            cluster_configs: Arc::default(),
            node_configs: Arc::default(),
            group_configs: Arc::default(),
            next_group: RaftGroupId(RaftGroupId::CONTROLLER.0 + 1),
            next_producer_id: ProducerId(0),
        }
    }
}

impl MetadataImage {
    /// The topic of that name.
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    /// The topic of that id.
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.topic(self.names.get(&id)?)
    }

    /// All topics by name.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    /// The partition that a Raft group is the log of. None for the controller's group and for those of topics that
    /// are gone.
    pub fn partition_of(&self, group: RaftGroupId) -> Option<PartitionView<'_>> {
        let &(id, index) = self.groups.get(&group)?;
        let topic = self.topic_by_id(id)?;
        Some(PartitionView { topic, index, partition: topic.partition(index)? })
    }

    /// What people call a Raft group: `orders-2` for that partition of a topic, if it is one of the metadata's.
    #[must_use]
    pub fn name_of(&self, group: RaftGroupId) -> Option<String> {
        if group == RaftGroupId::CONTROLLER {
            return Some("the controller".to_owned());
        }
        let PartitionView { topic, index, .. } = self.partition_of(group)?;
        Some(format!("{}-{index}", topic.name))
    }

    /// All partitions, by topic name and index.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionView<'_>> {
        self.topics().flat_map(|topic| {
            topic.indexed_partitions().map(move |(index, partition)| PartitionView {
                topic,
                index,
                partition,
            })
        })
    }

    /// The partitions that `node` has a replica of: what the node compares with the groups it runs.
    pub fn groups_on(&self, node: NodeId) -> impl Iterator<Item = PartitionView<'_>> {
        self.partitions().filter(move |view| view.partition.replicas.contains(&node))
    }

    /// How many partitions there are in all topics.
    pub fn partition_count(&self) -> usize {
        self.groups.len()
    }

    /// The node's registration, if it ever started.
    pub fn broker(&self, node: NodeId) -> Option<&Broker> {
        self.brokers.get(&node)
    }

    /// All nodes that ever registered, alive or not, by id.
    pub fn brokers(&self) -> impl ExactSizeIterator<Item = &Broker> {
        self.brokers.values()
    }

    /// The group that the next partition gets.
    pub fn next_group(&self) -> RaftGroupId {
        self.next_group
    }

    /// Whether a partition's group was allotted and is no more: its topic has been deleted.
    #[must_use]
    pub fn has_dropped(&self, group: RaftGroupId) -> bool {
        group != RaftGroupId::CONTROLLER && group < self.next_group() && self.partition_of(group).is_none()
    }

    /// The first producer id that nobody was given.
    pub fn next_producer_id(&self) -> ProducerId {
        self.next_producer_id
    }

    /// The broker settings that were set while the cluster runs, for all nodes.
    pub fn cluster_configs(&self) -> &Configs {
        &self.cluster_configs
    }

    /// The broker settings that were set while the cluster runs, for this node alone.
    pub fn node_configs(&self, node: NodeId) -> &Configs {
        self.node_configs.get(&node).unwrap_or(&NO_CONFIGS)
    }

    /// The settings that were given for a group.
    pub fn group_configs(&self, group: &str) -> &Configs {
        self.group_configs.get(group).unwrap_or(&NO_CONFIGS)
    }

    /// The groups that settings were given for, by name.
    pub fn groups_with_configs(&self) -> impl ExactSizeIterator<Item = &String> {
        self.group_configs.keys()
    }

    /// What `node` goes by, which was started with `started`.
    pub fn broker_layers<'a>(&'a self, node: NodeId, started: &'a BrokerSettings) -> BrokerLayers<'a> {
        BrokerLayers { node: self.node_configs(node), cluster: &self.cluster_configs, started }
    }

    /// The settings in force for `topic` on `node`, which was started with `started`. Worth keeping as long as the
    /// image does not change: it parses text.
    pub fn topic_settings(&self, topic: &Topic, node: NodeId, started: &BrokerSettings) -> TopicSettings {
        TopicSettings::effective(self.broker_layers(node, started), &topic.configs)
    }

    /// What the settings of all topics' own come to, in bytes of names and values.
    pub(super) fn topic_config_bytes(&self) -> usize {
        self.topic_config_bytes
    }

    /// Applies a committed record. A record that contradicts the image, as one that is replayed after a later one
    /// may do, changes nothing.
    pub fn replay(&mut self, record: &ControllerRecord) {
        match record {
            ControllerRecord::BrokerRegistered(broker) => {
                Arc::make_mut(&mut self.brokers).insert(broker.node, broker.clone());
            }
            ControllerRecord::TopicCreated { name, id, partitions, configs } => {
                self.create_topic(name, *id, partitions, configs);
            }
            ControllerRecord::PartitionsAdded { id, first, partitions } => {
                self.add_partitions(*id, *first, partitions);
            }
            ControllerRecord::TopicDeleted { id } => self.delete_topic(*id),
            ControllerRecord::TopicConfigsSet { id, configs } => {
                self.configure_topic(*id, configs);
            }
            ControllerRecord::ClusterConfigsSet { configs } => {
                self.cluster_configs = Arc::new(configs.clone());
            }
            ControllerRecord::NodeConfigsSet { node, configs } => {
                set_configs(&mut self.node_configs, node, configs);
            }
            ControllerRecord::GroupConfigsSet { group, configs } => {
                set_configs(&mut self.group_configs, group, configs);
            }
            ControllerRecord::ProducerIdsAllocated { next } => {
                self.next_producer_id = self.next_producer_id.max(*next);
            }
            ControllerRecord::GroupsUsed { next } => {
                self.next_group = self.next_group.max(RaftGroupId(*next));
            }
        }
    }

    /// The whole image as bytes: an entry of the records that make an equal image out of nothing, so that a snapshot
    /// and the log share one format and one reader.
    pub fn encode(&self) -> Vec<u8> {
        encode_entry(&self.to_records())
    }

    /// The image that [`encode`](Self::encode) wrote. Fails as [`decode_entry`] does; never panics.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut image = Self::default();
        for record in &decode_entry(bytes)? {
            image.replay(record);
        }
        Ok(image)
    }

    fn to_records(&self) -> Vec<ControllerRecord> {
        let brokers = self.brokers().cloned().map(ControllerRecord::BrokerRegistered);
        let topics = self.topics().map(|topic| ControllerRecord::TopicCreated {
            name: topic.name.to_string(),
            id: topic.id,
            partitions: topic.partitions.iter().map(PartitionRecord::from).collect(),
            configs: topic.configs.clone(),
        });
        let rest = [
            ControllerRecord::ClusterConfigsSet { configs: Configs::clone(&self.cluster_configs) },
            ControllerRecord::ProducerIdsAllocated { next: self.next_producer_id },
            ControllerRecord::GroupsUsed { next: self.next_group.0 },
        ];
        let nodes = self.node_configs.iter().map(|(node, configs)| ControllerRecord::NodeConfigsSet {
            node: *node,
            configs: configs.clone(),
        });
        let groups = self.group_configs.iter().map(|(group, configs)| ControllerRecord::GroupConfigsSet {
            group: group.clone(),
            configs: configs.clone(),
        });
        brokers.chain(topics).chain(rest).chain(nodes).chain(groups).collect()
    }

    fn create_topic(&mut self, name: &str, id: TopicId, partitions: &[PartitionRecord], configs: &Configs) {
        let taken = self.names.contains_key(&id) || self.topics.contains_key(name);
        if self.use_groups(partitions) && !taken {
            let name = TopicName::from(name);
            let partitions: Vec<_> = partitions.iter().map(Partition::from).collect();
            self.index_groups(id, (0..).map(PartitionIndex).zip(&partitions));
            let topic = Topic { id, name: Arc::clone(&name), partitions, configs: configs.clone() };
            self.topic_config_bytes += topic.config_bytes();
            Arc::make_mut(&mut self.names).insert(id, Arc::clone(&name));
            Arc::make_mut(&mut self.topics).insert(name, Arc::new(topic));
        }
    }

    fn add_partitions(&mut self, id: TopicId, first: PartitionIndex, partitions: &[PartitionRecord]) {
        let adjoins =
            self.topic_by_id(id).is_some_and(|topic| usize::try_from(first.0) == Ok(topic.partitions.len()));
        if self.use_groups(partitions) && adjoins {
            let partitions: Vec<_> = partitions.iter().map(Partition::from).collect();
            self.index_groups(id, (first.0..).map(PartitionIndex).zip(&partitions));
            self.change_topic(id, |topic| topic.partitions.extend(partitions));
        }
    }

    fn delete_topic(&mut self, id: TopicId) {
        let Some(topic) = self.topic_by_id(id).cloned() else { return };
        self.topic_config_bytes -= topic.config_bytes();
        Arc::make_mut(&mut self.names).remove(&id);
        Arc::make_mut(&mut self.topics).remove(&topic.name);
        let groups = Arc::make_mut(&mut self.groups);
        for partition in &topic.partitions {
            groups.remove(&partition.group);
        }
    }

    fn configure_topic(&mut self, id: TopicId, configs: &Configs) {
        let Some(topic) = self.topic_by_id(id) else { return };
        self.topic_config_bytes -= topic.config_bytes();
        self.topic_config_bytes += config_bytes(configs);
        self.change_topic(id, |topic| topic.configs.clone_from(configs));
    }

    fn change_topic(&mut self, id: TopicId, change: impl FnOnce(&mut Topic)) {
        let Some(name) = self.names.get(&id) else { return };
        if let Some(topic) = Arc::make_mut(&mut self.topics).get_mut(name) {
            change(Arc::make_mut(topic));
        }
    }

    /// Marks the groups of a record as used, whatever becomes of the record. False when one belongs to a topic
    /// already.
    fn use_groups(&mut self, partitions: &[PartitionRecord]) -> bool {
        if let Some(last) = partitions.iter().map(|partition| partition.group).max() {
            self.next_group = self.next_group.max(RaftGroupId(last + 1));
        }
        !partitions.iter().any(|partition| self.groups.contains_key(&RaftGroupId(partition.group)))
    }

    fn index_groups<'a>(
        &mut self,
        id: TopicId,
        partitions: impl Iterator<Item = (PartitionIndex, &'a Partition)>,
    ) {
        let groups = Arc::make_mut(&mut self.groups);
        for (index, partition) in partitions {
            assert_ne!(partition.group, RaftGroupId::CONTROLLER, "the controller's group holds no partition");
            let before = groups.insert(partition.group, (id, index));
            assert!(before.is_none(), "a group holds one partition");
        }
    }
}

/// Gives `key` these settings and no others.
fn set_configs<K: Ord + Clone>(all: &mut Arc<BTreeMap<K, Configs>>, key: &K, configs: &Configs) {
    let all = Arc::make_mut(all);
    if configs.is_empty() {
        all.remove(key);
    } else {
        all.insert(key.clone(), configs.clone());
    }
}
