//! How an administration client is configured.

use std::time::Duration;

use crate::config::{Common, ConfigError, Setting, bounded, milliseconds, set_by_name};

/// The configuration of an [`Admin`](super::Admin), with Kafka's names and defaults.
///
/// ```
/// use trilog_client::AdminConfig;
///
/// # fn example() -> Result<(), trilog_client::ConfigError> {
/// let typed = AdminConfig::new("one:9092,two:9092")?;
/// let named = AdminConfig::from_names([("bootstrap.servers", "one:9092"), ("default.api.timeout.ms", "15000")])?;
/// # Ok(())
/// # }
/// # example().unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct AdminConfig {
    pub(super) common: Common,
    pub(super) api_timeout: Duration,
}

impl Default for AdminConfig {
    fn default() -> Self {
        // Asking about a topic must not create it.
        let common = Common { auto_create_topics: false, ..Common::default() };
        Self { common, api_timeout: Duration::from_secs(60) }
    }
}

set_by_name!(AdminConfig, ADMIN);

impl AdminConfig {
    /// `default.api.timeout.ms`: how long a call may take, with all its attempts.
    #[must_use]
    pub const fn api_timeout(mut self, limit: Duration) -> Self {
        self.api_timeout = bounded(limit);
        self
    }

    /// Checks what no single setting can tell.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        self.common.validate()?;
        if self.api_timeout.is_zero() {
            return Err(ConfigError::Conflict("default.api.timeout.ms of 0 leaves no time for anything"));
        }
        Ok(())
    }
}

/// An administration client's own settings by name.
const ADMIN: &[Setting<AdminConfig>] = &[Setting {
    names: &["default.api.timeout.ms"],
    set: |c, v| milliseconds(v).map(|time| c.api_timeout = time),
}];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_settings_of_all_clients_and_its_own() {
        let names = [("bootstrap.servers", "h:1"), ("default.api.timeout.ms", "7"), ("client.id", "me")];
        let config = AdminConfig::from_names(names).unwrap();
        assert_eq!((config.api_timeout, config.common.client_id.as_str()), (Duration::from_millis(7), "me"));
        assert!(!config.common.auto_create_topics, "a question creates nothing");
        assert!(config.validate().is_ok());
        assert!(AdminConfig::from_names([("linger.ms", "5")]).is_err(), "a setting of producers");
        assert!(AdminConfig::new("h:1").unwrap().api_timeout(Duration::ZERO).validate().is_err());
    }
}
