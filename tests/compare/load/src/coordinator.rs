//! How long the death of a coordinator's node is felt.
//!
//! Two groups have the same coordinator: one of librdkafka's consumers, of whom it counts how often they are rebalanced, and
//! one without members whose offsets are committed by hand. librdkafka's own commits would tell more about it than about
//! the coordinator: a commit that is on its way when a coordinator is lost is sent again to the next one, and each change
//! of the address that it goes to fails it once more, which takes it from a quarter of a second to half a minute.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::cluster::Cluster;
use crate::members::Members;
use crate::wire::{Coordinator, Wire};

/// How often the living are asked who coordinates, and offsets are committed.
const INTERVAL: Duration = Duration::from_millis(5);

/// How long a group may take to get its first coordinator.
const COORDINATOR_WITHIN: Duration = Duration::from_secs(60);

/// Whom some broker names, if one of them answers and names anybody.
fn find(brokers: &[String], group: &str) -> Option<Coordinator> {
    brokers.iter().find_map(|broker| Wire::connect(broker).ok()?.find(group).ok()?)
}

/// Prints the id of the node that coordinates a group.
pub fn find_node(cluster: &Cluster, group: &str) -> Result<()> {
    let found = find(&cluster.brokers(), group).with_context(|| format!("nobody coordinates {group}"))?;
    println!("{}", found.node);
    Ok(())
}

/// What is seen from outside of an old coordinator's end and a new one's beginning.
#[derive(Default)]
struct Seen {
    /// When its node ended its connections.
    died: Option<Instant>,
    /// When another node named another one.
    elected: Option<Instant>,
    /// When the last offset was committed.
    committed: Option<Instant>,
    /// The longest time without a commit.
    gap: Option<Duration>,
}

type Shared = Arc<Mutex<Seen>>;

fn note(seen: &Shared, what: impl FnOnce(&mut Seen, Instant)) {
    if let Ok(mut seen) = seen.lock() {
        what(&mut seen, Instant::now());
    }
}

/// Waits for the end of a coordinator's node.
fn watch_death(held: Wire, seen: &Shared) {
    let seen = Arc::clone(seen);
    thread::spawn(move || {
        if held.wait_closed().is_ok() {
            note(&seen, |seen, now| seen.died = Some(now));
        }
    });
}

/// Asks everybody but the old coordinator who coordinates now, until it is somebody else.
fn watch_election(brokers: Vec<String>, group: String, old: Coordinator, seen: &Shared) {
    let seen = Arc::clone(seen);
    thread::spawn(move || {
        let others = brokers.into_iter().filter(|broker| *broker != old.address).collect::<Vec<_>>();
        while find(&others, &group).is_none_or(|new| new == old) {
            thread::sleep(INTERVAL);
        }
        note(&seen, |seen, now| seen.elected = Some(now));
    });
}

/// Commits to whoever coordinates, again and again.
fn commit(brokers: Vec<String>, group: String, topic: String, seen: &Shared, stop: &Arc<AtomicBool>) {
    let (seen, stop) = (Arc::clone(seen), Arc::clone(stop));
    thread::spawn(move || {
        let (mut wire, mut offset) = (None, 0);
        while !stop.load(Ordering::Relaxed) {
            let current = wire.take().or_else(|| Wire::connect(&find(&brokers, &group)?.address).ok());
            offset += 1;
            wire = current.and_then(|wire| committed(wire, &group, &topic, offset));
            if wire.is_some() {
                note(&seen, |seen, now| {
                    let since = seen.committed.replace(now).unwrap_or(now);
                    seen.gap = seen.gap.max(Some(now - since));
                });
            }
            thread::sleep(INTERVAL);
        }
    });
}

/// The connection, if the coordinator at its end takes a commit.
fn committed(mut wire: Wire, group: &str, topic: &str, offset: i64) -> Option<Wire> {
    wire.send_commit(group, topic, offset).ok()?;
    (wire.receive_commit().ok()? == 0).then_some(wire)
}

/// A name for a group that this node coordinates, too.
fn neighbour(brokers: &[String], group: &str, node: i32) -> Result<String> {
    let begun = Instant::now();
    for number in 0.. {
        let name = format!("{group}-{number}");
        match find(brokers, &name) {
            Some(found) if found.node == node => return Ok(name),
            _ if begun.elapsed() > COORDINATOR_WITHIN => break,
            _ => {}
        }
    }
    bail!("node {node} coordinates nobody else")
}

pub fn run(
    cluster: &Cluster,
    topic: &str,
    group: &str,
    protocol: &str,
    count: usize,
    secs: u64,
) -> Result<()> {
    let partitions = usize::try_from(cluster.partitions(topic)?)?;
    let members = Members::new(cluster, group, protocol, count)?;
    members.subscribe(topic)?;
    members.settle(partitions)?;
    let (callbacks, brokers) = (members.callbacks()?, cluster.brokers());
    let old = find(&brokers, group).context("the group has a coordinator")?;
    let other = neighbour(&brokers, group, old.node)?;
    let (seen, stop) = (Shared::default(), Arc::new(AtomicBool::new(false)));
    watch_death(Wire::connect(&old.address)?, &seen);
    watch_election(brokers.clone(), group.to_owned(), old, &seen);
    commit(brokers, other, topic.to_owned(), &seen, &stop);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(secs) {
        members.poll();
    }
    stop.store(true, Ordering::Relaxed);
    let seen = seen.lock().map_err(|_| anyhow!("a watcher panicked"))?;
    let (Some(died), Some(elected)) = (seen.died, seen.elected) else { bail!("no coordinator died") };
    let gap = seen.gap.context("no offset was committed")?;
    if seen.committed.is_none_or(|last| last < died) {
        bail!("no offset was committed after the coordinator's death");
    }
    println!(
        r#"{{"command":"coordinator","protocol":"{protocol}","elected_ms":{},"gap_ms":{},"callbacks":{}}}"#,
        elected.saturating_duration_since(died).as_millis(),
        gap.as_millis(),
        members.callbacks()? - callbacks
    );
    members.abandon();
    Ok(())
}
