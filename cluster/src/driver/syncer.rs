//! The thread that syncs. One [`Store::sync`] serves all rounds that wait for it; only then do their promises leave
//! and does Raft count their entries.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use trilog_storage::{Store, StoreError};

use super::Durability;
use super::inbox::{Inbox, Input};
use crate::metrics::NodeMetrics;
use crate::shard::effects::Persist;
use crate::transport::Transport;

/// Rounds that may wait for a sync; the driver waits when there are more.
const MAX_WAITING_ROUNDS: usize = 256;

/// How often relaxed durability syncs.
const RELAXED_INTERVAL: Duration = Duration::from_millis(100);

/// And after how many bytes at the latest: what is not written yet takes memory.
const RELAXED_BYTES: usize = 8 << 20;

/// The driver's end. Dropping it ends the thread after a last sync.
pub(super) struct Syncer {
    jobs: Option<SyncSender<Persist>>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    pub(super) fn start(
        store: Store,
        transport: Transport,
        inbox: Arc<Inbox>,
        durability: Durability,
        metrics: NodeMetrics,
    ) -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel(MAX_WAITING_ROUNDS);
        let worker = Worker { store, transport, inbox, metrics, waiting };
        let thread = std::thread::Builder::new().name("syncer".into()).spawn(move || {
            let done = match durability {
                Durability::Sync => worker.run(),
                Durability::Relaxed => worker.run_relaxed(),
            };
            if let Err(error) = done {
                worker.inbox.push(Input::Fail(error));
            }
        })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Queues a round behind those before it.
    pub(super) fn submit(&self, persist: Persist) {
        // The thread ends early only after a failed sync, which the driver is about to hear of.
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(persist);
        }
    }

    /// Waits until everything submitted is synced.
    pub(super) fn finish(mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the syncer panicked");
        }
    }
}

struct Worker {
    store: Store,
    transport: Transport,
    inbox: Arc<Inbox>,
    metrics: NodeMetrics,
    waiting: Receiver<Persist>,
}

impl Worker {
    fn run(&self) -> Result<(), StoreError> {
        while let Ok(first) = self.waiting.recv() {
            let mut rounds = vec![first];
            rounds.extend(self.waiting.try_iter());
            if rounds.iter().any(|round| round.must_sync) {
                self.sync()?;
            }
            self.release(rounds);
        }
        self.sync()
    }

    /// Acknowledges from memory, and syncs from time to time.
    fn run_relaxed(&self) -> Result<(), StoreError> {
        let mut next_sync = Instant::now() + RELAXED_INTERVAL;
        let mut unsynced = 0;
        loop {
            let mut rounds = Vec::new();
            match self.waiting.recv_timeout(next_sync.saturating_duration_since(Instant::now())) {
                Ok(round) => rounds.push(round),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.sync(),
            }
            rounds.extend(self.waiting.try_iter());
            unsynced += rounds.iter().map(|round| round.bytes).sum::<usize>();
            self.release(rounds);
            if Instant::now() >= next_sync || unsynced >= RELAXED_BYTES {
                if std::mem::take(&mut unsynced) > 0 {
                    self.sync()?;
                }
                next_sync = Instant::now() + RELAXED_INTERVAL;
            }
        }
    }

    fn sync(&self) -> Result<(), StoreError> {
        let _timer = self.metrics.sync_seconds.start_timer();
        self.store.sync()
    }

    fn release(&self, rounds: Vec<Persist>) {
        let (mut readies, mut bytes) = (Vec::new(), 0);
        for round in rounds {
            readies.extend(round.readies);
            bytes += round.bytes;
            for (peer, frame) in round.sends.into_frames() {
                if self.transport.send(peer, frame).is_err() {
                    self.inbox.push(Input::Dropped(peer));
                }
            }
        }
        if !readies.is_empty() || bytes > 0 {
            self.inbox.push(Input::Persisted { readies, bytes });
        }
    }
}
