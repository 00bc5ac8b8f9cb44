//! The settings of this node as DescribeConfigs tells them: those of the tables, and what the node was started with by flags.

use trilog_cluster::controller::MetadataImage;
use trilog_cluster::controller::configs::{
    ConfigSource, ConfigSynonym, Domain, EffectiveConfig, effective_broker_configs,
};

use super::broker::Broker;

const DEFAULT_REPLICATION_FACTOR: &str = "default.replication.factor";
const OFFSETS_TOPIC_REPLICATION_FACTOR: &str = "offsets.topic.replication.factor";

/// All settings of this node, sorted by name.
pub(super) fn all(broker: &Broker, image: &MetadataImage) -> Vec<EffectiveConfig> {
    let mut configs = effective_broker_configs(image.broker_layers(broker.node.id(), broker.settings()));
    let nodes = broker.node.cluster_size();
    for config in &mut configs {
        let factor = match config.name {
            DEFAULT_REPLICATION_FACTOR => broker.settings().replication_factor(nodes),
            OFFSETS_TOPIC_REPLICATION_FACTOR => broker.settings().offsets_replication_factor(nodes),
            _ => continue,
        };
        // What is not set depends on the number of nodes.
        if config.value.is_none() {
            let (name, value, source) = (config.name, factor.to_string(), ConfigSource::Default);
            config.synonyms = vec![ConfigSynonym { name, value: value.clone(), source }];
            config.value = Some(value);
        }
    }
    configs.extend(given_by_flags(broker));
    configs.sort_unstable_by_key(|config| config.name);
    configs
}

/// The settings of all nodes that were given while the cluster runs, under no node's name.
pub(super) fn of_all_nodes(broker: &Broker, image: &MetadataImage) -> Vec<EffectiveConfig> {
    let given = image.cluster_configs();
    let mut configs = effective_broker_configs(image.broker_layers(broker.node.id(), broker.settings()));
    configs.retain(|config| given.contains_key(config.name));
    for config in &mut configs {
        let source = ConfigSource::DynamicDefaultBroker;
        config.synonyms.retain(|synonym| synonym.source == source && synonym.name == config.name);
        config.value = given.get(config.name).cloned();
        config.source = source;
    }
    configs
}

fn given_by_flags(broker: &Broker) -> Vec<EffectiveConfig> {
    let started = &broker.started;
    let (id, directory) = (broker.node.id().to_string(), started.data_dir.to_string_lossy().into_owned());
    let number = Domain::Int { min: 0, max: i32::MAX };
    let flag = |name, value: String, domain, doc| EffectiveConfig {
        name,
        value: Some(value.clone()),
        source: ConfigSource::StaticBroker,
        synonyms: vec![ConfigSynonym { name, value, source: ConfigSource::StaticBroker }],
        is_read_only: true,
        domain,
        doc,
    };
    vec![
        flag(
            "advertised.listeners",
            started.advertised_listeners.clone(),
            Domain::ListOf(&[]),
            "Where clients are told to connect (--advertised-listeners).",
        ),
        flag("broker.id", id.clone(), number, "This node's number (--node-id)."),
        flag(
            "listeners",
            started.listeners.clone(),
            Domain::ListOf(&[]),
            "Where clients are served (--listeners).",
        ),
        flag(
            "log.dir",
            directory.clone(),
            Domain::ListOf(&[]),
            "Where this node keeps everything (--data-dir).",
        ),
        flag("log.dirs", directory, Domain::ListOf(&[]), "Where this node keeps everything (--data-dir)."),
        flag("node.id", id, number, "This node's number (--node-id)."),
        flag(
            "process.roles",
            "broker,controller".to_owned(),
            Domain::ListOf(&["broker", "controller"]),
            "What a node is: all of them are both.",
        ),
    ]
}
