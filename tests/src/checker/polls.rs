//! Polls neither skip nor go back: within an assignment a member is handed each next record, and none of a partition that it
//! does not own.
//!
//! Only members are held to this. Others, who read where they like, have no assignment.

use std::collections::{HashMap, HashSet};

use super::forgiven::Forgiven;
use super::{Rule, Violation};
use crate::history::{Deed, Entry, History, Place, Seen};

/// What a member owns, and the next offset of each partition once it has read any of it.
type Positions<'a> = HashMap<&'a Place, Option<i64>>;

pub(super) fn check(history: &History, forgiven: &Forgiven) -> Vec<Violation> {
    let members = history.entries.iter().filter(|entry| matches!(entry.deed, Deed::Assigned { .. }));
    let members = members.map(|entry| entry.client.as_str()).collect::<HashSet<_>>();
    let mut positions: HashMap<&str, Positions<'_>> = HashMap::new();
    let mut found = Vec::new();
    let certain = forgiven.certain(history).iter();
    for entry in certain.filter(|entry| members.contains(entry.client.as_str())) {
        let owned = positions.entry(&entry.client).or_default();
        match &entry.deed {
            Deed::Assigned { places, .. } => owned.extend(places.iter().map(|place| (place, None))),
            Deed::Revoked { places, .. } => owned.retain(|place, _| !places.contains(place)),
            Deed::Read { place, records } => match owned.get_mut(place) {
                Some(next) => found.extend(follow(entry, place, next, records)),
                None => {
                    let evidence = format!(
                        "{} read {place}, which it does not own, at {} µs",
                        entry.client, entry.ended
                    );
                    found.push(Violation::new(Rule::Poll, evidence));
                }
            },
            _ => {}
        }
    }
    found
}

/// Moves a position over records; the first of them that is not the next one is a violation.
fn follow(entry: &Entry, place: &Place, next: &mut Option<i64>, records: &[Seen]) -> Option<Violation> {
    let mut violation = None;
    for seen in records {
        if let Some(due) = *next
            && due != seen.offset
            && violation.is_none()
        {
            let evidence = format!(
                "{} was handed offset {} of {place} where {due} was next, at {} µs",
                entry.client, seen.offset, entry.ended
            );
            violation = Some(Violation::new(Rule::Poll, evidence));
        }
        *next = Some(seen.offset + 1);
    }
    violation
}

#[cfg(test)]
mod tests {
    use super::super::scene::{Scene, rules};
    use super::*;

    fn three_records() -> Scene {
        Scene::default().acked(0, 0, 5).acked(0, 1, 6).acked(0, 2, 7).log(&[5, 6, 7])
    }

    #[test]
    fn records_in_order_and_again_after_a_rebalance() {
        let scene = three_records().assigned("m", &[0]).read("m", 0, &[(0, 5), (1, 6)]).revoked("m", &[0]);
        let scene = scene.assigned("m", &[0]).read("m", 0, &[(0, 5)]).read("m", 0, &[(1, 6), (2, 7)]);
        assert_eq!(rules(&scene), []);
    }

    #[test]
    fn a_record_skipped() {
        let scene = three_records().assigned("m", &[0]).read("m", 0, &[(0, 5), (2, 7)]);
        assert!(rules(&scene).contains(&Rule::Poll));
        let scene = three_records().assigned("m", &[0]).read("m", 0, &[(0, 5)]).read("m", 0, &[(2, 7)]);
        assert!(rules(&scene).contains(&Rule::Poll));
    }

    #[test]
    fn a_record_handed_out_again() {
        let scene = three_records().assigned("m", &[0]).read("m", 0, &[(0, 5), (1, 6)]);
        let scene = scene.read("m", 0, &[(1, 6), (2, 7)]);
        assert_eq!(rules(&scene), [Rule::Poll]);
    }

    #[test]
    fn a_record_of_somebody_elses_partition() {
        let scene = three_records().assigned("m", &[0]).read("m", 0, &[(0, 5), (1, 6)]).revoked("m", &[0]);
        let scene = scene.read("m", 0, &[(2, 7)]);
        assert_eq!(rules(&scene), [Rule::Poll]);
    }
}
