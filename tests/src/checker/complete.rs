//! Everything came to its end: each partition that was written to was read to its end, each group has read every record of
//! each partition, each producer that does not give up has had all of its records acknowledged, and no client gave up.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::forgiven::Forgiven;
use super::log::FinalLogs;
use super::{Rule, Violation};
use crate::history::{Deed, History, Place, Sending};

pub(super) fn check(history: &History, finals: &FinalLogs<'_>, forgiven: &Forgiven) -> Vec<Violation> {
    let excused = excused(history, forgiven);
    let mut found = gave_up(history, &excused);
    found.extend(unsettled(history, &excused));
    found.extend(never_read(history, finals));
    found.extend(unread(history, finals));
    found
}

/// Producers that cannot go on, as records may be gone that they were acknowledged.
fn excused<'a>(history: &'a History, forgiven: &Forgiven) -> HashSet<&'a str> {
    let Some(first) = forgiven.first() else { return HashSet::new() };
    let began = history.entries.iter().filter(|entry| entry.deed == Deed::Produces);
    let producers = began.map(|entry| entry.client.as_str()).collect::<HashSet<_>>();
    let later = history.entries.iter().filter(|entry| entry.ended >= first);
    let misfits = later
        .filter(|entry| matches!(&entry.deed, Deed::GaveUp { why } if why.contains("out of order sequence")));
    misfits.map(|entry| entry.client.as_str()).filter(|client| producers.contains(client)).collect()
}

fn gave_up(history: &History, excused: &HashSet<&str>) -> Vec<Violation> {
    let entries = history.entries.iter().filter(|entry| !excused.contains(entry.client.as_str()));
    let why = entries.filter_map(|entry| match &entry.deed {
        Deed::GaveUp { why } => Some(format!("{} at {} µs: {why}", entry.client, entry.ended)),
        _ => None,
    });
    why.map(|evidence| Violation::new(Rule::GaveUp, evidence)).collect()
}

/// What is known of a producer that does not give up.
#[derive(Debug, Default)]
struct Account {
    /// Records of which it was told what became of them.
    told: u64,
    /// Those of them that were not acknowledged.
    refused: Vec<u64>,
    /// How many it has sent, if it came to its end.
    sent: Option<u64>,
}

/// Producers that have said nothing and yet stopped, or lost sight of a record.
fn unsettled(history: &History, excused: &HashSet<&str>) -> Vec<Violation> {
    let mut accounts: BTreeMap<&str, Account> = BTreeMap::new();
    for entry in &history.entries {
        if entry.deed == Deed::Produces {
            accounts.insert(&entry.client, Account::default());
        }
        let Some(account) = accounts.get_mut(entry.client.as_str()) else { continue };
        match &entry.deed {
            Deed::Send { sending: Sending::Acknowledged { .. }, .. } => account.told += 1,
            Deed::Send { value, .. } => {
                account.told += 1;
                account.refused.push(*value);
            }
            Deed::Settled { sent } => account.sent = Some(*sent),
            _ => {}
        }
    }
    let accounts = accounts.into_iter().filter(|(client, _)| !excused.contains(client));
    let evidence = accounts.filter_map(|(client, Account { told, refused, sent })| {
        let first = refused.first();
        match (sent, first) {
            (None, _) => Some(format!("{client} never came to its end")),
            (Some(sent), _) if sent != told => {
                Some(format!("{client} sent {sent} records, and was told what became of {told}"))
            }
            (_, Some(first)) => {
                let count = refused.len();
                Some(format!("{client} was not acknowledged {count} records, the first one value {first}"))
            }
            _ => None,
        }
    });
    evidence.map(|evidence| Violation::new(Rule::GaveUp, evidence)).collect()
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

/// Records that a group with members never got, whether or not it was ever assigned their partition: all groups read all
/// partitions.
fn unread(history: &History, finals: &FinalLogs<'_>) -> Vec<Violation> {
    let assigned = history.entries.iter().filter_map(|entry| match &entry.deed {
        Deed::Assigned { group, .. } => Some((entry.client.as_str(), group.as_str())),
        _ => None,
    });
    let groups = assigned.collect::<HashMap<&str, &str>>();
    let names = groups.values().copied().collect::<BTreeSet<_>>();
    let due = names.iter().flat_map(|group| finals.logs.keys().map(move |place| (*group, *place)));
    let mut read: HashSet<(&str, &Place, i64)> = HashSet::new();
    for entry in &history.entries {
        if let Deed::Read { place, records } = &entry.deed
            && let Some(group) = groups.get(entry.client.as_str())
        {
            read.extend(records.iter().map(|seen| (*group, place, seen.offset)));
        }
    }
    let mut found = Vec::new();
    for (group, place) in due {
        let log = finals.first(place);
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
    fn a_producer_that_gave_up_without_a_word() {
        let scene = Scene::default().produces().acked(0, 0, 5);
        assert_eq!(rules(&scene.clone().log(&[5])), [Rule::GaveUp]);
        assert_eq!(rules(&scene.clone().settled(2).log(&[5])), [Rule::GaveUp]);
        assert_eq!(rules(&scene.clone().unknown(0, 6).settled(2).log(&[5, 6])), [Rule::GaveUp]);
        assert_eq!(rules(&scene.settled(1).log(&[5])), []);
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

    #[test]
    fn a_partition_that_a_group_was_never_assigned() {
        let scene = Scene::default().acked(0, 0, 5).log(&[5]).assigned("m", &[1]);
        assert_eq!(rules(&scene), [Rule::Unread]);
    }

    #[test]
    fn a_record_that_was_written_when_the_groups_were_gone() {
        let scene = Scene::default().acked(0, 0, 5).assigned("m", &[0]).read("m", 0, &[(0, 5)]).log(&[5]);
        assert_eq!(rules(&scene.acked(0, 1, 6).log(&[5, 6])), []);
    }
}
