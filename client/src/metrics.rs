//! What a client counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since a client's start, and what it holds now. All but the last only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Connections that passed the handshake.
    pub connections: u64,
    /// Attempts to connect that failed.
    pub failed_connections: u64,
    /// Metadata answers taken in.
    pub metadata_refreshes: u64,
    /// Leaders learnt from refusals (KIP-951), without asking for metadata.
    pub leader_hints: u64,
    /// Records accepted by `send`.
    pub records_accepted: u64,
    /// Records acknowledged.
    pub records_delivered: u64,
    /// Records given up.
    pub records_failed: u64,
    /// Batches sent, each attempt counted.
    pub batches_sent: u64,
    /// Batches that came back to be sent again.
    pub batches_retried: u64,
    /// Produce requests sent.
    pub requests_sent: u64,
    /// Bytes of record batches sent, after compression.
    pub bytes_sent: u64,
    /// Bytes of `buffer.memory` in use.
    pub buffered_bytes: u64,
}

/// A number that many tasks add to.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a client's view of its cluster counts.
#[derive(Debug, Default)]
pub(crate) struct ClusterCounters {
    pub(crate) connections: Counter,
    pub(crate) failed_connections: Counter,
    pub(crate) metadata_refreshes: Counter,
    pub(crate) leader_hints: Counter,
}
