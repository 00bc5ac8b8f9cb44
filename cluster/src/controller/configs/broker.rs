//! What a node was started with: `--set NAME=VALUE`, by Kafka's names.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::Configs;
use super::broker_table::{
    AUTO_CREATE_TOPICS_ENABLE, BROKER_RACK, CONNECTIONS_MAX_IDLE_MS, DEFAULT_REPLICATION_FACTOR,
    DELETE_TOPIC_ENABLE, LOG_RETENTION_CHECK_INTERVAL_MS, MAX_CONNECTIONS, MAX_CONNECTIONS_PER_IP,
    MAX_CONNECTIONS_PER_IP_OVERRIDES, MAX_INCREMENTAL_FETCH_SESSION_CACHE_SLOTS, NUM_PARTITIONS,
    PRODUCER_ID_EXPIRATION_MS, SOCKET_REQUEST_MAX_BYTES, broker_domain, broker_names, flag_instead_of,
};
use super::domain::InvalidValue;
use super::effective::BrokerLayers;
use super::given::Given;
use super::group::{OffsetsSettings, group_settings, offsets_settings};
use super::nearest::nearest;
use super::topic::{TopicConfigError, check_topic_configs};
use crate::coordinator::GroupSettings;

/// How many replicas a partition gets when neither a client nor a setting says, given enough nodes.
const REPLICAS_BY_DEFAULT: usize = 3;

/// A node's settings, checked. The topics' defaults among them are reached through
/// [`TopicSettings`](super::TopicSettings), which knows their order of precedence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerSettings {
    /// `num.partitions`: how many partitions a topic gets when nobody says.
    pub num_partitions: usize,
    /// `default.replication.factor`, where it is set. See [`replication_factor`](Self::replication_factor).
    pub default_replication_factor: Option<usize>,
    /// `auto.create.topics.enable`: whether a topic comes into being when a client asks for it.
    pub auto_create_topics_enable: bool,
    /// `delete.topic.enable`: whether topics can be deleted.
    pub delete_topic_enable: bool,
    /// `socket.request.max.bytes`: the largest request frame that is accepted.
    pub socket_request_max_bytes: usize,
    /// `max.connections`: how many connections the node holds at once.
    pub max_connections: usize,
    /// `max.connections.per.ip`: how many of them one address may have.
    pub max_connections_per_ip: usize,
    /// `max.connections.per.ip.overrides`: the same for single addresses, those of IPv4 in their own form.
    pub max_connections_per_ip_overrides: BTreeMap<IpAddr, usize>,
    /// `max.incremental.fetch.session.cache.slots`: how many fetch sessions the node keeps at once.
    pub max_incremental_fetch_session_cache_slots: usize,
    /// `connections.max.idle.ms`: after how long without a request a connection is closed. None: never.
    pub connections_max_idle: Option<Duration>,
    /// `log.retention.check.interval.ms`: how often a leader looks for records whose time is over.
    pub log_retention_check_interval: Duration,
    /// `producer.id.expiration.ms`: how long a partition remembers an idempotent producer that writes nothing.
    pub producer_id_expiration: Duration,
    /// `broker.rack`: where the node stands, told to clients.
    pub rack: Option<String>,
    /// What group coordinators go by.
    pub groups: Arc<GroupSettings>,
    /// How committed offsets are stored.
    pub offsets: OffsetsSettings,
    /// What was given, by name.
    given: Given,
}

/// Why a `NAME=VALUE` pair is refused. Names what is wrong and what is allowed.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SettingError {
    /// No setting is called so.
    #[error("{name}: there is no such broker setting{}", .suggestion.map(|known| format!("; did you mean {known}?")).unwrap_or_default())]
    Unknown {
        /// The name given.
        name: String,
        /// The known name nearest to it, if one is near.
        suggestion: Option<&'static str>,
    },
    /// Kafka has such a setting, Trilog a flag for it.
    #[error("{name}: this is set with the flag {flag}")]
    HasFlag {
        /// The name given.
        name: String,
        /// The flag to use.
        flag: &'static str,
    },
    /// The setting cannot have that value.
    #[error("{name}: invalid value {value:?}: {reason}")]
    InvalidValue {
        /// The setting.
        name: &'static str,
        /// The value given.
        value: String,
        /// What is allowed.
        reason: InvalidValue,
    },
    /// Settings that are allowed one by one, but not together.
    #[error(transparent)]
    Conflict(TopicConfigError),
    /// A bound that is on the wrong side of what it bounds.
    #[error("{lower} ({below}) must not be greater than {upper} ({above})")]
    NotAscending {
        /// The setting that must not be the greater one.
        lower: &'static str,
        /// Its value.
        below: i64,
        /// The setting that must not be the smaller one.
        upper: &'static str,
        /// Its value.
        above: i64,
    },
    /// Members of consumer groups would be thrown out before their first heartbeat.
    #[error(
        "group.consumer.heartbeat.interval.ms ({interval}) must be less than \
         group.consumer.session.timeout.ms ({session})"
    )]
    HeartbeatTooSlow {
        /// How often members send heartbeats, in milliseconds.
        interval: i64,
        /// After how many milliseconds without one they are gone.
        session: i64,
    },
}

impl BrokerSettings {
    /// The settings that `pairs` of names and values make, with the defaults for the rest. A name given twice has
    /// its last value.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Result<Self, SettingError>
    where
        N: AsRef<str>,
        V: Into<String>,
    {
        let mut given = Given::default();
        for (name, value) in pairs {
            let (name, value) = check(name.as_ref().trim(), value.into())?;
            given.insert(name, value);
        }
        check_retention(&given)?;
        let settings = Self {
            num_partitions: given.size(NUM_PARTITIONS)?,
            default_replication_factor: given.size_if_given(DEFAULT_REPLICATION_FACTOR)?,
            auto_create_topics_enable: given.boolean(AUTO_CREATE_TOPICS_ENABLE)?,
            delete_topic_enable: given.boolean(DELETE_TOPIC_ENABLE)?,
            socket_request_max_bytes: given.size(SOCKET_REQUEST_MAX_BYTES)?,
            max_connections: given.size(MAX_CONNECTIONS)?,
            max_connections_per_ip: given.size(MAX_CONNECTIONS_PER_IP)?,
            max_connections_per_ip_overrides: given.counts(MAX_CONNECTIONS_PER_IP_OVERRIDES)?,
            max_incremental_fetch_session_cache_slots: given
                .size(MAX_INCREMENTAL_FETCH_SESSION_CACHE_SLOTS)?,
            // A negative one means never.
            connections_max_idle: u64::try_from(given.integer(CONNECTIONS_MAX_IDLE_MS)?)
                .ok()
                .map(Duration::from_millis),
            log_retention_check_interval: given.milliseconds(LOG_RETENTION_CHECK_INTERVAL_MS)?,
            producer_id_expiration: given.milliseconds(PRODUCER_ID_EXPIRATION_MS)?,
            rack: given.get(BROKER_RACK).map(str::to_owned),
            groups: Arc::new(group_settings(&given)?),
            offsets: offsets_settings(&given)?,
            given,
        };
        check_topic_configs(BrokerLayers::common(&settings, &Configs::new()), &Configs::new())
            .map_err(SettingError::Conflict)?;
        Ok(settings)
    }

    /// How many replicas a partition gets when the client leaves it open, with `nodes` in the cluster: what was set,
    /// or three as far as there are nodes for them.
    pub fn replication_factor(&self, nodes: usize) -> usize {
        self.default_replication_factor.unwrap_or(REPLICAS_BY_DEFAULT.min(nodes))
    }

    /// How many replicas a partition of `__consumer_offsets` gets, with `nodes` in the cluster. Two are what a majority of two
    /// is: with a third node they are never what nobody asked for, as all groups would stop with one node.
    pub fn offsets_replication_factor(&self, nodes: usize) -> usize {
        let by_default = || match self.replication_factor(nodes) {
            2 => REPLICAS_BY_DEFAULT.min(nodes),
            factor => factor,
        };
        self.offsets.topic_replication_factor.unwrap_or_else(by_default)
    }

    /// The value given for a setting, if one was.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.given.get(name)
    }
}

impl Default for BrokerSettings {
    /// The settings of a node that was given none.
    fn default() -> Self {
        Self::from_pairs::<&str, &str>([]).expect("a test shows that all defaults are allowed")
    }
}

/// Refuses a retention of no time, as Kafka does: everything would be deleted at each look. Of the settings that name the time,
/// the one of the finest unit is in force.
fn check_retention(given: &Given) -> Result<(), SettingError> {
    let names = ["log.retention.ms", "log.retention.minutes", "log.retention.hours"];
    match names.into_iter().find(|name| given.get(name).is_some()) {
        Some(name) if given.integer(name)? == 0 => Err(given.refused(name, InvalidValue::Zero)),
        _ => Ok(()),
    }
}

fn check(name: &str, value: String) -> Result<(&'static str, String), SettingError> {
    if let Some(flag) = flag_instead_of(name) {
        return Err(SettingError::HasFlag { name: name.to_owned(), flag });
    }
    let Some((name, domain)) = broker_domain(name) else {
        return Err(SettingError::Unknown {
            name: name.to_owned(),
            suggestion: nearest(name, broker_names()),
        });
    };
    match domain.check(&value) {
        Ok(()) => Ok((name, value)),
        Err(reason) => Err(SettingError::InvalidValue { name, value, reason }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(pair: (&str, &str)) -> String {
        BrokerSettings::from_pairs([pair]).unwrap_err().to_string()
    }

    #[test]
    fn defaults_are_those_of_the_table() {
        let settings = BrokerSettings::default();
        assert_eq!(settings.num_partitions, 1);
        assert!(settings.auto_create_topics_enable && settings.delete_topic_enable);
        assert_eq!(settings.socket_request_max_bytes, 104_857_600);
        assert_eq!(settings.connections_max_idle, Some(Duration::from_secs(600)));
        assert_eq!(settings.log_retention_check_interval, Duration::from_secs(300));
        assert_eq!(settings.producer_id_expiration, Duration::from_secs(86_400));
        assert_eq!([1, 2, 3, 5].map(|nodes| settings.replication_factor(nodes)), [1, 2, 3, 3]);
    }

    #[test]
    fn given_settings_are_read() {
        let settings = BrokerSettings::from_pairs([
            ("num.partitions", "2"),
            ("num.partitions", "6"),
            ("default.replication.factor", "2"),
            ("auto.create.topics.enable", "FALSE"),
            ("connections.max.idle.ms", "-1"),
            ("broker.rack", "r1"),
            ("log.retention.hours", "-1"),
        ])
        .unwrap();
        assert_eq!(settings.num_partitions, 6);
        assert_eq!([1, 3].map(|nodes| settings.replication_factor(nodes)), [2, 2]);
        assert!(!settings.auto_create_topics_enable);
        assert_eq!(settings.connections_max_idle, None);
        assert_eq!(settings.rack.as_deref(), Some("r1"));
        assert_eq!(settings.given("log.retention.hours"), Some("-1"));
        assert_eq!(settings.given("max.connections"), None);
    }

    #[test]
    fn consumer_groups_do_not_depend_on_both_of_two_nodes_by_accident() {
        let two = BrokerSettings::from_pairs([("default.replication.factor", "2")]).unwrap();
        assert_eq!([2, 3, 5].map(|nodes| two.offsets_replication_factor(nodes)), [2, 3, 3]);
        let one = BrokerSettings::from_pairs([("default.replication.factor", "1")]).unwrap();
        assert_eq!(one.offsets_replication_factor(3), 1);
        let asked = BrokerSettings::from_pairs([("offsets.topic.replication.factor", "2")]).unwrap();
        assert_eq!(asked.offsets_replication_factor(3), 2);
    }

    #[test]
    fn a_retention_of_no_time_is_refused() {
        for name in ["log.retention.ms", "log.retention.minutes", "log.retention.hours"] {
            assert_eq!(
                message((name, "0")),
                format!("{name}: invalid value \"0\": Value must be at least 1, or -1 for no limit")
            );
            assert!(BrokerSettings::from_pairs([(name, "1")]).is_ok());
            assert!(BrokerSettings::from_pairs([(name, "-1")]).is_ok());
        }
        let finer = [("log.retention.hours", "0"), ("log.retention.ms", "5")];
        assert!(BrokerSettings::from_pairs(finer).is_ok(), "the hours are not in force");
    }

    #[test]
    fn a_refusal_says_what_is_allowed() {
        assert_eq!(
            message(("num.partition", "3")),
            "num.partition: there is no such broker setting; did you mean num.partitions?"
        );
        assert_eq!(message(("zookeeper.connect", "x")), "zookeeper.connect: there is no such broker setting");
        assert_eq!(message(("log.dirs", "/d")), "log.dirs: this is set with the flag --data-dir");
        assert_eq!(
            message(("num.partitions", "0")),
            "num.partitions: invalid value \"0\": Value must be at least 1"
        );
        assert_eq!(
            message(("log.message.timestamp.type", "now")),
            "log.message.timestamp.type: invalid value \"now\": String must be one of: CreateTime, LogAppendTime"
        );
        let lags = [("log.cleaner.min.compaction.lag.ms", "2"), ("log.cleaner.max.compaction.lag.ms", "1")];
        assert!(matches!(BrokerSettings::from_pairs(lags), Err(SettingError::Conflict(_))));
        assert_eq!(
            message(("log.retention.minutes", "5000000000")),
            "log.retention.minutes: invalid value \"5000000000\": Not a number of type INT"
        );
    }
}
