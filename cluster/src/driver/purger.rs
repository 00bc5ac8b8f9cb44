//! The thread that removes what deleted partitions and cut logs left on disk.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use trilog_storage::{Store, StoreError};

use super::inbox::{Inbox, Input};

/// Keys that one batch removes: small, because a batch blocks every reader of the store.
const PURGE_KEYS: usize = 256;

/// The driver's end. Its queue is bounded by what can be asked: once a deleted partition, and once a cut.
pub(super) struct Purger {
    purges: Sender<()>,
}

impl Purger {
    pub(super) fn start(store: Store, inbox: Arc<Inbox>) -> std::io::Result<Self> {
        let (purges, asked) = channel();
        std::thread::Builder::new().name("purger".into()).spawn(move || {
            if let Err(error) = run(&asked, &store) {
                inbox.push(Input::Fail(error));
            }
        })?;
        let purger = Self { purges };
        // What a previous run did not finish.
        purger.purge();
        Ok(purger)
    }

    pub(super) fn purge(&self) {
        // The thread ends only with the node, or with an error that the driver is about to hear of.
        let _ = self.purges.send(());
    }
}

fn run(asked: &Receiver<()>, store: &Store) -> Result<(), StoreError> {
    for () in asked {
        while store.purge(PURGE_KEYS)?.more {}
    }
    Ok(())
}
