//! The files of a data directory.
//!
//! ```text
//! <data_dir>/durable       how far the writes are known to be durable (see `durable`)
//! <data_dir>/store/        sled's own: db, conf, blobs/, snap.*
//! ```

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// sled's directory in the data directory.
pub(super) const STORE: &str = "store";
/// sled's data file.
pub(super) const DATA: &str = "db";
/// sled's directory for pages that do not fit into a segment.
pub(super) const BLOBS: &str = "blobs";
/// sled's settings.
const SETTINGS: &str = "conf";
/// How the names of sled's snapshots of its page table begin.
const SNAPSHOT_PREFIX: &str = "snap.";
/// The file of the durable mark, in the data directory.
pub(super) const DURABLE: &str = "durable";

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

/// Makes the entries of a directory durable: a file that was synced is lost all the same when its name was not.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
