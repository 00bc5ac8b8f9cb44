//! The thread on which a node speaks with its peers.
//!
//! Clients are served by threads that they can keep busy, and a peer that waits behind them seems silent: its groups elect other
//! leaders, while nothing is wrong but a client in haste. So sockets between nodes, their timers and their frames have a runtime
//! of one thread that does nothing else. Nothing on it may block, but [`PeerHandler::meet`](super::PeerHandler::meet), for which it has
//! threads that may.

use std::io;

use tokio::runtime::{Builder, EnterGuard, Runtime};

/// Peers that may be met at once: what is remembered of them is written to disk, one after the other.
const MAX_BLOCKING_THREADS: usize = 4;

/// The thread, which ends when this is dropped; what runs on it ends with its next wait.
pub(crate) struct PeerThread(Option<Runtime>);

impl PeerThread {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the operating system gives none.
    pub(crate) fn start() -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder
            .worker_threads(1)
            .max_blocking_threads(MAX_BLOCKING_THREADS)
            .thread_name("peers")
            .enable_all();
        builder.build().map(Some).map(Self)
    }

    /// What is spawned, and whatever socket is registered, while the guard lives is this thread's.
    pub(crate) fn enter(&self) -> Option<EnterGuard<'_>> {
        self.0.as_ref().map(Runtime::enter)
    }
}

impl Drop for PeerThread {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // A node may be dropped by a task, which must not wait.
            runtime.shutdown_background();
        }
    }
}
