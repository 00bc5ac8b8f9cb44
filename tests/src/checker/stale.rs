//! No stale end: a node that answers as a partition's leader shows an end that covers all that anybody was told before it was
//! asked: what was acknowledged, what was read, what was shown as the end.
//!
//! This is where a leader gives itself away that was paused or cut off and has not heard that another one was elected.

use std::collections::HashMap;

use super::forgiven::Forgiven;
use super::frontier::Frontier;
use super::{Rule, Violation};
use crate::history::{Deed, History, Place, Sending};

pub(super) fn check(history: &History, forgiven: &Forgiven) -> Vec<Violation> {
    let mut frontiers: HashMap<&Place, Frontier<'_>> = HashMap::new();
    let mut found = Vec::new();
    for entry in &history.entries {
        let (place, end) = match &entry.deed {
            Deed::Send { place, sending: Sending::Acknowledged { offset: Some(offset) }, .. } => {
                (place, offset + 1)
            }
            Deed::Read { place, records } => match records.last() {
                Some(last) => (place, last.offset + 1),
                None => continue,
            },
            Deed::End { place, offset } => (place, *offset),
            _ => continue,
        };
        let frontier = frontiers.entry(place).or_default();
        if matches!(entry.deed, Deed::End { .. })
            && let Some((known, other)) = frontier.before(entry.invoked)
            && end < known
        {
            let evidence = format!(
                "{place}: {} was shown the end {end} at {} µs, having asked at {} µs, but {} knew of {known} at {} µs",
                entry.client, entry.ended, entry.invoked, other.client, other.ended
            );
            found.push(Violation::new(Rule::Stale, evidence));
        }
        if !forgiven.covers(entry.ended) {
            frontier.told(end, entry);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::scene::{Scene, rules};
    use super::*;

    #[test]
    fn an_end_below_what_was_acknowledged() {
        let scene = Scene::default().acked(0, 0, 5).end(0, 0).log(&[5]);
        assert_eq!(rules(&scene), [Rule::Stale]);
        let scene = Scene::default().acked(0, 0, 5).end(0, 1).log(&[5]);
        assert_eq!(rules(&scene), []);
    }

    #[test]
    fn an_end_below_what_was_read_or_shown() {
        let scene = Scene::default().unknown(0, 5).read("c", 0, &[(0, 5)]).end(0, 0).log(&[5]);
        assert_eq!(rules(&scene), [Rule::Stale]);
        let scene = Scene::default().unknown(0, 5).end(0, 1).end(0, 0).log(&[5]);
        assert_eq!(rules(&scene), [Rule::Stale]);
    }

    #[test]
    fn who_asked_before_may_be_shown_less() {
        let scene = Scene::default().acked(0, 0, 5).since(0).end(0, 0).log(&[5]);
        assert_eq!(rules(&scene), []);
    }
}
