use std::collections::HashMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::partition::Command;
use crate::partition::producers::AGE_STEPS;
use crate::partition::record_check::{RecordLimits, check_record_set};
use crate::partition::testing::{BatchBuilder, TestRecord, header_of};
use trilog_protocol::batch::{batches, crc_of};

const NOW: TimestampMs = TimestampMs(5000);

fn checked(batch: &BatchBuilder) -> CheckedBatch {
    check_record_set(Bytes::from(batch.build()), &RecordLimits::of_size(1 << 20)).unwrap()
}

/// An appender with the payload it drafts.
struct Leader {
    appender: Appender,
    payload: Vec<u8>,
}

impl Leader {
    fn of(state: &PartitionState, epoch: i32) -> Self {
        Self { appender: Appender::new(state, LeaderEpoch(epoch)), payload: Vec::new() }
    }

    fn prepare(&mut self, batch: &BatchBuilder) -> Prepared {
        let batch = checked(batch);
        self.appender.prepare(&batch, NOW, Duration::ZERO, TimestampType::CreateTime, &mut self.payload)
    }

    /// Refuses a batch for a reason that passes.
    fn refuse(&mut self, batch: &BatchBuilder) {
        self.appender.refused(&checked(batch), Duration::ZERO);
    }

    /// Ends the draft as proposed and returns its payload.
    fn propose(&mut self) -> Bytes {
        self.appender.accept_draft();
        Bytes::from(std::mem::take(&mut self.payload))
    }
}

fn appended(base: i64, last: i64) -> Prepared {
    Prepared::Append { base_offset: Offset(base), last_offset: Offset(last), log_append_time: None }
}

fn duplicate(base: i64, last: i64) -> Prepared {
    Prepared::Duplicate { base_offset: Offset(base), last_offset: Offset(last), log_append_time: None }
}

#[test]
fn batches_get_consecutive_offsets_and_the_leader_epoch() {
    let mut state = PartitionState::default();
    let mut leader = Leader::of(&state, 3);
    assert_eq!(leader.prepare(&BatchBuilder::of_count(2)), appended(0, 1));
    assert_eq!(leader.prepare(&BatchBuilder::of_count(3)), appended(2, 4));
    let payload = leader.propose();
    for batch in batches(&payload) {
        let (header, bytes) = batch.unwrap();
        assert_eq!(header.partition_leader_epoch, LeaderEpoch(3));
        assert_eq!(header.crc, crc_of(&bytes));
    }
    state.apply(&payload).unwrap();
    assert_eq!(state.log_end_offset(), leader.appender.next_offset());
}

#[test]
fn the_append_time_is_stamped_where_the_topic_wants_it() {
    let mut appender = Appender::new(&PartitionState::default(), LeaderEpoch(1));
    let mut payload = Vec::new();
    let batch = checked(&BatchBuilder::of_count(1).producer(1, 0, 0));
    let time = Some(NOW);
    let (time_type, at) = (TimestampType::LogAppendTime, Duration::ZERO);
    let first = appender.prepare(&batch, NOW, at, time_type, &mut payload);
    assert_eq!(
        first,
        Prepared::Append { base_offset: Offset(0), last_offset: Offset(0), log_append_time: time }
    );
    let header = header_of(&payload);
    assert_eq!(header.attributes.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!((header.max_timestamp, header.crc), (NOW, crc_of(&payload)));

    let retry = appender.prepare(&batch, TimestampMs(9000), at, time_type, &mut payload);
    assert_eq!(
        retry,
        Prepared::Duplicate { base_offset: Offset(0), last_offset: Offset(0), log_append_time: time }
    );
}

#[test]
fn a_wrong_greatest_timestamp_is_corrected() {
    let mut leader = Leader::of(&PartitionState::default(), 1);
    let records = [TestRecord::at(5), TestRecord::at(1)];
    leader.prepare(&BatchBuilder::of_records(&records).timestamp(100).max_timestamp(0));
    let header = header_of(&leader.payload);
    assert_eq!((header.max_timestamp, header.crc), (TimestampMs(105), crc_of(&leader.payload)));
}

#[test]
fn a_retry_is_known_while_the_first_attempt_is_in_flight_and_after() {
    let mut state = PartitionState::default();
    let mut leader = Leader::of(&state, 1);
    let batch = BatchBuilder::of_count(2).producer(9, 0, 0);
    assert_eq!(leader.prepare(&batch), appended(0, 1));
    assert_eq!(leader.prepare(&batch), duplicate(0, 1));
    let payload = leader.propose();
    assert_eq!(leader.prepare(&batch), duplicate(0, 1));
    state.apply(&payload).unwrap();
    // A leader of the next term knows it too.
    assert_eq!(Leader::of(&state, 2).prepare(&batch), duplicate(0, 1));
}

#[test]
fn a_refused_batch_leaves_the_draft_as_it_was() {
    let mut leader = Leader::of(&PartitionState::default(), 1);
    leader.prepare(&BatchBuilder::of_count(1).producer(9, 0, 0));
    let length = leader.payload.len();
    let gap = leader.prepare(&BatchBuilder::of_count(1).producer(9, 0, 5));
    assert!(matches!(
        gap,
        Prepared::Refused(ProducerError::OutOfOrderSequence { expected: 1, found: 5, .. })
    ));
    assert_eq!(leader.payload.len(), length);
    assert_eq!(leader.appender.next_offset(), Offset(1));
}

#[test]
fn a_batch_that_overtook_refused_ones_comes_again_behind_them() {
    let mut state = PartitionState::default();
    let batch = |sequence| BatchBuilder::of_count(1).producer(7, 0, sequence);
    let mut before = Leader::of(&state, 1);
    assert_eq!(before.prepare(&batch(0)), appended(0, 0));
    state.apply(&before.propose()).unwrap();

    let mut leader = Leader::of(&state, 2);
    for found in [2, 3] {
        let overtaken = ProducerError::Overtaken { producer: ProducerId(7), expected: 1, found };
        assert_eq!(leader.prepare(&batch(found)), Prepared::Refused(overtaken));
    }
    for sequence in 1..4 {
        let offset = i64::from(sequence);
        assert_eq!(leader.prepare(&batch(sequence)), appended(offset, offset));
    }
    // From here on the leader knows what it has refused itself.
    let gap = ProducerError::OutOfOrderSequence { producer: ProducerId(7), expected: 4, found: 5 };
    assert_eq!(leader.prepare(&batch(5)), Prepared::Refused(gap));
}

#[test]
fn a_new_producers_batches_that_overtook_its_first_come_again_behind_it() {
    let mut leader = Leader::of(&PartitionState::default(), 1);
    let batch = |sequence| BatchBuilder::of_count(5).producer(7, 0, sequence);
    for found in [5, 10] {
        let overtaken = ProducerError::Overtaken { producer: ProducerId(7), expected: 0, found };
        assert_eq!(leader.prepare(&batch(found)), Prepared::Refused(overtaken));
    }
    for base in [0, 5, 10] {
        assert_eq!(leader.prepare(&batch(base)), appended(base.into(), i64::from(base) + 4));
    }
}

#[test]
fn an_unknown_producer_that_insists_goes_on_where_it_was() {
    let mut leader = Leader::of(&PartitionState::default(), 1);
    let batch = |sequence| BatchBuilder::of_count(5).producer(7, 2, sequence);
    for sequence in [40, 45] {
        let refused = leader.prepare(&batch(sequence));
        assert!(matches!(refused, Prepared::Refused(ProducerError::Overtaken { .. })), "{refused:?}");
    }
    assert_eq!(leader.prepare(&batch(40)), appended(0, 4));
    assert_eq!(leader.prepare(&batch(45)), appended(5, 9));
}

/// That a batch is refused for another one of producer 7, and comes again.
fn overtaken(expected: i32, found: i32) -> Prepared {
    Prepared::Refused(ProducerError::Overtaken { producer: ProducerId(7), expected, found })
}

#[test]
fn a_new_producers_batches_wait_for_its_first_however_often_that_is_refused() {
    let mut leader = Leader::of(&PartitionState::default(), 1);
    let batch = |sequence| BatchBuilder::of_count(5).producer(7, 0, sequence);
    for _ in 0..3 {
        // All are sent in one go, and what stood against the first is over before the second comes.
        leader.refuse(&batch(0));
        for found in [5, 10] {
            assert_eq!(leader.prepare(&batch(found)), overtaken(0, found));
        }
    }
    for base in [0, 5, 10] {
        assert_eq!(leader.prepare(&batch(base)), appended(base.into(), i64::from(base) + 4));
    }
}

#[test]
fn a_known_producers_batches_wait_for_one_that_was_refused() {
    let mut leader = Leader::of(&PartitionState::default(), 1);
    let batch = |sequence| BatchBuilder::of_count(1).producer(7, 0, sequence);
    assert_eq!(leader.prepare(&batch(0)), appended(0, 0));
    for _ in 0..2 {
        leader.refuse(&batch(1));
        // What is there already is no reason to wait, whatever becomes of its retry.
        leader.refuse(&batch(0));
        for found in [2, 3] {
            assert_eq!(leader.prepare(&batch(found)), overtaken(1, found));
        }
        assert_eq!(leader.prepare(&batch(0)), duplicate(0, 0));
    }
    for sequence in 1..4 {
        assert_eq!(leader.prepare(&batch(sequence)), appended(sequence.into(), sequence.into()));
    }
    let gap = ProducerError::OutOfOrderSequence { producer: ProducerId(7), expected: 4, found: 5 };
    assert_eq!(leader.prepare(&batch(5)), Prepared::Refused(gap), "nothing before it was refused");
}

#[test]
fn a_gap_that_is_one_is_told() {
    let mut state = PartitionState::default();
    let batch = |epoch, sequence| BatchBuilder::of_count(1).producer(7, epoch, sequence);
    let mut before = Leader::of(&state, 1);
    for sequence in 0..7 {
        assert!(matches!(before.prepare(&batch(0, sequence)), Prepared::Append { .. }));
    }
    state.apply(&before.propose()).unwrap();

    let mut leader = Leader::of(&state, 2);
    let mut is_overtaken = |epoch, sequence| match leader.prepare(&batch(epoch, sequence)) {
        Prepared::Refused(ProducerError::Overtaken { .. }) => true,
        Prepared::Refused(ProducerError::OutOfOrderSequence { .. }) => false,
        other => panic!("{other:?}"),
    };
    assert!(is_overtaken(0, 9));
    assert!(!is_overtaken(0, 9), "it comes again without what was missing");
    assert!(!is_overtaken(0, 8));
    assert!(is_overtaken(1, 3), "the first ones of a new epoch may have been refused, too");
    assert!(!is_overtaken(1, 3));
    assert!(!is_overtaken(0, 1), "what was there long ago is no gap");
}

#[test]
fn a_discarded_draft_never_was() {
    let mut leader = Leader::of(&PartitionState::default(), 1);
    leader.prepare(&BatchBuilder::of_count(1).producer(9, 0, 0));
    leader.propose();

    leader.prepare(&BatchBuilder::of_count(1).producer(9, 0, 1));
    leader.prepare(&BatchBuilder::of_count(1).producer(9, 1, 0));
    leader.prepare(&BatchBuilder::of_count(1).producer(4, 0, 0));
    leader.prepare(&BatchBuilder::of_count(5));
    leader.refuse(&BatchBuilder::of_count(1).producer(7, 0, 0));
    leader.prepare(&BatchBuilder::of_count(1).producer(7, 0, 0));
    leader.appender.discard_draft();
    leader.payload.clear();

    assert_eq!(leader.prepare(&BatchBuilder::of_count(1).producer(7, 0, 1)), overtaken(0, 1));
    assert_eq!(leader.appender.next_offset(), Offset(1));
    assert_eq!(leader.prepare(&BatchBuilder::of_count(1).producer(9, 0, 0)), duplicate(0, 0));
    assert_eq!(leader.prepare(&BatchBuilder::of_count(1).producer(9, 0, 1)), appended(1, 1));
    assert_eq!(leader.prepare(&BatchBuilder::of_count(1).producer(4, 0, 0)), appended(2, 2));
}

#[test]
fn one_producer_too_many_is_refused_until_there_is_room_and_known_ones_go_on() {
    let mut state = PartitionState::default();
    let mut leader = Leader::of(&state, 1);
    leader.appender.bound_producers(2);
    let batch = |id, sequence| BatchBuilder::of_count(1).producer(id, 0, sequence);
    assert_eq!([1, 2].map(|id| leader.prepare(&batch(id, 0))), [appended(0, 0), appended(1, 1)]);
    let too_many = Prepared::Refused(ProducerError::TooMany { known: 2 });
    for sequence in [0, 1, 0] {
        assert_eq!(leader.prepare(&batch(7, sequence)), too_many);
    }
    assert_eq!(leader.prepare(&BatchBuilder::of_count(1)), appended(2, 2), "that one has no producer id");
    assert_eq!([1, 2].map(|id| leader.prepare(&batch(id, 0))), [duplicate(0, 0), duplicate(1, 1)]);
    assert_eq!(leader.prepare(&batch(2, 1)), appended(3, 3));
    state.apply(&leader.propose());

    for age in 1..=u64::from(AGE_STEPS) + 1 {
        assert_eq!(leader.appender.age_producers(), age);
        state.apply(&Command::AgeProducers(age).encode().into());
        assert_eq!(leader.appender.producers, *state.producers());
    }
    assert_eq!(state.producers().len(), 0, "all were silent");
    assert_eq!(leader.prepare(&batch(7, 1)), overtaken(0, 1), "what was refused before it comes first");
    assert_eq!([0, 1].map(|sequence| leader.prepare(&batch(7, sequence))), [appended(4, 4), appended(5, 5)]);
}

#[test]
fn a_discarded_draft_makes_room_again() {
    let mut leader = Leader::of(&PartitionState::default(), 1);
    leader.appender.bound_producers(1);
    let batch = |id| BatchBuilder::of_count(1).producer(id, 0, 0);
    assert_eq!(leader.prepare(&batch(1)), appended(0, 0));
    assert_eq!(leader.prepare(&batch(2)), Prepared::Refused(ProducerError::TooMany { known: 1 }));
    leader.appender.discard_draft();
    leader.payload.clear();
    assert_eq!(leader.prepare(&batch(2)), appended(0, 0));
}

/// One step of a run: a producer sends (again) one of its recent batches, or something happens to the draft.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Producer `id` sends a batch that lies `back` batches before its next new one; a retry if `back` is not 0.
    Send {
        id: i64,
        back: usize,
    },
    /// A batch that skips one.
    Skip {
        id: i64,
    },
    Propose,
    Discard,
    /// All that is proposed is committed and applied.
    Apply,
    /// The leader changes. What is proposed and not applied is lost.
    Fail,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_i64, 0..5_usize).prop_map(|(id, back)| Step::Send { id, back }),
        1 => (0..3_i64).prop_map(|id| Step::Skip { id }),
        3 => Just(Step::Propose),
        1 => Just(Step::Discard),
        2 => Just(Step::Apply),
        1 => Just(Step::Fail),
    ]
}

/// A partition, its leader, and producers that hold five batches back for a retry.
struct Run {
    state: PartitionState,
    leader: Leader,
    epoch: i32,
    proposed: Vec<Bytes>,
    log: Vec<u8>,
    /// For each producer, how many of its batches the appender has accepted, drafts included.
    drafted: HashMap<i64, i32>,
    /// The same as of the last proposal, and as of the last application.
    sent: HashMap<i64, i32>,
    stored: HashMap<i64, i32>,
}

impl Run {
    fn new() -> Self {
        let state = PartitionState::default();
        let leader = Leader::of(&state, 1);
        let (drafted, sent, stored) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { state, leader, epoch: 1, proposed: Vec::new(), log: Vec::new(), drafted, sent, stored }
    }

    /// Each batch of a producer has two records.
    fn batch(id: i64, number: i32) -> BatchBuilder {
        BatchBuilder::of_count(2).producer(id, 0, number * 2)
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Send { id, back } => self.send(id, i32::try_from(back).unwrap()),
            Step::Skip { id } => {
                let next = *self.drafted.entry(id).or_default();
                if next > 0 {
                    assert!(matches!(self.leader.prepare(&Self::batch(id, next + 1)), Prepared::Refused(_)));
                }
            }
            Step::Propose => {
                let payload = self.leader.propose();
                self.proposed.push(payload);
                self.sent.clone_from(&self.drafted);
            }
            Step::Discard => {
                self.leader.appender.discard_draft();
                self.leader.payload.clear();
                self.drafted.clone_from(&self.sent);
            }
            Step::Apply => self.apply(),
            Step::Fail => self.fail(),
        }
    }

    fn send(&mut self, id: i64, back: i32) {
        let next = self.drafted.entry(id).or_default();
        let number = *next - back;
        if number < 0 {
            return;
        }
        match self.leader.prepare(&Self::batch(id, number)) {
            Prepared::Append { .. } => {
                assert_eq!(back, 0, "a retry was appended");
                *next += 1;
            }
            Prepared::Duplicate { .. } => assert!(back > 0, "a new batch was taken for a retry"),
            Prepared::Refused(error) => panic!("{error}"),
        }
    }

    fn apply(&mut self) {
        for payload in self.proposed.drain(..) {
            self.state.apply(&payload);
            self.log.extend_from_slice(&payload);
        }
        self.stored.clone_from(&self.sent);
        if self.leader.payload.is_empty() {
            assert_eq!(self.leader.appender.producers, *self.state.producers());
            assert_eq!(self.leader.appender.next_offset(), self.state.log_end_offset());
        }
    }

    fn fail(&mut self) {
        self.proposed.clear();
        self.epoch += 1;
        self.leader = Leader::of(&self.state, self.epoch);
        self.sent.clone_from(&self.stored);
        self.drafted.clone_from(&self.stored);
    }

    /// Every producer's records are there once and in order.
    fn assert_log_is_sound(&self) {
        let mut next: HashMap<i64, i32> = HashMap::new();
        let mut next_offset = Offset(0);
        for batch in batches(&Bytes::from(self.log.clone())) {
            let (header, _) = batch.unwrap();
            let sequence = next.entry(header.producer_id.0).or_default();
            assert_eq!(header.base_sequence, *sequence);
            assert_eq!(header.base_offset, next_offset);
            *sequence = header.last_sequence() + 1;
            next_offset = header.next_offset();
        }
        for (id, number) in &self.stored {
            assert_eq!(next.get(id).copied().unwrap_or_default(), number * 2);
        }
    }
}

proptest! {
    #[test]
    fn no_interleaving_duplicates_reorders_or_loses(steps in prop::collection::vec(any_step(), 1..120)) {
        let mut run = Run::new();
        for step in steps {
            run.step(step);
        }
        run.step(Step::Propose);
        run.step(Step::Apply);
        run.assert_log_is_sound();
    }
}
