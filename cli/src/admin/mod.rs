//! Commands that look at a cluster and change it: topics, groups, configurations, records, the cluster itself.
//!
//! Each command turns its arguments into calls of [`Admin`], and their outcomes into a table or JSON. Items that fail are told one a line,
//! after the result of the others, and make the exit code 1.

mod acl;
mod cluster;
mod config;
mod group;
mod log_dirs;
mod moment;
mod problems;
mod quota;
mod reassign;
mod records;
mod reset;
mod selection;
mod state;
mod topic;
mod txn;
mod user;

use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;
use trilog_client::admin::{Admin, AdminConfig, TopicDescription, TopicRef};
use trilog_client::{Error, TopicPartition};

use self::problems::Problems;
use self::selection::Selection;
use crate::block_on;
use crate::connection::ConnectionArgs;
use crate::failure::Failure;
use crate::screen::{OutputArgs, OutputFormat, Screen};
use crate::table::Table;

/// What can be asked of a cluster's administration.
#[derive(Clone, Debug, Subcommand)]
pub enum AdminCommand {
    /// Create, list, describe, alter and delete topics.
    Topic(Group<topic::TopicCommand>),
    /// List and describe consumer groups, reset and delete their offsets.
    Group(Group<group::GroupCommand>),
    /// Show and change the configuration of topics, brokers and groups.
    Config(Group<config::ConfigCommand>),
    /// Delete the oldest records of partitions.
    Records(Group<records::RecordsCommand>),
    /// Show the brokers, check the cluster's health, elect leaders.
    Cluster(Group<cluster::ClusterCommand>),
    /// Show what partitions take on the brokers' disks.
    LogDirs(Single<log_dirs::LogDirsArgs>),
    /// List, describe and abort transactions.
    Txn(Group<txn::TxnCommand>),
    /// Move partitions to other brokers, and show those that are moving.
    Reassign(Group<reassign::ReassignCommand>),
    /// List, create and delete access rules.
    Acl(Group<acl::AclCommand>),
    /// List users, set and delete their passwords.
    User(Group<user::UserCommand>),
    /// List, set and remove quotas of users, clients and addresses.
    Quota(Group<quota::QuotaCommand>),
}

/// A command of several sub-commands.
#[derive(Clone, Debug, Args)]
pub struct Group<C: Subcommand> {
    #[command(subcommand)]
    action: C,
    #[command(flatten)]
    common: Common,
}

/// A command by itself.
#[derive(Clone, Debug, Args)]
pub struct Single<A: Args> {
    #[command(flatten)]
    action: A,
    #[command(flatten)]
    common: Common,
}

/// What all of them can be told.
#[derive(Clone, Debug, Args)]
struct Common {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Does a command.
///
/// # Errors
///
/// [`Failure`] with what went wrong; several items that failed are told here, all but the last.
pub fn perform(command: AdminCommand, screen: &mut Screen) -> Result<(), Failure> {
    use AdminCommand as Is;
    match command {
        Is::Topic(Group { action, common }) => {
            with(common, screen, async |on| topic::perform(action, on).await)
        }
        Is::Group(Group { action, common }) => {
            with(common, screen, async |on| group::perform(action, on).await)
        }
        Is::Config(Group { action, common }) => {
            with(common, screen, async |on| config::perform(action, on).await)
        }
        Is::Records(Group { action, common }) => {
            with(common, screen, async |on| records::perform(action, on).await)
        }
        Is::Cluster(Group { action, common }) => {
            with(common, screen, async |on| cluster::perform(action, on).await)
        }
        Is::LogDirs(Single { action, common }) => {
            with(common, screen, async |on| log_dirs::perform(&action, on).await)
        }
        Is::Txn(Group { action, common }) => with(common, screen, async |on| txn::perform(action, on).await),
        Is::Reassign(Group { action, common }) => {
            with(common, screen, async |on| reassign::perform(action, on).await)
        }
        Is::Acl(Group { action, common }) => with(common, screen, async |on| acl::perform(action, on).await),
        Is::User(Group { action, common }) => {
            with(common, screen, async |on| user::perform(action, on).await)
        }
        Is::Quota(Group { action, common }) => {
            with(common, screen, async |on| quota::perform(action, on).await)
        }
    }
}

/// Runs a command on a cluster that answers.
fn with(
    common: Common,
    screen: &mut Screen,
    work: impl AsyncFnOnce(&mut Session<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    block_on(async {
        let settings = common.connection.settings()?;
        let config: AdminConfig = settings.configure(&[("default.api.timeout.ms", "30000")])?;
        settings.reach().await?;
        let admin = Admin::new(config)?;
        let mut session = Session { admin, output: common.output.output, screen };
        work(&mut session).await
    })
}

/// A cluster, and where results go.
struct Session<'a> {
    admin: Admin,
    output: OutputFormat,
    screen: &'a mut Screen,
}

impl Session<'_> {
    fn is_json(&self) -> bool {
        self.output == OutputFormat::Json
    }

    /// Shows rows, as JSON or as a table, and then what went wrong with others. A table of nothing but problems is left out.
    fn show<T: Serialize>(
        &mut self,
        rows: &[T],
        problems: Problems,
        table: impl FnOnce(&[T]) -> Table,
    ) -> Result<(), Failure> {
        match self.output {
            OutputFormat::Json => self.screen.json(&rows)?,
            OutputFormat::Table if rows.is_empty() && !problems.is_empty() => {}
            OutputFormat::Table => self.screen.table(&table(rows))?,
        }
        problems.finish(self.screen)
    }

    /// Says what was done, as JSON or a line a row, and then what went wrong with others.
    fn report<T: Serialize>(
        &mut self,
        rows: &[T],
        problems: Problems,
        line: impl Fn(&T) -> String,
    ) -> Result<(), Failure> {
        if self.is_json() {
            self.screen.json(&rows)?;
        } else {
            rows.iter().try_for_each(|row| self.screen.line(line(row)))?;
        }
        problems.finish(self.screen)
    }

    /// The topics of these names. Those that do not exist become problems, with the nearest name that does.
    async fn topics(&self, names: &[String], problems: &mut Problems) -> Vec<TopicDescription> {
        let asked = names.iter().map(|name| TopicRef::Name(name.clone()));
        let found = self.admin.describe_topics(asked).await;
        let mut topics = Vec::new();
        for (name, outcome) in found {
            match outcome {
                Ok(topic) => topics.push(topic),
                Err(error) => self.topic_problem(&name.to_string(), &error, problems).await,
            }
        }
        topics
    }

    /// Tells what is wrong with a topic; of one that is missing, also the nearest name.
    async fn topic_problem(&self, name: &str, error: &Error, problems: &mut Problems) {
        if !problems::is_missing_topic(error) {
            return problems.add("topic", name, error);
        }
        let known = self.admin.list_topics().await.unwrap_or_default();
        problems.missing_topic(name, known.iter().map(|topic| topic.name.as_str()));
    }

    /// The partitions that were selected. What does not exist becomes a problem.
    async fn partitions(&self, selections: &[Selection], problems: &mut Problems) -> Vec<TopicPartition> {
        let names: Vec<_> = selections.iter().map(|selection| selection.topic.clone()).collect();
        let topics = self.topics(&names, problems).await;
        let mut places = std::collections::BTreeSet::new();
        for selection in selections {
            let Some(topic) = topics.iter().find(|topic| topic.name == selection.topic) else { continue };
            let all = topic.partitions.iter().map(|partition| partition.partition);
            let wanted = selection.partitions.clone().unwrap_or_else(|| all.collect());
            for partition in wanted {
                if topic.partitions.iter().any(|known| known.partition == partition) {
                    places.insert(TopicPartition::new(topic.name.as_str(), partition));
                } else {
                    let count = topic.partitions.len();
                    problems.say(format!("topic {} has {count} partitions: no {partition}", topic.name));
                }
            }
        }
        places.into_iter().collect()
    }
}

/// `NAME=VALUE` of a command line.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("it is not NAME=VALUE".to_owned()),
    }
}

/// A time like `90s`, `30m`, `12h` or `7d`.
fn age(text: &str) -> Result<Duration, String> {
    let expected = || "a number with s, m, h or d behind it, as 12h".to_owned();
    let unit = text.chars().next_back().ok_or_else(expected)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(expected()),
    };
    let number: u64 = text.strip_suffix(unit).and_then(|number| number.parse().ok()).ok_or_else(expected)?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(expected)
}

/// Numbers separated by commas.
fn list(numbers: &[i32]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// A text, or `-` where there is none.
fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_a_number_and_a_unit() {
        assert_eq!(age("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(age("7d"), Ok(Duration::from_secs(7 * 86_400)));
        for wrong in ["", "h", "7", "-1h", "1w", "1 h", "18446744073709551615d", "7é"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pairs_have_a_name() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(pair("a="), Ok(("a".to_owned(), String::new())));
        assert!(pair("=b").is_err() && pair("a").is_err());
    }
}
