//! An idempotent producer's records are in its order: of several batches that are on their way none overtakes another, whatever
//! is sent again. Within a partition, the values of such a producer increase.

use std::collections::{HashMap, HashSet};

use super::log::{FinalLogs, Reading};
use super::{Rule, Violation};
use crate::history::{Deed, History};

pub(super) fn check(history: &History, finals: &FinalLogs<'_>) -> Vec<Violation> {
    let began = history.entries.iter().filter(|entry| entry.deed == Deed::Produces);
    let idempotent = began.map(|entry| entry.client.as_str()).collect::<HashSet<_>>();
    let sent = history.entries.iter().filter(|entry| idempotent.contains(entry.client.as_str()));
    let producers = sent.filter_map(|entry| match &entry.deed {
        Deed::Send { value, .. } => Some((*value, entry.client.as_str())),
        _ => None,
    });
    let producers = producers.collect::<HashMap<u64, &str>>();
    let mut found = Vec::new();
    for (place, Reading { log, .. }) in finals.all() {
        let mut last: HashMap<&str, (u64, i64)> = HashMap::new();
        for seen in *log {
            let Some(producer) = producers.get(&seen.value) else { continue };
            let before = last.insert(producer, (seen.value, seen.offset));
            if let Some((value, offset)) = before.filter(|(value, _)| *value > seen.value) {
                let evidence = format!(
                    "{producer} sent value {} before value {value}, which are in {place} at the offsets {} and {offset}",
                    seen.value, seen.offset
                );
                found.push(Violation::new(Rule::Swapped, evidence));
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
    fn two_batches_in_flight_that_were_appended_swapped() {
        let scene = Scene::default().produces().since(0).acked(0, 1, 5).since(0).acked(0, 0, 6).settled(2);
        assert_eq!(rules(&scene.log(&[6, 5])), [Rule::Swapped]);
        let scene = Scene::default().produces().since(0).acked(0, 0, 5).since(0).acked(0, 1, 6).settled(2);
        assert_eq!(rules(&scene.log(&[5, 6])), []);
    }

    #[test]
    fn those_of_who_is_not_idempotent_may_be() {
        let scene = Scene::default().since(0).acked(0, 1, 5).since(0).acked(0, 0, 6);
        assert_eq!(rules(&scene.log(&[6, 5])), []);
    }
}
