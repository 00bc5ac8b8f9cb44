//! `trilog quota`.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde::Serialize;
use trilog_client::admin::{Change, QuotaEntity, QuotaFilter, QuotaMatch};

use super::problems::Problems;
use super::{Session, or_dash, pair};
use crate::failure::Failure;
use crate::table::{Cell, Table};

/// The kinds of entities, as the protocol calls them.
const USER: &str = "user";
const CLIENT_ID: &str = "client-id";
const IP: &str = "ip";

/// What can be done with quotas.
#[derive(Clone, Debug, Subcommand)]
pub enum QuotaCommand {
    /// List quotas: all of them, or those of a user, a client or an address.
    #[command(after_help = "Examples:
  trilog quota list
  trilog quota list --user billing")]
    List(ListArgs),
    /// Set limits: producer_byte_rate, consumer_byte_rate, request_percentage, controller_mutation_rate, connection_creation_rate.
    #[command(after_help = "Examples:
  trilog quota set --user billing producer_byte_rate=1048576
  trilog quota set --default-client-id consumer_byte_rate=4194304")]
    Set(SetArgs),
    /// Remove limits.
    #[command(after_help = "Example:
  trilog quota unset --user billing producer_byte_rate")]
    Unset(UnsetArgs),
}

/// Whom a quota is for. A user and a client together are the user's clients of that id.
#[derive(Clone, Debug, Args)]
struct For {
    /// A user.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// All users that have no quota of their own.
    #[arg(long, conflicts_with = "user")]
    default_user: bool,
    /// Clients of this client.id.
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// All clients whose client.id has no quota of its own.
    #[arg(long, conflicts_with = "client_id")]
    default_client_id: bool,
    /// An address.
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["user", "default_user", "client_id", "default_client_id"])]
    ip: Option<String>,
    /// All addresses that have no quota of their own.
    #[arg(long, conflicts_with_all = ["ip", "user", "default_user", "client_id", "default_client_id"])]
    default_ip: bool,
}

impl For {
    fn entity(&self) -> QuotaEntity {
        let parts = [
            (USER, &self.user, self.default_user),
            (CLIENT_ID, &self.client_id, self.default_client_id),
            (IP, &self.ip, self.default_ip),
        ];
        let given = parts.into_iter().filter(|(_, name, default)| name.is_some() || *default);
        QuotaEntity(given.map(|(kind, name, _)| (kind.to_owned(), name.clone())).collect())
    }

    /// The entity of a command that needs one.
    fn one(&self) -> Result<QuotaEntity, Failure> {
        let entity = self.entity();
        if entity.0.is_empty() {
            return Err(Failure::Usage(
                "whom is the quota for? --user, --client-id, --ip or a default".to_owned(),
            ));
        }
        Ok(entity)
    }
}

/// What `quota list` is told.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    whose: For,
}

/// What `quota set` is told.
#[derive(Clone, Debug, Args)]
pub struct SetArgs {
    #[command(flatten)]
    whose: For,
    /// The limits: bytes or operations a second, percent of a thread.
    #[arg(required = true, value_name = "NAME=VALUE", value_parser = limit)]
    limits: Vec<(String, f64)>,
    /// Only say whether the limits would be accepted.
    #[arg(long)]
    validate_only: bool,
}

/// What `quota unset` is told.
#[derive(Clone, Debug, Args)]
pub struct UnsetArgs {
    #[command(flatten)]
    whose: For,
    /// The limits.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

fn limit(text: &str) -> Result<(String, f64), String> {
    let (name, value) = pair(text)?;
    let value = value.parse().ok().filter(|value: &f64| value.is_finite() && *value > 0.0);
    Ok((name, value.ok_or("the limit is a number above 0")?))
}

#[derive(Serialize)]
struct Row {
    user: Option<String>,
    client_id: Option<String>,
    ip: Option<String>,
    /// The kinds whose default it is.
    defaults: Vec<String>,
    limits: BTreeMap<String, f64>,
}

impl Row {
    fn new(entity: &QuotaEntity, limits: BTreeMap<String, f64>) -> Self {
        let name = |kind: &str| entity.0.get(kind).cloned().flatten();
        let defaults = entity.0.iter().filter(|(_, name)| name.is_none()).map(|(kind, _)| kind.clone());
        Self {
            user: name(USER),
            client_id: name(CLIENT_ID),
            ip: name(IP),
            defaults: defaults.collect(),
            limits,
        }
    }

    fn part(&self, kind: &str, name: Option<&String>) -> String {
        if self.defaults.iter().any(|default| default == kind) {
            "(default)".to_owned()
        } else {
            or_dash(name)
        }
    }
}

#[derive(Serialize)]
struct Changed {
    entity: String,
}

pub(super) async fn perform(command: QuotaCommand, session: &mut Session<'_>) -> Result<(), Failure> {
    match command {
        QuotaCommand::List(args) => show_list(&args, session).await,
        QuotaCommand::Set(args) => {
            let entity = args.whose.one()?;
            let change = if args.validate_only { Change::ValidateOnly } else { Change::Apply };
            let limits = args.limits.into_iter().map(|(name, value)| (name, Some(value))).collect();
            alter(entity, limits, change, session).await
        }
        QuotaCommand::Unset(args) => {
            let limits = args.names.into_iter().map(|name| (name, None)).collect();
            alter(args.whose.one()?, limits, Change::Apply, session).await
        }
    }
}

async fn show_list(args: &ListArgs, session: &mut Session<'_>) -> Result<(), Failure> {
    let wanted = |name: Option<String>| name.map_or(QuotaMatch::Default, QuotaMatch::Name);
    let kinds = args.whose.entity().0.into_iter().map(|(kind, name)| (kind, wanted(name)));
    let filter = QuotaFilter { kinds: kinds.collect(), strict: false };
    let found = session.admin.describe_quotas(filter).await?;
    let rows: Vec<_> = found.into_iter().map(|(entity, limits)| Row::new(&entity, limits)).collect();
    if rows.is_empty() && !session.is_json() {
        return session.screen.line("No quota.");
    }
    session.show(&rows, Problems::default(), |rows| {
        let mut table = Table::new(["USER", "CLIENT-ID", "IP", "LIMITS"]);
        for row in rows {
            let limits: Vec<_> = row.limits.iter().map(|(name, value)| format!("{name}={value}")).collect();
            table.row([
                Cell::from(row.part(USER, row.user.as_ref())),
                Cell::from(row.part(CLIENT_ID, row.client_id.as_ref())),
                Cell::from(row.part(IP, row.ip.as_ref())),
                Cell::from(limits.join(" ")),
            ]);
        }
        table
    })
}

async fn alter(
    entity: QuotaEntity,
    limits: BTreeMap<String, Option<f64>>,
    change: Change,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let outcomes = problems.sort("quota of", session.admin.alter_quotas([(entity, limits)], change).await);
    let rows: Vec<_> =
        outcomes.into_iter().map(|(entity, ())| Changed { entity: entity.to_string() }).collect();
    let done = if change == Change::Apply { "altered" } else { "would be altered" };
    session.report(&rows, problems, |row| format!("quota of {} {done}", row.entity))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_above_0() {
        assert_eq!(limit("producer_byte_rate=1.5e6"), Ok(("producer_byte_rate".to_owned(), 1.5e6)));
        for wrong in ["x", "x=", "x=-1", "x=0", "x=NaN", "x=inf"] {
            assert!(limit(wrong).is_err(), "{wrong}");
        }
    }
}
