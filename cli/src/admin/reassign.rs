//! `trilog reassign`.

use clap::Args;
use serde::Serialize;

use super::problems::Problems;
use super::{Session, list};
use crate::failure::Failure;
use crate::table::{Cell, Table};

/// What `reassign` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:
  trilog reassign --list")]
pub struct ReassignArgs {
    /// Show the reassignments that are under way.
    #[arg(long, required = true)]
    list: bool,
}

#[derive(Serialize)]
struct Row {
    topic: String,
    partition: i32,
    replicas: Vec<i32>,
    adding: Vec<i32>,
    removing: Vec<i32>,
}

pub(super) async fn perform(_args: &ReassignArgs, session: &mut Session<'_>) -> Result<(), Failure> {
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
