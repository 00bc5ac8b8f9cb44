//! A directory for one test, removed afterwards unless the test failed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

/// A temporary directory that outlives a panic.
#[derive(Debug)]
pub struct Scratch {
    dir: TempDir,
    keep: AtomicBool,
}

impl Scratch {
    /// Makes an empty directory; `name` is part of its own.
    ///
    /// # Panics
    /// If there is no place for it.
    pub fn new(name: &str) -> Self {
        let dir = tempfile::Builder::new().prefix(&format!("trilog-{name}-")).tempdir();
        Self { dir: dir.expect("a temporary directory can be made"), keep: AtomicBool::new(false) }
    }

    /// Keeps the directory even if its owner ends well, for a failure elsewhere that it may explain.
    pub fn keep(&self) {
        self.keep.store(true, Ordering::Relaxed);
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A path within it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() || self.keep.load(Ordering::Relaxed) {
            self.dir.disable_cleanup(true);
            eprintln!("files kept in {}", self.dir.path().display());
        }
    }
}

/// The bytes of all files below a directory, which may change while one counts.
pub fn bytes_below(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
