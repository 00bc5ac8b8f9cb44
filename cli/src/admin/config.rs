//! `trilog config`.

use clap::{Args, Subcommand};
use serde::Serialize;
use trilog_client::admin::{Change, ConfigChange, ConfigEntry, ConfigOperation, ConfigResource};

use super::problems::Problems;
use super::{Session, pair};
use crate::failure::Failure;
use crate::table::{Cell, Table, Tone};

/// What can be done with configurations.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show a configuration: what is set for the resource itself, or all of it.
    #[command(after_help = "Examples:
  trilog config describe --topic orders
  trilog config describe --broker 1 --all")]
    Describe(DescribeArgs),
    /// Set values. Those that are not named stay as they are.
    #[command(after_help = "Examples:
  trilog config set --topic orders retention.ms=3600000 cleanup.policy=delete
  trilog config set --group billing consumer.session.timeout.ms=60000")]
    Set(SetArgs),
    /// Give values up, so that the defaults count.
    #[command(after_help = "Example:
  trilog config unset --topic orders retention.ms")]
    Unset(UnsetArgs),
}

/// What has the configuration.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
struct Of {
    /// A topic's.
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// A broker's.
    #[arg(long, value_name = "ID")]
    broker: Option<i32>,
    /// What counts for all brokers.
    #[arg(long)]
    all_brokers: bool,
    /// A consumer group's.
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
}

impl Of {
    fn resource(&self) -> ConfigResource {
        if let Some(topic) = &self.topic {
            ConfigResource::Topic(topic.clone())
        } else if let Some(group) = &self.group {
            ConfigResource::Group(group.clone())
        } else {
            // One of the four is given: clap's group sees to it.
            ConfigResource::Broker(self.broker)
        }
    }
}

/// What `config describe` is told.
#[derive(Clone, Debug, Args)]
pub struct DescribeArgs {
    #[command(flatten)]
    of: Of,
    /// Show the values that come from elsewhere, too: from files, from all brokers, defaults.
    #[arg(long)]
    all: bool,
}

/// What `config set` is told.
#[derive(Clone, Debug, Args)]
pub struct SetArgs {
    #[command(flatten)]
    of: Of,
    /// The values.
    #[arg(required = true, value_name = "NAME=VALUE", value_parser = pair)]
    values: Vec<(String, String)>,
    /// Only say whether the values would be accepted.
    #[arg(long)]
    validate_only: bool,
}

/// What `config unset` is told.
#[derive(Clone, Debug, Args)]
pub struct UnsetArgs {
    #[command(flatten)]
    of: Of,
    /// The names.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

pub(super) async fn perform(command: ConfigCommand, session: &mut Session<'_>) -> Result<(), Failure> {
    match command {
        ConfigCommand::Describe(args) => describe(&args, session).await,
        ConfigCommand::Set(args) => {
            let changes = args.values.into_iter().map(|(name, value)| ConfigChange::set(name, value));
            let mode = if args.validate_only { Change::ValidateOnly } else { Change::Apply };
            alter(&args.of, changes.collect(), mode, session).await
        }
        ConfigCommand::Unset(args) => {
            let changes = args.names.into_iter().map(ConfigChange::delete);
            alter(&args.of, changes.collect(), Change::Apply, session).await
        }
    }
}

#[derive(Serialize)]
struct Row {
    name: String,
    value: Option<String>,
    source: String,
    read_only: bool,
    sensitive: bool,
}

impl From<ConfigEntry> for Row {
    fn from(entry: ConfigEntry) -> Self {
        let source = entry.source.to_string();
        let ConfigEntry { name, value, read_only, sensitive, .. } = entry;
        // A broker may send what it calls sensitive.
        Self { name, value: value.filter(|_| !sensitive), source, read_only, sensitive }
    }
}

async fn describe(args: &DescribeArgs, session: &mut Session<'_>) -> Result<(), Failure> {
    let resource = args.of.resource();
    let mut problems = Problems::default();
    let outcomes = session.admin.describe_configs([resource.clone()]).await;
    let mut entries = Vec::new();
    for (resource, outcome) in outcomes {
        match (outcome, &resource) {
            (Ok(found), _) => entries = found,
            (Err(error), ConfigResource::Topic(topic)) => {
                session.topic_problem(topic, &error, &mut problems).await;
            }
            (Err(error), _) => problems.add("configuration of", &resource, &error),
        }
    }
    entries.retain(|entry| args.all || is_set(entry, &resource));
    let rows: Vec<_> = entries.into_iter().map(Row::from).collect();
    if rows.is_empty() && !session.is_json() {
        problems.finish(session.screen)?;
        eprintln!("Nothing is set for {resource}: --all shows what counts for it.");
        return Ok(());
    }
    session.show(&rows, problems, |rows| {
        let mut table = Table::new(["NAME", "VALUE", "SOURCE", ""]);
        for row in rows {
            let value = if row.sensitive { "(sensitive)" } else { row.value.as_deref().unwrap_or("") };
            let fixed = if row.read_only { "read-only" } else { "" };
            table.row([
                Cell::from(&row.name),
                value.into(),
                Cell::from(&row.source),
                Cell::toned(fixed, Tone::Plain),
            ]);
        }
        table
    })
}

/// Whether a value was set for the resource itself.
fn is_set(entry: &ConfigEntry, resource: &ConfigResource) -> bool {
    let for_all = trilog_client::admin::ConfigSource::DynamicDefaultBroker;
    entry.source.is_own() || *resource == ConfigResource::Broker(None) && entry.source == for_all
}

/// What was done. Values are left out: they may be secrets.
#[derive(Serialize)]
struct Changed {
    resource: String,
    name: String,
    /// `set` or `unset`.
    change: &'static str,
}

impl Changed {
    fn of(resource: &ConfigResource, change: ConfigChange) -> Self {
        let is_set = matches!(change.operation, ConfigOperation::Set(_));
        let (resource, made) = (resource.to_string(), if is_set { "set" } else { "unset" });
        Self { resource, name: change.name, change: made }
    }
}

async fn alter(
    of: &Of,
    changes: Vec<ConfigChange>,
    mode: Change,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let resource = of.resource();
    let mut outcomes = session.admin.alter_configs([(resource.clone(), changes.clone())], mode).await;
    let mut problems = Problems::default();
    match (outcomes.remove(&resource), &resource) {
        (Some(Err(error)), ConfigResource::Topic(topic)) => {
            session.topic_problem(topic, &error, &mut problems).await;
        }
        (Some(Err(error)), _) => problems.add("configuration of", &resource, &error),
        _ => {}
    }
    problems.finish(session.screen)?;
    let rows: Vec<_> = changes.into_iter().map(|change| Changed::of(&resource, change)).collect();
    let verb = if mode == Change::Apply { "" } else { "could be " };
    session.report(&rows, Problems::default(), |row| {
        format!("{}: {} {verb}{}", row.resource, row.name, row.change)
    })
}

#[cfg(test)]
mod tests {
    use trilog_client::admin::ConfigSource;

    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let entry = ConfigEntry {
            name: "ssl.key.password".to_owned(),
            value: Some("hush".to_owned()),
            source: ConfigSource::Topic,
            read_only: false,
            sensitive: true,
            documentation: None,
        };
        let shown = serde_json::to_value(Row::from(entry)).unwrap();
        assert_eq!(shown["value"], serde_json::Value::Null);
        let change = ConfigChange::set("ssl.key.password", "hush");
        let told = serde_json::to_string(&Changed::of(&ConfigResource::Broker(None), change)).unwrap();
        assert!(told.contains("ssl.key.password") && !told.contains("hush"), "{told}");
    }
}
