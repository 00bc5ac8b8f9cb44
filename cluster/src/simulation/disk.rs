//! A node's disk: a real store, and a journal of what was written to it, which tells what a crash leaves.
//!
//! Batches are atomic and reach the disk in order (`trilog-storage` proves both of its store), so a crash leaves all that
//! was synced and, by chance, some of what came after. The store that a crash leaves is made anew from the journal. That
//! is slower than to copy files, but it depends on nothing that sled's own threads do meanwhile.
//!
//! What is not atomic may be cut short anywhere: a step of a purge, and the reservation of slots ahead of a batch.

use std::time::Duration;

use tempfile::TempDir;
use trilog_storage::{Identity, Store, StoreOptions, WriteBatch};

use super::random::Random;
use crate::ids::{NodeId, StoreId};

/// How many changes are written at one moment.
pub(super) type Written = usize;

/// A change of what is on the disk.
enum Change {
    Batch(WriteBatch),
    /// A step of a purge: at most so many keys, in at most so many writes.
    Purge {
        keys: usize,
        writes: usize,
    },
    /// What a batch writes ahead of itself, by a process that did not live to write the batch.
    Reservation(WriteBatch),
}

impl Change {
    /// Returns whether there is more to purge.
    fn make(&self, store: &Store) -> bool {
        match self {
            Self::Batch(batch) => store.apply(batch.clone()).map(|()| false),
            Self::Purge { keys, writes } => store.purge_cut_short(*keys, *writes).map(|purge| purge.more),
            Self::Reservation(batch) => store.reserve_ahead(batch).map(|()| false),
        }
        .expect("a store is written")
    }
}

/// The most keys and writes of a purge that a crash cuts short.
const CUT_PURGE: usize = 40;

/// A disk, whether its node runs or not.
pub(super) struct Disk {
    node: NodeId,
    /// Which store it is. Crashes do not change that, although the store is then made anew.
    id: StoreId,
    directory: TempDir,
    journal: Vec<Change>,
    synced: Written,
    /// How long a sync takes at least and at most, in microseconds.
    pub(super) lag: (u64, u64),
    /// The next sync fails.
    pub(super) failing: bool,
}

impl Disk {
    /// How long a sync takes on a disk in good health, in microseconds.
    pub(super) const QUICK: (u64, u64) = (100, 2_000);

    pub(super) fn new(node: NodeId) -> Self {
        let mut id = StoreId([0; 16]);
        id.0[1] = u8::try_from(node.0).expect("few nodes");
        Self {
            node,
            id,
            directory: directory(),
            journal: Vec::new(),
            synced: 0,
            lag: Self::QUICK,
            failing: false,
        }
    }

    /// Which store it is.
    pub(super) const fn id(&self) -> StoreId {
        self.id
    }

    /// Everything on it is lost, and another one takes its place.
    pub(super) fn wipe(&mut self) {
        self.id.0[0] += 1;
        self.directory = directory();
        self.journal.clear();
        self.synced = 0;
    }

    /// The store that is on the disk.
    pub(super) fn open(&self) -> Store {
        let identity = Identity { cluster_id: "simulation".into(), node_id: self.node.0 };
        Store::open(self.directory.path(), &identity, StoreOptions::default()).expect("a store opens")
    }

    /// Makes a batch visible in `store`, which is this disk's.
    pub(super) fn apply(&mut self, store: &Store, batch: WriteBatch) {
        if !batch.is_empty() {
            self.change(store, Change::Batch(batch));
        }
    }

    /// Removes up to `keys` keys that nobody can read. Returns whether there are more.
    pub(super) fn purge(&mut self, store: &Store, keys: usize) -> bool {
        self.change(store, Change::Purge { keys, writes: usize::MAX })
    }

    fn change(&mut self, store: &Store, change: Change) -> bool {
        let more = change.make(store);
        self.journal.push(change);
        more
    }

    /// What a sync that begins now is going to make durable.
    pub(super) fn written(&self) -> Written {
        self.journal.len()
    }

    /// A sync that began at `written` is over.
    pub(super) fn synced(&mut self, written: Written) {
        self.synced = self.synced.max(written);
    }

    /// How long the next sync takes.
    pub(super) fn sync_takes(&self, random: &mut Random) -> Duration {
        random.micros(self.lag.0, self.lag.1)
    }

    /// The process is gone without a word: what was synced is there, and perhaps some of the rest. What it was about to do
    /// next may be there in part. Returns how many changes are lost.
    pub(super) fn crash(&mut self, random: &mut Random) -> usize {
        let unsynced = self.journal.len() - self.synced;
        let lost = if random.chance(400) { unsynced } else { random.place(unsynced + 1) };
        self.failing = false;
        let next = self.journal.drain(self.journal.len() - lost..).next();
        let cut_short = match next {
            Some(Change::Batch(batch)) if random.chance(200) => Some(Change::Reservation(batch)),
            _ if random.chance(500) => {
                Some(Change::Purge { keys: 1 + random.place(CUT_PURGE), writes: random.place(CUT_PURGE) })
            }
            _ => None,
        };
        if lost > 0 {
            self.rebuild();
        }
        if let Some(change) = cut_short {
            self.change(&self.open(), change);
        }
        self.synced = self.journal.len();
        lost
    }

    /// The process has ended in order: everything is there.
    pub(super) fn closed(&mut self) {
        self.synced = self.journal.len();
        self.failing = false;
    }

    /// Makes the store anew.
    fn rebuild(&mut self) {
        self.directory = directory();
        let store = self.open();
        for change in &self.journal {
            change.make(&store);
        }
    }
}

/// Where shared memory is a file system, as on Linux. What is lost here is lost on purpose, so no real disk is needed.
const MEMORY: &str = "/dev/shm";

/// A new directory, in memory if there is such a place.
fn directory() -> TempDir {
    tempfile::tempdir_in(MEMORY).or_else(|_| tempfile::tempdir()).expect("a directory for a store")
}
