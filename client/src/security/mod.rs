//! TLS and SASL: how a client proves who it is, and learns that the broker is the one that was meant.
//!
//! [`Security`] says what connections do before their first request. Configurations take it by their method `security`, or by Kafka's
//! and librdkafka's names (`security.protocol`, `ssl.*`, `sasl.*`).
//!
//! ```
//! use trilog_client::security::{Sasl, Security, Tls};
//! use trilog_client::ProducerConfig;
//!
//! # fn example() -> Result<(), trilog_client::ConfigError> {
//! let security = Security::sasl_ssl(Tls::new(), Sasl::scram_sha_512("alice", "her password"));
//! let typed = ProducerConfig::new("broker.example.org:9093")?.security(security);
//! let named = ProducerConfig::from_names([
//!     ("bootstrap.servers", "broker.example.org:9093"),
//!     ("security.protocol", "SASL_SSL"),
//!     ("sasl.mechanism", "SCRAM-SHA-512"),
//!     ("sasl.username", "alice"),
//!     ("sasl.password", "her password"),
//! ])?;
//! # Ok(())
//! # }
//! # example().unwrap();
//! ```
//!
//! Passwords, tokens and private keys appear in no error, no log and no debug output.
//!
//! | room | what it tells |
//! | --- | --- |
//! | `tls` | certificates, keys and trust; what is wrong with a certificate, in a sentence |
//! | `sasl` | the mechanisms as pure machines, and tokens |
//! | `jaas` | the one line of Java's login configuration |
//! | `names` | Kafka's names for all of it |

mod jaas;
mod names;
pub(crate) mod sasl;
mod secret;
#[cfg(test)]
mod tests;
pub(crate) mod tls;

pub(crate) use self::names::{SECURITY, is_secret};
pub(crate) use self::sasl::{Conversation, Credentials, SaslError, Step, shortened};
pub use self::sasl::{Sasl, Token, TokenError, TokenFuture, TokenProvider};
pub use self::tls::Tls;
pub(crate) use self::tls::{Connector, explain};
use crate::ConfigError;

/// What connections do before their first request (`security.protocol`). The default is nothing.
#[derive(Clone, Debug, Default)]
pub struct Security {
    /// Whether the protocol was named, be it `PLAINTEXT`.
    is_chosen: bool,
    uses_tls: bool,
    uses_sasl: bool,
    tls: Tls,
    sasl: Sasl,
}

impl Security {
    /// `PLAINTEXT`: neither TLS nor SASL.
    #[must_use]
    pub fn plaintext() -> Self {
        Self { is_chosen: true, ..Self::default() }
    }

    /// `SSL`: TLS, with a client certificate if `tls` has one.
    #[must_use]
    pub fn ssl(tls: Tls) -> Self {
        Self { uses_tls: true, tls, ..Self::plaintext() }
    }

    /// `SASL_PLAINTEXT`: SASL without encryption. The network can read the records, and with `PLAIN` the password.
    #[must_use]
    pub fn sasl_plaintext(sasl: Sasl) -> Self {
        Self { uses_sasl: true, sasl, ..Self::plaintext() }
    }

    /// `SASL_SSL`: SASL within TLS.
    #[must_use]
    pub fn sasl_ssl(tls: Tls, sasl: Sasl) -> Self {
        Self { is_chosen: true, uses_tls: true, uses_sasl: true, tls, sasl }
    }

    /// Reads the files that this names, and checks that the parts fit together. Configurations of clients do so by themselves; the
    /// [low level](crate::wire) takes what is returned.
    ///
    /// Reads files of the local disk, and the system's certificates at the first call of a process.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a file that cannot be used, and for what is missing or does not fit.
    pub fn prepare(&self) -> Result<PreparedSecurity, ConfigError> {
        let tls = self.uses_tls.then(|| self.tls.prepare()).transpose()?;
        let sasl = self.uses_sasl.then(|| self.sasl.prepare()).transpose()?;
        if !self.is_chosen && (self.tls.is_set() || self.sasl.is_set()) {
            return Err(ConfigError::Conflict(
                "there are ssl.* or sasl.* settings, and security.protocol is not set: SSL, SASL_SSL or SASL_PLAINTEXT",
            ));
        }
        Ok(PreparedSecurity { tls, sasl, broken: None })
    }
}

/// [`Security`] that is ready for connections. The default is neither TLS nor SASL.
#[derive(Clone, Debug, Default)]
pub struct PreparedSecurity {
    pub(crate) tls: Option<Connector>,
    pub(crate) sasl: Option<Credentials>,
    /// Why it cannot be used. No connection is opened, least of all without encryption.
    pub(crate) broken: Option<ConfigError>,
}

impl PreparedSecurity {
    /// What is prepared, or the reason why nothing can be.
    pub(crate) fn of(security: &Security) -> Self {
        let broken = |error| Self { broken: Some(error), ..Self::default() };
        security.prepare().unwrap_or_else(broken)
    }
}
