//! No aborted read: a record whose send failed for certain is never seen by anybody, neither then nor in the end.
//!
//! This is what tells "refused" from "nobody knows": a leader that has lost its place may say `NOT_LEADER_OR_FOLLOWER` only
//! when the record cannot come into the log any more.

use std::collections::HashMap;

use super::{Rule, Violation};
use crate::history::{Deed, Entry, History, Sending};

pub(super) fn check(history: &History) -> Vec<Violation> {
    let failed = history.entries.iter().filter_map(|entry| match &entry.deed {
        Deed::Send { value, sending: Sending::Failed, .. } => Some((*value, entry)),
        _ => None,
    });
    let failed = failed.collect::<HashMap<u64, &Entry>>();
    let mut found = Vec::new();
    for entry in &history.entries {
        let (Deed::Read { place, records } | Deed::Final { place, records }) = &entry.deed else { continue };
        for seen in records {
            if let Some(send) = failed.get(&seen.value) {
                let evidence = format!(
                    "value {}, refused to {} at {} µs, was seen by {} at {} µs in {place} at offset {}",
                    seen.value, send.client, send.ended, entry.client, entry.ended, seen.offset
                );
                found.push(Violation::new(Rule::AbortedRead, evidence));
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
    fn a_refused_record_in_the_log() {
        let scene = Scene::default().sent(0, 5, Sending::Failed).log(&[5]);
        assert_eq!(rules(&scene), [Rule::AbortedRead]);
    }

    #[test]
    fn a_refused_record_that_was_seen_and_is_gone() {
        let scene = Scene::default().read("c", 0, &[(0, 5)]).sent(0, 5, Sending::Failed).log(&[]);
        assert_eq!(rules(&scene), [Rule::Lost, Rule::AbortedRead]);
    }

    #[test]
    fn a_record_of_unknown_outcome_may_be_seen() {
        assert_eq!(rules(&Scene::default().unknown(0, 5).log(&[5])), []);
        assert_eq!(rules(&Scene::default().unknown(0, 5).log(&[])), []);
    }
}
