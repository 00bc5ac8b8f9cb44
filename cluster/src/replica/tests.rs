//! Looks by time into a replica's log, from a store like any other.

use bytes::Bytes;
use proptest::prelude::*;
use raft::eraftpb::Entry;
use tempfile::TempDir;
use trilog_storage::{Identity, IndexSpan, OffsetIndexRow, RaftLog, Store, StoreOptions, WriteBatch};

use super::*;
use crate::ids::TimestampMs;
use crate::partition::testing::{BatchBuilder, TestRecord};
use crate::partition::{PartitionState, Retention, TimestampedOffset};

const GROUP: RaftGroupId = RaftGroupId(7);

/// A replica whose log has these entries: each one batch, each of whose records has this timestamp.
struct Written {
    replica: Replica,
    times: Vec<Vec<i64>>,
    _dir: TempDir,
}

impl Written {
    fn new(times: Vec<Vec<i64>>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity { cluster_id: "test".into(), node_id: 1 };
        let store = Store::open(dir.path(), &identity, StoreOptions::default()).unwrap();
        let tail = TailCache::new(1 << 20);
        let mut batch = WriteBatch::new();
        let mut log = RaftLog::create(&store, &tail, GROUP, &[1], &mut batch);
        let mut state = PartitionState::default();
        let mut entries = Vec::new();
        for (index, times) in (1..).zip(&times) {
            let records: Vec<TestRecord> = times.iter().map(|time| TestRecord::at(*time)).collect();
            let built = BatchBuilder::of_records(&records).timestamp(0).base_offset(state.log_end_offset().0);
            let payload = Bytes::from(built.max_timestamp(*times.iter().max().unwrap()).build());
            let applied = state.apply(&payload).unwrap();
            let spans = applied
                .spans
                .iter()
                .map(|span| IndexSpan { max_timestamp: span.max_timestamp.0, before: span.before });
            let row = OffsetIndexRow {
                base_offset: applied.first_offset,
                last_offset: applied.last_offset,
                raft_index: RaftIndex(index),
                bytes_so_far: applied.bytes_so_far,
                number: applied.number,
                spans: spans.collect(),
            };
            batch.put_index_row(GROUP, &row);
            entries.push(Entry { index, term: 1, data: payload, ..Entry::default() });
        }
        log.append(&entries, &mut batch).unwrap();
        store.apply(batch).unwrap();
        let replica = Replica::new(GROUP, store.reader(&tail), tail, Arc::default());
        let written = Self { replica, times, _dir: dir };
        written.start_at(0);
        written
    }

    /// The records below this offset are deleted.
    fn start_at(&self, start: i64) {
        let records: usize = self.times.iter().map(Vec::len).sum();
        let status = ReplicaStatus {
            log_start_offset: Offset(start),
            high_watermark: Offset(i64::try_from(records).unwrap()),
            ..ReplicaStatus::empty(Some(LeaderEpoch(1)))
        };
        self.replica.publish(status, Vec::new());
    }

    /// The offsets and timestamps from `start` on.
    fn records(&self, start: i64) -> Vec<(i64, i64)> {
        let all = (0..).zip(self.times.iter().flatten().copied());
        all.filter(|(offset, _)| *offset >= start).collect()
    }

    fn since(&self, timestamp: i64) -> Option<(i64, i64)> {
        self.replica.offset_for_timestamp(TimestampMs(timestamp)).unwrap().map(pair)
    }

    fn newest(&self) -> Option<(i64, i64)> {
        self.replica.offset_of_max_timestamp().unwrap().map(pair)
    }

    /// Where the log is to start if everything before `earliest` is too old.
    fn start_by_time(&self, earliest: i64) -> Option<i64> {
        let retention = Retention { time_ms: Some(0), bytes: None };
        self.replica.start_by(retention, TimestampMs(earliest)).unwrap().map(|start| start.0)
    }
}

fn pair(found: TimestampedOffset) -> (i64, i64) {
    (found.offset.0, found.timestamp.0)
}

#[test]
fn a_record_from_the_future_is_forgotten_once_it_is_deleted() {
    let mut times: Vec<Vec<i64>> = (0..1000).map(|at| vec![at, at]).collect();
    times[2] = vec![1_000_000, 2];
    let written = Written::new(times);
    assert_eq!(written.newest(), Some((4, 1_000_000)));
    assert_eq!(written.start_by_time(2_000), Some(4), "what follows a record that is to stay, stays");
    // It goes, and the record beside it stays.
    written.start_at(5);
    assert_eq!(written.newest(), Some((1998, 999)));
    assert_eq!(written.since(500), Some((1000, 500)));
    assert_eq!(written.since(5_000), None);
    assert_eq!(written.start_by_time(900), Some(1800), "at once, however much there is to go");
    assert_eq!(written.start_by_time(2_000), Some(2000));
}

#[test]
fn what_has_no_timestamp_is_kept_until_something_after_it_is_too_old() {
    let written = Written::new(vec![vec![-1], vec![-1], vec![5], vec![9]]);
    assert_eq!(written.start_by_time(3), None);
    assert_eq!(written.start_by_time(7), Some(3));
    written.start_at(3);
    assert_eq!(written.newest(), Some((3, 9)));
}

#[test]
fn what_has_no_timestamp_at_all_goes_when_it_was_there_for_long_enough() {
    let written = Written::new(vec![vec![-1], vec![-1, -1]]);
    let retention = Retention { time_ms: Some(100), bytes: None };
    let start_by = |now| written.replica.start_by(retention, TimestampMs(now)).unwrap().map(|start| start.0);
    assert_eq!(start_by(1_000), None, "nobody knows how old it is");
    assert_eq!(start_by(1_099), None);
    assert_eq!(start_by(1_100), Some(3));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn looks_by_time_find_what_a_scan_would(
        times in prop::collection::vec(prop::collection::vec(0..60_i64, 1..4), 1..40),
        start: prop::sample::Index,
        asked in prop::collection::vec(-2..70_i64, 6),
    ) {
        let written = Written::new(times);
        let start = i64::try_from(start.index(written.records(0).len() + 1)).unwrap();
        written.start_at(start);
        let records = written.records(start);
        for timestamp in asked {
            let first = records.iter().find(|(_, time)| *time >= timestamp).copied();
            prop_assert_eq!(written.since(timestamp), first);
            // Whole entries go, up to the one that holds the first record that is to stay.
            let entry_of = |offset: i64| {
                let mut base = 0;
                for times in &written.times {
                    let end = base + i64::try_from(times.len()).unwrap();
                    if offset < end {
                        break;
                    }
                    base = end;
                }
                base
            };
            let end = i64::try_from(written.records(0).len()).unwrap();
            let stays = first.map_or(end, |(offset, _)| entry_of(offset));
            prop_assert_eq!(written.start_by_time(timestamp), Some(stays).filter(|stays| *stays > start));
        }
        let newest = records.iter().rev().max_by_key(|(_, time)| *time).copied();
        prop_assert_eq!(written.newest(), newest);
    }
}

#[test]
fn traffic_counts_what_is_committed_while_this_replica_leads() {
    let written = Written::new(Vec::new());
    let publish = |leading: Option<i32>, high_watermark: i64, bytes_so_far: u64| {
        let status = ReplicaStatus {
            high_watermark: Offset(high_watermark),
            bytes_so_far,
            ..ReplicaStatus::empty(leading.map(LeaderEpoch))
        };
        written.replica.publish(status, Vec::new());
        let counts = written.replica.traffic().counts();
        (counts.records_in, counts.bytes_in)
    };
    assert_eq!(publish(None, 5, 500), (0, 0), "another replica leads");
    assert_eq!(publish(Some(2), 7, 700), (0, 0), "of an earlier leader");
    assert_eq!(publish(Some(2), 10, 990), (3, 290));
    assert_eq!(publish(Some(2), 10, 990), (3, 290));
    assert_eq!(publish(Some(4), 12, 1200), (3, 290), "somebody else led in between");
}
