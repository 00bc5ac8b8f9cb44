//! What may be set of a broker while the cluster runs (KIP-226): the defaults of topics, and a few settings of its own.

use thiserror::Error;

use super::Configs;
use super::broker::BrokerSettings;
use super::broker_table::{broker_domain, flag_instead_of, is_dynamic};
use super::domain::{InvalidValue, integer};
use super::effective::BrokerLayers;
use super::topic::{MAX_VALUE_LENGTH, TopicConfigError, check_topic_configs};

/// The default of `retention.ms`.
const LOG_RETENTION_MS: &str = "log.retention.ms";

/// Why a broker's settings are refused, in Kafka's words where it has any.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DynamicConfigError {
    /// These are only read when a node starts.
    #[error("Cannot update these configs dynamically: [{}]", .0.join(", "))]
    ReadOnly(Vec<String>),
    /// There are no such settings. Kafka keeps any name, and does nothing about it.
    #[error("Unknown broker config name: {0}")]
    Unknown(String),
    /// The setting cannot have that value.
    #[error("Invalid value {value} for configuration {name}: {reason}")]
    InvalidValue {
        /// The setting.
        name: String,
        /// The value given.
        value: String,
        /// What is allowed.
        reason: InvalidValue,
    },
    /// Settings that are allowed one by one, but not together.
    #[error(transparent)]
    Conflict(TopicConfigError),
}

/// Whether `configs` may be set while the cluster runs, on nodes that were started with `started`.
///
/// # Errors
///
/// [`DynamicConfigError`].
pub fn check_dynamic_configs(started: &BrokerSettings, configs: &Configs) -> Result<(), DynamicConfigError> {
    let is_known = |name: &str| broker_domain(name).is_some() || flag_instead_of(name).is_some();
    let read_only = |name: &&String| is_known(name) && !is_dynamic(name);
    let refused: Vec<String> = configs.keys().filter(read_only).cloned().collect();
    if !refused.is_empty() {
        return Err(DynamicConfigError::ReadOnly(refused));
    }
    for (name, value) in configs {
        let (_, domain) = broker_domain(name).ok_or_else(|| DynamicConfigError::Unknown(name.clone()))?;
        if value.len() > MAX_VALUE_LENGTH {
            return Err(DynamicConfigError::Conflict(TopicConfigError::TooLong));
        }
        // As in Kafka: a topic's own retention may be 0, the brokers' default may not.
        let is_no_time = name == LOG_RETENTION_MS && integer(value) == Some(0);
        let checked = if is_no_time { Err(InvalidValue::Zero) } else { domain.check(value) };
        checked.map_err(|reason| DynamicConfigError::InvalidValue {
            name: name.clone(),
            value: value.clone(),
            reason,
        })?;
    }
    check_topic_configs(BrokerLayers::common(started, configs), &Configs::new())
        .map_err(DynamicConfigError::Conflict)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(pairs: &[(&str, &str)]) -> String {
        let configs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        check_dynamic_configs(&BrokerSettings::default(), &configs)
            .map_or_else(|why| why.to_string(), |()| "ok".into())
    }

    #[test]
    fn only_what_takes_effect_at_once_may_be_set() {
        assert_eq!(refusal(&[("message.max.bytes", "5"), ("producer.id.expiration.ms", "7")]), "ok");
        assert_eq!(
            refusal(&[("num.partitions", "5"), ("node.id", "2"), ("message.max.bytes", "x")]),
            "Cannot update these configs dynamically: [node.id, num.partitions]"
        );
        assert_eq!(refusal(&[("num.io.threads", "5")]), "Unknown broker config name: num.io.threads");
        assert_eq!(
            refusal(&[("message.max.bytes", "x")]),
            "Invalid value x for configuration message.max.bytes: Not a number of type INT"
        );
        assert!(refusal(&[("log.retention.ms", "0")]).starts_with("Invalid value 0 for configuration"));
        let lags = [("log.cleaner.min.compaction.lag.ms", "2"), ("log.cleaner.max.compaction.lag.ms", "1")];
        assert!(refusal(&lags).starts_with("conflict topic config setting"));
    }
}
