//! Real-time order: an acknowledged offset lies above every offset of its partition that had been acknowledged before that
//! write began.

use std::collections::HashMap;

use super::forgiven::Forgiven;
use super::frontier::Frontier;
use super::{Rule, Violation};
use crate::history::{Deed, Entry, History, Place, Sending};

pub(super) fn check(history: &History, forgiven: &Forgiven) -> Vec<Violation> {
    let acknowledged = history.entries.iter().filter_map(|entry| match &entry.deed {
        Deed::Send { place, sending: Sending::Acknowledged { offset: Some(offset) }, .. } => {
            Some((place, *offset, entry))
        }
        _ => None,
    });
    let mut frontiers: HashMap<&Place, Frontier<'_>> = HashMap::new();
    let mut found = Vec::new();
    for (place, offset, entry) in acknowledged {
        let frontier = frontiers.entry(place).or_default();
        if let Some((before, other)) = frontier.before(entry.invoked)
            && before >= offset
        {
            found.push(violation(place, (before, other), (offset, entry)));
        }
        if !forgiven.covers(entry.ended) {
            frontier.told(offset, entry);
        }
    }
    found
}

fn violation(place: &Place, (before, other): (i64, &Entry), (offset, entry): (i64, &Entry)) -> Violation {
    let evidence = format!(
        "{place}: offset {before} was acknowledged to {} at {} µs, and then offset {offset} to {}, who sent from {} µs on",
        other.client, other.ended, entry.client, entry.invoked
    );
    Violation::new(Rule::Order, evidence)
}

#[cfg(test)]
mod tests {
    use super::super::scene::{Scene, rules};
    use super::*;

    #[test]
    fn a_later_write_below_an_earlier_one() {
        let scene = Scene::default().acked(0, 1, 5).acked(0, 0, 6).log(&[6, 5]);
        assert_eq!(rules(&scene), [Rule::Order]);
    }

    #[test]
    fn writes_at_the_same_time_have_any_order() {
        let scene = Scene::default().acked(0, 1, 5).since(0).acked(0, 0, 6).log(&[6, 5]);
        assert_eq!(rules(&scene), []);
    }
}
