//! The topics' settings in force, parsed once a change rather than once a produce request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use trilog_cluster::controller::configs::{BrokerSettings, Configs, TopicSettings};
use trilog_cluster::controller::{MetadataImage, Topic};
use trilog_cluster::ids::{NodeId, TopicId};

/// Settings by topic. An entry is good as long as the image holds the very same topic and the settings of all nodes and of
/// this one have not changed. Bounded by the number of topics: entries of topics that are gone are dropped
/// before it grows to twice that.
#[derive(Default)]
pub(super) struct TopicSettingsCache {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    cluster_configs: Configs,
    node_configs: Configs,
    topics: HashMap<TopicId, (Arc<Topic>, Arc<TopicSettings>)>,
}

impl TopicSettingsCache {
    /// The settings in force for `topic` of `image` on `node`, which was started with `broker`.
    pub(super) fn get(
        &self,
        image: &MetadataImage,
        topic: &Arc<Topic>,
        node: NodeId,
        broker: &BrokerSettings,
    ) -> Arc<TopicSettings> {
        // What the lock guards is consistent between any two statements, so a panic elsewhere does no harm.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (cluster_configs, node_configs) = (image.cluster_configs(), image.node_configs(node));
        if known.cluster_configs != *cluster_configs || known.node_configs != *node_configs {
            let (cluster_configs, node_configs) = (cluster_configs.clone(), node_configs.clone());
            *known = Known { cluster_configs, node_configs, topics: HashMap::new() };
        }
        if let Some((of, settings)) = known.topics.get(&topic.id)
            && Arc::ptr_eq(of, topic)
        {
            return Arc::clone(settings);
        }
        if known.topics.len() >= 2 * image.topics().len() {
            known.topics.retain(|id, _| image.topic_by_id(*id).is_some());
        }
        let settings = Arc::new(image.topic_settings(topic, node, broker));
        known.topics.insert(topic.id, (Arc::clone(topic), Arc::clone(&settings)));
        settings
    }
}

#[cfg(test)]
mod tests {
    use trilog_cluster::controller::{ControllerRecord, PartitionRecord};
    use uuid::Uuid;

    use super::*;

    fn created(number: u64, max_message_bytes: &str) -> ControllerRecord {
        ControllerRecord::TopicCreated {
            name: format!("t{number}"),
            id: TopicId(Uuid::from_u128(u128::from(number))),
            partitions: vec![PartitionRecord { group: number, replicas: vec![NodeId(1)] }],
            configs: configs("max.message.bytes", max_message_bytes),
        }
    }

    fn configs(name: &str, value: &str) -> Configs {
        Configs::from([(name.to_owned(), value.to_owned())])
    }

    fn settings_of(cache: &TopicSettingsCache, image: &MetadataImage, name: &str) -> TopicSettings {
        let topic = image.topic(name).unwrap();
        TopicSettings::clone(&cache.get(image, topic, NodeId(1), &BrokerSettings::default()))
    }

    #[test]
    fn a_change_of_the_topic_or_of_the_cluster_is_seen() {
        let (cache, mut image) = (TopicSettingsCache::default(), MetadataImage::default());
        image.replay(&created(1, "1000"));
        assert_eq!(settings_of(&cache, &image, "t1").max_message_bytes, 1000);
        let id = TopicId(Uuid::from_u128(1));
        image.replay(&ControllerRecord::TopicConfigsSet { id, configs: Configs::new() });
        assert_eq!(settings_of(&cache, &image, "t1").max_message_bytes, 1_048_588);
        image.replay(&ControllerRecord::ClusterConfigsSet { configs: configs("message.max.bytes", "7") });
        assert_eq!(settings_of(&cache, &image, "t1").max_message_bytes, 7);
        let node =
            |node| ControllerRecord::NodeConfigsSet { node, configs: configs("message.max.bytes", "5") };
        image.replay(&node(NodeId(2)));
        assert_eq!(settings_of(&cache, &image, "t1").max_message_bytes, 7);
        image.replay(&node(NodeId(1)));
        assert_eq!(settings_of(&cache, &image, "t1").max_message_bytes, 5);
    }

    #[test]
    fn topics_that_are_gone_are_forgotten() {
        let (cache, mut image) = (TopicSettingsCache::default(), MetadataImage::default());
        for number in 1..100 {
            image.replay(&created(number, "1000"));
            settings_of(&cache, &image, &format!("t{number}"));
            image
                .replay(&ControllerRecord::TopicDeleted { id: TopicId(Uuid::from_u128(u128::from(number))) });
        }
        assert!(cache.known.lock().unwrap().topics.len() <= 2);
    }
}
