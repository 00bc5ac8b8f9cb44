//! The offsets that are to be there, and when they may go.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::invariants::members;
use super::topics::{TopicPartition, Topics};
use crate::coordinator::{
    CommitOffsets, FetchOffsets, GroupCoordinator, GroupId, GroupRequest, GroupResponse,
};

/// The offsets that are to be committed, and when their groups were in use last.
#[derive(Clone, Debug, Default)]
pub(super) struct Offsets {
    committed: BTreeMap<(GroupId, TopicPartition), Committed>,
    used: BTreeMap<GroupId, Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Committed {
    offset: i64,
    at: Duration,
}

impl Offsets {
    /// Groups that have members are in use.
    pub(super) fn note_use(&mut self, now: Duration, coordinator: &GroupCoordinator) {
        let used = coordinator.views().filter(|(_, view)| !view.is_empty());
        self.used.extend(used.map(|(id, _)| (id.clone(), now)));
    }

    /// Takes into account what the coordinator has decided on a request.
    pub(super) fn decide(
        &mut self,
        now: Duration,
        coordinator: &GroupCoordinator,
        topics: &Topics,
        (request, response): (&GroupRequest, &GroupResponse),
    ) {
        match (request, response) {
            (GroupRequest::CommitOffsets(request), GroupResponse::CommitOffsets(results)) => {
                let outcomes = results.iter().flat_map(|topic| &topic.partitions).map(|(_, outcome)| outcome);
                if outcomes.clone().all(Result::is_ok) {
                    check_committer(coordinator, request);
                    self.commit(now, topics, request);
                }
            }
            (GroupRequest::Delete(deleted), GroupResponse::Delete(Ok(()))) => {
                self.committed.retain(|(group, _), _| group != deleted);
            }
            _ => {}
        }
    }

    fn commit(&mut self, now: Duration, topics: &Topics, request: &CommitOffsets) {
        for topic in &request.topics {
            let id = topics.id(&topic.name).expect("offsets of topics that exist are accepted");
            for partition in &topic.partitions {
                let committed = Committed { offset: partition.offset.0, at: now };
                self.committed.insert((request.group.clone(), (id, partition.index)), committed);
            }
        }
    }

    /// Forgets what the coordinator has, which is only what is old and not in use.
    pub(super) fn expire(
        &mut self,
        now: Duration,
        coordinator: &GroupCoordinator,
        topics: &Topics,
        sweeps: bool,
    ) {
        let groups: BTreeSet<GroupId> = self.committed.keys().map(|(group, _)| group.clone()).collect();
        let there: BTreeMap<_, _> =
            groups.iter().map(|group| (group, kept(coordinator, topics, group))).collect();
        let used = &self.used;
        self.committed.retain(|(group, partition), committed| {
            let (topic, index) = *partition;
            let Some(name) = topics.name(topic) else { return true };
            if there[group].contains_key(partition) {
                return true;
            }
            assert!(sweeps, "{group} has no offset of {name}-{} any more, and nothing was swept", index.0);
            let view = coordinator.view(group).filter(|view| !view.is_empty());
            let is_of_use = view.is_some_and(|view| !view.knows_subscriptions() || view.subscribes_to(&name));
            let used =
                if view.is_some() { committed.at } else { used.get(group).copied().unwrap_or_default() };
            let age = now - committed.at.max(used);
            assert!(
                !is_of_use && age >= coordinator.settings.offsets_retention,
                "the offset of {group} for {name}-{} is gone after {age:?}",
                index.0
            );
            false
        });
    }

    /// The coordinator has these offsets of the group and no others, but for topics that are gone.
    pub(super) fn check(&self, coordinator: &GroupCoordinator, topics: &Topics, group: &GroupId) {
        let of_group =
            self.committed.iter().filter(|((of, (topic, _)), _)| of == group && topics.exists(*topic));
        let expected: BTreeMap<_, _> =
            of_group.map(|((_, partition), committed)| (*partition, committed.offset)).collect();
        assert_eq!(kept(coordinator, topics, group), expected, "the offsets of {group}");
    }
}

/// The offsets that the coordinator has of a group.
fn kept(coordinator: &GroupCoordinator, topics: &Topics, group: &GroupId) -> BTreeMap<TopicPartition, i64> {
    let (group, topics_asked) = (group.clone(), None);
    let request = FetchOffsets { group, member: None, epoch: -1, topics: topics_asked, require_stable: true };
    let fetched = coordinator.fetch_offsets(&request).expect("offsets may be asked for by anybody");
    let mut kept = BTreeMap::new();
    for topic in &fetched {
        let id = topics.id(&topic.name).expect("the offsets of a topic go with it");
        for (index, offset) in &topic.partitions {
            kept.insert((id, *index), offset.as_ref().expect("what is listed is there").offset.0);
        }
    }
    kept
}

/// Commits are accepted of members alone, and in a classic group of its current generation.
fn check_committer(coordinator: &GroupCoordinator, request: &CommitOffsets) {
    let members = members(coordinator, &request.group);
    assert!(members.contains(&request.member), "a commit of no member is accepted: {request:?}");
    if let Some(group) = coordinator.classic.get(&request.group) {
        assert_eq!(request.epoch, group.group().generation.0, "a late commit is accepted: {request:?}");
    }
}
