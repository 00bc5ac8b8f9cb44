//! The one sled database of a node: open, apply, sync, read by key.
//!
//! What was learnt about sled 0.34 and decided from it:
//!
//! * `flush()` ends in `sync_file_range`, which does not reach the disk's platter, nor a file system's metadata.
//!   [`Store::sync`] therefore follows it with an `fdatasync` of the data file. Only what was synced may be
//!   acknowledged, unless the owner takes the kernel's word ([`boot`]).
//! * A page larger than a quarter of a segment becomes a file under `blobs/`, which is never synced. Segments of 2 MiB
//!   and bounds on values keep that directory empty; [`Store::blob_files`] checks it.
//! * A leaf is written whole on every tenth change and when it is split, so that what is put at a log's growing end is
//!   written three or four times. Keys that are there before their values, in [slots](keys::slot), make that once.
//! * The page cache does not keep to its capacity. It has 256 parts, and each takes note of what was used only after 64
//!   uses; until then nothing leaves it. And a part keeps the page that was used last, whatever its size. [`memory`] fills the
//!   lists of uses on purpose, and frees what threads hold back.
//! * `apply_batch` takes a lock that stops every reader in the process, and `flush` holds its other side. Batches are
//!   to be bounded by who fills them, and a process holds one node.
//! * The page table is written to disk when the store is opened, and not while it is open; recovery reads the log from there
//!   on. So [`page_table`] writes it.
//! * Recovery never fails on a broken segment: it goes on with what is left. [`durable`] and [`progress`] find that
//!   out, each for a kind of loss of its own; what is lost of a log's entries is found by whoever reads them.
//! * Every page that is read from the file is checked against a checksum of its own. Some of what follows is checked
//!   with assertions, so that a panic in a read stands for damage, too.
//!
//! What is left out: there is no cache of values above sled's page cache (recent entries are in the
//! [tail](crate::TailCache)), and there are no snapshots in the database's sense; a reader sees each key as it is at
//! the moment it asks.

mod apply;
mod boot;
mod cleaner;
mod durable;
mod files;
pub(crate) mod memory;
mod open;
mod page_table;
mod progress;
mod purge;
mod records;
mod settings;
mod snapshot;
mod space;
mod syncs;
mod turnover;
mod unusable;

use std::fs::{self, File};
use std::iter;
use std::ops::RangeBounds;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use sled::IVec;

use crate::error::StoreError;
use crate::ids::{RaftGroupId, StoreId};
use crate::keys;
use cleaner::Cleaner;
use durable::DurableMark;
use progress::Progress;
use syncs::Syncs;
use turnover::Turnover;

pub use boot::{Acknowledge, BootId, NotABootId};
pub use open::OpenError;
pub use purge::Purge;
pub use records::StateRecord;
pub use space::free_space;

/// Whose store it is. Kept in the store and compared at every open, so that a node never serves another's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's name.
    pub cluster_id: String,
    /// The node's number in it.
    pub node_id: u32,
}

/// What may be chosen about a store.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// How many bytes of pages sled keeps in memory.
    pub cache_bytes: u64,
    /// In which boot of the machine the store is opened; the machine is asked if there is none. For tests that play a power
    /// loss.
    pub boot: Option<BootId>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { cache_bytes: 16 * 1024 * 1024, boot: None }
    }
}

/// A node's store. Clones are handles to the same one; it closes with the last of them.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

/// What all handles share.
struct Shared {
    db: sled::Db,
    id: StoreId,
    /// sled's data file, opened a second time for `fdatasync`. sled's own thread syncs its handle, too, and drops the error if that fails:
    /// Linux tells of it through this one as well, at the next sync.
    data_file: File,
    /// `<data_dir>/store`.
    dir: PathBuf,
    /// Held while a batch is applied, so that batches are counted in the order they became visible.
    progress: Mutex<Progress>,
    /// The number of the last batch that is visible.
    visible_batches: AtomicU64,
    /// The bytes of all batches since the store was opened.
    written_bytes: AtomicU64,
    /// In which boot of the machine it was opened.
    boot: BootId,
    /// Something may be missing that was acknowledged.
    forgot: AtomicBool,
    durable: Mutex<DurableMark>,
    /// Its file, to be examined while the mark itself is held by who waits for the disk.
    durable_file: File,
    syncs: Syncs,
    cleaner: Cleaner,
    turnover: Mutex<Turnover>,
    page_table: Mutex<page_table::Saved>,
    /// The bytes that were read to open it, as far as the operating system tells.
    opening_read_bytes: Option<u64>,
    /// The first write that failed, after which there are no more.
    failure: OnceLock<Failure>,
}

impl Store {
    /// Which store this is: the same for as long as it exists, and no other's.
    #[must_use]
    pub fn id(&self) -> StoreId {
        self.shared.id
    }

    /// Makes everything applied so far durable. Applying and reading go on in other threads meanwhile.
    ///
    /// # Errors
    ///
    /// When the disk refuses. What was applied since the last sync is then in an unknown state: nobody may
    /// acknowledge it, retry the sync, or go on.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.shared.check_not_failed()?;
        let batches = self.shared.visible_batches.load(Ordering::Acquire);
        let _under_way = self.shared.syncs.begin();
        let flushed = self.shared.flush();
        memory::give_memory_back();
        let synced = flushed.and_then(|()| self.shared.sync_data()).and_then(|()| {
            lock(&self.shared.durable).advance(batches).map_err(io_error("note what is durable"))
        });
        synced.inspect_err(|error| {
            self.shared.fail(error);
            self.distrust_kernel();
        })
    }

    /// The bytes that were read from files to open the store, as far as the operating system tells. They do not grow with what
    /// is in it but for its page table, if that was [saved](Self::save_page_table) from time to time.
    #[must_use]
    pub fn opening_read_bytes(&self) -> Option<u64> {
        self.shared.opening_read_bytes
    }

    /// How long a sync has been under way, the oldest if there are several; zero while there is none. This waits for no
    /// disk, so that it tells whether one stands still.
    #[must_use]
    pub fn syncing_for(&self) -> Duration {
        self.shared.syncs.longest()
    }

    /// Syncs, notes exactly how far, and lets go of this handle. Files close with the last handle.
    ///
    /// A store that is dropped without this loses nothing that was synced.
    ///
    /// # Errors
    ///
    /// As for [`Self::sync`].
    pub fn close(self) -> Result<(), StoreError> {
        self.sync()?;
        self.shared.cleaner.check()?;
        let mut mark = lock(&self.shared.durable);
        // Of what an earlier boot may have taken, the owner has yet to draw its conclusions.
        let boot = if self.forgot() { mark.boot() } else { BootId::NONE };
        let written = mark.set_boot(boot).map_err(io_error("note what is durable"));
        drop(mark);
        written.inspect_err(|error| self.shared.fail(error))
    }

    /// The groups that live here: those with raft state, in ascending order.
    ///
    /// # Errors
    ///
    /// None at present: the list is known since the store was opened.
    pub fn groups(&self) -> Result<Vec<RaftGroupId>, StoreError> {
        let mut groups: Vec<_> = lock(&self.shared.progress).groups().collect();
        groups.sort_unstable();
        Ok(groups)
    }

    /// Whether the group lived here once and was deleted. Such a group must not be made anew, whatever older metadata say.
    #[must_use]
    pub fn is_deleted(&self, group: RaftGroupId) -> bool {
        lock(&self.shared.progress).is_deleted(group)
    }

    /// The groups that were deleted and are not [forgotten](crate::WriteBatch::forget_deleted_group), in ascending order.
    #[must_use]
    pub fn deleted_groups(&self) -> Vec<RaftGroupId> {
        lock(&self.shared.progress).deleted().collect()
    }

    /// The bytes the store takes on disk.
    ///
    /// # Errors
    ///
    /// When the data file cannot be examined.
    pub fn disk_usage(&self) -> Result<u64, StoreError> {
        self.shared.db.size_on_disk().map_err(|error| StoreError::from_sled("measure the store", error))
    }

    /// The number of files that sled has put beside its data file instead of into it. They are never synced, so it
    /// has to be 0.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub fn blob_files(&self) -> Result<usize, StoreError> {
        let blobs = fs::read_dir(self.shared.dir.join(files::BLOBS));
        blobs.map(Iterator::count).map_err(io_error("list the blob files"))
    }

    /// The value of `key`.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        read_near(key, || self.shared.db.get(key))
    }

    /// The first pair above `key`.
    pub(crate) fn first_after(&self, key: &[u8]) -> Result<Option<(IVec, IVec)>, StoreError> {
        read_near(key, || self.shared.db.get_gt(key))
    }

    /// The last pair below `key`.
    pub(crate) fn last_before(&self, key: &[u8]) -> Result<Option<(IVec, IVec)>, StoreError> {
        read_near(key, || self.shared.db.get_lt(key))
    }

    /// The pairs whose keys are in `range`. Never to the end of a large family: sled keeps what an iterator has passed.
    pub(crate) fn range<K: AsRef<[u8]>, R: RangeBounds<K>>(
        &self,
        range: R,
    ) -> impl Iterator<Item = Result<(IVec, IVec), StoreError>> + use<K, R> {
        read_all(self.shared.db.range(range))
    }

    /// The pairs whose keys begin with `prefix`. Never to the end of a large family, as with [`Self::range`].
    pub(crate) fn scan(
        &self,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<(IVec, IVec), StoreError>> + use<> {
        read_all(self.shared.db.scan_prefix(prefix))
    }
}

impl Shared {
    /// Writes out sled's buffers.
    fn flush(&self) -> Result<(), StoreError> {
        self.db.flush().map(drop).map_err(|error| StoreError::from_sled("flush the store", error))
    }

    /// Forces what was written out to the disk.
    fn sync_data(&self) -> Result<(), StoreError> {
        self.data_file.sync_data().map_err(io_error("sync the data file"))
    }

    /// Refuses when a write has failed before.
    fn check_not_failed(&self) -> Result<(), StoreError> {
        match self.failure.get() {
            None => Ok(()),
            Some(failure) => Err(failure.again()),
        }
    }

    /// Remembers that a write failed: for good, unless it is the device that failed. On a full one sled may give any reason.
    fn fail(&self, error: &StoreError) {
        self.failure.get_or_init(|| {
            if let StoreError::Damaged { detail, .. } = error
                && free_space(self.data_dir()).is_ok_and(|free| free >= open::OPENING_BYTES)
                && let Err(error) = unusable::mark(self.data_dir(), detail)
            {
                tracing::error!(%error, "cannot note that the store is unusable: do not start this node on it again");
            }
            Failure { first: error.to_string(), no_space: error.is_no_space() }
        });
    }

    /// The directory that everything is in.
    fn data_dir(&self) -> &Path {
        self.dir.parent().unwrap_or(&self.dir)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // sled would wait for a thread that is gone. What was synced is on the disk.
        if self.cleaner.has_ended() {
            std::mem::forget(self.db.clone());
        }
    }
}

/// The write that failed.
struct Failure {
    first: String,
    no_space: bool,
}

impl Failure {
    /// What those are told who come later.
    fn again(&self) -> StoreError {
        StoreError::Failed { first: self.first.clone(), no_space: self.no_space }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("dir", &self.shared.dir).finish_non_exhaustive()
    }
}

/// Locks what is consistent even if a thread panicked while it held the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads something of sled's at or near `key`, whose group is to blame for what is wrong with it.
fn read_near<T>(key: &[u8], read: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
    let damaged = |detail: String| match keys::group_of(key) {
        Some(group) => StoreError::damaged_in(group, detail),
        None => StoreError::damaged(detail),
    };
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => match StoreError::from_sled("read the store", error) {
            StoreError::Damaged { detail, .. } => Err(damaged(detail)),
            other => Err(other),
        },
        Err(_) => Err(damaged("sled cannot make sense of what it read".to_owned())),
    }
}

/// The pairs of an iterator of sled's. It ends with the first error.
fn read_all(mut pairs: sled::Iter) -> impl Iterator<Item = Result<(IVec, IVec), StoreError>> {
    let mut failed = false;
    iter::from_fn(move || {
        if failed {
            return None;
        }
        let next = read_near(&[], || pairs.next().transpose());
        failed = next.is_err();
        next.transpose()
    })
}

/// Says what the operating system refused to do.
fn io_error(action: &'static str) -> impl FnOnce(std::io::Error) -> StoreError {
    move |source| StoreError::Io { action, source }
}

#[cfg(test)]
mod tests;
