//! How a member of a classic group behaves.

use std::time::Duration;

use crate::consumer::assignor::Assignor;

/// How a member behaves. The names are Kafka's.
#[derive(Clone, Debug)]
pub struct ClassicOptions {
    /// `group.instance.id`, for a static member.
    pub instance: Option<String>,
    /// `client.rack`.
    pub rack: Option<String>,
    /// `partition.assignment.strategy`, the preferred one first. Not empty.
    pub assignors: Vec<Assignor>,
    /// `session.timeout.ms`: a member that is silent for so long is given up.
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`.
    pub heartbeat_interval: Duration,
    /// `max.poll.interval.ms`: how long the application may take between two polls, and a rebalance for its callbacks.
    pub max_poll_interval: Duration,
    /// How long to wait before a request is sent again.
    pub retry_backoff: Duration,
}

impl Default for ClassicOptions {
    /// The values of Kafka's Java client, with the assignor that keeps members consuming.
    fn default() -> Self {
        Self {
            instance: None,
            rack: None,
            assignors: vec![Assignor::CooperativeSticky],
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(3),
            max_poll_interval: Duration::from_secs(300),
            retry_backoff: Duration::from_millis(100),
        }
    }
}
