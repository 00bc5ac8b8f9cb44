//! The thread that removes what deleted partitions and cut logs left on disk.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use trilog_storage::{Store, StoreError};

use super::inbox::Inbox;
use super::threads;

/// Keys that one batch removes: small, because a batch blocks every reader of the store.
const PURGE_KEYS: usize = 256;

/// The driver's end. Its queue is bounded by what can be asked: once a deleted partition, and once a cut. The thread ends when
/// this is dropped, after the batch that it is at.
pub(super) struct Purger {
    purges: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Purger {
    pub(super) fn start(store: Store, inbox: Arc<Inbox>) -> std::io::Result<Self> {
        let (purges, asked) = channel();
        let thread = threads::start("purger", inbox, move |_| {
            run(&asked, || store.purge(PURGE_KEYS).map(|purge| purge.more))
        })?;
        let purger = Self { purges: Some(purges), thread: Some(thread) };
        // What a previous run did not finish.
        purger.purge();
        Ok(purger)
    }

    pub(super) fn purge(&self) {
        // The thread ends early only with the node, which the driver is about to hear of.
        if let Some(purges) = &self.purges {
            let _ = purges.send(());
        }
    }

    /// Waits until the thread is gone, and its handle of the store with it.
    pub(super) fn finish(mut self) {
        self.purges = None;
        if let Some(thread) = self.thread.take() {
            // How it ended, it has told by itself.
            let _ = thread.join();
        }
    }
}

/// Purges whenever that is asked for, step by step, until nobody can ask any more. A step says whether there is another one.
fn run(asked: &Receiver<()>, mut step: impl FnMut() -> Result<bool, StoreError>) -> Result<(), StoreError> {
    while asked.recv().is_ok() {
        while step()? {
            // What was asked for meanwhile is done with the rest.
            if asked.try_recv() == Err(TryRecvError::Disconnected) {
                return Ok(());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purge_that_has_much_to_do_ends_with_the_node() {
        let (purges, asked) = channel();
        purges.send(()).unwrap();
        let (mut purges, mut steps) = (Some(purges), 0);
        let step = || {
            steps += 1;
            if steps == 3 {
                purges = None;
            }
            Ok(true)
        };
        run(&asked, step).unwrap();
        assert_eq!(steps, 3, "not one more");
    }

    #[test]
    fn whoever_asks_again_during_the_last_step_is_served_again() {
        let (purges, asked) = channel();
        purges.send(()).unwrap();
        let (mut purges, mut steps) = (Some(purges), 0);
        let step = || {
            steps += 1;
            match (steps, purges.take()) {
                (1, Some(ask)) => {
                    ask.send(()).unwrap();
                    Ok(false)
                }
                _ => Ok(false),
            }
        };
        run(&asked, step).unwrap();
        assert_eq!(steps, 2);
    }
}
