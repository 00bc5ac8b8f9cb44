//! What is found in a data directory, and what is said about it.

#[path = "../../../../tests/src/complete.rs"]
#[expect(unreachable_pub, reason = "the harness of the system tests shows it to all")]
mod complete;
mod damage;
mod full;

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};

use super::*;
use crate::fixture::{Node, entry, identity, open};
use crate::ids::{RaftGroupId, RaftIndex};
use crate::raft_log::RaftLog;
use crate::tail::TailCache;
use crate::write_batch::WriteBatch;

const GROUP: RaftGroupId = RaftGroupId(1);

/// A store with some 20 MiB in several segments, closed, and the number of its entries.
fn written() -> (tempfile::TempDir, u64) {
    let Node { dir, store, tail } = Node::new();
    let mut batch = WriteBatch::new();
    let mut log = RaftLog::create(&store, &tail, GROUP, &[1], &mut batch);
    let entries = 120;
    for index in 1..=entries {
        log.append(&[entry(index, 1, 60_000)], &mut batch).unwrap();
        store.apply(std::mem::take(&mut batch)).unwrap();
    }
    store.close().unwrap();
    drop(log);
    (dir, entries)
}

/// Opens a store that was tampered with and reads all of its log. Whatever is lost has to be an error.
fn lost_nothing_silently(dir: &Path, entries: u64) -> Result<(), String> {
    let store = open(dir).map_err(|error| error.to_string())?;
    let tail = TailCache::new(0);
    let log = RaftLog::open(&store, &tail, GROUP).map_err(|error| error.to_string())?;
    let log = log.expect("the group is there");
    assert_eq!(log.last(), RaftIndex(entries));
    let reader = store.reader(&tail);
    for index in 1..=entries {
        let found = reader.entry(GROUP, RaftIndex(index)).map_err(|error| error.to_string())?;
        let found = found.ok_or_else(|| format!("damaged: entry {index} is missing"))?;
        assert_eq!(found.to_raft(), entry(index, 1, 60_000));
    }
    Ok(())
}

/// Waits until sled has let go of the data file.
fn settle(dir: &Path) {
    drop(open(dir).unwrap());
}

#[test]
fn a_second_opening_is_refused() {
    let node = Node::new();
    let refused = open(node.dir.path()).unwrap_err();
    assert!(matches!(refused, OpenError::AlreadyInUse { .. }), "{refused}");
    assert!(node.store.groups().unwrap().is_empty());
}

#[test]
fn another_node_or_cluster_is_refused() {
    let node = Node::new();
    let dir = node.dir;
    drop(node.store);
    let other = Identity { node_id: 2, ..identity() };
    let refused = Store::open(dir.path(), &other, StoreOptions::default()).unwrap_err();
    assert!(matches!(refused, OpenError::OtherNode { found: 1, expected: 2, .. }), "{refused}");
    let other = Identity { cluster_id: "other".to_owned(), ..identity() };
    let refused = Store::open(dir.path(), &other, StoreOptions::default()).unwrap_err();
    assert!(matches!(refused, OpenError::OtherCluster { .. }), "{refused}");
    assert!(refused.to_string().contains("\"test\"") && !refused.to_string().contains('\n'));
    open(dir.path()).unwrap();
}

#[test]
fn another_format_is_refused() {
    let node = Node::new();
    let row = IdentityRow { format: 7, node_id: 1, cluster_id: "test".to_owned() };
    node.apply(|batch| batch.put(&IDENTITY_KEY, row.encode().into()));
    let dir = node.dir;
    drop(node.store);
    let refused = open(dir.path()).unwrap_err();
    assert!(matches!(refused, OpenError::OtherFormat { found: 7, supported: FORMAT, .. }), "{refused}");
}

#[test]
fn foreign_files_are_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let foreign = dir.path().join("store/holiday.jpg");
    fs::create_dir(dir.path().join("store")).unwrap();
    fs::write(&foreign, b"beach").unwrap();
    let refused = open(dir.path()).unwrap_err();
    assert!(matches!(&refused, OpenError::NotOurs { path } if *path == foreign), "{refused}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("store"), b"a file").unwrap();
    assert!(matches!(open(dir.path()).unwrap_err(), OpenError::NotOurs { .. }));
}

#[test]
fn a_path_that_cannot_be_a_directory_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let refused = open(&file.join("node")).unwrap_err();
    assert!(matches!(refused, OpenError::Io { .. }), "{refused}");
}

#[test]
fn rubbish_in_place_of_the_data_file_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("store/blobs")).unwrap();
    fs::write(dir.path().join("store/db"), vec![0x5a; 10_000]).unwrap();
    let refused = open(dir.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
}

#[test]
fn an_interrupted_first_opening_is_completed() {
    let dir = tempfile::tempdir().unwrap();
    DurableMark::create(&dir.path().join("durable")).unwrap();
    drop(open(dir.path()).unwrap());
    let dir = tempfile::tempdir().unwrap();
    DurableMark::create(&dir.path().join("durable")).unwrap();
    fs::create_dir_all(dir.path().join("store/blobs")).unwrap();
    File::create(dir.path().join("store/db")).unwrap();
    open(dir.path()).unwrap();
}

#[test]
fn a_missing_or_spoilt_mark_is_damage() {
    let (dir, _) = written();
    let mark = dir.path().join("durable");
    let bytes = fs::read(&mark).unwrap();
    fs::write(&mark, b"").unwrap();
    let refused = open(dir.path()).unwrap_err();
    assert!(matches!(&refused, OpenError::Damaged { path, .. } if *path == mark), "{refused}");
    fs::remove_file(&mark).unwrap();
    let refused = open(dir.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    fs::write(&mark, bytes).unwrap();
    open(dir.path()).unwrap();
}

#[test]
fn a_missing_data_file_is_damage_every_time() {
    let (dir, _) = written();
    settle(dir.path());
    fs::remove_file(dir.path().join("store/db")).unwrap();
    for _ in 0..2 {
        let refused = open(dir.path()).unwrap_err();
        assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    }
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    let refused = open(dir.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
}

#[test]
fn a_truncated_data_file_is_damage_every_time() {
    let (dir, entries) = written();
    for lost in [1_u64, 3, 9, 17] {
        let copy = tempfile::tempdir().unwrap();
        crate::fixture::copy_dir(dir.path(), copy.path());
        let data = OpenOptions::new().write(true).open(copy.path().join("store/db")).unwrap();
        let len = data.metadata().unwrap().len();
        data.set_len(len - len.min(lost * 1024 * 1024)).unwrap();
        for _ in 0..2 {
            let said = lost_nothing_silently(copy.path(), entries).unwrap_err();
            assert!(said.contains("damaged"), "{said}");
        }
    }
}

#[test]
fn flipped_bytes_are_damage_or_without_effect() {
    let (dir, entries) = written();
    let len = fs::metadata(dir.path().join("store/db")).unwrap().len();
    let mut found = 0;
    for place in 0..12 {
        let copy = tempfile::tempdir().unwrap();
        crate::fixture::copy_dir(dir.path(), copy.path());
        let mut data = OpenOptions::new().read(true).write(true).open(copy.path().join("store/db")).unwrap();
        let mut block = [0; 64];
        data.seek(SeekFrom::Start(len * place / 12)).unwrap();
        data.read_exact(&mut block).unwrap();
        data.seek_relative(-64).unwrap();
        data.write_all(&block.map(|byte| !byte)).unwrap();
        if let Err(said) = lost_nothing_silently(copy.path(), entries) {
            assert!(said.contains("damaged"), "{said}");
            found += 1;
        }
    }
    assert!(found > 0, "not one of the flips was found");
}

#[test]
fn files_that_sled_can_do_without_may_be_missing() {
    let (dir, entries) = written();
    settle(dir.path());
    fs::remove_file(dir.path().join("store/conf")).unwrap();
    for file in fs::read_dir(dir.path().join("store")).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("snap.") {
            fs::remove_file(path).unwrap();
        }
    }
    lost_nothing_silently(dir.path(), entries).unwrap();
}

#[test]
fn a_store_keeps_its_id_and_shares_it_with_no_other() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let id = open(one.path()).unwrap().id();
    assert_eq!(open(one.path()).unwrap().id(), id);
    assert_ne!(open(two.path()).unwrap().id(), id);
}

#[test]
fn a_store_from_before_there_were_ids_gets_one_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    store.shared.db.remove(STORE_ID_KEY).unwrap();
    store.close().unwrap();
    let id = open(dir.path()).unwrap().id();
    assert_eq!(open(dir.path()).unwrap().id(), id);
}
