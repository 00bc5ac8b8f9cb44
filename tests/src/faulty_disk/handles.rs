//! Open files, and the failures that their next syncs report.
//!
//! Linux reports a failed write once through each file that was open then, at its next sync. So a thread that drops such an error hides
//! it from no other open file.

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
    has_failed: bool,
    /// Its owner has asked for a sync.
    syncs: bool,
    /// Its next sync fails.
    fails_next: bool,
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
            handle.has_failed |= handle.fails_next;
            std::mem::take(&mut handle.fails_next)
        })
    }

    /// A write by this handle fails.
    pub(super) fn fails_to_write(&mut self, handle: u64) {
        self.open.get_mut(&handle).into_iter().for_each(|handle| handle.has_failed = true);
    }

    /// A sync by this handle fails. The next sync of each other handle of the file fails, too.
    pub(super) fn fails_to_sync(&mut self, handle: u64) {
        self.fails_to_write(handle);
        let Some(inode) = self.open.get(&handle).map(|handle| handle.inode) else { return };
        for (_, other) in
            self.open.iter_mut().filter(|(number, other)| **number != handle && other.inode == inode)
        {
            other.fails_next = true;
        }
    }

    /// Whether an open handle has reported a failure: its process lives.
    pub(super) fn has_reported_failure(&self) -> bool {
        self.open.values().any(|handle| handle.has_failed)
    }

    /// Whether a handle whose owner syncs still has a failure to report.
    pub(super) fn has_unreported_failure(&self) -> bool {
        self.open.values().any(|handle| handle.syncs && handle.fails_next)
    }

    /// The machine starts anew.
    pub(super) fn forget(&mut self) {
        self.open.values_mut().for_each(|handle| (handle.fails_next, handle.has_failed) = (false, false));
    }
}
