//! A disk that fills up while a store is written or opened, again and again: what was synced is there afterwards.
//!
//! It takes a small file system to fill, and root to mount one. Without, the test says so and shows nothing.

use std::collections::BTreeMap;
use std::process::Command;

use super::complete::not_tested;
use super::*;
use crate::store::space::free_space;

/// Mebibytes of the file system.
const DISK_MIB: usize = 192;

/// How often it is filled.
const ROUNDS: u64 = 3;

/// Records that are written over and over, so that the store turns over and does not only grow.
const KEYS: u64 = 40;

/// A mounted file system in memory.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={DISK_MIB}m");
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", &size, "trilog-test"]).arg(dir.path()).status();
        let mounted = match mount {
            Ok(status) if status.success() => return Some(Self(dir)),
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        not_tested("a disk that fills up (are you root?)", &format!("mount: {mounted}"));
        None
    }

    fn data_dir(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// Leaves this many bytes of it free.
    fn leave(&self, bytes: u64) {
        let mut ballast = File::create(self.0.path().join("ballast")).unwrap();
        let taken = free_space(self.0.path()).unwrap().saturating_sub(bytes);
        for _ in 0..taken >> 16 {
            ballast.write_all(&[1; 1 << 16]).unwrap();
        }
    }

    fn make_room(&self) {
        let _ = fs::remove_file(self.0.path().join("ballast"));
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// What is known of each record: the number that was synced last, and the one that was written last.
#[derive(Default)]
struct Written(BTreeMap<u64, (u64, u64)>);

impl Written {
    /// Writes until the disk is full.
    fn until_full(&mut self, store: &Store, number: &mut u64) -> StoreError {
        loop {
            *number += 1;
            let known = self.0.entry(*number % KEYS).or_default();
            known.1 = *number;
            let mut batch = WriteBatch::new();
            batch.put_record(GROUP, &(*number % KEYS).to_be_bytes(), value(*number));
            match store.apply(batch).and_then(|()| store.sync()) {
                Ok(()) => known.0 = *number,
                Err(error) => return error,
            }
        }
    }

    fn check(&self, store: &Store) {
        for (key, (synced, written)) in &self.0 {
            let found = store.record(GROUP, &key.to_be_bytes()).unwrap();
            let Some(found) = found else {
                assert_eq!(*synced, 0, "record {key} was synced and is gone");
                continue;
            };
            let number = u64::from_be_bytes(*found.first_chunk().unwrap());
            assert!((*synced..=*written).contains(&number), "{key}: {synced} was synced, {number} is there");
            assert_eq!(found, value(number));
        }
    }
}

fn value(number: u64) -> Vec<u8> {
    number.to_be_bytes().repeat(4_000 + usize::try_from(number % 7).unwrap() * 2_000)
}

#[test]
fn a_store_whose_disk_was_full_holds_all_that_was_synced() {
    let Some(disk) = Mounted::new() else { return };
    let (mut written, mut number) = (Written::default(), 0);
    for round in 0..ROUNDS {
        // Every third time there is not even room enough to open.
        if round % 3 == 2 {
            disk.leave(round << 14);
            match open(&disk.data_dir()) {
                Ok(store) => drop(store),
                Err(refused) => assert!(refused.is_no_space(), "{refused}"),
            }
            disk.make_room();
        }
        let store = open(&disk.data_dir()).unwrap();
        written.check(&store);
        disk.leave((1 + round % 5) << 20);
        let error = written.until_full(&store, &mut number);
        assert!(error.is_no_space(), "{error}");
        let again = store.sync().unwrap_err();
        assert!(again.is_no_space(), "{again}");
        drop(store);
        disk.make_room();
    }
    written.check(&open(&disk.data_dir()).unwrap());
}
