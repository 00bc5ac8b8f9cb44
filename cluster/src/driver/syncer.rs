//! The thread that syncs. One [`Store::sync`] serves all rounds that wait for it; only then do their promises leave
//! and does Raft count their entries. With relaxed durability a [`Store::flush`] is enough for entries.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use trilog_storage::{Store, StoreError};

use super::inbox::{Inbox, Input};
use super::{Durability, threads};
use crate::metrics::NodeMetrics;
use crate::shard::effects::{Needs, Persist};
use crate::transport::Transport;

/// Rounds that may wait for a sync. When there are more, the driver takes no more work in; it does not wait, as it would tell
/// nobody that it lives.
const MAX_WAITING_ROUNDS: usize = 256;

/// How often relaxed durability syncs.
const RELAXED_INTERVAL: Duration = Duration::from_millis(100);

/// And after how many bytes at the latest: what is not written yet takes memory.
const RELAXED_BYTES: usize = 8 << 20;

/// The driver's end. Dropping it ends the thread after a last sync.
pub(super) struct Syncer {
    jobs: Option<SyncSender<Persist>>,
    /// Rounds for which the thread has no room yet.
    backlog: VecDeque<Persist>,
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
        let worker = Worker { store, transport, inbox: Arc::clone(&inbox), metrics, waiting };
        let thread = threads::start("syncer", inbox, move |_| match durability {
            Durability::Sync => worker.run(),
            Durability::Relaxed => worker.run_relaxed(),
        })?;
        Ok(Self { jobs: Some(jobs), backlog: VecDeque::new(), thread: Some(thread) })
    }

    /// Queues a round behind those before it.
    pub(super) fn submit(&mut self, persist: Persist) {
        self.backlog.push_back(persist);
        self.pass_on();
    }

    /// Passes on what the thread has room for by now.
    pub(super) fn pass_on(&mut self) {
        while let (Some(jobs), Some(persist)) = (&self.jobs, self.backlog.pop_front()) {
            // The thread ends early only with the node, which the driver is about to hear of.
            if let Err(TrySendError::Full(persist)) = jobs.try_send(persist) {
                self.backlog.push_front(persist);
                return;
            }
        }
    }

    /// Whether so many rounds wait that no more work is to be done meanwhile.
    pub(super) fn is_full(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Waits until everything submitted is synced, unless the thread has ended early.
    pub(super) fn finish(mut self) {
        if let Some(jobs) = self.jobs.take() {
            self.backlog.drain(..).for_each(|persist| drop(jobs.send(persist)));
        }
        if let Some(thread) = self.thread.take() {
            // How it ended, it has told by itself.
            let _ = thread.join();
        }
    }
}

/// What has to be done before any of the rounds' promises leaves.
fn needs(rounds: &[Persist]) -> Needs {
    rounds.iter().map(|round| round.needs).max().unwrap_or_default()
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
            if needs(&rounds) > Needs::Nothing {
                self.sync()?;
            }
            self.release(rounds);
        }
        self.sync()
    }

    /// Acknowledges entries that the kernel has, and syncs from time to time, and whatever must never be forgotten at once.
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
            match needs(&rounds) {
                Needs::Nothing => {}
                Needs::Kernel => self.store.flush()?,
                Needs::Disk => {
                    unsynced = 0;
                    self.sync()?;
                }
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_that_the_thread_has_no_room_for_wait_in_order_and_hold_up_nobody() {
        let (jobs, waiting) = sync_channel(2);
        let mut syncer = Syncer { jobs: Some(jobs), backlog: VecDeque::new(), thread: None };
        let mut submit = |bytes| {
            syncer.submit(Persist { bytes, ..Persist::default() });
            syncer.is_full()
        };
        assert_eq!([1, 2, 3, 4].map(&mut submit), [false, false, true, true]);
        let next = || waiting.try_recv().map(|round| round.bytes);
        assert_eq!((next(), next(), next().is_err()), (Ok(1), Ok(2), true));
        syncer.pass_on();
        assert!(!syncer.is_full());
        assert_eq!((next(), next()), (Ok(3), Ok(4)));
    }
}
