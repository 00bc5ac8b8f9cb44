//! What holds of offsets whatever is done with them.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::fixture::{Commit, Coordinator, PARTITIONS, RETENTION, commit_request};
use crate::coordinator::records::{decode_entry, encode_record, entry_header};
use crate::coordinator::{CoordinatorState, GroupErrorCode};

const TOPICS: [&str; 3] = ["a", "b", "c"];
const GROUPS: [&str; 2] = ["g", "h"];

#[derive(Clone, Debug)]
enum Step {
    Commit(&'static str, Vec<Commit<'static>>),
    Delete(&'static str, Vec<(&'static str, i32)>),
    /// A topic is deleted and made anew.
    Renew(&'static str),
    /// Time passes, and a sweep comes.
    Sweep(Duration),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (topic, group) = (prop::sample::select(&TOPICS[..]), prop::sample::select(&GROUPS[..]));
    let partition = (topic.clone(), 0..PARTITIONS + 1);
    let commit = (partition.clone(), 0i64..1_000).prop_map(|((topic, index), offset)| (topic, index, offset));
    let step = prop_oneof![
        4 => (group.clone(), prop::collection::vec(commit, 1..6))
            .prop_map(|(group, commits)| Step::Commit(group, commits)),
        2 => (group, prop::collection::vec(partition, 1..4))
            .prop_map(|(group, partitions)| Step::Delete(group, partitions)),
        1 => topic.prop_map(Step::Renew),
        1 => (0..1_000_u32).prop_map(|part| Step::Sweep(RETENTION * part / 1_000)),
    ];
    prop::collection::vec(step, 0..40)
}

/// What the offsets of each group that there is are to be: the offset and the time of its commit.
type Model = BTreeMap<&'static str, BTreeMap<(String, i32), (i64, Duration)>>;

fn step(coordinator: &mut Coordinator, model: &mut Model, now: &mut Duration, step: &Step) {
    match step {
        Step::Commit(group, commits) => {
            let expected: Vec<_> = commits.iter().map(|(_, partition, _)| exists(*partition)).collect();
            assert_eq!(coordinator.commit(commit_request(group, commits)), expected);
            let kept = commits.iter().filter(|(_, partition, _)| exists(*partition).is_ok());
            let kept =
                kept.map(|(topic, partition, offset)| (((*topic).to_owned(), *partition), (*offset, *now)));
            let kept: Vec<_> = kept.collect();
            if !kept.is_empty() {
                model.entry(*group).or_default().extend(kept);
            }
        }
        Step::Delete(group, partitions) => {
            let Some(offsets) = model.get_mut(group) else {
                let refused = [Err(GroupErrorCode::GroupIdNotFound)];
                assert_eq!(coordinator.delete(group, partitions), refused);
                return;
            };
            let expected: Vec<_> = partitions.iter().map(|(_, partition)| exists(*partition)).collect();
            assert_eq!(coordinator.delete(group, partitions), expected);
            for (topic, partition) in partitions {
                offsets.remove(&((*topic).to_owned(), *partition));
            }
        }
        Step::Renew(topic) => {
            coordinator.delete_topic(topic);
            coordinator.create_topic(topic);
            for offsets in model.values_mut() {
                offsets.retain(|(name, _), _| name != topic);
            }
        }
        Step::Sweep(passed) => {
            *now += *passed;
            coordinator.sweep_after(*passed);
            for offsets in model.values_mut() {
                offsets.retain(|_, (_, committed_at)| *now - *committed_at < RETENTION);
            }
            // What is empty stays until a sweep, and not beyond it.
            model.retain(|_, offsets| !offsets.is_empty());
        }
    }
}

fn exists(partition: i32) -> Result<(), GroupErrorCode> {
    if partition < PARTITIONS { Ok(()) } else { Err(GroupErrorCode::UnknownTopicOrPartition) }
}

proptest! {
    #[test]
    fn offsets_are_what_was_committed_last(steps in steps()) {
        let mut coordinator = Coordinator::with_topics(&TOPICS);
        let (mut model, mut now) = (Model::new(), Duration::ZERO);
        for each in &steps {
            step(&mut coordinator, &mut model, &mut now, each);
            for group in GROUPS {
                let offsets = coordinator.offsets(group);
                let offsets: BTreeMap<_, _> =
                    offsets.into_iter().map(|(partition, fetched)| (partition, fetched.offset.0)).collect();
                let expected = model.get(group).into_iter().flatten();
                prop_assert_eq!(offsets, expected.map(|(partition, (offset, _))| (partition.clone(), *offset)).collect());
            }
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_or_a_replay_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = [entry_header(), body].concat();
        let mut state = CoordinatorState::decode(&bytes).unwrap_or_default();
        for record in decode_entry(&bytes).unwrap_or_default() {
            state.replay(&record);
        }
    }

    #[test]
    fn damaged_entries_are_refused_or_replayed(
        steps in steps(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let mut coordinator = Coordinator::with_topics(&TOPICS);
        let (mut model, mut now) = (Model::new(), Duration::ZERO);
        for each in &steps {
            step(&mut coordinator, &mut model, &mut now, each);
        }
        let mut payload = entry_header();
        for record in &coordinator.written {
            encode_record(record, &mut payload);
        }
        for (at, value) in damage {
            let at = at.index(payload.len());
            payload[at] = value;
        }
        let mut state = coordinator.inner.state.clone();
        for record in decode_entry(&payload).unwrap_or_default() {
            state.replay(&record);
        }
    }

    #[test]
    fn a_replica_that_replays_what_was_written_has_the_same(steps in steps(), again in any::<prop::sample::Index>()) {
        let mut coordinator = Coordinator::with_topics(&TOPICS);
        let (mut model, mut now) = (Model::new(), Duration::ZERO);
        for each in &steps {
            step(&mut coordinator, &mut model, &mut now, each);
        }
        let mut payload = entry_header();
        for record in &coordinator.written {
            encode_record(record, &mut payload);
        }
        let records = decode_entry(&payload).unwrap();
        prop_assert_eq!(&records, &coordinator.written);

        // A restart begins at an older checkpoint and replays what it has replayed before.
        let checkpoint = again.index(records.len() + 1);
        let mut replica = CoordinatorState::default();
        for record in records[..checkpoint].iter().chain(&records[checkpoint..]).chain(&records[checkpoint..]) {
            replica.replay(record);
        }
        prop_assert_eq!(&replica, &coordinator.inner.state);
        prop_assert_eq!(&CoordinatorState::decode(&replica.encode()).unwrap(), &replica);
    }
}
