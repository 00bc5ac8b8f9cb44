//! What an operator is told of idempotent producers for which a partition has no room.
//!
//! A refused producer tries again, and again, so each refusal is counted and one in [`EVERY`] has a line in the log.

use std::time::{Duration, Instant};

use prometheus::IntCounter;

use crate::occasionally::Occasionally;
use crate::partition::ProducerError;
use crate::shard::effects::{AppendError, Appended};

/// How often the log has a line.
const EVERY: Duration = Duration::from_secs(60);

/// Counts refusals for want of room.
#[derive(Debug)]
pub(super) struct FullProducers {
    refused: IntCounter,
    lines: Occasionally<()>,
}

impl FullProducers {
    pub(super) const fn new(refused: IntCounter) -> Self {
        Self { refused, lines: Occasionally::new(EVERY) }
    }

    /// Counts a batch that was refused for want of room. Any other answer is none of its business.
    pub(super) fn look_at(&self, result: &Result<Appended, AppendError>, now: Instant) {
        let Err(AppendError::Producer(error @ ProducerError::TooMany { .. })) = result else { return };
        self.refused.inc();
        if let Some(alike) = self.lines.count((), now) {
            tracing::warn!(%error, alike, "batches of new idempotent producers are refused");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_for_want_of_room_count() {
        let refused = IntCounter::new("refused", "refused").unwrap();
        let producers = FullProducers::new(refused.clone());
        let now = Instant::now();
        producers.look_at(&Err(AppendError::NotLeader), now);
        assert_eq!(refused.get(), 0);
        for _ in 0..3 {
            producers.look_at(&Err(AppendError::Producer(ProducerError::TooMany { known: 7 })), now);
        }
        assert_eq!((refused.get(), producers.lines.untold(now + EVERY)), (3, vec![((), 2)]));
    }
}
