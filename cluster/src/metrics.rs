//! What a node counts and times while it works, for whoever shows it to an operator.
//!
//! Everything here is updated without a lock, on the threads that do the work; reading it takes nothing from them. What
//! can be told by looking (terms, lags, leaders) is not counted but looked up when it is asked for, in the
//! [survey](crate::survey) and in what the [node](crate::node::Node) publishes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, IntCounter};

/// The upper bounds of the sync histogram's buckets, in seconds: from a disk with a battery to one that is dying.
const SYNC_SECONDS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// One node's counters. Clones count together.
#[derive(Clone, Debug)]
pub struct NodeMetrics {
    /// How long each sync of the store took.
    pub(crate) sync_seconds: Histogram,
    /// How often a group's leader changed, as far as this node heard of it.
    pub(crate) leader_changes: IntCounter,
    /// Connections to the peer port that were not let in.
    pub(crate) peers_refused: IntCounter,
    /// How often something that a peer said was dropped, as no node of this release says it.
    pub(crate) refused_messages: IntCounter,
    /// Batches of producers that would have been one too many.
    pub(crate) producers_refused: IntCounter,
    pulse: Arc<Pulse>,
}

/// When the driver last began a round.
#[derive(Debug)]
struct Pulse {
    started: Instant,
    /// Milliseconds after `started`.
    last_beat: AtomicU64,
}

impl Default for NodeMetrics {
    fn default() -> Self {
        let sync_seconds =
            HistogramOpts::new("trilog_sync_seconds", "How long each sync of the store to disk took.")
                .buckets(SYNC_SECONDS.to_vec());
        let leader_changes = IntCounter::new(
            "trilog_leader_changes_total",
            "Changes of a Raft group's leader that this node heard of.",
        );
        let peers_refused = IntCounter::new(
            "trilog_peers_refused_total",
            "Connections to the peer port that were not let in: refused peers, and strangers.",
        );
        let refused_messages = IntCounter::new(
            "trilog_refused_peer_messages_total",
            "What peers said and no node of this release says; it was dropped.",
        );
        let producers_refused = IntCounter::new(
            "trilog_producers_refused_total",
            "Batches of new idempotent producers that were refused, as there is no room to remember another producer.",
        );
        Self {
            producers_refused: producers_refused.expect("the name is legal"),
            refused_messages: refused_messages.expect("the name is legal"),
            sync_seconds: Histogram::with_opts(sync_seconds).expect("the buckets rise"),
            leader_changes: leader_changes.expect("the name is legal"),
            peers_refused: peers_refused.expect("the name is legal"),
            pulse: Arc::new(Pulse { started: Instant::now(), last_beat: AtomicU64::new(0) }),
        }
    }
}

impl NodeMetrics {
    /// What is counted here, as Prometheus has it.
    #[must_use]
    pub fn gather(&self) -> Vec<MetricFamily> {
        let counters =
            [&self.leader_changes, &self.peers_refused, &self.refused_messages, &self.producers_refused];
        let counters = counters.into_iter().flat_map(Collector::collect);
        self.sync_seconds.collect().into_iter().chain(counters).collect()
    }

    /// How long ago the driver last began a round. It begins one every 50 ms if it has nothing to do; what keeps it
    /// for longer is a disk that does not take its writes, a machine that is overloaded, or a fault.
    #[must_use]
    pub fn driver_silence(&self) -> Duration {
        let last_beat = Duration::from_millis(self.pulse.last_beat.load(Ordering::Relaxed));
        self.pulse.started.elapsed().saturating_sub(last_beat)
    }

    /// The driver begins a round.
    pub(crate) fn beat(&self) {
        let now = u64::try_from(self.pulse.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.pulse.last_beat.store(now, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_ends_the_silence() {
        let mut metrics = NodeMetrics::default();
        let pulse = Arc::get_mut(&mut metrics.pulse).unwrap();
        pulse.started = pulse.started.checked_sub(Duration::from_secs(60)).unwrap();
        assert!(metrics.driver_silence() >= Duration::from_secs(60));
        metrics.beat();
        assert!(metrics.driver_silence() < Duration::from_secs(60));
    }

    #[test]
    fn what_is_counted_is_shown() {
        let metrics = NodeMetrics::default();
        metrics.leader_changes.inc();
        metrics.sync_seconds.observe(0.002);
        let shown = prometheus::TextEncoder::new().encode_to_string(&metrics.gather()).unwrap();
        assert!(shown.contains("trilog_leader_changes_total 1"), "{shown}");
        assert!(shown.contains("trilog_sync_seconds_bucket{le=\"0.0025\"} 1"), "{shown}");
    }
}
