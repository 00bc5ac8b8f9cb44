//! Reading entries and the offset index.

use proptest::prelude::*;

use super::*;
use crate::fixture::{Node, entry};
use crate::raft_log::RaftLog;

const GROUP: RaftGroupId = RaftGroupId(7);

/// A log of 10 entries of 1,000 bytes, the last four of which are in the tail.
fn node_with_log() -> (Node, RaftLog) {
    let node = Node::new();
    let mut log = node.apply(|batch| RaftLog::create(&node.store, &node.tail, GROUP, &[1], batch));
    let entries: Vec<_> = (1..=10).map(|index| entry(index, 1, 1000)).collect();
    node.apply(|batch| log.append(&entries, batch).unwrap());
    log.appended(&entries[6..]);
    (node, log)
}

#[test]
fn entries_come_from_the_store_and_then_from_the_tail() {
    let (node, _log) = node_with_log();
    let reader = node.store.reader(&node.tail);
    let one = reader.entry(GROUP, RaftIndex(1)).unwrap().unwrap().size_bytes();
    let read = |from, end, max| {
        let entries = reader.entries(GROUP, RaftIndex(from), RaftIndex(end), max).unwrap();
        for found in &entries {
            assert_eq!(found.to_raft(), entry(found.index.0, 1, 1000));
        }
        entries.iter().map(|entry| entry.index.0).collect::<Vec<_>>()
    };
    assert_eq!(read(1, 11, usize::MAX), (1..=10).collect::<Vec<_>>());
    assert_eq!(read(5, 9, usize::MAX), [5, 6, 7, 8]);
    assert_eq!(read(5, 11, 3 * one), [5, 6, 7]);
    assert_eq!(read(5, 11, 3 * one - 1), [5, 6]);
    assert_eq!(read(5, 11, 0), [5]);
    assert_eq!(read(8, 11, 0), [8]);
    assert_eq!(read(11, 20, usize::MAX), [0; 0]);
    assert_eq!(reader.entry(RaftGroupId(6), RaftIndex(1)).unwrap(), None);
}

#[test]
fn a_missing_part_is_damage() {
    let node = Node::new();
    let mut log = node.apply(|batch| RaftLog::create(&node.store, &node.tail, GROUP, &[1], batch));
    node.apply(|batch| log.append(&[entry(1, 1, 200_000)], batch).unwrap());
    node.apply(|batch| batch.remove(&slot::key(GROUP, slot::FIRST_SLOT + 2)));
    let error = node.store.reader(&node.tail).entry(GROUP, RaftIndex(1)).unwrap_err();
    assert!(error.to_string().contains("group 7: entry 1 is not whole"), "{error}");
}

/// Rows of entries with `counts` records each and a timestamp each, after `start`.
fn rows(start: i64, entries: &[(i64, i64)]) -> Vec<OffsetIndexRow> {
    let (mut next, mut max) = (start, i64::MIN);
    let mut rows = Vec::new();
    for (number, (records, timestamp)) in (1..).zip(entries) {
        max = max.max(*timestamp);
        rows.push(OffsetIndexRow {
            base_offset: Offset(next),
            last_offset: Offset(next + records - 1),
            raft_index: RaftIndex(number),
            max_timestamp_so_far: max,
            bytes_so_far: (next + records).unsigned_abs(),
        });
        next += records;
    }
    rows
}

/// A reader of a store with these rows, and some of the groups on either side.
fn with_rows(rows: &[OffsetIndexRow]) -> (Node, LogReader) {
    let node = Node::new();
    node.apply(|batch| {
        for group in [GROUP.0 - 1, GROUP.0, GROUP.0 + 1] {
            rows.iter().for_each(|row| batch.put_index_row(RaftGroupId(group), row));
        }
    });
    let reader = node.store.reader(&node.tail);
    (node, reader)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lookups_find_what_a_scan_would(
        start in 0..50_i64,
        entries in prop::collection::vec((1..20_i64, 0..100_i64), 0..40),
        asked in prop::collection::vec((0..900_i64, 0..900_i64, -5..105_i64), 8),
    ) {
        let rows = rows(start, &entries);
        let (_node, reader) = with_rows(&rows);
        for (low, high, timestamp) in asked {
            let floor = rows.iter().rev().find(|row| row.base_offset.0 <= low).copied();
            prop_assert_eq!(reader.index_floor(GROUP, Offset(low)).unwrap(), floor);
            let after = rows.iter().find(|row| row.base_offset.0 > low).copied();
            prop_assert_eq!(reader.index_after(GROUP, Offset(low)).unwrap(), after);
            let wanted = |row: &&OffsetIndexRow| {
                row.last_offset.0 >= low && row.base_offset.0 < high && row.max_timestamp_so_far >= timestamp
            };
            let first = rows.iter().find(wanted).copied().filter(|_| low < high);
            let late = |row: &OffsetIndexRow| row.max_timestamp_so_far >= timestamp;
            let found = reader.first_index_row(GROUP, Offset(low)..Offset(high), late);
            prop_assert_eq!(found.unwrap(), first);
        }
    }
}

#[test]
fn the_greatest_offset_can_be_looked_up() {
    let rows = rows(i64::MAX - 10, &[(5, 1), (5, 2)]);
    let (_node, reader) = with_rows(&rows);
    assert_eq!(reader.index_floor(GROUP, Offset(i64::MAX)).unwrap(), Some(rows[1]));
    let found = reader
        .first_index_row(GROUP, Offset(0)..Offset(i64::MAX), |row| row.max_timestamp_so_far >= 2)
        .unwrap();
    assert_eq!(found, Some(rows[1]));
}
