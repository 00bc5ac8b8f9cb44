//! One partition's queue, step by step.

use trilog_protocol::ErrorCode;
use trilog_protocol::batch::BatchHeader;
use trilog_protocol::compression::Compression;
use trilog_protocol::records::decode_records;

use super::*;
use crate::producer::verdict::judge;

const NODE: NodeId = 1;
const RULES: Rules = Rules {
    batch_size: 200,
    linger: Duration::from_millis(5),
    delivery_timeout: Duration::from_secs(100),
    retry: Backoff { initial: Duration::from_millis(100), max: Duration::from_secs(1) },
};

const fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A queue, its producer id, and names for what it does.
struct Stage {
    queue: Queue<u32>,
    identity: Identity,
    next: u32,
    request: RequestId,
}

impl Stage {
    /// A queue whose producer id the brokers know already.
    fn new() -> Self {
        let mut stage = Self::unknown();
        stage.queue.is_known = true;
        stage.queue.sequence = stage.identity.sequence();
        stage
    }

    fn unknown() -> Self {
        Self { queue: Queue::new(3), identity: Identity::Known(Sequence::new(7, 0)), next: 0, request: 0 }
    }

    /// Appends a record that fills a batch of its own.
    fn batch(&mut self, now: Duration) {
        let record = Record::to("t").value(vec![0; 200]);
        let entry = Entry { token: self.next, charge: 1, generation: 0, timestamp: 1000 };
        self.next += 1;
        self.queue.append(&record, entry, now, &RULES).unwrap();
    }

    /// Appends records that share a batch.
    fn small_records(&mut self, count: usize) {
        for _ in 0..count {
            let record = Record::to("t").value(vec![0; 10]);
            let entry = Entry { token: self.next, charge: 1, generation: 0, timestamp: 1000 };
            self.next += 1;
            self.queue.append(&record, entry, at(0), &RULES).unwrap();
        }
    }

    /// Sends the next batch, if it is ready, and returns its request with its epoch and first sequence number.
    fn send(&mut self, now: Duration) -> Option<(RequestId, i16, i32)> {
        self.queue.ready_at(NODE, false, &RULES).filter(|ready| *ready <= now)?;
        self.request += 1;
        let (_, origin) = self.queue.take(self.request, NODE, &mut self.identity)?;
        Some((self.request, origin.producer_epoch.0, origin.base_sequence))
    }

    /// Answers a request with a code, and returns the fates: records with their offsets, or `None` where they failed.
    fn answer(&mut self, request: RequestId, code: ErrorCode, now: Duration) -> Vec<(u32, Option<i64>)> {
        let verdict = if code == ErrorCode::NONE {
            Verdict::Appended { base_offset: Some(100), append_time: None }
        } else {
            judge(code, None, false)
        };
        let finished = self.queue.settle(request, verdict, now, 0.5, &RULES, &mut self.identity);
        fates(finished)
    }
}

fn fates(finished: Vec<Finished<u32>>) -> Vec<(u32, Option<i64>)> {
    finished.into_iter().map(|record| (record.token, record.result.ok().and_then(|at| at.offset))).collect()
}

#[test]
fn a_batch_lingers_until_it_is_full_or_its_time_has_come() {
    let mut queue: Queue<u32> = Queue::new(0);
    let record = Record::to("t").value("v");
    let entry = |token| Entry { token, charge: 1, generation: 0, timestamp: 1000 };
    let first = queue.append(&record, entry(0), at(10), &RULES).unwrap();
    assert_eq!(first, Appended { is_new: true, is_full: false });
    assert_eq!(queue.ready_at(NODE, false, &RULES), Some(at(15)));
    assert_eq!(queue.ready_at(NODE, true, &RULES), Some(at(0)), "nothing lingers in haste");
    let large = Record::to("t").value(vec![0; 190]);
    let second = queue.append(&large, entry(1), at(11), &RULES).unwrap();
    assert_eq!(second, Appended { is_new: true, is_full: true });
    assert_eq!(queue.ready_at(NODE, false, &RULES), Some(at(0)));
    assert_eq!(queue.batches(), 2);
}

#[test]
fn batches_are_numbered_in_order_and_finish_with_offsets() {
    let mut stage = Stage::new();
    (0..3).for_each(|_| stage.batch(at(0)));
    assert_eq!(stage.send(at(0)), Some((1, 0, 0)));
    assert_eq!(stage.send(at(0)), Some((2, 0, 1)));
    assert_eq!(stage.answer(1, ErrorCode::NONE, at(1)), [(0, Some(100))]);
    assert_eq!(stage.send(at(1)), Some((3, 0, 2)));
    assert_eq!(stage.answer(9, ErrorCode::NONE, at(1)), [], "nobody asked");
}

#[test]
fn a_batch_that_comes_back_waits_for_the_others_and_keeps_its_numbers() {
    let mut stage = Stage::new();
    (0..3).for_each(|_| stage.batch(at(0)));
    stage.send(at(0));
    stage.send(at(0));
    assert_eq!(stage.answer(1, ErrorCode::NOT_LEADER_OR_FOLLOWER, at(10)), []);
    assert_eq!(stage.send(at(1000)), None, "another one is in flight");
    // The leader that refused the first calls the second out of sequence, which says nothing.
    assert_eq!(stage.answer(2, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, at(20)), []);
    assert_eq!(stage.send(at(109)), None, "backs off");
    assert_eq!(stage.send(at(110)), Some((3, 0, 0)));
    assert_eq!(stage.send(at(110)), Some((4, 0, 1)));
    assert_eq!(stage.send(at(110)), Some((5, 0, 2)));
}

#[test]
fn the_first_batch_leaves_alone() {
    let mut stage = Stage::unknown();
    (0..3).for_each(|_| stage.batch(at(0)));
    assert_eq!(stage.send(at(0)), Some((1, 0, 0)));
    assert_eq!(stage.send(at(0)), None);
    stage.answer(1, ErrorCode::NOT_ENOUGH_REPLICAS, at(0));
    assert_eq!(stage.send(at(200)), Some((2, 0, 0)));
    assert_eq!(stage.send(at(200)), None);
    stage.answer(2, ErrorCode::NONE, at(200));
    assert!(stage.send(at(200)).is_some() && stage.send(at(200)).is_some());
}

#[test]
fn no_batch_leaves_that_could_make_the_broker_forget_the_oldest() {
    let mut stage = Stage::new();
    (0..8).for_each(|_| stage.batch(at(0)));
    (0..5).for_each(|_| assert!(stage.send(at(0)).is_some()));
    assert_eq!(stage.send(at(0)), None);
    // Later ones are acknowledged, which makes no room: the first may be in the log, and has to be known again.
    stage.answer(1, ErrorCode::NOT_ENOUGH_REPLICAS, at(1));
    (2..=5).for_each(|request| drop(stage.answer(request, ErrorCode::NONE, at(1))));
    assert_eq!(stage.send(at(200)), Some((6, 0, 0)));
    assert_eq!(stage.send(at(200)), None);
    stage.answer(6, ErrorCode::NONE, at(201));
    assert_eq!(stage.send(at(201)), Some((7, 0, 5)));
}

#[test]
fn all_that_are_in_flight_are_on_their_way_to_one_node() {
    let mut stage = Stage::new();
    stage.batch(at(0));
    stage.batch(at(0));
    stage.send(at(0));
    assert_eq!(stage.queue.ready_at(2, false, &RULES), None, "the leader has moved");
    stage.answer(1, ErrorCode::NONE, at(1));
    assert!(stage.queue.ready_at(2, false, &RULES).is_some());
}

#[test]
fn the_oldest_out_of_sequence_begins_an_epoch_for_all_that_wait() {
    let mut stage = Stage::new();
    stage.batch(at(0));
    stage.send(at(0));
    stage.answer(1, ErrorCode::NONE, at(0));
    (0..2).for_each(|_| stage.batch(at(0)));
    assert_eq!(stage.send(at(0)), Some((2, 0, 1)));
    assert_eq!(stage.send(at(0)), Some((3, 0, 2)));
    stage.answer(2, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, at(1));
    assert_eq!(stage.send(at(1)), None, "another one is in flight");
    stage.answer(3, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, at(1));
    assert_eq!(stage.send(at(200)), Some((4, 1, 0)));
    assert_eq!(stage.send(at(200)), Some((5, 1, 1)));
}

#[test]
fn a_refused_batch_leaves_a_gap_that_a_new_epoch_closes() {
    let mut stage = Stage::new();
    (0..2).for_each(|_| stage.batch(at(0)));
    stage.send(at(0));
    assert_eq!(stage.answer(1, ErrorCode::MESSAGE_TOO_LARGE, at(1)), [(0, None)]);
    assert_eq!(stage.send(at(1)), Some((2, 1, 0)));
}

#[test]
fn a_batch_that_is_too_large_comes_back_as_two() {
    let mut stage = Stage::new();
    stage.small_records(3);
    stage.batch(at(0));
    assert_eq!(stage.send(at(5)), Some((1, 0, 0)));
    assert_eq!(stage.send(at(5)), Some((2, 0, 3)));
    assert_eq!(stage.answer(1, ErrorCode::MESSAGE_TOO_LARGE, at(6)), []);
    assert_eq!(stage.send(at(6)), None, "another one is in flight");
    stage.answer(2, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, at(6));
    assert_eq!(stage.send(at(6)), Some((3, 0, 0)));
    assert_eq!(stage.send(at(6)), Some((4, 0, 1)));
    assert_eq!(stage.send(at(6)), Some((5, 0, 3)));
    // The second half comes back as well, and the last batch with it.
    assert_eq!(stage.answer(3, ErrorCode::NONE, at(7)), [(0, Some(100))]);
    assert_eq!(stage.answer(4, ErrorCode::RECORD_LIST_TOO_LARGE, at(7)), []);
    stage.answer(5, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, at(7));
    assert_eq!(stage.send(at(7)), Some((6, 0, 1)));
    assert_eq!(stage.send(at(7)), Some((7, 0, 2)));
    assert_eq!(stage.send(at(7)), Some((8, 0, 3)));
    assert_eq!(stage.answer(6, ErrorCode::NONE, at(8)), [(1, Some(100))]);
    assert_eq!(stage.answer(7, ErrorCode::MESSAGE_TOO_LARGE, at(8)), [(2, None)], "one record is too large");
    assert_eq!(stage.answer(8, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, at(8)), []);
    assert_eq!(stage.send(at(200)), Some((9, 1, 0)), "behind the gap");
}

#[test]
fn batches_after_one_that_is_too_large_are_made_half_as_large() {
    let mut stage = Stage::new();
    stage.small_records(6);
    stage.send(at(5));
    let before = stage.queue.in_flight[0].batch.len();
    stage.answer(1, ErrorCode::MESSAGE_TOO_LARGE, at(6));
    stage.small_records(6);
    let later: Vec<_> = stage.queue.waiting.iter().skip(2).map(Batch::len).collect();
    assert!(later.len() > 1 && later.iter().all(|len| *len <= before / 2), "{later:?} of {before}");
}

#[test]
fn a_batch_that_is_too_large_behind_a_gap_comes_back_as_two() {
    let mut stage = Stage::new();
    stage.batch(at(0));
    stage.small_records(2);
    stage.batch(at(0));
    (0..3).for_each(|_| assert!(stage.send(at(5)).is_some()));
    assert_eq!(stage.answer(1, ErrorCode::MESSAGE_TOO_LARGE, at(6)), [(0, None)], "one record is too large");
    assert_eq!(stage.answer(2, ErrorCode::MESSAGE_TOO_LARGE, at(6)), []);
    assert_eq!(stage.answer(3, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, at(6)), []);
    assert_eq!(stage.send(at(6)), Some((4, 1, 0)));
    assert_eq!(stage.send(at(6)), Some((5, 1, 1)));
    assert_eq!(stage.send(at(6)), Some((6, 1, 2)));
    assert_eq!(stage.answer(4, ErrorCode::NONE, at(7)), [(1, Some(100))]);
    assert_eq!(stage.answer(5, ErrorCode::NONE, at(7)), [(2, Some(100))]);
    assert_eq!(stage.answer(6, ErrorCode::NONE, at(7)), [(3, Some(100))]);
}

#[test]
fn a_batch_that_is_too_large_in_a_refuted_chain_comes_back_as_two() {
    let mut stage = Stage::new();
    stage.batch(at(0));
    stage.send(at(0));
    stage.answer(1, ErrorCode::NONE, at(0));
    stage.batch(at(0));
    stage.small_records(2);
    assert_eq!(stage.send(at(5)), Some((2, 0, 1)));
    assert_eq!(stage.send(at(5)), Some((3, 0, 2)));
    stage.answer(2, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, at(6));
    assert_eq!(stage.answer(3, ErrorCode::MESSAGE_TOO_LARGE, at(6)), []);
    assert_eq!(stage.send(at(6)), Some((4, 1, 0)));
    assert_eq!(stage.send(at(6)), Some((5, 1, 1)));
    assert_eq!(stage.send(at(6)), Some((6, 1, 2)));
}

#[test]
fn a_gap_behind_the_halves_moves_back_with_what_is_behind_it() {
    let mut stage = Stage::new();
    stage.small_records(2);
    (0..2).for_each(|_| stage.batch(at(0)));
    (0..3).for_each(|_| assert!(stage.send(at(5)).is_some()));
    stage.answer(2, ErrorCode::MESSAGE_TOO_LARGE, at(6));
    stage.answer(3, ErrorCode::REQUEST_TIMED_OUT, at(6));
    assert_eq!(stage.answer(1, ErrorCode::MESSAGE_TOO_LARGE, at(6)), []);
    // The last batch may be in the log: all keep their numbers until that is known.
    assert_eq!(stage.send(at(500)), Some((4, 0, 0)));
    stage.answer(4, ErrorCode::NONE, at(500));
    assert_eq!(stage.send(at(500)), Some((5, 0, 1)));
    stage.answer(5, ErrorCode::NONE, at(500));
    assert_eq!(stage.queue.chain, Chain::Gap(2), "the halves have 0 and 1, what is missing has 2");
    assert_eq!(stage.send(at(500)), Some((6, 0, 3)));
    stage.answer(6, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, at(500));
    assert_eq!(stage.send(at(1000)), Some((7, 1, 0)));
}

#[test]
fn a_batch_that_may_be_in_the_log_is_not_split() {
    let mut stage = Stage::new();
    stage.small_records(2);
    stage.send(at(5));
    stage.answer(1, ErrorCode::REQUEST_TIMED_OUT, at(5));
    assert!(stage.send(at(500)).is_some());
    assert_eq!(stage.answer(2, ErrorCode::MESSAGE_TOO_LARGE, at(500)), [(0, None), (1, None)]);
}

#[test]
fn halves_hold_the_records_in_order() {
    let mut batch = Batch::new(7, at(0), Extent::NONE);
    for number in 0..5_u8 {
        let record = Record::to("t").key(vec![number]).value("v").header("h", vec![number]);
        let entry = Entry { token: number, charge: 1, generation: 0, timestamp: 1000 + i64::from(number) };
        batch.add(&record, entry).unwrap();
    }
    let (mut first, mut second) = batch.split().unwrap();
    assert_eq!((first.number, second.number), (7, 8));
    let mut found = Vec::new();
    for half in [&mut first, &mut second] {
        let bytes = half.content().finish(Compression::NONE, &BatchOrigin::ANONYMOUS).unwrap().freeze();
        let header = BatchHeader::parse(&bytes).unwrap();
        let records = decode_records(&header, &bytes, 1000).unwrap().map(Result::unwrap);
        let tokens = half.entries.iter().map(|entry| entry.token);
        found.extend(records.zip(tokens).map(|(record, token)| {
            let header = record.headers[0].value.clone().unwrap();
            (record.timestamp.0, record.key.unwrap()[0], header[0], token)
        }));
    }
    assert_eq!(found, [(1000, 0, 0, 0), (1001, 1, 1, 1), (1002, 2, 2, 2), (1003, 3, 3, 3), (1004, 4, 4, 4)]);
}

#[test]
fn behind_a_gap_what_may_be_appended_keeps_its_numbers() {
    let mut stage = Stage::new();
    (0..2).for_each(|_| stage.batch(at(0)));
    stage.send(at(0));
    stage.send(at(0));
    stage.answer(1, ErrorCode::MESSAGE_TOO_LARGE, at(1));
    stage.answer(2, ErrorCode::REQUEST_TIMED_OUT, at(1));
    assert_eq!(stage.send(at(200)), Some((3, 0, 1)), "the second may be in the log under its number");
    stage.batch(at(200));
    assert_eq!(stage.send(at(200)), None, "one at a time while it is not known");
    stage.answer(3, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, at(201));
    assert_eq!(stage.send(at(400)), Some((4, 1, 0)), "now it is known not to be");
    assert_eq!(stage.send(at(400)), Some((5, 1, 1)));
}

#[test]
fn a_gap_that_the_broker_does_not_miss_is_none() {
    let mut stage = Stage::new();
    (0..3).for_each(|_| stage.batch(at(0)));
    stage.send(at(0));
    stage.send(at(0));
    stage.answer(1, ErrorCode::MESSAGE_TOO_LARGE, at(1));
    assert_eq!(stage.answer(2, ErrorCode::NONE, at(1)), [(1, Some(100))]);
    assert_eq!(stage.send(at(1)), Some((3, 0, 2)));
}

#[test]
fn records_in_flight_expire_and_their_batch_is_not_sent_again() {
    let mut stage = Stage::new();
    stage.batch(at(0));
    stage.send(at(0));
    stage.batch(at(50_000));
    assert_eq!(stage.queue.expires_at(&RULES), Some(at(100_000)));
    assert_eq!(fates(stage.queue.expire(at(100_000), &RULES)), [(0, None)]);
    assert_eq!(fates(stage.queue.expire(at(100_001), &RULES)), [], "once");
    assert_eq!(stage.answer(1, ErrorCode::REQUEST_TIMED_OUT, at(100_001)), []);
    // It may be missing: the next one begins an epoch.
    assert_eq!(stage.send(at(100_200)), Some((2, 1, 0)));
}

#[test]
fn waiting_records_expire_without_a_gap_if_they_never_left() {
    let mut stage = Stage::new();
    stage.batch(at(0));
    stage.batch(at(1));
    assert_eq!(fates(stage.queue.expire(at(100_000), &RULES)), [(0, None)]);
    assert_eq!(stage.send(at(100_000)), Some((1, 0, 0)));
}

#[test]
fn after_the_last_epoch_comes_another_producer_id() {
    let mut stage = Stage::new();
    stage.identity = Identity::Known(Sequence::new(7, i16::MAX));
    stage.queue.sequence = stage.identity.sequence();
    stage.batch(at(0));
    stage.send(at(0));
    stage.answer(1, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, at(0));
    assert_eq!(stage.send(at(200)), None);
    assert!(matches!(stage.identity, Identity::Missing { .. }));
    stage.identity = Identity::Known(Sequence::new(8, 0));
    assert_eq!(stage.send(at(200)), Some((3, 0, 0)));
}

#[test]
fn a_fenced_producer_fails_what_may_be_appended_and_goes_on_under_another_id() {
    let mut stage = Stage::new();
    (0..3).for_each(|_| stage.batch(at(0)));
    (0..3).for_each(|_| assert!(stage.send(at(0)).is_some()));
    stage.answer(2, ErrorCode::REQUEST_TIMED_OUT, at(0));
    assert_eq!(stage.answer(1, ErrorCode::INVALID_PRODUCER_EPOCH, at(0)), [(0, None), (1, None)]);
    assert_eq!(stage.answer(3, ErrorCode::REQUEST_TIMED_OUT, at(0)), [(2, None)]);
    stage.batch(at(200));
    stage.identity = Identity::Known(Sequence::new(8, 0));
    assert_eq!(stage.send(at(200)), Some((4, 0, 0)));
}
