//! Which value of a setting is in force, and which layer it comes from.

use serde::{Deserialize, Serialize};

use super::Configs;
use super::broker::BrokerSettings;
use super::broker_table::broker_configs;
use super::domain::{Domain, integer};
use super::topic_table::{Synonym, TOPIC_CONFIGS, TopicConfig, Unit};

/// Where a value comes from, as DescribeConfigs tells it; the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConfigSource {
    /// It was set for the topic.
    DynamicTopic,
    /// It was set for all brokers while the cluster runs.
    DynamicDefaultBroker,
    /// The node was started with it.
    StaticBroker,
    /// Nobody set it.
    Default,
}

/// A setting with the value in force.
#[derive(Clone, Debug, PartialEq)]
pub struct EffectiveConfig {
    /// Kafka's name.
    pub name: &'static str,
    /// The value. None for a broker's setting without a default that was not set.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// What values it may have.
    pub domain: Domain,
    /// What it means.
    pub doc: &'static str,
}

/// Every setting of a topic, sorted by name: set for it are `topic`, for all brokers `cluster`, for the node `broker`.
pub fn effective_topic_configs(
    broker: &BrokerSettings,
    cluster: &Configs,
    topic: &Configs,
) -> Vec<EffectiveConfig> {
    let effective = |config: &'static TopicConfig| {
        let (value, source) = resolve(config, broker, cluster, topic);
        EffectiveConfig {
            name: config.name,
            value: Some(value),
            source,
            domain: config.domain,
            doc: config.doc,
        }
    };
    TOPIC_CONFIGS.iter().map(effective).collect()
}

/// Every setting of a broker, sorted by name: set for all brokers are `cluster`, for this one `broker`. Topics'
/// defaults come under the names that brokers have for them, with the value in the unit of the name.
pub fn effective_broker_configs(broker: &BrokerSettings, cluster: &Configs) -> Vec<EffectiveConfig> {
    let own = broker_configs().map(|config| (config.name, config.domain, config.default, config.doc));
    let topics = TOPIC_CONFIGS.iter().flat_map(|topic| {
        topic.synonyms.iter().map(|synonym| {
            let default = (synonym.unit == Unit::Same).then_some(topic.default);
            (synonym.name, synonym.domain(topic), default, topic.doc)
        })
    });
    let mut configs: Vec<_> = own
        .chain(topics)
        .map(|(name, domain, default, doc)| {
            let (value, source) = layered(name, broker, cluster)
                .map_or((default, ConfigSource::Default), |(value, source)| (Some(value), source));
            EffectiveConfig { name, value: value.map(str::to_owned), source, domain, doc }
        })
        .collect();
    configs.sort_unstable_by_key(|config| config.name);
    configs
}

/// The value of a topic's setting in force. A value that this release does not allow, kept by one that did, counts
/// as not set.
pub(super) fn resolve(
    config: &TopicConfig,
    broker: &BrokerSettings,
    cluster: &Configs,
    topic: &Configs,
) -> (String, ConfigSource) {
    let allowed = |value: &String| config.domain.check(value).is_ok();
    let own = topic.get(config.name).cloned().filter(allowed);
    let under_a_synonym = |lookup: &dyn Fn(&str) -> Option<String>| {
        let mut values = config.synonyms.iter().filter_map(|known| known.convert(lookup(known.name)?));
        values.find(allowed)
    };
    if let Some(value) = own {
        (value, ConfigSource::DynamicTopic)
    } else if let Some(value) = under_a_synonym(&|name| cluster.get(name).cloned()) {
        (value, ConfigSource::DynamicDefaultBroker)
    } else if let Some(value) = under_a_synonym(&|name| broker.given(name).map(str::to_owned)) {
        (value, ConfigSource::StaticBroker)
    } else {
        (config.default.to_owned(), ConfigSource::Default)
    }
}

fn layered<'a>(
    name: &str,
    broker: &'a BrokerSettings,
    cluster: &'a Configs,
) -> Option<(&'a str, ConfigSource)> {
    let dynamic = cluster.get(name).map(|value| (value.as_str(), ConfigSource::DynamicDefaultBroker));
    dynamic.or_else(|| broker.given(name).map(|value| (value, ConfigSource::StaticBroker)))
}

impl Synonym {
    /// What values it may have, as the broker's name for `topic`.
    pub(super) fn domain(&self, topic: &TopicConfig) -> Domain {
        match self.unit {
            Unit::Same => topic.domain,
            Unit::Minutes | Unit::Hours => Domain::int_from(-1),
        }
    }

    /// A broker's value in the topic's unit. A negative time means "for ever" in any unit.
    fn convert(&self, value: String) -> Option<String> {
        let milliseconds = match self.unit {
            Unit::Same => return Some(value),
            Unit::Minutes => 60_000,
            Unit::Hours => 3_600_000,
        };
        let time = integer(&value)?;
        Some(if time < 0 { -1 } else { time.saturating_mul(milliseconds) }.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configs(pairs: &[(&str, &str)]) -> Configs {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn find<'a>(all: &'a [EffectiveConfig], name: &str) -> (&'a str, ConfigSource) {
        let config = all.iter().find(|config| config.name == name).unwrap();
        (config.value.as_deref().unwrap(), config.source)
    }

    #[test]
    fn the_strongest_layer_wins() {
        let broker =
            BrokerSettings::from_pairs([("message.max.bytes", "10"), ("log.retention.hours", "2")]).unwrap();
        let cluster = configs(&[("message.max.bytes", "20")]);
        let topic = configs(&[("max.message.bytes", "30")]);
        let none = Configs::new();
        let value = |cluster, topic| {
            let all = effective_topic_configs(&broker, cluster, topic);
            let (value, source) = find(&all, "max.message.bytes");
            (value.to_owned(), source)
        };
        assert_eq!(value(&cluster, &topic), ("30".into(), ConfigSource::DynamicTopic));
        assert_eq!(value(&cluster, &none), ("20".into(), ConfigSource::DynamicDefaultBroker));
        assert_eq!(value(&none, &none), ("10".into(), ConfigSource::StaticBroker));
        let all = effective_topic_configs(&broker, &none, &none);
        assert_eq!(find(&all, "retention.ms"), ("7200000", ConfigSource::StaticBroker));
        assert_eq!(find(&all, "segment.bytes"), ("1073741824", ConfigSource::Default));
        assert_eq!(all.len(), TOPIC_CONFIGS.len());
    }

    #[test]
    fn of_several_names_the_first_wins() {
        let settings = |pairs: &[(&'static str, &'static str)]| {
            let broker = BrokerSettings::from_pairs(pairs.iter().copied()).unwrap();
            let all = effective_topic_configs(&broker, &Configs::new(), &Configs::new());
            find(&all, "retention.ms").0.to_owned()
        };
        assert_eq!(settings(&[("log.retention.minutes", "3"), ("log.retention.hours", "1")]), "180000");
        assert_eq!(settings(&[("log.retention.minutes", "3"), ("log.retention.ms", "7")]), "7");
        assert_eq!(settings(&[("log.retention.hours", "-1")]), "-1");
    }

    #[test]
    fn a_brokers_settings_are_all_listed() {
        let broker = BrokerSettings::from_pairs([("num.partitions", "4")]).unwrap();
        let all = effective_broker_configs(&broker, &configs(&[("min.insync.replicas", "2")]));
        assert!(all.is_sorted_by(|a, b| a.name < b.name));
        assert_eq!(find(&all, "num.partitions"), ("4", ConfigSource::StaticBroker));
        assert_eq!(find(&all, "min.insync.replicas"), ("2", ConfigSource::DynamicDefaultBroker));
        assert_eq!(find(&all, "message.max.bytes"), ("1048588", ConfigSource::Default));
        assert!(all.iter().any(|config| config.name == "broker.rack" && config.value.is_none()));
    }
}
