//! The log's filter as Kafka's tools see it: a level for each logger (KIP-412).
//!
//! A logger is a target of the filter's directives, and `root` stands for what no directive names. Kafka's level FATAL is
//! `off` here: nothing is logged above ERROR. Directives of other forms, for spans and fields, are kept and not shown.

use std::collections::BTreeMap;

/// What stands for everything that has no level of its own.
pub(crate) const ROOT: &str = "root";

/// The loggers that there are whether the filter names them or not.
const KNOWN: [&str; 5] = ["raft", "trilog", "trilog_cluster", "trilog_protocol", "trilog_storage"];

/// Kafka's names of levels, and the filter's.
const LEVELS: [(&str, &str); 6] = [
    ("DEBUG", "debug"),
    ("ERROR", "error"),
    ("FATAL", "off"),
    ("INFO", "info"),
    ("TRACE", "trace"),
    ("WARN", "warn"),
];

/// Levels by logger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogLevels {
    root: &'static str,
    targets: BTreeMap<String, &'static str>,
    /// Directives that are no level of a target.
    others: Vec<String>,
}

/// Why a logger does not get a level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LogLevelError {
    /// There is no such logger.
    #[error("Logger {0} does not exist!")]
    UnknownLogger(String),
    /// There is no such level.
    #[error(
        "Cannot set the log level of {0} to {1} as it is not a supported log level. Valid log levels are DEBUG, ERROR, FATAL, \
         INFO, TRACE, WARN"
    )]
    UnknownLevel(String, String),
    /// The root always has a level.
    #[error("Removing the log level of the root logger is not allowed")]
    Root,
}

impl LogLevels {
    /// The levels that a filter in the notation of `--log` stands for.
    pub(crate) fn of(filter: &str) -> Self {
        let mut levels = Self { root: "FATAL", targets: BTreeMap::new(), others: Vec::new() };
        for directive in filter.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
            let (target, level) = directive.split_once('=').unwrap_or(("", directive));
            match (target, kafkas(level)) {
                ("", Some(level)) => levels.root = level,
                (target, Some(level)) if !target.contains('[') => {
                    levels.targets.insert(target.to_owned(), level);
                }
                // A target alone lets everything through.
                ("", None) if !directive.contains('[') => {
                    levels.targets.insert(directive.to_owned(), "TRACE");
                }
                _ => levels.others.push(directive.to_owned()),
            }
        }
        levels
    }

    /// The filter that stands for these levels.
    pub(crate) fn filter(&self) -> String {
        let targets = self.targets.iter().map(|(target, level)| format!("{target}={}", filters(level)));
        let directives = [filters(self.root).to_owned()].into_iter().chain(targets);
        directives.chain(self.others.iter().cloned()).collect::<Vec<_>>().join(",")
    }

    /// Every logger with the level that it has, or inherits.
    pub(crate) fn all(&self) -> BTreeMap<String, &'static str> {
        let inherited = KNOWN.iter().map(|known| ((*known).to_owned(), self.level_of(known)));
        let mut all: BTreeMap<_, _> = inherited.collect();
        all.extend(self.targets.clone());
        all.insert(ROOT.to_owned(), self.root);
        all
    }

    /// The level of a target: its own, or that of the longest target that its name begins with.
    fn level_of(&self, name: &str) -> &'static str {
        let above = self.targets.iter().filter(|(target, _)| name.starts_with(target.as_str()));
        above.max_by_key(|(target, _)| target.len()).map_or(self.root, |(_, level)| level)
    }

    /// Gives a logger a level by Kafka's name; with none, it inherits one.
    ///
    /// # Errors
    ///
    /// [`LogLevelError`].
    pub(crate) fn set(&mut self, logger: &str, level: Option<&str>) -> Result<(), LogLevelError> {
        if logger != ROOT && !KNOWN.contains(&logger) && !self.targets.contains_key(logger) {
            return Err(LogLevelError::UnknownLogger(logger.to_owned()));
        }
        let level = level.map(|level| {
            let known = LEVELS.iter().find(|(name, _)| *name == level).map(|(name, _)| *name);
            known.ok_or_else(|| LogLevelError::UnknownLevel(logger.to_owned(), level.to_owned()))
        });
        match (logger, level.transpose()?) {
            (ROOT, None) => return Err(LogLevelError::Root),
            (ROOT, Some(level)) => self.root = level,
            (target, Some(level)) => drop(self.targets.insert(target.to_owned(), level)),
            (target, None) => drop(self.targets.remove(target)),
        }
        Ok(())
    }
}

/// Kafka's name of one of the filter's levels, in any case of letters.
fn kafkas(level: &str) -> Option<&'static str> {
    LEVELS.iter().find(|(_, filters)| filters.eq_ignore_ascii_case(level)).map(|(kafkas, _)| *kafkas)
}

/// The filter's name of one of Kafka's levels.
fn filters(level: &str) -> &'static str {
    LEVELS.iter().find(|(kafkas, _)| *kafkas == level).map_or("info", |(_, filters)| *filters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_levels_and_back() {
        let levels = LogLevels::of("warn,trilog_cluster=debug,trilog[x]=trace,raft");
        assert_eq!(levels.all()[ROOT], "WARN");
        assert_eq!(levels.all()["trilog_cluster"], "DEBUG");
        assert_eq!(levels.all()["trilog_storage"], "WARN", "inherited");
        assert_eq!(levels.all()["raft"], "TRACE");
        assert_eq!(levels.filter(), "warn,raft=trace,trilog_cluster=debug,trilog[x]=trace");
        assert_eq!(LogLevels::of("").filter(), "off");
    }

    #[test]
    fn levels_are_set_and_taken_away() {
        let mut levels = LogLevels::of("info");
        levels.set("trilog_cluster", Some("DEBUG")).unwrap();
        levels.set(ROOT, Some("FATAL")).unwrap();
        assert_eq!(levels.filter(), "off,trilog_cluster=debug");
        levels.set("trilog_cluster", None).unwrap();
        levels.set("trilog_cluster", None).unwrap();
        assert_eq!(levels.filter(), "off");
        assert_eq!(levels.set(ROOT, None), Err(LogLevelError::Root));
        for wrong in ["LOUD", "debug", ""] {
            assert!(
                matches!(levels.set("raft", Some(wrong)), Err(LogLevelError::UnknownLevel(..))),
                "{wrong}"
            );
        }
        assert!(matches!(levels.set("kafka", Some("INFO")), Err(LogLevelError::UnknownLogger(_))));
    }

    proptest::proptest! {
        #[test]
        fn no_filter_panics(filter in "[a-z=,\\[\\]{}: ]{0,60}") {
            let levels = LogLevels::of(&filter);
            let _ = LogLevels::of(&levels.filter()).all();
        }
    }
}
