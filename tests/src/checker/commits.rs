//! Committed offsets never go back. A commit that was acknowledged is the group's position from then on: whoever asks later is
//! told it or a later one, and a member that commits later, having gone on from it, commits no less. What the coordinator
//! tells was committed by somebody.
//!
//! A history's members commit where they are, one commit at a time; they never seek. What may come [late](super::late) is no
//! going back.

use std::collections::HashMap;

use super::forgiven::Forgiven;
use super::frontier::Frontier;
use super::late::Late;
use super::{Rule, Violation};
use crate::history::{Deed, Entry, History, Outcome, Place};

/// One partition of one group.
#[derive(Debug, Default)]
struct Position<'a> {
    /// What is known to be committed.
    known: Frontier<'a>,
    /// Each offset that somebody tried to commit, and when first.
    tried: HashMap<i64, u64>,
}

pub(super) fn check(history: &History, forgiven: &Forgiven, late: &Late<'_>) -> Vec<Violation> {
    let mut positions: HashMap<(&str, &Place), Position<'_>> = HashMap::new();
    for entry in &history.entries {
        let Deed::Commit { group, offsets, outcome } = &entry.deed else { continue };
        for (place, offset) in offsets.iter().filter(|_| *outcome != Outcome::Failed) {
            let since = positions.entry((group, place)).or_default().tried.entry(*offset).or_insert(u64::MAX);
            *since = entry.invoked.min(*since);
        }
    }
    let mut found = Vec::new();
    for entry in forgiven.certain(history) {
        match &entry.deed {
            Deed::Commit { group, offsets, outcome: Outcome::Acknowledged } => {
                for (place, offset) in offsets {
                    let position = positions.entry((group, place)).or_default();
                    if !late.explains(group, place, *offset, entry.ended) {
                        found.extend(went_back(position, place, *offset, entry));
                    }
                    position.known.told(*offset, entry);
                }
            }
            Deed::Committed { group, offsets } => {
                let told = offsets.iter().map(|(place, offset)| (place, *offset)).collect::<HashMap<_, _>>();
                for ((_, place), position) in positions.iter_mut().filter(|((name, _), _)| name == group) {
                    // A partition that is not told of has no committed offset, which is below all others.
                    let offset = told.get(*place).copied();
                    let offset_or_none = offset.unwrap_or(-1);
                    if !late.explains(group, place, offset_or_none, entry.ended) {
                        found.extend(went_back(position, place, offset_or_none, entry));
                    }
                    if let Some(offset) = offset {
                        found.extend(was_tried(position, place, offset, entry));
                        position.known.told(offset, entry);
                    }
                }
                let others =
                    offsets.iter().filter(|(place, _)| !positions.contains_key(&(group.as_str(), place)));
                let never = Position::default();
                found.extend(others.filter_map(|(place, offset)| was_tried(&never, place, *offset, entry)));
            }
            _ => {}
        }
    }
    found
}

fn went_back(position: &Position<'_>, place: &Place, offset: i64, entry: &Entry) -> Option<Violation> {
    let (known, other) = position.known.before(entry.invoked)?;
    let deed = match entry.deed {
        Deed::Commit { .. } => "committed",
        _ => "was told",
    };
    let evidence = || {
        format!(
            "{place}: {} {deed} {offset} at {} µs, begun at {} µs, but {known} was committed for {} at {} µs",
            entry.client, entry.ended, entry.invoked, other.client, other.ended
        )
    };
    (offset < known).then(|| Violation::new(Rule::Commit, evidence()))
}

fn was_tried(position: &Position<'_>, place: &Place, offset: i64, entry: &Entry) -> Option<Violation> {
    let since = position.tried.get(&offset).copied().unwrap_or(u64::MAX);
    let evidence = || {
        format!(
            "{place}: {} was told {offset} at {} µs, which nobody had committed",
            entry.client, entry.ended
        )
    };
    (since > entry.ended).then(|| Violation::new(Rule::Commit, evidence()))
}

#[cfg(test)]
mod tests {
    use super::super::scene::{Scene, rules};
    use super::*;

    #[test]
    fn offsets_that_grow() {
        let scene = Scene::default().committed("m", &[(0, 3)]).fetched(&[(0, 3)]).committed("m", &[(0, 5)]);
        assert_eq!(rules(&scene.fetched(&[(0, 5)])), []);
    }

    #[test]
    fn a_commit_that_is_forgotten() {
        let scene = Scene::default().committed("m", &[(0, 3)]).fetched(&[]);
        assert_eq!(rules(&scene), [Rule::Commit]);
        let scene = Scene::default().committed("m", &[(0, 3)]).committed("m", &[(0, 5)]).fetched(&[(0, 3)]);
        assert_eq!(rules(&scene), [Rule::Commit]);
    }

    #[test]
    fn what_was_told_holds_from_then_on() {
        let scene = Scene::default().commit("m", &[(0, 3)], Outcome::Unknown);
        assert_eq!(rules(&scene.clone().fetched(&[]).fetched(&[(0, 3)])), []);
        assert_eq!(rules(&scene.fetched(&[(0, 3)]).fetched(&[])), [Rule::Commit]);
    }

    #[test]
    fn a_member_that_went_back() {
        let scene = Scene::default().committed("m", &[(0, 5)]).committed("n", &[(0, 3)]);
        assert_eq!(rules(&scene), [Rule::Commit]);
    }

    #[test]
    fn an_offset_that_nobody_committed() {
        let refused = Scene::default().commit("m", &[(0, 3)], Outcome::Failed);
        let scene = refused.committed("m", &[(0, 2)]).fetched(&[(0, 3)]);
        assert_eq!(rules(&scene), [Rule::Commit]);
    }

    #[test]
    fn an_offset_of_a_partition_for_which_nobody_committed() {
        let scene = Scene::default().committed("m", &[(0, 3)]);
        assert_eq!(rules(&scene.clone().fetched(&[(0, 3), (1, 3)])), [Rule::Commit]);
        assert_eq!(rules(&scene.fetched(&[(0, 3)]).committed("m", &[(1, 3)])), []);
        assert_eq!(rules(&Scene::default().fetched(&[(2, 0)])), [Rule::Commit]);
    }
}
