//! Fetch sessions (KIP-227): what consumers have this node remember of their partitions.

use prometheus::{IntCounter, IntGauge, Registry};

use super::registered;

/// Counters of sessions. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct FetchSessionMetrics {
    sessions: IntGauge,
    partitions: IntGauge,
    evictions: IntCounter,
}

impl FetchSessionMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let gauge = |name, help| registered(registry, IntGauge::new(name, help));
        let evictions = IntCounter::new(
            "trilog_fetch_session_evictions_total",
            "Fetch sessions that were closed to make room for others.",
        );
        Self {
            sessions: gauge("trilog_fetch_sessions", "Fetch sessions that there are."),
            partitions: gauge("trilog_fetch_session_partitions", "Partitions of all fetch sessions."),
            evictions: registered(registry, evictions),
        }
    }

    /// There are so many sessions and partitions, and so many sessions were evicted since the node started.
    pub(crate) fn set(&self, sessions: usize, partitions: usize, evictions: u64) {
        self.sessions.set(i64::try_from(sessions).unwrap_or(i64::MAX));
        self.partitions.set(i64::try_from(partitions).unwrap_or(i64::MAX));
        self.evictions.inc_by(evictions.saturating_sub(self.evictions.get()));
    }
}
