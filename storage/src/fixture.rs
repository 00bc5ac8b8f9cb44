//! A node's store in a directory of its own, for tests.

use std::fs;
use std::path::Path;

use raft::eraftpb::Entry;
use tempfile::TempDir;

use crate::store::{Identity, OpenError, Store, StoreOptions};
use crate::tail::TailCache;
use crate::write_batch::WriteBatch;

/// The identity every test store has.
pub(crate) fn identity() -> Identity {
    Identity { cluster_id: "test".to_owned(), node_id: 1 }
}

/// Opens the store in `dir`.
pub(crate) fn open(dir: &Path) -> Result<Store, OpenError> {
    Store::open(dir, &identity(), StoreOptions::default())
}

/// A store, its tail, and the directory they live in.
pub(crate) struct Node {
    pub(crate) dir: TempDir,
    pub(crate) store: Store,
    pub(crate) tail: TailCache,
}

impl Node {
    /// A new store.
    pub(crate) fn new() -> Self {
        Self::in_dir(tempfile::tempdir().unwrap())
    }

    /// The store in `dir`, with an empty tail.
    pub(crate) fn in_dir(dir: TempDir) -> Self {
        let store = open(dir.path()).unwrap();
        Self { dir, store, tail: TailCache::new(TailCache::DEFAULT_BUDGET_BYTES) }
    }

    /// Drops the store without closing it and opens it again.
    pub(crate) fn reopen(self) -> Self {
        let Self { dir, store, .. } = self;
        drop(store);
        Self::in_dir(dir)
    }

    /// What a crash at this moment would leave: the directory as it is, in another place.
    pub(crate) fn crash(&self) -> Self {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(self.dir.path(), copy.path());
        Self::in_dir(copy)
    }

    /// Fills a batch and applies it.
    pub(crate) fn apply<T>(&self, fill: impl FnOnce(&mut WriteBatch) -> T) -> T {
        let mut batch = WriteBatch::new();
        let filled = fill(&mut batch);
        self.store.apply(batch).unwrap();
        filled
    }
}

/// Copies a directory with everything in it.
pub(crate) fn copy_dir(from: &Path, to: &Path) {
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let target = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy_dir(&file.path(), &target);
        } else {
            fs::copy(file.path(), target).unwrap();
        }
    }
}

/// A raft entry with a payload of `len` bytes that depend on its index and term.
pub(crate) fn entry(index: u64, term: u64, len: usize) -> Entry {
    let seed = u8::try_from((index * 31 + term) % 251).unwrap();
    let payload: Vec<u8> = (seed..=u8::MAX).cycle().take(len).collect();
    Entry { index, term, data: payload.into(), ..Entry::default() }
}
