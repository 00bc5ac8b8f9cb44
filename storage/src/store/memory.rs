//! What sled keeps in memory for longer than it is of use.

use super::Store;
use crate::error::StoreError;
use crate::ids::RaftGroupId;
use crate::keys::slot;

/// The shortest part of a body whose use is noted, in bytes. Leaves of shorter ones are small enough for the cache's parts as they are.
pub(crate) const NOTED_BYTES: usize = 12 << 10;

/// How many times a filled slot is looked up once it was written or read.
///
/// sled's page cache has 256 parts. A part lists the uses of its pages, and compares its size with its capacity only when the list has
/// 64 entries. A leaf has five filled slots. With one use of each, a part held a dozen leaves; with thirteen, the
/// uses of one leaf fill the list, and the leaves before it go.
const LOOKUPS: usize = 12;

impl Store {
    /// Lets sled's page cache know that this filled slot was used, so that other leaves of bodies make room.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or is damaged.
    pub(crate) fn note_use(&self, group: RaftGroupId, slot: u64) -> Result<(), StoreError> {
        let key = slot::key(group, slot);
        (0..LOOKUPS).try_for_each(|_| self.get(&key).map(drop))
    }
}

/// Frees what this thread has made sled replace.
///
/// sled defers each free until no reader can hold the value, in a bag of each thread. A bag is only looked at when it has 64
/// entries, and an entry may be a leaf of bodies, or hold a write buffer of a whole segment. So this is for each thread that
/// writes, syncs, or reads bodies.
pub(crate) fn give_memory_back() {
    crossbeam_epoch::pin().flush();
}
