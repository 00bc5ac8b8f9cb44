//! Whether a fault cost a record: what `gap` wrote down, held against what the partition holds.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use crate::cluster::Cluster;

/// How long the reading may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was found in the partition.
#[derive(Default)]
struct Findings {
    duplicated: u64,
    reordered: u64,
    offset_holes: u64,
    /// Written although the producer was told that they failed: allowed, since it could not know better.
    failed_but_written: u64,
}

pub fn run(cluster: &Cluster, topic: &str, log: &Path) -> Result<()> {
    let outcomes = read_log(log)?;
    let (numbers, offset_holes) = read_partition(cluster, topic)?;
    let mut findings = Findings { offset_holes, ..Findings::default() };
    let mut seen: HashMap<u64, u64> = HashMap::new();
    let mut last = None;
    for number in numbers {
        let times = seen.entry(number).or_default();
        *times += 1;
        match outcomes.get(&number) {
            Some(true) if *times > 1 => findings.duplicated += 1,
            Some(false) => findings.failed_but_written += 1,
            _ => {}
        }
        if last.is_some_and(|last| number < last) {
            findings.reordered += 1;
        }
        last = Some(number);
    }
    let acked = outcomes.iter().filter(|(_, acked)| **acked);
    let lost = acked.clone().filter(|(number, _)| !seen.contains_key(number)).count();
    let Findings { duplicated, reordered, offset_holes, failed_but_written } = findings;
    println!(
        r#"{{"command":"verify","acked":{},"lost":{lost},"duplicated":{duplicated},"reordered":{reordered},"failed_but_written":{failed_but_written},"offset_holes":{offset_holes}}}"#,
        acked.count()
    );
    if lost > 0 || duplicated + reordered + offset_holes > 0 {
        bail!("the partition does not hold what was acknowledged");
    }
    Ok(())
}

/// Each record whose outcome is known, and whether it was acknowledged.
fn read_log(log: &Path) -> Result<HashMap<u64, bool>> {
    let mut outcomes = HashMap::new();
    for line in BufReader::new(File::open(log)?).lines() {
        let line = line?;
        let mut words = line.split(' ');
        let number = words.next().context("a line without a number")?.parse()?;
        outcomes.insert(number, words.next() == Some("acked"));
    }
    Ok(outcomes)
}

/// The records of partition 0 by their numbers, in the order they lie in, and how often an offset was skipped.
fn read_partition(cluster: &Cluster, topic: &str) -> Result<(Vec<u64>, u64)> {
    let settings = [("group.id", "load"), ("enable.auto.commit", "false")];
    let consumer: BaseConsumer = cluster.config(&settings).create()?;
    let (low, high) = consumer.fetch_watermarks(topic, 0, Duration::from_secs(30))?;
    let mut assigned = TopicPartitionList::new();
    assigned.add_partition_offset(topic, 0, Offset::Offset(low))?;
    consumer.assign(&assigned)?;
    let (mut numbers, mut holes, mut next) = (Vec::new(), 0, low);
    let begun = Instant::now();
    while next < high {
        if begun.elapsed() > PATIENCE {
            bail!("stopped at offset {next} of {high}");
        }
        let message = match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => message,
            // A node that is down is what this is about; librdkafka goes on with the others.
            Some(Err(error)) => {
                eprintln!("{error}");
                continue;
            }
            None => continue,
        };
        if message.offset() != next {
            holes += 1;
        }
        next = message.offset() + 1;
        let payload = message.payload().context("a record without a payload")?;
        numbers.push(u64::from_be_bytes(payload.try_into()?));
    }
    Ok((numbers, holes))
}
