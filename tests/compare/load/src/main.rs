//! A load and fault instrument over librdkafka: the same program against any Kafka-protocol cluster, so that two
//! clusters are compared by one client in one run. Every command prints one JSON line.
//!
//! | room | what it tells |
//! | --- | --- |
//! | `cluster` | how to reach a cluster; topics with their leaders |
//! | `delivery` | sending records and counting what became of them |
//! | `produce`, `latency`, `consume`, `end_to_end` | how fast |
//! | `first_ack` | how soon after a start |
//! | `gap`, `verify` | how long a fault is felt, and whether it cost a record |
//! | `members` | consumers of one group, and what they own |
//! | `group`, `commits` | how soon a big group settles, how many offsets are kept |
//! | `wire` | what librdkafka does not tell, asked for by hand |
//! | `coordinator` | how long the death of a group's coordinator is felt |

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::cluster::Cluster;

mod cluster;
mod commits;
mod consume;
mod coordinator;
mod delivery;
mod end_to_end;
mod first_ack;
mod gap;
mod group;
mod latency;
mod members;
mod produce;
mod verify;
mod wire;

#[derive(Parser)]
#[command(about = "Measures a Kafka-protocol cluster; every command prints one JSON line.")]
struct Args {
    /// Bootstrap servers.
    #[arg(long, short, default_value = "127.0.0.1:9092", global = true)]
    brokers: String,
    /// A librdkafka property, NAME=VALUE; repeatable.
    #[arg(short = 'X', global = true)]
    properties: Vec<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Create a topic and wait until each partition has a leader.
    Topic {
        name: String,
        #[arg(long, default_value_t = 6)]
        partitions: i32,
        #[arg(long, default_value_t = 3)]
        replicas: i32,
    },
    /// Produce as fast as it goes; prints acknowledged MB/s and messages/s.
    Produce {
        topic: String,
        /// Bytes a record.
        #[arg(long, default_value_t = 1024)]
        size: usize,
        /// Seconds measured, after three that are not.
        #[arg(long, default_value_t = 15)]
        secs: u64,
    },
    /// Produce at a fixed rate; prints percentiles of the time to acknowledgement in milliseconds.
    Latency {
        topic: String,
        /// Bytes a record.
        #[arg(long, default_value_t = 1024)]
        size: usize,
        /// Seconds measured, after three that are not.
        #[arg(long, default_value_t = 20)]
        secs: u64,
        /// Records a second.
        #[arg(long, default_value_t = 2000)]
        rate: u64,
    },
    /// Produce at a fixed rate and consume beside it; prints percentiles of the time until a record is there in milliseconds.
    EndToEnd {
        topic: String,
        /// Bytes a record.
        #[arg(long, default_value_t = 1024)]
        size: usize,
        /// Seconds measured.
        #[arg(long, default_value_t = 10)]
        secs: u64,
        /// Records a second.
        #[arg(long, default_value_t = 1000)]
        rate: u64,
    },
    /// Consume a topic from its start to its end; prints MB/s and messages/s.
    Consume { topic: String },
    /// Retry until a first record is acknowledged; prints the milliseconds since a moment.
    FirstAck {
        topic: String,
        /// The moment, in milliseconds since the Unix epoch.
        #[arg(long)]
        since_ms: u64,
    },
    /// Produce numbered records to partition 0 at a fixed rate, idempotent; prints the widest gap between
    /// acknowledgements and writes each outcome to a file.
    Gap {
        topic: String,
        /// Seconds in all.
        #[arg(long, default_value_t = 20)]
        secs: u64,
        /// Records a second.
        #[arg(long, default_value_t = 1000)]
        rate: u64,
        /// Where outcomes go, a line `NUMBER OUTCOME AT_MS` each.
        #[arg(long)]
        log: PathBuf,
    },
    /// Read partition 0 and hold it against what `gap` wrote: lost, doubled, reordered; fails if anything is.
    Verify {
        topic: String,
        /// What `gap` wrote.
        #[arg(long)]
        log: PathBuf,
    },
    /// Join a topic's group with many members at once, then have one leave; prints how long each takes.
    Group {
        topic: String,
        #[arg(long)]
        group: String,
        /// `classic` or `consumer`.
        #[arg(long)]
        protocol: String,
        #[arg(long, default_value_t = 100)]
        members: usize,
    },
    /// Commit offsets of groups as fast as it goes, each over its own connection; prints commits a second.
    Commits {
        topic: String,
        #[arg(long, default_value_t = 100)]
        groups: usize,
        /// Commits of a group that wait for their answer.
        #[arg(long, default_value_t = 5)]
        in_flight: i64,
        /// Seconds measured, after three that are not.
        #[arg(long, default_value_t = 15)]
        secs: u64,
    },
    /// Print the id of the node that coordinates a group.
    FindCoordinator { group: String },
    /// Commit as members of a group while somebody kills the coordinator's node; prints the widest gap between two
    /// commits, how soon there was a new coordinator, and how often members were rebalanced.
    Coordinator {
        topic: String,
        #[arg(long)]
        group: String,
        /// `classic` or `consumer`.
        #[arg(long)]
        protocol: String,
        #[arg(long, default_value_t = 3)]
        members: usize,
        /// Seconds in all, once the group has settled.
        #[arg(long, default_value_t = 30)]
        secs: u64,
    },
}

fn main() -> Result<()> {
    let args = Args::parse();
    let cluster = Cluster::new(args.brokers, &args.properties)?;
    match args.command {
        Command::Topic { name, partitions, replicas } => {
            cluster::topic(&cluster, &name, partitions, replicas)
        }
        Command::Produce { topic, size, secs } => produce::run(&cluster, &topic, size, secs),
        Command::Latency { topic, size, secs, rate } => latency::run(&cluster, &topic, size, secs, rate),
        Command::EndToEnd { topic, size, secs, rate } => end_to_end::run(&cluster, &topic, size, secs, rate),
        Command::Consume { topic } => consume::run(&cluster, &topic),
        Command::FirstAck { topic, since_ms } => first_ack::run(&cluster, &topic, since_ms),
        Command::Gap { topic, secs, rate, log } => gap::run(&cluster, &topic, secs, rate, &log),
        Command::Verify { topic, log } => verify::run(&cluster, &topic, &log),
        Command::Group { topic, group, protocol, members } => {
            group::run(&cluster, &topic, &group, &protocol, members)
        }
        Command::Commits { topic, groups, in_flight, secs } => {
            commits::run(&cluster, &topic, groups, in_flight, secs)
        }
        Command::FindCoordinator { group } => coordinator::find_node(&cluster, &group),
        Command::Coordinator { topic, group, protocol, members, secs } => {
            coordinator::run(&cluster, &topic, &group, &protocol, members, secs)
        }
    }
}
