//! Configuration: typed builders, and Kafka's own names.
//!
//! Each client has a configuration with a method a setting; settings that come as text, from a property file or
//! the command line, are set by the names that Kafka's documentation uses. A name that does not exist is refused with the
//! nearest one that does.

mod address;
mod common;
mod names;
mod values;

use std::fmt;

use thiserror::Error;

pub(crate) use self::address::Address;
pub(crate) use self::common::{COMMON, Common};
pub use self::names::nearest_name;
pub(crate) use self::names::{Setting, apply, is_known};
pub(crate) use self::values::{bounded, bytes, codec, count, flag, level, milliseconds, text};

/// The methods of a configuration by which settings are set as text. `$settings` are its own; [`Common`] has the rest.
macro_rules! set_by_name {
    ($config:ident, $settings:ident) => {
        impl $config {
            /// The defaults, with `bootstrap.servers`: `host:port`, several separated by commas.
            ///
            /// # Errors
            ///
            /// [`ConfigError::InvalidValue`](crate::ConfigError::InvalidValue) if one of them is no address.
            pub fn new(bootstrap_servers: &str) -> Result<Self, $crate::ConfigError> {
                Self::from_names([("bootstrap.servers", bootstrap_servers)])
            }

            /// The defaults, with settings by their names in Kafka's documentation, or by librdkafka's for the same. Later ones
            /// replace earlier ones.
            ///
            /// # Errors
            ///
            /// [`ConfigError`](crate::ConfigError), for a name that does not exist or a value that its setting cannot have.
            pub fn from_names<N: AsRef<str>, V: AsRef<str>>(
                settings: impl IntoIterator<Item = (N, V)>,
            ) -> Result<Self, $crate::ConfigError> {
                Self::default().with_names(settings)
            }

            /// The same with further settings by name.
            ///
            /// # Errors
            ///
            /// As [`from_names`](Self::from_names).
            pub fn with_names<N: AsRef<str>, V: AsRef<str>>(
                mut self,
                settings: impl IntoIterator<Item = (N, V)>,
            ) -> Result<Self, $crate::ConfigError> {
                $crate::config::apply(&mut self, $settings, |config| &mut config.common, settings)?;
                Ok(self)
            }

            /// `security.protocol` and all that belongs to it: TLS and SASL. Replaces what names have set of it.
            #[must_use]
            pub fn security(mut self, security: $crate::security::Security) -> Self {
                self.common.security = security;
                self
            }

            /// How this configuration's connections behave, for the [low level](crate::wire). Reads the files that `ssl.*` settings
            /// name.
            ///
            /// # Errors
            ///
            /// [`ConfigError`](crate::ConfigError) for settings of security that are missing, do not fit, or name files that cannot be
            /// used.
            pub fn connection_options(&self) -> Result<$crate::wire::ConnectionOptions, $crate::ConfigError> {
                self.common.security.prepare().map(|security| self.common.options(security))
            }

            /// Whether there is a setting of this name, so that a file of settings may serve several clients.
            #[must_use]
            pub fn knows(name: &str) -> bool {
                $crate::config::is_known($settings, name)
            }
        }
    };
}
pub(crate) use set_by_name;

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No setting has this name.
    #[error("there is no setting {name:?}{}", DidYouMean(.nearest))]
    UnknownName {
        /// The name as it was given.
        name: String,
        /// The existing name that looks most like it, if any does.
        nearest: Option<&'static str>,
    },
    /// A value that its setting cannot have.
    #[error("{name} cannot be {value:?}: {expected}")]
    InvalidValue {
        /// The setting.
        name: &'static str,
        /// The value as it was given; `[hidden]` if it is a secret.
        value: String,
        /// What it may be.
        expected: String,
    },
    /// What a setting names cannot be used, as a file that is not there.
    #[error("{name} cannot be used: {cause}")]
    Unusable {
        /// The setting.
        name: &'static str,
        /// The file, and what is wrong with it.
        cause: String,
    },
    /// Two settings exclude each other, or one asks for more than another.
    #[error("{0}")]
    Conflict(&'static str),
    /// A setting that has no default is missing.
    #[error("{0} is not set")]
    Missing(&'static str),
}

/// Prints a suggestion, if there is one.
struct DidYouMean<'a>(&'a Option<&'static str>);

impl fmt::Display for DidYouMean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, "; did you mean {name:?}?"),
            None => Ok(()),
        }
    }
}
