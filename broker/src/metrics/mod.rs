//! What operators see of a node, as [Prometheus] reads it.
//!
//! There are two kinds of figures, and they are gathered in two ways.
//!
//! * What happens (requests, errors, connections, syncs) is counted and timed where it happens, in atomics that are
//!   looked up once a connection or once a process: a request costs a few additions and no lock.
//! * What is (leaders, lags, terms, memory) is looked up when somebody asks, from what the node publishes anyway. The
//!   driver is asked one thing, its [survey](trilog_cluster::survey), and not waited for when it is busy.
//!
//! | room | what it tells |
//! | --- | --- |
//! | `requests` | requests by API: how many, how long, how large |
//! | `errors` | error codes in answers, by API |
//! | `connections` | clients' connections by listener |
//! | `fetch_sessions` | sessions of consumers |
//! | `topics` | what each topic takes in and gives out, and how its partitions are |
//! | `partitions` | how this node's partitions, and those of the cluster, are |
//! | `raft` | terms and lags, from the survey |
//! | `groups` | consumer groups: states and lag |
//! | `process`, `disk` | memory, processor, files, space |
//! | `families` | the form in which looked-up figures join the counted ones |
//! | `scrape` | all of it as text |
//!
//! `monitoring/METRICS.md` lists every name with its meaning and the name that Kafka has for it.
//!
//! # How many series
//!
//! APIs, errors and listeners are few. Topics, groups and a group's partitions may be many, so each kind has a bound
//! ([`topics::MAX_TOPICS`], [`groups::MAX_GROUPS`], [`groups::MAX_PARTITIONS`]). What is beyond it is left out, from the
//! end of the alphabet, and `trilog_series_left_out` says how much that was. Nothing is told by partition, consumer
//! groups' lag apart: a thousand partitions have as many as ten.
//!
//! [Prometheus]: https://prometheus.io/docs/instrumenting/exposition_formats/

mod connections;
mod disk;
mod errors;
mod families;
mod fetch_sessions;
mod groups;
mod partitions;
mod process;
mod raft;
mod requests;
mod scrape;
mod topics;

use std::sync::Arc;

use prometheus::Registry;
use prometheus::core::Collector;

pub(crate) use self::connections::ConnectionMetrics;
pub(crate) use self::errors::ErrorMetrics;
pub(crate) use self::fetch_sessions::FetchSessionMetrics;
pub(crate) use self::requests::{RequestMetrics, RequestTimer};
pub(crate) use self::scrape::Scraper;

/// What a node counts while it serves clients. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    /// Requests by API.
    pub(crate) requests: Arc<RequestMetrics>,
    /// Error codes in answers.
    pub(crate) errors: ErrorMetrics,
    /// Sessions of consumers.
    pub(crate) fetch_sessions: FetchSessionMetrics,
    /// Clients' connections.
    pub(crate) connections: ConnectionMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        Self {
            requests: Arc::new(RequestMetrics::new(&registry)),
            errors: ErrorMetrics::new(&registry),
            fetch_sessions: FetchSessionMetrics::new(&registry),
            connections: ConnectionMetrics::new(&registry),
            registry,
        }
    }
}

/// Has `registry` show `metric`, and returns it. The names are written down in this room, so that one which is wrong or
/// taken is a fault of the program.
fn registered<M: Collector + Clone + 'static>(registry: &Registry, metric: prometheus::Result<M>) -> M {
    let metric = metric.expect("the name, the labels and the buckets are legal");
    registry.register(Box::new(metric.clone())).expect("every name is registered once");
    metric
}
