//! Everything came to its end: each partition that was written to was read to its end, each group has read every record of
//! what its members own, and no client gave up.

use std::collections::{HashMap, HashSet};

use super::log::FinalLogs;
use super::{Rule, Violation};
use crate::history::{Deed, History, Place, Sending};

pub(super) fn check(history: &History, finals: &FinalLogs<'_>) -> Vec<Violation> {
    let mut found = gave_up(history);
    found.extend(never_read(history, finals));
    found.extend(unread(history, finals));
    found
}

fn gave_up(history: &History) -> Vec<Violation> {
    let why = history.entries.iter().filter_map(|entry| match &entry.deed {
        Deed::GaveUp { why } => Some(format!("{} at {} µs: {why}", entry.client, entry.ended)),
        _ => None,
    });
    why.map(|evidence| Violation::new(Rule::GaveUp, evidence)).collect()
}

/// Partitions with acknowledged records that nobody read in the end: their judgement would be none.
fn never_read(history: &History, finals: &FinalLogs<'_>) -> Vec<Violation> {
    let written = history.entries.iter().filter_map(|entry| match &entry.deed {
        Deed::Send { place, sending: Sending::Acknowledged { .. }, .. } => Some(place),
        _ => None,
    });
    let unread = written.filter(|place| !finals.logs.contains_key(place)).collect::<HashSet<_>>();
    let evidence = unread.into_iter().map(|place| format!("{place} was not read to its end"));
    evidence.map(|evidence| Violation::new(Rule::GaveUp, evidence)).collect()
}

/// Records that a group, whose members own the partition at some time, never got.
fn unread(history: &History, finals: &FinalLogs<'_>) -> Vec<Violation> {
    let mut groups: HashMap<&str, &str> = HashMap::new();
    let mut owned: HashSet<(&str, &Place)> = HashSet::new();
    for entry in &history.entries {
        if let Deed::Assigned { group, places } = &entry.deed {
            groups.insert(&entry.client, group);
            owned.extend(places.iter().map(|place| (group.as_str(), place)));
        }
    }
    let mut read: HashSet<(&str, &Place, i64)> = HashSet::new();
    for entry in &history.entries {
        if let Deed::Read { place, records } = &entry.deed
            && let Some(group) = groups.get(entry.client.as_str())
        {
            read.extend(records.iter().map(|seen| (*group, place, seen.offset)));
        }
    }
    let mut found = Vec::new();
    for (group, place) in owned {
        let log = finals.logs.get(place).copied().unwrap_or_default();
        let missing = log.iter().filter(|seen| !read.contains(&(group, place, seen.offset)));
        let missing = missing.map(|seen| seen.offset).collect::<Vec<_>>();
        if let Some(first) = missing.first() {
            let evidence =
                format!("group {group} never got {} of {place}, the first at {first}", missing.len());
            found.push(Violation::new(Rule::Unread, evidence));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::scene::{Scene, rules};
    use super::*;

    #[test]
    fn a_client_that_gave_up() {
        assert_eq!(rules(&Scene::default().gave_up("fatal")), [Rule::GaveUp]);
    }

    #[test]
    fn a_partition_that_was_never_read() {
        let scene = Scene::default().acked(0, 0, 5);
        assert_eq!(rules(&scene), [Rule::GaveUp, Rule::Lost]);
    }

    #[test]
    fn a_record_that_a_group_never_got() {
        let scene = Scene::default().acked(0, 0, 5).acked(0, 1, 6).log(&[5, 6]);
        let scene = scene.assigned("m", &[0]).read("m", 0, &[(0, 5)]);
        assert_eq!(rules(&scene), [Rule::Unread]);
        assert_eq!(rules(&scene.read("m", 0, &[(1, 6)])), []);
    }
}
