//! No acknowledged record is lost: in the end it is where the acknowledgement said. Nor is one lost that a consumer was given,
//! whatever its producer was told: consumers see only what is committed.

use super::log::FinalLogs;
use super::{Rule, Violation};
use crate::history::{Deed, History, Place, Seen, Sending};

pub(super) fn check(history: &History, finals: &FinalLogs<'_>) -> Vec<Violation> {
    let logs = finals.by_offset();
    let holds = |place: &Place, offset: i64, value: u64| {
        logs.get(place).and_then(|log| log.get(&offset)).is_some_and(|there| *there == value)
    };
    let mut found = Vec::new();
    for entry in &history.entries {
        match &entry.deed {
            Deed::Send { place, value, sending: Sending::Acknowledged { offset } } => {
                let is_there = match offset {
                    Some(offset) => holds(place, *offset, *value),
                    None => logs.get(place).is_some_and(|log| log.values().any(|there| there == value)),
                };
                if !is_there {
                    let evidence = format!(
                        "value {value}, acknowledged to {} at {} µs in {place} at offset {offset:?}, is not there",
                        entry.client, entry.ended
                    );
                    found.push(Violation::new(Rule::Lost, evidence));
                }
            }
            Deed::Read { place, records } => {
                let gone = records.iter().find(|seen| !holds(place, seen.offset, seen.value));
                if let Some(Seen { offset, value }) = gone {
                    let evidence = format!(
                        "value {value}, read by {} at {} µs in {place} at offset {offset}, is not there in the end",
                        entry.client, entry.ended
                    );
                    found.push(Violation::new(Rule::Lost, evidence));
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::scene::{Scene, rules};
    use super::*;

    #[test]
    fn what_is_there_is_not_lost() {
        let scene = Scene::default().acked(0, 0, 5).acked(0, 1, 6).log(&[5, 6]);
        assert_eq!(rules(&scene), []);
        let duplicate = Scene::default().sent(0, 5, Sending::Acknowledged { offset: None }).log(&[5]);
        assert_eq!(rules(&duplicate), []);
    }

    #[test]
    fn an_acknowledged_record_that_is_gone() {
        let scene = Scene::default().acked(0, 0, 5).acked(0, 1, 6).log(&[5]);
        assert!(rules(&scene).contains(&Rule::Lost));
    }

    #[test]
    fn an_acknowledged_record_that_is_elsewhere() {
        let scene = Scene::default().acked(0, 0, 5).unknown(0, 6).log(&[6, 5]);
        assert!(rules(&scene).contains(&Rule::Lost));
        let duplicate = Scene::default().sent(0, 5, Sending::Acknowledged { offset: None }).log(&[]);
        assert!(rules(&duplicate).contains(&Rule::Lost));
    }

    #[test]
    fn an_unacknowledged_record_that_was_consumed_and_is_gone() {
        let scene = Scene::default().unknown(0, 5).read("c", 0, &[(0, 5)]).log(&[]);
        assert_eq!(rules(&scene), [Rule::Lost]);
    }
}
