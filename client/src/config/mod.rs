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
        /// The value as it was given.
        value: String,
        /// What it may be.
        expected: String,
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
