//! A topic's settings: whether they may be set, and what those that Trilog acts on come to.

use thiserror::Error;

use super::Configs;
use super::domain::{InvalidValue, boolean, integer, list_value};
use super::effective::{BrokerLayers, resolve};
use super::topic_table::{
    CLEANUP_POLICY, MAX_COMPACTION_LAG_MS, MAX_MESSAGE_BYTES, MESSAGE_TIMESTAMP_AFTER_MAX_MS,
    MESSAGE_TIMESTAMP_BEFORE_MAX_MS, MESSAGE_TIMESTAMP_TYPE, MIN_COMPACTION_LAG_MS, MIN_INSYNC_REPLICAS,
    REMOTE_STORAGE_ENABLE, RETENTION_BYTES, RETENTION_MS, topic_config,
};
use crate::partition::{Retention, TimestampType};

/// The longest value that a setting may have, in bytes, as in Kafka.
pub const MAX_VALUE_LENGTH: usize = 32_767;

/// Why a topic's settings are refused, in Kafka's words: the message of `INVALID_CONFIG`.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TopicConfigError {
    /// Kafka has no such topic setting.
    #[error("Unknown topic config name: {0}")]
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
    /// The value is longer than [`MAX_VALUE_LENGTH`].
    #[error(
        "The configuration value cannot be added because it exceeds the maximum value size of {MAX_VALUE_LENGTH} bytes."
    )]
    TooLong,
    /// Compaction would have to happen before it may.
    #[error("conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})")]
    CompactionLag {
        /// Before this it must not happen.
        min: i64,
        /// After this it must have happened.
        max: i64,
    },
    /// There is no remote storage to turn on.
    #[error(
        "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."
    )]
    RemoteStorage,
}

/// Whether a topic may have the settings `topic`, all of them together, on a node with `layers`.
pub fn check_topic_configs(layers: BrokerLayers<'_>, topic: &Configs) -> Result<(), TopicConfigError> {
    for (name, value) in topic {
        let config = topic_config(name).ok_or_else(|| TopicConfigError::UnknownName(name.clone()))?;
        if value.len() > MAX_VALUE_LENGTH {
            return Err(TopicConfigError::TooLong);
        }
        config.domain.check(value).map_err(|reason| TopicConfigError::InvalidValue {
            name: config.name,
            value: value.clone(),
            reason,
        })?;
    }
    let value = |name| effective(name, layers, topic);
    if boolean(&value(REMOTE_STORAGE_ENABLE)) == Some(true) {
        return Err(TopicConfigError::RemoteStorage);
    }
    let lags = (integer(&value(MIN_COMPACTION_LAG_MS)), integer(&value(MAX_COMPACTION_LAG_MS)));
    match lags {
        (Some(min), Some(max)) if min > max => Err(TopicConfigError::CompactionLag { min, max }),
        _ => Ok(()),
    }
}

/// The settings of a topic that Trilog acts on, as they are in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSettings {
    /// `max.message.bytes`: the largest record batch that is accepted.
    pub max_message_bytes: usize,
    /// `min.insync.replicas`: how many replicas must be caught up for a write with acks=all.
    pub min_insync_replicas: usize,
    /// `message.timestamp.type`: whose clock timestamps are of.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`: how far a producer's timestamp may lie behind the broker's clock.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far it may lie ahead.
    pub timestamp_after_max_ms: i64,
    /// `retention.ms` and `retention.bytes`, if `cleanup.policy` has records deleted.
    pub retention: Retention,
    /// Whether `cleanup.policy` has `compact`, so that each record needs a key.
    pub keys_required: bool,
    /// Whether `cleanup.policy` lets clients delete records: not where old ones are compacted and nothing else.
    pub clients_may_delete: bool,
}

impl TopicSettings {
    /// What is in force for a topic: set for it are `topic`, for the node `layers`.
    pub fn effective(layers: BrokerLayers<'_>, topic: &Configs) -> Self {
        let value = |name| effective(name, layers, topic);
        // Checked values are never below zero, so the fallback only satisfies the type.
        let size = |name| integer(&value(name)).and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
        let time = |name| integer(&value(name)).unwrap_or(i64::MAX);
        // A negative one means that there is no bound.
        let bound = |name| integer(&value(name)).filter(|bound| *bound >= 0);
        let policy = value(CLEANUP_POLICY);
        let has_policy = |word| list_value(&policy).any(|given| given == word);
        let retention = Retention {
            time_ms: bound(RETENTION_MS),
            bytes: bound(RETENTION_BYTES).and_then(|bytes| u64::try_from(bytes).ok()),
        };
        Self {
            max_message_bytes: size(MAX_MESSAGE_BYTES),
            min_insync_replicas: size(MIN_INSYNC_REPLICAS),
            timestamp_type: match value(MESSAGE_TIMESTAMP_TYPE).trim() {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            timestamp_before_max_ms: time(MESSAGE_TIMESTAMP_BEFORE_MAX_MS),
            timestamp_after_max_ms: time(MESSAGE_TIMESTAMP_AFTER_MAX_MS),
            retention: if has_policy("delete") { retention } else { Retention::default() },
            keys_required: has_policy("compact"),
            clients_may_delete: has_policy("delete") || !has_policy("compact"),
        }
    }
}

fn effective(name: &'static str, layers: BrokerLayers<'_>, topic: &Configs) -> String {
    let config = topic_config(name);
    config.map(|config| resolve(config, layers, topic).0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::broker::BrokerSettings;
    use super::*;

    static NONE: Configs = Configs::new();

    fn layers(started: &BrokerSettings) -> BrokerLayers<'_> {
        BrokerLayers::common(started, &NONE)
    }

    fn configs(pairs: &[(&str, &str)]) -> Configs {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn refusal(pairs: &[(&str, &str)]) -> String {
        check_topic_configs(layers(&BrokerSettings::default()), &configs(pairs)).unwrap_err().to_string()
    }

    #[test]
    fn names_and_values_are_checked() {
        let every: Configs =
            super::super::TOPIC_CONFIGS.iter().map(|c| (c.name.into(), c.default.into())).collect();
        assert_eq!(check_topic_configs(layers(&BrokerSettings::default()), &every), Ok(()));
        assert_eq!(refusal(&[("retention", "1")]), "Unknown topic config name: retention");
        assert_eq!(
            refusal(&[("retention.ms", "soon")]),
            "Invalid value soon for configuration retention.ms: Not a number of type LONG"
        );
        assert_eq!(
            refusal(&[("leader.replication.throttled.replicas", &"0:1,".repeat(10_000))]),
            "The configuration value cannot be added because it exceeds the maximum value size of 32767 bytes."
        );
        assert!(refusal(&[("remote.storage.enable", "true")]).starts_with("Tiered Storage"));
    }

    #[test]
    fn settings_must_agree_with_each_other_and_the_brokers() {
        assert_eq!(
            refusal(&[("min.compaction.lag.ms", "5"), ("max.compaction.lag.ms", "4")]),
            "conflict topic config setting min.compaction.lag.ms (5) > max.compaction.lag.ms (4)"
        );
        let broker = BrokerSettings::from_pairs([("log.cleaner.max.compaction.lag.ms", "4")]).unwrap();
        let topic = configs(&[("min.compaction.lag.ms", "5")]);
        assert_eq!(
            check_topic_configs(layers(&broker), &topic),
            Err(TopicConfigError::CompactionLag { min: 5, max: 4 })
        );
    }

    #[test]
    fn typed_settings() {
        let broker = BrokerSettings::from_pairs([("min.insync.replicas", "2")]).unwrap();
        let topic = configs(&[("message.timestamp.type", "LogAppendTime"), ("max.message.bytes", " 77 ")]);
        assert_eq!(
            TopicSettings::effective(layers(&broker), &topic),
            TopicSettings {
                max_message_bytes: 77,
                min_insync_replicas: 2,
                timestamp_type: TimestampType::LogAppendTime,
                timestamp_before_max_ms: i64::MAX,
                timestamp_after_max_ms: 3_600_000,
                retention: Retention { time_ms: Some(604_800_000), bytes: None },
                keys_required: false,
                clients_may_delete: true,
            }
        );
    }

    #[test]
    fn only_a_policy_that_deletes_has_a_retention() {
        let broker = BrokerSettings::from_pairs([("log.retention.hours", "1")]).unwrap();
        let settings = |policy| {
            let topic = configs(&[("cleanup.policy", policy), ("retention.bytes", "5")]);
            TopicSettings::effective(layers(&broker), &topic)
        };
        let kept = Retention { time_ms: Some(3_600_000), bytes: Some(5) };
        assert_eq!((settings("delete").retention, settings("delete").clients_may_delete), (kept, true));
        assert!(!settings("delete").keys_required);
        assert_eq!(settings("compact, delete").retention, kept);
        assert!(settings("compact, delete").keys_required && settings("compact").keys_required);
        assert!(settings("compact,delete").clients_may_delete);
        assert_eq!(settings("compact").retention, Retention::default());
        assert!(!settings("compact").clients_may_delete);
        assert_eq!((settings("").retention, settings("").clients_may_delete), (Retention::default(), true));
    }

    #[test]
    fn a_kept_value_that_is_no_longer_allowed_counts_as_not_set() {
        let topic = configs(&[("max.message.bytes", "many")]);
        let settings = TopicSettings::effective(layers(&BrokerSettings::default()), &topic);
        assert_eq!(settings.max_message_bytes, 1_048_588);
    }
}
