//! Opening a store, and everything that can be wrong with what is found.
//!
//! The checks come in this order, each of them before anything it protects is written:
//!
//! 1. the directory can be made and written, and holds nothing that is not ours;
//! 2. the durable mark and the data file are both there, or neither is;
//! 3. what is found is synced, and sled opens, which locks the data file;
//! 4. format, cluster and node are the expected ones;
//! 5. nothing that was durable is missing ([`durable`](super::durable), [`progress`](super::progress)).
//!
//! A store that fails the last check stays refused however often it is opened: the mark is not touched, though sled has
//! by then overwritten the damage it found.

mod error;
mod reading;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

pub use self::error::OpenError;
use self::error::io_error;
use super::boot::BootId;
use super::cleaner::Opening;
use super::durable::DurableMark;
use super::progress::{GroupProgress, LogStart, Progress, Remains};
use super::space::free_space;
use super::syncs::Syncs;
use super::{Identity, Shared, Store, StoreOptions, files, page_table, settings, snapshot, unusable};
use crate::error::StoreError;
use crate::ids::{RaftGroupId, StoreId};
use crate::keys::meta::{IDENTITY_KEY, IdentityRow, PROGRESS_KEY, ProgressRow, STORE_ID_KEY};
use crate::keys::raft_state::{self, GroupState};
use crate::keys::{Family, fence, record, tombstone};

/// The version of the layout that this code reads and writes.
const FORMAT: u32 = 5;

/// The size of sled's segments. A page above a quarter of it would leave the data file; a leaf of nine of the longest
/// parts is just below that. Each segment on its way to the disk is a buffer of this size, and there may be many.
pub(super) const SEGMENT_BYTES: usize = 2 * 1024 * 1024;

/// How often sled's own thread looks for segments that are mostly free, to move the rest out of one of them. Without
/// it a segment with one live page is never used again, and the file never becomes shorter.
pub(super) const CLEAN_INTERVAL_MS: u64 = 250;

/// How long to wait for the lock of the data file. sled's own threads hold it for a moment after the last handle was
/// dropped, and so does a process that is being killed.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

/// What an opening may have to write: the rest of a segment, and a snapshot of the page table.
pub(super) const OPENING_BYTES: u64 = 8 * 1024 * 1024;

/// How often to try the lock meanwhile.
const LOCK_RETRY: Duration = Duration::from_millis(10);

impl Store {
    /// Opens the store in `data_dir`, which is made if there is none.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]. Damage is an error, never a panic, and never a store with less in it than was synced.
    pub fn open(data_dir: &Path, identity: &Identity, options: StoreOptions) -> Result<Self, OpenError> {
        let read_before = reading::bytes_read();
        let at = Place::new(data_dir);
        let mut mark = at.prepare()?;
        let opening = Opening::begin();
        let db = at.open_sled(&options)?;
        let cleaner = opening.cleaner();
        at.sync_names()?;
        page_table::remove_unfinished(&at.dir).map_err(|error| at.io(error))?;
        let page_table = page_table::Saved::find(&at.dir).map_err(|error| at.io(error))?;
        if is_new(&db, &at)? && mark.batches() == 0 {
            at.write_first_rows(&db, identity)?;
            // From here on a store that is gone is missed.
            mark.advance_now(1).map_err(|error| at.mark_io(error))?;
        }
        at.check_identity(&db, identity)?;
        let boot = options.boot.unwrap_or_else(BootId::of_machine);
        let forgot = mark.boot().is_over(boot) && at.has_promised(&db)?;
        let id = at.store_id(&db, forgot)?;
        let progress = at.recover_progress(&db, mark.batches())?;
        let data_file = File::open(at.dir.join(files::DATA)).map_err(|error| at.io(error))?;
        let store = Self {
            shared: Arc::new(Shared {
                db,
                id,
                data_file,
                dir: at.dir.clone(),
                written_bytes: AtomicU64::new(0),
                boot,
                forgot: AtomicBool::new(forgot),
                visible_batches: AtomicU64::new(progress.row().batches),
                progress: Mutex::new(progress),
                durable_file: mark.file().try_clone().map_err(|error| at.mark_io(error))?,
                durable: Mutex::new(mark),
                syncs: Syncs::default(),
                cleaner,
                turnover: Mutex::default(),
                page_table: Mutex::new(page_table),
                opening_read_bytes: reading::bytes_read()
                    .zip(read_before)
                    .map(|(after, before)| after - before),
                failure: OnceLock::new(),
            }),
        };
        if let blobs @ 1.. = store.blob_files().map_err(|error| at.damaged(error.to_string()))? {
            tracing::warn!(blobs, dir = %at.dir.display(), "sled keeps pages outside its data file, which are never synced");
        }
        Ok(store)
    }
}

/// Where a store is being opened.
struct Place {
    data_dir: PathBuf,
    /// sled's directory.
    dir: PathBuf,
    durable: PathBuf,
}

impl Place {
    fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            dir: data_dir.join(files::STORE),
            durable: data_dir.join(files::DURABLE),
        }
    }

    /// Makes the directory and the durable mark if they are not there, and checks them if they are.
    fn prepare(&self) -> Result<DurableMark, OpenError> {
        fs::create_dir_all(&self.data_dir).map_err(|error| self.io(error))?;
        files::sync_above(&self.data_dir).map_err(|error| self.io(error))?;
        if let Some(path) = files::foreign_file(&self.dir).map_err(|error| self.io(error))? {
            return Err(OpenError::NotOurs { path });
        }
        if let Some(reason) = unusable::reason(&self.data_dir).map_err(|error| self.io(error))? {
            let detail = format!("a write was cut off in the middle: {reason}");
            return Err(OpenError::Damaged { path: unusable::path(&self.data_dir), detail });
        }
        let has_data = self.dir.join(files::DATA).exists();
        let mut mark = self.open_mark()?;
        if mark.is_none() && !has_data {
            DurableMark::create(&self.durable).map_err(|error| self.mark_io(error))?;
            files::sync_dir(&self.data_dir).map_err(|error| self.io(error))?;
            mark = self.open_mark()?;
        }
        let damaged =
            |detail: &str| OpenError::Damaged { path: self.durable.clone(), detail: detail.to_owned() };
        match mark {
            None => Err(damaged("the file is missing, though there is a store beside it")),
            Some(None) => Err(damaged("neither of its two slots can be read")),
            Some(Some(mark)) if mark.batches() > 0 && !has_data => {
                Err(self.damaged(format!("{}/{} is missing", files::STORE, files::DATA)))
            }
            Some(Some(mark)) => {
                if !has_data {
                    self.clear_unfinished().map_err(|error| self.io(error))?;
                }
                settings::remove_broken(&self.dir).map_err(|error| self.io(error))?;
                Ok(mark)
            }
        }
    }

    /// Removes what a first opening has left that was cut short before there was a data file: sled would take half of
    /// its settings for others.
    fn clear_unfinished(&self) -> io::Result<()> {
        if !self.dir.exists() {
            return Ok(());
        }
        files::remove(&self.dir.join(files::SETTINGS))?;
        files::snapshots(&self.dir)?.iter().try_for_each(|snapshot| files::remove(snapshot))
    }

    /// The durable mark, as far as there is a file, and as far as the file holds one.
    fn open_mark(&self) -> Result<Option<Option<DurableMark>>, OpenError> {
        match DurableMark::open(&self.durable) {
            Ok(mark) => Ok(Some(mark)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.mark_io(error)),
        }
    }

    /// Opens sled, with patience for the lock, and without a snapshot of its that is not whole.
    fn open_sled(&self, options: &StoreOptions) -> Result<sled::Db, OpenError> {
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            self.sync_found().map_err(|error| self.io(error))?;
            let config = sled::Config::new()
                .path(&self.dir)
                .mode(sled::Mode::HighThroughput)
                .segment_size(SEGMENT_BYTES)
                .cache_capacity(options.cache_bytes)
                .flush_every_ms(Some(CLEAN_INTERVAL_MS));
            // sled checks some of what it reads from the file with assertions.
            let refused = match catch_unwind(AssertUnwindSafe(|| config.open())) {
                Ok(Ok(db)) => return Ok(db),
                Ok(Err(error)) if is_locked(&error) => {
                    if Instant::now() >= deadline {
                        return Err(OpenError::AlreadyInUse { path: self.data_dir.clone() });
                    }
                    thread::sleep(LOCK_RETRY);
                    continue;
                }
                Ok(Err(error)) => self.sled(error),
                Err(_) => self.damaged("sled cannot make sense of its file".to_owned()),
            };
            // Nobody is told to wipe a store because its disk was full when it was opened.
            if free_space(&self.data_dir).is_ok_and(|free| free < OPENING_BYTES) {
                return Err(OpenError::NoSpace { path: self.data_dir.clone() });
            }
            let damaged = matches!(refused, OpenError::Damaged { .. });
            if !damaged || !snapshot::remove_broken(&self.dir).map_err(|error| self.io(error))? {
                return Err(refused);
            }
        }
    }

    /// Syncs the data file as it was found, before anything is read from it.
    ///
    /// A process that was killed leaves writes behind that the kernel has and the disk has not. Who reads them takes them for
    /// durable: the node acknowledges entries by them, and sled writes a snapshot, durably, of what may yet be lost.
    fn sync_found(&self) -> io::Result<()> {
        let data_file = match File::options().read(true).write(true).open(self.dir.join(files::DATA)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        // Under the lock, so that nobody who is still dying writes behind it. Who has it is met by sled.
        match rustix::fs::flock(&data_file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => data_file.sync_all(),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the names of all files durable, and what sled does not sync, before the durable mark tells of a store.
    fn sync_names(&self) -> Result<(), OpenError> {
        let settings = File::open(self.dir.join(files::SETTINGS)).and_then(|file| file.sync_all());
        let names = || [&self.dir, &self.data_dir].into_iter().try_for_each(|dir| files::sync_dir(dir));
        settings.and_then(|()| names()).map_err(|error| self.io(error))
    }

    /// Writes what a new store begins with, durably.
    fn write_first_rows(&self, db: &sled::Db, identity: &Identity) -> Result<(), OpenError> {
        let mut rows = sled::Batch::default();
        let row = IdentityRow {
            format: FORMAT,
            node_id: identity.node_id,
            cluster_id: identity.cluster_id.clone(),
        };
        rows.insert(&IDENTITY_KEY, row.encode());
        rows.insert(&PROGRESS_KEY, &ProgressRow { batches: 1, ..ProgressRow::default() }.encode());
        rows.insert(&STORE_ID_KEY, &StoreId::random().0);
        for key in fence::between_families() {
            rows.insert(key, &[]);
        }
        self.write_durably(db, rows)
    }

    /// Writes rows that must be there whatever happens next.
    fn write_durably(&self, db: &sled::Db, rows: sled::Batch) -> Result<(), OpenError> {
        db.apply_batch(rows).and_then(|()| db.flush()).map_err(|error| self.sled(error))?;
        let data_file = File::open(self.dir.join(files::DATA)).and_then(|file| file.sync_all());
        data_file.map_err(|error| self.io(error))
    }

    /// Compares whose store it is with whose it should be.
    fn check_identity(&self, db: &sled::Db, expected: &Identity) -> Result<(), OpenError> {
        let path = self.data_dir.clone();
        let row = db.get(IDENTITY_KEY).map_err(|error| self.sled(error))?;
        let row = row.ok_or_else(|| self.damaged("it does not say whose it is".to_owned()))?;
        match IdentityRow::decode_format(&row) {
            Some(found) if found != FORMAT => {
                return Err(OpenError::OtherFormat { path, found, supported: FORMAT });
            }
            _ => {}
        }
        let found = IdentityRow::decode(&row);
        let found = found.ok_or_else(|| self.damaged("what says whose it is cannot be read".to_owned()))?;
        if found.cluster_id != expected.cluster_id {
            let expected = expected.cluster_id.clone();
            return Err(OpenError::OtherCluster { path, found: found.cluster_id, expected });
        }
        if found.node_id != expected.node_id {
            return Err(OpenError::OtherNode { path, found: found.node_id, expected: expected.node_id });
        }
        Ok(())
    }

    /// Reads which store it is. One that was made before stores had ids gets one now: it is what it was, and nobody knows
    /// it by another. One that may have forgotten something is another one from now on.
    fn store_id(&self, db: &sled::Db, forgot: bool) -> Result<StoreId, OpenError> {
        let row = db.get(STORE_ID_KEY).map_err(|error| self.sled(error))?;
        let Some(row) = row.filter(|_| !forgot) else {
            let id = StoreId::random();
            let mut rows = sled::Batch::default();
            rows.insert(&STORE_ID_KEY, &id.0);
            return self.write_durably(db, rows).map(|()| id);
        };
        let id = row.as_ref().try_into().map(StoreId);
        id.map_err(|_| self.damaged("what says which store it is cannot be read".to_owned()))
    }

    /// Whether anything can have been said of what is here: a term, without which nobody says anything, is always synced.
    fn has_promised(&self, db: &sled::Db) -> Result<bool, OpenError> {
        for pair in db.scan_prefix([Family::RaftState.ordinal()]) {
            let (_, state) = pair.map_err(|error| self.sled(error))?;
            if GroupState::decode(&state).is_none_or(|(_, state)| state.term > 0) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads how far the writes have come, and checks that nothing is missing.
    fn recover_progress(&self, db: &sled::Db, durable_batches: u64) -> Result<Progress, OpenError> {
        let row = db.get(PROGRESS_KEY).map_err(|error| self.sled(error))?;
        let row = row.and_then(|row| ProgressRow::decode(&row));
        let row = row.ok_or_else(|| self.damaged("it does not say how far it was written".to_owned()))?;
        if row.batches < durable_batches {
            return Err(self.damaged(format!(
                "{durable_batches} batches were durable and it ends after {}",
                row.batches
            )));
        }
        let mut groups = HashMap::new();
        for pair in db.scan_prefix([Family::RaftState.ordinal()]) {
            let (key, state) = pair.map_err(|error| self.sled(error))?;
            let read = raft_state::group_of(&key).zip(GroupState::decode(&state));
            let Some((group, (version, state))) = read else {
                return Err(self.damaged(format!("the raft state row {} cannot be read", key.escape_ascii())));
            };
            groups.insert(group, GroupProgress { version, start: LogStart::of(&state) });
        }
        let deleted = self.find_deleted(db)?;
        let records = self.sum_records(db, &deleted)?;
        Progress::recover(row, groups, deleted, records).map_err(|error| match error {
            StoreError::Damaged { detail, .. } => self.damaged(detail),
            other => self.damaged(other.to_string()),
        })
    }

    /// The groups that have a tombstone.
    fn find_deleted(&self, db: &sled::Db) -> Result<BTreeMap<RaftGroupId, Remains>, OpenError> {
        let mut deleted = BTreeMap::new();
        for pair in db.scan_prefix([Family::Tombstone.ordinal()]) {
            let (key, value) = pair.map_err(|error| self.sled(error))?;
            let Some(group) = tombstone::group_of(&key) else {
                return Err(self.damaged(format!("the tombstone {} cannot be read", key.escape_ascii())));
            };
            let is_emptied = value == tombstone::EMPTIED;
            deleted.insert(group, if is_emptied { Remains::Nothing } else { Remains::Keys });
        }
        Ok(deleted)
    }

    /// The checksums of the records of each group, combined. Those of deleted groups do not count, as they are on their
    /// way out.
    fn sum_records(
        &self,
        db: &sled::Db,
        deleted: &BTreeMap<RaftGroupId, Remains>,
    ) -> Result<HashMap<RaftGroupId, u32>, OpenError> {
        let mut records = HashMap::new();
        for pair in db.scan_prefix([Family::Record.ordinal()]) {
            let (key, value) = pair.map_err(|error| self.sled(error))?;
            let Some((group, _, 0)) = record::decode_key(&key) else { continue };
            if deleted.contains_key(&group) {
                continue;
            }
            let Some(first) = record::decode_first(&value) else { continue };
            *records.entry(group).or_default() ^= first.checksum;
        }
        Ok(records)
    }

    fn damaged(&self, detail: String) -> OpenError {
        OpenError::Damaged { path: self.data_dir.clone(), detail }
    }

    fn io(&self, source: io::Error) -> OpenError {
        io_error(&self.data_dir, source)
    }

    fn mark_io(&self, source: io::Error) -> OpenError {
        io_error(&self.durable, source)
    }

    /// Sorts an error of sled's. One that means a file is shorter than sled knows it to be is damage.
    fn sled(&self, error: sled::Error) -> OpenError {
        match error {
            sled::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.damaged("the data file is too short".to_owned())
            }
            sled::Error::Io(error) => io_error(&self.dir, error),
            other => match StoreError::from_sled("read the store", other) {
                StoreError::Damaged { detail, .. } => self.damaged(detail),
                other => self.damaged(other.to_string()),
            },
        }
    }
}

/// Whether nothing was ever written.
fn is_new(db: &sled::Db, at: &Place) -> Result<bool, OpenError> {
    db.first().map(|pair| pair.is_none()).map_err(|error| at.sled(error))
}

/// Whether sled failed because the data file is locked. It has no error of its own for that; the version is pinned, and
/// a test opens a store twice.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().starts_with("could not acquire lock"))
}

#[cfg(test)]
mod tests;
