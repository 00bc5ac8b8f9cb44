//! A broker setting by Kafka's own name, `num.partitions=3`, as `--set` takes it.
//!
//! Which names exist and which values they allow is the controller's knowledge, since the same settings can be changed
//! while the cluster runs; the shape is checked here.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use trilog_cluster::controller::configs::{BrokerSettings, SettingError};

use super::create_topics::NodeCount;

/// One `name=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Kafka's name: lower-case words joined by dots.
    pub(crate) name: String,
    /// Everything after the first `=`; it may be empty.
    pub(crate) value: String,
}

/// Several settings, separated by `;` or, where a NAME= follows, by a comma; the value of `TRILOG_SET`. An empty text is an empty list, because an environment
/// variable that is set to nothing is how container tools say "not set".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings(pub(super) Vec<Setting>);

/// The text is not `name=value`.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0:?} is not NAME=VALUE, such as num.partitions=3")]
pub(crate) struct SettingShapeError(String);

/// Some setting is not one of the broker's, or cannot have its value.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("--set: {0}")]
pub(crate) struct WrongSetting(#[from] pub(super) SettingError);

/// All settings of a repeated flag, in their order.
pub(super) fn joined(flags: Vec<Settings>) -> Vec<Setting> {
    flags.into_iter().flat_map(|settings| settings.0).collect()
}

/// What a node's settings amount to; a later one overrides an earlier one of the same name.
///
/// # Errors
///
/// Refuses, naming it, a setting that there is not or that cannot have its value.
pub(super) fn check(settings: &[Setting]) -> Result<BrokerSettings, WrongSetting> {
    let pairs = settings.iter().map(|setting| (setting.name.as_str(), setting.value.as_str()));
    BrokerSettings::from_pairs(pairs).map_err(WrongSetting)
}

/// A topic, or `__consumer_offsets`, would have more replicas than the cluster has nodes, and could never be made.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("--set: {name}={factor} asks for more replicas than there are nodes: {nodes} ({flag})")]
pub(crate) struct TooManyReplicas {
    name: &'static str,
    factor: usize,
    nodes: usize,
    flag: &'static str,
}

/// Holds the replicas that topics get by default against the number of nodes.
///
/// # Errors
///
/// [`TooManyReplicas`].
pub(super) fn check_replicas(settings: &BrokerSettings, count: NodeCount) -> Result<(), TooManyReplicas> {
    let NodeCount { nodes, flag } = count;
    let factors = [
        ("default.replication.factor", settings.default_replication_factor),
        ("offsets.topic.replication.factor", settings.offsets.topic_replication_factor),
    ];
    let above =
        factors.into_iter().find_map(|(name, factor)| Some((name, factor.filter(|factor| *factor > nodes)?)));
    above.map_or(Ok(()), |(name, factor)| Err(TooManyReplicas { name, factor, nodes, flag }))
}

impl FromStr for Setting {
    type Err = SettingShapeError;

    fn from_str(text: &str) -> Result<Self, SettingShapeError> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() && name.bytes().all(legal) => {
                Ok(Self { name: name.to_owned(), value: value.to_owned() })
            }
            _ => Err(SettingShapeError(text.to_owned())),
        }
    }
}

impl FromStr for Settings {
    type Err = SettingShapeError;

    fn from_str(text: &str) -> Result<Self, SettingShapeError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        text.split(';').flat_map(pieces).map(|piece| piece.parse()).collect::<Result<_, _>>().map(Self)
    }
}

/// The settings between two semicolons: a comma ends one if another one follows, and belongs to a list if not.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for (comma, _) in text.match_indices(',') {
        if text[comma + 1..].split(',').next().is_some_and(|next| next.parse::<Setting>().is_ok()) {
            pieces.push(&text[start..comma]);
            start = comma + 1;
        }
    }
    pieces.push(&text[start..]);
    pieces
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_equals_sign_separates() {
        let setting: Setting = "a.b=c=d".parse().unwrap();
        assert_eq!((setting.name.as_str(), setting.value.as_str()), ("a.b", "c=d"));
        assert_eq!("a.b=".parse::<Setting>().unwrap().value, "");
    }

    #[test]
    fn a_setting_without_name_or_value_is_refused() {
        for text in ["", "num.partitions", "=3", "num partitions=3"] {
            assert_eq!(text.parse::<Setting>(), Err(SettingShapeError(text.to_owned())));
        }
    }

    #[test]
    fn several_are_separated_by_semicolons() {
        let settings: Settings = "a=1,2;b=3".parse().unwrap();
        assert_eq!(settings.0.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a=1,2", "b=3"]);
        let settings: Settings = "a.b=3,b.c=1,2,c=;d=4".parse().unwrap();
        assert_eq!(
            settings.0.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["a.b=3", "b.c=1,2", "c=", "d=4"]
        );
        assert_eq!("".parse(), Ok(Settings::default()));
        assert!("a=1;".parse::<Settings>().is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_parses_prints_the_same(text in ".{0,30}") {
            if let Ok(setting) = text.parse::<Setting>() {
                prop_assert_eq!(setting.to_string(), text);
            }
        }
    }
}
