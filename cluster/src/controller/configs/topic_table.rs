//! The table of a topic's settings: all that Kafka 4 has.

use super::domain::Domain;

/// One setting of a topic.
#[derive(Debug)]
pub struct TopicConfig {
    /// Kafka's name.
    pub name: &'static str,
    /// What values it may have.
    pub domain: Domain,
    /// Its value when no layer sets it.
    pub default: &'static str,
    /// What it is called among a broker's settings, the strongest name first. Empty where a broker has none.
    pub synonyms: &'static [Synonym],
    /// Whether Trilog acts on it. If not, it is checked, kept and shown, and nothing else.
    pub honoured: bool,
    /// What it means, in a sentence or two.
    pub doc: &'static str,
}

/// A broker's name for a topic's setting.
#[derive(Debug)]
pub struct Synonym {
    /// Kafka's name among the broker settings.
    pub name: &'static str,
    /// What it counts in.
    pub unit: Unit,
    /// Its value when it is not set.
    pub default: SynonymDefault,
}

/// The value of a broker's setting that is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynonymDefault {
    /// The topic's default.
    Topics,
    /// None: a weaker name has the default.
    None,
    /// A value of its own, in its own unit.
    Value(&'static str),
}

impl SynonymDefault {
    /// The default of a broker's name for `topic`.
    #[must_use]
    pub const fn value(self, topic: &TopicConfig) -> Option<&'static str> {
        match self {
            Self::Topics => Some(topic.default),
            Self::None => None,
            Self::Value(value) => Some(value),
        }
    }
}

/// What a broker's setting counts in, against the milliseconds of the topic's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// The same as the topic's.
    Same,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
}

/// The table's entry for `name`, if Kafka knows such a topic setting.
pub fn topic_config(name: &str) -> Option<&'static TopicConfig> {
    TOPIC_CONFIGS.binary_search_by(|config| config.name.cmp(name)).ok().map(|at| &TOPIC_CONFIGS[at])
}

pub(super) const CLEANUP_POLICY: &str = "cleanup.policy";
pub(super) const MAX_MESSAGE_BYTES: &str = "max.message.bytes";
pub(super) const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";
pub(super) const MESSAGE_TIMESTAMP_TYPE: &str = "message.timestamp.type";
pub(super) const MESSAGE_TIMESTAMP_BEFORE_MAX_MS: &str = "message.timestamp.before.max.ms";
pub(super) const MESSAGE_TIMESTAMP_AFTER_MAX_MS: &str = "message.timestamp.after.max.ms";
pub(super) const MIN_COMPACTION_LAG_MS: &str = "min.compaction.lag.ms";
pub(super) const MAX_COMPACTION_LAG_MS: &str = "max.compaction.lag.ms";
pub(super) const REMOTE_STORAGE_ENABLE: &str = "remote.storage.enable";
pub(super) const RETENTION_BYTES: &str = "retention.bytes";
pub(super) const RETENTION_MS: &str = "retention.ms";

const FOREVER: &str = "9223372036854775807";
const A_DAY_MS: &str = "86400000";
const A_WEEK_MS: &str = "604800000";

const fn same(name: &'static str) -> Synonym {
    Synonym { name, unit: Unit::Same, default: SynonymDefault::Topics }
}

/// A name without a default, the strongest of several.
const fn first(name: &'static str) -> Synonym {
    Synonym { name, unit: Unit::Same, default: SynonymDefault::None }
}

const fn hours(name: &'static str, default: &'static str) -> Synonym {
    Synonym { name, unit: Unit::Hours, default: SynonymDefault::Value(default) }
}

/// A setting that is kept and shown, but not acted on.
const fn kept(
    name: &'static str,
    domain: Domain,
    default: &'static str,
    synonyms: &'static [Synonym],
    doc: &'static str,
) -> TopicConfig {
    TopicConfig { name, domain, default, synonyms, honoured: false, doc }
}

/// A setting that Trilog acts on.
const fn honoured(
    name: &'static str,
    domain: Domain,
    default: &'static str,
    synonyms: &'static [Synonym],
    doc: &'static str,
) -> TopicConfig {
    TopicConfig { name, domain, default, synonyms, honoured: true, doc }
}

/// All settings of a topic, sorted by name.
pub static TOPIC_CONFIGS: &[TopicConfig] = &[
    honoured(
        CLEANUP_POLICY,
        Domain::ListOf(&["compact", "delete"]),
        "delete",
        &[same("log.cleanup.policy")],
        "What happens to old records: deleted by age and size, compacted to the last one of each key, or both. \
         Empty: they are kept for ever.",
    ),
    kept(
        "compression.gzip.level",
        Domain::IntOr { special: -1, min: 1, max: 9 },
        "-1",
        &[same("compression.gzip.level")],
        "The level to compress with where compression.type is gzip.",
    ),
    kept(
        "compression.lz4.level",
        Domain::Int { min: 1, max: 17 },
        "9",
        &[same("compression.lz4.level")],
        "The level to compress with where compression.type is lz4.",
    ),
    kept(
        "compression.type",
        Domain::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        "producer",
        &[same("compression.type")],
        "The codec that batches are stored with. Trilog always keeps what the producer sent.",
    ),
    kept(
        "compression.zstd.level",
        Domain::Int { min: -131_072, max: 22 },
        "3",
        &[same("compression.zstd.level")],
        "The level to compress with where compression.type is zstd.",
    ),
    kept(
        "delete.retention.ms",
        Domain::Long { min: 0 },
        A_DAY_MS,
        &[same("log.cleaner.delete.retention.ms")],
        "How long compaction keeps a deletion marker, so that slow readers still see it.",
    ),
    kept(
        "file.delete.delay.ms",
        Domain::Long { min: 0 },
        "60000",
        &[same("log.segment.delete.delay.ms")],
        "How long a deleted file stays on disk.",
    ),
    kept(
        "flush.messages",
        Domain::Long { min: 1 },
        FOREVER,
        &[same("log.flush.interval.messages")],
        "After how many records the log is synced. Trilog syncs before every acknowledgement.",
    ),
    kept(
        "flush.ms",
        Domain::Long { min: 0 },
        FOREVER,
        &[first("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")],
        "After how many milliseconds the log is synced. Trilog syncs before every acknowledgement.",
    ),
    kept(
        "follower.replication.throttled.replicas",
        Domain::ThrottledReplicas,
        "",
        &[],
        "Which replicas are throttled while they catch up in a reassignment.",
    ),
    kept(
        "index.interval.bytes",
        Domain::int_from(0),
        "4096",
        &[same("log.index.interval.bytes")],
        "How many bytes of the log one entry of the offset index stands for.",
    ),
    kept(
        "leader.replication.throttled.replicas",
        Domain::ThrottledReplicas,
        "",
        &[],
        "Which replicas are throttled while others catch up from them in a reassignment.",
    ),
    kept(
        "local.retention.bytes",
        Domain::Long { min: -2 },
        "-2",
        &[same("log.local.retention.bytes")],
        "How much of a tiered log stays on local disks. -2: as retention.bytes says.",
    ),
    kept(
        "local.retention.ms",
        Domain::Long { min: -2 },
        "-2",
        &[same("log.local.retention.ms")],
        "How long a tiered log stays on local disks. -2: as retention.ms says.",
    ),
    kept(
        MAX_COMPACTION_LAG_MS,
        Domain::Long { min: 1 },
        FOREVER,
        &[same("log.cleaner.max.compaction.lag.ms")],
        "After how long at the latest a record may be compacted away.",
    ),
    honoured(
        MAX_MESSAGE_BYTES,
        Domain::int_from(0),
        "1048588",
        &[same("message.max.bytes")],
        "The largest record batch that is accepted, as it was sent, in bytes.",
    ),
    honoured(
        MESSAGE_TIMESTAMP_AFTER_MAX_MS,
        Domain::Long { min: 0 },
        "3600000",
        &[same("log.message.timestamp.after.max.ms")],
        "How far a record's timestamp may lie ahead of the broker's clock, where timestamps are the producer's.",
    ),
    honoured(
        MESSAGE_TIMESTAMP_BEFORE_MAX_MS,
        Domain::Long { min: 0 },
        FOREVER,
        &[same("log.message.timestamp.before.max.ms")],
        "How far a record's timestamp may lie behind the broker's clock, where timestamps are the producer's.",
    ),
    honoured(
        MESSAGE_TIMESTAMP_TYPE,
        Domain::OneOf(&["CreateTime", "LogAppendTime"]),
        "CreateTime",
        &[same("log.message.timestamp.type")],
        "Whether records carry the time at which the producer made them or at which the broker took them.",
    ),
    kept(
        "min.cleanable.dirty.ratio",
        Domain::Ratio,
        "0.5",
        &[same("log.cleaner.min.cleanable.ratio")],
        "Which share of a log must be uncompacted before it is compacted again.",
    ),
    kept(
        MIN_COMPACTION_LAG_MS,
        Domain::Long { min: 0 },
        "0",
        &[same("log.cleaner.min.compaction.lag.ms")],
        "How long a record is safe from being compacted away.",
    ),
    honoured(
        MIN_INSYNC_REPLICAS,
        Domain::int_from(1),
        "1",
        &[same("min.insync.replicas")],
        "How many replicas must be caught up for a write with acks=all to be taken.",
    ),
    kept(
        "preallocate",
        Domain::Boolean,
        "false",
        &[same("log.preallocate")],
        "Whether a new segment's file is given its full size at once.",
    ),
    kept(
        "remote.log.copy.disable",
        Domain::Boolean,
        "false",
        &[],
        "Whether a tiered log stops being copied to remote storage.",
    ),
    kept(
        "remote.log.delete.on.disable",
        Domain::Boolean,
        "false",
        &[],
        "Whether remote data is deleted when remote storage is turned off.",
    ),
    kept(
        REMOTE_STORAGE_ENABLE,
        Domain::Boolean,
        "false",
        &[],
        "Whether the log is tiered. Trilog has no remote storage: true is refused.",
    ),
    honoured(
        RETENTION_BYTES,
        Domain::Long { min: i64::MIN },
        "-1",
        &[same("log.retention.bytes")],
        "How large a partition may grow before its oldest records are deleted. -1: as large as it will.",
    ),
    honoured(
        RETENTION_MS,
        Domain::Long { min: -1 },
        A_WEEK_MS,
        &[
            first("log.retention.ms"),
            Synonym { name: "log.retention.minutes", unit: Unit::Minutes, default: SynonymDefault::None },
            hours("log.retention.hours", "168"),
        ],
        "How long records are kept. -1: for ever.",
    ),
    kept(
        "segment.bytes",
        Domain::int_from(1_048_576),
        "1073741824",
        &[same("log.segment.bytes")],
        "The size of a log's segment file.",
    ),
    kept(
        "segment.index.bytes",
        Domain::int_from(4),
        "10485760",
        &[same("log.index.size.max.bytes")],
        "The size of a segment's offset index.",
    ),
    kept(
        "segment.jitter.ms",
        Domain::Long { min: 0 },
        "0",
        &[first("log.roll.jitter.ms"), hours("log.roll.jitter.hours", "0")],
        "By how much at most a segment is closed early, so that not all close at once.",
    ),
    kept(
        "segment.ms",
        Domain::Long { min: 1 },
        A_WEEK_MS,
        &[first("log.roll.ms"), hours("log.roll.hours", "168")],
        "After how long a segment is closed, full or not.",
    ),
    kept(
        "unclean.leader.election.enable",
        Domain::Boolean,
        "false",
        &[same("unclean.leader.election.enable")],
        "Whether a replica that lacks acknowledged records may lead. In Trilog none ever does: Raft forbids it.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_its_defaults_are_allowed() {
        assert!(TOPIC_CONFIGS.is_sorted_by(|a, b| a.name < b.name));
        for config in TOPIC_CONFIGS {
            assert_eq!(config.domain.check(config.default), Ok(()), "{}", config.name);
            assert!(topic_config(config.name).is_some_and(|found| found.name == config.name));
        }
        assert!(topic_config("max.message.byte").is_none());
    }

    #[test]
    fn what_is_honoured() {
        let names: Vec<_> =
            TOPIC_CONFIGS.iter().filter(|config| config.honoured).map(|config| config.name).collect();
        assert_eq!(
            names,
            [
                "cleanup.policy",
                "max.message.bytes",
                "message.timestamp.after.max.ms",
                "message.timestamp.before.max.ms",
                "message.timestamp.type",
                "min.insync.replicas",
                "retention.bytes",
                "retention.ms",
            ]
        );
    }
}
