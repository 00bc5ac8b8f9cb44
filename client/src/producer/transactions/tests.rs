//! The states of a producer's transactions, step by step.

use proptest::prelude::*;
use trilog_protocol::ErrorCode;

use super::steps::Key;
use super::*;

const RETRY: Backoff = Backoff { initial: Duration::from_millis(100), max: Duration::from_secs(1) };
const BUSY: Standing = Standing { is_idle: false, has_gap: false };
const IDLE: Standing = Standing { is_idle: true, has_gap: false };
const GAP: Standing = Standing { is_idle: true, has_gap: true };
const FIRST: IdAndEpoch = IdAndEpoch { id: 7, epoch: 0 };
const SECOND: IdAndEpoch = IdAndEpoch { id: 7, epoch: 1 };

fn place(partition: i32) -> Place {
    ("t".into(), partition)
}

fn offsets(generation: i32) -> Offsets {
    let group = GroupMetadata { generation, ..GroupMetadata::of_group("g") };
    Offsets { group, offsets: [(TopicPartition::new("in", 0), CommitOffset::at(5))].into() }
}

fn broker<T>(code: ErrorCode) -> Result<T, Error> {
    Err(Error::code(code))
}

/// A producer whose requests are answered one by one.
struct Stage {
    all: Transactions,
    now: Duration,
}

impl Stage {
    fn new() -> Self {
        Self { all: Transactions::new(RETRY), now: Duration::ZERO }
    }

    /// A producer that is ready, where `transaction.version` has this level.
    fn ready(level: i16) -> Self {
        let mut stage = Self::new();
        assert!(stage.all.init().is_none());
        stage.found();
        stage.answer(BUSY, Ok(Answer::Producer(FIRST, level)));
        assert!(matches!(stage.all.init(), Some(Ok(()))));
        assert_eq!(stage.all.renewed(), Some(FIRST));
        stage
    }

    /// A producer with an open transaction, of which the brokers know.
    fn begun(level: i16) -> (Self, u64) {
        let mut stage = Self::ready(level);
        let number = stage.begin();
        if level < IMPLICIT_FROM {
            assert!(!stage.all.admits(&place(0)));
            stage.answer(BUSY, Ok(Answer::Parts(vec![(place(0), ErrorCode::NONE)])));
        }
        assert!(stage.all.admits(&place(0)));
        stage.all.sent();
        (stage, number)
    }

    fn begin(&mut self) -> u64 {
        self.all.begin().expect("nothing is waited for").expect("it begins")
    }

    /// The request that is due, now or once the back-off is over.
    fn next(&mut self, standing: Standing) -> Option<Step> {
        let wake_at = self.all.wake_at(standing);
        self.now = self.now.max(wake_at.unwrap_or_default());
        self.all.next(self.now, standing)
    }

    /// Answers the request that is due, and returns it.
    fn answer(&mut self, standing: Standing, reply: Result<Answer, Error>) -> Call {
        let step = self.next(standing).expect("a request is due");
        self.all.answered(&step.call, reply, self.now, 0.5);
        step.call
    }

    /// Answers the search for a coordinator.
    fn found(&mut self) {
        let call = self.answer(IDLE, Ok(Answer::Coordinator(1)));
        assert!(matches!(call, Call::FindCoordinator(_)), "{call:?}");
    }
}

fn end(producer: IdAndEpoch, commits: bool, protocol: Protocol) -> Call {
    Call::EndTxn { producer, commits, protocol }
}

/// The class of an outcome that is an error.
fn class(outcome: Option<Result<(), Error>>) -> ErrorClass {
    outcome.expect("it is known").expect_err("it is an error").class()
}

#[test]
fn a_producer_finds_its_coordinator_then_gets_an_id() {
    let mut stage = Stage::new();
    assert_eq!(stage.next(IDLE), None, "nobody has asked");
    assert!(stage.all.begin().unwrap().is_err(), "it is not registered");
    assert!(stage.all.init().is_none());
    let step = stage.next(BUSY).unwrap();
    assert_eq!(step, Step { node: None, call: Call::FindCoordinator(Key::Transaction) });
    assert_eq!(stage.next(BUSY), None, "one request at a time");
    stage.all.answered(&step.call, Ok(Answer::Coordinator(3)), stage.now, 0.5);
    let step = stage.next(BUSY).unwrap();
    assert_eq!(step, Step { node: Some(3), call: Call::InitProducerId { producer: None } });
    stage.all.answered(&step.call, Ok(Answer::Producer(FIRST, 2)), stage.now, 0.5);
    assert!(matches!(stage.all.init(), Some(Ok(()))));
}

#[test]
fn an_explicit_transaction_is_told_of_its_partitions_and_keeps_the_epoch() {
    let mut stage = Stage::ready(1);
    let number = stage.begin();
    assert!(!stage.all.admits(&place(0)) && !stage.all.admits(&place(1)));
    let codes = vec![(place(0), ErrorCode::NONE), (place(1), ErrorCode::CONCURRENT_TRANSACTIONS)];
    let call = stage.answer(BUSY, Ok(Answer::Parts(codes)));
    assert_eq!(call, Call::AddPartitions { producer: FIRST, partitions: vec![place(0), place(1)] });
    assert!(stage.all.admits(&place(0)) && !stage.all.admits(&place(1)));
    let waited = stage.all.wake_at(BUSY).unwrap();
    assert_eq!(waited, Duration::from_millis(20), "the last transaction ends soon");
    let call = stage.answer(BUSY, Ok(Answer::Parts(vec![(place(1), ErrorCode::NONE)])));
    assert_eq!(call, Call::AddPartitions { producer: FIRST, partitions: vec![place(1)] });
    assert!(stage.all.commit(number).is_none());
    assert_eq!(stage.next(BUSY), None, "records have no fate yet");
    let call = stage.answer(IDLE, Ok(Answer::Ended(None, 1)));
    assert_eq!(call, end(FIRST, true, Protocol::Explicit));
    assert!(matches!(stage.all.commit(number), Some(Ok(()))));
    assert_eq!(stage.all.renewed(), None);
    stage.begin();
    assert!(!stage.all.admits(&place(0)), "the next transaction begins anew");
}

#[test]
fn an_implicit_transaction_gets_a_new_epoch_at_its_end() {
    let (mut stage, number) = Stage::begun(2);
    assert_eq!(stage.next(IDLE), None, "no broker is told of partitions");
    assert!(stage.all.commit(number).is_none());
    let call = stage.answer(IDLE, Ok(Answer::Ended(Some(SECOND), 2)));
    assert_eq!(call, end(FIRST, true, Protocol::Implicit));
    assert!(matches!(stage.all.commit(number), Some(Ok(()))));
    assert_eq!((stage.all.renewed(), stage.all.renewed()), (Some(SECOND), None));
}

#[test]
fn a_transaction_without_records_ends_without_a_request() {
    for level in [0, 1, 2] {
        let mut stage = Stage::ready(level);
        for commits in [true, false] {
            let number = stage.begin();
            let ended = if commits { stage.all.commit(number) } else { stage.all.abort(number) };
            assert!(ended.is_none());
            assert_eq!(stage.next(IDLE), None);
            let ended = if commits { stage.all.commit(number) } else { stage.all.abort(number) };
            assert!(matches!(ended, Some(Ok(()))));
        }
    }
}

#[test]
fn a_record_that_failed_has_its_transaction_aborted() {
    for (level, standing) in [(1, IDLE), (1, GAP), (2, IDLE), (2, GAP)] {
        let (mut stage, number) = Stage::begun(level);
        assert!(stage.all.commit(number).is_none());
        let late = Error::Timeout { what: "a record", limit: Duration::ZERO, cause: String::new() };
        stage.all.record_failed(&late);
        assert_eq!(class(stage.all.commit(number)), ErrorClass::NeedsAbort);
        assert_eq!(stage.all.admit(Some(number)).unwrap_err().class(), ErrorClass::NeedsAbort);
        assert_eq!(stage.next(standing), None, "the application aborts");
        assert!(stage.all.abort(number).is_none());
        assert!(matches!(stage.all.stops_records(), Some(Error::TransactionAborted)));
        assert_eq!(stage.next(BUSY), None, "a batch is still on its way");
        let next = (level == 2).then_some(SECOND);
        let call = stage.answer(standing, Ok(Answer::Ended(next, level)));
        assert!(matches!(call, Call::EndTxn { commits: false, .. }), "{call:?}");
        assert!(matches!(stage.all.abort(number), Some(Ok(()))));
        if level == 1 && standing.has_gap {
            let call = stage.answer(IDLE, Ok(Answer::Producer(SECOND, level)));
            assert_eq!(call, Call::InitProducerId { producer: Some(FIRST) });
        }
        let has_new_epoch = level == 2 || standing.has_gap;
        assert_eq!(stage.all.renewed(), has_new_epoch.then_some(SECOND));
        stage.begin();
    }
}

#[test]
fn a_commit_whose_answer_is_lost_is_sent_again_and_cannot_be_taken_back() {
    let (mut stage, number) = Stage::begun(2);
    assert!(stage.all.commit(number).is_none());
    let lost = Err(Error::Disconnected { cause: String::new() });
    let first = stage.answer(IDLE, lost);
    assert_eq!(class(stage.all.abort(number)), ErrorClass::Refused);
    assert!(stage.all.commit(number).is_none());
    stage.found();
    let second = stage.answer(IDLE, broker(ErrorCode::CONCURRENT_TRANSACTIONS));
    let third = stage.answer(IDLE, Ok(Answer::Ended(Some(SECOND), 2)));
    assert_eq!((&second, &third), (&first, &first));
    assert!(matches!(stage.all.commit(number), Some(Ok(()))));
    assert_eq!(class(stage.all.abort(number)), ErrorClass::Refused, "it is committed");
}

#[test]
fn a_commit_that_was_not_sent_can_be_aborted() {
    let (mut stage, number) = Stage::begun(2);
    assert!(stage.all.commit(number).is_none());
    assert!(stage.all.abort(number).is_none());
    assert_eq!(stage.answer(IDLE, Ok(Answer::Ended(None, 2))), end(FIRST, false, Protocol::Implicit));
    assert_eq!(class(stage.all.commit(number)), ErrorClass::Refused);
}

#[test]
fn a_transaction_that_was_let_go_of_is_aborted_before_the_next_one() {
    let (mut stage, number) = Stage::begun(1);
    assert!(matches!(stage.all.begin(), Some(Err(Error::TransactionState { .. }))), "one is open");
    stage.all.abandon(number);
    assert!(stage.all.begin().is_none());
    stage.answer(IDLE, Ok(Answer::Ended(None, 1)));
    let next = stage.begin();
    assert!(next > number);
    stage.all.abandon(number);
    assert!(stage.all.admit(Some(next)).is_ok(), "the next one is another");
    assert!(stage.all.admit(Some(number)).is_err());
}

#[test]
fn a_commit_that_was_let_go_of_goes_on_and_is_aborted_if_it_fails() {
    for fails in [false, true] {
        let (mut stage, number) = Stage::begun(1);
        assert!(stage.all.commit(number).is_none());
        stage.all.abandon(number);
        if fails {
            stage.all.record_failed(&Error::Unencodable { cause: String::new() });
        }
        assert!(stage.all.begin().is_none());
        let call = stage.answer(IDLE, Ok(Answer::Ended(None, 1)));
        assert_eq!(call, end(FIRST, !fails, Protocol::Explicit));
        stage.begin();
    }
}

#[test]
fn offsets_go_to_the_group_s_coordinator_and_the_commit_waits_for_them() {
    for level in [1, 2] {
        let mut stage = Stage::ready(level);
        let number = stage.begin();
        let ticket = stage.all.send_offsets(number, offsets(3)).unwrap();
        assert!(stage.all.offsets_sent(number, ticket).is_none());
        assert!(stage.all.commit(number).is_none());
        if level == 1 {
            let call = stage.answer(IDLE, Ok(Answer::Added));
            assert_eq!(call, Call::AddOffsets { producer: FIRST, group: "g".to_owned() });
        }
        let call = stage.answer(IDLE, Ok(Answer::Coordinator(2)));
        assert_eq!(call, Call::FindCoordinator(Key::Group("g".to_owned())));
        let step = stage.next(IDLE).unwrap();
        let protocol = if level == 1 { Protocol::Explicit } else { Protocol::Implicit };
        let call = Call::CommitOffsets { producer: FIRST, offsets: Arc::new(offsets(3)), protocol };
        assert_eq!(step, Step { node: Some(2), call });
        let codes = vec![(("in".into(), 0), ErrorCode::NONE)];
        stage.all.answered(&step.call, Ok(Answer::Parts(codes)), stage.now, 0.5);
        assert!(matches!(stage.all.offsets_sent(number, ticket), Some(Ok(()))));
        assert!(matches!(
            stage.answer(IDLE, Ok(Answer::Ended(None, level))),
            Call::EndTxn { commits: true, .. }
        ));
        assert!(matches!(stage.all.commit(number), Some(Ok(()))));
    }
}

#[test]
fn no_offsets_are_sent_at_once() {
    let (mut stage, number) = Stage::begun(2);
    let none = Offsets { offsets: BTreeMap::new(), ..offsets(3) };
    let ticket = stage.all.send_offsets(number, none).unwrap();
    assert!(matches!(stage.all.offsets_sent(number, ticket), Some(Ok(()))));
    assert_eq!(stage.next(BUSY), None);
}

#[test]
fn a_member_that_the_group_has_given_up_is_told_its_code() {
    for code in [ErrorCode::ILLEGAL_GENERATION, ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::FENCED_INSTANCE_ID] {
        let (mut stage, number) = Stage::begun(2);
        let ticket = stage.all.send_offsets(number, offsets(3)).unwrap();
        stage.found();
        stage.answer(BUSY, Ok(Answer::Parts(vec![(("in".into(), 0), code)])));
        let told = stage.all.offsets_sent(number, ticket).unwrap().unwrap_err();
        let Error::NeedsAbort { cause } = &told else { panic!("{told}") };
        assert!(matches!(**cause, Error::Broker { code: found, .. } if found == code), "{told}");
        assert_eq!(class(stage.all.commit(number)), ErrorClass::NeedsAbort);
    }
}

#[test]
fn an_id_that_the_coordinator_has_forgotten_is_given_anew_after_the_abort() {
    for level in [1, 2] {
        let (mut stage, number) = Stage::begun(level);
        assert!(stage.all.commit(number).is_none());
        stage.answer(IDLE, broker(ErrorCode::INVALID_PRODUCER_ID_MAPPING));
        assert_eq!(class(stage.all.commit(number)), ErrorClass::NeedsAbort);
        assert!(stage.all.abort(number).is_none());
        let next = IdAndEpoch { id: 8, epoch: 0 };
        let call = stage.answer(IDLE, Ok(Answer::Producer(next, level)));
        assert_eq!(call, Call::InitProducerId { producer: Some(FIRST) });
        assert!(matches!(stage.all.abort(number), Some(Ok(()))));
        assert_eq!(stage.all.renewed(), Some(next));
        stage.begin();
    }
}

#[test]
fn a_transaction_that_the_coordinator_may_not_know_of_is_aborted_all_the_same() {
    let mut stage = Stage::ready(1);
    let number = stage.begin();
    assert!(!stage.all.admits(&place(0)));
    stage.answer(BUSY, Err(Error::Disconnected { cause: String::new() }));
    assert!(stage.all.abort(number).is_none());
    stage.found();
    let call = stage.answer(IDLE, broker(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(call, end(FIRST, false, Protocol::Explicit));
    let call = stage.answer(IDLE, Ok(Answer::Producer(SECOND, 1)));
    assert_eq!(call, Call::InitProducerId { producer: Some(FIRST) });
    assert!(matches!(stage.all.abort(number), Some(Ok(()))));
}

#[test]
fn transactions_become_implicit_in_a_new_epoch_and_explicit_at_once() {
    let (mut stage, number) = Stage::begun(1);
    assert!(stage.all.commit(number).is_none());
    stage.answer(IDLE, Ok(Answer::Ended(None, 2)));
    assert!(matches!(stage.all.commit(number), Some(Ok(()))));
    assert!(stage.all.begin().is_none(), "the epoch comes first");
    stage.answer(IDLE, Ok(Answer::Producer(SECOND, 2)));
    let number = stage.begin();
    assert_eq!(stage.all.protocol(), Protocol::Implicit);
    stage.all.sent();
    assert!(stage.all.commit(number).is_none());
    stage.answer(IDLE, Ok(Answer::Ended(Some(IdAndEpoch { id: 7, epoch: 2 }), 1)));
    stage.begin();
    assert_eq!(stage.all.protocol(), Protocol::Explicit);
}

#[test]
fn a_closed_producer_aborts_what_is_open_and_finishes_what_is_committed() {
    for commits in [false, true] {
        let (mut stage, number) = Stage::begun(2);
        if commits {
            assert!(stage.all.commit(number).is_none());
        }
        stage.all.close();
        assert!(!stage.all.is_at_rest());
        let call = stage.answer(IDLE, Ok(Answer::Ended(None, 2)));
        assert_eq!(call, end(FIRST, commits, Protocol::Implicit));
        assert!(stage.all.is_at_rest());
        assert!(matches!(stage.all.begin(), Some(Err(Error::Closed))));
    }
}

#[test]
fn a_broker_without_transactions_is_told_of_plainly() {
    let mut stage = Stage::new();
    assert!(stage.all.init().is_none());
    let message = Some("no transactions here".to_owned());
    stage.answer(BUSY, Err(Error::Broker { code: ErrorCode::CLUSTER_AUTHORIZATION_FAILED, message }));
    let told = stage.all.init().unwrap().unwrap_err();
    assert_eq!(told.class(), ErrorClass::Fatal);
    assert!(told.to_string().ends_with("no transactions here"), "{told}");
    assert_eq!(stage.all.begin().unwrap().unwrap_err().class(), ErrorClass::Fatal);
}

/// The requests, each as it is due in some state.
fn requests() -> Vec<(&'static str, Stage, u64)> {
    let mut all = Vec::new();
    for level in [1, 2] {
        let (mut stage, number) = Stage::begun(level);
        assert!(stage.all.commit(number).is_none());
        all.push(("commit", stage, number));
        let (mut stage, number) = Stage::begun(level);
        assert!(stage.all.abort(number).is_none());
        all.push(("abort", stage, number));
        let (mut stage, number) = Stage::begun(level);
        stage.all.send_offsets(number, offsets(3)).unwrap();
        all.push(("find the group", stage, number));
        let (mut stage, number) = Stage::begun(level);
        stage.all.send_offsets(number, offsets(3)).unwrap();
        if level == 1 {
            stage.answer(IDLE, Ok(Answer::Added));
        }
        stage.found();
        all.push(("offsets", stage, number));
    }
    let (mut stage, number) = Stage::begun(1);
    assert!(!stage.all.admits(&place(1)));
    all.push(("partitions", stage, number));
    let (mut stage, number) = Stage::begun(1);
    stage.all.send_offsets(number, offsets(3)).unwrap();
    all.push(("group", stage, number));
    all
}

#[test]
fn every_code_to_every_request_leaves_something_to_do_or_is_told() {
    for code in (-1..=133).filter(|code| *code != 0).map(ErrorCode) {
        for (name, mut stage, number) in requests() {
            let step = stage.next(IDLE).unwrap();
            let reply = match &step.call {
                Call::AddPartitions { .. } => Ok(Answer::Parts(vec![(place(1), code)])),
                Call::CommitOffsets { .. } => Ok(Answer::Parts(vec![(("in".into(), 0), code)])),
                _ => broker(code),
            };
            stage.all.answered(&step.call, reply, stage.now, 0.5);
            let told = match name {
                "abort" => stage.all.abort(number),
                "commit" => stage.all.commit(number),
                _ => stage.all.admit(Some(number)).err().map(Err),
            };
            let told = told.map(|outcome| outcome.expect_err("it was not done").class());
            let case = format!("{name}: {code}: {told:?}");
            match told {
                None => assert!(stage.next(IDLE).is_some(), "{case}"),
                Some(class) => {
                    let is_known = [ErrorClass::NeedsAbort, ErrorClass::Fenced, ErrorClass::Fatal];
                    assert!(is_known.contains(&class), "{case}");
                }
            }
            match code {
                ErrorCode::PRODUCER_FENCED | ErrorCode::INVALID_PRODUCER_EPOCH => {
                    assert_eq!(told, Some(ErrorClass::Fenced), "{case}");
                }
                ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED => {
                    assert_eq!(told, Some(ErrorClass::Fatal), "{case}");
                }
                ErrorCode::TRANSACTION_ABORTABLE if name != "abort" => {
                    assert_eq!(told, Some(ErrorClass::NeedsAbort), "{case}");
                }
                ErrorCode::NOT_COORDINATOR
                | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
                | ErrorCode::CONCURRENT_TRANSACTIONS => assert_eq!(told, None, "{case}"),
                _ => {}
            }
        }
    }
}

proptest! {
    /// Errors that pass do not make an application wait for ever, and never change a commit into anything else.
    #[test]
    fn a_commit_comes_through_whatever_passes(level in 1_i16..=2, codes in prop::collection::vec(0_usize..6, 0..40)) {
        let passing = [
            ErrorCode::NOT_COORDINATOR,
            ErrorCode::COORDINATOR_NOT_AVAILABLE,
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
            ErrorCode::CONCURRENT_TRANSACTIONS,
            ErrorCode::REQUEST_TIMED_OUT,
        ];
        let (mut stage, number) = Stage::begun(level);
        prop_assert!(stage.all.commit(number).is_none());
        for code in codes {
            let lost = Error::Disconnected { cause: String::new() };
            let error = passing.get(code).map_or(lost, |code| Error::code(*code));
            stage.answer(IDLE, Err(error));
            prop_assert!(stage.all.commit(number).is_none());
            let until = stage.all.wake_at(IDLE).expect("the machine tries again");
            prop_assert!(until <= stage.now + RETRY.max);
        }
        for _ in 0..2 {
            let step = stage.next(IDLE).unwrap();
            let reply = match step.call {
                Call::FindCoordinator(_) => Ok(Answer::Coordinator(2)),
                _ => Ok(Answer::Ended(None, level)),
            };
            stage.all.answered(&step.call, reply, stage.now, 0.5);
            if stage.all.commit(number).is_some() {
                break;
            }
        }
        prop_assert!(matches!(stage.all.commit(number), Some(Ok(()))));
    }
}
