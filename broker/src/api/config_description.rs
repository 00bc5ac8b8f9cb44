//! Settings as the wire describes them: numbers for where a value comes from and for its type (KIP-226,
//! KIP-569).

use trilog_cluster::controller::configs::{ConfigSource, Domain};

/// Kafka's number for a topic's settings.
pub(super) const TOPIC: i8 = 2;
/// Kafka's number for a broker's settings.
pub(super) const BROKER: i8 = 4;
/// Kafka's number for the levels of a broker's loggers (KIP-412).
pub(super) const BROKER_LOGGER: i8 = 8;
/// Kafka's number for what clients are to measure (KIP-714).
pub(super) const CLIENT_METRICS: i8 = 16;
/// Kafka's number for a group's settings (KIP-848).
pub(super) const GROUP: i8 = 32;

/// Where a logger's level comes from, by Kafka's number.
pub(super) const DYNAMIC_BROKER_LOGGER: i8 = 6;

/// Kafka's `DescribeConfigsResponse.ConfigSource`.
pub(super) const fn source_code(source: ConfigSource) -> i8 {
    match source {
        ConfigSource::DynamicTopic => 1,
        ConfigSource::DynamicBroker => 2,
        ConfigSource::DynamicDefaultBroker => 3,
        ConfigSource::StaticBroker => 4,
        ConfigSource::Default => 5,
        ConfigSource::DynamicGroup => 8,
    }
}

/// Kafka's `DescribeConfigsResponse.ConfigType`.
pub(super) const fn type_code(domain: Domain) -> i8 {
    match domain {
        Domain::Boolean => 1,
        Domain::Text | Domain::OneOf(_) | Domain::CountsByAddress => 2,
        Domain::Int { .. } | Domain::IntOr { .. } => 3,
        Domain::Long { .. } => 5,
        Domain::Ratio => 6,
        Domain::ListOf(_) | Domain::ThrottledReplicas => 7,
    }
}
