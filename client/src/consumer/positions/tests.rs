use proptest::prelude::*;

use super::*;

fn place() -> TopicPartition {
    TopicPartition::new("t", 0)
}

fn at(offset: i64, leader_epoch: i32) -> Committable {
    Committable { offset, leader_epoch: Some(leader_epoch) }
}

/// One assigned partition.
struct Stage(Positions);

impl Stage {
    fn new(policy: ResetPolicy) -> Self {
        let mut positions = Positions::new(policy);
        positions.assign(place());
        Self(positions)
    }

    fn wants(&self) -> (Ticket, Want) {
        let (_, ticket, want) = self.0.wants().next().unwrap();
        (ticket, want)
    }

    fn committed(&mut self, committed: Option<Committable>) {
        let (ticket, want) = self.wants();
        assert_eq!(want, Want::Committed);
        self.0.committed(&place(), ticket, committed);
    }

    /// The position, once records are wanted.
    fn reads(&self) -> (i64, Option<i32>) {
        match self.wants().1 {
            Want::Records(position) => (position.offset, position.offset_epoch),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn reading_begins_with_the_committed_offset() {
    let mut stage = Stage::new(ResetPolicy::None);
    stage.committed(Some(at(7, 3)));
    assert_eq!(stage.reads(), (7, Some(3)));
}

#[test]
fn without_a_committed_offset_the_policy_decides() {
    let age = Duration::from_secs(60);
    for (policy, landmark) in [
        (ResetPolicy::Earliest, Landmark::Beginning),
        (ResetPolicy::Latest, Landmark::End),
        (ResetPolicy::ByDuration(age), Landmark::Age(age)),
    ] {
        let mut stage = Stage::new(policy);
        stage.committed(None);
        let (ticket, want) = stage.wants();
        assert_eq!(want, Want::Offset(landmark));
        stage.0.landmark_found(&place(), ticket, Committable { offset: 9, leader_epoch: None });
        assert_eq!(stage.reads(), (9, None));
    }
    let mut stage = Stage::new(ResetPolicy::None);
    stage.committed(None);
    assert_eq!(stage.wants().1, Want::Nothing(Lost::NoOffset));
    assert!(stage.0.seek(&place(), at(3, 0)));
    assert_eq!(stage.reads(), (3, Some(0)));
}

#[test]
fn an_offset_that_the_log_does_not_have_is_reset_or_an_error() {
    let mut stage = Stage::new(ResetPolicy::Earliest);
    stage.committed(Some(at(7, 3)));
    let (ticket, _) = stage.wants();
    stage.0.out_of_range(&place(), ticket);
    assert_eq!(stage.wants().1, Want::Offset(Landmark::Beginning));

    let mut stage = Stage::new(ResetPolicy::None);
    stage.committed(Some(at(7, 3)));
    let (ticket, _) = stage.wants();
    stage.0.out_of_range(&place(), ticket);
    assert_eq!(stage.wants().1, Want::Nothing(Lost::OutOfRange { offset: 7 }));
}

#[test]
fn an_answer_to_an_earlier_question_is_dropped() {
    let mut stage = Stage::new(ResetPolicy::Earliest);
    stage.committed(Some(at(7, 3)));
    let (old, _) = stage.wants();
    stage.0.seek(&place(), at(100, 3));
    stage.0.out_of_range(&place(), old);
    stage.0.advance(&place(), old, at(8, 3));
    stage.0.epoch_ends(&place(), old, None);
    assert_eq!(stage.reads(), (100, Some(3)));
    // The partition went away and came back.
    let (old, _) = stage.wants();
    stage.0.remove(&place());
    stage.0.assign(place());
    stage.0.advance(&place(), old, at(101, 3));
    assert_eq!(stage.wants().1, Want::Committed);
}

#[test]
fn a_new_leader_is_asked_whether_its_log_is_the_one_that_was_read() {
    let mut stage = Stage::new(ResetPolicy::Earliest);
    stage.committed(Some(at(7, 3)));
    stage.0.led_in(&place(), 3);
    assert_eq!(stage.reads(), (7, Some(3)), "the epoch of the last record is the leader's own");
    stage.0.led_in(&place(), 5);
    let (ticket, want) = stage.wants();
    let Want::EndOfEpoch { epoch: 3, .. } = want else { panic!("{want:?}") };
    stage.0.epoch_ends(&place(), ticket, Some(at(9, 3)));
    assert_eq!(stage.reads(), (7, Some(3)));
    stage.0.led_in(&place(), 5);
    assert_eq!(stage.reads(), (7, Some(3)), "nothing new");
}

#[test]
fn a_leader_whose_epoch_is_below_that_of_the_last_record_leads_a_new_log() {
    for (policy, expected) in [
        (ResetPolicy::Earliest, Want::Offset(Landmark::Beginning)),
        (ResetPolicy::None, Want::Nothing(Lost::Replaced { offset: 7 })),
    ] {
        let mut stage = Stage::new(policy);
        stage.committed(Some(at(7, 5)));
        stage.0.led_in(&place(), 6);
        let (ticket, _) = stage.wants();
        stage.0.epoch_ends(&place(), ticket, Some(at(7, 5)));
        for epoch in [0, 1] {
            stage.0.led_in(&place(), epoch);
            let want = stage.wants().1;
            let Want::EndOfEpoch { epoch: 5, position } = want else { panic!("{want:?}") };
            assert_eq!(position.leader_epoch, Some(epoch));
        }
        let (ticket, _) = stage.wants();
        stage.0.epoch_ends(&place(), ticket, Some(at(100, 1)));
        assert_eq!(stage.wants().1, expected);
    }
}

#[test]
fn an_epoch_that_is_out_of_date_changes_nothing_once_it_is_put_right() {
    let mut stage = Stage::new(ResetPolicy::Latest);
    stage.committed(Some(at(7, 5)));
    stage.0.led_in(&place(), 5);
    stage.0.led_in(&place(), 4);
    assert!(matches!(stage.wants().1, Want::EndOfEpoch { epoch: 5, .. }));
    // The leader refuses to answer in epoch 4, and metadata are asked for.
    stage.0.led_in(&place(), 5);
    assert_eq!(stage.reads(), (7, Some(5)));
}

#[test]
fn a_truncated_log_is_read_from_where_it_differs() {
    for (policy, expected) in [
        (
            ResetPolicy::Latest,
            Want::Records(Position { offset: 5, offset_epoch: Some(2), leader_epoch: Some(5) }),
        ),
        (ResetPolicy::None, Want::Nothing(Lost::Truncated { offset: 7, end: 5 })),
    ] {
        let mut stage = Stage::new(policy);
        stage.committed(Some(at(7, 3)));
        stage.0.led_in(&place(), 5);
        let (ticket, _) = stage.wants();
        stage.0.epoch_ends(&place(), ticket, Some(at(5, 2)));
        assert_eq!(stage.wants().1, expected);
    }
    let mut stage = Stage::new(ResetPolicy::Latest);
    stage.committed(Some(at(7, 3)));
    let (ticket, _) = stage.wants();
    stage.0.epoch_ends(&place(), ticket, None);
    assert_eq!(stage.wants().1, Want::Offset(Landmark::End));
}

#[test]
fn what_is_not_assigned_cannot_be_sought() {
    let mut stage = Stage::new(ResetPolicy::Latest);
    stage.0.remove(&place());
    assert!(!stage.0.seek(&place(), at(1, 0)));
    assert!(!stage.0.seek_to(&place(), Landmark::End));
    assert_eq!(stage.0.position(&place()), None);
}

proptest! {
    /// While nobody seeks, resets or truncates, a position never moves back, whatever order answers come in. Metadata may be out of
    /// date: the leader, in the highest epoch of all, answers in no other.
    #[test]
    fn positions_only_move_forward(steps in prop::collection::vec((0..4_u8, 1..5_i64, 0..6_i32), 0..50)) {
        let mut stage = Stage::new(ResetPolicy::None);
        stage.committed(Some(at(0, 0)));
        let mut tickets = vec![stage.wants().0];
        let mut offset = 0;
        let mut leads_in = 0;
        for (step, count, number) in steps {
            let (ticket, want) = stage.wants();
            tickets.push(ticket);
            match (step, want) {
                (0 | 1, Want::Records(position)) if position.leader_epoch.is_none_or(|epoch| epoch == leads_in) => {
                    offset = position.offset + count;
                    stage.0.advance(&place(), ticket, at(offset, position.leader_epoch.unwrap_or(0)));
                }
                (2, _) => {
                    leads_in = leads_in.max(number);
                    stage.0.led_in(&place(), number);
                }
                (3, Want::EndOfEpoch { epoch, position }) if position.leader_epoch == Some(leads_in) => {
                    stage.0.epoch_ends(&place(), ticket, Some(at(position.offset + count, epoch)));
                }
                _ => {
                    // A late answer to any earlier question.
                    let late = tickets[usize::try_from(number).unwrap() % tickets.len()];
                    if late != ticket {
                        stage.0.advance(&place(), late, at(count, 0));
                        stage.0.out_of_range(&place(), late);
                    }
                }
            }
            let position = stage.0.position(&place()).unwrap();
            prop_assert_eq!(position.offset, offset);
        }
    }
}
