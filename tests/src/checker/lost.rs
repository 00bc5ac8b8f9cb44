//! No acknowledged record is lost: in the end it is where the acknowledgement said, on each replica. Nor is one lost that a
//! consumer was given, whatever its producer was told: consumers see only what is committed. Nor anything below an end that was
//! shown, whether or not anybody looked at what lies there.

use std::collections::HashMap;

use super::forgiven::Forgiven;
use super::frontier::Frontier;
use super::log::FinalLogs;
use super::{Rule, Violation};
use crate::history::{Deed, Entry, History, Place, Seen, Sending};

pub(super) fn check(history: &History, finals: &FinalLogs<'_>, forgiven: &Forgiven) -> Vec<Violation> {
    let mut found = Vec::new();
    for entry in history.entries.iter().filter(|entry| !forgiven.covers(entry.ended)) {
        match &entry.deed {
            Deed::Send { place, value, sending: Sending::Acknowledged { offset } } => {
                found.extend(gone(entry, "acknowledged to", place, &[(*offset, *value)], finals));
            }
            Deed::Read { place, records } | Deed::Final { place, records } => {
                let records = records.iter().map(|Seen { offset, value }| (Some(*offset), *value));
                found.extend(gone(entry, "read by", place, &records.collect::<Vec<_>>(), finals));
            }
            _ => {}
        }
    }
    found.extend(vanished(history, finals, forgiven));
    found
}

/// The first of some records of a partition that is not there in the end.
fn gone(
    entry: &Entry,
    how: &str,
    place: &Place,
    records: &[(Option<i64>, u64)],
    finals: &FinalLogs<'_>,
) -> Option<Violation> {
    let evidence = |(offset, value): &(Option<i64>, u64), reader: &str| {
        format!(
            "value {value}, {how} {} at {} µs in {place} at offset {offset:?}, is not there in the end, to {reader}",
            entry.client, entry.ended
        )
    };
    let mut readings = finals.since(place, entry.ended).peekable();
    if readings.peek().is_none() {
        return Some(Violation::new(Rule::Lost, evidence(records.first()?, "anybody")));
    }
    readings.find_map(|reading| {
        let missing = records.iter().find(|(offset, value)| !reading.holds(*offset, *value))?;
        Some(Violation::new(Rule::Lost, evidence(missing, &reading.entry.client)))
    })
}

/// Readings that end below an end that was shown before.
fn vanished(history: &History, finals: &FinalLogs<'_>, forgiven: &Forgiven) -> Vec<Violation> {
    let mut shown: HashMap<&Place, Frontier<'_>> = HashMap::new();
    for entry in history.entries.iter().filter(|entry| !forgiven.covers(entry.ended)) {
        if let Deed::End { place, offset } = &entry.deed {
            shown.entry(place).or_default().told(*offset, entry);
        }
    }
    let vanished = finals.all().filter_map(|(place, reading)| {
        let (known, other) = shown.get(place)?.before(reading.entry.invoked)?;
        let evidence = || {
            format!(
                "{place} ends at {} in the end, to {}, but the end {known} was shown to {} at {} µs",
                reading.end(),
                reading.entry.client,
                other.client,
                other.ended
            )
        };
        (reading.end() < known).then(|| Violation::new(Rule::Lost, evidence()))
    });
    vanished.collect()
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

    #[test]
    fn records_below_an_end_that_was_shown_and_that_nobody_read() {
        let scene = Scene::default().unknown(0, 5).unknown(0, 6).end(0, 2);
        assert_eq!(rules(&scene.clone().log(&[5])), [Rule::Lost]);
        assert_eq!(rules(&scene.log(&[5, 6])), []);
    }

    #[test]
    fn a_replica_that_lacks_what_another_one_has() {
        let scene = Scene::default().acked(0, 0, 5).acked(0, 1, 6);
        assert_eq!(rules(&scene.clone().log(&[5, 6]).log(&[5])), [Rule::Lost]);
        assert_eq!(rules(&scene.clone().log(&[5]).log(&[5, 6])), [Rule::Lost]);
        let unknown = Scene::default().unknown(0, 5).unknown(0, 6);
        assert_eq!(rules(&unknown.log(&[5, 6]).log(&[5])), [Rule::Lost]);
        // Before the next replica is read, somebody may write.
        assert_eq!(rules(&scene.log(&[5, 6]).acked(0, 2, 7).log(&[5, 6, 7])), []);
    }

    #[test]
    fn a_replica_with_other_records_at_the_same_offsets() {
        let scene = Scene::default().unknown(0, 5).unknown(0, 6).log(&[5]).log(&[6]);
        assert_eq!(rules(&scene), [Rule::Lost, Rule::TwoValues]);
    }
}
