//! Commits that may come late, and once more.
//!
//! A client that hears nothing on a connection gives it up, and sends its commit again elsewhere. What the connection holds is still
//! delivered once the network is back, and the coordinator cannot tell it from a new commit of the same member: its epoch is the
//! same, and the protocol has no other number. Apache Kafka takes such a commit, too. So the committed offset may go back to
//! it, and what goes on from there may be committed.
//!
//! A member whose library goes back by a fault of its own commits less than before, too.
//!
//! Only a client that was kept waiting sends anything twice in that way: one whose connection breaks knows that nothing of it
//! arrives any more.

use std::collections::HashMap;

use super::frontier::Frontier;
use crate::history::{Deed, History, Micros, Outcome, Place};

/// How long clients wait before they give a connection up: the shortest `socket.timeout.ms` of any.
const GIVEN_UP_AFTER: Micros = 1_000_000;

/// Offsets that may be committed late, and from when on.
#[derive(Debug, Default)]
struct Offsets<'a> {
    late: Vec<(Micros, i64)>,
    known: Frontier<'a>,
}

/// What may be committed late in a history.
#[derive(Debug, Default)]
pub(super) struct Late<'a>(HashMap<(&'a str, &'a Place), Offsets<'a>>);

impl<'a> Late<'a> {
    /// All there is in a history.
    pub(super) fn of(history: &'a History) -> Self {
        let mut all = Self::default();
        for entry in &history.entries {
            if let Deed::WentBack { group, place, offset } = &entry.deed {
                all.0.entry((group, place)).or_default().late.push((entry.ended, *offset));
            }
            let Deed::Commit { group, offsets, outcome } = &entry.deed else { continue };
            for (place, offset) in offsets.iter().filter(|_| *outcome != Outcome::Failed) {
                let known = all.0.entry((group, place)).or_default();
                let went_back = known.known.before(entry.invoked).is_some_and(|(before, _)| *offset < before);
                let goes_on = known.late.iter().any(|(since, late)| since <= &entry.ended && late <= offset);
                if entry.ended.saturating_sub(entry.invoked) >= GIVEN_UP_AFTER || went_back && goes_on {
                    known.late.push((entry.invoked, *offset));
                }
                if *outcome == Outcome::Acknowledged {
                    known.known.told(*offset, entry);
                }
            }
        }
        all
    }

    /// Whether an offset may be the committed one at this moment, although a later one was committed before.
    pub(super) fn explains(&self, group: &str, place: &Place, offset: i64, moment: Micros) -> bool {
        let offsets = self.0.get(&(group, place));
        offsets.is_some_and(|it| it.late.iter().any(|(since, late)| *since <= moment && *late == offset))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Rule;
    use super::super::scene::{Scene, rules};

    /// A member commits offset 3, for which it waits two seconds or not, and then 5.
    fn committed(waits: bool) -> Scene {
        let scene = Scene::default().acked(0, 0, 10).acked(0, 1, 11).acked(0, 2, 12).log(&[10, 11, 12]);
        let scene = scene.assigned("m", &[0]).read("m", 0, &[(0, 10), (1, 11), (2, 12)]).at(9_000_000);
        let scene = if waits { scene.since(7_000_000) } else { scene };
        scene.committed("m", &[(0, 1)]).committed("m", &[(0, 3)])
    }

    #[test]
    fn what_a_client_waited_for_may_be_committed_once_more() {
        assert_eq!(rules(&committed(true).fetched(&[(0, 1)])), []);
        assert_eq!(rules(&committed(false).fetched(&[(0, 1)])), [Rule::Commit]);
    }

    #[test]
    fn what_comes_behind_where_a_library_went_back_to() {
        let again = |scene: Scene| scene.read("m", 0, &[(1, 11), (2, 12)]).committed("m", &[(0, 2)]);
        assert_eq!(rules(&again(committed(false).went_back("m", 0, 1)).fetched(&[(0, 2)])), []);
        assert_eq!(rules(&again(committed(false).went_back("m", 0, 1)).fetched(&[])), [Rule::Commit]);
        assert_eq!(rules(&again(committed(false))), [Rule::Poll, Rule::Commit]);
    }

    #[test]
    fn nothing_else_is() {
        assert_eq!(rules(&committed(true).fetched(&[])), [Rule::Commit]);
        assert_eq!(rules(&committed(true).fetched(&[(0, 2)])), [Rule::Commit]);
        assert_eq!(rules(&committed(true).committed("m", &[(0, 0)])), [Rule::Commit]);
    }

    #[test]
    fn somebody_goes_on_from_there() {
        let records = [(1, 11), (2, 12)];
        let scene = committed(true).assigned("n", &[0]).read("n", 0, &records[..1]);
        let scene = scene.committed("n", &[(0, 2)]);
        assert_eq!(rules(&scene.clone().fetched(&[(0, 2)])), []);
        assert_eq!(rules(&scene.assigned("o", &[0]).read("o", 0, &records[1..])), []);
        let scene = committed(false).assigned("n", &[0]).read("n", 0, &records);
        assert_eq!(rules(&scene), [Rule::Resumed]);
    }
}
