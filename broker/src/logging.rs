//! The log: lines on standard error, as text or as JSON, through a filter that can be changed while the process runs.

mod levels;

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use thiserror::Error;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, ParseError};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};
use trilog_cluster::occasionally::Occasionally;

pub(crate) use self::levels::{LogLevelError, LogLevels};

/// Changes of the filter, of which one in a while has a line.
static CHANGES: Occasionally<()> = Occasionally::new(Duration::from_secs(10));

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people: time, level, target, message and fields.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

impl LogFormat {
    /// The value of `--log-format`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// What is logged, at this moment. Clones change the same log.
#[derive(Clone, Debug)]
pub(crate) struct LogFilter(reload::Handle<EnvFilter, Registry>);

/// Why a filter did not become the log's.
#[derive(Debug, Error)]
pub(crate) enum LogFilterError {
    /// It is none.
    #[error("{0}; allowed are a level (error, warn, info, debug, trace, off) or TARGET=LEVEL,…")]
    Wrong(#[from] ParseError),
    /// A word that is no level. As a target it would have everything of it logged and nothing else, which nobody means.
    #[error(
        "{0:?} is no level; allowed are a level (error, warn, info, debug, trace, off) or TARGET=LEVEL,…"
    )]
    NoLevel(String),
    /// There is no log any more.
    #[error("the log has ended: {0}")]
    Ended(#[from] reload::Error),
}

/// Starts the log of this process.
pub(crate) fn start(filter: &str, format: LogFormat) -> LogFilter {
    // It has been checked.
    let (filter, handle) = reload::Layer::new(EnvFilter::new(filter));
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).init();
    LogFilter(handle)
}

/// Whether `filter` is one.
///
/// # Errors
///
/// [`LogFilterError::Wrong`] or [`LogFilterError::NoLevel`].
pub(crate) fn check(filter: &str) -> Result<(), LogFilterError> {
    read(filter).map(drop)
}

fn read(filter: &str) -> Result<EnvFilter, LogFilterError> {
    let mut bare = filter.split(',').map(str::trim).filter(|word| !word.is_empty() && !word.contains('='));
    match bare.find(|word| word.parse::<LevelFilter>().is_err()) {
        Some(word) => Err(LogFilterError::NoLevel(word.to_owned())),
        None => Ok(EnvFilter::try_new(filter)?),
    }
}

impl LogFilter {
    /// What is logged now, in the notation of `--log`.
    ///
    /// # Errors
    ///
    /// [`LogFilterError::Ended`].
    pub(crate) fn current(&self) -> Result<String, LogFilterError> {
        Ok(self.0.with_current(ToString::to_string)?)
    }

    /// From now on what `filter` lets through is logged.
    ///
    /// # Errors
    ///
    /// [`LogFilterError`]: then the filter is the one before.
    pub(crate) fn set(&self, filter: &str) -> Result<(), LogFilterError> {
        self.0.reload(read(filter)?)?;
        if let Some(changes) = CHANGES.count((), Instant::now()) {
            tracing::info!(filter, changes, "the log's filter has changed");
        }
        Ok(())
    }
}

/// A log that nobody sees, to be changed and asked.
#[cfg(test)]
pub(crate) fn unseen(filter: &str) -> (LogFilter, impl Sized) {
    let (layer, handle) = reload::Layer::new(EnvFilter::new(filter));
    (LogFilter(handle), layer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_can_be_changed_and_a_wrong_one_changes_nothing() {
        let (log, _layer) = unseen("info");
        assert_eq!(log.current().unwrap(), "info");
        log.set("warn,trilog_cluster=debug").unwrap();
        assert!(log.current().unwrap().contains("trilog_cluster=debug"));
        let refused = log.set("trilog=loud").unwrap_err();
        assert!(matches!(refused, LogFilterError::Wrong(_)), "{refused}");
        let typo = log.set("inof").unwrap_err();
        assert!(matches!(typo, LogFilterError::NoLevel(_)), "{typo}");
        assert!(log.current().unwrap().contains("trilog_cluster=debug"));
    }

    #[test]
    fn a_word_that_is_no_level_is_a_typo() {
        for filter in ["info", "WARN", "off", "warn,trilog_cluster=debug", "", "trilog[span]=info"] {
            assert!(check(filter).is_ok(), "{filter}");
        }
        for filter in ["inof", "info,trilog_cluster", "verbose"] {
            let refused = check(filter).unwrap_err().to_string();
            assert!(refused.contains("is no level") && refused.contains("debug"), "{refused}");
        }
    }
}
