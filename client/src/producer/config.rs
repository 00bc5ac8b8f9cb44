//! How a producer is configured.

use std::sync::Arc;
use std::time::Duration;

use trilog_protocol::batch::Codec;
use trilog_protocol::compression::Compression;

use super::partitioner::Partitioner;
use super::queue::Rules;
use crate::config::{
    Common, ConfigError, Setting, bounded, bytes, codec, count, flag, level, milliseconds, set_by_name, text,
};

/// The most requests in flight to one broker by which a broker still tells a retry from a new batch.
const MAX_IDEMPOTENT_IN_FLIGHT: usize = 5;

/// Which replicas have to have a record before it counts as delivered (`acks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// None: a record counts as delivered once the socket has taken all of its request. A loss behind that is not reported.
    None,
    /// The leader alone.
    Leader,
    /// All that are in sync.
    All,
}

impl Acks {
    pub(super) const fn number(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// `batch.size` if nothing is said: librdkafka's default, and not the 16 KiB of Java. Under load, few large batches cost client and
/// brokers far less than many small ones; without, `linger.ms` ends a batch long before it is full.
const USUAL_BATCH_SIZE: usize = 1_000_000;

/// A producer's configuration, with Kafka 4's names and defaults, except for `batch.size`. Each method names the setting that it
/// sets. Times are at most 2^31 - 1 ms, about 25 days, as in Kafka; longer ones count as that.
///
/// ```
/// use std::time::Duration;
/// use trilog_client::{Acks, ProducerConfig};
///
/// # fn example() -> Result<(), trilog_client::ConfigError> {
/// let typed = ProducerConfig::new("one:9092,two:9092")?.linger(Duration::from_millis(20)).acks(Acks::All);
/// let named = ProducerConfig::from_names([("bootstrap.servers", "one:9092,two:9092"), ("linger.ms", "20")])?;
///
/// let misspelt = ProducerConfig::from_names([("linger", "20")]).unwrap_err();
/// assert_eq!(misspelt.to_string(), r#"there is no setting "linger"; did you mean "linger.ms"?"#);
/// # Ok(())
/// # }
/// # example().unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    pub(super) common: Common,
    pub(super) acks: Acks,
    /// As the application set it, if it did.
    idempotence: Option<bool>,
    pub(super) max_in_flight: usize,
    linger: Duration,
    /// As the application set it, if it did.
    batch_size: Option<usize>,
    pub(super) max_request_size: usize,
    pub(super) buffer_memory: usize,
    pub(super) max_block: Duration,
    /// As the application set it, if it did.
    delivery_timeout: Option<Duration>,
    codec: Codec,
    gzip_level: Option<i32>,
    lz4_level: Option<i32>,
    zstd_level: Option<i32>,
    pub(super) partitioner: Option<Arc<dyn Partitioner>>,
    pub(super) ignores_keys: bool,
    pub(super) is_adaptive: bool,
    pub(super) availability_timeout: Duration,
    pub(super) transactional_id: Option<String>,
    pub(super) transaction_timeout: Duration,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            common: Common::default(),
            acks: Acks::All,
            idempotence: None,
            max_in_flight: MAX_IDEMPOTENT_IN_FLIGHT,
            linger: Duration::from_millis(5),
            batch_size: None,
            max_request_size: 1 << 20,
            buffer_memory: 32 << 20,
            max_block: Duration::from_secs(60),
            delivery_timeout: None,
            codec: Codec::None,
            gzip_level: None,
            lz4_level: None,
            zstd_level: None,
            partitioner: None,
            ignores_keys: false,
            is_adaptive: true,
            availability_timeout: Duration::ZERO,
            transactional_id: None,
            transaction_timeout: Duration::from_secs(60),
        }
    }
}

set_by_name!(ProducerConfig, SETTINGS);

impl ProducerConfig {
    /// `bootstrap.servers`, each as `host:port`.
    #[must_use]
    pub fn bootstrap_servers(&self) -> Vec<String> {
        self.common.bootstrap.iter().map(ToString::to_string).collect()
    }

    /// `client.id`: what brokers' logs and quotas know this client by.
    #[must_use]
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.common.client_id = id.into();
        self
    }

    /// `acks`, all by default. Anything less turns idempotence off.
    #[must_use]
    pub const fn acks(mut self, acks: Acks) -> Self {
        self.acks = acks;
        self
    }

    /// `enable.idempotence`, on by default: no record is doubled or reordered by a retry.
    #[must_use]
    pub const fn idempotence(mut self, on: bool) -> Self {
        self.idempotence = Some(on);
        self
    }

    /// `linger.ms`, 5 by default: how long a batch waits for more records.
    #[must_use]
    pub const fn linger(mut self, time: Duration) -> Self {
        self.linger = bounded(time);
        self
    }

    /// `batch.size`, 1,000,000 bytes by default, or `max.request.size` or `buffer.memory` if that is less: the length before
    /// compression at which a batch is full. `linger.ms` bounds how long it fills.
    #[must_use]
    pub const fn batch_size(mut self, bytes: usize) -> Self {
        self.batch_size = Some(bytes);
        self
    }

    /// `max.request.size`, 1 MiB by default: a bound for a record, and for the batches of a request, before compression.
    #[must_use]
    pub const fn max_request_size(mut self, bytes: usize) -> Self {
        self.max_request_size = bytes;
        self
    }

    /// `max.in.flight.requests.per.connection`, 5 by default, which is the most that idempotence allows.
    #[must_use]
    pub const fn max_in_flight(mut self, requests: usize) -> Self {
        self.max_in_flight = requests;
        self
    }

    /// `buffer.memory`, 32 MiB by default: bytes of records that are not delivered yet. Beyond it, `send` waits.
    #[must_use]
    pub const fn buffer_memory(mut self, bytes: usize) -> Self {
        self.buffer_memory = bytes;
        self
    }

    /// `compression.type`, none by default.
    #[must_use]
    pub const fn compression(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// `delivery.timeout.ms`, 120 s by default: how long a record is tried for.
    #[must_use]
    pub const fn delivery_timeout(mut self, time: Duration) -> Self {
        self.delivery_timeout = Some(bounded(time));
        self
    }

    /// `request.timeout.ms`, 30 s by default: how long a broker may take for an answer.
    #[must_use]
    pub const fn request_timeout(mut self, time: Duration) -> Self {
        self.common.request_timeout = bounded(time);
        self
    }

    /// `max.block.ms`, 60 s by default: how long `send` waits for memory, and a record for its topic to be known.
    #[must_use]
    pub const fn max_block(mut self, time: Duration) -> Self {
        self.max_block = bounded(time);
        self
    }

    /// `transactional.id`, none by default: records belong to transactions; see [`Transaction`](crate::Transaction). The name stays the
    /// same over restarts, so that a new instance fences the one before it, and is used by one instance at a time.
    #[must_use]
    pub fn transactional_id(mut self, id: impl Into<String>) -> Self {
        self.transactional_id = Some(id.into());
        self
    }

    /// `transaction.timeout.ms`, 60 s by default: after this long the coordinator aborts an open transaction, and fences its producer.
    /// Brokers allow `transaction.max.timeout.ms` at most, 15 minutes by default.
    #[must_use]
    pub const fn transaction_timeout(mut self, time: Duration) -> Self {
        self.transaction_timeout = bounded(time);
        self
    }

    /// Chooses partitions by other rules than Kafka's.
    #[must_use]
    pub fn partitioner(mut self, partitioner: impl Partitioner + 'static) -> Self {
        self.partitioner = Some(Arc::new(partitioner));
        self
    }

    /// Whether the producer is idempotent: where nothing was said, if the other settings allow it.
    pub(super) fn is_idempotent(&self) -> bool {
        let is_possible = self.acks == Acks::All && self.max_in_flight <= MAX_IDEMPOTENT_IN_FLIGHT;
        self.idempotence.unwrap_or(is_possible)
    }

    /// `batch.size`, where nothing was said as much as the other settings allow.
    fn effective_batch_size(&self) -> usize {
        let usual = USUAL_BATCH_SIZE.min(self.max_request_size).min(self.buffer_memory);
        self.batch_size.unwrap_or(usual)
    }

    /// What the queues follow.
    pub(super) fn rules(&self) -> Rules {
        // By default the delivery timeout makes room for the others, as in Java.
        let least = bounded(self.linger + self.common.request_timeout);
        let usual = Duration::from_secs(120).max(least);
        Rules {
            batch_size: self.effective_batch_size(),
            linger: self.linger,
            delivery_timeout: self.delivery_timeout.unwrap_or(usual),
            retry: self.common.retry,
        }
    }

    /// The codec, at its level.
    pub(super) fn compression_level(&self) -> Result<Compression, ConfigError> {
        let (name, level) = match self.codec {
            Codec::None | Codec::Snappy => return Ok(Compression::of(self.codec)),
            Codec::Gzip => ("compression.gzip.level", self.gzip_level),
            Codec::Lz4 => ("compression.lz4.level", self.lz4_level),
            Codec::Zstd => ("compression.zstd.level", self.zstd_level),
        };
        let Some(level) = level else { return Ok(Compression::of(self.codec)) };
        Compression::with_level(self.codec, level).map_err(|error| ConfigError::InvalidValue {
            name,
            value: level.to_string(),
            expected: error.to_string(),
        })
    }

    /// Checks what no single setting can tell.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        self.common.validate()?;
        let conflict = |text| Err(ConfigError::Conflict(text));
        if self.idempotence == Some(true) && self.acks != Acks::All {
            return conflict("enable.idempotence needs acks=all");
        }
        if self.idempotence == Some(true) && self.max_in_flight > MAX_IDEMPOTENT_IN_FLIGHT {
            return conflict("enable.idempotence needs max.in.flight.requests.per.connection of 5 or less");
        }
        if self.max_in_flight == 0 {
            return conflict("max.in.flight.requests.per.connection cannot be 0");
        }
        if self.transactional_id.is_some() {
            self.validate_transactions()?;
        }
        let least = bounded(self.linger + self.common.request_timeout);
        if self.delivery_timeout.is_some_and(|timeout| timeout < least) {
            return conflict("delivery.timeout.ms is below linger.ms and request.timeout.ms together");
        }
        if self.buffer_memory < self.effective_batch_size() {
            return conflict("buffer.memory is below batch.size");
        }
        if u32::try_from(self.buffer_memory).is_err() {
            return conflict("buffer.memory is above 4 GiB");
        }
        self.compression_level().map(|_| ())
    }
}

impl ProducerConfig {
    fn validate_transactions(&self) -> Result<(), ConfigError> {
        let conflict = |text| Err(ConfigError::Conflict(text));
        if self.transactional_id.as_deref() == Some("") {
            return conflict("transactional.id cannot be empty");
        }
        if self.acks != Acks::All {
            return conflict("transactional.id needs acks=all");
        }
        if self.idempotence == Some(false) {
            return conflict("transactional.id needs enable.idempotence=true");
        }
        if self.max_in_flight > MAX_IDEMPOTENT_IN_FLIGHT {
            return conflict("transactional.id needs max.in.flight.requests.per.connection of 5 or less");
        }
        if self.transaction_timeout.is_zero() {
            return conflict("transaction.timeout.ms cannot be 0");
        }
        Ok(())
    }
}

/// A producer's own settings by name.
const SETTINGS: &[Setting<ProducerConfig>] = &[
    Setting {
        names: &["acks", "request.required.acks"],
        set: |c, v| {
            c.acks = match v {
                "all" | "-1" => Acks::All,
                "1" => Acks::Leader,
                "0" => Acks::None,
                _ => return Err("all, 1 or 0".to_owned()),
            };
            Ok(())
        },
    },
    Setting { names: &["enable.idempotence"], set: |c, v| flag(v).map(|on| c.idempotence = Some(on)) },
    Setting {
        names: &["max.in.flight.requests.per.connection", "max.in.flight"],
        set: |c, v| count(v).map(|requests| c.max_in_flight = requests),
    },
    Setting {
        names: &["linger.ms", "queue.buffering.max.ms"],
        set: |c, v| milliseconds(v).map(|time| c.linger = time),
    },
    Setting { names: &["batch.size"], set: |c, v| bytes(v).map(|size| c.batch_size = Some(size)) },
    Setting { names: &["max.request.size"], set: |c, v| bytes(v).map(|size| c.max_request_size = size) },
    Setting { names: &["buffer.memory"], set: |c, v| bytes(v).map(|size| c.buffer_memory = size) },
    Setting { names: &["max.block.ms"], set: |c, v| milliseconds(v).map(|time| c.max_block = time) },
    Setting {
        names: &["delivery.timeout.ms", "message.timeout.ms"],
        set: |c, v| milliseconds(v).map(|time| c.delivery_timeout = Some(time)),
    },
    Setting {
        names: &["compression.type", "compression.codec"],
        set: |c, v| codec(v).map(|codec| c.codec = codec),
    },
    Setting {
        names: &["compression.gzip.level"],
        set: |c, v| level(v).map(|level| c.gzip_level = Some(level)),
    },
    Setting {
        names: &["compression.lz4.level"],
        set: |c, v| level(v).map(|level| c.lz4_level = Some(level)),
    },
    Setting {
        names: &["compression.zstd.level"],
        set: |c, v| level(v).map(|level| c.zstd_level = Some(level)),
    },
    Setting {
        names: &["partitioner.ignore.keys"],
        set: |c, v| flag(v).map(|ignored| c.ignores_keys = ignored),
    },
    Setting {
        names: &["partitioner.adaptive.partitioning.enable"],
        set: |c, v| flag(v).map(|adaptive| c.is_adaptive = adaptive),
    },
    Setting {
        names: &["partitioner.availability.timeout.ms"],
        set: |c, v| milliseconds(v).map(|time| c.availability_timeout = time),
    },
    Setting { names: &["transactional.id"], set: |c, v| text(v).map(|id| c.transactional_id = Some(id)) },
    Setting {
        names: &["transaction.timeout.ms"],
        set: |c, v| milliseconds(v).map(|time| c.transaction_timeout = time),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn named(settings: &[(&str, &str)]) -> Result<ProducerConfig, ConfigError> {
        ProducerConfig::new("h:1")?.with_names(settings.iter().copied())
    }

    fn refused(settings: &[(&str, &str)]) -> String {
        let config = named(settings).and_then(|config| config.validate().map(|()| config));
        config.expect_err("refused").to_string()
    }

    #[test]
    fn idempotence_follows_the_other_settings_unless_it_is_demanded() {
        assert!(named(&[]).unwrap().is_idempotent());
        assert!(!named(&[("acks", "1")]).unwrap().is_idempotent());
        assert!(!named(&[("max.in.flight", "6")]).unwrap().is_idempotent());
        assert!(!named(&[("enable.idempotence", "false")]).unwrap().is_idempotent());
        let demanded = ("enable.idempotence", "true");
        assert!(refused(&[demanded, ("acks", "0")]).contains("acks=all"));
        assert!(refused(&[demanded, ("max.in.flight", "6")]).contains("5 or less"));
    }

    #[test]
    fn transactions_need_what_makes_them_exact() {
        let id = ("transactional.id", "copy-1");
        let config = named(&[id, ("transaction.timeout.ms", "5000")]).unwrap();
        config.validate().unwrap();
        assert!(config.is_idempotent());
        assert_eq!(config.transactional_id.as_deref(), Some("copy-1"));
        assert_eq!(config.transaction_timeout, Duration::from_secs(5));
        assert!(refused(&[id, ("acks", "1")]).contains("transactional.id needs acks=all"));
        assert!(refused(&[id, ("enable.idempotence", "false")]).contains("needs enable.idempotence=true"));
        assert!(refused(&[id, ("max.in.flight", "6")]).contains("5 or less"));
        assert!(refused(&[id, ("transaction.timeout.ms", "0")]).contains("cannot be 0"));
        assert!(refused(&[("transactional.id", "")]).contains("a text that is not empty"));
        assert!(refused(&[("transactional", "x")]).contains(r#"did you mean "transactional.id"?"#));
        let empty = ProducerConfig::new("h:1").unwrap().transactional_id("").validate().unwrap_err();
        assert_eq!(empty.to_string(), "transactional.id cannot be empty");
    }

    #[test]
    fn the_delivery_timeout_has_room_for_a_request() {
        let slow = named(&[("request.timeout.ms", "200000")]).unwrap();
        assert_eq!(slow.rules().delivery_timeout, Duration::from_millis(200_005));
        let text = refused(&[("delivery.timeout.ms", "30000")]);
        assert!(text.contains("below linger.ms and request.timeout.ms"), "{text}");
    }

    #[test]
    fn a_batch_is_as_large_as_the_other_settings_allow_unless_a_size_is_demanded() {
        let size = |settings: &[(&str, &str)]| named(settings).unwrap().rules().batch_size;
        assert_eq!(size(&[]), 1_000_000);
        assert_eq!(size(&[("buffer.memory", "70000")]), 70_000);
        assert_eq!(size(&[("max.request.size", "5000")]), 5000);
        assert_eq!(size(&[("max.request.size", "5000"), ("batch.size", "6000")]), 6000);
        let text = refused(&[("batch.size", "70001"), ("buffer.memory", "70000")]);
        assert!(text.contains("buffer.memory is below batch.size"), "{text}");
    }

    #[test]
    fn times_without_an_end_count_as_the_longest() {
        let times = ProducerConfig::new("h:1").unwrap().linger(Duration::MAX).request_timeout(Duration::MAX);
        let times = times.max_block(Duration::MAX);
        let longest = Duration::from_millis(i32::MAX.unsigned_abs().into());
        assert_eq!((times.max_block, times.common.request_timeout), (longest, longest));
        assert_eq!(times.rules().delivery_timeout, longest);
        times.validate().unwrap();
        times.delivery_timeout(Duration::MAX).validate().unwrap();
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        assert_eq!(refused(&[("acks", "2")]), r#"acks cannot be "2": all, 1 or 0"#);
        assert!(refused(&[("compression.type", "zip")]).contains("none, gzip, snappy, lz4 or zstd"));
        assert!(refused(&[("compresion.type", "gzip")]).contains(r#"did you mean "compression.type"?"#));
        assert!(
            refused(&[("compression.type", "gzip"), ("compression.gzip.level", "10")]).contains("1 to 9")
        );
        let nowhere = ProducerConfig::default().validate().unwrap_err();
        assert_eq!(nowhere.to_string(), "bootstrap.servers is not set");
    }
}
