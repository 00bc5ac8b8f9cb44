//! All partitions of a fetch, and a pass over them.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use tokio::sync::Notify;
use trilog_cluster::controller::{MetadataImage, Topic};
use trilog_cluster::ids::{RaftGroupId, TopicId};
use trilog_cluster::node::Confirmed;
use trilog_cluster::replica::WatchGuard;

use super::super::broker::Broker;
use super::super::led_partition::group_of;
use super::asked::{Asked, PartitionKey, Partitions, TopicKey};
use super::limits::{Limits, Memory};
use super::partition::{NotInMemory, PartitionFetch, Source};
use super::session::Seen;

/// Partitions of a topic that follow each other in a fetch.
pub(super) struct TopicFetch {
    /// The topic as the client names it.
    pub(super) key: TopicKey,
    /// The partitions in the order asked for.
    pub(super) partitions: Vec<PartitionFetch>,
}

/// A fetch under way.
pub(super) struct Pass {
    topics: Vec<TopicFetch>,
    limits: Limits,
    /// What all partitions have read together.
    bytes: usize,
    memory: Memory,
}

impl Pass {
    /// Finds the partitions that are asked for. Nothing is read yet.
    pub(super) fn plan(broker: &Broker, partitions: Partitions, limits: Limits) -> Self {
        let image = broker.image();
        let mut topics: Vec<TopicFetch> = Vec::new();
        let mut topic = Err(ResponseError::UnknownTopicOrPartition);
        for (PartitionKey { topic: key, index }, asked) in partitions {
            if topics.last().is_none_or(|last| last.key != key) {
                topic = find_topic(&image, &key);
                topics.push(TopicFetch { key, partitions: Vec::new() });
            }
            let group = topic.and_then(|topic| group_of(Some(topic), index));
            let replica = group.ok().and_then(|group| broker.node.replica(group));
            let known = group.ok().and_then(|group| broker.node.leadership(group)).map(|known| known.epoch);
            if let Some(last) = topics.last_mut() {
                let partition = PartitionFetch::new(index, asked, group, replica);
                last.partitions.push(partition.known_to_be_led_in(known));
            }
        }
        Self { topics, limits, bytes: 0, memory: Memory::Bytes(0) }
    }

    /// Reads every partition about which something has changed, in order, within the limits.
    ///
    /// # Errors
    ///
    /// [`NotInMemory`] with [`Source::Memory`]: what was read so far stays read.
    pub(super) fn read(&mut self, source: Source) -> Result<(), NotInMemory> {
        for partition in self.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            let others = self.bytes - partition.bytes();
            let allowance = self.limits.allow(partition.max_bytes(), others, self.memory);
            partition.read(allowance, source)?;
            self.bytes = others + partition.bytes();
        }
        Ok(())
    }

    /// Gives it so much memory for what it reads.
    pub(super) const fn set_memory(&mut self, memory: Memory) {
        self.memory = memory;
    }

    /// Bytes that were read.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The most bytes that the answer may have, one larger batch aside.
    pub(super) const fn max_bytes(&self) -> usize {
        self.limits.max_bytes()
    }

    /// How many partitions are asked for.
    pub(super) fn partitions(&self) -> usize {
        self.topics.iter().map(|topic| topic.partitions.len()).sum()
    }

    /// Whether nothing was read, because there was too little memory for the first batch.
    pub(super) fn lacks_memory(&self) -> bool {
        self.bytes == 0
            && self.topics.iter().flat_map(|topic| &topic.partitions).any(PartitionFetch::lacks_memory)
    }

    /// The partitions that this node shows to lead, to be confirmed.
    pub(super) fn led(&self) -> Vec<RaftGroupId> {
        self.topics.iter().flat_map(|topic| &topic.partitions).filter_map(PartitionFetch::led).collect()
    }

    /// Refuses what was read of partitions that this node may not have led any more.
    pub(super) fn keep_confirmed(&mut self, confirmed: &Confirmed) {
        for partition in self.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            self.bytes -= partition.bytes();
            partition.keep_confirmed(confirmed);
            self.bytes += partition.bytes();
        }
    }

    /// Whether the answer need not wait any longer.
    pub(super) fn is_enough(&self) -> bool {
        let partitions = || self.topics.iter().flat_map(|topic| &topic.partitions);
        self.limits.is_enough(self.bytes)
            || partitions().next().is_none()
            || partitions().any(PartitionFetch::is_urgent)
            || (self.bytes > 0 && partitions().any(PartitionFetch::is_cut_short))
    }

    /// Has `changed` notified of whatever changes the outcome of a pass, until the guards are dropped.
    pub(super) fn watch(&self, changed: &Arc<Notify>) -> Vec<WatchGuard> {
        let partitions = self.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.filter_map(|partition| Some(partition.replica()?.watch(changed))).collect()
    }

    /// The errors that partitions are answered.
    pub(super) fn error_codes(&self) -> impl Iterator<Item = i16> {
        let partitions = self.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.filter_map(|partition| partition.outcome.as_ref().err().map(ResponseError::code))
    }

    /// Has every replica count what the client is sent of it.
    pub(super) fn count_traffic(&self) {
        for partition in self.topics.iter().flat_map(|topic| &topic.partitions) {
            partition.count_traffic();
        }
    }

    /// What there is to tell of each partition, in the order asked for.
    pub(super) fn seen(&self) -> impl Iterator<Item = (PartitionKey, Asked, Seen)> {
        self.topics.iter().flat_map(|TopicFetch { key, partitions }| {
            let key = |index| PartitionKey { topic: key.clone(), index };
            partitions.iter().map(move |partition| (key(partition.index), partition.asked, partition.seen()))
        })
    }

    /// Leaves out the partitions for which there is a `false`, in the order asked for.
    pub(super) fn keep(&mut self, told: Vec<bool>) {
        let mut told = told.into_iter();
        for topic in &mut self.topics {
            topic.partitions.retain(|_| told.next().unwrap_or(true));
        }
        self.topics.retain(|topic| !topic.partitions.is_empty());
    }

    /// What has been read.
    pub(super) fn into_topics(self) -> Vec<TopicFetch> {
        self.topics
    }
}

/// The topic that is asked for, or what all of its partitions are to be answered.
fn find_topic<'a>(image: &'a MetadataImage, key: &TopicKey) -> Result<&'a Arc<Topic>, ResponseError> {
    match key {
        TopicKey::Id(id) => image.topic_by_id(TopicId(*id)).ok_or(ResponseError::UnknownTopicId),
        TopicKey::Name(name) => image.topic(name).ok_or(ResponseError::UnknownTopicOrPartition),
    }
}

#[cfg(test)]
mod tests {
    use trilog_cluster::controller::configs::Configs;
    use trilog_cluster::controller::{ControllerRecord, PartitionRecord};
    use trilog_cluster::ids::NodeId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn topics_are_found_by_name_or_id() {
        let id = Uuid::from_u128(7);
        let mut image = MetadataImage::default();
        image.replay(&ControllerRecord::TopicCreated {
            name: "t".into(),
            id: TopicId(id),
            partitions: vec![PartitionRecord { group: 1, replicas: vec![NodeId(1)] }],
            configs: Configs::new(),
        });
        let by_name = |name: &str| find_topic(&image, &TopicKey::Name(name.into())).map(|topic| topic.id);
        let by_id = |id| find_topic(&image, &TopicKey::Id(id)).map(|topic| topic.id);
        assert_eq!((by_name("t"), by_id(id)), (Ok(TopicId(id)), Ok(TopicId(id))));
        assert_eq!(by_name("u"), Err(ResponseError::UnknownTopicOrPartition));
        assert_eq!(by_id(Uuid::nil()), Err(ResponseError::UnknownTopicId));
    }
}
