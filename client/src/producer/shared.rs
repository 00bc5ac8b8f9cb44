//! What the handles of a producer and its driver share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio::time::Instant;

use super::batch::Finished;
use super::delivery::Delivered;
use super::machine::Machine;
use crate::Error;
use crate::metrics::Counter;

/// What becomes of a record.
pub(super) type Fate = Result<Delivered, Error>;
/// What a record's application waits with.
pub(super) type Token = oneshot::Sender<Fate>;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) started: Instant,
    machine: Mutex<Machine<Token>>,
    /// The driver is to look at the machine.
    pub(super) changed: Notify,
    /// Bytes of `buffer.memory` that are free. Closed with the producer, so that nobody waits for them any more.
    pub(super) memory: Semaphore,
    pub(super) buffer_memory: usize,
    /// Calls of `send` that wait for memory.
    starved: AtomicUsize,
    /// Flushes below this number are over.
    settled: watch::Sender<u64>,
    /// The driver has looked at the machine.
    pub(super) turned: watch::Sender<()>,
    pub(super) counters: Counters,
}

/// What a producer counts.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) accepted: Counter,
    pub(super) delivered: Counter,
    pub(super) failed: Counter,
    pub(super) bytes_sent: Arc<Counter>,
}

impl Shared {
    pub(super) fn new(machine: Machine<Token>, buffer_memory: usize) -> Self {
        Self {
            started: Instant::now(),
            machine: Mutex::new(machine),
            changed: Notify::new(),
            memory: Semaphore::new(buffer_memory),
            buffer_memory,
            starved: AtomicUsize::new(0),
            settled: watch::Sender::new(0),
            turned: watch::Sender::new(()),
            counters: Counters::default(),
        }
    }

    /// The time since the producer's start.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn machine(&self) -> MutexGuard<'_, Machine<Token>> {
        // Only the driver's end looks at what a panic may have left half-done, and only to give it up.
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts no further record; what was accepted is sent.
    pub(super) fn close(&self) {
        self.machine().close();
        self.memory.close();
        self.changed.notify_one();
    }

    /// Gives up all records and accepts no further one: there is no driver any more. Nothing waits afterwards.
    pub(super) fn end(&self) {
        let abandoned = self.machine().abandon(&Error::Closed);
        self.memory.close();
        self.resolve(abandoned);
        self.settle(u64::MAX);
        self.turned.send_replace(());
    }

    /// Whether it was closed.
    pub(super) fn is_closed(&self) -> bool {
        self.memory.is_closed()
    }

    /// Whether somebody waits for memory.
    pub(super) fn is_starved(&self) -> bool {
        self.starved.load(Ordering::Relaxed) > 0
    }

    /// Counts the caller among those who wait for memory, until the guard is dropped.
    pub(super) fn starve(&self) -> Starving<'_> {
        self.starved.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_one();
        Starving(self)
    }

    /// Tells of fates, and gives back the memory.
    pub(super) fn resolve(&self, finished: Vec<Finished<Token>>) {
        if finished.is_empty() {
            return;
        }
        let (mut freed, mut delivered, total) = (0, 0, finished.len() as u64);
        for record in &finished {
            freed += record.charge;
            delivered += u64::from(record.result.is_ok());
        }
        // Before the application learns of it.
        self.counters.delivered.add(delivered);
        self.counters.failed.add(total - delivered);
        for record in finished {
            // Nobody may be waiting any more.
            let _ = record.token.send(record.result);
        }
        self.memory.add_permits(freed);
    }

    /// Flushes below `generation` are over.
    pub(super) fn settle(&self, generation: u64) {
        self.settled.send_if_modified(|settled| {
            let is_news = *settled < generation;
            *settled = (*settled).max(generation);
            is_news
        });
    }

    /// Resolves once the flush of this number is over.
    pub(super) async fn flushed(&self, flush: u64) {
        let mut settled = self.settled.subscribe();
        // The sender lives as long as `self`.
        let _ = settled.wait_for(|settled| *settled > flush).await;
    }
}

/// See [`Shared::starve`].
pub(super) struct Starving<'a>(&'a Shared);

impl Drop for Starving<'_> {
    fn drop(&mut self) {
        self.0.starved.fetch_sub(1, Ordering::Relaxed);
    }
}
