use uuid::Uuid;

use super::*;

const EPOCH: MemberEpoch = MemberEpoch(5);
const NEXT: MemberEpoch = MemberEpoch(6);

fn topic(number: u128) -> TopicId {
    TopicId(Uuid::from_u128(number))
}

/// Partitions of topic 1.
fn target(partitions: &[i32]) -> Assignment {
    let partitions: BTreeSet<_> = partitions.iter().map(|&index| PartitionIndex(index)).collect();
    if partitions.is_empty() { Assignment::new() } else { Assignment::from([(topic(1), partitions)]) }
}

fn owned(partitions: &[i32], epoch: MemberEpoch) -> OwnedPartitions {
    OwnedPartitions::given(&target(partitions), epoch)
}

fn claims(partitions: &[i32]) -> Vec<TopicPartitions> {
    owned(partitions, EPOCH).to_answer()
}

fn stable(partitions: &[i32]) -> CurrentAssignment {
    CurrentAssignment {
        epoch: EPOCH,
        previous_epoch: MemberEpoch(4),
        assigned: owned(partitions, EPOCH),
        ..CurrentAssignment::default()
    }
}

fn unrevoked(assigned: &[i32], revoking: &[i32]) -> CurrentAssignment {
    let state = MemberState::UnrevokedPartitions;
    CurrentAssignment { state, revoking: owned(revoking, EPOCH), ..stable(assigned) }
}

/// A step towards `partitions` in epoch 6, where others own `taken`.
fn step(
    current: &CurrentAssignment,
    partitions: &[i32],
    claimed: Option<&[i32]>,
    taken: &[i32],
) -> Option<CurrentAssignment> {
    let claimed = claimed.map(claims);
    Step {
        current,
        target: &target(partitions),
        target_epoch: NEXT,
        subscription: &BTreeSet::from([topic(1)]),
        resubscribed: false,
        owned: claimed.as_deref(),
        owned_by_another: |_, partition: PartitionIndex| taken.contains(&partition.0),
    }
    .next()
}

#[test]
fn whoever_keeps_its_partitions_goes_on_at_once() {
    let next = step(&stable(&[1, 2]), &[1, 2], None, &[]).unwrap();
    assert_eq!((next.epoch, next.previous_epoch, next.state), (NEXT, EPOCH, MemberState::Stable));
    // They are still known to be its own since the epoch before.
    assert_eq!(next.assigned, owned(&[1, 2], EPOCH));
}

#[test]
fn what_is_taken_away_is_given_up_first() {
    let next = step(&stable(&[1, 2]), &[2, 3], None, &[]).unwrap();
    assert_eq!(next, CurrentAssignment { assigned: owned(&[2], EPOCH), ..unrevoked(&[], &[1]) });

    // A heartbeat that does not say what its sender owns changes nothing, nor does one that owns it still.
    assert_eq!(step(&next, &[2, 3], None, &[]), None);
    assert_eq!(step(&next, &[2, 3], Some(&[1, 2]), &[]), None);

    let next = step(&next, &[2, 3], Some(&[2]), &[]).unwrap();
    assert_eq!((next.epoch, next.state), (NEXT, MemberState::Stable));
    assert_eq!(next.assigned.epoch_of(topic(1), PartitionIndex(2)), Some(EPOCH));
    assert_eq!(next.assigned.epoch_of(topic(1), PartitionIndex(3)), Some(NEXT));
    assert!(next.revoking.is_empty());
}

#[test]
fn whoever_owns_nothing_of_it_has_nothing_to_give_up() {
    let next = step(&stable(&[1]), &[], Some(&[]), &[]).unwrap();
    assert_eq!((next.epoch, next.state), (NEXT, MemberState::Stable));
    assert!(next.assigned.is_empty());
}

#[test]
fn what_others_own_is_waited_for() {
    let next = step(&stable(&[1]), &[1, 2, 3], None, &[2, 3]).unwrap();
    assert_eq!((next.epoch, next.state), (NEXT, MemberState::UnreleasedPartitions));
    assert_eq!(next.assigned, owned(&[1], EPOCH));

    assert_eq!(step(&next, &[1, 2, 3], None, &[2, 3]), None, "nothing is written while nothing changes");

    let next = step(&next, &[1, 2, 3], None, &[3]).unwrap();
    assert_eq!(next.state, MemberState::UnreleasedPartitions);
    assert!(next.assigned.contains(topic(1), PartitionIndex(2)));

    let next = step(&next, &[1, 2, 3], None, &[]).unwrap();
    assert_eq!((next.state, next.previous_epoch), (MemberState::Stable, EPOCH));
}

#[test]
fn what_was_to_be_given_up_may_come_back() {
    let next = step(&unrevoked(&[1], &[2]), &[1, 2], Some(&[1]), &[]).unwrap();
    assert_eq!(next.state, MemberState::Stable);
    assert!(next.assigned.contains(topic(1), PartitionIndex(2)));
}

#[test]
fn a_later_target_may_take_more_away() {
    let next = step(&unrevoked(&[1, 3], &[2]), &[1], Some(&[1, 3]), &[]).unwrap();
    assert_eq!(next, unrevoked(&[1], &[3]));
}

#[test]
fn what_a_member_says_it_owns_is_confirmed_until_it_is_told_something_else() {
    let confirmed = step(&stable(&[1]), &[1], Some(&[1]), &[]).unwrap();
    assert!(confirmed.confirmed);
    let current = CurrentAssignment { epoch: EPOCH, ..confirmed };
    assert!(
        step(&current, &[1], None, &[]).unwrap().confirmed,
        "the epoch is another, and what it owns the same"
    );
    assert!(!step(&current, &[1, 2], None, &[]).unwrap().confirmed);
    assert!(!step(&current, &[1, 2], Some(&[1]), &[]).unwrap().confirmed);
}

#[test]
fn topics_that_are_subscribed_to_no_more_go_whatever_the_target_says() {
    let current = stable(&[1, 2]);
    let mut step = Step {
        current: &current,
        target: &target(&[1, 2]),
        target_epoch: EPOCH,
        subscription: &BTreeSet::from([topic(2)]),
        resubscribed: true,
        owned: None,
        owned_by_another: |_, _| false,
    };
    assert_eq!(step.next(), Some(unrevoked(&[], &[1, 2])));
    step.owned = Some(&[]);
    assert_eq!(step.next(), Some(CurrentAssignment { confirmed: true, ..stable(&[]) }));
    step.resubscribed = false;
    assert_eq!(step.next(), None);
}
