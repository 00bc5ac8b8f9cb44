//! The files of a data directory.
//!
//! ```text
//! <data_dir>/durable       how far the writes are known to be durable (see `durable`)
//! <data_dir>/unusable      why the store is not to be opened again, after a write that met damage (see `unusable`)
//! <data_dir>/store/        sled's own: db, conf, blobs/, snap.*
//! ```
//!
//! What it means when one of them is lost or damaged, while the node is down:
//!
//! | file | lost | damaged or cut short |
//! | --- | --- | --- |
//! | `durable` | an error that names it | the same; one of its two slots may be spoilt by a crash |
//! | `store/db` | an error that names it | an error at open, or at the read that meets it; see `durable`, `progress` |
//! | `store/conf` | made anew: it holds constants | the same |
//! | `store/snap.*` | nothing: sled reads more of its file instead | removed, and then the same |
//! | `store/blobs/` | made anew: it is empty | |
//!
//! A file that is removed under a running node lives on until the node closes it, and everything that is written to it
//! meanwhile is lost then. [`Store::check_files`] notices.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Store, io_error};
use crate::error::StoreError;

/// sled's directory in the data directory.
pub(super) const STORE: &str = "store";
/// sled's data file.
pub(super) const DATA: &str = "db";
/// sled's directory for pages that do not fit into a segment.
pub(super) const BLOBS: &str = "blobs";
/// sled's settings.
pub(super) const SETTINGS: &str = "conf";
/// How the names of sled's snapshots of its page table begin.
pub(super) const SNAPSHOT_PREFIX: &str = "snap.";
/// The file of the durable mark, in the data directory.
pub(super) const DURABLE: &str = "durable";
/// The file of the mark of a store that is not to be opened again, in the data directory.
pub(super) const UNUSABLE: &str = "unusable";

impl Store {
    /// Checks that the files that are written are still those in the data directory, and not removed ones, and that sled's
    /// own thread still looks after them.
    ///
    /// # Errors
    ///
    /// Damage, when one of them was removed or replaced, or when that thread has ended.
    pub fn check_files(&self) -> Result<(), StoreError> {
        if let Err(ended) = self.shared.cleaner.check() {
            // It also ends when the disk fails or is full, which a sync tells.
            self.sync()?;
            return Err(ended);
        }
        let data = self.shared.dir.join(DATA);
        is_still(&self.shared.data_file, &data)?;
        let durable = self.shared.dir.with_file_name(DURABLE);
        is_still(&self.shared.durable_file, &durable)
    }
}

/// Checks that `open` is the file at `path`.
fn is_still(open: &File, path: &Path) -> Result<(), StoreError> {
    let ours = open.metadata().map_err(io_error("examine an open file"))?;
    let there = match fs::metadata(path) {
        Ok(there) => Some(there),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(io_error("examine the data directory")(error)),
    };
    if there.is_some_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
        return Ok(());
    }
    Err(StoreError::damaged(format!("{} was removed or replaced while it was in use", path.display())))
}

/// The first file in sled's directory that sled did not make; `None` when there is none, or no directory.
pub(super) fn foreign_file(dir: &Path) -> io::Result<Option<PathBuf>> {
    let files = match fs::read_dir(dir) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(Some(dir.to_owned())),
        Err(error) => return Err(error),
    };
    for file in files {
        let file = file?;
        if !is_ours(&file.file_name(), file.file_type()?.is_dir()) {
            return Ok(Some(file.path()));
        }
    }
    Ok(None)
}

/// Whether sled makes a file, or directory, of this name.
fn is_ours(name: &OsStr, is_dir: bool) -> bool {
    match name.to_str() {
        Some(BLOBS) => is_dir,
        Some(DATA | SETTINGS) => !is_dir,
        Some(name) => !is_dir && name.starts_with(SNAPSHOT_PREFIX),
        None => false,
    }
}

/// sled's snapshots in its directory `dir`, those included whose writing was cut short.
pub(super) fn snapshots(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut snapshots = Vec::new();
    for file in fs::read_dir(dir)? {
        let file = file?;
        if file.file_name().as_encoded_bytes().starts_with(SNAPSHOT_PREFIX.as_bytes()) {
            snapshots.push(file.path());
        }
    }
    Ok(snapshots)
}

/// Removes a file if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the names durable of the directories that lead to `dir`, up to the root of its file system. Any of them may have been
/// made just now, or by a process that was killed before it synced them.
pub(super) fn sync_above(dir: &Path) -> io::Result<()> {
    let dir = dir.canonicalize()?;
    let device = fs::metadata(&dir)?.dev();
    for parent in dir.ancestors().skip(1) {
        if fs::metadata(parent)?.dev() != device {
            break;
        }
        match sync_dir(parent) {
            // A directory that this user may not even read was not made by it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => break,
            synced => synced?,
        }
    }
    Ok(())
}

/// Makes the entries of a directory durable: a file that was synced is lost all the same when its name was not.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
