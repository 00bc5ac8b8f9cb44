//! Which value of a setting is in force, and which layer it comes from.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Configs;
use super::broker::BrokerSettings;
use super::broker_table::{MAX_CONNECTIONS, PRODUCER_ID_EXPIRATION_MS, broker_configs, is_dynamic};
use super::domain::{Domain, integer};
use super::topic_table::{Synonym, TOPIC_CONFIGS, TopicConfig, Unit};

/// Where a value comes from, as DescribeConfigs tells it. Variants are numbered by their order between nodes: new ones go to
/// the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfigSource {
    /// It was set for the topic.
    DynamicTopic,
    /// It was set for all brokers while the cluster runs.
    DynamicDefaultBroker,
    /// The node was started with it.
    StaticBroker,
    /// Nobody set it.
    Default,
    /// It was set for the node while the cluster runs.
    DynamicBroker,
    /// It was set for the group.
    DynamicGroup,
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
    /// Every layer that has a value, the strongest first, each under the name that the setting has there.
    pub synonyms: Vec<ConfigSynonym>,
    /// Whether it stays as it is while the cluster runs.
    pub is_read_only: bool,
    /// What values it may have.
    pub domain: Domain,
    /// What it means.
    pub doc: &'static str,
}

/// A setting's value in one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// What the setting is called there.
    pub name: &'static str,
    /// Its value there, in the unit of the name.
    pub value: String,
    /// Which layer it is.
    pub source: ConfigSource,
}

/// What a node goes by, layer by layer.
#[derive(Clone, Copy, Debug)]
pub struct BrokerLayers<'a> {
    /// What was set for this node while the cluster runs.
    pub node: &'a Configs,
    /// What was set for all nodes while the cluster runs.
    pub cluster: &'a Configs,
    /// What the node was started with.
    pub started: &'a BrokerSettings,
}

/// No settings at all.
static NOTHING: Configs = Configs::new();

impl<'a> BrokerLayers<'a> {
    /// The layers that all nodes have in common, and what this one was started with.
    #[must_use]
    pub fn common(started: &'a BrokerSettings, cluster: &'a Configs) -> Self {
        Self { node: &NOTHING, cluster, started }
    }

    /// `producer.id.expiration.ms`: how long a partition remembers an idempotent producer that writes nothing.
    #[must_use]
    pub fn producer_id_expiration(&self) -> Duration {
        let dynamic = self.dynamic_number(PRODUCER_ID_EXPIRATION_MS).and_then(|ms| u64::try_from(ms).ok());
        dynamic.map_or(self.started.producer_id_expiration, Duration::from_millis)
    }

    /// `max.connections`: how many clients may be connected at once.
    #[must_use]
    pub fn max_connections(&self) -> usize {
        let dynamic = self.dynamic_number(MAX_CONNECTIONS).and_then(|count| usize::try_from(count).ok());
        dynamic.unwrap_or(self.started.max_connections)
    }

    /// What was set for the node, or else for all nodes, while the cluster runs.
    fn dynamic_number(&self, name: &str) -> Option<i64> {
        integer(self.node.get(name).or(self.cluster.get(name))?)
    }

    /// The value that somebody gave a setting, if it is in this layer.
    fn given(&self, source: ConfigSource, name: &str) -> Option<&'a str> {
        match source {
            ConfigSource::DynamicBroker => self.node.get(name).map(String::as_str),
            ConfigSource::DynamicDefaultBroker => self.cluster.get(name).map(String::as_str),
            ConfigSource::StaticBroker => self.started.given(name),
            ConfigSource::DynamicTopic | ConfigSource::DynamicGroup | ConfigSource::Default => None,
        }
    }

    /// Every value of a setting that goes by these names, the strongest first, each name with its default. As in Kafka, a
    /// list that has nothing but defaults begins with the first name.
    fn synonyms(&self, names: &[(&'static str, Option<&'static str>)]) -> Vec<ConfigSynonym> {
        let mut synonyms = Vec::new();
        for source in LAYERS {
            let given = names.iter().filter_map(|(name, _)| Some((*name, self.given(source, name)?)));
            synonyms.extend(given.map(|(name, value)| ConfigSynonym {
                name,
                value: value.to_owned(),
                source,
            }));
        }
        let is_given = !synonyms.is_empty();
        let defaults = names.iter().filter_map(|(name, default)| Some((*name, (*default)?)));
        let defaults = defaults.skip_while(|(name, _)| !is_given && *name != names[0].0);
        synonyms.extend(defaults.map(|(name, value)| ConfigSynonym {
            name,
            value: value.to_owned(),
            source: ConfigSource::Default,
        }));
        synonyms
    }
}

/// A node's layers in which somebody gives a value, the strongest first.
const LAYERS: [ConfigSource; 3] =
    [ConfigSource::DynamicBroker, ConfigSource::DynamicDefaultBroker, ConfigSource::StaticBroker];

/// Whether the layers of each setting are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synonyms {
    /// They are.
    Told,
    /// They are not: [`EffectiveConfig::synonyms`] stays empty.
    LeftOut,
}

/// Every setting of a topic, sorted by name: set for it are `topic`, for the node `layers`.
pub fn effective_topic_configs(
    layers: BrokerLayers<'_>,
    topic: &Configs,
    synonyms: Synonyms,
) -> Vec<EffectiveConfig> {
    let effective = |config: &'static TopicConfig| {
        let (value, source) = resolve(config, layers, topic);
        EffectiveConfig {
            name: config.name,
            value: Some(value),
            source,
            synonyms: match synonyms {
                Synonyms::Told => topic_synonyms(config, layers, topic),
                Synonyms::LeftOut => Vec::new(),
            },
            is_read_only: false,
            domain: config.domain,
            doc: config.doc,
        }
    };
    TOPIC_CONFIGS.iter().map(effective).collect()
}

/// Every value of a topic's setting, the strongest first.
fn topic_synonyms(config: &TopicConfig, layers: BrokerLayers<'_>, topic: &Configs) -> Vec<ConfigSynonym> {
    let own = topic.get(config.name).map(|value| ConfigSynonym {
        name: config.name,
        value: value.clone(),
        source: ConfigSource::DynamicTopic,
    });
    let inherited =
        if config.synonyms.is_empty() { Vec::new() } else { layers.synonyms(&names_of(config, 0)) };
    own.into_iter().chain(inherited).collect()
}

/// The names of a topic's setting among a broker's from the `first` on, each with its default.
fn names_of(topic: &TopicConfig, first: usize) -> Vec<(&'static str, Option<&'static str>)> {
    let names = topic.synonyms.iter().skip(first);
    names.map(|synonym| (synonym.name, synonym.default.value(topic))).collect()
}

/// Every setting of a broker, sorted by name. Topics' defaults come under the names that brokers have for them, with the
/// value in the unit of the name.
pub fn effective_broker_configs(layers: BrokerLayers<'_>) -> Vec<EffectiveConfig> {
    let own = broker_configs().map(|config| (vec![(config.name, config.default)], config.domain, config.doc));
    let topics = TOPIC_CONFIGS.iter().flat_map(|topic| {
        let names = topic.synonyms.iter().enumerate();
        names.map(|(at, synonym)| (names_of(topic, at), synonym.domain(topic), topic.doc))
    });
    let effective = |(names, domain, doc): (Vec<_>, Domain, &'static str)| {
        let (name, _) = names[0];
        let synonyms = layers.synonyms(&names);
        // A value under a weaker name counts for topics, and is none of this name.
        let own = synonyms.iter().find(|synonym| synonym.name == name);
        EffectiveConfig {
            name,
            value: own.map(|own| own.value.clone()),
            source: own.map_or(ConfigSource::Default, |own| own.source),
            synonyms: if own.is_some() { synonyms.clone() } else { Vec::new() },
            is_read_only: !is_dynamic(name),
            domain,
            doc,
        }
    };
    let mut configs: Vec<_> = own.chain(topics).map(effective).collect();
    configs.sort_unstable_by_key(|config| config.name);
    configs
}

/// The value of a topic's setting in force. A value that this release does not allow, kept by one that did, counts
/// as not set.
pub(super) fn resolve(
    config: &TopicConfig,
    layers: BrokerLayers<'_>,
    topic: &Configs,
) -> (String, ConfigSource) {
    let allowed = |value: &String| config.domain.check(value).is_ok();
    if let Some(own) = topic.get(config.name).filter(|value| allowed(value)) {
        return (own.clone(), ConfigSource::DynamicTopic);
    }
    for source in LAYERS {
        let mut values = config
            .synonyms
            .iter()
            .filter_map(|synonym| synonym.convert(layers.given(source, synonym.name)?.to_owned()));
        if let Some(value) = values.find(allowed) {
            return (value, source);
        }
    }
    (config.default.to_owned(), ConfigSource::Default)
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

    fn settings(pairs: &[(&'static str, &'static str)]) -> BrokerSettings {
        BrokerSettings::from_pairs(pairs.iter().copied()).unwrap()
    }

    fn find<'a>(all: &'a [EffectiveConfig], name: &str) -> (&'a str, ConfigSource) {
        let config = all.iter().find(|config| config.name == name).unwrap();
        (config.value.as_deref().unwrap(), config.source)
    }

    /// `name=value@source` of each layer.
    fn chain(all: &[EffectiveConfig], name: &str) -> Vec<String> {
        let config = all.iter().find(|config| config.name == name).unwrap();
        let synonyms = config.synonyms.iter();
        synonyms.map(|one| format!("{}={}@{:?}", one.name, one.value, one.source)).collect()
    }

    #[test]
    fn the_strongest_layer_wins() {
        let started = settings(&[("message.max.bytes", "10"), ("log.retention.hours", "2")]);
        let cluster = configs(&[("message.max.bytes", "20")]);
        let node = configs(&[("message.max.bytes", "25")]);
        let topic = configs(&[("max.message.bytes", "30")]);
        let value = |node, cluster, topic| {
            let all = effective_topic_configs(
                BrokerLayers { node, cluster, started: &started },
                topic,
                Synonyms::LeftOut,
            );
            let (value, source) = find(&all, "max.message.bytes");
            (value.to_owned(), source)
        };
        assert_eq!(value(&node, &cluster, &topic), ("30".into(), ConfigSource::DynamicTopic));
        assert_eq!(value(&node, &cluster, &NOTHING), ("25".into(), ConfigSource::DynamicBroker));
        assert_eq!(value(&NOTHING, &cluster, &NOTHING), ("20".into(), ConfigSource::DynamicDefaultBroker));
        assert_eq!(value(&NOTHING, &NOTHING, &NOTHING), ("10".into(), ConfigSource::StaticBroker));
        let all =
            effective_topic_configs(BrokerLayers::common(&started, &NOTHING), &NOTHING, Synonyms::LeftOut);
        assert_eq!(find(&all, "retention.ms"), ("7200000", ConfigSource::StaticBroker));
        assert_eq!(find(&all, "segment.bytes"), ("1073741824", ConfigSource::Default));
        assert_eq!(all.len(), TOPIC_CONFIGS.len());
    }

    #[test]
    fn of_several_names_the_first_wins() {
        let retention = |pairs: &[(&'static str, &'static str)]| {
            let started = settings(pairs);
            let all = effective_topic_configs(
                BrokerLayers::common(&started, &NOTHING),
                &NOTHING,
                Synonyms::LeftOut,
            );
            find(&all, "retention.ms").0.to_owned()
        };
        assert_eq!(retention(&[("log.retention.minutes", "3"), ("log.retention.hours", "1")]), "180000");
        assert_eq!(retention(&[("log.retention.minutes", "3"), ("log.retention.ms", "7")]), "7");
        assert_eq!(retention(&[("log.retention.hours", "-1")]), "-1");
    }

    #[test]
    fn synonyms_are_told_under_the_names_of_their_layers() {
        let started = settings(&[("message.max.bytes", "10")]);
        let (node, cluster) =
            (configs(&[("message.max.bytes", "25")]), configs(&[("log.retention.ms", "7")]));
        let layers = BrokerLayers { node: &node, cluster: &cluster, started: &started };
        let topic = effective_topic_configs(layers, &configs(&[("max.message.bytes", "30")]), Synonyms::Told);
        assert_eq!(
            chain(&topic, "max.message.bytes"),
            [
                "max.message.bytes=30@DynamicTopic",
                "message.max.bytes=25@DynamicBroker",
                "message.max.bytes=10@StaticBroker",
                "message.max.bytes=1048588@Default",
            ]
        );
        let retention = ["log.retention.ms=7@DynamicDefaultBroker", "log.retention.hours=168@Default"];
        assert_eq!(chain(&topic, "retention.ms"), retention);
        assert_eq!(chain(&topic, "cleanup.policy"), ["log.cleanup.policy=delete@Default"]);
        assert!(chain(&topic, "segment.ms").is_empty(), "nobody set it, and its first name has no default");
        let broker = effective_broker_configs(layers);
        assert_eq!(chain(&broker, "log.retention.ms"), retention);
        assert_eq!(chain(&broker, "log.retention.hours"), ["log.retention.hours=168@Default"]);
        assert!(chain(&broker, "log.retention.minutes").is_empty());
    }

    #[test]
    fn a_brokers_settings_are_all_listed() {
        let (started, cluster) =
            (settings(&[("num.partitions", "4")]), configs(&[("min.insync.replicas", "2")]));
        let all = effective_broker_configs(BrokerLayers::common(&started, &cluster));
        assert!(all.is_sorted_by(|a, b| a.name < b.name));
        assert_eq!(find(&all, "num.partitions"), ("4", ConfigSource::StaticBroker));
        assert_eq!(find(&all, "min.insync.replicas"), ("2", ConfigSource::DynamicDefaultBroker));
        assert_eq!(find(&all, "message.max.bytes"), ("1048588", ConfigSource::Default));
        assert!(all.iter().any(|config| config.name == "broker.rack" && config.value.is_none()));
        let read_only = |name| all.iter().find(|config| config.name == name).unwrap().is_read_only;
        assert!(read_only("num.partitions") && read_only("log.retention.hours"));
        assert!(!read_only("log.retention.ms") && !read_only("producer.id.expiration.ms"));
    }
}
