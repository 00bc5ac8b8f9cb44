//! One value per offset, whoever looks and whenever: acknowledgements, consumers, and the log in the end.

use std::collections::HashMap;

use super::forgiven::Forgiven;
use super::{Rule, Violation};
use crate::history::{Deed, Entry, History, Place, Seen, Sending};

pub(super) fn check(history: &History, forgiven: &Forgiven) -> Vec<Violation> {
    let mut known: HashMap<(&Place, i64), (u64, &Entry)> = HashMap::new();
    let mut found = Vec::new();
    for entry in &history.entries {
        let acknowledged;
        let (place, records) = match &entry.deed {
            Deed::Send { place, value, sending: Sending::Acknowledged { offset: Some(offset) } } => {
                acknowledged = [Seen { offset: *offset, value: *value }];
                (place, &acknowledged[..])
            }
            Deed::Read { place, records } | Deed::Final { place, records } => (place, &records[..]),
            _ => continue,
        };
        for Seen { offset, value } in records.iter().copied() {
            // What may be lost may give way to something else.
            let (before, who) = if forgiven.covers(entry.ended) {
                known.get(&(place, offset)).copied().unwrap_or((value, entry))
            } else {
                *known.entry((place, offset)).or_insert((value, entry))
            };
            if before != value {
                let evidence = format!(
                    "{place} at offset {offset}: value {before} to {} at {} µs, value {value} to {} at {} µs",
                    who.client, who.ended, entry.client, entry.ended
                );
                found.push(Violation::new(Rule::TwoValues, evidence));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::scene::{Scene, rules};
    use super::*;

    #[test]
    fn two_records_acknowledged_at_one_offset() {
        let scene = Scene::default().acked(0, 0, 5).acked(0, 0, 6).log(&[5]);
        assert!(rules(&scene).contains(&Rule::TwoValues));
    }

    #[test]
    fn two_consumers_who_saw_different_records() {
        let scene = Scene::default().unknown(0, 5).unknown(0, 6);
        let scene = scene.read("a", 0, &[(0, 5)]).read("b", 0, &[(0, 6)]).log(&[6]);
        assert!(rules(&scene).contains(&Rule::TwoValues));
    }

    #[test]
    fn the_same_offset_of_two_partitions() {
        let scene = Scene::default().acked(0, 0, 5).acked(1, 0, 6).log(&[5]).log_of(1, &[(0, 6)]);
        assert_eq!(rules(&scene), []);
    }
}
