//! `trilog records`.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::Session;
use super::problems::Problems;
use super::selection::Selection;
use crate::failure::Failure;
use crate::table::{Cell, Table};

/// What can be done with records that are stored.
#[derive(Clone, Debug, Subcommand)]
pub enum RecordsCommand {
    /// Delete the records below an offset.
    #[command(after_help = "Examples:
  trilog records delete orders:0 --before 1000
  trilog records delete orders --all")]
    Delete(DeleteArgs),
}

/// What `records delete` is told.
#[derive(Clone, Debug, Args)]
pub struct DeleteArgs {
    /// A topic, or partitions of it.
    #[arg(required = true, value_name = "TOPIC[:PARTITIONS]")]
    topics: Vec<Selection>,
    /// The offset of the first record that stays.
    #[arg(
        long,
        value_name = "OFFSET",
        required_unless_present = "all",
        value_parser = clap::value_parser!(i64).range(0..)
    )]
    before: Option<i64>,
    /// Delete all records that are there now.
    #[arg(long, conflicts_with = "before")]
    all: bool,
}

#[derive(Serialize)]
struct Row {
    topic: String,
    partition: i32,
    log_start: i64,
}

pub(super) async fn perform(command: RecordsCommand, session: &mut Session<'_>) -> Result<(), Failure> {
    let RecordsCommand::Delete(args) = command;
    let mut problems = Problems::default();
    let places = session.partitions(&args.topics, &mut problems).await;
    let before = args.before.filter(|_| !args.all);
    let outcomes = session.admin.delete_records(places.into_iter().map(|place| (place, before))).await;
    let rows = problems.sort("records of", outcomes).into_iter().map(|(place, log_start)| Row {
        topic: place.topic.to_string(),
        partition: place.partition,
        log_start,
    });
    session.show(&rows.collect::<Vec<_>>(), problems, |rows| {
        let mut table = Table::new(["TOPIC", ">PARTITION", ">LOG-START"]);
        for row in rows {
            table.row([Cell::from(&row.topic), row.partition.into(), row.log_start.into()]);
        }
        table
    })
}
