//! A table that was written while a store was open, beside the one that sled makes of the same log.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tempfile::TempDir;

use super::*;
use crate::fixture::{Node, copy_dir, entry, open};
use crate::ids::RaftGroupId;
use crate::raft_log::RaftLog;
use crate::store::files;

const GROUP: RaftGroupId = RaftGroupId(1);
const MIB: u64 = 1 << 20;

/// Numbers that look random.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Writes and removes records of all lengths, about 50 KB a step, so that pages are split, merged and freed, and segments
/// are used again.
fn churn(node: &Node, draw: &mut Draw, steps: u64) {
    for _ in 0..steps {
        node.apply(|batch| {
            for _ in 0..=draw.below(4) {
                let key = draw.below(400).to_be_bytes();
                match draw.below(5) {
                    0 => batch.delete_record(GROUP, &key),
                    1 => {
                        batch.put_record(GROUP, &key, vec![3; usize::try_from(draw.below(200_000)).unwrap()])
                    }
                    _ => batch.put_record(GROUP, &key, vec![4; usize::try_from(draw.below(9_000)).unwrap()]),
                }
            }
        });
    }
    node.store.sync().unwrap();
}

/// A store's tables: their names and what is in them.
fn tables(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let tables = files::snapshots(&dir.join(files::STORE)).unwrap();
    tables
        .into_iter()
        .map(|path| (PathBuf::from(path.file_name().unwrap()), fs::read(&path).unwrap()))
        .collect()
}

/// What a crash at this moment would leave, while nobody writes but sled's own threads. Whatever is in the table that is
/// copied is in the log that is copied after it.
fn crashed(node: &Node) -> TempDir {
    let saved = lock(&node.store.shared.page_table);
    let tables = tables(node.dir.path());
    drop(saved);
    let data = node.dir.path().join("store/db");
    let mut log = fs::read(&data).unwrap();
    // Read twice alike, it is what was there at one moment.
    loop {
        let again = fs::read(&data).unwrap();
        if again == log {
            break;
        }
        log = again;
    }
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir_all(copy.path().join(files::STORE).join(files::BLOBS)).unwrap();
    fs::write(copy.path().join("store/db"), log).unwrap();
    for file in [files::DURABLE, "store/conf"] {
        fs::copy(node.dir.path().join(file), copy.path().join(file)).unwrap();
    }
    put_tables(copy.path(), &tables);
    copy
}

fn put_tables(dir: &Path, tables: &[(PathBuf, Vec<u8>)]) {
    let store = dir.join(files::STORE);
    files::snapshots(&store).unwrap().iter().for_each(|path| files::remove(path).unwrap());
    tables.iter().for_each(|(name, bytes)| fs::write(store.join(name), bytes).unwrap());
}

/// The tables that sled writes when it opens the store, and the bytes that it read for it.
fn opened(dir: &Path) -> (Vec<(PathBuf, Vec<u8>)>, Option<u64>) {
    let store = open(dir).unwrap();
    (tables(dir), store.opening_read_bytes())
}

/// Compares what sled makes of a crash with the tables that are there, and with others.
fn is_the_same_with(crash: &TempDir, others: &[(PathBuf, Vec<u8>)]) {
    let copy = tempfile::tempdir().unwrap();
    copy_dir(crash.path(), copy.path());
    put_tables(copy.path(), others);
    let (with_ours, _) = opened(crash.path());
    let (without, _) = opened(copy.path());
    let names =
        |tables: &[(PathBuf, Vec<u8>)]| tables.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&with_ours), names(&without));
    assert!(with_ours == without, "{:?}: sled comes to other pages", names(&without));
}

#[test]
fn sled_comes_to_the_same_pages_with_our_table_as_without() {
    for seed in 0..6 {
        let (node, mut draw) = (Node::new(), Draw(seed));
        churn(&node, &mut draw, 20);
        let node = node.reopen();
        let by_sled = tables(node.dir.path());
        assert_eq!(by_sled.len(), 1);
        for _ in 0..3 {
            let steps = 50 + draw.below(200);
            churn(&node, &mut draw, steps);
            assert!(node.store.save_page_table(0).unwrap());
            let steps = draw.below(60);
            churn(&node, &mut draw, steps);
            let ours = tables(node.dir.path());
            assert!(ours.len() == 1 && ours[0].0 > by_sled[0].0, "the one before is gone");
            let crash = crashed(&node);
            is_the_same_with(&crash, &by_sled);
        }
    }
}

#[test]
fn a_store_without_a_table_gets_one() {
    let node = Node::new();
    assert!(tables(node.dir.path()).is_empty());
    churn(&node, &mut Draw(9), 200);
    assert!(node.store.save_page_table(0).unwrap());
    is_the_same_with(&crashed(&node), &[]);
}

/// Set when it is dropped, so that a test that fails ends, too.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn it_is_the_same_whenever_it_crashes_while_pages_are_written() {
    let (node, ended, writing) = (Node::new(), AtomicBool::new(false), Mutex::new(()));
    churn(&node, &mut Draw(1), 100);
    let node = node.reopen();
    let by_sled = tables(node.dir.path());
    let saved = thread::scope(|scope| {
        let end = SetAtEnd(&ended);
        let saver = scope.spawn(|| {
            let mut saved = 0;
            while !ended.load(Ordering::Acquire) {
                saved += u64::from(node.store.save_page_table(SEGMENT_BYTES as u64).unwrap());
                thread::yield_now();
            }
            saved
        });
        let writer = scope.spawn(|| {
            let mut draw = Draw(2);
            for _ in 0..500 {
                let _writes = lock(&writing);
                churn(&node, &mut draw, 1);
            }
        });
        while !writer.is_finished() {
            let crash = {
                let _waits = lock(&writing);
                crashed(&node)
            };
            is_the_same_with(&crash, &by_sled);
        }
        drop(end);
        saver.join().unwrap()
    });
    assert!(saved > 2, "{saved}");
}

/// A log of `mib` MiB. The table is saved after each `every` bytes.
fn fill(node: &Node, mib: u64, every: Option<u64>) {
    let mut log = node.apply(|batch| RaftLog::create(&node.store, &node.tail, GROUP, &[1], batch));
    for index in 1..=mib * 16 {
        node.apply(|batch| log.append(&[entry(index, 1, 64 * 1024)], batch).unwrap());
        if index % 16 == 0 {
            node.store.sync().unwrap();
            every.map(|every| node.store.save_page_table(every).unwrap());
        }
    }
}

#[test]
fn what_an_opening_reads_is_bounded_however_much_is_in_the_store() {
    let read = |mib, every| {
        let node = Node::new();
        fill(&node, mib, every);
        opened(crashed(&node).path()).1
    };
    let Some(unbounded) = read(64, None) else { return };
    assert!(unbounded > 60 * MIB, "{unbounded}: the log is read to the end");
    for mib in [32, 64, 160] {
        let bounded = read(mib, Some(8 * MIB)).unwrap();
        // As much of the log, the segments that are not full, and the last of them a second time for its end.
        assert!(bounded < 20 * MIB, "{bounded} of {mib} MiB");
    }
}

#[test]
fn a_table_that_was_being_written_is_removed_and_one_more_does_no_harm() {
    let node = Node::new();
    churn(&node, &mut Draw(3), 100);
    let node = node.reopen();
    let by_sled = tables(node.dir.path());
    churn(&node, &mut Draw(4), 200);
    assert!(node.store.save_page_table(0).unwrap());
    let crash = crashed(&node);
    let ours = tables(node.dir.path());
    let unfinished = (PathBuf::from("snap.7FFFFFFFFFFFFFFF.in___motion"), ours[0].1[..50].to_vec());
    let all = [by_sled.clone(), ours, vec![unfinished]].concat();
    put_tables(crash.path(), &all);
    is_the_same_with(&crash, &by_sled);
}

#[test]
fn a_table_is_written_again_when_the_log_has_grown_enough() {
    let saved = Saved { position: 100, bytes: 10, tried: 100 };
    assert!(!saved.is_due(100, 0) && !saved.is_due(90, 0) && !saved.is_due(419, 0));
    assert!(saved.is_due(420, 0) && saved.is_due(420, 320) && !saved.is_due(420, 321));
    assert!(!Saved { tried: 300, ..saved }.is_due(420, 0), "not at once after an attempt in vain");
}

#[test]
fn a_table_that_cannot_be_written_is_no_reason_to_end() {
    let node = Node::new();
    churn(&node, &mut Draw(5), 100);
    let node = node.reopen();
    let store = node.dir.path().join(files::STORE);
    for table in files::snapshots(&store).unwrap() {
        files::remove(&table).unwrap();
    }
    churn(&node, &mut Draw(6), 100);
    assert!(!node.store.save_page_table(0).unwrap(), "the one before is gone");
    churn(&node, &mut Draw(7), 5);
    node.reopen();
}
