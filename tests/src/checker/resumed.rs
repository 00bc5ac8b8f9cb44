//! An assignment goes on from what was committed: it begins no earlier than the offset whose commit had been acknowledged
//! before, and no later than any that somebody tried to commit, as records in between would be skipped by the whole group. It
//! may begin at a commit that came [late](super::late).

use std::collections::HashMap;

use super::forgiven::Forgiven;
use super::frontier::Frontier;
use super::late::Late;
use super::{Rule, Violation};
use crate::history::{Deed, Entry, History, Micros, Outcome, Place};

/// What is known of one partition of one group so far.
#[derive(Debug, Default)]
struct Position<'a> {
    acknowledged: Frontier<'a>,
    /// Every offset that may be committed, and since when.
    tried: Vec<(Micros, i64)>,
}

pub(super) fn check(history: &History, forgiven: &Forgiven, late: &Late<'_>) -> Vec<Violation> {
    let mut positions: HashMap<(&str, &Place), Position<'_>> = HashMap::new();
    for entry in &history.entries {
        let Deed::Commit { group, offsets, outcome } = &entry.deed else { continue };
        for (place, offset) in offsets.iter().filter(|_| *outcome != Outcome::Failed) {
            let position = positions.entry((group, place)).or_default();
            position.tried.push((entry.invoked, *offset));
            if *outcome == Outcome::Acknowledged {
                position.acknowledged.told(*offset, entry);
            }
        }
    }
    // Assignments of which nothing was read yet.
    let mut fresh: HashMap<(&str, &Place), (&str, &Entry)> = HashMap::new();
    let mut found = Vec::new();
    for entry in forgiven.certain(history) {
        match &entry.deed {
            Deed::Assigned { group, places } => {
                fresh.extend(places.iter().map(|place| ((&*entry.client, place), (&**group, entry))));
            }
            Deed::Revoked { places, .. } => {
                fresh.retain(|(client, place), _| *client != entry.client || !places.contains(place));
            }
            Deed::Read { place, records } => {
                let Some(first) = records.first() else { continue };
                let Some((group, assigned)) = fresh.remove(&(&*entry.client, place)) else { continue };
                if late.explains(group, place, first.offset, entry.ended) {
                    continue;
                }
                let position = positions.entry((group, place)).or_default();
                found.extend(judge(position, place, first.offset, assigned, entry));
            }
            _ => {}
        }
    }
    found
}

fn judge(
    position: &Position<'_>,
    place: &Place,
    first: i64,
    assigned: &Entry,
    read: &Entry,
) -> Option<Violation> {
    let least = position.acknowledged.before(assigned.invoked).map_or(0, |(offset, _)| offset);
    let tried = position.tried.iter().filter(|(since, _)| *since <= read.ended).map(|(_, offset)| *offset);
    let most = tried.max().unwrap_or(0);
    let evidence = || {
        format!(
            "{} was assigned {place} at {} µs and began at offset {first}, where {least} to {most} was committed",
            read.client, assigned.ended
        )
    };
    (first < least || first > most).then(|| Violation::new(Rule::Resumed, evidence()))
}

#[cfg(test)]
mod tests {
    use super::super::scene::{Scene, rules};
    use super::*;

    fn two_records() -> Scene {
        Scene::default().acked(0, 0, 5).acked(0, 1, 6).log(&[5, 6])
    }

    #[test]
    fn from_the_beginning_where_nothing_is_committed() {
        assert_eq!(rules(&two_records().assigned("m", &[0]).read("m", 0, &[(0, 5), (1, 6)])), []);
        let late = two_records().assigned("m", &[0]).read("m", 0, &[(1, 6)]);
        assert!(rules(&late).contains(&Rule::Resumed));
    }

    #[test]
    fn from_what_is_committed() {
        let scene = two_records().assigned("m", &[0]).read("m", 0, &[(0, 5)]).committed("m", &[(0, 1)]);
        let again = scene.clone().assigned("n", &[0]).read("n", 0, &[(0, 5), (1, 6)]);
        assert_eq!(rules(&again), [Rule::Resumed]);
        assert_eq!(rules(&scene.assigned("n", &[0]).read("n", 0, &[(1, 6)])), []);
    }

    #[test]
    fn an_unknown_commit_may_be_one() {
        let scene = two_records().assigned("m", &[0]).read("m", 0, &[(0, 5)]);
        let scene = scene.commit("m", &[(0, 1)], Outcome::Unknown);
        assert_eq!(rules(&scene.clone().assigned("n", &[0]).read("n", 0, &[(0, 5), (1, 6)])), []);
        assert_eq!(rules(&scene.assigned("n", &[0]).read("n", 0, &[(1, 6)])), []);
    }
}
