//! `trilog produce`: lines of a file or of standard input become records.
//!
//! | room | what it tells |
//! | --- | --- |
//! | `pieces` | the input, cut at a delimiter |
//! | `lines` | a piece as a record |
//! | `tally` | what became of the records |

mod lines;
mod pieces;
mod tally;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::{Args, ValueEnum};
use trilog_client::{Header, Producer, Record};

use self::lines::{Choice, Shape};
use self::pieces::Pieces;
use self::tally::{Settler, Tally};
use crate::connection::ConnectionArgs;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::notation::Separator;
use crate::pace::Throttle;
use crate::progress::{Progress, bytes_in_words};

/// What a line of the input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Input {
    /// A value, with a key and headers before it if their separators are given.
    Lines,
    /// A record as JSON, as `trilog consume --output json` prints it.
    Json,
}

/// `trilog produce TOPIC`.
#[derive(Clone, Debug, Args)]
#[command(
    // The topic may be left out with --input json.
    override_usage = "trilog produce [OPTIONS] [TOPIC]",
    after_help = "Examples:
  echo hello | trilog produce greetings
  trilog produce orders -K : <<< 'customer-7:three of them'
  trilog produce orders --file orders.txt --codec zstd
  trilog consume orders --output json | trilog produce copy --input json"
)]
pub struct ProduceArgs {
    /// The topic. With --input json it may be left out: then each line names its own.
    #[arg(required_unless_present = "input")]
    topic: Option<String>,

    /// The file whose lines are sent [default: standard input].
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// What a line is.
    #[arg(long, value_enum, default_value = "lines", value_name = "FORMAT")]
    input: Input,

    /// What ends a record. \n, \t, \r, \0, \\ and \xHH stand for single bytes, as in the other separators.
    #[arg(short = 'D', long, default_value = "\\n", value_name = "SEPARATOR", value_parser = str::parse::<Separator>)]
    delimiter: Separator,

    /// What ends the key at the beginning of a line [default: lines have no key].
    #[arg(short = 'K', long, value_name = "SEPARATOR", value_parser = str::parse::<Separator>)]
    key_separator: Option<Separator>,

    /// What ends the headers, which stand before the key as NAME=VALUE,NAME=VALUE [default: lines have none].
    #[arg(long, value_name = "SEPARATOR", value_parser = str::parse::<Separator>)]
    header_separator: Option<Separator>,

    /// A header for every record; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE", value_parser = header)]
    headers: Vec<Header>,

    /// The text that stands for null as a key, a value or a header's value; '' makes empty ones null.
    #[arg(long, value_name = "TEXT")]
    null: Option<String>,

    /// The partition, or `key`: the key decides, whatever lines of JSON say [default: theirs, else the key].
    #[arg(short, long, value_name = "N|key", value_parser = choice)]
    partition: Option<Choice>,

    /// How batches are compressed: none, gzip, snappy, lz4 or zstd (compression.type).
    #[arg(short = 'z', long, value_name = "CODEC")]
    codec: Option<String>,

    /// Which replicas have to have a record: all, 1 or 0 [default: all].
    #[arg(long, value_name = "ACKS")]
    acks: Option<String>,

    /// At most so many records a second.
    #[arg(long, value_name = "RECORDS", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,

    /// Say nothing about records that were sent.
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    connection: ConnectionArgs,
}

fn header(text: &str) -> Result<Header, String> {
    let (name, value) = text.split_once('=').ok_or("it is not NAME=VALUE")?;
    Ok(Header::new(name.to_owned(), value.to_owned()))
}

fn choice(text: &str) -> Result<Choice, String> {
    let number = text.parse::<i32>().ok().filter(|number| *number >= 0);
    match (text, number) {
        ("key", _) => Ok(Choice::Key),
        (_, Some(number)) => Ok(Choice::Fixed(number)),
        _ => Err("a partition's number and key are allowed".to_owned()),
    }
}

pub(crate) async fn run(args: ProduceArgs) -> Result<(), Failure> {
    let is_json = args.input == Input::Json;
    if args.topic.is_none() && !is_json {
        return Err(Failure::Usage("produce needs a TOPIC".to_owned()));
    }
    if is_json && (args.key_separator.is_some() || args.header_separator.is_some() || args.null.is_some()) {
        return Err(Failure::Usage("--input json takes no separators and no --null".to_owned()));
    }
    let mut settings = args.connection.settings()?;
    for (name, value) in [("compression.type", args.codec), ("acks", args.acks)] {
        if let Some(value) = value {
            settings.set(name, value);
        }
    }
    let config = settings.configure(&[])?;
    let cannot =
        |error| Failure::file("read", args.file.as_deref().unwrap_or("standard input".as_ref()), &error);
    let pieces = pieces::read(args.file.as_deref(), args.delimiter).map_err(cannot)?;
    let producer = Producer::new(config)?;
    settings.reach().await?;
    if let Some(topic) = &args.topic {
        let known = producer.partitions(topic, settings.patience).await;
        known.map_err(|error| Failure::topic(topic, &error))?;
    }
    let shape = Shape {
        topic: args.topic,
        is_json,
        partition: args.partition.unwrap_or_default(),
        header_separator: args.header_separator,
        key_separator: args.key_separator,
        null: args.null.map(String::into_bytes),
        headers: args.headers,
    };
    let is_watched = !args.quiet && io::stderr().is_terminal() && !io::stdin().is_terminal();
    let sending = Sending {
        producer,
        shape,
        settler: Settler::start(),
        started: Instant::now(),
        throttle: Throttle::new(Instant::now(), args.rate),
        progress: Progress::new(is_watched),
        topic: Arc::from(""),
        number: 0,
        bytes: 0,
    };
    sending.all(pieces, args.quiet).await
}

/// A command that is at work.
struct Sending {
    producer: Producer,
    shape: Shape,
    settler: Settler,
    started: Instant,
    throttle: Throttle,
    progress: Progress,
    /// The topic of the last record.
    topic: Arc<str>,
    /// The pieces so far.
    number: u64,
    /// The bytes of the records so far.
    bytes: u64,
}

impl Sending {
    /// Sends everything, waits for what becomes of it, and says so.
    async fn all(mut self, pieces: Pieces, quiet: bool) -> Result<(), Failure> {
        let mut interrupt = Interrupt::watch();
        // It is noticed while the input is silent, too.
        let failure = self.settler.failure();
        let outcome = tokio::select! {
            outcome = self.send(pieces) => outcome,
            () = failure => Ok(()),
            () = interrupt.wait() => Err(Failure::Interrupted),
        };
        self.producer.flush().await;
        let tally = self.settler.finish().await;
        self.progress.end();
        if !quiet && (tally.delivered > 0 || outcome.is_ok()) {
            eprintln!("{}", summary(&tally, self.bytes, self.started.elapsed()));
        }
        // A record that failed is why sending ended.
        match tally.failure {
            Some((number, error)) => {
                let more = if tally.failed > 1 {
                    format!(" ({} records failed)", tally.failed)
                } else {
                    String::new()
                };
                Err(Failure::Failed(format!("line {number}: {error}{more}")))
            }
            None => outcome,
        }
    }

    /// Sends until the input ends, or a record cannot be sent.
    async fn send(&mut self, mut pieces: Pieces) -> Result<(), Failure> {
        while let Some(some) = pieces.recv().await {
            let some = some.map_err(|error| Failure::Failed(error.to_string()))?;
            for piece in some {
                self.number += 1;
                self.piece(piece)
                    .await
                    .map_err(|problem| Failure::Failed(format!("line {}: {problem}", self.number)))?;
            }
            let delivered = self.settler.tally().delivered;
            self.progress.show(|| format!("{delivered} records acknowledged"));
        }
        Ok(())
    }

    async fn piece(&mut self, piece: Bytes) -> Result<(), String> {
        let Some(record) = self.shape.record(piece)? else { return Ok(()) };
        self.throttle.wait().await;
        self.bytes += size(&record);
        if *self.topic != *record.topic {
            self.topic = record.topic.as_str().into();
        }
        let delivery = self.producer.send(record).await.map_err(|error| error.to_string())?;
        self.settler.take(self.number, Arc::clone(&self.topic), delivery).await;
        Ok(())
    }
}

fn size(record: &Record) -> u64 {
    let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len) as u64;
    length(&record.key) + length(&record.value)
}

fn summary(tally: &Tally, bytes: u64, took: Duration) -> String {
    let records = if tally.delivered == 1 { "record" } else { "records" };
    let partitions = match tally.partitions.len() {
        1 => "1 partition".to_owned(),
        count => format!("{count} partitions"),
    };
    format!(
        "{} {records} ({}) acknowledged in {partitions}, in {:.1} s",
        tally.delivered,
        bytes_in_words(bytes),
        took.as_secs_f64()
    )
}
