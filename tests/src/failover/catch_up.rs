//! A node returns to find a gigabyte that it lacks, while producers go on.
//!
//! Its speed is held against the storage benchmark of the same machine: what one store commits when nothing else runs.
//! Here three nodes and the client share the processors, so half of that is much.
//!
//! What producers keep of their throughput says something only of producers that need less than all there is. Those that
//! take all that two nodes can give cannot keep two thirds of it on the same processors beside a third node that
//! works harder than the two others. So there are two loads: one of [`STEADY`], of which the limits are wanted, and
//! [one without a limit](Demand::Limitless), which tells how what there is gets shared out.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::figure::{Figure, Unit, Wanted};
use super::flood::{Demand, Flood, rate};
use super::page_cache::PageCache;
use super::stage::{NODES, read_numbers, set_up, wait_balanced};
use crate::admin::NewTopic;
use crate::cluster::{Cluster, ClusterOptions};
use crate::waiting::within;

/// What is written while the node is down.
const BACKLOG: u64 = 1_000_000_000;

/// What producers write of their own accord, in bytes a second: about what three nodes of Apache Kafka take at most on two
/// processors.
const STEADY: f64 = 100e6;

/// How long the producers' pace is measured before the node returns.
const BEFORE: Duration = Duration::from_secs(4);

/// How long it may take the node, which runs after producers that do not wait for it.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is written to: a third of the partitions is led by each node.
const TOPIC: &str = "flood";
const PARTITIONS: usize = 12;

/// The node that is away.
const AWAY: i32 = 3;

/// The line of the benchmark that a node's work is most like: groups, and bytes an entry.
const BENCHMARK: [&str; 2] = ["10", "65536"];
/// Where that line tells megabytes a second.
const RATE_COLUMN: usize = 4;

/// Without a limit a round takes minutes and fills the disk, so that it is one where others are fifteen.
const ROUNDS_IN_ONE: usize = 15;

/// See [`Scenario::run`](super::Scenario::run). Each round has a cluster of its own.
pub async fn run(rounds: usize, fill_page_cache: bool) -> Vec<Figure> {
    let benchmark = tokio::task::spawn_blocking(benchmark).await.expect("the benchmark runs");
    eprintln!("the storage commits {benchmark:.0} MB/s alone");
    let steady = Wanted::AtLeast(benchmark / 2.0);
    let mut speed = Figure::new("node that lacks 1 GB: catches up at", Unit::MegabytesPerSecond, steady);
    let steady = Wanted::AtLeast(200.0 / 3.0);
    let mut kept = Figure::new("of 100 MB/s, producers keep meanwhile", Unit::Percent, steady);
    let filled = || fill_page_cache.then(PageCache::fill);
    for round in 0..rounds {
        let _filled = filled();
        one_round(Demand::Steady(STEADY), &mut speed, &mut kept).await;
        eprintln!("round {}: {}, producers keep {}", round + 1, speed.last(), kept.last());
    }
    let name = "the same while producers take all there is: catches up at";
    let mut full_speed = Figure::new(name, Unit::MegabytesPerSecond, Wanted::Nothing);
    let name = "of all there is, producers keep meanwhile";
    let mut full_kept = Figure::new(name, Unit::Percent, Wanted::Nothing);
    for round in 0..rounds.div_ceil(ROUNDS_IN_ONE) {
        let _filled = filled();
        one_round(Demand::Limitless, &mut full_speed, &mut full_kept).await;
        eprintln!("round {}: {}, producers keep {}", round + 1, full_speed.last(), full_kept.last());
    }
    vec![speed, kept, full_speed, full_kept]
}

async fn one_round(demand: Demand, speed: &mut Figure, kept: &mut Figure) {
    let mut cluster = set_up(ClusterOptions::nodes(3)).await;
    let connection = cluster.connect_any().await;
    let partitions = i32::try_from(PARTITIONS).expect("a small number");
    NewTopic::new(TOPIC).partitions(partitions).create(&connection).await;
    cluster.kill(AWAY);
    let flood = Flood::start(&cluster, TOPIC, PARTITIONS, demand);
    let mut before = 0.0;
    while flood.bytes() < BACKLOG {
        before = flood.rate(BEFORE).await;
    }

    let (returned, written) = (Instant::now(), flood.bytes());
    cluster.start_node(AWAY);
    let caught_up = within(PATIENCE, async || {
        let shown = cluster.topic_at(1, TOPIC).await?;
        shown.partitions.iter().all(|row| row.isr_nodes.len() == NODES).then_some(())
    })
    .await;
    assert!(caught_up.is_some(), "the node has caught up after {PATIENCE:?}");
    let (took, in_all) = (returned.elapsed(), flood.bytes());
    let during = rate(in_all - written, took);
    speed.add(rate(in_all, took) / 1e6);
    kept.add(during / before * 100.0);
    eprintln!(
        "{in_all} bytes in {took:?}; producers: {:.0} MB/s before, {:.0} MB/s during",
        before / 1e6,
        during / 1e6
    );

    let counts = flood.finish().await;
    wait_balanced(&cluster, &cluster.connect_any().await).await;
    for (partition, count) in counts.into_iter().enumerate() {
        verify(&cluster, partition, count).await;
    }
}

/// Reads a partition from its leader: every record once and in order, and no other.
///
/// # Panics
/// If it is not so.
async fn verify(cluster: &Cluster, partition: usize, count: u64) {
    let held = read_numbers(cluster, TOPIC, partition, 0).await;
    assert!(held.iter().map(|(_, number)| *number).eq(0..count), "partition {partition} holds 0 to {count}");
}

/// What the storage benchmark tells of one store on this machine, in MB/s.
///
/// # Panics
/// If it does not run.
fn benchmark() -> f64 {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["bench", "-p", "trilog-storage", "--bench", "commit"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "the benchmark ends well");
    let table = String::from_utf8_lossy(&output.stdout);
    megabytes_per_second(&table).expect("the benchmark prints its table")
}

fn megabytes_per_second(table: &str) -> Option<f64> {
    let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row.starts_with(&BENCHMARK))?;
    row.get(RATE_COLUMN)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_benchmarks_rate_is_read_from_its_table() {
        let table = "groups  payload  commits/s   entries/s     MB/s    p50 ms\n\
                     10     1024       1500       15000     15.4      0.60\n\
                     10    65536        300        3000    196.6      3.10\n";
        assert_eq!(megabytes_per_second(table), Some(196.6));
        assert_eq!(megabytes_per_second("nothing"), None);
    }
}
