//! The thread that keeps the next start short: it writes down again and again where the store's pages are.
//!
//! The driver and the syncer do not wait for it. What it writes is synced, and so is the store before it: once a second at the
//! most, and not before there is something to gain.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use trilog_storage::{Store, StoreError};

use super::inbox::Inbox;
use super::threads;

/// How much of the store's log the next start may have to read, beside what is written within an [`INTERVAL`]; more if the
/// store is large (see [`Store::save_page_table`]).
const LOG_BYTES: u64 = 16 << 20;

/// How often the thread looks how much there is.
const INTERVAL: Duration = Duration::from_secs(1);

/// The driver's end. Dropped, the thread ends as soon as it can, and nobody waits for it: the disk may be the reason.
pub(super) struct PageTable {
    last: Sender<()>,
    thread: JoinHandle<()>,
}

impl PageTable {
    pub(super) fn start(store: Store, inbox: Arc<Inbox>) -> io::Result<Self> {
        let (last, waiting) = channel();
        let thread = threads::start("page-table", inbox, move |_| run(&store, &waiting))?;
        Ok(Self { last, thread })
    }

    /// Lets it write one more table if there is need, and waits until the thread is gone, and its handle of the store with it.
    pub(super) fn finish(self) {
        // How it ended, if it has, it has told by itself.
        let _ = self.last.send(());
        let _ = self.thread.join();
    }
}

fn run(store: &Store, last: &Receiver<()>) -> Result<(), StoreError> {
    loop {
        let ends = match last.recv_timeout(INTERVAL) {
            Err(RecvTimeoutError::Timeout) => false,
            Ok(()) => true,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        store.save_page_table(LOG_BYTES)?;
        if ends {
            return Ok(());
        }
    }
}
