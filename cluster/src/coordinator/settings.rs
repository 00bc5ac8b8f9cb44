//! The settings of a coordinator, by Kafka's names.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a coordinator goes by. Defaults are Kafka's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSettings {
    /// `group.initial.rebalance.delay.ms`: how long an empty classic group waits for more members before its first
    /// rebalance.
    pub initial_rebalance_delay: Duration,
    /// `group.min.session.timeout.ms`: the shortest session that a classic member may ask for.
    pub min_session_timeout: Duration,
    /// `group.max.session.timeout.ms`: the longest.
    pub max_session_timeout: Duration,
    /// `group.max.size`: how many members a classic group may have.
    pub max_size: usize,
    /// `offset.metadata.max.bytes`: the longest metadata that may be committed with an offset.
    pub offset_metadata_max_bytes: usize,
    /// `offsets.retention.minutes`: how long offsets outlive their group's last member, or their last commit where
    /// there is no member.
    pub offsets_retention: Duration,
    /// `group.consumer.session.timeout.ms`: after how long without a heartbeat a member of a consumer group is gone.
    pub consumer_session_timeout: Duration,
    /// `group.consumer.heartbeat.interval.ms`: how often a member of a consumer group is told to heartbeat.
    pub consumer_heartbeat_interval: Duration,
    /// `group.consumer.max.size`: how many members a consumer group may have.
    pub consumer_max_size: usize,
    /// `group.consumer.assignors`: the assignors that there are; the first is the default.
    pub consumer_assignors: Vec<AssignorName>,
    /// `group.consumer.migration.policy`: whether a group with members may change its protocol.
    pub migration_policy: MigrationPolicy,
    /// `group.coordinator.rebalance.protocols`: the protocols served.
    pub protocols: BTreeSet<GroupProtocol>,
}

/// The assignors of the consumer protocol. Variants are numbered by their order on disk: new ones go to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AssignorName {
    /// The same partition number of each subscribed topic goes to the same member.
    Range,
    /// As even as can be, and as few moves as possible.
    Uniform,
}

impl AssignorName {
    /// The name on the wire and in settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::Uniform => "uniform",
        }
    }

    /// The assignor of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Range, Self::Uniform].into_iter().find(|assignor| assignor.as_str() == name)
    }
}

/// Which way a group with members may go from one protocol to the other (KIP-848).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MigrationPolicy {
    /// Neither way.
    Disabled,
    /// From classic to consumer.
    Upgrade,
    /// From consumer to classic.
    Downgrade,
    /// Both ways.
    #[default]
    Bidirectional,
}

impl MigrationPolicy {
    /// Whether a classic group with members may become a consumer group.
    #[must_use]
    pub const fn allows_upgrade(self) -> bool {
        matches!(self, Self::Upgrade | Self::Bidirectional)
    }

    /// Whether a consumer group with members may become a classic group.
    #[must_use]
    pub const fn allows_downgrade(self) -> bool {
        matches!(self, Self::Downgrade | Self::Bidirectional)
    }
}

/// The two protocols that members of a group may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupProtocol {
    /// JoinGroup and SyncGroup: a member assigns.
    Classic,
    /// ConsumerGroupHeartbeat (KIP-848): the coordinator assigns.
    Consumer,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            initial_rebalance_delay: Duration::from_secs(3),
            min_session_timeout: Duration::from_secs(6),
            max_session_timeout: Duration::from_secs(1800),
            max_size: i32::MAX as usize,
            offset_metadata_max_bytes: 4096,
            offsets_retention: Duration::from_secs(7 * 24 * 3600),
            consumer_session_timeout: Duration::from_secs(45),
            consumer_heartbeat_interval: Duration::from_secs(5),
            consumer_max_size: i32::MAX as usize,
            consumer_assignors: vec![AssignorName::Uniform, AssignorName::Range],
            migration_policy: MigrationPolicy::default(),
            protocols: BTreeSet::from([GroupProtocol::Classic, GroupProtocol::Consumer]),
        }
    }
}
