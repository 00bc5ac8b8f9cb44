//! Transactions are not supported, and the log says so when a producer asks for one: the code that
//! clients report is one of missing rights, which misleads their users.

use std::time::{Duration, Instant};

use kafka_protocol::protocol::StrBytes;
use trilog_cluster::occasionally::Occasionally;

use super::call::CallContext;

/// How often the log has a line.
const EVERY: Duration = Duration::from_secs(10);

/// What is told of refused transactional producers.
pub(super) struct Transactions(Occasionally<()>);

impl Default for Transactions {
    fn default() -> Self {
        Self(Occasionally::new(EVERY))
    }
}

impl Transactions {
    /// A producer with a transactional id is refused.
    pub(super) fn refused(&self, context: &CallContext, id: Option<&StrBytes>) {
        let Some(count) = self.0.count((), Instant::now()) else { return };
        tracing::info!(
            transactional_id = id.map_or("", StrBytes::as_str),
            client_id = context.client_id.as_deref().unwrap_or_default(),
            peer = %context.connection.peer,
            alike = count,
            "a producer with a transactional.id is refused: transactions are not supported"
        );
    }
}
