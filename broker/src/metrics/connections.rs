//! Clients' connections, by listener.

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::registered;
use crate::connection::Fault;

/// Counters by listener. Clones count together. They are looked up by name once a connection.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionMetrics {
    open: IntGaugeVec,
    accepted: IntCounterVec,
    rejected: IntCounterVec,
    failed: IntCounterVec,
    answer_bytes: IntGauge,
}

/// A connection that counts as open until this is dropped.
#[derive(Debug)]
pub(crate) struct OpenConnection(IntGauge);

impl ConnectionMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let label = &["listener"];
        let open = Opts::new("trilog_connections", "Clients that are connected.");
        let accepted = Opts::new("trilog_connections_accepted_total", "Connections that were taken.");
        let rejected = Opts::new(
            "trilog_connections_rejected_total",
            "Connections that were not taken: too many, too many of one address, or no file left.",
        );
        let failed = Opts::new("trilog_connections_failed_total", "Connections that ended by a fault.");
        let failed = registered(registry, IntCounterVec::new(failed, &["why"]));
        for fault in Fault::ALL {
            failed.with_label_values(&[fault.as_str()]);
        }
        Self {
            open: registered(registry, IntGaugeVec::new(open, label)),
            accepted: registered(registry, IntCounterVec::new(accepted, label)),
            rejected: registered(registry, IntCounterVec::new(rejected, label)),
            failed,
            answer_bytes: registered(
                registry,
                IntGauge::new(
                    "trilog_answer_memory_bytes",
                    "Memory that answers have taken of the node's budget.",
                ),
            ),
        }
    }

    /// What answers have taken of the node's memory.
    pub(crate) const fn answer_bytes(&self) -> &IntGauge {
        &self.answer_bytes
    }

    /// Clients can connect to `listener` from now on: what is counted of it is shown, be it nothing.
    pub(crate) fn listening(&self, listener: &str) {
        self.open.with_label_values(&[listener]);
        self.accepted.with_label_values(&[listener]);
        self.rejected.with_label_values(&[listener]);
    }

    /// A client has connected to `listener`.
    pub(crate) fn opened(&self, listener: &str) -> OpenConnection {
        self.accepted.with_label_values(&[listener]).inc();
        let open = self.open.with_label_values(&[listener]);
        open.inc();
        OpenConnection(open)
    }

    /// A client was turned away at `listener`.
    pub(crate) fn rejected(&self, listener: &str) {
        self.rejected.with_label_values(&[listener]).inc();
    }

    /// A connection ended by a fault of this kind.
    pub(crate) fn failed(&self, why: &str) {
        self.failed.with_label_values(&[why]).inc();
    }

    /// How many did so far.
    #[cfg(test)]
    pub(crate) fn failures(&self, why: &str) -> u64 {
        self.failed.with_label_values(&[why]).get()
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_open_until_it_is_dropped() {
        let metrics = ConnectionMetrics::new(&Registry::new());
        metrics.listening("A");
        let open = metrics.open.with_label_values(&["A"]);
        let connection = metrics.opened("A");
        assert_eq!(open.get(), 1);
        drop(connection);
        assert_eq!((open.get(), metrics.accepted.with_label_values(&["A"]).get()), (0, 1));
    }
}
