use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;
use trilog_storage::{Identity, StoreOptions};

use super::*;
use crate::partition::Command;
use crate::partition::testing::BatchBuilder;

const GROUP: RaftGroupId = RaftGroupId(4);
const POLICY: CheckpointPolicy = CheckpointPolicy {
    every_entries: 1,
    every_bytes: 1,
    node_bytes: 0,
    kept_entries: 0,
    kept_bytes: 0,
    part_bytes: 1 << 20,
};

/// A partition whose every entry is one record, but for those that delete some.
struct Log {
    _directory: TempDir,
    store: Store,
    state: PartitionState,
    applied: RaftIndex,
    points: CutPoints,
}

impl Log {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let identity = Identity { cluster_id: "cut".into(), node_id: 1 };
        let store = Store::open(directory.path(), &identity, StoreOptions::default()).unwrap();
        let (state, points) = Default::default();
        Self { _directory: directory, store, state, applied: RaftIndex(0), points }
    }

    fn apply(&mut self, payload: Vec<u8>) {
        self.applied = self.applied.next();
        self.state.apply(&Bytes::from(payload));
    }

    fn append(&mut self, records: u64) {
        for _ in 0..records {
            let batch = BatchBuilder::of_count(1).base_offset(self.state.log_end_offset().0).leader_epoch(1);
            self.apply(batch.build());
        }
    }

    fn delete(&mut self, before: i64) {
        self.apply(Command::RaiseLogStart(Offset(before)).encode());
    }

    fn keep(&mut self) {
        let mut batch = WriteBatch::new();
        self.points.keep(GROUP, self.applied, &self.state, self.state.encode(), &mut batch);
        self.store.apply(batch).unwrap();
    }

    fn cut(&mut self, policy: CheckpointPolicy) -> Option<u64> {
        let mut batch = WriteBatch::new();
        let cut = self.points.advance(GROUP, self.applied, &self.state, policy, &mut batch);
        self.store.apply(batch).unwrap();
        cut.map(|index| index.0)
    }

    /// The indexes as of which states are stored.
    fn kept(&self) -> Vec<u64> {
        let records = self.store.records(GROUP, KEY_PREFIX).unwrap();
        records.iter().map(|(key, _)| u64::from_be_bytes(key[4..].try_into().unwrap())).collect()
    }

    fn base(&self) -> RaftIndex {
        self.points.base.map_or(RaftIndex(0), |base| base.index)
    }

    fn reload(&mut self) {
        let (base, ahead) = (self.points.base, self.points.ahead.clone());
        self.points = CutPoints::load(&self.store, GROUP, self.base()).unwrap();
        assert_eq!((self.points.base, &self.points.ahead), (base, &ahead));
    }
}

#[test]
fn a_log_is_cut_where_everything_before_is_deleted_and_a_state_is_kept() {
    let mut log = Log::new();
    for _ in 0..3 {
        log.append(10);
        log.keep();
    }
    assert_eq!((log.kept(), log.cut(POLICY)), (vec![10, 20, 30], None));
    log.delete(19);
    assert_eq!(log.cut(POLICY), Some(10), "the record at 19 is not deleted");
    log.delete(25);
    assert_eq!((log.cut(POLICY), log.cut(POLICY)), (Some(20), None));
    assert_eq!((log.kept(), log.points.readable_from()), (vec![20, 30], Offset(20)));
    log.reload();

    let state = base_state(&log.store, GROUP, RaftIndex(20)).unwrap().unwrap();
    let state = PartitionState::decode(&state).unwrap();
    assert_eq!((state.log_start_offset(), state.log_end_offset()), (Offset(0), Offset(20)));
}

#[test]
fn a_state_is_kept_as_seldom_as_the_policy_has_checkpoints_be() {
    let mut log = Log::new();
    let policy = CheckpointPolicy { every_entries: 10, every_bytes: u64::MAX, ..POLICY };
    for _ in 0..35 {
        log.append(1);
        if log.points.are_due(log.applied, &log.state, policy) {
            log.keep();
        }
    }
    assert_eq!(log.kept(), [10, 20, 30]);
    let bytes = log.state.bytes_so_far() / 7;
    let policy = CheckpointPolicy { every_entries: u64::MAX, every_bytes: bytes, ..POLICY };
    assert!(log.points.are_due(log.applied, &log.state, policy), "five records are a seventh of 35");
    assert!(!log.points.are_due(
        log.applied,
        &log.state,
        CheckpointPolicy { every_bytes: bytes + 1, ..policy }
    ));
}

#[test]
fn some_entries_stay_for_followers_but_not_too_many_bytes() {
    let mut log = Log::new();
    log.append(10);
    log.keep();
    log.append(5);
    log.delete(15);
    let few = CheckpointPolicy { kept_entries: 7, kept_bytes: u64::MAX >> 1, ..POLICY };
    assert_eq!(log.cut(few), None, "there are but six entries behind it");
    log.append(1);
    assert_eq!(log.cut(few), Some(10));
    log.keep();
    log.append(1);
    let bytes = log.state.bytes_so_far() / 17;
    log.delete(17);
    let of_bytes = |kept_bytes| CheckpointPolicy { kept_entries: 1000, kept_bytes, ..POLICY };
    assert_eq!(log.cut(of_bytes(bytes + 1)), None);
    assert_eq!(log.cut(of_bytes(bytes)), Some(17));
}

#[test]
fn a_snapshot_is_the_new_base() {
    let mut log = Log::new();
    log.append(10);
    log.keep();
    log.append(10);
    let mut batch = WriteBatch::new();
    log.points.reset(GROUP, log.applied, &log.state, log.state.encode(), &mut batch);
    log.store.apply(batch).unwrap();
    assert_eq!((log.kept(), log.points.readable_from()), (vec![20], Offset(20)));
    log.reload();
}

#[test]
fn a_log_that_was_cut_elsewhere_is_damaged() {
    let mut log = Log::new();
    log.append(10);
    log.keep();
    let error = CutPoints::load(&log.store, GROUP, RaftIndex(7)).unwrap_err();
    assert!(error.to_string().contains("cut where no state is kept"), "{error}");
}

#[test]
fn however_long_the_log_its_points_are_few_and_spread_over_it() {
    let mut log = Log::new();
    for _ in 0..500 {
        log.append(3);
        log.keep();
    }
    assert_eq!(log.kept().len(), MAX_CUT_POINTS);
    let mut bytes = vec![0];
    bytes.extend(log.points.ahead.iter().map(|point| point.bytes));
    let widest = bytes.windows(2).map(|two| two[1] - two[0]).max().unwrap();
    assert!(widest <= log.state.bytes_so_far() / 10, "{widest} of {}", log.state.bytes_so_far());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_not_deleted_is_never_cut_off(steps in prop::collection::vec((0..6_u64, 0..40_i64, any::<bool>()), 1..40)) {
        let mut log = Log::new();
        for (records, deleted, keep) in steps {
            log.append(records);
            let before = (log.state.log_start_offset().0 + deleted).min(log.state.log_end_offset().0);
            if deleted % 3 == 0 {
                log.delete(before);
            }
            if keep && log.applied > RaftIndex(0) {
                log.keep();
            }
            let base = log.base();
            if let Some(cut) = log.cut(POLICY) {
                prop_assert!(cut > base.0);
            }
            prop_assert!(log.points.readable_from() <= log.state.log_start_offset());
            prop_assert!(log.points.ahead.iter().all(|point| point.index > log.base()));
            log.reload();
        }
    }
}
