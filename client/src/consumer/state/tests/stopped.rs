//! Partitions that cannot be read on: what the application is told, and until when.

use super::*;

impl Stage {
    fn seeks(&mut self, partition: i32, offset: i64) {
        let to = Committable { offset, leader_epoch: None };
        assert!(self.state.seek(&place(partition), |positions| positions.seek(&place(partition), to)));
    }

    fn told(&mut self) -> Option<String> {
        self.state.take().map(|taken| taken.unwrap_err().to_string())
    }
}

#[test]
fn an_offset_that_nobody_can_replace_is_told_once() {
    let mut stage = Stage::reading(ResetPolicy::None, [10, 20]);
    stage.state.assign(&[place(0)].into());
    let job = stage.fetches();
    stage.answers(job, vec![(0, Err(ErrorCode::OFFSET_OUT_OF_RANGE))]);
    stage.nothing();
    stage.nothing();
    let error = stage.told().unwrap();
    assert!(error.contains("t-0") && error.contains("offset 10"), "{error}");
    assert!(stage.state.take().is_none());
}

#[test]
fn a_damaged_batch_is_told_again_until_somebody_seeks() {
    let mut stage = Stage::reading(ResetPolicy::None, [10, 20]);
    let job = stage.fetches();
    // Three records that are two.
    let mut batch = BatchBuilder::of_count(2).base_offset(10).leader_epoch(5);
    batch.record_count = 3;
    let row = FetchedPartition {
        records: Bytes::from(batch.build()),
        high_watermark: 100,
        diverging: None,
        aborted: Vec::new(),
    };
    stage.answers(job, vec![(0, Ok(row))]);
    for _ in 0..2 {
        assert!(stage.state.take().unwrap().is_err());
    }
    stage.seeks(0, 12);
    assert!(stage.state.take().is_none());
}

#[test]
fn an_application_that_seeks_in_time_is_told_nothing() {
    let mut stage = Stage::new(ResetPolicy::None);
    stage.state.assign(&[place(0), place(1)].into());
    // The driver may come between `assign` and `seek`.
    stage.nothing();
    assert!(stage.state.has_news());
    stage.seeks(0, 10);
    let error = stage.told().unwrap();
    assert!(error.contains("t-1: there is no committed offset"), "{error}");
    assert_eq!(stage.told(), None);
    assert_eq!(stage.fetches().asked.keys().collect::<Vec<_>>(), [&place(0)]);
}

#[test]
fn what_is_wrong_with_a_partition_that_is_gone_is_not_told() {
    let mut stage = Stage::new(ResetPolicy::None);
    stage.state.assign(&[place(0), place(1)].into());
    stage.nothing();
    stage.state.assign(&[].into());
    assert!(!stage.state.has_news());
    assert_eq!(stage.told(), None);
}

#[test]
fn each_of_many_partitions_without_an_offset_is_told() {
    let mut stage = Stage::led_by(&[1], 60);
    let job = stage.fetches();
    stage.answers(job, (0..60).map(|partition| (partition, Err(ErrorCode::OFFSET_OUT_OF_RANGE))).collect());
    stage.nothing();
    let told: BTreeSet<_> = std::iter::from_fn(|| stage.told()).collect();
    assert_eq!(told.len(), 60);
}
