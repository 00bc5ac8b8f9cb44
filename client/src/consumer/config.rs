//! How a consumer is configured.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::assignor::{Assignor, RebalanceProtocol};
use super::group::classic::ClassicOptions;
use super::positions::ResetPolicy;
use crate::config::{
    Common, ConfigError, Setting, bounded, bytes, count, flag, milliseconds, set_by_name, text,
};

/// Which protocol a consumer speaks with its group (`group.protocol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupProtocol {
    /// `classic`: the members assign.
    Classic,
    /// `consumer`: the coordinator assigns (KIP-848).
    Consumer,
}

/// A consumer's configuration, with Kafka's names. Each method names the setting that it sets. The defaults are those of Kafka 4,
/// with two exceptions: `partition.assignment.strategy` is `cooperative-sticky`, as members then keep consuming what they keep, and
/// `max.poll.records` has no bound, as a poll gives the records of one batch.
///
/// ```
/// use trilog_client::consumer::{ConsumerConfig, GroupProtocol};
///
/// # fn example() -> Result<(), trilog_client::ConfigError> {
/// let typed = ConsumerConfig::new("one:9092,two:9092")?.group("billing").protocol(GroupProtocol::Consumer);
/// let named = ConsumerConfig::from_names([
///     ("bootstrap.servers", "one:9092,two:9092"),
///     ("group.id", "billing"),
///     ("group.protocol", "consumer"),
/// ])?;
/// # Ok(())
/// # }
/// # example().unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    pub(super) common: Common,
    pub(super) group: Option<String>,
    pub(super) protocol: GroupProtocol,
    pub(super) instance: Option<String>,
    pub(super) rack: Option<String>,
    pub(super) assignors: Vec<Assignor>,
    pub(super) remote_assignor: Option<String>,
    pub(super) session_timeout: Duration,
    pub(super) heartbeat_interval: Duration,
    pub(super) max_poll_interval: Duration,
    pub(super) max_poll_records: usize,
    pub(super) auto_commit: Option<Duration>,
    auto_commit_interval: Duration,
    pub(super) reset: ResetPolicy,
    pub(super) exclude_internal_topics: bool,
    pub(super) read_committed: bool,
    pub(super) check_crcs: bool,
    pub(super) fetch_min_bytes: usize,
    pub(super) fetch_max_wait: Duration,
    pub(super) fetch_max_bytes: usize,
    pub(super) partition_max_bytes: usize,
    pub(super) prefetch_bytes: usize,
    pub(super) max_decompressed_bytes: usize,
    pub(super) api_timeout: Duration,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        let interval = Duration::from_secs(5);
        Self {
            common: Common::default(),
            group: None,
            protocol: GroupProtocol::Classic,
            instance: None,
            rack: None,
            assignors: vec![Assignor::CooperativeSticky],
            remote_assignor: None,
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(3),
            max_poll_interval: Duration::from_secs(300),
            max_poll_records: usize::MAX,
            auto_commit: Some(interval),
            auto_commit_interval: interval,
            reset: ResetPolicy::Latest,
            exclude_internal_topics: true,
            read_committed: false,
            check_crcs: true,
            fetch_min_bytes: 1,
            fetch_max_wait: Duration::from_millis(500),
            fetch_max_bytes: 50 << 20,
            partition_max_bytes: 1 << 20,
            prefetch_bytes: 64 << 20,
            max_decompressed_bytes: 128 << 20,
            api_timeout: Duration::from_secs(60),
        }
    }
}

set_by_name!(ConsumerConfig, CONSUMER);

impl ConsumerConfig {
    /// `bootstrap.servers`, each as `host:port`.
    #[must_use]
    pub fn bootstrap_servers(&self) -> Vec<String> {
        self.common.bootstrap.iter().map(ToString::to_string).collect()
    }

    /// `group.id`.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// `group.protocol`.
    #[must_use]
    pub const fn protocol(mut self, protocol: GroupProtocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// `group.instance.id`: makes the consumer a static member, whose restart moves no partition.
    #[must_use]
    pub fn instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// `partition.assignment.strategy`, the preferred one first. For the classic protocol only.
    #[must_use]
    pub fn assignors(mut self, assignors: impl Into<Vec<Assignor>>) -> Self {
        self.assignors = assignors.into();
        self
    }

    /// `auto.offset.reset`.
    #[must_use]
    pub const fn reset(mut self, policy: ResetPolicy) -> Self {
        self.reset = policy;
        self
    }

    /// `max.poll.records`: how many records a poll gives at most.
    #[must_use]
    pub const fn max_poll_records(mut self, records: NonZeroUsize) -> Self {
        self.max_poll_records = records.get();
        self
    }

    /// `enable.auto.commit` and `auto.commit.interval.ms`; None turns automatic commits off. A longer time than 2^31 - 1 ms counts
    /// as that.
    #[must_use]
    pub const fn auto_commit(mut self, interval: Option<Duration>) -> Self {
        self.auto_commit = match interval {
            Some(interval) => Some(bounded(interval)),
            None => None,
        };
        self
    }

    /// Checks what no single setting can tell.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        self.common.validate()?;
        if self.assignors.is_empty() {
            return Err(ConfigError::Missing("partition.assignment.strategy"));
        }
        let cooperative = |assignor: &Assignor| assignor.protocol() == RebalanceProtocol::Cooperative;
        if self.assignors.iter().any(cooperative) && !self.assignors.iter().all(cooperative) {
            // Kafka takes this for the first of two rolling restarts from eager to cooperative: the group stays eager.
            tracing::info!("eager and cooperative assignors together: the group rebalances eagerly");
        }
        if self.heartbeat_interval >= self.session_timeout {
            return Err(ConfigError::Conflict("heartbeat.interval.ms is not below session.timeout.ms"));
        }
        if self.prefetch_bytes == 0 || self.partition_max_bytes == 0 || self.fetch_max_bytes == 0 {
            return Err(ConfigError::Conflict("a fetch of 0 bytes brings no record"));
        }
        Ok(())
    }

    pub(super) fn classic(&self) -> ClassicOptions {
        ClassicOptions {
            instance: self.instance.clone(),
            rack: self.rack.clone(),
            assignors: self.assignors.clone(),
            session_timeout: self.session_timeout,
            heartbeat_interval: self.heartbeat_interval,
            max_poll_interval: self.max_poll_interval,
            retry_backoff: self.common.retry.initial,
        }
    }
}

/// The assignors of a list, by their names or those of Java's classes.
fn assignors(value: &str) -> Result<Vec<Assignor>, String> {
    let java = |name: &str| match name.rsplit('.').next() {
        Some("RangeAssignor") => Some(Assignor::Range),
        Some("RoundRobinAssignor") => Some(Assignor::RoundRobin),
        Some("StickyAssignor") => Some(Assignor::Sticky),
        Some("CooperativeStickyAssignor") => Some(Assignor::CooperativeSticky),
        _ => None,
    };
    let named = |name: &str| Assignor::named(name.trim()).or_else(|| java(name.trim()));
    let all: Option<Vec<_>> = value.split(',').map(named).collect();
    all.ok_or_else(|| {
        "range, roundrobin, sticky or cooperative-sticky, several separated by commas".to_owned()
    })
}

/// `earliest`, `latest`, `none`, or `by_duration:` and a duration of ISO 8601 in days, hours, minutes and seconds.
fn reset(value: &str) -> Result<ResetPolicy, String> {
    let age = |text: &str| iso_duration(text).map(ResetPolicy::ByDuration);
    let policy = match value {
        "earliest" | "smallest" | "beginning" => Some(ResetPolicy::Earliest),
        "latest" | "largest" | "end" => Some(ResetPolicy::Latest),
        "none" | "error" => Some(ResetPolicy::None),
        _ => value.strip_prefix("by_duration:").and_then(age),
    };
    policy.ok_or_else(|| "earliest, latest, none or by_duration:PnDTnHnMnS".to_owned())
}

fn iso_duration(text: &str) -> Option<Duration> {
    let (days, rest) = text.strip_prefix('P').map(|text| text.split_once('T').unwrap_or((text, "")))?;
    let mut seconds = 0_u64;
    let mut found = false;
    for (part, units) in [(days, &[('D', 86_400)][..]), (rest, &[('H', 3600), ('M', 60), ('S', 1)])] {
        let mut part = part;
        for (unit, length) in units {
            if let Some((number, behind)) = part.split_once(*unit) {
                seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(*length)?)?;
                found = true;
                part = behind;
            }
        }
        if !part.is_empty() {
            return None;
        }
    }
    found.then(|| Duration::from_secs(seconds))
}

/// A consumer's own settings by name.
const CONSUMER: &[Setting<ConsumerConfig>] = &[
    Setting { names: &["group.id"], set: |c, v| text(v).map(|group| c.group = Some(group)) },
    Setting {
        names: &["group.protocol"],
        set: |c, v| {
            match v {
                "classic" => Ok(GroupProtocol::Classic),
                "consumer" => Ok(GroupProtocol::Consumer),
                _ => Err("classic or consumer".to_owned()),
            }
            .map(|protocol| c.protocol = protocol)
        },
    },
    Setting { names: &["group.instance.id"], set: |c, v| text(v).map(|id| c.instance = Some(id)) },
    Setting { names: &["client.rack"], set: |c, v| text(v).map(|rack| c.rack = Some(rack)) },
    Setting {
        names: &["partition.assignment.strategy"],
        set: |c, v| assignors(v).map(|assignors| c.assignors = assignors),
    },
    Setting {
        names: &["group.remote.assignor"],
        set: |c, v| text(v).map(|assignor| c.remote_assignor = Some(assignor)),
    },
    Setting {
        names: &["session.timeout.ms"],
        set: |c, v| milliseconds(v).map(|time| c.session_timeout = time),
    },
    Setting {
        names: &["heartbeat.interval.ms"],
        set: |c, v| milliseconds(v).map(|time| c.heartbeat_interval = time),
    },
    Setting {
        names: &["max.poll.interval.ms"],
        set: |c, v| milliseconds(v).map(|time| c.max_poll_interval = time),
    },
    Setting {
        names: &["max.poll.records"],
        set: |c, v| count(v).map(|records| c.max_poll_records = records),
    },
    Setting {
        names: &["enable.auto.commit"],
        set: |c, v| flag(v).map(|on| c.auto_commit = on.then_some(c.auto_commit_interval)),
    },
    Setting {
        names: &["auto.commit.interval.ms"],
        set: |c, v| {
            milliseconds(v).map(|time| {
                c.auto_commit_interval = time;
                c.auto_commit = c.auto_commit.map(|_| time);
            })
        },
    },
    Setting { names: &["auto.offset.reset"], set: |c, v| reset(v).map(|policy| c.reset = policy) },
    Setting {
        names: &["exclude.internal.topics"],
        set: |c, v| flag(v).map(|excluded| c.exclude_internal_topics = excluded),
    },
    Setting {
        names: &["isolation.level"],
        set: |c, v| {
            match v {
                "read_committed" => Ok(true),
                "read_uncommitted" => Ok(false),
                _ => Err("read_committed or read_uncommitted".to_owned()),
            }
            .map(|committed| c.read_committed = committed)
        },
    },
    Setting { names: &["check.crcs"], set: |c, v| flag(v).map(|on| c.check_crcs = on) },
    Setting { names: &["fetch.min.bytes"], set: |c, v| bytes(v).map(|size| c.fetch_min_bytes = size) },
    Setting {
        names: &["fetch.max.wait.ms", "fetch.wait.max.ms"],
        set: |c, v| milliseconds(v).map(|time| c.fetch_max_wait = time),
    },
    Setting { names: &["fetch.max.bytes"], set: |c, v| count(v).map(|size| c.fetch_max_bytes = size) },
    Setting {
        names: &["max.partition.fetch.bytes", "fetch.message.max.bytes"],
        set: |c, v| count(v).map(|size| c.partition_max_bytes = size),
    },
    Setting {
        names: &["queued.max.messages.kbytes"],
        set: |c, v| count(v).map(|kilobytes| c.prefetch_bytes = kilobytes.saturating_mul(1024)),
    },
    Setting {
        names: &["default.api.timeout.ms"],
        set: |c, v| milliseconds(v).map(|time| c.api_timeout = time),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn named(settings: &[(&str, &str)]) -> Result<ConsumerConfig, ConfigError> {
        ConsumerConfig::new("h:1")?.with_names(settings.iter().copied())
    }

    #[test]
    fn settings_are_known_by_the_names_of_java_and_librdkafka() {
        let config = named(&[
            ("group.id", "g"),
            ("group.protocol", "consumer"),
            ("partition.assignment.strategy", "range, org.apache.kafka.clients.consumer.StickyAssignor"),
            ("auto.offset.reset", "by_duration:P1DT2H3M4S"),
            ("fetch.wait.max.ms", "7"),
            ("enable.auto.commit", "false"),
            ("auto.commit.interval.ms", "9"),
            ("exclude.internal.topics", "false"),
        ]);
        let config = config.unwrap();
        assert_eq!(config.protocol, GroupProtocol::Consumer);
        assert_eq!(config.assignors, [Assignor::Range, Assignor::Sticky]);
        assert_eq!(config.reset, ResetPolicy::ByDuration(Duration::from_secs(86_400 + 7200 + 184)));
        assert_eq!((config.fetch_max_wait, config.auto_commit), (Duration::from_millis(7), None));
        assert!(!config.exclude_internal_topics && ConsumerConfig::default().exclude_internal_topics);
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let misspelt = named(&[("auto.ofset.reset", "latest")]).unwrap_err().to_string();
        assert!(misspelt.contains(r#"did you mean "auto.offset.reset"?"#), "{misspelt}");
        for age in [
            "by_duration:",
            "by_duration:P",
            "by_duration:PT",
            "by_duration:P1X",
            "by_duration:PT1S1M",
            "soon",
        ] {
            assert!(named(&[("auto.offset.reset", age)]).is_err(), "{age}");
        }
        assert!(named(&[("partition.assignment.strategy", "range,best")]).is_err());
        let slow = named(&[("heartbeat.interval.ms", "50000")]).unwrap();
        assert!(slow.validate().unwrap_err().to_string().contains("session.timeout.ms"));
    }
}
