//! What a machine that went down may have taken with it.
//!
//! Whoever acknowledges what has reached the kernel and not the disk loses nothing by the end of the process, and the last
//! bit by the end of the machine: its power fails, or its kernel does. Which of the two it was shows when the store is
//! opened next. Before anything is acknowledged like that, the [mark](super::durable) says under which boot of the machine;
//! a store that was closed in order says that nothing is missing.
//!
//! | the mark names | the machine's boot is | what was acknowledged |
//! | --- | --- | --- |
//! | none | any | is all there |
//! | a boot | the same | is all there: the kernel has it |
//! | a boot | another one, or not known | may be gone in part |
//!
//! A sync that failed counts as an end of the machine, as the kernel drops what it could not write.
//!
//! A store that may have forgotten something gets another [id](crate::StoreId). So nothing that was said under the former one
//! arrives late and is taken for true, and [`Store::forgot`] tells the owner, until [`Store::acknowledge`] says that it has
//! drawn its conclusions.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::Ordering;

use super::{Store, io_error, lock};
use crate::error::StoreError;

/// Where Linux tells which boot of the machine this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// One run of a machine's kernel, from power to power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BootId(pub(crate) [u8; 16]);

/// What an owner of a store takes for stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledge {
    /// What is synced.
    Synced,
    /// What is [flushed](Store::flush), too: it outlives the process, but not the machine.
    Flushed,
}

impl BootId {
    /// No boot at all.
    pub(super) const NONE: Self = Self([0; 16]);
    /// One that is never the present one.
    const UNKNOWN: Self = Self([0xff; 16]);

    /// The boot that this process runs in.
    pub(super) fn of_machine() -> Self {
        let read = std::fs::read_to_string(BOOT_ID).ok();
        read.and_then(|text| text.trim().parse().ok()).unwrap_or(Self::UNKNOWN)
    }

    /// Whether what reached the kernel under this boot is still there under `now`.
    pub(super) fn is_over(self, now: Self) -> bool {
        self != Self::NONE && (self != now || now == Self::UNKNOWN)
    }
}

/// That a text is not a boot id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a boot id has 32 hexadecimal digits")]
pub struct NotABootId;

impl FromStr for BootId {
    type Err = NotABootId;

    /// As Linux writes it: a UUID, with or without hyphens.
    fn from_str(text: &str) -> Result<Self, NotABootId> {
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        let number = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32);
        number.map(|number| Self(number.to_be_bytes())).ok_or(NotABootId)
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl Store {
    /// Whether something may be missing that was acknowledged, as the machine went down under a store whose owner
    /// acknowledged what was not synced. True until [`Self::acknowledge`] is called.
    #[must_use]
    pub fn forgot(&self) -> bool {
        self.shared.forgot.load(Ordering::Acquire)
    }

    /// Says what the owner takes for stored from now on. Everything applied so far is synced first, and with it what the
    /// owner has written of what may be missing.
    ///
    /// # Errors
    ///
    /// As for [`Self::sync`].
    pub fn acknowledge(&self, what: Acknowledge) -> Result<(), StoreError> {
        self.sync()?;
        let boot = match what {
            Acknowledge::Synced => BootId::NONE,
            Acknowledge::Flushed => self.shared.boot,
        };
        let told = lock(&self.shared.durable).set_boot(boot).map_err(io_error("note what is acknowledged"));
        self.shared.forgot.store(false, Ordering::Release);
        told.inspect_err(|error| self.shared.fail(error))
    }

    /// Hands everything applied so far to the kernel: the end of the process loses nothing of it.
    ///
    /// # Errors
    ///
    /// As for [`Self::sync`].
    pub fn flush(&self) -> Result<(), StoreError> {
        self.shared.check_not_failed()?;
        // It waits for the disk, too.
        let _under_way = self.shared.syncs.begin();
        self.shared.flush().inspect_err(|error| self.shared.fail(error))
    }

    /// A sync has failed: what the kernel could not write is gone, though the machine is not. The disk may refuse that, too;
    /// then nothing more can be done.
    pub(super) fn distrust_kernel(&self) {
        let mut mark = lock(&self.shared.durable);
        if mark.boot() != BootId::NONE
            && let Err(error) = mark.set_boot(BootId::UNKNOWN)
        {
            tracing::error!(%error, "cannot note that what was acknowledged may be missing");
        }
    }
}

#[cfg(test)]
mod tests {
    use raft::eraftpb::HardState;

    use super::*;
    use crate::fixture::identity;
    use crate::store::StoreOptions;
    use crate::{RaftLog, TailCache, WriteBatch, ids::RaftGroupId};

    fn open(dir: &std::path::Path, boot: u8) -> Store {
        let options = StoreOptions { boot: Some(BootId([boot; 16])), ..StoreOptions::default() };
        Store::open(dir, &identity(), options).unwrap()
    }

    /// Writes that a group is in a term.
    fn promise(store: &Store) {
        let (tail, mut batch) = (TailCache::new(0), WriteBatch::new());
        let mut log = RaftLog::create(store, &tail, RaftGroupId(0), &[1], &mut batch);
        log.set_hard_state(&HardState { term: 1, ..HardState::default() }, &mut batch);
        store.apply(batch).unwrap();
    }

    #[test]
    fn a_store_without_a_promise_has_forgotten_none() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), 1);
        store.acknowledge(Acknowledge::Flushed).unwrap();
        let id = store.id();
        drop(store);
        let store = open(dir.path(), 2);
        assert!(!store.forgot());
        assert_eq!(store.id(), id);
    }

    #[test]
    fn an_end_of_the_machine_makes_another_store_of_one_that_acknowledged_more_than_was_synced() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), 1);
        assert!(!store.forgot());
        promise(&store);
        store.acknowledge(Acknowledge::Flushed).unwrap();
        let id = store.id();
        drop(store);

        let store = open(dir.path(), 1);
        assert!(!store.forgot(), "the kernel has it all");
        assert_eq!(store.id(), id);
        drop(store);

        let store = open(dir.path(), 2);
        assert!(store.forgot());
        let successor = store.id();
        assert_ne!(successor, id);
        store.close().unwrap();
        let store = open(dir.path(), 2);
        assert!(store.forgot(), "nobody has taken care of it");
        store.acknowledge(Acknowledge::Flushed).unwrap();
        assert!(!store.forgot());
        drop(store);
        assert!(!open(dir.path(), 2).forgot());
    }

    #[test]
    fn a_store_that_was_closed_or_acknowledged_only_what_was_synced_has_forgotten_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), 1);
        promise(&store);
        store.acknowledge(Acknowledge::Flushed).unwrap();
        store.close().unwrap();
        let store = open(dir.path(), 2);
        assert!(!store.forgot());
        store.acknowledge(Acknowledge::Flushed).unwrap();
        store.acknowledge(Acknowledge::Synced).unwrap();
        drop(store);
        assert!(!open(dir.path(), 3).forgot());
    }

    #[test]
    fn a_kernel_whose_sync_failed_is_not_trusted_and_neither_is_an_unknown_boot() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), 1);
        promise(&store);
        store.distrust_kernel();
        assert!(!store.forgot(), "nothing was acknowledged that was not synced");
        store.acknowledge(Acknowledge::Flushed).unwrap();
        store.distrust_kernel();
        drop(store);
        assert!(open(dir.path(), 1).forgot());
        assert!(BootId::UNKNOWN.is_over(BootId::UNKNOWN));
    }

    #[test]
    fn a_boot_id_is_read_as_linux_writes_it() {
        let boot: BootId = "0b5f0d9e-3b5c-4c67-9d0c-7a1f5e2d9c11".parse().unwrap();
        assert_eq!(boot.to_string(), "0b5f0d9e3b5c4c679d0c7a1f5e2d9c11");
        assert_eq!("5".parse::<BootId>(), Err(NotABootId));
        assert_eq!(BootId::of_machine(), BootId::of_machine());
    }
}
