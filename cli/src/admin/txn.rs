//! `trilog txn`.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;
use trilog_client::admin::{TransactionFilter, TransactionListing};

use super::problems::Problems;
use super::{Session, age, or_dash};
use crate::failure::Failure;
use crate::table::{Cell, Table};

/// What can be done with transactions.
#[derive(Clone, Debug, Subcommand)]
pub enum TxnCommand {
    /// List transactional ids.
    #[command(after_help = "Examples:
  trilog txn list
  trilog txn list --state Ongoing --open-for 5m")]
    List(ListArgs),
    /// Describe transactional ids: state, producer, partitions.
    #[command(after_help = "Example:
  trilog txn describe payments-1")]
    Describe(DescribeArgs),
    /// Abort the open transactions of transactional ids, and fence their producers.
    #[command(after_help = "Example:
  trilog txn abort payments-1")]
    Abort(AbortArgs),
}

/// What `txn list` is told.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// Only transactions in this state. May be repeated.
    #[arg(long, value_name = "STATE", ignore_case = true, value_parser = super::state::of_transaction())]
    state: Vec<String>,
    /// Only those of this producer id. May be repeated.
    #[arg(long, value_name = "ID")]
    producer_id: Vec<i64>,
    /// Only those that are open for longer than this, as 5m.
    #[arg(long, value_name = "AGE", value_parser = age)]
    open_for: Option<Duration>,
}

/// What `txn describe` is told.
#[derive(Clone, Debug, Args)]
pub struct DescribeArgs {
    /// The transactional ids.
    #[arg(required = true, value_name = "TRANSACTIONAL-ID")]
    ids: Vec<String>,
}

/// What `txn abort` is told.
#[derive(Clone, Debug, Args)]
pub struct AbortArgs {
    /// The transactional ids. They have to exist.
    #[arg(required = true, value_name = "TRANSACTIONAL-ID")]
    ids: Vec<String>,
}

#[derive(Serialize)]
struct Aborted {
    transactional_id: String,
    producer_id: i64,
    producer_epoch: i16,
}

#[derive(Serialize)]
struct Listed {
    transactional_id: String,
    producer_id: i64,
    state: String,
}

impl From<TransactionListing> for Listed {
    fn from(told: TransactionListing) -> Self {
        let TransactionListing { transactional_id, producer_id, state } = told;
        Self { transactional_id, producer_id, state }
    }
}

#[derive(Serialize)]
struct Described {
    transactional_id: String,
    state: String,
    coordinator: Option<i32>,
    producer_id: i64,
    producer_epoch: i16,
    timeout_ms: u64,
    started: Option<i64>,
    partitions: Vec<String>,
}

pub(super) async fn perform(command: TxnCommand, session: &mut Session<'_>) -> Result<(), Failure> {
    match command {
        TxnCommand::List(args) => show_list(args, session).await,
        TxnCommand::Describe(args) => describe(args, session).await,
        TxnCommand::Abort(args) => abort(args, session).await,
    }
}

async fn abort(args: AbortArgs, session: &mut Session<'_>) -> Result<(), Failure> {
    let mut problems = Problems::default();
    // To fence an id that nobody has used would make it.
    let known = problems.sort("transactional id", session.admin.describe_transactions(args.ids).await);
    let ids = known.into_iter().map(|(id, _)| id);
    let fenced = problems.sort("transactional id", session.admin.fence_producers(ids).await);
    let rows = fenced.into_iter().map(|(transactional_id, producer)| Aborted {
        transactional_id,
        producer_id: producer.producer_id,
        producer_epoch: producer.producer_epoch,
    });
    session.report(&rows.collect::<Vec<_>>(), problems, |row| {
        format!(
            "{}: nothing is open, producers before epoch {} are fenced",
            row.transactional_id, row.producer_epoch
        )
    })
}

async fn show_list(args: ListArgs, session: &mut Session<'_>) -> Result<(), Failure> {
    let filter =
        TransactionFilter { states: args.state, producer_ids: args.producer_id, open_for: args.open_for };
    let listed = session.admin.list_transactions(&filter).await?;
    let mut problems = Problems::default();
    for (broker, error) in &listed.failures {
        problems.add("transactions of broker", broker, error);
    }
    let rows: Vec<_> = listed.transactions.into_iter().map(Listed::from).collect();
    session.show(&rows, problems, |rows| {
        let mut table = Table::new(["TRANSACTIONAL-ID", ">PRODUCER-ID", "STATE"]);
        for row in rows {
            table.row([Cell::from(&row.transactional_id), row.producer_id.into(), Cell::from(&row.state)]);
        }
        table
    })
}

async fn describe(args: DescribeArgs, session: &mut Session<'_>) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let found = problems.sort("transactional id", session.admin.describe_transactions(args.ids).await);
    let rows = found.into_iter().map(|(transactional_id, told)| Described {
        transactional_id,
        state: told.state,
        coordinator: told.coordinator,
        producer_id: told.producer_id,
        producer_epoch: told.producer_epoch,
        timeout_ms: u64::try_from(told.timeout.as_millis()).unwrap_or(u64::MAX),
        started: told.started,
        partitions: told.partitions.iter().map(ToString::to_string).collect(),
    });
    session.show(&rows.collect::<Vec<_>>(), problems, |rows| {
        let mut table = Table::new([
            "TRANSACTIONAL-ID",
            "STATE",
            ">COORDINATOR",
            ">PRODUCER-ID",
            ">EPOCH",
            ">TIMEOUT-MS",
            "PARTITIONS",
        ]);
        for row in rows {
            table.row([
                Cell::from(&row.transactional_id),
                Cell::from(&row.state),
                or_dash(row.coordinator).into(),
                row.producer_id.into(),
                row.producer_epoch.into(),
                row.timeout_ms.into(),
                row.partitions.join(" ").into(),
            ]);
        }
        table
    })
}
