//! The settings of consumer groups as a node was given them: read, and held against each other.

use std::collections::BTreeSet;
use std::time::Duration;

use super::broker::SettingError;
use super::domain::InvalidValue;
use super::given::Given;
use super::group_table::{
    CONSUMER_ASSIGNORS, CONSUMER_HEARTBEAT_INTERVAL_MS, CONSUMER_MAX_HEARTBEAT_INTERVAL_MS,
    CONSUMER_MAX_SESSION_TIMEOUT_MS, CONSUMER_MAX_SIZE, CONSUMER_MIGRATION_POLICY,
    CONSUMER_MIN_HEARTBEAT_INTERVAL_MS, CONSUMER_MIN_SESSION_TIMEOUT_MS, CONSUMER_SESSION_TIMEOUT_MS,
    INITIAL_REBALANCE_DELAY_MS, MAX_SESSION_TIMEOUT_MS, MAX_SIZE, MIN_SESSION_TIMEOUT_MS,
    OFFSET_METADATA_MAX_BYTES, OFFSETS_COMMIT_TIMEOUT_MS, OFFSETS_RETENTION_CHECK_INTERVAL_MS,
    OFFSETS_RETENTION_MINUTES, OFFSETS_TOPIC_NUM_PARTITIONS, OFFSETS_TOPIC_REPLICATION_FACTOR,
    REBALANCE_PROTOCOLS,
};
use crate::coordinator::{AssignorName, GroupProtocol, GroupSettings, MigrationPolicy};

/// How committed offsets are stored, as opposed to what a coordinator makes of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetsSettings {
    /// `offsets.topic.num.partitions`: how many partitions `__consumer_offsets` is made with.
    pub topic_num_partitions: usize,
    /// `offsets.topic.replication.factor`, where it is set: how many replicas it is made with.
    pub topic_replication_factor: Option<usize>,
    /// `offsets.commit.timeout.ms`: how long a group's change may take to be stored.
    pub commit_timeout: Duration,
    /// `offsets.retention.check.interval.ms`: how often offsets that are too old are looked for.
    pub retention_check_interval: Duration,
}

/// The first must not be greater than the second.
const ASCENDING: [(&str, &str); 5] = [
    (MIN_SESSION_TIMEOUT_MS, MAX_SESSION_TIMEOUT_MS),
    (CONSUMER_MIN_SESSION_TIMEOUT_MS, CONSUMER_SESSION_TIMEOUT_MS),
    (CONSUMER_SESSION_TIMEOUT_MS, CONSUMER_MAX_SESSION_TIMEOUT_MS),
    (CONSUMER_MIN_HEARTBEAT_INTERVAL_MS, CONSUMER_HEARTBEAT_INTERVAL_MS),
    (CONSUMER_HEARTBEAT_INTERVAL_MS, CONSUMER_MAX_HEARTBEAT_INTERVAL_MS),
];

/// What a coordinator goes by.
pub(super) fn group_settings(given: &Given) -> Result<GroupSettings, SettingError> {
    check_order(given)?;
    Ok(GroupSettings {
        initial_rebalance_delay: given.milliseconds(INITIAL_REBALANCE_DELAY_MS)?,
        min_session_timeout: given.milliseconds(MIN_SESSION_TIMEOUT_MS)?,
        max_session_timeout: given.milliseconds(MAX_SESSION_TIMEOUT_MS)?,
        max_size: given.size(MAX_SIZE)?,
        offset_metadata_max_bytes: given.size(OFFSET_METADATA_MAX_BYTES)?,
        offsets_retention: given.milliseconds(OFFSETS_RETENTION_MINUTES)? * 60_000,
        consumer_session_timeout: given.milliseconds(CONSUMER_SESSION_TIMEOUT_MS)?,
        consumer_heartbeat_interval: given.milliseconds(CONSUMER_HEARTBEAT_INTERVAL_MS)?,
        consumer_max_size: given.size(CONSUMER_MAX_SIZE)?,
        consumer_assignors: given
            .words(CONSUMER_ASSIGNORS)?
            .into_iter()
            .filter_map(AssignorName::named)
            .collect(),
        migration_policy: migration_policy(given.text(CONSUMER_MIGRATION_POLICY)),
        protocols: protocols(given)?,
    })
}

/// How offsets are stored.
pub(super) fn offsets_settings(given: &Given) -> Result<OffsetsSettings, SettingError> {
    Ok(OffsetsSettings {
        topic_num_partitions: given.size(OFFSETS_TOPIC_NUM_PARTITIONS)?,
        topic_replication_factor: given.size_if_given(OFFSETS_TOPIC_REPLICATION_FACTOR)?,
        commit_timeout: given.milliseconds(OFFSETS_COMMIT_TIMEOUT_MS)?,
        retention_check_interval: given.milliseconds(OFFSETS_RETENTION_CHECK_INTERVAL_MS)?,
    })
}

fn check_order(given: &Given) -> Result<(), SettingError> {
    for (lower, upper) in ASCENDING {
        let (below, above) = (given.integer(lower)?, given.integer(upper)?);
        if below > above {
            return Err(SettingError::NotAscending { lower, below, upper, above });
        }
    }
    let interval = given.integer(CONSUMER_HEARTBEAT_INTERVAL_MS)?;
    let session = given.integer(CONSUMER_SESSION_TIMEOUT_MS)?;
    if interval < session { Ok(()) } else { Err(SettingError::HeartbeatTooSlow { interval, session }) }
}

fn migration_policy(policy: &str) -> MigrationPolicy {
    match policy.trim() {
        "disabled" => MigrationPolicy::Disabled,
        "upgrade" => MigrationPolicy::Upgrade,
        "downgrade" => MigrationPolicy::Downgrade,
        _ => MigrationPolicy::Bidirectional,
    }
}

fn protocols(given: &Given) -> Result<BTreeSet<GroupProtocol>, SettingError> {
    let words = given.words(REBALANCE_PROTOCOLS)?;
    if !words.contains(&"classic") {
        return Err(given.refused(REBALANCE_PROTOCOLS, InvalidValue::Lacks("classic")));
    }
    let protocol =
        |word: &str| if word == "classic" { GroupProtocol::Classic } else { GroupProtocol::Consumer };
    Ok(words.into_iter().map(protocol).collect())
}

#[cfg(test)]
mod tests {
    use super::super::BrokerSettings;
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<BrokerSettings, String> {
        BrokerSettings::from_pairs(pairs.iter().copied()).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_those_of_the_coordinator() {
        let settings = BrokerSettings::default();
        assert_eq!(*settings.groups, GroupSettings::default());
        let expected = OffsetsSettings {
            topic_num_partitions: 16,
            topic_replication_factor: None,
            commit_timeout: Duration::from_secs(5),
            retention_check_interval: Duration::from_secs(600),
        };
        assert_eq!(settings.offsets, expected);
    }

    #[test]
    fn given_settings_are_read() {
        let settings = settings(&[
            ("group.initial.rebalance.delay.ms", "0"),
            ("group.consumer.assignors", "range, uniform"),
            ("group.consumer.migration.policy", "upgrade"),
            ("group.coordinator.rebalance.protocols", "classic"),
            ("offsets.retention.minutes", "2"),
            ("offsets.topic.replication.factor", "2"),
            ("default.replication.factor", "1"),
        ])
        .unwrap();
        let groups = &settings.groups;
        assert_eq!(groups.initial_rebalance_delay, Duration::ZERO);
        assert_eq!(groups.consumer_assignors, [AssignorName::Range, AssignorName::Uniform]);
        assert_eq!(groups.migration_policy, MigrationPolicy::Upgrade);
        assert_eq!(groups.protocols, BTreeSet::from([GroupProtocol::Classic]));
        assert_eq!(groups.offsets_retention, Duration::from_secs(120));
        assert_eq!((settings.offsets_replication_factor(3), settings.replication_factor(3)), (2, 1));
    }

    #[test]
    fn the_offsets_topic_has_the_default_factor_unless_it_has_its_own() {
        let settings = settings(&[("default.replication.factor", "4")]).unwrap();
        assert_eq!(settings.offsets_replication_factor(5), 4);
    }

    #[test]
    fn settings_that_exclude_each_other_are_both_named() {
        let refusal = |pairs: &[(&str, &str)]| settings(pairs).unwrap_err();
        assert_eq!(
            refusal(&[("group.min.session.timeout.ms", "10"), ("group.max.session.timeout.ms", "9")]),
            "group.min.session.timeout.ms (10) must not be greater than group.max.session.timeout.ms (9)"
        );
        assert_eq!(
            refusal(&[("group.consumer.session.timeout.ms", "44999")]),
            "group.consumer.min.session.timeout.ms (45000) must not be greater than \
             group.consumer.session.timeout.ms (44999)"
        );
        assert_eq!(
            refusal(&[("group.consumer.heartbeat.interval.ms", "15001")]),
            "group.consumer.heartbeat.interval.ms (15001) must not be greater than \
             group.consumer.max.heartbeat.interval.ms (15000)"
        );
        assert_eq!(
            refusal(&[
                ("group.consumer.min.session.timeout.ms", "5000"),
                ("group.consumer.session.timeout.ms", "5000")
            ]),
            "group.consumer.heartbeat.interval.ms (5000) must be less than \
             group.consumer.session.timeout.ms (5000)"
        );
    }

    #[test]
    fn lists_need_something_in_them() {
        let refusal = |name, value| settings(&[(name, value)]).unwrap_err();
        assert_eq!(
            refusal("group.consumer.assignors", ""),
            "group.consumer.assignors: invalid value \"\": List must not be empty"
        );
        assert_eq!(
            refusal("group.coordinator.rebalance.protocols", "consumer"),
            "group.coordinator.rebalance.protocols: invalid value \"consumer\": List must contain classic"
        );
        assert!(refusal("group.consumer.assignors", "sticky").contains("one of: uniform, range"));
    }
}
