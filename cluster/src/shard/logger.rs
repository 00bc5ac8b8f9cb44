//! Raft's log lines, which raft-rs writes through slog, handed on to tracing.
//!
//! A thousand groups hold a thousand elections, so what raft-rs calls information is debugging output here;
//! what a node's operator should read, the shard says itself.

use slog::{Drain, Level, Logger, OwnedKVList, Record, o};

/// A logger for the Raft groups of one node.
pub(super) fn logger() -> Logger {
    Logger::root(TracingDrain, o!())
}

struct TracingDrain;

impl Drain for TracingDrain {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &Record<'_>, _values: &OwnedKVList) -> Result<(), slog::Never> {
        match record.level() {
            Level::Critical => tracing::error!(target: "raft", "{}", record.msg()),
            Level::Error => tracing::warn!(target: "raft", "{}", record.msg()),
            Level::Warning | Level::Info => tracing::debug!(target: "raft", "{}", record.msg()),
            Level::Debug | Level::Trace => tracing::trace!(target: "raft", "{}", record.msg()),
        }
        Ok(())
    }
}
