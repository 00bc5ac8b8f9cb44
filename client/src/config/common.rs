//! What every client is configured with: where the brokers are, and how patient to be with them.

use std::time::Duration;

use super::{Address, ConfigError, Setting, bytes, flag, milliseconds, text};
use crate::backoff::Backoff;
use crate::security::{PreparedSecurity, Security};
use crate::wire::ConnectionOptions;

/// The settings that all clients share, with Kafka 4's defaults.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    /// `bootstrap.servers`.
    pub(crate) bootstrap: Vec<Address>,
    /// `client.id`.
    pub(crate) client_id: String,
    /// `request.timeout.ms`.
    pub(crate) request_timeout: Duration,
    /// `retry.backoff.ms` and `retry.backoff.max.ms`.
    pub(crate) retry: Backoff,
    /// `reconnect.backoff.ms` and `reconnect.backoff.max.ms`.
    pub(crate) reconnect: Backoff,
    /// `socket.connection.setup.timeout.ms`: for each address that a host name has.
    pub(crate) connect_timeout: Duration,
    /// `metadata.max.age.ms`.
    pub(crate) metadata_max_age: Duration,
    /// `metadata.max.idle.ms`: how long metadata of a topic is refreshed after its last use.
    pub(crate) metadata_max_idle: Duration,
    /// `metadata.recovery.strategy`: whether the bootstrap servers are asked again when no known broker answers (KIP-899).
    pub(crate) rebootstraps: bool,
    /// `allow.auto.create.topics`.
    pub(crate) auto_create_topics: bool,
    /// `receive.message.max.bytes`: the longest answer accepted.
    pub(crate) max_response_bytes: usize,
    /// `security.protocol`, `ssl.*` and `sasl.*`.
    pub(crate) security: Security,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            bootstrap: Vec::new(),
            client_id: env!("CARGO_PKG_NAME").to_owned(),
            request_timeout: Duration::from_secs(30),
            retry: Backoff { initial: Duration::from_millis(100), max: Duration::from_secs(1) },
            reconnect: Backoff { initial: Duration::from_millis(50), max: Duration::from_secs(1) },
            connect_timeout: Duration::from_secs(10),
            metadata_max_age: Duration::from_secs(300),
            metadata_max_idle: Duration::from_secs(300),
            rebootstraps: true,
            auto_create_topics: true,
            max_response_bytes: 100 << 20,
            security: Security::default(),
        }
    }
}

impl Common {
    /// Checks what no single setting can tell.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        if self.bootstrap.is_empty() {
            return Err(ConfigError::Missing("bootstrap.servers"));
        }
        if self.retry.max < self.retry.initial {
            return Err(ConfigError::Conflict("retry.backoff.max.ms is below retry.backoff.ms"));
        }
        if self.reconnect.max < self.reconnect.initial {
            return Err(ConfigError::Conflict("reconnect.backoff.max.ms is below reconnect.backoff.ms"));
        }
        if self.request_timeout.is_zero() || self.connect_timeout.is_zero() {
            return Err(ConfigError::Conflict("a timeout of 0 leaves no time for anything"));
        }
        self.security.prepare().map(|_| ())
    }

    /// How connections behave.
    pub(crate) fn options(&self, security: PreparedSecurity) -> ConnectionOptions {
        ConnectionOptions {
            client_id: self.client_id.clone(),
            connect_timeout: self.connect_timeout,
            request_timeout: self.request_timeout,
            max_response_bytes: self.max_response_bytes,
            security,
        }
    }
}

/// The shared settings by name.
pub(crate) const COMMON: &[Setting<Common>] = &[
    Setting {
        names: &["bootstrap.servers", "metadata.broker.list"],
        set: |c, v| Address::parse_list(v).map(|list| c.bootstrap = list),
    },
    Setting { names: &["client.id"], set: |c, v| text(v).map(|id| c.client_id = id) },
    Setting {
        names: &["request.timeout.ms"],
        set: |c, v| milliseconds(v).map(|time| c.request_timeout = time),
    },
    Setting { names: &["retry.backoff.ms"], set: |c, v| milliseconds(v).map(|time| c.retry.initial = time) },
    Setting { names: &["retry.backoff.max.ms"], set: |c, v| milliseconds(v).map(|time| c.retry.max = time) },
    Setting {
        names: &["reconnect.backoff.ms"],
        set: |c, v| milliseconds(v).map(|time| c.reconnect.initial = time),
    },
    Setting {
        names: &["reconnect.backoff.max.ms"],
        set: |c, v| milliseconds(v).map(|time| c.reconnect.max = time),
    },
    Setting {
        names: &["socket.connection.setup.timeout.ms"],
        set: |c, v| milliseconds(v).map(|time| c.connect_timeout = time),
    },
    Setting {
        names: &["metadata.max.age.ms"],
        set: |c, v| milliseconds(v).map(|time| c.metadata_max_age = time),
    },
    Setting {
        names: &["metadata.max.idle.ms"],
        set: |c, v| milliseconds(v).map(|time| c.metadata_max_idle = time),
    },
    Setting {
        names: &["metadata.recovery.strategy"],
        set: |c, v| {
            c.rebootstraps = match v {
                "rebootstrap" => true,
                "none" => false,
                _ => return Err("rebootstrap or none".to_owned()),
            };
            Ok(())
        },
    },
    Setting {
        names: &["allow.auto.create.topics"],
        set: |c, v| flag(v).map(|allowed| c.auto_create_topics = allowed),
    },
    Setting {
        names: &["receive.message.max.bytes"],
        set: |c, v| bytes(v).map(|limit| c.max_response_bytes = limit),
    },
];
