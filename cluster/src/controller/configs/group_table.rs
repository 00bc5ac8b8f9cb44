//! The table of a broker's settings for consumer groups and their offsets.

use super::broker_table::{BrokerConfig, config};
use super::domain::Domain;

pub(super) const CONSUMER_ASSIGNORS: &str = "group.consumer.assignors";
pub(super) const CONSUMER_HEARTBEAT_INTERVAL_MS: &str = "group.consumer.heartbeat.interval.ms";
pub(super) const CONSUMER_MAX_HEARTBEAT_INTERVAL_MS: &str = "group.consumer.max.heartbeat.interval.ms";
pub(super) const CONSUMER_MAX_SESSION_TIMEOUT_MS: &str = "group.consumer.max.session.timeout.ms";
pub(super) const CONSUMER_MAX_SIZE: &str = "group.consumer.max.size";
pub(super) const CONSUMER_MIGRATION_POLICY: &str = "group.consumer.migration.policy";
pub(super) const CONSUMER_MIN_HEARTBEAT_INTERVAL_MS: &str = "group.consumer.min.heartbeat.interval.ms";
pub(super) const CONSUMER_MIN_SESSION_TIMEOUT_MS: &str = "group.consumer.min.session.timeout.ms";
pub(super) const CONSUMER_SESSION_TIMEOUT_MS: &str = "group.consumer.session.timeout.ms";
pub(super) const REBALANCE_PROTOCOLS: &str = "group.coordinator.rebalance.protocols";
pub(super) const INITIAL_REBALANCE_DELAY_MS: &str = "group.initial.rebalance.delay.ms";
pub(super) const MAX_SESSION_TIMEOUT_MS: &str = "group.max.session.timeout.ms";
pub(super) const MAX_SIZE: &str = "group.max.size";
pub(super) const MIN_SESSION_TIMEOUT_MS: &str = "group.min.session.timeout.ms";
pub(super) const OFFSET_METADATA_MAX_BYTES: &str = "offset.metadata.max.bytes";
pub(super) const OFFSETS_COMMIT_TIMEOUT_MS: &str = "offsets.commit.timeout.ms";
pub(super) const OFFSETS_RETENTION_CHECK_INTERVAL_MS: &str = "offsets.retention.check.interval.ms";
pub(super) const OFFSETS_RETENTION_MINUTES: &str = "offsets.retention.minutes";
pub(super) const OFFSETS_TOPIC_NUM_PARTITIONS: &str = "offsets.topic.num.partitions";
pub(super) const OFFSETS_TOPIC_REPLICATION_FACTOR: &str = "offsets.topic.replication.factor";

/// The settings of consumer groups, sorted by name. Defaults are Kafka's unless the text says otherwise.
pub(super) static GROUP_CONFIGS: &[BrokerConfig] = &[
    config(
        CONSUMER_ASSIGNORS,
        Domain::ListOf(&["uniform", "range"]),
        Some("uniform,range"),
        "The assignors of the consumer protocol that members may ask for; the first is the default.",
    ),
    config(
        CONSUMER_HEARTBEAT_INTERVAL_MS,
        Domain::int_from(1),
        Some("5000"),
        "How often a member of a consumer group is to send a heartbeat, in milliseconds.",
    ),
    config(
        CONSUMER_MAX_HEARTBEAT_INTERVAL_MS,
        Domain::int_from(1),
        Some("15000"),
        "The longest heartbeat interval that may be set, in milliseconds.",
    ),
    config(
        CONSUMER_MAX_SESSION_TIMEOUT_MS,
        Domain::int_from(1),
        Some("60000"),
        "The longest session of a consumer group's members that may be set, in milliseconds.",
    ),
    config(
        CONSUMER_MAX_SIZE,
        Domain::int_from(1),
        Some("2147483647"),
        "How many members a consumer group may have.",
    ),
    config(
        CONSUMER_MIGRATION_POLICY,
        Domain::OneOf(&["disabled", "downgrade", "upgrade", "bidirectional"]),
        Some("bidirectional"),
        "Whether a group with members may change from the classic to the consumer protocol (upgrade) or back \
         (downgrade).",
    ),
    config(
        CONSUMER_MIN_HEARTBEAT_INTERVAL_MS,
        Domain::int_from(1),
        Some("5000"),
        "The shortest heartbeat interval that may be set, in milliseconds.",
    ),
    config(
        CONSUMER_MIN_SESSION_TIMEOUT_MS,
        Domain::int_from(1),
        Some("45000"),
        "The shortest session of a consumer group's members that may be set, in milliseconds.",
    ),
    config(
        CONSUMER_SESSION_TIMEOUT_MS,
        Domain::int_from(1),
        Some("45000"),
        "After how many milliseconds without a heartbeat a member of a consumer group is gone.",
    ),
    config(
        REBALANCE_PROTOCOLS,
        Domain::ListOf(&["classic", "consumer"]),
        Some("classic,consumer"),
        "The protocols of groups that are served; classic always is.",
    ),
    config(
        INITIAL_REBALANCE_DELAY_MS,
        Domain::int_from(0),
        Some("3000"),
        "How many milliseconds an empty classic group waits for more members before its first rebalance.",
    ),
    config(
        MAX_SESSION_TIMEOUT_MS,
        Domain::int_from(1),
        Some("1800000"),
        "The longest session that a member of a classic group may ask for, in milliseconds.",
    ),
    config(MAX_SIZE, Domain::int_from(1), Some("2147483647"), "How many members a classic group may have."),
    config(
        MIN_SESSION_TIMEOUT_MS,
        Domain::int_from(1),
        Some("6000"),
        "The shortest session that a member of a classic group may ask for, in milliseconds.",
    ),
    config(
        OFFSET_METADATA_MAX_BYTES,
        Domain::int_from(0),
        Some("4096"),
        "The longest metadata that may be committed with an offset, in bytes.",
    ),
    config(
        OFFSETS_COMMIT_TIMEOUT_MS,
        Domain::int_from(1),
        Some("5000"),
        "How many milliseconds a group's change may take to be stored before the client is told to try again.",
    ),
    config(
        OFFSETS_RETENTION_CHECK_INTERVAL_MS,
        Domain::Long { min: 1 },
        Some("600000"),
        "How often committed offsets that are too old are looked for, in milliseconds.",
    ),
    config(
        OFFSETS_RETENTION_MINUTES,
        Domain::int_from(1),
        Some("10080"),
        "How many minutes offsets are kept after their group's last member has left or, where there never was \
         one, after their commit.",
    ),
    config(
        OFFSETS_TOPIC_NUM_PARTITIONS,
        Domain::int_from(1),
        Some("16"),
        "How many partitions, and so coordinators, __consumer_offsets is made with. 50 in Kafka. Of no effect \
         once it exists.",
    ),
    config(
        OFFSETS_TOPIC_REPLICATION_FACTOR,
        Domain::Int { min: 1, max: 32_767 },
        None,
        "How many replicas __consumer_offsets is made with. Not set: default.replication.factor.",
    ),
];
