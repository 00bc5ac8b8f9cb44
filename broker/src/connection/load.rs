//! What the requests of a connection hold, and until when.
//!
//! A request's bytes and its claim on the node's budget are one [`Hold`]. It belongs to the frame: it ends with the last slice of
//! the frame that anybody keeps, wherever that is. So a join that waits for a rebalance and has copied what it needs holds
//! nothing. A handler may keep the hold itself for longer than the frame: Produce does, until its batches are decided,
//! whether its client was answered, has left or does not want an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::Notify;

use super::budget::Claim;

/// Bytes that the requests of one connection hold.
#[derive(Debug, Default)]
pub(super) struct Load {
    bytes: AtomicUsize,
    /// Whether a small produce request was decided.
    has_produced: AtomicBool,
    eased: Notify,
}

/// A request's part of its connection's load and of the node's budget, until this is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    load: Arc<Load>,
    bytes: usize,
    claim: Claim,
}

impl Load {
    /// Bytes of the requests that are held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether nothing is held, and a small produce request was, until it was decided.
    pub(super) fn has_nothing_but_produced(&self) -> bool {
        self.bytes() == 0 && self.has_produced.load(Ordering::Relaxed)
    }

    /// Waits until a request is held no more. For the connection's task only.
    pub(super) async fn eased(&self) {
        self.eased.notified().await;
    }
}

impl Hold {
    /// A request of `bytes` bytes, under this claim.
    pub(super) fn new(load: &Arc<Load>, bytes: usize, claim: Claim) -> Self {
        load.bytes.fetch_add(bytes, Ordering::Relaxed);
        Self { load: Arc::clone(load), bytes, claim }
    }

    /// A frame's content that is held as long as a slice of it.
    pub(super) fn hold(self: Arc<Self>, content: Bytes) -> Bytes {
        Bytes::from_owner(Held { content, _hold: self })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.claim.is_small() {
            self.load.has_produced.store(true, Ordering::Relaxed);
        }
        self.load.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.load.eased.notify_one();
    }
}

/// The memory of a frame.
struct Held {
    content: Bytes,
    _hold: Arc<Hold>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.content
    }
}

#[cfg(test)]
mod tests {
    use super::super::budget::ByteBudget;
    use super::*;

    #[tokio::test]
    async fn a_request_is_held_as_long_as_a_slice_of_it_or_who_keeps_the_hold() {
        let (budget, load) = (ByteBudget::new(100), Arc::new(Load::default()));
        let mut claim = Claim::default();
        claim.add(budget.try_take(100).unwrap());
        let hold = Arc::new(Hold::new(&load, 60, claim));
        let content = Arc::clone(&hold).hold(Bytes::from(vec![7; 60]));
        let slice = content.slice(10..20);
        drop(content);
        assert_eq!((load.bytes(), slice.len()), (60, 10));
        drop(hold);
        assert_eq!(load.bytes(), 60, "the slice holds it");
        assert!(budget.try_take(1).is_none());
        drop(slice);
        load.eased().await;
        assert_eq!(load.bytes(), 0);
        assert!(budget.try_take(100).is_some());
    }
}
