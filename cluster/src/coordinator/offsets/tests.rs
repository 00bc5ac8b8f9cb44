//! What golden scripts do not show: bounds, sizes, extremes, and metadata that lag behind.

use std::sync::Arc;
use std::time::Duration;

use super::fixture::{Coordinator, RETENTION, commit_request};
use crate::coordinator::records::{encode_record, entry_header};
use crate::coordinator::{CoordinatorState, GroupCoordinator, GroupErrorCode, GroupSettings};
use crate::ids::Offset;

fn partitions(coordinator: &Coordinator, group: &str) -> Vec<(String, i32)> {
    coordinator.offsets(group).into_keys().collect()
}

#[test]
fn what_is_committed_comes_back_as_it_was_given() {
    let mut coordinator = Coordinator::with_topics(&["a"]);
    let mut request = commit_request("g", &[("a", 1, 7), ("a", 0, 9)]);
    request.topics[0].partitions[0].metadata = "\0 \u{1f99c}é".into();
    request.topics[1].partitions[0].leader_epoch = None;
    assert_eq!(coordinator.commit(request), [Ok(()), Ok(())]);
    let offsets = coordinator.offsets("g");
    assert_eq!(offsets[&("a".into(), 1)].metadata, "\0 \u{1f99c}é");
    assert_eq!((offsets[&("a".into(), 0)].offset, offsets[&("a".into(), 0)].leader_epoch), (Offset(9), None));
}

#[test]
fn a_request_is_one_record() {
    let mut coordinator = Coordinator::with_topics(&["a", "b"]);
    coordinator.commit(commit_request("g", &[("a", 0, 1), ("b", 2, 1), ("a", 1, 1)]));
    coordinator.delete("g", &[("a", 0), ("b", 2)]);
    coordinator.delete_topic("a");
    assert_eq!(coordinator.written.len(), 3);
}

#[test]
fn a_commit_of_one_partition_costs_the_log_little() {
    let mut coordinator = Coordinator::with_topics(&["topic"]);
    coordinator.commit(commit_request("group", &[("topic", 0, 1 << 40)]));
    let mut payload = entry_header();
    encode_record(&coordinator.written[0], &mut payload);
    assert!(payload.len() < 64, "{} bytes", payload.len());
}

#[test]
fn each_partition_is_judged_for_itself() {
    let mut coordinator = Coordinator::with_topics(&["a"]);
    let mut request =
        commit_request("g", &[("a", 0, 1), ("a", 9, 1), ("a", -1, 1), ("b", 0, 1), ("a", 1, 1)]);
    // Twenty UTF-16 units are as many as are allowed here, however many bytes they take.
    request.topics[0].partitions[0].metadata = "\u{20ac}".repeat(20);
    request.topics[4].partitions[0].metadata = "x".repeat(21);
    let unknown = Err(GroupErrorCode::UnknownTopicOrPartition);
    assert_eq!(
        coordinator.commit(request),
        [Ok(()), unknown, unknown, unknown, Err(GroupErrorCode::OffsetMetadataTooLarge)]
    );
    assert_eq!(partitions(&coordinator, "g"), [("a".into(), 0)]);
}

#[test]
fn a_request_for_more_than_a_record_holds_is_refused() {
    let settings = Arc::new(GroupSettings { offset_metadata_max_bytes: 1 << 20, ..GroupSettings::default() });
    let mut coordinator = Coordinator::with_topics(&["a", "b"]);
    let image = Arc::new(coordinator.image.clone());
    coordinator.inner = GroupCoordinator::new(CoordinatorState::default(), settings, image, Duration::ZERO);
    let partitions = [("a", 0, 1), ("a", 1, 1), ("a", 2, 1), ("b", 0, 1), ("b", 9, 1)];
    let mut request = commit_request("g", &partitions);
    for topic in &mut request.topics {
        topic.partitions[0].metadata = "x".repeat(1 << 20);
    }
    let refused = Err(GroupErrorCode::InvalidCommitOffsetSize);
    let unknown = Err(GroupErrorCode::UnknownTopicOrPartition);
    assert_eq!(coordinator.commit(request), [refused, refused, refused, refused, unknown]);
    assert!(coordinator.written.is_empty());
}

#[test]
fn a_group_too_many_is_refused() {
    const MAX_GROUPS: usize = 100;
    let mut coordinator = Coordinator::with_topics(&["a"]);
    coordinator.inner.limits.groups = MAX_GROUPS;
    let outcome = |coordinator: &mut Coordinator, group: usize| {
        coordinator.commit(commit_request(&group.to_string(), &[("a", 0, 1)])).remove(0)
    };
    assert!((0..MAX_GROUPS).all(|group| outcome(&mut coordinator, group).is_ok()));
    assert_eq!(outcome(&mut coordinator, MAX_GROUPS), Err(GroupErrorCode::GroupMaxSizeReached));
    assert_eq!(outcome(&mut coordinator, 0), Ok(()), "a group that there is goes on");
}

#[test]
fn groups_that_are_forming_count_like_those_with_offsets() {
    let mut coordinator = Coordinator::with_topics(&["a"]);
    let commit = |coordinator: &mut Coordinator, group: usize| {
        coordinator.commit(commit_request(&format!("with offsets {group}"), &[("a", 0, 1)])).remove(0)
    };
    let join = |coordinator: &mut Coordinator, group: usize| {
        coordinator.ask_for_a_member_id(&format!("forming {group}"))
    };
    let id_given = Some(GroupErrorCode::MemberIdRequired);
    let half = 50;
    coordinator.inner.limits.groups = 2 * half;
    assert!((0..half).all(|group| commit(&mut coordinator, group).is_ok()));
    assert!((0..half).all(|group| join(&mut coordinator, group) == id_given));
    let refused = GroupErrorCode::GroupMaxSizeReached;
    assert_eq!(commit(&mut coordinator, half), Err(refused));
    assert_eq!(join(&mut coordinator, half), Some(refused));

    // One that gets offsets is counted once; one that is deleted makes room.
    assert_eq!(coordinator.commit(commit_request("forming 0", &[("a", 0, 1)])), [Ok(())]);
    assert_eq!(commit(&mut coordinator, half), Err(refused));
    coordinator.inner.delete(&"with offsets 0".into()).unwrap();
    assert_eq!(commit(&mut coordinator, half), Ok(()));
    assert_eq!(join(&mut coordinator, half), Some(refused));
    coordinator.inner.handle_timeout(Duration::from_secs(3600));
    assert_eq!(join(&mut coordinator, half), id_given, "those that came to nothing make room");
}

#[test]
fn a_topic_made_anew_has_no_offsets_even_before_the_old_ones_are_removed() {
    let mut coordinator = Coordinator::with_topics(&["a", "b"]);
    coordinator.commit(commit_request("g", &[("a", 0, 1), ("b", 0, 1)]));
    let before = coordinator.inner.state.clone();
    coordinator.delete_topic("a");
    coordinator.create_topic("a");
    assert_eq!(partitions(&coordinator, "g"), [("b".into(), 0)]);

    // A coordinator that starts later with the old offsets forgets them.
    let image = Arc::new(coordinator.image.clone());
    coordinator.inner = GroupCoordinator::new(before, Arc::default(), image, Duration::ZERO);
    assert_eq!(partitions(&coordinator, "g"), [("b".into(), 0)]);
    assert_eq!(coordinator.inner.take_actions().records.len(), 1);
}

#[test]
fn a_topic_that_a_coordinator_has_not_heard_of_keeps_its_offsets() {
    let mut coordinator = Coordinator::with_topics(&["a"]);
    let old_image = Arc::new(coordinator.image.clone());
    coordinator.create_topic("b");
    coordinator.commit(commit_request("g", &[("b", 0, 1)]));
    let state = coordinator.inner.state.clone();
    coordinator.inner = GroupCoordinator::new(state, Arc::default(), old_image, Duration::ZERO);
    coordinator.inner.topics_deleted(Duration::ZERO);
    assert_eq!(partitions(&coordinator, "g"), [("b".into(), 0)]);
}

#[test]
fn offsets_grow_old_under_one_coordinator_after_the_other() {
    let mut coordinator = Coordinator::with_topics(&["a"]);
    coordinator.commit(commit_request("g", &[("a", 0, 1)]));
    coordinator.sweep_after(RETENTION / 2);
    // The clock of another process shows anything.
    for clock in [Duration::from_secs(1 << 40), Duration::ZERO] {
        let (state, image) = (coordinator.inner.state.clone(), Arc::new(coordinator.image.clone()));
        coordinator.inner =
            GroupCoordinator::new(state, Arc::clone(&coordinator.inner.settings), image, clock);
        coordinator.sweep_after(RETENTION / 4 - Duration::from_millis(1));
        assert_eq!(partitions(&coordinator, "g"), [("a".into(), 0)]);
    }
    coordinator.sweep_after(Duration::from_millis(2));
    assert!(partitions(&coordinator, "g").is_empty());
}

#[test]
fn a_clock_that_jumped_ahead_makes_nothing_last_longer_that_is_committed_later() {
    let mut coordinator = Coordinator::with_topics(&["a"]);
    coordinator.sweep_after(Duration::from_secs(10 * 365 * 24 * 3600));
    coordinator.commit(commit_request("before", &[("a", 0, 1)]));
    let (state, image) = (coordinator.inner.state.clone(), Arc::new(coordinator.image.clone()));
    coordinator.inner =
        GroupCoordinator::new(state, Arc::clone(&coordinator.inner.settings), image, Duration::ZERO);
    coordinator.commit(commit_request("after", &[("a", 0, 1)]));
    coordinator.sweep_after(RETENTION);
    assert!(partitions(&coordinator, "before").is_empty() && partitions(&coordinator, "after").is_empty());
}

#[test]
fn a_sweep_writes_the_time_down_while_there_are_groups() {
    let mut coordinator = Coordinator::with_topics(&["a"]);
    coordinator.sweep_after(RETENTION);
    assert!(coordinator.written.is_empty());
    coordinator.commit(commit_request("g", &[("a", 0, 1)]));
    coordinator.sweep_after(RETENTION / 2);
    assert_eq!(coordinator.written.len(), 2);
    coordinator.sweep_after(Duration::ZERO);
    assert_eq!(coordinator.written.len(), 2, "it is not later");
}
