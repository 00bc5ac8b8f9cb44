//! Waiting for what the driver publishes: metadata, leaderships, peers.

use std::time::Duration;

use super::Node;
use crate::ids::RaftGroupId;

/// How a wait for a condition ended.
///
/// A node that has stopped publishes nothing more, and every wait on it ends at once. So a caller that waits again after
/// [`Self::TimedOut`] must not do so after [`Self::Ended`], or it never waits at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// The condition holds.
    Held,
    /// It did not hold within the timeout. The node runs.
    TimedOut,
    /// It did not hold when the node stopped.
    Ended,
}

impl Awaited {
    /// Whether the condition holds.
    #[must_use]
    pub const fn held(self) -> bool {
        matches!(self, Self::Held)
    }
}

impl Node {
    /// Waits until every group has a leader that this node knows of.
    pub async fn await_leaders(&self, groups: &[RaftGroupId], timeout: Duration) -> Awaited {
        let mut missing: Vec<RaftGroupId> = groups.to_vec();
        self.await_published(timeout, || {
            missing.retain(|group| self.leadership(*group).is_none());
            missing.is_empty()
        })
        .await
    }

    /// Waits until `condition` holds of what is published: metadata, leaderships, peers.
    pub async fn await_published(&self, timeout: Duration, mut condition: impl FnMut() -> bool) -> Awaited {
        let mut changes = self.shared.published.subscribe();
        let holds = async {
            loop {
                changes.mark_unchanged();
                if condition() {
                    return Awaited::Held;
                }
                if changes.changed().await.is_err() {
                    return Awaited::Ended;
                }
            }
        };
        tokio::select! {
            // A condition that holds already is worth more than the news that nothing changes any more.
            biased;
            awaited = tokio::time::timeout(timeout, holds) => awaited.unwrap_or(Awaited::TimedOut),
            _ = self.ended() => Awaited::Ended,
        }
    }
}
