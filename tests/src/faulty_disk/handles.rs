//! Open files, and which of them have yet to hear of a sync that failed.
//!
//! Linux tells of a failed write once through each file that was open then, at its next sync, and not only through the one whose sync
//! met it. So a thread that drops such an error hides it from nobody who has opened the file for itself.

use std::collections::BTreeMap;

/// The files that are open. No handle is 0, which is that of all directories.
#[derive(Debug, Default)]
pub(super) struct Handles {
    last: u64,
    open: BTreeMap<u64, Handle>,
}

#[derive(Debug, Default)]
struct Handle {
    inode: u64,
    /// A write or a sync by it has failed.
    has_heard: bool,
    /// Whoever has it asks for syncs.
    syncs: bool,
    /// Its next sync fails.
    is_to_hear: bool,
}

impl Handles {
    pub(super) fn open(&mut self, inode: u64) -> u64 {
        self.last += 1;
        self.open.insert(self.last, Handle { inode, ..Handle::default() });
        self.last
    }

    pub(super) fn close(&mut self, handle: u64) {
        self.open.remove(&handle);
    }

    /// A sync begins. True if it fails, as an earlier one has by another handle.
    pub(super) fn begins_to_sync(&mut self, handle: u64) -> bool {
        self.open.get_mut(&handle).is_some_and(|handle| {
            handle.syncs = true;
            handle.has_heard |= handle.is_to_hear;
            std::mem::take(&mut handle.is_to_hear)
        })
    }

    /// A write by this handle fails.
    pub(super) fn fails_to_write(&mut self, handle: u64) {
        self.open.get_mut(&handle).into_iter().for_each(|handle| handle.has_heard = true);
    }

    /// A sync by this handle fails: the others of the file will hear of it.
    pub(super) fn fails_to_sync(&mut self, handle: u64) {
        self.fails_to_write(handle);
        let Some(inode) = self.open.get(&handle).map(|handle| handle.inode) else { return };
        for (_, other) in
            self.open.iter_mut().filter(|(number, other)| **number != handle && other.inode == inode)
        {
            other.is_to_hear = true;
        }
    }

    /// Whether a write or a sync has failed by a file that is still open: its process lives.
    pub(super) fn has_told(&self) -> bool {
        self.open.values().any(|handle| handle.has_heard)
    }

    /// Whether somebody who syncs has yet to hear of a failure.
    pub(super) fn has_yet_to_tell(&self) -> bool {
        self.open.values().any(|handle| handle.syncs && handle.is_to_hear)
    }

    /// The machine starts anew.
    pub(super) fn forget(&mut self) {
        self.open.values_mut().for_each(|handle| (handle.is_to_hear, handle.has_heard) = (false, false));
    }
}
