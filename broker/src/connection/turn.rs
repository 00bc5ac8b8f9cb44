//! How long a connection's task works before others have their turn.
//!
//! The runtime takes a task's turn away when it has used sockets some hundred times. But requests that are there already need none,
//! and a client may send thousands at once: its task would work for seconds, and all others would wait, those that look for
//! new bytes among them. So a task counts its time as well, from when the runtime came to it.

use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;

/// A turn's length: many requests, and nothing that a client notices with some hundred connections at work.
const SLICE: Duration = Duration::from_micros(250);

/// When the task's turn began.
pub(super) struct Turn(Instant);

impl Turn {
    pub(super) fn begin() -> Self {
        Self(Instant::now())
    }

    /// Waits for an event. If the task had to wait, its turn begins with what came.
    pub(super) async fn wait_for<T>(&mut self, event: impl Future<Output = T>) -> T {
        let mut event = pin!(event);
        let mut waited = false;
        let event = std::future::poll_fn(|context| {
            let polled = event.as_mut().poll(context);
            waited |= polled.is_pending();
            polled
        })
        .await;
        if waited {
            *self = Self::begin();
        }
        event
    }

    /// Lets others have their turn if this one is over at the time `now`.
    pub(super) async fn share(&mut self, now: Instant) {
        if now.saturating_duration_since(self.0) >= SLICE {
            tokio::task::yield_now().await;
            *self = Self::begin();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::task::{Context, Waker};

    use super::*;

    /// Whether a future is ready when it is polled once.
    fn is_ready(future: impl Future) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        pin!(future).poll(&mut context).is_ready()
    }

    #[tokio::test]
    async fn a_turn_is_over_after_a_while_and_begins_anew_with_a_wait() {
        let mut turn = Turn::begin();
        let begun = turn.0;
        assert!(is_ready(turn.share(begun + SLICE / 2)));
        assert!(!is_ready(turn.share(begun + SLICE)), "others have their turn");

        turn.wait_for(ready(())).await;
        assert_eq!(turn.0, begun, "it did not wait");
        assert!(!is_ready(turn.wait_for(pending::<()>())));
        turn = Turn(begun - SLICE);
        turn.wait_for(tokio::task::yield_now()).await;
        assert!(turn.0 >= begun);
    }
}
