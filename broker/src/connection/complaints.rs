//! What the log and the metrics are told of connections that end by a fault or are not taken.
//!
//! Everything is counted. The log has one line of a kind in [`EVERY`], with the latest example and the count since; each single
//! one is there at `debug`.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use trilog_cluster::occasionally::Occasionally;

use super::close::{CloseReason, Fault};
use crate::metrics::ConnectionMetrics;

/// How often the log has a line of a kind.
pub(crate) const EVERY: Duration = Duration::from_secs(10);

/// Kinds of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A connection that ended by a fault.
    Ended(Fault),
    /// A connection that was not taken, as there are too many.
    TooMany,
    /// The same, as its address has too many.
    TooManyOfAddress,
    /// A connection that the operating system did not hand over.
    NotAccepted,
}

/// What the log and the metrics are told. Clones count together.
#[derive(Clone, Debug)]
pub(super) struct Complaints {
    lines: Arc<Occasionally<Kind>>,
    metrics: ConnectionMetrics,
}

impl Complaints {
    pub(super) fn new(metrics: ConnectionMetrics) -> Self {
        Self { lines: Arc::new(Occasionally::new(EVERY)), metrics }
    }

    /// A connection has ended.
    pub(super) fn ended(&self, reason: &CloseReason, connection: u64, peer: SocketAddr, listener: &str) {
        if let CloseReason::Unencodable(_) = reason {
            tracing::error!(connection, %peer, listener, %reason, "connection closed: a fault of the broker's");
        }
        let line = reason.fault().and_then(|fault| {
            self.metrics.failed(fault.as_str());
            self.lines.count(Kind::Ended(fault), Instant::now())
        });
        match line {
            Some(count) => {
                tracing::info!(connection, %peer, listener, %reason, alike = count, "connection closed");
            }
            None => tracing::debug!(connection, %peer, listener, %reason, "connection closed"),
        }
    }

    /// A connection is not taken.
    pub(super) fn not_taken(&self, kind: Kind, listener: &str, problem: &dyn Display) {
        self.metrics.rejected(listener);
        match self.lines.count(kind, Instant::now()) {
            Some(count) => tracing::warn!(listener, %problem, alike = count, "cannot take a connection"),
            None => tracing::debug!(listener, %problem, "cannot take a connection"),
        }
    }

    /// Tells now and then of what nothing has followed that would have told it. Never ends.
    pub(super) async fn tell_the_rest(self) {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            ticks.tick().await;
            for (kind, count) in self.lines.untold(Instant::now()) {
                match kind {
                    Kind::Ended(fault) => {
                        tracing::info!(fault = fault.as_str(), alike = count, "connections closed");
                    }
                    _ => tracing::warn!(?kind, alike = count, "cannot take connections"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::metrics::Metrics;
    use crate::wire::frame::FrameError;

    #[test]
    fn every_fault_is_counted_and_few_are_told() {
        let metrics = Metrics::default().connections;
        let complaints = Complaints::new(metrics.clone());
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        for _ in 0..1_000 {
            complaints.ended(&CloseReason::Frame(FrameError::Negative(-1)), 1, peer, "TEST");
            complaints.ended(&CloseReason::ClientLeft, 1, peer, "TEST");
        }
        assert_eq!(metrics.failures(Fault::Frame.as_str()), 1_000);
        let frame = Kind::Ended(Fault::Frame);
        assert_eq!(complaints.lines.untold(Instant::now() + EVERY), [(frame, 999)]);
    }
}
