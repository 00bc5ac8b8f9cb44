//! Settings by Kafka's names: those of a topic, those of a broker, and which of them is in force.
//!
//! A topic's setting is looked for in five layers, the strongest first: what was set for the topic, for the node, and for
//! all nodes while the cluster runs, what the node was started with (`--set NAME=VALUE`), and the default. In the
//! lower layers it goes by other names, for historical reasons several at times: `retention.ms` of a topic is
//! `log.retention.ms`, `log.retention.minutes` or `log.retention.hours` of a broker.
//!
//! Every setting that Kafka 4 has for topics is in the [table](TOPIC_CONFIGS), is checked by name and value, and is
//! kept and shown. The table marks which ones Trilog acts on. The others are accepted because tools and
//! infrastructure code set them on every topic, and to refuse them would be to refuse the topic.

mod broker;
mod broker_table;
mod canonical;
mod domain;
mod dynamic;
mod effective;
mod given;
mod group;
mod group_configs;
mod group_table;
mod nearest;
#[cfg(test)]
mod properties;
mod topic;
mod topic_table;

use std::collections::BTreeMap;

pub use broker::{BrokerSettings, SettingError};
pub(super) use broker_table::dynamic_list_default;
pub(super) use canonical::{
    canonical_broker_configs, canonical_group_configs, canonical_topic_configs, short_broker_value,
    short_group_value, short_topic_value,
};
pub(super) use domain::list_value;
pub use domain::{Domain, InvalidValue};
pub use dynamic::{DynamicConfigError, check_dynamic_configs};
pub use effective::{
    BrokerLayers, ConfigSource, ConfigSynonym, EffectiveConfig, Synonyms, effective_broker_configs,
    effective_topic_configs,
};
pub use group::OffsetsSettings;
pub use group_configs::{GroupConfigError, GroupOverrides, check_group_configs, effective_group_configs};
pub use topic::{MAX_VALUE_LENGTH, TopicConfigError, TopicSettings, check_topic_configs};
pub use topic_table::{Synonym, SynonymDefault, TOPIC_CONFIGS, TopicConfig, Unit, topic_config};

/// Settings as they were given: names and values. Which names and values are allowed depends on where they stand.
pub type Configs = BTreeMap<String, String>;
