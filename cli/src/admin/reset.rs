//! `trilog group reset-offsets`.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde::Serialize;
use trilog_client::TopicPartition;
use trilog_client::admin::{PlannedReset, ResetTo};

use super::problems::Problems;
use super::selection::Selection;
use super::{Session, age, moment, or_dash};
use crate::failure::Failure;
use crate::table::{Cell, Table};

/// What `group reset-offsets` is told.
#[derive(Clone, Debug, Args)]
pub struct ResetArgs {
    /// The group's name.
    #[arg(value_name = "GROUP")]
    group: String,
    /// A topic, or partitions of it. May be repeated.
    #[arg(long, value_name = "TOPIC[:PARTITIONS]", required_unless_present = "all_topics")]
    topic: Vec<Selection>,
    /// All partitions that the group has committed offsets of.
    #[arg(long, conflicts_with = "topic")]
    all_topics: bool,
    #[command(flatten)]
    to: To,
    /// Do it. Without this flag the new offsets are only shown.
    #[arg(long)]
    execute: bool,
}

/// Where the group is to go on.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
struct To {
    /// To the first record.
    #[arg(long)]
    to_earliest: bool,
    /// Behind the last record.
    #[arg(long)]
    to_latest: bool,
    /// To the committed offset, where it lies outside the log to the nearest one that does not.
    #[arg(long)]
    to_current: bool,
    /// To this offset, or the nearest one that the log has.
    #[arg(long, value_name = "OFFSET", value_parser = clap::value_parser!(i64).range(0..))]
    to_offset: Option<i64>,
    /// To the first record of this time or later; UTC unless an offset says otherwise.
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    to_datetime: Option<i64>,
    /// To the first record that is no older than this, as 12h or 7d.
    #[arg(long, value_name = "AGE", value_parser = age)]
    by_duration: Option<Duration>,
    /// This many records on from the committed offset; back if negative.
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    shift_by: Option<i64>,
}

impl To {
    fn place(&self) -> ResetTo {
        let ago = |age: Duration| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(now.saturating_sub(age).as_millis()).unwrap_or(i64::MAX)
        };
        let time = self.to_datetime.or_else(|| self.by_duration.map(ago));
        if let Some(offset) = self.to_offset {
            ResetTo::Offset(offset)
        } else if let Some(by) = self.shift_by {
            ResetTo::Shift(by)
        } else if let Some(time) = time {
            ResetTo::Time(time)
        } else if self.to_earliest {
            ResetTo::Earliest
        } else if self.to_current {
            ResetTo::Current
        } else {
            ResetTo::Latest
        }
    }
}

#[derive(Serialize)]
struct Row {
    topic: String,
    partition: i32,
    committed: Option<i64>,
    new: i64,
    executed: bool,
}

pub(super) async fn reset(args: &ResetArgs, session: &mut Session<'_>) -> Result<(), Failure> {
    if args.execute {
        refuse_members(&args.group, session).await?;
    }
    let mut problems = Problems::default();
    let places = places(args, session, &mut problems).await?;
    let plan = session.admin.plan_reset(&args.group, places, args.to.place()).await;
    let plan: BTreeMap<TopicPartition, PlannedReset> = problems.sort("offset of", plan).into_iter().collect();
    let mut done = plan.clone();
    if args.execute {
        let outcomes = session.admin.reset_group_offsets(&args.group, &plan).await;
        let committed: BTreeMap<_, _> = problems.sort("offset of", outcomes).into_iter().collect();
        done.retain(|place, _| committed.contains_key(place));
    }
    let rows = done.into_iter().map(|(place, planned)| Row {
        topic: place.topic.to_string(),
        partition: place.partition,
        committed: planned.from,
        new: planned.to,
        executed: args.execute,
    });
    let rows: Vec<_> = rows.collect();
    let is_plan = !args.execute && !rows.is_empty() && !session.is_json();
    let outcome = session.show(&rows, problems, |rows| {
        let mut table = Table::new(["TOPIC", ">PARTITION", ">COMMITTED", ">NEW"]);
        for row in rows {
            let committed = or_dash(row.committed).into();
            table.row([Cell::from(&row.topic), row.partition.into(), committed, row.new.into()]);
        }
        table
    });
    if is_plan {
        eprintln!("Nothing was changed: --execute commits the new offsets.");
    }
    outcome
}

/// A group with members commits for itself: one sentence instead of one a partition.
async fn refuse_members(group: &str, session: &Session<'_>) -> Result<(), Failure> {
    let found = session.admin.describe_groups([group]).await.remove(group);
    match found {
        Some(Ok(description)) if !description.members.is_empty() => {
            let (count, state) = (description.members.len(), description.state);
            let advice = "stop them before its offsets are reset";
            Err(Failure::Failed(format!("group {group} has members ({count}, state {state}): {advice}")))
        }
        // A group may be given offsets before it exists.
        _ => Ok(()),
    }
}

async fn places(
    args: &ResetArgs,
    session: &Session<'_>,
    problems: &mut Problems,
) -> Result<Vec<TopicPartition>, Failure> {
    if !args.all_topics {
        return Ok(session.partitions(&args.topic, problems).await);
    }
    let committed = session.admin.list_group_offsets([args.group.as_str()]).await.remove(&args.group);
    let committed = committed.transpose()?.unwrap_or_default();
    if committed.is_empty() {
        let group = &args.group;
        return Err(Failure::Failed(format!(
            "group {group} has no committed offsets; name topics with --topic"
        )));
    }
    Ok(committed.into_keys().collect())
}
