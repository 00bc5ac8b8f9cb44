//! Polls neither skip nor go back: within an assignment a member is handed each next record, and none of a partition that it
//! does not own.
//!
//! Only members are held to this. Others, who read where they like, have no assignment. A member may go back once where its library
//! does so by a fault of its own, which the history tells.

use std::collections::{HashMap, HashSet};

use super::forgiven::Forgiven;
use super::{Rule, Violation};
use crate::history::{Deed, Entry, History, Place, Seen};

/// Where a member is in a partition.
#[derive(Debug, Default)]
struct Position {
    /// The next offset, once it has read any of it.
    next: Option<i64>,
    /// Where its library goes back to by its own fault.
    back: Option<i64>,
}

/// What a member owns.
type Positions<'a> = HashMap<&'a Place, Position>;

pub(super) fn check(history: &History, forgiven: &Forgiven) -> Vec<Violation> {
    let members = history.entries.iter().filter(|entry| matches!(entry.deed, Deed::Assigned { .. }));
    let members = members.map(|entry| entry.client.as_str()).collect::<HashSet<_>>();
    let mut positions: HashMap<&str, Positions<'_>> = HashMap::new();
    let mut found = Vec::new();
    let certain = forgiven.certain(history).iter();
    for entry in certain.filter(|entry| members.contains(entry.client.as_str())) {
        let owned = positions.entry(&entry.client).or_default();
        match &entry.deed {
            Deed::Assigned { places, .. } => {
                owned.extend(places.iter().map(|place| (place, Position::default())));
            }
            Deed::Revoked { places, .. } => owned.retain(|place, _| !places.contains(place)),
            Deed::WentBack { place, offset, .. } => {
                if let Some(position) = owned.get_mut(place) {
                    position.back = Some(*offset);
                }
            }
            Deed::Read { place, records } => match owned.get_mut(place) {
                Some(position) => found.extend(follow(entry, place, position, records)),
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
fn follow(entry: &Entry, place: &Place, position: &mut Position, records: &[Seen]) -> Option<Violation> {
    let mut violation = None;
    for seen in records {
        if let Some(due) = position.next
            && due != seen.offset
            && position.back.take() != Some(seen.offset)
            && violation.is_none()
        {
            let evidence = format!(
                "{} was handed offset {} of {place} where {due} was next, at {} µs",
                entry.client, seen.offset, entry.ended
            );
            violation = Some(Violation::new(Rule::Poll, evidence));
        }
        position.next = Some(seen.offset + 1);
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
    fn a_library_that_goes_back_by_its_own_fault() {
        let read = three_records().assigned("m", &[0]).read("m", 0, &[(0, 5), (1, 6)]);
        let back = read.clone().went_back("m", 0, 0);
        assert_eq!(rules(&back.clone().read("m", 0, &[(0, 5), (1, 6), (2, 7)])), []);
        assert_eq!(rules(&back.clone().read("m", 0, &[(2, 7)]).read("m", 0, &[(0, 5), (1, 6), (2, 7)])), []);
        let twice = back.read("m", 0, &[(0, 5), (1, 6), (2, 7)]).read("m", 0, &[(0, 5)]);
        assert_eq!(rules(&twice), [Rule::Poll], "it said so once");
        let elsewhere = read.went_back("m", 0, 1).read("m", 0, &[(0, 5), (1, 6), (2, 7)]);
        assert_eq!(rules(&elsewhere), [Rule::Poll]);
    }

    #[test]
    fn a_record_of_somebody_elses_partition() {
        let scene = three_records().assigned("m", &[0]).read("m", 0, &[(0, 5), (1, 6)]).revoked("m", &[0]);
        let scene = scene.read("m", 0, &[(2, 7)]);
        assert_eq!(rules(&scene), [Rule::Poll]);
    }
}
