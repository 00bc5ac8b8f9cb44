//! How many clients may be connected at once: `max.connections`, which may change while clients are connected.
//!
//! A smaller number closes no connection: the next one waits until enough have ended.

use tokio::sync::watch;

/// The slots of a node. Clones are the same ones.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    taken: watch::Sender<usize>,
    most: watch::Receiver<usize>,
}

/// A connection's slot, until this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    taken: watch::Sender<usize>,
}

impl Slots {
    /// As many slots as `most` says at any time.
    pub(super) fn new(most: watch::Receiver<usize>) -> Self {
        Self { taken: watch::Sender::new(0), most }
    }

    /// How many there are now.
    pub(super) fn most(&self) -> usize {
        *self.most.borrow()
    }

    /// A slot, if one is free.
    pub(super) fn try_take(&self) -> Option<Slot> {
        let most = self.most();
        let is_taken = self.taken.send_if_modified(|taken| {
            let is_free = *taken < most;
            *taken += usize::from(is_free);
            is_free
        });
        is_taken.then(|| Slot { taken: self.taken.clone() })
    }

    /// A slot, once one is free.
    pub(super) async fn take(&self) -> Slot {
        let (mut taken, mut most) = (self.taken.subscribe(), self.most.clone());
        loop {
            taken.mark_unchanged();
            most.mark_unchanged();
            if let Some(slot) = self.try_take() {
                return slot;
            }
            tokio::select! {
                _ = taken.changed() => {}
                // An error means that the number does not change any more.
                Ok(()) = most.changed() => {}
            }
        }
    }

    /// Waits until no slot is taken.
    pub(super) async fn all_free(&self) {
        // An error would mean that the sender is gone, which is this one.
        let _ = self.taken.subscribe().wait_for(|taken| *taken == 0).await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.taken.send_modify(|taken| *taken -= 1);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Waker};

    use super::*;

    fn waits(future: Pin<&mut impl Future>) -> bool {
        future.poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    #[tokio::test]
    async fn a_slot_is_free_again_when_it_is_dropped() {
        let (_most, number) = watch::channel(1);
        let slots = Slots::new(number);
        let slot = slots.try_take().unwrap();
        assert!(slots.try_take().is_none());
        let mut waiting = pin!(slots.take());
        assert!(waits(waiting.as_mut()));
        drop(slot);
        drop(waiting.await);
        slots.all_free().await;
    }

    #[tokio::test]
    async fn the_number_changes_while_slots_are_taken() {
        let (most, number) = watch::channel(1);
        let slots = Slots::new(number);
        let first = slots.try_take().unwrap();
        let mut waiting = pin!(slots.take());
        assert!(waits(waiting.as_mut()));
        most.send_replace(2);
        let second = waiting.await;
        most.send_replace(1);
        drop(second);
        assert!(slots.try_take().is_none(), "as many as there may be now");
        drop(first);
        assert!(slots.try_take().is_some());
    }

    #[tokio::test]
    async fn a_number_that_never_changes_again_is_no_reason_to_spin() {
        let (most, number) = watch::channel(1);
        drop(most);
        let slots = Slots::new(number);
        let slot = slots.try_take().unwrap();
        let mut waiting = pin!(slots.take());
        assert!(waits(waiting.as_mut()));
        drop(slot);
        waiting.await;
    }
}
