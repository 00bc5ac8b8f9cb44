//! The table of a broker's own settings: those that are no topic's default.
//!
//! What a node is, as opposed to how it behaves, is not among them: its number, its addresses and its directory have
//! flags of their own, and [`flag_instead_of`] says so to whoever sets them by Kafka's name.

use super::domain::Domain;
use super::group_table::GROUP_CONFIGS;
use super::topic_table::{TOPIC_CONFIGS, TopicConfig};

/// One setting of a broker.
#[derive(Debug)]
pub(super) struct BrokerConfig {
    /// Kafka's name.
    pub(super) name: &'static str,
    /// What values it may have.
    pub(super) domain: Domain,
    /// Its value when it is not set. None where its absence means something.
    pub(super) default: Option<&'static str>,
    /// What it means, in a sentence or two.
    pub(super) doc: &'static str,
}

pub(super) const AUTO_CREATE_TOPICS_ENABLE: &str = "auto.create.topics.enable";
pub(super) const BROKER_RACK: &str = "broker.rack";
pub(super) const CONNECTIONS_MAX_IDLE_MS: &str = "connections.max.idle.ms";
pub(super) const DEFAULT_REPLICATION_FACTOR: &str = "default.replication.factor";
pub(super) const LOG_RETENTION_CHECK_INTERVAL_MS: &str = "log.retention.check.interval.ms";
pub(super) const DELETE_TOPIC_ENABLE: &str = "delete.topic.enable";
pub(super) const MAX_CONNECTIONS: &str = "max.connections";
pub(super) const MAX_CONNECTIONS_PER_IP: &str = "max.connections.per.ip";
pub(super) const MAX_CONNECTIONS_PER_IP_OVERRIDES: &str = "max.connections.per.ip.overrides";
pub(super) const MAX_INCREMENTAL_FETCH_SESSION_CACHE_SLOTS: &str =
    "max.incremental.fetch.session.cache.slots";
pub(super) const NUM_PARTITIONS: &str = "num.partitions";
pub(super) const PRODUCER_ID_EXPIRATION_MS: &str = "producer.id.expiration.ms";
pub(super) const SOCKET_REQUEST_MAX_BYTES: &str = "socket.request.max.bytes";

pub(super) const fn config(
    name: &'static str,
    domain: Domain,
    default: Option<&'static str>,
    doc: &'static str,
) -> BrokerConfig {
    BrokerConfig { name, domain, default, doc }
}

/// A broker's own settings but those of [consumer groups](GROUP_CONFIGS), sorted by name.
static OWN_CONFIGS: &[BrokerConfig] = &[
    config(
        AUTO_CREATE_TOPICS_ENABLE,
        Domain::Boolean,
        Some("true"),
        "Whether a topic comes into being when a client asks for it.",
    ),
    config(BROKER_RACK, Domain::Text, None, "Where the node stands, told to clients."),
    config(
        CONNECTIONS_MAX_IDLE_MS,
        Domain::Long { min: -1 },
        Some("600000"),
        "After how many milliseconds without a request a connection is closed. -1: never.",
    ),
    config(
        DEFAULT_REPLICATION_FACTOR,
        Domain::Int { min: 1, max: 32_767 },
        None,
        "How many replicas a partition gets when nobody says. Not set: three, or one a node where there are fewer.",
    ),
    config(DELETE_TOPIC_ENABLE, Domain::Boolean, Some("true"), "Whether topics can be deleted."),
    config(
        LOG_RETENTION_CHECK_INTERVAL_MS,
        Domain::Long { min: 1 },
        Some("300000"),
        "How often, in milliseconds, a leader looks for records whose time is over.",
    ),
    config(
        MAX_CONNECTIONS,
        Domain::int_from(1),
        Some("4096"),
        "How many connections the node holds at once; the next one waits. Less where the limit of open files leaves no room \
         for so many. Kafka has no bound by default.",
    ),
    config(
        MAX_CONNECTIONS_PER_IP,
        Domain::int_from(0),
        Some("2147483647"),
        "How many connections one address may have at once; one more is closed.",
    ),
    config(
        MAX_CONNECTIONS_PER_IP_OVERRIDES,
        Domain::CountsByAddress,
        Some(""),
        "The same for single addresses: ADDRESS:COUNT, separated by commas. Host names are not resolved.",
    ),
    config(
        MAX_INCREMENTAL_FETCH_SESSION_CACHE_SLOTS,
        Domain::int_from(0),
        Some("1000"),
        "How many fetch sessions the node keeps at once. A consumer without one names all its partitions in each fetch.",
    ),
    config(
        NUM_PARTITIONS,
        Domain::int_from(1),
        Some("1"),
        "How many partitions a topic gets when nobody says.",
    ),
    config(
        PRODUCER_ID_EXPIRATION_MS,
        Domain::int_from(1),
        Some("86400000"),
        "For how many milliseconds at least a partition recognises retries of an idempotent producer that writes nothing. The \
         partition's leader decides.",
    ),
    config(
        SOCKET_REQUEST_MAX_BYTES,
        Domain::int_from(1),
        Some("104857600"),
        "The largest request that is accepted; a larger one closes its connection.",
    ),
];

/// All settings of a broker that are no topic's default. Those come on top: see [`Synonym`](super::Synonym).
pub(super) fn broker_configs() -> impl Iterator<Item = &'static BrokerConfig> {
    OWN_CONFIGS.iter().chain(GROUP_CONFIGS)
}

/// The tables' entry for `name`.
pub(super) fn broker_config(name: &str) -> Option<&'static BrokerConfig> {
    broker_configs().find(|config| config.name == name)
}

/// The name in the tables and the values of a broker's setting, whether its own or a topic's default.
pub(super) fn broker_domain(name: &str) -> Option<(&'static str, Domain)> {
    if let Some(config) = broker_config(name) {
        return Some((config.name, config.domain));
    }
    TOPIC_CONFIGS.iter().find_map(|topic| {
        let synonym = topic.synonyms.iter().find(|synonym| synonym.name == name)?;
        Some((synonym.name, synonym.domain(topic)))
    })
}

/// The settings of a broker's own that may be set while the cluster runs.
const OWN_DYNAMIC: [&str; 2] = [MAX_CONNECTIONS, PRODUCER_ID_EXPIRATION_MS];

/// Whether a broker's setting may be set while the cluster runs, as in Kafka: of the names of a topic's default only the
/// strongest.
pub(super) fn is_dynamic(name: &str) -> bool {
    let first = |topic: &TopicConfig| topic.synonyms.first().is_some_and(|synonym| synonym.name == name);
    OWN_DYNAMIC.contains(&name) || TOPIC_CONFIGS.iter().any(first)
}

/// The default of a broker's setting that is a list and may be set while the cluster runs.
pub(in crate::controller) fn dynamic_list_default(name: &str) -> Option<&'static str> {
    let is_meant = |topic: &&TopicConfig| topic.synonyms.first().is_some_and(|synonym| synonym.name == name);
    TOPIC_CONFIGS.iter().find(is_meant).filter(|topic| topic.domain.is_list()).map(|topic| topic.default)
}

/// All names that a broker's setting can have.
pub(super) fn broker_names() -> impl Iterator<Item = &'static str> {
    let synonyms = TOPIC_CONFIGS.iter().flat_map(|topic| topic.synonyms);
    broker_configs().map(|config| config.name).chain(synonyms.map(|synonym| synonym.name))
}

/// The flag that takes the place of a setting that Kafka's configuration file has.
pub(super) fn flag_instead_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "node.id" | "broker.id" => "--node-id",
        "log.dir" | "log.dirs" | "metadata.log.dir" => "--data-dir",
        "listeners" => "--listeners",
        "advertised.listeners" => "--advertised-listeners",
        "controller.quorum.voters" | "controller.quorum.bootstrap.servers" => "--peers",
        "cluster.id" => "--cluster-id",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_tables_are_sorted_and_their_defaults_are_allowed() {
        assert!([OWN_CONFIGS, GROUP_CONFIGS].iter().all(|table| table.is_sorted_by(|a, b| a.name < b.name)));
        for config in broker_configs() {
            assert_eq!(config.default.map_or(Ok(()), |value| config.domain.check(value)), Ok(()));
        }
    }

    #[test]
    fn a_name_means_one_thing() {
        let names: Vec<_> = broker_names().collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert!(names.iter().all(|name| broker_domain(name).is_some_and(|(found, _)| found == *name)));
        assert!(names.iter().all(|name| flag_instead_of(name).is_none()));
    }
}
