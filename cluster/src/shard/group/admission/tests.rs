//! What is written down, what a power loss makes of it, and what is heeded.

use proptest::prelude::*;

use super::*;

fn written(admission: &Admission) -> Option<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let identity = trilog_storage::Identity { cluster_id: "test".into(), node_id: 1 };
    let store = Store::open(dir.path(), &identity, trilog_storage::StoreOptions::default()).unwrap();
    let mut batch = WriteBatch::new();
    admission.save(RaftGroupId(3), &mut batch);
    store.apply(batch).unwrap();
    store.record(RaftGroupId(3), KEY).unwrap()
}

#[test]
fn what_outlives_a_process_is_written_down() {
    let (until, groups, replays) = (RaftIndex(9), RaftGroupId(7), RaftIndex(0));
    let probation = Probation { term: 3, until, groups, replays };
    let record = written(&Admission::Probation(probation)).unwrap();
    assert!(matches!(Admission::decode(&record), Some(Admission::Probation(read)) if read == probation));
    assert_eq!(record, [3_u64, 9, 7].map(u64::to_be_bytes).concat(), "as builds before wrote it");
    let probation = Probation { replays: RaftIndex(9), ..probation };
    let record = written(&Admission::Probation(probation)).unwrap();
    assert!(matches!(Admission::decode(&record), Some(Admission::Probation(read)) if read == probation));
    let record = written(&Admission::Barred).unwrap();
    assert!(matches!(Admission::decode(&record), Some(Admission::Barred)));
    for replays in [0, 5] {
        let forgetful = Forgetful { term: 4, replays: RaftIndex(replays) };
        let record = written(&Admission::Forgetful(forgetful)).unwrap();
        assert!(matches!(Admission::decode(&record), Some(Admission::Forgetful(read)) if read == forgetful));
    }
    assert_eq!(written(&Admission::Full), None);
    assert!(Admission::decode(&[0; 9]).is_none());
}

#[test]
fn a_barrier_tells_whom_it_lets_in() {
    let store = StoreId([5; 16]);
    let barrier = Entry { context: barrier_of(NodeId(3), store).into(), ..Entry::default() };
    assert_eq!(let_in_by(&barrier), Some((NodeId(3), store)));
    assert_eq!(let_in_by(&Entry::default()), None);
}

#[test]
fn a_replica_without_memory_gives_no_vote_but_to_its_only_fellow() {
    for kind in [MessageType::MsgRequestVote, MessageType::MsgRequestPreVote] {
        assert!(!Admission::Barred.heeds(kind, 3) && !Admission::Barred.heeds(kind, 5));
        assert!(Admission::Barred.heeds(kind, 2));
    }
}

#[test]
fn a_power_loss_takes_nothing_of_a_replica_that_has_nothing_and_keeps_what_another_knows_of_itself() {
    let after = |known, term| Admission::after_power_loss(known, term);
    assert!(after(Some(Admission::Barred), 3).is_none());
    let is = |admission, term, replays| {
        let expected = Forgetful { term, replays: RaftIndex(replays) };
        matches!(admission, Some(Admission::Forgetful(forgetful)) if forgetful == expected)
    };
    assert!(is(after(None, 3), 3, 0));
    let (until, groups, replays) = (RaftIndex(9), RaftGroupId(0), RaftIndex(9));
    let probation = Probation { term: 5, until, groups, replays };
    assert!(is(after(Some(Admission::Probation(probation)), 4), 5, 9));
    assert!(is(after(after(Some(Admission::Probation(probation)), 4), 6), 6, 9));
}

#[test]
fn a_probation_is_over_with_its_entry_or_with_one_of_a_later_term() {
    let (until, groups, replays) = (RaftIndex(9), RaftGroupId(0), RaftIndex(0));
    let probation = Probation { term: 3, until, groups, replays };
    assert!(!probation.is_over(8, 3) && probation.is_over(9, 3));
    assert!(probation.is_over(5, 4));
}

#[test]
fn only_who_is_readmitted_follows_and_nobody_on_probation_is_given_the_leadership() {
    let (until, groups, replays) = (RaftIndex(9), RaftGroupId(0), RaftIndex(0));
    let probation = Probation { term: 3, until, groups, replays };
    for kind in [MessageType::MsgAppend, MessageType::MsgHeartbeat, MessageType::MsgSnapshot] {
        assert!(!Admission::Barred.heeds(kind, 3) && !Admission::Barred.heeds(kind, 2));
        assert!(Admission::Probation(probation).heeds(kind, 3));
    }
    assert!(!Admission::Probation(probation).heeds(MessageType::MsgTimeoutNow, 2));
}

proptest! {
    #[test]
    fn any_bytes_are_an_admission_or_not(bytes in prop::collection::vec(any::<u8>(), 0..50)) {
        if Admission::decode(&bytes).is_some() {
            prop_assert!(bytes.len() % 8 == 0 && bytes.len() <= 32);
        }
        let _ = let_in_by(&Entry { context: bytes.into(), ..Entry::default() });
    }
}
