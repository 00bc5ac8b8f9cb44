//! `trilog log-dirs`.

use clap::Args;
use serde::Serialize;
use trilog_client::admin::LogDir;

use super::Session;
use super::problems::Problems;
use crate::failure::Failure;
use crate::table::{Cell, Table, Tone};

/// What `log-dirs` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  trilog log-dirs
  trilog log-dirs --broker 1 --partitions")]
pub struct LogDirsArgs {
    /// Only this broker. May be repeated.
    #[arg(long, value_name = "ID")]
    broker: Vec<i32>,
    /// Only this topic. May be repeated.
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// Show every partition, the largest first. JSON has them always.
    #[arg(long)]
    partitions: bool,
}

#[derive(Serialize)]
struct Dir {
    broker: i32,
    path: String,
    error: Option<String>,
    bytes: i64,
    total_bytes: Option<i64>,
    usable_bytes: Option<i64>,
    partitions: Vec<Partition>,
}

#[derive(Serialize)]
struct Partition {
    topic: String,
    partition: i32,
    bytes: i64,
    lag: i64,
    future: bool,
}

impl Dir {
    fn of(broker: i32, told: LogDir, topics: &[String]) -> Self {
        let chosen = |topic: &str| topics.is_empty() || topics.iter().any(|wanted| wanted == topic);
        let replicas = told.replicas.into_iter().filter(|replica| chosen(&replica.partition.topic));
        let partitions = replicas.map(|replica| Partition {
            topic: replica.partition.topic.to_string(),
            partition: replica.partition.partition,
            bytes: replica.bytes,
            lag: replica.lag,
            future: replica.future,
        });
        let partitions: Vec<_> = partitions.collect();
        Self {
            broker,
            path: told.path,
            error: told.failure.map(|error| error.to_string()),
            bytes: partitions.iter().map(|partition| partition.bytes).sum(),
            total_bytes: told.total_bytes,
            usable_bytes: told.usable_bytes,
            partitions,
        }
    }
}

pub(super) async fn perform(args: &LogDirsArgs, session: &mut Session<'_>) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let mut outcomes = session.admin.describe_log_dirs().await?;
    for broker in &args.broker {
        if !outcomes.contains_key(broker) {
            problems.say(format!("there is no broker {broker}"));
        }
    }
    for topic in &args.topic {
        let is_there = |dirs: &Vec<LogDir>| {
            dirs.iter().flat_map(|dir| &dir.replicas).any(|replica| *replica.partition.topic == **topic)
        };
        // A broker that does not answer may have it.
        if !outcomes.values().any(|outcome| outcome.as_ref().map_or(true, is_there)) {
            problems.say(format!("no broker stores a topic {topic:?}"));
        }
    }
    outcomes.retain(|broker, _| args.broker.is_empty() || args.broker.contains(broker));
    let brokers = problems.sort("broker", outcomes).into_iter();
    let dirs: Vec<_> = brokers
        .flat_map(|(broker, dirs)| dirs.into_iter().map(move |dir| Dir::of(broker, dir, &args.topic)))
        .collect();
    session.show(&dirs, problems, |dirs| if args.partitions { partitions(dirs) } else { directories(dirs) })
}

fn directories(dirs: &[Dir]) -> Table {
    let mut table = Table::new([">BROKER", "PATH", ">PARTITIONS", ">SIZE", ">DISK", ">FREE", "ERROR"]);
    for dir in dirs {
        table.row([
            dir.broker.into(),
            Cell::from(&dir.path),
            dir.partitions.len().into(),
            size(dir.bytes).into(),
            dir.total_bytes.map_or_else(|| "-".to_owned(), size).into(),
            dir.usable_bytes.map_or_else(|| "-".to_owned(), size).into(),
            Cell::toned(dir.error.as_deref().unwrap_or_default(), Tone::Bad),
        ]);
    }
    table
}

fn partitions(dirs: &[Dir]) -> Table {
    let mut rows: Vec<_> =
        dirs.iter().flat_map(|dir| dir.partitions.iter().map(move |row| (dir.broker, row))).collect();
    rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.bytes));
    let mut table = Table::new([">BROKER", "TOPIC", ">PARTITION", ">SIZE", ">BYTES", ">LAG"]);
    for (broker, row) in rows {
        table.row([
            broker.into(),
            Cell::from(&row.topic),
            row.partition.into(),
            size(row.bytes).into(),
            row.bytes.into(),
            row.lag.into(),
        ]);
    }
    table
}

/// Bytes for people, with a digit behind the point.
fn size(bytes: i64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut tenths = i128::from(bytes) * 10;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < units.len() {
        tenths /= 1024;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{}.{} {}", tenths / 10, tenths % 10, units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(10 << 30), "10.0 GiB");
        assert_eq!(size(i64::MAX), "8191.9 PiB");
    }
}
