//! A partition has one owner in a generation, as the coordinator shows it, and nobody commits for it but the owner.
//!
//! Clients do not tell their generation, and what they believe to own may be out of date: a member that was put out does not
//! know it yet. So ownership is looked at where it counts: in what the coordinator shows (where the consumer protocol has
//! epochs, also from one look to the next), and in whose commits it accepts.
//!
//! The commits of a group with epochs are left out. There the coordinator checks the member's epoch and not what it owns, as
//! Kafka does, and librdkafka (2.12) may say that it owns nothing while it is still about to take what it was assigned: then
//! somebody else is given it before its callback is told, with epochs that are as they should be.

use std::collections::{HashMap, HashSet};

use super::forgiven::Forgiven;
use super::{Rule, Violation};
use crate::history::{Deed, Entry, History, MemberView, Outcome, Place};

pub(super) fn check(history: &History, forgiven: &Forgiven) -> Vec<Violation> {
    let entries = forgiven.certain(history);
    let mut found = two_owners(entries);
    found.extend(zombies(entries));
    found
}

fn two_owners(entries: &[Entry]) -> Vec<Violation> {
    let mut owners: HashMap<(&str, i32, &Place), &str> = HashMap::new();
    let mut found = Vec::new();
    for entry in entries {
        let Deed::Members { group, members } = &entry.deed else { continue };
        let mut now: HashMap<&Place, &str> = HashMap::new();
        for MemberView { id, epoch, owns } in members {
            for place in owns {
                let at_once = now.insert(place, id);
                let in_epoch = epoch.and_then(|epoch| owners.insert((group, epoch, place), id));
                let other = at_once.or(in_epoch).filter(|other| *other != id);
                if let Some(other) = other {
                    let evidence = format!(
                        "group {group} at {} µs: {other} and {id} own {place} in epoch {epoch:?}",
                        entry.ended
                    );
                    found.push(Violation::new(Rule::TwoOwners, evidence));
                }
            }
        }
    }
    found
}

/// Commits that were accepted from a member that had been assigned a partition before somebody else was.
fn zombies(entries: &[Entry]) -> Vec<Violation> {
    let with_epochs = entries.iter().filter_map(|entry| match &entry.deed {
        Deed::Members { group, members } => {
            members.iter().any(|member| member.epoch.is_some()).then_some(group.as_str())
        }
        _ => None,
    });
    let with_epochs = with_epochs.collect::<HashSet<_>>();
    let mut found = Vec::new();
    for entry in entries {
        let Deed::Commit { group, offsets, outcome: Outcome::Acknowledged } = &entry.deed else { continue };
        if with_epochs.contains(group.as_str()) {
            continue;
        }
        for (place, _) in offsets {
            let owner = last_assigned(entries, group, place, entry);
            if let Some(owner) = owner.filter(|owner| owner.client != entry.client) {
                let evidence = format!(
                    "group {group}: {} committed {place} at {} µs, which {} was assigned at {} µs",
                    entry.client, entry.invoked, owner.client, owner.ended
                );
                found.push(Violation::new(Rule::Zombie, evidence));
            }
        }
    }
    found
}

/// Who was the last to be assigned a partition before a commit began.
fn last_assigned<'a>(entries: &'a [Entry], group: &str, place: &Place, commit: &Entry) -> Option<&'a Entry> {
    let count = entries.partition_point(|entry| entry.ended < commit.invoked);
    entries[..count].iter().rfind(|entry| match &entry.deed {
        Deed::Assigned { group: other, places } => other == group && places.contains(place),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::super::scene::{Scene, rules};
    use super::*;

    #[test]
    fn two_owners_at_once() {
        let scene = Scene::default().members(&[("m", Some(1), &[0, 1]), ("n", Some(2), &[1])]);
        assert_eq!(rules(&scene), [Rule::TwoOwners]);
        let classic = Scene::default().members(&[("m", None, &[0]), ("n", None, &[0])]);
        assert_eq!(rules(&classic), [Rule::TwoOwners]);
    }

    #[test]
    fn two_owners_in_one_epoch_one_after_the_other() {
        let scene = Scene::default().members(&[("m", Some(1), &[0])]);
        assert_eq!(rules(&scene.clone().members(&[("n", Some(1), &[0])])), [Rule::TwoOwners]);
        assert_eq!(rules(&scene.members(&[("m", Some(2), &[]), ("n", Some(2), &[0])])), []);
    }

    #[test]
    fn a_commit_of_who_has_lost_the_partition_in_a_group_without_epochs() {
        let scene = Scene::default().assigned("m", &[0]).committed("m", &[(0, 0)]).assigned("n", &[0]);
        assert_eq!(rules(&scene.clone().committed("n", &[(0, 0)])), []);
        assert_eq!(rules(&scene.clone().commit("m", &[(0, 0)], Outcome::Failed)), []);
        let zombie = scene.committed("m", &[(0, 0)]);
        assert_eq!(rules(&zombie), [Rule::Zombie]);
        assert_eq!(rules(&zombie.members(&[("n", Some(7), &[0])])), []);
    }

    #[test]
    fn a_commit_that_was_on_its_way() {
        let scene = Scene::default().assigned("m", &[0]).assigned("n", &[0]).since(1);
        assert_eq!(rules(&scene.committed("m", &[(0, 0)])), []);
    }
}
