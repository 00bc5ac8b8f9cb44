//! `trilog reassign`.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::problems::Problems;
use super::selection::Selection;
use super::{Session, list};
use crate::failure::Failure;
use crate::table::{Cell, Table};

/// What can be done with the places of replicas.
#[derive(Clone, Debug, Subcommand)]
pub enum ReassignCommand {
    /// List the partitions whose replicas are moving.
    #[command(after_help = "Example:
  trilog reassign list")]
    List,
    /// Move partitions to other brokers. It is done when `reassign list` does not show them any more.
    #[command(after_help = "Example:
  trilog reassign move orders:0,1 --to 2,3,4")]
    Move(MoveArgs),
    /// Cancel moves that are under way.
    #[command(after_help = "Example:
  trilog reassign cancel orders")]
    Cancel(CancelArgs),
}

/// What `reassign move` is told.
#[derive(Clone, Debug, Args)]
pub struct MoveArgs {
    /// A topic, or partitions of it.
    #[arg(required = true, value_name = "TOPIC[:PARTITIONS]")]
    topics: Vec<Selection>,
    /// The brokers that have the replicas then, the preferred leader first.
    #[arg(long, required = true, value_name = "BROKER,BROKER", value_delimiter = ',')]
    to: Vec<i32>,
}

/// What `reassign cancel` is told.
#[derive(Clone, Debug, Args)]
pub struct CancelArgs {
    /// A topic, or partitions of it.
    #[arg(required = true, value_name = "TOPIC[:PARTITIONS]")]
    topics: Vec<Selection>,
}

#[derive(Serialize)]
struct Row {
    topic: String,
    partition: i32,
    replicas: Vec<i32>,
    adding: Vec<i32>,
    removing: Vec<i32>,
}

#[derive(Serialize)]
struct Changed {
    topic: String,
    partition: i32,
}

pub(super) async fn perform(command: ReassignCommand, session: &mut Session<'_>) -> Result<(), Failure> {
    match command {
        ReassignCommand::List => show_list(session).await,
        ReassignCommand::Move(args) => alter(&args.topics, Some(&args.to), "moves", session).await,
        ReassignCommand::Cancel(args) => alter(&args.topics, None, "stays where it is", session).await,
    }
}

async fn alter(
    topics: &[Selection],
    target: Option<&Vec<i32>>,
    done: &str,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let places = session.partitions(topics, &mut problems).await;
    let targets = places.into_iter().map(|place| (place, target.cloned()));
    let outcomes = problems.sort("partition", session.admin.alter_reassignments(targets).await);
    let rows = outcomes
        .into_iter()
        .map(|(place, ())| Changed { topic: place.topic.to_string(), partition: place.partition });
    session.report(&rows.collect::<Vec<_>>(), problems, |row| {
        format!("partition {} of {} {done}", row.partition, row.topic)
    })
}

async fn show_list(session: &mut Session<'_>) -> Result<(), Failure> {
    let moves = session.admin.list_reassignments(None).await?;
    let rows = moves.into_iter().map(|(place, told)| Row {
        topic: place.topic.to_string(),
        partition: place.partition,
        replicas: told.replicas,
        adding: told.adding,
        removing: told.removing,
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() && !session.is_json() {
        return session.screen.line("No reassignment is under way.");
    }
    session.show(&rows, Problems::default(), |rows| {
        let mut table = Table::new(["TOPIC", ">PARTITION", "REPLICAS", "ADDING", "REMOVING"]);
        for row in rows {
            table.row([
                Cell::from(&row.topic),
                row.partition.into(),
                list(&row.replicas).into(),
                list(&row.adding).into(),
                list(&row.removing).into(),
            ]);
        }
        table
    })
}
