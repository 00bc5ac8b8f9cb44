//! The places for connections of the HTTP port, and which of them is given up when all are taken.
//!
//! A client that asks something sends its request at once. So when there is no place, the connection that has been without a
//! whole request for longest is closed, once it has had [`TIME_TO_ASK`], and a probe of health is answered however many clients hold connections and say
//! nothing. When all have asked, the oldest one is closed: an answer takes milliseconds, and a client that takes longer to
//! read it is slow.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Connections at once. Prometheus needs one, an orchestrator's probes a few.
pub(crate) const MAX_CONNECTIONS: usize = 64;

/// How long a connection that has not asked keeps its place, however many others come: on a busy machine a request that was sent at once
/// may not be read at once. The others wait for their turn meanwhile.
pub(crate) const TIME_TO_ASK: Duration = Duration::from_millis(25);

/// The connections that are open. Clones are the same ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// How many connections have come.
    entered: u64,
    /// By their order.
    open: BTreeMap<u64, Open>,
}

#[derive(Debug)]
struct Open {
    task: AbortHandle,
    since: Instant,
    has_asked: bool,
}

/// A connection's place, until this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Slots,
    id: u64,
}

impl Slots {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is a place for one more connection, or one that was held for long enough.
    pub(super) async fn turn(&self) {
        loop {
            let wait = self.lock().time_to_ask();
            let Some(wait) = wait else { return };
            tokio::time::sleep(wait).await;
        }
    }

    /// Starts the task of one more connection, and ends that of another one if there are too many.
    pub(super) fn spawn<F>(&self, serve: impl FnOnce(Slot) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut shared = self.lock();
        if shared.open.len() >= MAX_CONNECTIONS {
            shared.put_one_out();
        }
        shared.entered += 1;
        let id = shared.entered;
        drop(shared);
        let task = tokio::spawn(serve(Slot { slots: self.clone(), id })).abort_handle();
        // On a runtime of several threads it may have ended already.
        if !task.is_finished() {
            self.lock().open.insert(id, Open { task, since: Instant::now(), has_asked: false });
        }
    }
}

impl Shared {
    /// The connection that is closed if another one needs its place.
    fn next_out(&self) -> Option<(&u64, &Open)> {
        self.open.iter().find(|(_, open)| !open.has_asked).or_else(|| self.open.iter().next())
    }

    /// How long all places are to be kept.
    fn time_to_ask(&self) -> Option<Duration> {
        let (_, open) = self.next_out().filter(|_| self.open.len() >= MAX_CONNECTIONS)?;
        TIME_TO_ASK.checked_sub(open.since.elapsed()).filter(|wait| !wait.is_zero())
    }

    fn put_one_out(&mut self) {
        let id = self.next_out().map(|(id, _)| *id);
        if let Some(open) = id.and_then(|id| self.open.remove(&id)) {
            tracing::debug!("too many HTTP connections: the oldest one is closed");
            open.task.abort();
        }
    }
}

impl Slot {
    /// The whole request has come.
    pub(super) fn has_asked(&self) {
        if let Some(open) = self.slots.lock().open.get_mut(&self.id) {
            open.has_asked = true;
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.lock().open.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    /// Connections that never end by themselves; tells which ones were put out.
    struct Never {
        slots: Slots,
        ended: mpsc::UnboundedReceiver<usize>,
        tell: mpsc::UnboundedSender<usize>,
    }

    struct TellsItsEnd {
        number: usize,
        tell: mpsc::UnboundedSender<usize>,
        _slot: Slot,
    }

    impl Drop for TellsItsEnd {
        fn drop(&mut self) {
            let _ = self.tell.send(self.number);
        }
    }

    impl Never {
        fn new() -> Self {
            let (tell, ended) = mpsc::unbounded_channel();
            Self { slots: Slots::default(), ended, tell }
        }

        async fn open(&self, number: usize, has_asked: bool) {
            let tell = self.tell.clone();
            self.slots.spawn(move |slot| async move {
                if has_asked {
                    slot.has_asked();
                }
                let _told = TellsItsEnd { number, tell, _slot: slot };
                std::future::pending::<()>().await;
            });
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn the_oldest_without_a_request_goes_first_and_then_the_oldest_of_all() {
        let mut connections = Never::new();
        for number in 0..MAX_CONNECTIONS {
            connections.open(number, number != 5 && number != 9).await;
        }
        assert!(connections.ended.try_recv().is_err(), "there was room for all");
        for (number, put_out) in [(100, 5), (101, 9), (102, 0), (103, 1)] {
            connections.open(number, true).await;
            assert_eq!(connections.ended.recv().await, Some(put_out));
        }
        assert_eq!(connections.slots.lock().open.len(), MAX_CONNECTIONS);
    }

    #[tokio::test]
    async fn a_connection_has_time_to_ask_before_another_one_has_a_turn() {
        let connections = Never::new();
        connections.slots.turn().await;
        for number in 0..MAX_CONNECTIONS {
            connections.open(number, false).await;
        }
        connections.slots.turn().await;
        let oldest = connections.slots.lock().next_out().map(|(_, open)| open.since.elapsed());
        assert!(oldest >= Some(TIME_TO_ASK));
    }

    #[tokio::test]
    async fn a_connection_that_ends_leaves_its_place() {
        let slots = Slots::default();
        for _ in 0..3 * MAX_CONNECTIONS {
            slots.spawn(|slot| async move { drop(slot) });
            tokio::task::yield_now().await;
        }
        assert!(slots.lock().open.is_empty());
    }
}
