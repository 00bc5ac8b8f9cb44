//! The settings that a node was given, and how their values are read: what was not given has the table's default.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::broker::SettingError;
use super::broker_table::broker_config;
use super::domain::{InvalidValue, boolean, counts_by_address, integer, list_value};

/// Settings by their names in the tables, each with a value that its domain allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Given(BTreeMap<&'static str, String>);

impl Given {
    /// Adds a setting. One that was there already is replaced.
    pub(super) fn insert(&mut self, name: &'static str, value: String) {
        self.0.insert(name, value);
    }

    /// The value given, if one was.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value in force: the one given, or the table's default.
    pub(super) fn text(&self, name: &'static str) -> &str {
        let default = || broker_config(name).and_then(|config| config.default).unwrap_or_default();
        self.get(name).unwrap_or_else(default)
    }

    pub(super) fn integer(&self, name: &'static str) -> Result<i64, SettingError> {
        integer(self.text(name)).ok_or_else(|| self.refused(name, InvalidValue::NotNumber("LONG")))
    }

    pub(super) fn size(&self, name: &'static str) -> Result<usize, SettingError> {
        usize::try_from(self.integer(name)?).map_err(|_| self.refused(name, InvalidValue::TooLow(0)))
    }

    /// A number that has no default, if it was given.
    pub(super) fn size_if_given(&self, name: &'static str) -> Result<Option<usize>, SettingError> {
        self.get(name).map(|_| self.size(name)).transpose()
    }

    pub(super) fn milliseconds(&self, name: &'static str) -> Result<Duration, SettingError> {
        let milliseconds = u64::try_from(self.integer(name)?);
        milliseconds.map(Duration::from_millis).map_err(|_| self.refused(name, InvalidValue::TooLow(0)))
    }

    pub(super) fn boolean(&self, name: &'static str) -> Result<bool, SettingError> {
        boolean(self.text(name)).ok_or_else(|| self.refused(name, InvalidValue::NotBoolean))
    }

    /// The words of a list, which must not be empty.
    pub(super) fn words(&self, name: &'static str) -> Result<Vec<&str>, SettingError> {
        let words: Vec<_> = list_value(self.text(name)).collect();
        if words.is_empty() { Err(self.refused(name, InvalidValue::Empty)) } else { Ok(words) }
    }

    /// Counts by address.
    pub(super) fn counts(&self, name: &'static str) -> Result<BTreeMap<IpAddr, usize>, SettingError> {
        counts_by_address(self.text(name)).map_err(|reason| self.refused(name, reason))
    }

    /// The refusal of the value in force.
    pub(super) fn refused(&self, name: &'static str, reason: InvalidValue) -> SettingError {
        SettingError::InvalidValue { name, value: self.text(name).to_owned(), reason }
    }
}
