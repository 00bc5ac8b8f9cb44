//! What may be set for single consumer groups (KIP-848): how long a member's session is, and how often it is to heartbeat.

use std::time::Duration;

use thiserror::Error;

use super::Configs;
use super::broker::BrokerSettings;
use super::broker_table::broker_config;
use super::domain::{Domain, InvalidValue, integer};
use super::effective::{ConfigSource, ConfigSynonym, EffectiveConfig};
use super::group_table::{
    CONSUMER_HEARTBEAT_INTERVAL_MS, CONSUMER_MAX_HEARTBEAT_INTERVAL_MS, CONSUMER_MAX_SESSION_TIMEOUT_MS,
    CONSUMER_MIN_HEARTBEAT_INTERVAL_MS, CONSUMER_MIN_SESSION_TIMEOUT_MS, CONSUMER_SESSION_TIMEOUT_MS,
};
use super::topic::{MAX_VALUE_LENGTH, TopicConfigError};

const SESSION_TIMEOUT_MS: &str = "consumer.session.timeout.ms";
const HEARTBEAT_INTERVAL_MS: &str = "consumer.heartbeat.interval.ms";

/// One setting of a group.
struct GroupConfig {
    name: &'static str,
    /// The broker's setting that holds where a group has none of its own.
    inherited: &'static str,
    /// The broker's bounds.
    least: &'static str,
    most: &'static str,
}

/// All settings of a group, sorted by name.
const GROUP_CONFIGS: [GroupConfig; 2] = [
    GroupConfig {
        name: HEARTBEAT_INTERVAL_MS,
        inherited: CONSUMER_HEARTBEAT_INTERVAL_MS,
        least: CONSUMER_MIN_HEARTBEAT_INTERVAL_MS,
        most: CONSUMER_MAX_HEARTBEAT_INTERVAL_MS,
    },
    GroupConfig {
        name: SESSION_TIMEOUT_MS,
        inherited: CONSUMER_SESSION_TIMEOUT_MS,
        least: CONSUMER_MIN_SESSION_TIMEOUT_MS,
        most: CONSUMER_MAX_SESSION_TIMEOUT_MS,
    },
];

/// What values the settings of a group may have.
pub(super) const DOMAIN: Domain = Domain::int_from(1);

/// Why a group's settings are refused, in Kafka's words: the message of `INVALID_CONFIG`.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum GroupConfigError {
    /// There is no such setting.
    #[error("Unknown group config name: {0}")]
    UnknownName(String),
    /// The setting cannot have that value.
    #[error("Invalid value {value} for configuration {name}: {reason}")]
    InvalidValue {
        /// The setting.
        name: &'static str,
        /// The value given.
        value: String,
        /// What is allowed.
        reason: InvalidValue,
    },
    /// The value is longer than any setting's may be.
    #[error(transparent)]
    TooLong(TopicConfigError),
    /// The value is below the broker's bound.
    #[error("{0} must be greater than or equal to {1}")]
    BelowLeast(&'static str, &'static str),
    /// The value is above the broker's bound.
    #[error("{0} must be less than or equal to {1}")]
    AboveMost(&'static str, &'static str),
    /// Members would be put out before their first heartbeat.
    #[error("{SESSION_TIMEOUT_MS} must be greater than {HEARTBEAT_INTERVAL_MS}")]
    HeartbeatTooSlow,
}

/// What was set for a group, where anything was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupOverrides {
    /// `consumer.session.timeout.ms`.
    pub session_timeout: Option<Duration>,
    /// `consumer.heartbeat.interval.ms`.
    pub heartbeat_interval: Option<Duration>,
}

impl GroupOverrides {
    /// What `group` holds. A value that this release does not allow counts as not set.
    #[must_use]
    pub fn of(group: &Configs) -> Self {
        let time = |name| {
            let value = group.get(name).filter(|value| DOMAIN.check(value).is_ok())?;
            integer(value).and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis)
        };
        Self { session_timeout: time(SESSION_TIMEOUT_MS), heartbeat_interval: time(HEARTBEAT_INTERVAL_MS) }
    }
}

/// Whether a group may have the settings `group`, all of them together, on nodes that were started with `started`.
///
/// # Errors
///
/// [`GroupConfigError`].
pub fn check_group_configs(started: &BrokerSettings, group: &Configs) -> Result<(), GroupConfigError> {
    for (name, value) in group {
        let config = GROUP_CONFIGS.iter().find(|config| config.name == name);
        let config = config.ok_or_else(|| GroupConfigError::UnknownName(name.clone()))?;
        if value.len() > MAX_VALUE_LENGTH {
            return Err(GroupConfigError::TooLong(TopicConfigError::TooLong));
        }
        DOMAIN.check(value).map_err(|reason| GroupConfigError::InvalidValue {
            name: config.name,
            value: value.clone(),
            reason,
        })?;
        let number = integer(value);
        if number < integer(in_force(started, config.least)) {
            return Err(GroupConfigError::BelowLeast(config.name, config.least));
        }
        if number > integer(in_force(started, config.most)) {
            return Err(GroupConfigError::AboveMost(config.name, config.most));
        }
    }
    let value =
        |name, inherited| integer(group.get(name).map_or(in_force(started, inherited), String::as_str));
    let session = value(SESSION_TIMEOUT_MS, CONSUMER_SESSION_TIMEOUT_MS);
    if session <= value(HEARTBEAT_INTERVAL_MS, CONSUMER_HEARTBEAT_INTERVAL_MS) {
        return Err(GroupConfigError::HeartbeatTooSlow);
    }
    Ok(())
}

/// A broker's setting that has a default.
fn in_force<'a>(started: &'a BrokerSettings, name: &str) -> &'a str {
    started.given(name).unwrap_or_else(|| default_of(name))
}

fn default_of(name: &str) -> &'static str {
    broker_config(name).and_then(|config| config.default).unwrap_or_default()
}

/// Every setting of a group, sorted by name: set for it are `group`, and the node was started with `started`.
pub fn effective_group_configs(started: &BrokerSettings, group: &Configs) -> Vec<EffectiveConfig> {
    let effective = |config: &GroupConfig| {
        let synonym = |name, value: &str, source| ConfigSynonym { name, value: value.to_owned(), source };
        let own = group.get(config.name).map(|value| synonym(config.name, value, ConfigSource::DynamicGroup));
        let given = started.given(config.inherited);
        let given = given.map(|value| synonym(config.inherited, value, ConfigSource::StaticBroker));
        let default = synonym(config.inherited, default_of(config.inherited), ConfigSource::Default);
        let synonyms: Vec<_> = own.into_iter().chain(given).chain([default]).collect();
        EffectiveConfig {
            name: config.name,
            value: Some(synonyms[0].value.clone()),
            source: synonyms[0].source,
            synonyms,
            is_read_only: false,
            domain: DOMAIN,
            doc: broker_config(config.inherited).map_or("", |inherited| inherited.doc),
        }
    };
    GROUP_CONFIGS.iter().map(effective).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configs(pairs: &[(&str, &str)]) -> Configs {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_groups_settings_keep_within_the_brokers_bounds() {
        let refusal = |name, value| {
            let checked = check_group_configs(&BrokerSettings::default(), &configs(&[(name, value)]));
            checked.map_or_else(|why| why.to_string(), |()| "ok".into())
        };
        assert_eq!(refusal(SESSION_TIMEOUT_MS, "50000"), "ok");
        assert_eq!(
            refusal(SESSION_TIMEOUT_MS, "1"),
            "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms"
        );
        assert_eq!(
            refusal(HEARTBEAT_INTERVAL_MS, "60000"),
            "consumer.heartbeat.interval.ms must be less than or equal to group.consumer.max.heartbeat.interval.ms"
        );
        assert_eq!(
            refusal(SESSION_TIMEOUT_MS, "x"),
            "Invalid value x for configuration consumer.session.timeout.ms: Not a number of type INT"
        );
        let padded = format!("{}50000", "0".repeat(MAX_VALUE_LENGTH));
        assert!(refusal(SESSION_TIMEOUT_MS, &padded).contains("exceeds the maximum value size"));
        assert_eq!(refusal("session.timeout.ms", "5"), "Unknown group config name: session.timeout.ms");
        let loose = [
            ("group.consumer.max.heartbeat.interval.ms", "90000"),
            ("group.consumer.max.session.timeout.ms", "90000"),
        ];
        let loose = BrokerSettings::from_pairs(loose).unwrap();
        let slow = configs(&[(HEARTBEAT_INTERVAL_MS, "50000")]);
        assert_eq!(check_group_configs(&loose, &slow), Err(GroupConfigError::HeartbeatTooSlow));
    }

    #[test]
    fn what_a_group_lacks_is_the_brokers() {
        let started = BrokerSettings::from_pairs([("group.consumer.session.timeout.ms", "46000")]).unwrap();
        let all = effective_group_configs(&started, &configs(&[(HEARTBEAT_INTERVAL_MS, "6000")]));
        let told: Vec<_> = all
            .iter()
            .map(|config| (config.value.as_deref().unwrap(), config.source, config.synonyms.len()))
            .collect();
        assert_eq!(told, [("6000", ConfigSource::DynamicGroup, 2), ("46000", ConfigSource::StaticBroker, 2)]);
    }

    #[test]
    fn overrides_are_read() {
        let overrides =
            GroupOverrides::of(&configs(&[(SESSION_TIMEOUT_MS, "46000"), (HEARTBEAT_INTERVAL_MS, "?")]));
        let session_timeout = Some(Duration::from_secs(46));
        assert_eq!(overrides, GroupOverrides { session_timeout, heartbeat_interval: None });
    }
}
