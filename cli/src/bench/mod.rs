//! `trilog bench`: the throughput and latency of a cluster, measured by the bundled client.
//!
//! | room | what it tells |
//! | --- | --- |
//! | `produce`, `consume`, `end_to_end` | one benchmark each |
//! | `load` | records in, at a rate or as many as possible |
//! | `payload` | the values, and the stamps in them |
//! | `histogram`, `report` | times in buckets; the figures as a table or JSON |

mod consume;
mod end_to_end;
mod histogram;
mod load;
mod payload;
mod produce;
mod report;

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use trilog_client::Producer;

use self::load::Load;
use self::payload::{MAX_SIZE, STAMP, Stamp, Values};
use crate::connection::ConnectionArgs;
use crate::failure::Failure;
use crate::pace::Pace;
use crate::screen::{OutputArgs, Screen};

/// Records a second of `end-to-end`, unless a flag says otherwise.
const END_TO_END_RATE: u32 = 1000;

/// `trilog bench`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  trilog bench produce load --size 1024 --seconds 30
  trilog bench consume load --output json
  trilog bench end-to-end load --rate 1000")]
pub struct BenchArgs {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Send records, as many as the cluster takes: the throughput, and the time until records are acknowledged.
    Produce(LoadArgs),
    /// Read a topic from its beginning to its end: the throughput.
    Consume(ReadArgs),
    /// Send records at a rate: the time until a consumer has them.
    EndToEnd(LoadArgs),
}

#[derive(Clone, Debug, Args)]
struct LoadArgs {
    /// The topic. The records stay there.
    topic: String,
    /// Bytes of each value: random capital letters. For end-to-end 16 or more.
    #[arg(long, default_value_t = 1024, value_name = "BYTES", value_parser = size)]
    size: usize,
    /// How long to send.
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Send so many records, however long it takes.
    #[arg(long, value_name = "N", conflicts_with = "seconds", value_parser = clap::value_parser!(u64).range(1..))]
    records: Option<u64>,
    /// At most so many records a second [default: no limit; 1000 for end-to-end].
    #[arg(long, value_name = "RECORDS", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Which replicas have to have a record: all, 1 or 0 [default: all].
    #[arg(long, value_name = "ACKS")]
    acks: Option<String>,
    /// How batches are compressed: none, gzip, snappy, lz4 or zstd (compression.type).
    #[arg(short = 'z', long, value_name = "CODEC")]
    codec: Option<String>,
}

#[derive(Clone, Debug, Args)]
struct ReadArgs {
    /// The topic.
    topic: String,
    /// End once so many records are read.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    records: Option<u64>,
}

impl LoadArgs {
    /// What is to be sent, from now on.
    fn load(&self, producer: Producer, values: Values, stamp: Option<Stamp>) -> Load {
        let started = Instant::now();
        let until = self.records.is_none().then(|| started + Duration::from_secs(self.seconds));
        // At a rate, the number of records is known.
        let in_time = self.rate.map(|rate| u64::from(rate) * self.seconds);
        let records = self.records.or(in_time).unwrap_or(u64::MAX);
        let pace = Pace { started, rate: self.rate };
        Load { producer, topic: self.topic.clone(), values, stamp, pace, records, until }
    }
}

fn size(text: &str) -> Result<usize, String> {
    let size = text.parse().ok().filter(|size| *size <= MAX_SIZE);
    size.ok_or_else(|| format!("0 to {MAX_SIZE} are allowed"))
}

/// Whether standard error is a terminal.
fn is_watched() -> bool {
    io::stderr().is_terminal()
}

pub(crate) async fn run(args: BenchArgs, screen: &mut Screen) -> Result<(), Failure> {
    let mut settings = args.connection.settings()?;
    let patience = settings.patience;
    if let What::Produce(load) | What::EndToEnd(load) = &args.what {
        for (name, value) in [("compression.type", &load.codec), ("acks", &load.acks)] {
            if let Some(value) = value {
                settings.set(name, value);
            }
        }
    }
    let report = match args.what {
        What::Produce(load) => {
            let config = settings.configure(&[])?;
            settings.reach().await?;
            produce::run(&load, config, patience).await?
        }
        What::Consume(read) => {
            let config = settings.configure(&[("allow.auto.create.topics", "false")])?;
            settings.reach().await?;
            consume::run(&read, config, patience).await?
        }
        What::EndToEnd(mut load) => {
            if load.size < STAMP {
                return Err(Failure::Usage(format!("end-to-end needs a --size of {STAMP} or more")));
            }
            load.rate.get_or_insert(END_TO_END_RATE);
            settings.share();
            let (producer, consumer) = (settings.configure(&[])?, settings.configure(&[])?);
            settings.reach().await?;
            end_to_end::run(&load, producer, consumer, patience).await?
        }
    };
    report.print(args.output.output, screen)
}
