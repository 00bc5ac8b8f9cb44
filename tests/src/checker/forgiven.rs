//! What a cluster may lose that acknowledges before its disks have synced, once the power of most of its nodes was cut.
//!
//! A node syncs ten times a second. A power cut takes what it was told since the last sync; a lost disk takes everything. A
//! record that is acknowledged lies on most nodes, so it may be gone only if *most* nodes have lost what they were told at that
//! moment:
//!
//! ```text
//!   power of node 1        ├──── forgotten ────┤✕
//!   power of node 2                 ├──── forgotten ────┤✕
//!   may be lost                     ├──────────┤
//! ```
//!
//! Everything else holds as ever: replicas agree, nothing is there twice, and the cluster comes back by itself. What groups
//! know follows from what they have read and committed, so it is judged up to the first moment that may be lost. An
//! idempotent producer whose acknowledged records are gone cannot go on, as its next sequence number fits nothing.

use std::collections::BTreeSet;

use crate::history::{Deed, Entry, History, Micros};

/// How old what is lost in a power cut may be: twenty syncs and more, as a busy machine has them late.
const UNSYNCED: Micros = 3_000_000;

/// How long after a cut a client may still say what it was told before.
const TOLD_LATE: Micros = 1_000_000;

/// What one node forgets.
#[derive(Debug)]
struct Forgotten {
    node: i32,
    from: Micros,
    until: Micros,
}

/// The moments that most nodes may have forgotten.
#[derive(Debug)]
pub(super) struct Forgiven {
    forgotten: Vec<Forgotten>,
    majority: usize,
    first: Option<Micros>,
}

impl Forgiven {
    /// All there are in a history.
    pub(super) fn of(history: &History) -> Self {
        let mut forgiven = Self { forgotten: Vec::new(), majority: usize::MAX, first: None };
        for Entry { invoked, ended, deed, .. } in &history.entries {
            if let Deed::Forgets { node, nodes, everything } = deed {
                let from = if *everything { 0 } else { invoked.saturating_sub(UNSYNCED) };
                forgiven.forgotten.push(Forgotten { node: *node, from, until: ended + TOLD_LATE });
                forgiven.majority = nodes / 2 + 1;
            }
        }
        // A moment that most have forgotten begins with one of them.
        let begins = forgiven.forgotten.iter().map(|forgotten| forgotten.from);
        forgiven.first = begins.filter(|moment| forgiven.covers(*moment)).min();
        forgiven
    }

    /// Whether what somebody came to know at this moment may be lost.
    pub(super) fn covers(&self, moment: Micros) -> bool {
        let nodes = self.forgotten.iter().filter(|it| (it.from..=it.until).contains(&moment));
        nodes.map(|it| it.node).collect::<BTreeSet<_>>().len() >= self.majority
    }

    /// The first moment that may be lost.
    pub(super) fn first(&self) -> Option<Micros> {
        self.first
    }

    /// The entries that say something certain of groups: those before anything may be lost.
    pub(super) fn certain<'a>(&self, history: &'a History) -> &'a [Entry] {
        let until = self.first.unwrap_or(Micros::MAX);
        &history.entries[..history.entries.partition_point(|entry| entry.ended < until)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::scene::{Scene, rules};
    use super::super::{Rule, check};
    use super::*;

    /// A record acknowledged at this moment, of a cluster in which these nodes then forget; the record is gone.
    fn lost(acknowledged: Micros, forgets: &[(Micros, i32)]) -> Vec<Rule> {
        let mut scene = Scene::default().at(acknowledged).acked(0, 0, 5);
        for (moment, node) in forgets {
            scene = scene.at(*moment).forgets(*node, false);
        }
        rules(&scene.log(&[]))
    }

    #[test]
    fn what_most_have_not_synced_may_be_lost() {
        assert_eq!(lost(5_000_000, &[(5_500_000, 1), (5_600_000, 2)]), []);
        assert_eq!(lost(5_000_000, &[(5_500_000, 1), (7_900_000, 3)]), [], "one after the other");
    }

    #[test]
    fn what_one_node_has_synced_may_not() {
        assert_eq!(lost(5_000_000, &[]), [Rule::Lost]);
        assert_eq!(lost(5_000_000, &[(5_500_000, 1)]), [Rule::Lost]);
        assert_eq!(lost(5_000_000, &[(5_500_000, 1), (5_700_000, 1)]), [Rule::Lost], "the same node twice");
        assert_eq!(lost(5_000_000, &[(5_500_000, 1), (9_000_000, 2)]), [Rule::Lost], "long synced");
        let forgot = Scene::default().at(5_500_000).forgets(1, false).forgets(2, false);
        assert_eq!(rules(&forgot.at(9_000_000).acked(0, 0, 5).log(&[])), [Rule::Lost], "acknowledged since");
    }

    #[test]
    fn a_lost_disk_forgets_everything() {
        let scene = Scene::default().acked(0, 0, 5).at(60_000_000).acked(0, 1, 6).forgets(1, true);
        let scene = scene.at(61_000_000).forgets(2, false);
        assert_eq!(rules(&scene.clone().log(&[5])), []);
        assert_eq!(rules(&scene.log(&[])), [Rule::Lost], "the second one has synced this");
    }

    #[test]
    fn what_is_lost_gives_way_to_other_records() {
        let scene = Scene::default().at(5_000_000).acked(0, 0, 5).read("m", 0, &[(0, 5)]).end(0, 1);
        let scene = scene.forgets(1, false).forgets(2, false).at(8_000_000).end(0, 0);
        assert_eq!(rules(&scene.clone().acked(0, 0, 6).log(&[6])), []);
        assert_eq!(rules(&scene.acked(0, 0, 6).log(&[6]).log(&[])), [Rule::Lost], "replicas agree");
    }

    #[test]
    fn groups_are_judged_up_to_there() {
        let scene = Scene::default().committed("m", &[(0, 3)]).fetched(&[]).at(5_000_000);
        let late = Scene::default().at(5_000_000).committed("m", &[(0, 3)]);
        let forget = |scene: Scene| scene.at(7_000_000).forgets(1, false).forgets(2, false).fetched(&[]);
        assert_eq!(rules(&forget(scene)), [Rule::Commit]);
        assert_eq!(rules(&forget(late)), []);
    }

    #[test]
    fn a_producer_whose_records_are_gone_may_give_up() {
        let scene = Scene::default().at(5_000_000).produces().acked(0, 0, 5);
        let gives_up = |scene: Scene, why| scene.at(6_000_000).gave_up(why).log(&[]);
        let forgot = scene.clone().forgets(1, false).forgets(2, false);
        assert_eq!(rules(&gives_up(forgot.clone(), "an out of order sequence number")), []);
        assert_eq!(rules(&gives_up(forgot, "anything else")), [Rule::GaveUp]);
        let violations = check(&gives_up(scene, "an out of order sequence number").into_history());
        assert_eq!(violations.iter().filter(|it| it.rule == Rule::GaveUp).count(), 2, "{violations:?}");
    }
}
