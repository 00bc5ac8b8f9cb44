//! `trilog consume`: records of topics, printed.
//!
//! | room | what it tells |
//! | --- | --- |
//! | `offset` | where reading begins |
//! | `format` | what is printed of a record |
//! | `group` | what a member of a group has printed, and may commit |
//! | `reading` | the loop: records in, lines out, until the end |

mod format;
mod group;
mod offset;
mod reading;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::time::timeout;
use trilog_client::consumer::{Landmark, TopicPartition};
use trilog_client::{Consumer, ConsumerConfig};

use self::format::Format;
use self::group::Share;
use self::offset::Beginning;
use self::reading::{Printing, Reading};
use crate::connection::{ConnectionArgs, Settings};
use crate::failure::Failure;
use crate::notation::Separator;
use crate::screen::Screen;

/// How long partitions without a leader are waited for before the others are read without them. An election takes less.
const ELECTION: Duration = Duration::from_secs(2);

/// How records look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A value a line, with the key and headers before it if their separators are given.
    Lines,
    /// A record as JSON a line.
    Json,
}

/// `trilog consume TOPIC…`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Without --group, everything that is there now is printed, from the beginning. With --group, a member of the \
group reads on from the group's offsets, and commits what was printed. Either ends at the end unless --follow is given.

Examples:
  trilog consume greetings
  trilog consume orders --follow --offset latest
  trilog consume orders --offset -10 --format '%p %o %T %k: %s\\n'
  trilog consume orders --offset @2026-01-31T12:00:00Z --output json
  trilog consume orders --group billing --follow"
)]
pub struct ConsumeArgs {
    /// The topics.
    #[arg(required = true)]
    topics: Vec<String>,

    /// Partitions, separated by commas [default: all].
    #[arg(short, long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(i32).range(0..))]
    partition: Vec<i32>,

    /// Where to begin: earliest, latest, an offset, -N (the last N of each partition), @MILLISECONDS, @2026-01-31T12:00:00Z, or @-15m
    /// [default: earliest; with --group the group's offset, else earliest].
    #[arg(short, long, value_name = "OFFSET", allow_hyphen_values = true, value_parser = str::parse::<Beginning>)]
    offset: Option<Beginning>,

    /// The same as --offset earliest.
    #[arg(long, conflicts_with = "offset")]
    from_beginning: bool,

    /// Read as a member of this group.
    #[arg(short, long, value_name = "GROUP", conflicts_with = "partition")]
    group: Option<String>,

    /// Wait for more records at the end.
    #[arg(long)]
    follow: bool,

    /// End after so many records. With --group, prefer this to `| head`: records that are in a pipe when its reader ends may be
    /// committed unread.
    #[arg(short, long, value_name = "N")]
    count: Option<u64>,

    /// What is printed of each record: %t topic, %p partition, %o offset, %T timestamp, %k key, %K its length, %s value, %S its
    /// length, %h headers, %% a percent sign; \n, \t, \xHH.
    #[arg(short, long, value_name = "FORMAT", value_parser = str::parse::<Format>, conflicts_with_all = ["output", "key_separator", "header_separator", "delimiter"])]
    format: Option<Format>,

    /// How records look.
    #[arg(long, value_enum, default_value = "lines", value_name = "FORMAT")]
    output: Output,

    /// With --output json: keys and values as base64, even where they are text.
    #[arg(long)]
    base64: bool,

    /// What ends a record.
    #[arg(short = 'D', long, default_value = "\\n", value_name = "SEPARATOR", value_parser = str::parse::<Separator>)]
    delimiter: Separator,

    /// Print the key, and this behind it.
    #[arg(short = 'K', long, value_name = "SEPARATOR", value_parser = str::parse::<Separator>)]
    key_separator: Option<Separator>,

    /// Print the headers as NAME=VALUE,NAME=VALUE, and this behind them.
    #[arg(long, value_name = "SEPARATOR", value_parser = str::parse::<Separator>)]
    header_separator: Option<Separator>,

    /// What is printed for null [default: nothing].
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    null: String,

    #[command(flatten)]
    connection: ConnectionArgs,
}

impl ConsumeArgs {
    fn printing(&self) -> Printing {
        let separator =
            |separator: &'_ Option<Separator>| separator.as_ref().map(|separator| separator.0.clone());
        let (headers, key) = (separator(&self.header_separator), separator(&self.key_separator));
        let lines = || Format::of_lines(headers.as_deref(), key.as_deref(), &self.delimiter.0);
        match (&self.format, self.output) {
            (Some(format), _) => {
                Printing::Text { format: format.clone(), null: self.null.clone().into_bytes() }
            }
            (None, Output::Lines) => Printing::Text { format: lines(), null: self.null.clone().into_bytes() },
            (None, Output::Json) => Printing::Json { base64: self.base64 },
        }
    }

    /// What a member of a group does where its group has no offset.
    fn reset(&self) -> Result<&'static str, Failure> {
        match self.beginning() {
            None | Some(Beginning::Earliest) => Ok("earliest"),
            Some(Beginning::Latest) => Ok("latest"),
            Some(_) => Err(Failure::Usage(
                "--group goes on from the group's offsets: --offset can be earliest or latest there, for partitions without one"
                    .to_owned(),
            )),
        }
    }

    fn beginning(&self) -> Option<Beginning> {
        if self.from_beginning { Some(Beginning::Earliest) } else { self.offset }
    }
}

pub(crate) async fn run(args: ConsumeArgs, screen: &mut Screen) -> Result<(), Failure> {
    let mut settings = args.connection.clone().settings()?;
    let printing = args.printing();
    let beginning = args.beginning().unwrap_or(Beginning::Earliest);
    let own = [("allow.auto.create.topics", "false")];
    let mut reading = if let Some(group) = &args.group {
        settings.set("group.id", group);
        settings.set("auto.offset.reset", args.reset()?);
        let config: ConsumerConfig = settings.configure(&own)?;
        // Offsets are committed when their records are printed, and not before.
        let mut consumer = Consumer::new(config.auto_commit(None))?;
        let share = Share::default();
        consumer.set_listener(share.clone());
        consumer_ready(&settings, &consumer, &args.topics).await?;
        consumer.subscribe(&args.topics)?;
        Reading::of_group(consumer, share, printing)
    } else {
        let reset = if matches!(beginning, Beginning::At(_)) { "none" } else { "earliest" };
        settings.set("auto.offset.reset", reset);
        let config: ConsumerConfig = settings.configure(&own)?;
        let mut consumer = Consumer::new(config.auto_commit(None))?;
        let places = consumer_ready(&settings, &consumer, &args.topics).await?;
        let places = chosen(places, &args.partition)?;
        let ends = begin(&mut consumer, &places, beginning).await?;
        let without_leader = places.into_iter().filter(|place| !ends.contains_key(place)).collect();
        let mut reading = Reading::of_partitions(consumer, ends, printing);
        reading.endless = without_leader;
        reading
    };
    reading.follows = args.follow;
    reading.left = args.count;
    reading.run(screen).await
}

/// Waits until the cluster answers, and gives all partitions of the topics.
async fn consumer_ready(
    settings: &Settings,
    consumer: &Consumer,
    topics: &[String],
) -> Result<BTreeSet<TopicPartition>, Failure> {
    settings.reach().await?;
    let mut places = BTreeSet::new();
    for topic in topics {
        // A topic that was made a moment ago is not known to every broker yet.
        let patience = settings.patience.min(reading::NEWS);
        let known = consumer.partitions(topic, patience).await;
        places.extend(known.map_err(|error| Failure::topic(topic, &error))?);
    }
    Ok(places)
}

/// Those of the partitions that were asked for.
fn chosen(places: BTreeSet<TopicPartition>, wanted: &[i32]) -> Result<BTreeSet<TopicPartition>, Failure> {
    if wanted.is_empty() {
        return Ok(places);
    }
    let topics: BTreeSet<_> = places.iter().map(|place| place.topic.clone()).collect();
    let wanted = topics
        .iter()
        .flat_map(|topic| wanted.iter().map(|number| TopicPartition::new(topic.clone(), *number)));
    let wanted: BTreeSet<_> = wanted.collect();
    match wanted.iter().find(|place| !places.contains(place)) {
        Some(missing) => {
            let count = places.iter().filter(|place| place.topic == missing.topic).count();
            let TopicPartition { topic, partition } = missing;
            Err(Failure::Failed(format!(
                "topic {topic:?} has {count} partitions: there is no partition {partition}"
            )))
        }
        None => Ok(wanted),
    }
}

fn tell_of_leaderless<'a>(mut places: impl Iterator<Item = &'a TopicPartition>) {
    if let Some(first) = places.next() {
        let others = match places.count() {
            0 => String::new(),
            count => format!(", and {count} more have none"),
        };
        eprintln!("trilog: {first} has no leader{others}: what has one is read meanwhile");
    }
}

/// Assigns the partitions, each from its beginning on, and gives the offset at which each ends now, except for those without a
/// leader: nobody knows, and the others are read meanwhile.
async fn begin(
    consumer: &mut Consumer,
    places: &BTreeSet<TopicPartition>,
    beginning: Beginning,
) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let marks = match timeout(ELECTION, consumer.watermarks(places.iter().cloned())).await {
        Ok(marks) => marks?,
        Err(_) => consumer.watermarks_of_led(places.iter().cloned()).await?,
    };
    let mut leaderless = places.iter().filter(|place| !marks.contains_key(*place));
    if let Beginning::Last(_) = beginning
        && let Some(place) = leaderless.next()
    {
        return Err(Failure::Failed(format!(
            "{place} has no leader, so that its last records are not known: choose others with --partition"
        )));
    }
    tell_of_leaderless(leaderless);
    if let Beginning::At(offset) = beginning {
        for (place, (low, high)) in &marks {
            if !(*low..=*high).contains(&offset) {
                let problem =
                    format!("{place} has the offsets from {low} to {high}: there is no offset {offset}");
                return Err(Failure::Failed(problem));
            }
        }
    }
    consumer.assign(places.iter().cloned())?;
    for place in places {
        let Some((low, high)) = marks.get(place).copied() else {
            match beginning {
                Beginning::Earliest => consumer.seek_to(place, Landmark::Beginning),
                Beginning::Latest => consumer.seek_to(place, Landmark::End),
                Beginning::At(offset) => consumer.seek(place, offset),
                Beginning::Time(time) => consumer.seek_to(place, Landmark::Time(time)),
                Beginning::Age(age) => consumer.seek_to(place, Landmark::Age(age)),
                // Refused above.
                Beginning::Last(_) => continue,
            };
            continue;
        };
        match beginning {
            Beginning::Earliest => consumer.seek(place, low),
            Beginning::Latest => consumer.seek(place, high),
            Beginning::At(offset) => consumer.seek(place, offset),
            Beginning::Last(count) => consumer.seek(place, high.saturating_sub(count).max(low)),
            Beginning::Time(time) => consumer.seek_to(place, Landmark::Time(time)),
            Beginning::Age(age) => consumer.seek_to(place, Landmark::Age(age)),
        };
    }
    Ok(marks.into_iter().map(|(place, (_, high))| (place, high)).collect())
}
