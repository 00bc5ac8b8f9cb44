//! Reading entries and the offset index.

use proptest::prelude::*;

use super::*;
use crate::fixture::{Node, entry};
use crate::keys::offset_index::IndexSpan;
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

/// Rows of entries with so many records each and a timestamp each, after `start`.
fn rows(start: i64, entries: &[(i64, i64)]) -> Vec<OffsetIndexRow> {
    let mut next = start;
    let mut rows: Vec<OffsetIndexRow> = Vec::new();
    for (at, (records, _)) in entries.iter().enumerate() {
        let number = at as u64 + 1;
        let span = |level| {
            let first = at + 1 - (1_usize << level);
            let max_timestamp = entries[first..=at].iter().map(|(_, timestamp)| *timestamp).max().unwrap();
            let before = first.checked_sub(1).map_or(Offset(-1), |before| rows[before].base_offset);
            IndexSpan { max_timestamp, before }
        };
        let spans = (0..=number.trailing_zeros()).map(span).collect();
        rows.push(OffsetIndexRow {
            base_offset: Offset(next),
            last_offset: Offset(next + records - 1),
            raft_index: RaftIndex(number),
            bytes_so_far: (next + records).unsigned_abs(),
            number,
            spans,
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
            let floor = rows.iter().rev().find(|row| row.base_offset.0 <= low).cloned();
            prop_assert_eq!(reader.index_floor(GROUP, Offset(low)).unwrap(), floor);
            let after = rows.iter().find(|row| row.base_offset.0 > low).cloned();
            prop_assert_eq!(reader.index_after(GROUP, Offset(low)).unwrap(), after);
            let within = |row: &&OffsetIndexRow| row.last_offset.0 >= low && row.base_offset.0 < high && low < high;
            let many = low.unsigned_abs() + timestamp.unsigned_abs();
            let first = rows.iter().filter(within).find(|row| row.bytes_so_far > many).cloned();
            let found = reader.first_index_row(GROUP, Offset(low)..Offset(high), |row| row.bytes_so_far > many);
            prop_assert_eq!(found.unwrap(), first);
            let late = rows.iter().filter(within).find(|row| row.max_timestamp() >= timestamp).cloned();
            prop_assert_eq!(reader.first_row_since(GROUP, Offset(low)..Offset(high), timestamp).unwrap(), late);
            let newest = rows.iter().filter(within).rev().max_by_key(|row| row.max_timestamp()).cloned();
            prop_assert_eq!(reader.newest_row(GROUP, Offset(low)..Offset(high)).unwrap(), newest);
        }
    }

    #[test]
    fn what_was_removed_hides_nothing(
        entries in prop::collection::vec((1..4_i64, 0..100_i64), 1..80),
        removed: prop::sample::Index,
        timestamp in -5..105_i64,
    ) {
        let rows = rows(0, &entries);
        let removed = removed.index(rows.len());
        let (node, reader) = with_rows(&rows);
        let is_left = |row: &&OffsetIndexRow| row.number > removed as u64;
        node.apply(|batch| {
            for row in rows.iter().filter(|row| !is_left(row)) {
                batch.remove(&offset_index::key(GROUP, row.base_offset));
            }
        });
        let all = || Offset(0)..Offset(i64::MAX);
        let late = rows.iter().filter(is_left).find(|row| row.max_timestamp() >= timestamp).cloned();
        prop_assert_eq!(reader.first_row_since(GROUP, all(), timestamp).unwrap(), late);
        let newest = rows.iter().filter(is_left).rev().max_by_key(|row| row.max_timestamp()).cloned();
        prop_assert_eq!(reader.newest_row(GROUP, all()).unwrap(), newest);
    }
}

#[test]
fn a_gap_in_the_offset_index_is_damage() {
    let rows = rows(0, &[(1, 5), (1, 1), (1, 1), (1, 9), (1, 1)]);
    let (node, reader) = with_rows(&rows);
    node.apply(|batch| batch.remove(&offset_index::key(GROUP, rows[3].base_offset)));
    let error = reader.first_row_since(GROUP, Offset(1)..Offset(5), 9).unwrap_err();
    assert!(error.to_string().contains("the offset index has gaps"), "{error}");
}

#[test]
fn a_row_on_its_way_out_is_passed_over() {
    let rows = rows(0, &[(2, 5), (2, 1), (2, 3)]);
    let (node, reader) = with_rows(&rows);
    node.apply(|batch| batch.put(&offset_index::key(GROUP, rows[0].base_offset), IVec::default()));
    assert_eq!(reader.index_floor(GROUP, Offset(1)).unwrap(), None);
    assert_eq!(reader.index_after(GROUP, Offset(i64::MIN)).unwrap().as_ref(), Some(&rows[1]));
    let newest = reader.newest_row(GROUP, Offset(0)..Offset(i64::MAX)).unwrap();
    assert_eq!(newest.as_ref(), Some(&rows[2]));
}

#[test]
fn the_greatest_offset_can_be_looked_up() {
    let rows = rows(i64::MAX - 10, &[(5, 1), (5, 2)]);
    let (_node, reader) = with_rows(&rows);
    assert_eq!(reader.index_floor(GROUP, Offset(i64::MAX)).unwrap().as_ref(), Some(&rows[1]));
    let found = reader.first_row_since(GROUP, Offset(0)..Offset(i64::MAX), 2).unwrap();
    assert_eq!(found.as_ref(), Some(&rows[1]));
}
