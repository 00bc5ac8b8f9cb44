//! How long a big group takes to settle.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::cluster::Cluster;
use crate::members::Members;

/// How long the members' connections are given to come up before the first one joins.
const CONNECTED: Duration = Duration::from_secs(5);

pub fn run(cluster: &Cluster, topic: &str, group: &str, protocol: &str, count: usize) -> Result<()> {
    let partitions = usize::try_from(cluster.partitions(topic)?)?;
    let mut members = Members::new(cluster, group, protocol, count)?;
    thread::sleep(CONNECTED);
    let begun = Instant::now();
    members.subscribe(topic)?;
    let joined = members.settle(partitions)? - begun;
    let (_, last) = members.consumers.pop_last().context("a group has members")?;
    // It takes its time to close, during which the others must be served.
    let begun = Instant::now();
    let leaving = thread::spawn(move || drop(last));
    let left = members.settle(partitions)? - begun;
    leaving.join().ok().context("the thread that closes a consumer panicked")?;
    println!(
        r#"{{"command":"group","protocol":"{protocol}","members":{count},"partitions":{partitions},"join_ms":{},"leave_ms":{},"callbacks":{}}}"#,
        joined.as_millis(),
        left.as_millis(),
        members.callbacks()?
    );
    members.abandon();
    Ok(())
}
