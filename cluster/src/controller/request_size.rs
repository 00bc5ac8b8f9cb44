//! What a request may cost the controller: its size is bounded, and its values are as short as they can be.
//!
//! The controller decides on the driver's thread, where nothing that a client can make long may run. So a node makes a request ready
//! on the client's side: numbers and words lose the padding around them, and a request that names too much is refused. What is left
//! costs the driver some milliseconds at the most.

use super::configs::{short_broker_value, short_group_value, short_topic_value};
use super::requests::{
    AlterConfigs, AlterTopicConfigs, ConfigAlteration, ConfigChange, ConfigResource, ControllerRequest,
    CreatePartitions, CreateTopics, DeleteTopics, NewTopic, TopicGrowth, TopicRef,
};

/// What the names, values and other items of one request may count for, in bytes. Beyond it: `POLICY_VIOLATION`.
pub const MAX_REQUEST_BYTES: usize = 8 << 20;

/// What a topic or another resource counts for beside its name.
const RESOURCE_BYTES: usize = 256;

/// What a setting, a partition or a replica counts for beside its text.
const PART_BYTES: usize = 32;

impl ControllerRequest {
    /// The request with its values as short as they can be.
    #[must_use]
    pub(crate) fn shortened(mut self) -> Self {
        match &mut self {
            Self::CreateTopics(CreateTopics { topics, .. }) => {
                for (name, value) in topics.iter_mut().flat_map(|topic| &mut topic.configs) {
                    shorten(name, value, short_topic_value);
                }
            }
            Self::AlterTopicConfigs(AlterTopicConfigs { topics, .. }) => {
                for topic in topics {
                    topic.change.shorten(short_topic_value);
                }
            }
            Self::AlterConfigs(AlterConfigs { resources, .. }) => {
                for alteration in resources {
                    alteration.change.shorten(match alteration.resource {
                        ConfigResource::Cluster | ConfigResource::Node(_) => short_broker_value,
                        ConfigResource::Group(_) => short_group_value,
                    });
                }
            }
            _ => {}
        }
        self
    }

    /// What it counts for, in bytes, roughly in proportion to the time that it takes to decide.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::CreateTopics(request) => request.topics.iter().map(new_topic_bytes).sum(),
            Self::DeleteTopics(DeleteTopics { topics }) => topics.iter().map(topic_ref_bytes).sum(),
            Self::CreatePartitions(CreatePartitions { topics, .. }) => topics.iter().map(growth_bytes).sum(),
            Self::AlterTopicConfigs(AlterTopicConfigs { topics, .. }) => {
                topics.iter().map(|topic| RESOURCE_BYTES + topic.name.len() + topic.change.bytes()).sum()
            }
            Self::AlterConfigs(AlterConfigs { resources, .. }) => resources
                .iter()
                .map(|alteration| {
                    let name =
                        if let ConfigResource::Group(name) = &alteration.resource { name.len() } else { 0 };
                    RESOURCE_BYTES + name + alteration.change.bytes()
                })
                .sum(),
            Self::HandToPreferred(groups) => groups.len() * PART_BYTES,
            Self::RegisterBroker(_) | Self::AllocateProducerIds | Self::DescribeQuorum => RESOURCE_BYTES,
        }
    }
}

impl ConfigChange {
    fn shorten(&mut self, short: fn(&str, &str) -> String) {
        match self {
            Self::Incremental(changes) => {
                for ConfigAlteration { name, value, .. } in changes {
                    shorten(name, value, short);
                }
            }
            Self::Replace(configs) => {
                for (name, value) in configs {
                    shorten(name, value, short);
                }
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Incremental(changes) => {
                changes.iter().map(|change| setting_bytes(&change.name, change.value.as_ref())).sum()
            }
            Self::Replace(configs) => configs_bytes(configs),
        }
    }
}

fn shorten(name: &str, value: &mut Option<String>, short: fn(&str, &str) -> String) {
    if let Some(value) = value {
        *value = short(name, value);
    }
}

fn setting_bytes(name: &str, value: Option<&String>) -> usize {
    PART_BYTES + name.len() + value.map_or(0, String::len)
}

fn configs_bytes(configs: &[(String, Option<String>)]) -> usize {
    configs.iter().map(|(name, value)| setting_bytes(name, value.as_ref())).sum()
}

fn new_topic_bytes(topic: &NewTopic) -> usize {
    let assigned = topic.assignments.iter().map(|partition| (1 + partition.replicas.len()) * PART_BYTES);
    RESOURCE_BYTES + topic.name.len() + configs_bytes(&topic.configs) + assigned.sum::<usize>()
}

fn topic_ref_bytes(topic: &TopicRef) -> usize {
    RESOURCE_BYTES + if let TopicRef::Name(name) = topic { name.len() } else { 0 }
}

fn growth_bytes(topic: &TopicGrowth) -> usize {
    let assigned = topic.assignments.iter().flatten().map(|replicas| (1 + replicas.len()) * PART_BYTES);
    RESOURCE_BYTES + topic.name.len() + assigned.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::limits::MAX_PARTITIONS_PER_REQUEST;
    use crate::controller::requests::{Assignment, ConfigOperation, ResourceAlteration, TopicAlteration};
    use crate::ids::NodeId;

    /// The longest string of a request.
    const LONGEST: usize = 32_767;

    fn padded(value: &str) -> Option<String> {
        Some(format!("{}{value}", " ".repeat(LONGEST - value.len())))
    }

    fn set(name: &str, value: &str) -> ConfigChange {
        let change =
            ConfigAlteration { name: name.into(), operation: ConfigOperation::Set, value: padded(value) };
        ConfigChange::Incremental(vec![change])
    }

    #[test]
    fn padded_values_reach_no_controller() {
        let topic = |name: &str, value: &str| TopicAlteration { name: "t".into(), change: set(name, value) };
        let topics = vec![
            topic("retention.ms", "7"),
            topic("retention.ms", "seven"),
            topic("cleanup.policy", "compact"),
            topic("no.such.setting", "x"),
        ];
        let other = |resource, name: &str| ResourceAlteration { resource, change: set(name, "45000") };
        let resources = vec![
            other(ConfigResource::Cluster, "log.retention.ms"),
            other(ConfigResource::Node(NodeId(1)), "no.such.setting"),
            other(ConfigResource::Group("g".into()), "consumer.session.timeout.ms"),
        ];
        let replaced = ConfigChange::Replace(vec![("retention.ms".into(), padded("7")), ("n".into(), None)]);
        let created = NewTopic {
            name: "t".into(),
            num_partitions: 1,
            replication_factor: 1,
            assignments: Vec::new(),
            configs: vec![("retention.ms".into(), padded("7"))],
        };
        let requests = [
            ControllerRequest::AlterTopicConfigs(AlterTopicConfigs { topics, validate_only: false }),
            ControllerRequest::AlterConfigs(AlterConfigs { resources, validate_only: false }),
            ControllerRequest::AlterTopicConfigs(AlterTopicConfigs {
                topics: vec![TopicAlteration { name: "t".into(), change: replaced }],
                validate_only: false,
            }),
            ControllerRequest::CreateTopics(CreateTopics { topics: vec![created], validate_only: false }),
        ];
        for request in requests {
            let before = request.bytes();
            let short = request.shortened();
            assert!(before > LONGEST && short.bytes() < 2_000, "{before}: {short:?}");
        }
    }

    #[test]
    fn what_else_is_bounded_stays_within_the_bound() {
        let topic = |number: usize| NewTopic {
            name: format!("a-topic-with-a-name-of-forty-letters-{number}"),
            num_partitions: -1,
            replication_factor: -1,
            assignments: vec![Assignment { partition: 0, replicas: vec![1, 2, 3] }],
            configs: vec![("retention.ms".into(), Some("604800000".into()))],
        };
        let topics = (0..MAX_PARTITIONS_PER_REQUEST).map(topic).collect();
        let request = ControllerRequest::CreateTopics(CreateTopics { topics, validate_only: false });
        assert!(request.bytes() < MAX_REQUEST_BYTES, "{}", request.bytes());
        let names = (0..300_000).map(|number| TopicRef::Name(number.to_string())).collect();
        assert!(ControllerRequest::DeleteTopics(DeleteTopics { topics: names }).bytes() > MAX_REQUEST_BYTES);
    }
}
