//! Work that must not hold up the driver: reading old entries for followers that lag, and removing what deleted
//! partitions left on disk.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use trilog_storage::{EntryFetch, LogReader, Store, StoreError};

use super::inbox::{Inbox, Input};
use crate::ids::RaftGroupId;

/// Keys that one purge batch removes: small, because a batch blocks every reader of the store.
const PURGE_KEYS: usize = 256;

/// Hands work to the background threads. Each queue is bounded by what can be asked: a log has one read a follower
/// under way, and a purge is asked for once a deleted partition.
pub(super) struct Background {
    fetches: Sender<(RaftGroupId, EntryFetch)>,
    purges: Sender<()>,
}

impl Background {
    pub(super) fn start(store: Store, reader: LogReader, inbox: Arc<Inbox>) -> std::io::Result<Self> {
        let (fetches, wanted) = channel();
        let fetch_inbox = Arc::clone(&inbox);
        std::thread::Builder::new()
            .name("entry-reader".into())
            .spawn(move || end(&fetch_inbox, read_entries(&wanted, &reader, &fetch_inbox)))?;
        let (purges, asked) = channel();
        std::thread::Builder::new()
            .name("purger".into())
            .spawn(move || end(&inbox, purge(&asked, &store)))?;
        let background = Self { fetches, purges };
        // What a previous run did not finish.
        background.purge();
        Ok(background)
    }

    pub(super) fn fetch(&self, group: RaftGroupId, fetch: EntryFetch) {
        // The threads end only with the node, or with an error that the driver is about to hear of.
        let _ = self.fetches.send((group, fetch));
    }

    pub(super) fn purge(&self) {
        let _ = self.purges.send(());
    }
}

fn end(inbox: &Inbox, done: Result<(), StoreError>) {
    if let Err(error) = done {
        inbox.push(Input::Fail(error));
    }
}

fn read_entries(
    wanted: &Receiver<(RaftGroupId, EntryFetch)>,
    reader: &LogReader,
    inbox: &Inbox,
) -> Result<(), StoreError> {
    for (group, fetch) in wanted {
        inbox.push(Input::Fetched(group, fetch.read(reader)?));
    }
    Ok(())
}

fn purge(asked: &Receiver<()>, store: &Store) -> Result<(), StoreError> {
    for () in asked {
        while store.purge(PURGE_KEYS)?.more {}
    }
    Ok(())
}
