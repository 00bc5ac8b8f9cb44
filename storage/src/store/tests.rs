//! A store that is open: what is visible, what is durable, what is gone.

use std::thread;

use super::turnover::LEAST_DISK_USAGE;
use super::*;
use crate::fixture::{Node, entry, open};
use crate::ids::RaftIndex;
use crate::keys::MAX_VALUE_BYTES;
use crate::raft_log::RaftLog;
use crate::tail::TailCache;
use crate::write_batch::WriteBatch;

const GROUP: RaftGroupId = RaftGroupId(1);

/// A group with `entries` entries of 40,000 bytes, and as many records and index rows.
fn fill(node: &Node, group: RaftGroupId, entries: u64) -> RaftLog {
    let mut log = node.apply(|batch| RaftLog::create(&node.store, &node.tail, group, &[1], batch));
    for index in 1..=entries {
        node.apply(|batch| {
            log.append(&[entry(index, 1, 40_000)], batch).unwrap();
            batch.put_record(group, &index.to_be_bytes(), vec![7; 100]);
            let offset = crate::ids::Offset(i64::try_from(index).unwrap());
            batch.put_index_row(
                group,
                &crate::OffsetIndexRow {
                    base_offset: offset,
                    last_offset: offset,
                    raft_index: RaftIndex(index),
                    bytes_so_far: index * 40_000,
                    number: 1,
                    spans: vec![crate::IndexSpan { max_timestamp: 0, before: crate::ids::Offset(-1) }],
                },
            );
        });
    }
    log
}

/// The number of keys in the store.
fn key_count(store: &Store) -> usize {
    store.scan(&[]).map(Result::unwrap).count()
}

#[test]
fn a_batch_is_visible_at_once_and_survives_a_drop() {
    let node = Node::new();
    node.apply(|batch| batch.put_record(GROUP, b"key", b"value"));
    assert_eq!(node.store.record(GROUP, b"key").unwrap().unwrap(), b"value");
    node.store.sync().unwrap();
    assert_eq!(node.store.syncing_for(), Duration::ZERO);
    let node = node.reopen();
    assert_eq!(node.store.record(GROUP, b"key").unwrap().unwrap(), b"value");
}

#[test]
fn records_of_any_length_come_back_and_leave_nothing_behind() {
    let node = Node::new();
    let empty = key_count(&node.store);
    for len in [3_000_000, MAX_VALUE_BYTES + 1, 70_000, MAX_VALUE_BYTES, 5, 0, 200_000] {
        let value: Vec<u8> = (0..251).cycle().take(len).collect();
        node.apply(|batch| batch.put_record(GROUP, b"key", value.clone()));
        assert_eq!(node.store.record(GROUP, b"key").unwrap().unwrap(), value);
        assert_eq!(key_count(&node.store), empty + (len + 8).div_ceil(MAX_VALUE_BYTES));
    }
    node.apply(|batch| batch.delete_record(GROUP, b"key"));
    assert_eq!(node.store.record(GROUP, b"key").unwrap(), None);
    assert_eq!(key_count(&node.store), empty);
    assert_eq!(node.store.blob_files().unwrap(), 0);
}

#[test]
fn records_are_listed_by_prefix_in_order() {
    let node = Node::new();
    let large = vec![1; 200_000];
    node.apply(|batch| {
        for key in [&b"b"[..], b"a\0\0", b"a", b"a\0", b"", b"ab"] {
            batch.put_record(GROUP, key, large.clone());
        }
        batch.put_record(RaftGroupId(2), b"a", b"other");
    });
    let keys = |prefix: &[u8]| {
        let records = node.store.records(GROUP, prefix).unwrap();
        assert!(records.iter().all(|(_, value)| *value == large));
        records.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(keys(b""), [&b""[..], b"a", b"a\0", b"a\0\0", b"ab", b"b"]);
    assert_eq!(keys(b"a"), [&b"a"[..], b"a\0", b"a\0\0", b"ab"]);
    assert_eq!(keys(b"a\0"), [&b"a\0"[..], b"a\0\0"]);
    assert!(keys(b"c").is_empty());
}

#[test]
fn what_was_synced_survives_a_crash_while_writing_goes_on() {
    let node = Node::new();
    let synced = AtomicU64::new(0);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 1..=200_u64 {
                node.apply(|batch| batch.put_record(GROUP, &number.to_be_bytes(), vec![1; 20_000]));
                if number % 5 == 0 {
                    node.store.sync().unwrap();
                    synced.store(number, Ordering::Release);
                }
            }
        });
        loop {
            let before = synced.load(Ordering::Acquire);
            let crashed = node.crash();
            for number in 1..=before {
                assert!(
                    crashed.store.record(GROUP, &number.to_be_bytes()).unwrap().is_some(),
                    "{number} of {before}"
                );
            }
            if writer.is_finished() {
                break;
            }
        }
    });
    assert_eq!(node.store.blob_files().unwrap(), 0);
}

#[test]
fn a_closed_store_knows_exactly_what_was_durable() {
    let node = Node::new();
    for number in 0..10_u8 {
        node.apply(|batch| batch.put_record(GROUP, b"key", [number]));
    }
    let batches = node.store.shared.visible_batches.load(Ordering::Acquire);
    let Node { dir, store, .. } = node;
    store.close().unwrap();
    let store = open(dir.path()).unwrap();
    assert_eq!(lock(&store.shared.durable).batches(), batches);
}

#[test]
fn large_entries_stay_out_of_the_blob_files() {
    let node = Node::new();
    let mut log = fill(&node, GROUP, 40);
    for index in 41..=60 {
        node.apply(|batch| log.append(&[entry(index, 1, 1_500_000)], batch).unwrap());
    }
    node.store.sync().unwrap();
    assert_eq!(node.store.blob_files().unwrap(), 0);
    assert!(node.store.disk_usage().unwrap() > 20 * 1_500_000);
}

#[test]
fn deleted_groups_are_gone_at_once_and_purged_bit_by_bit_across_restarts() {
    let node = Node::new();
    let empty = key_count(&node.store);
    drop(fill(&node, GROUP, 30));
    let kept = key_count(&node.store);
    drop(fill(&node, RaftGroupId(2), 30));
    drop(fill(&node, RaftGroupId(3), 30));
    assert_eq!(node.store.groups().unwrap(), [GROUP, RaftGroupId(2), RaftGroupId(3)]);
    node.apply(|batch| {
        batch.mark_group_deleted(RaftGroupId(2));
        batch.mark_group_deleted(RaftGroupId(3));
    });
    assert_eq!(node.store.groups().unwrap(), [GROUP]);
    assert!(RaftLog::open(&node.store, &node.tail, RaftGroupId(2)).unwrap().is_none());

    assert_eq!(node.store.purge(50).unwrap(), Purge { more: true });
    let node = node.reopen();
    assert_eq!(node.store.groups().unwrap(), [GROUP]);
    let mut steps = 0;
    while node.store.purge(50).unwrap().more {
        steps += 1;
    }
    assert!(steps > 1);
    node.apply(|batch| [2, 3].map(|group| batch.forget_deleted_group(RaftGroupId(group))));
    assert_eq!(key_count(&node.store), kept);
    assert_eq!(node.store.purge(50).unwrap(), Purge { more: false });

    delete(&node, GROUP);
    node.apply(|batch| batch.forget_deleted_group(GROUP));
    assert_eq!(key_count(&node.store), empty);
    open_after(node);
}

/// Marks `group` deleted and purges to the end.
fn delete(node: &Node, group: RaftGroupId) {
    node.apply(|batch| batch.mark_group_deleted(group));
    while node.store.purge(1000).unwrap().more {}
}

#[test]
fn a_deleted_group_is_known_until_it_is_forgotten() {
    let node = Node::new();
    let empty = key_count(&node.store);
    drop(fill(&node, GROUP, 3));
    node.apply(|batch| batch.put_record(GROUP, b"checkpoint", vec![7; 1000]));
    node.apply(|batch| batch.mark_group_deleted(GROUP));
    node.apply(|batch| batch.forget_deleted_group(GROUP));
    assert!(node.store.is_deleted(GROUP), "keys of it are left");
    while node.store.purge(1000).unwrap().more {}
    let node = node.reopen();
    assert!(node.store.is_deleted(GROUP));
    assert_eq!(node.store.deleted_groups(), [GROUP]);
    node.apply(|batch| batch.forget_deleted_group(GROUP));
    assert!(!node.store.is_deleted(GROUP));
    let node = node.reopen();
    assert!(!node.store.is_deleted(GROUP));
    assert_eq!(key_count(&node.store), empty);
}

#[test]
fn a_deletion_can_be_cut_short_anywhere() {
    for writes in (0..).step_by(3) {
        let node = Node::new();
        drop(fill(&node, GROUP, 4));
        node.apply(|batch| batch.put_record(GROUP, b"cut/1", vec![7; 40_000]));
        node.apply(|batch| batch.mark_group_deleted(GROUP));
        let cut = node.store.purge_cut_short(7, writes).unwrap().more;
        let node = node.reopen();
        assert!(node.store.is_deleted(GROUP));
        assert!(RaftLog::open(&node.store, &node.tail, GROUP).unwrap().is_none());
        while node.store.purge(7).unwrap().more {}
        node.apply(|batch| batch.forget_deleted_group(GROUP));
        assert!(!node.reopen().store.is_deleted(GROUP));
        if !cut || writes > 60 {
            return;
        }
    }
}

#[test]
fn what_is_written_to_a_deleted_group_counts_for_nothing() {
    let node = Node::new();
    let mut log = fill(&node, GROUP, 3);
    node.apply(|batch| {
        batch.put_record(GROUP, b"checkpoint", vec![1; 100]);
        batch.mark_group_deleted(GROUP);
    });
    node.apply(|batch| {
        batch.put_record(GROUP, b"checkpoint", vec![2; 100]);
        log.set_applied(RaftIndex(2), batch);
    });
    drop(log);
    let node = node.reopen();
    assert_eq!(node.store.groups().unwrap(), []);
    delete(&node, GROUP);
    open_after(node);
}

#[test]
fn nothing_is_removed_before_it_is_given_up_for_certain() {
    let node = Node::new();
    let mut log = fill(&node, GROUP, 10);
    let durable = || lock(&node.store.shared.durable).durable();
    let visible = || node.store.shared.visible_batches.load(Ordering::Acquire);
    node.apply(|batch| {
        log.set_applied(RaftIndex(10), batch);
        log.compact(RaftIndex(5), batch).unwrap();
    });
    assert!(durable() < visible());
    node.store.purge(1).unwrap();
    assert_eq!(durable(), visible());
    node.apply(|batch| batch.mark_group_deleted(GROUP));
    node.store.purge(1).unwrap();
    assert_eq!(durable(), visible());
}

#[test]
fn bodies_are_written_once() {
    let node = Node::new();
    let mut logs: Vec<_> = (1..=3).map(|group| fill(&node, RaftGroupId(group), 1)).collect();
    let sizes = [5_000, 600_000, 32_768, 70_000];
    let mut written = 0;
    for (index, size) in (2..=80).zip(sizes.into_iter().cycle()) {
        for log in &mut logs {
            node.apply(|batch| log.append(&[entry(index, 1, size)], batch).unwrap());
            written += size as u64;
        }
    }
    node.store.sync().unwrap();
    // What is written anew takes a place of its own, until sled has cleaned up.
    let taken = node.store.disk_usage().unwrap();
    assert!(taken < written + LEAST_DISK_USAGE / 2, "{taken} bytes for {written}");
}

#[test]
fn the_space_of_deleted_groups_goes_back_to_the_file_system() {
    let node = Node::new();
    let mut logs: Vec<_> = (1..=3).map(|group| fill(&node, RaftGroupId(group), 1)).collect();
    for index in 2..=250 {
        for log in &mut logs {
            node.apply(|batch| log.append(&[entry(index, 1, 65_000)], batch).unwrap());
        }
    }
    node.store.sync().unwrap();
    let full = node.store.disk_usage().unwrap();
    drop(logs);
    node.apply(|batch| (1..=3).for_each(|group| batch.mark_group_deleted(RaftGroupId(group))));
    while node.store.purge(256).unwrap().more {}
    let left = node.store.disk_usage().unwrap();
    assert!(left + 3 * 249 * 65_000 <= full + LEAST_DISK_USAGE, "{full} bytes became {left}");
}

#[test]
fn the_space_of_entries_that_a_log_gave_up_goes_back_to_the_file_system() {
    let node = Node::new();
    let mut log = fill(&node, GROUP, 1);
    for index in 2..=1200 {
        node.apply(|batch| log.append(&[entry(index, 1, 65_000)], batch).unwrap());
    }
    node.store.sync().unwrap();
    let full = node.store.disk_usage().unwrap();
    node.apply(|batch| {
        log.set_applied(RaftIndex(1200), batch);
        log.compact(RaftIndex(900), batch).unwrap();
    });
    while node.store.purge(256).unwrap().more {}
    let left = node.store.disk_usage().unwrap();
    assert!(left + 899 * 65_000 <= full + LEAST_DISK_USAGE, "{full} bytes became {left}");
}

/// Opens the store once more, for the checks at open.
fn open_after(node: Node) {
    node.reopen();
}

#[test]
fn a_group_that_fell_back_is_damage() {
    let node = Node::new();
    let log = fill(&node, GROUP, 3);
    let row = node.store.get(&keys::raft_state::key(GROUP)).unwrap().unwrap();
    drop(log);
    let mut log = RaftLog::open(&node.store, &TailCache::new(0), GROUP).unwrap().unwrap();
    node.apply(|batch| log.append(&[entry(4, 1, 10)], batch).unwrap());
    drop(log);
    node.apply(|batch: &mut WriteBatch| batch.put(&keys::raft_state::key(GROUP), row));
    let Node { dir, store, .. } = node;
    drop(store);
    assert!(matches!(open(dir.path()).unwrap_err(), OpenError::Damaged { .. }));
}

#[test]
fn after_a_failed_write_there_are_no_more() {
    let node = Node::new();
    node.store.shared.fail(&StoreError::damaged("the disk is full"));
    let mut batch = WriteBatch::new();
    batch.put_record(GROUP, b"key", b"value");
    assert!(matches!(node.store.apply(batch), Err(StoreError::Failed { .. })));
    assert!(matches!(node.store.sync(), Err(StoreError::Failed { .. })));
    assert_eq!(node.store.record(GROUP, b"key").unwrap(), None);
}
