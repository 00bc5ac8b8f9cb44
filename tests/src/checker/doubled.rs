//! No record is there twice, and none that nobody sent.
//!
//! Every producer of a history is either idempotent or never sends a value again, so that this holds of unknown outcomes, too.

use std::collections::{HashMap, HashSet};

use super::log::{FinalLogs, Reading};
use super::{Rule, Violation};
use crate::history::{Deed, History, Place};

pub(super) fn check(history: &History, finals: &FinalLogs<'_>) -> Vec<Violation> {
    let sent = history.entries.iter().filter_map(|entry| match &entry.deed {
        Deed::Send { place, value, .. } => Some((place, *value)),
        _ => None,
    });
    let sent = sent.collect::<HashSet<(&Place, u64)>>();
    let mut found = Vec::new();
    let mut first: HashMap<u64, (&Place, i64)> = HashMap::new();
    for (place, Reading { log, .. }) in finals.all() {
        for seen in *log {
            let is_here = (place, seen.offset);
            if let Some((other, offset)) = first.insert(seen.value, is_here) {
                // Each replica has it where the others do.
                if (other, offset) == is_here {
                    continue;
                }
                let evidence = format!(
                    "value {} is in {other} at offset {offset} and in {place} at offset {}",
                    seen.value, seen.offset
                );
                found.push(Violation::new(Rule::Doubled, evidence));
            } else if !sent.contains(&(place, seen.value)) {
                let evidence =
                    format!("value {} in {place} at offset {} was not sent", seen.value, seen.offset);
                found.push(Violation::new(Rule::Invented, evidence));
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
    fn a_record_that_is_there_twice() {
        let scene = Scene::default().acked(0, 0, 5).log(&[5, 5]);
        assert_eq!(rules(&scene), [Rule::Doubled]);
        let unknown = Scene::default().unknown(0, 5).log(&[5, 5]);
        assert_eq!(rules(&unknown), [Rule::Doubled]);
    }

    #[test]
    fn one_replica_has_it_twice_and_another_one_does_not() {
        let scene = Scene::default().acked(0, 0, 5);
        assert_eq!(rules(&scene.clone().log(&[5]).log(&[5])), []);
        assert_eq!(rules(&scene.clone().log(&[5, 5]).log(&[5])), [Rule::Lost, Rule::Doubled]);
        assert_eq!(rules(&scene.log(&[5, 6]).log(&[5])), [Rule::Lost, Rule::Invented]);
    }

    #[test]
    fn a_record_that_nobody_sent() {
        let scene = Scene::default().acked(0, 0, 5).log(&[5, 6]);
        assert_eq!(rules(&scene), [Rule::Invented]);
    }

    #[test]
    fn a_record_in_another_partition_than_it_was_sent_to() {
        let scene = Scene::default().unknown(1, 5).log(&[5]);
        assert_eq!(rules(&scene), [Rule::Invented]);
    }
}
