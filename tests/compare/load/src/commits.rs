//! How many offsets a cluster takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::cluster::Cluster;
use crate::wire::Wire;

/// Sent before the measurement begins.
const RUN_UP: Duration = Duration::from_secs(3);

/// How long it may take until a group has a coordinator.
const COORDINATOR_WITHIN: Duration = Duration::from_secs(60);

/// Commits of so many groups, each over a connection of its own on which so many are on their way.
pub fn run(cluster: &Cluster, topic: &str, groups: usize, in_flight: i64, secs: u64) -> Result<()> {
    let (committed, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut threads = Vec::new();
    for number in 0..groups {
        let (group, topic) = (format!("commits-{groups}-{number}"), topic.to_owned());
        let mut wire = begin(cluster, &group, &topic)?;
        let (committed, stop) = (Arc::clone(&committed), Arc::clone(&stop));
        threads.push(thread::spawn(move || -> Result<()> {
            for offset in 0..in_flight {
                wire.send_commit(&group, &topic, offset)?;
            }
            for offset in in_flight.. {
                match wire.receive_commit()? {
                    0 => committed.fetch_add(1, Ordering::Relaxed),
                    error => bail!("a commit of {group} is refused with error {error}"),
                };
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                wire.send_commit(&group, &topic, offset)?;
            }
            Ok(())
        }));
    }
    thread::sleep(RUN_UP);
    let (begun, before) = (Instant::now(), committed.load(Ordering::Relaxed));
    thread::sleep(Duration::from_secs(secs));
    let count = committed.load(Ordering::Relaxed) - before;
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().map_err(|_| anyhow!("a committer panicked"))??;
    }
    println!(r#"{{"command":"commits","groups":{groups},"in_flight":{in_flight},"commits_s":{rate:.0}}}"#);
    Ok(())
}

/// A connection to the coordinator of a group, which has taken a first commit.
fn begin(cluster: &Cluster, group: &str, topic: &str) -> Result<Wire> {
    let brokers = cluster.brokers();
    let address = brokers.first().context("a broker's address")?;
    let begun = Instant::now();
    while begun.elapsed() < COORDINATOR_WITHIN {
        if let Some(found) = Wire::connect(address)?.find(group)? {
            let mut wire = Wire::connect(&found.address)?;
            wire.send_commit(group, topic, 0)?;
            if wire.receive_commit()? == 0 {
                return Ok(wire);
            }
        }
        thread::sleep(Duration::from_millis(100));
    }
    bail!("{group} has no coordinator after {COORDINATOR_WITHIN:?}")
}
