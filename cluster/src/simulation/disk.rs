//! A node's disk: a real store, and a journal of what was written to it, which tells what a crash leaves.
//!
//! Batches are atomic and reach the disk in order (`trilog-storage` proves both of its store), so the end of a process leaves
//! all that the kernel had, the end of a machine all that was synced, and both, by chance, some of what came after. The store that
//! a crash leaves is made anew from the journal. That is slower than to copy files, but it depends on nothing that sled's own
//! threads do meanwhile.
//!
//! What is not atomic may be cut short anywhere: a step of a purge, and the reservation of slots ahead of a batch.

use std::time::Duration;

use tempfile::TempDir;
use trilog_storage::{Identity, RaftLog, Store, StoreOptions, WriteBatch};

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

/// How much room there is on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    Enough,
    /// Less than the node's reserve: it takes no records in.
    Scarce,
    /// None: the process ends at its next write, and another one waits for room.
    Nothing,
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
    /// What reached the kernel.
    flushed: Written,
    synced: Written,
    /// Its node acknowledges entries that reached the kernel.
    pub(super) is_relaxed: bool,
    /// Such a node was started since it last ended in order.
    is_marked: bool,
    /// Its machine went down under such a node, which has not drawn its conclusions yet.
    forgot: bool,
    /// How long a sync takes at least and at most, in microseconds.
    pub(super) lag: (u64, u64),
    /// Its node's driver does nothing while a sync is under way.
    pub(super) holds_driver: bool,
    /// The next sync fails.
    pub(super) failing: bool,
    pub(super) space: Space,
}

impl Disk {
    /// How long a sync takes on a disk in good health, in microseconds.
    pub(super) const QUICK: (u64, u64) = (100, 2_000);

    pub(super) fn new(node: NodeId, is_relaxed: bool) -> Self {
        let mut id = StoreId([0; 16]);
        id.0[1] = u8::try_from(node.0).expect("few nodes");
        Self {
            node,
            id,
            directory: directory(),
            journal: Vec::new(),
            flushed: 0,
            synced: 0,
            is_relaxed,
            is_marked: false,
            forgot: false,
            lag: Self::QUICK,
            holds_driver: false,
            failing: false,
            space: Space::Enough,
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
        (self.flushed, self.synced) = (0, 0);
        (self.is_marked, self.forgot) = (false, false);
        self.space = Space::Enough;
    }

    /// The store that is on the disk, all of which is durable from then on. Returns whether it may have forgotten what its
    /// node acknowledged; then it is another store.
    pub(super) fn open(&mut self) -> (Store, bool) {
        let store = self.store();
        self.synced(self.written());
        self.is_marked = self.is_relaxed;
        let forgot = std::mem::take(&mut self.forgot) && has_promised(&store);
        self.id.0[2] += u8::from(forgot);
        (store, forgot)
    }

    fn store(&self) -> Store {
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
        self.flushed(written);
    }

    /// What was written up to `written` has reached the kernel.
    pub(super) fn flushed(&mut self, written: Written) {
        self.flushed = self.flushed.max(written);
    }

    /// Whether a sync would make anything durable.
    pub(super) const fn has_unsynced(&self) -> bool {
        self.journal.len() > self.synced
    }

    /// How long the next sync takes.
    pub(super) fn sync_takes(&self, random: &mut Random) -> Duration {
        random.micros(self.lag.0, self.lag.1)
    }

    /// The process is gone without a word: what reached the kernel is there, and perhaps some of the rest. What it was about to do
    /// next may be there in part. Returns how many changes are lost.
    pub(super) fn crash(&mut self, random: &mut Random) -> usize {
        // A kernel drops what it could not write.
        if std::mem::take(&mut self.failing) {
            return self.lose_power(random);
        }
        let lost = self.lose(self.flushed, random);
        self.flushed = self.journal.len();
        lost
    }

    /// The machine is gone, whether a process ran or not: what was synced is there, and perhaps some of the rest. Returns how
    /// many batches are lost.
    pub(super) fn lose_power(&mut self, random: &mut Random) -> usize {
        self.failing = false;
        self.forgot |= self.is_marked;
        let lost = self.lose(self.synced, random);
        (self.flushed, self.synced) = (self.journal.len(), self.journal.len());
        lost
    }

    /// Loses some or all of what came after `kept`.
    fn lose(&mut self, kept: Written, random: &mut Random) -> usize {
        let open = self.journal.len() - kept;
        let lost = if random.chance(400) { open } else { random.place(open + 1) };
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
            self.change(&self.store(), change);
        }
        lost
    }

    /// The process has ended in order: everything is there.
    pub(super) fn closed(&mut self) {
        self.synced(self.written());
        (self.is_marked, self.failing) = (false, false);
    }

    /// Makes the store anew.
    fn rebuild(&mut self) {
        self.directory = directory();
        let store = self.store();
        for change in &self.journal {
            change.make(&store);
        }
    }
}

/// Whether anything can have been said of what a store holds.
fn has_promised(store: &Store) -> bool {
    let term = |group| RaftLog::stored_term(store, group).expect("a term is read");
    store.groups().expect("groups are known").into_iter().any(|group| term(group) > Some(0))
}

/// Where shared memory is a file system, as on Linux. What is lost here is lost on purpose, so no real disk is needed.
const MEMORY: &str = "/dev/shm";

/// A new directory, in memory if there is such a place.
fn directory() -> TempDir {
    tempfile::tempdir_in(MEMORY).or_else(|_| tempfile::tempdir()).expect("a directory for a store")
}
