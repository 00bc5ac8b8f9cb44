//! The judgement bites: a history of real clients in which nothing is wrong, and then one thing is.

use trilog_tests::checker::{Rule, check};
use trilog_tests::cluster::Cluster;
use trilog_tests::history::{Deed, Entry, History, Outcome, Seen, Sending};
use trilog_tests::nemesis::Fault;
use trilog_tests::nemesis::plan::Plan;
use trilog_tests::round;

use super::{LASTS, play};

/// Whether a broken rule is found in a history once it was changed.
fn is_caught(history: &History, rule: Rule, change: impl FnOnce(&mut Vec<Entry>)) -> bool {
    let mut changed = history.clone();
    change(&mut changed.entries);
    assert_ne!(history, &changed, "{rule:?}: something was changed");
    check(&changed).iter().any(|violation| violation.rule == rule)
}

/// The first entry whose deed suits; `get` returns a part of it.
fn find<T>(entries: &mut [Entry], get: impl Fn(&mut Deed) -> Option<&mut T>) -> &mut T {
    entries.iter_mut().find_map(|entry| get(&mut entry.deed)).expect("a real history has one")
}

/// The records of a partition in the end, one with a few of them.
fn final_log(entries: &mut [Entry]) -> &mut Vec<Seen> {
    find(entries, |deed| match deed {
        Deed::Final { records, .. } if records.len() > 10 => Some(records),
        _ => None,
    })
}

/// The last entry of its kind: what it says had long been surpassed when it is changed to what was true at first.
fn last(entries: &mut [Entry], suits: impl Fn(&Deed) -> bool) -> &mut Deed {
    &mut entries.iter_mut().rfind(|entry| suits(&entry.deed)).expect("a real history has one").deed
}

#[tokio::test]
async fn each_rule_is_broken_in_a_real_history() {
    let plan = Plan::one(Fault::Kill(2), LASTS);
    let mut cluster = Cluster::start(round::options(&plan)).await;
    let history = play(&mut cluster, "bites", &plan).await;
    records(&history);
    groups(&history);
}

fn records(history: &History) {
    let caught = |rule, change: fn(&mut Vec<Entry>)| {
        assert!(is_caught(history, rule, change), "{rule:?} is caught");
    };
    caught(Rule::Lost, |entries| final_log(entries).retain(|seen| seen.offset < 5));
    caught(Rule::Hole, |entries| final_log(entries).retain(|seen| seen.offset != 5));
    caught(Rule::Doubled, |entries| {
        let log = final_log(entries);
        log.push(Seen { offset: log[log.len() - 1].offset + 1, value: log[3].value });
    });
    caught(Rule::Invented, |entries| final_log(entries)[4].value = 1);
    caught(Rule::TwoValues, |entries| {
        let log = final_log(entries);
        let (third, seventh) = (log[3].value, log[7].value);
        (log[3].value, log[7].value) = (seventh, third);
    });
    caught(Rule::Swapped, |entries| {
        let log = final_log(entries);
        // Those of the first producer.
        let mut own = (0..log.len()).filter(|at| log[*at].value >> 32 == 0);
        let (one, other) = own.next().zip(own.next()).expect("each producer writes to each partition");
        (log[one].value, log[other].value) = (log[other].value, log[one].value);
    });
    caught(Rule::AbortedRead, |entries| {
        *find(entries, |deed| match deed {
            Deed::Send { sending: sending @ Sending::Acknowledged { .. }, .. } => Some(sending),
            _ => None,
        }) = Sending::Failed;
    });
    caught(Rule::Order, |entries| {
        let Deed::Send { sending, .. } =
            last(entries, |deed| matches!(deed, Deed::Send { sending: Sending::Acknowledged { .. }, .. }))
        else {
            return;
        };
        *sending = Sending::Acknowledged { offset: Some(0) };
    });
    caught(Rule::Stale, |entries| {
        if let Deed::End { offset, .. } = last(entries, |deed| matches!(deed, Deed::End { .. })) {
            *offset = 1;
        }
    });
}

fn groups(history: &History) {
    let caught = |rule, change: fn(&mut Vec<Entry>)| {
        assert!(is_caught(history, rule, change), "{rule:?} is caught");
    };
    caught(Rule::Poll, |entries| {
        let read = entries.iter_mut().filter(|entry| entry.client.starts_with("classic"));
        let mut records = read.filter_map(|entry| match &mut entry.deed {
            Deed::Read { records, .. } if records.len() > 2 => Some(records),
            _ => None,
        });
        records.next().expect("somebody polled several records").remove(1);
    });
    caught(Rule::Unread, |entries| {
        entries.retain(|entry| {
            !(entry.client.starts_with("consumer") && matches!(entry.deed, Deed::Read { .. }))
        });
    });
    caught(Rule::Commit, |entries| {
        if let Deed::Committed { offsets, .. } =
            last(entries, |deed| matches!(deed, Deed::Committed { offsets, .. } if !offsets.is_empty()))
        {
            offsets[0].1 = 0;
        }
    });
    caught(Rule::Resumed, |entries| {
        for entry in entries {
            if let Deed::Commit { outcome, .. } = &mut entry.deed {
                *outcome = Outcome::Failed;
            }
        }
    });
    caught(Rule::TwoOwners, |entries| {
        let members = find(entries, |deed| match deed {
            Deed::Members { members, .. } => {
                Some(members).filter(|members| members.len() > 1 && !members[0].owns.is_empty())
            }
            _ => None,
        });
        let owned = members[0].owns.clone();
        members[1].owns.extend(owned);
    });
    caught(Rule::Zombie, |entries| {
        let commit = entries.iter_mut().find(|entry| {
            entry.client.starts_with("classic")
                && matches!(entry.deed, Deed::Commit { outcome: Outcome::Acknowledged, .. })
        });
        "classic-99".clone_into(&mut commit.expect("a member committed").client);
    });
    caught(Rule::GaveUp, |entries| entries.retain(|entry| !matches!(entry.deed, Deed::Final { .. })));
    caught(Rule::GaveUp, |entries| entries.retain(|entry| !matches!(entry.deed, Deed::Settled { .. })));
}
