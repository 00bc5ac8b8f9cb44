//! `trilog topic`.

use clap::{Args, Subcommand};
use serde::Serialize;
use trilog_client::ErrorCode;
use trilog_client::admin::{
    Change, ConfigChange, ConfigResource, NewPartitions, NewTopic, PartitionDescription, TopicDescription,
    TopicRef,
};

use super::problems::{Problems, is_missing_topic};
use super::{Session, list, or_dash, pair};
use crate::failure::Failure;
use crate::table::{Cell, Table, Tone};

/// What can be done with topics.
#[derive(Clone, Debug, Subcommand)]
pub enum TopicCommand {
    /// Create topics.
    #[command(after_help = "Examples:
  trilog topic create orders --partitions 6
  trilog topic create events audit -p 3 -r 3 --set retention.ms=86400000
  trilog topic create placed --replica-assignment 1:2:3,2:3:1")]
    Create(CreateArgs),
    /// List topics.
    #[command(after_help = "Examples:
  trilog topic list
  trilog topic list --output json")]
    List(ListArgs),
    /// Describe topics: partitions, leaders, replicas, and what is configured for them.
    #[command(after_help = "Examples:
  trilog topic describe orders
  trilog topic describe --under-replicated")]
    Describe(DescribeArgs),
    /// Change the configuration of topics.
    #[command(after_help = "Examples:
  trilog topic alter orders --set retention.ms=3600000
  trilog topic alter orders payments --unset retention.ms")]
    Alter(AlterArgs),
    /// Delete topics with all their records.
    #[command(after_help = "Examples:
  trilog topic delete orders
  trilog topic delete orders payments --if-exists")]
    Delete(DeleteArgs),
    /// Give a topic more partitions.
    #[command(after_help = "Example:
  trilog topic add-partitions orders --total 12")]
    AddPartitions(AddPartitionsArgs),
}

/// What `topic create` is told.
#[derive(Clone, Debug, Args)]
pub struct CreateArgs {
    /// The topics' names.
    #[arg(required = true, value_name = "TOPIC")]
    names: Vec<String>,
    /// How many partitions each has; the cluster's num.partitions by default.
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// How many replicas each partition has; the cluster's default.replication.factor by default.
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// The brokers of each partition: `:` between the brokers of one, `,` between partitions.
    #[arg(
        long,
        value_name = "1:2,2:3",
        value_parser = assignment,
        conflicts_with_all = ["partitions", "replication_factor"]
    )]
    replica_assignment: Option<Assignment>,
    /// A configuration value of the topics. May be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// A topic that exists is no error.
    #[arg(long)]
    if_not_exists: bool,
    /// Only say whether the topics could be created.
    #[arg(long)]
    validate_only: bool,
}

/// The brokers of each partition.
type Assignment = Vec<Vec<i32>>;

fn assignment(text: &str) -> Result<Assignment, String> {
    let brokers =
        |part: &str| part.split(':').map(|broker| broker.trim().parse().ok()).collect::<Option<_>>();
    let parsed = text.split(',').map(brokers).collect::<Option<_>>();
    parsed.ok_or_else(|| "it is not BROKER:BROKER,BROKER:BROKER".to_owned())
}

/// What `topic list` is told.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// List the cluster's internal topics, too.
    #[arg(long)]
    internal: bool,
}

/// What `topic describe` is told.
#[derive(Clone, Debug, Args)]
pub struct DescribeArgs {
    /// The topics' names; all but internal topics by default.
    #[arg(value_name = "TOPIC")]
    names: Vec<String>,
    /// Show only partitions with a replica out of sync.
    #[arg(long)]
    under_replicated: bool,
    /// Show only partitions without a leader.
    #[arg(long)]
    unavailable: bool,
}

/// What `topic alter` is told.
#[derive(Clone, Debug, Args)]
pub struct AlterArgs {
    /// The topics' names.
    #[arg(required = true, value_name = "TOPIC")]
    names: Vec<String>,
    /// A value to set. May be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair, required_unless_present = "unset")]
    set: Vec<(String, String)>,
    /// A value to give up, so that the cluster's default counts. May be repeated.
    #[arg(long, value_name = "NAME")]
    unset: Vec<String>,
}

/// What `topic delete` is told.
#[derive(Clone, Debug, Args)]
pub struct DeleteArgs {
    /// The topics' names.
    #[arg(required = true, value_name = "TOPIC")]
    names: Vec<String>,
    /// A topic that does not exist is no error.
    #[arg(long)]
    if_exists: bool,
}

/// What `topic add-partitions` is told.
#[derive(Clone, Debug, Args)]
pub struct AddPartitionsArgs {
    /// The topic's name.
    #[arg(value_name = "TOPIC")]
    name: String,
    /// How many partitions the topic is to have in total.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..))]
    total: i32,
    /// Only say whether it could be done.
    #[arg(long)]
    validate_only: bool,
}

pub(super) async fn perform(command: TopicCommand, session: &mut Session<'_>) -> Result<(), Failure> {
    match command {
        TopicCommand::Create(args) => create(args, session).await,
        TopicCommand::List(args) => show_list(&args, session).await,
        TopicCommand::Describe(args) => describe(&args, session).await,
        TopicCommand::Alter(args) => alter(&args, session).await,
        TopicCommand::Delete(args) => delete(args, session).await,
        TopicCommand::AddPartitions(args) => add_partitions(args, session).await,
    }
}

const fn mode(validate_only: bool) -> Change {
    if validate_only { Change::ValidateOnly } else { Change::Apply }
}

#[derive(Serialize)]
struct Created {
    topic: String,
    id: Option<String>,
    partitions: i32,
    replication_factor: i16,
}

async fn create(args: CreateArgs, session: &mut Session<'_>) -> Result<(), Failure> {
    let topic = |name: String| {
        let mut topic = NewTopic::new(name);
        if let Some(count) = args.partitions {
            topic = topic.partitions(count);
        }
        if let Some(factor) = args.replication_factor {
            topic = topic.replicas(factor);
        }
        for (partition, brokers) in (0..).zip(args.replica_assignment.iter().flatten()) {
            topic = topic.assign(partition, brokers.clone());
        }
        args.set.iter().fold(topic, |topic, (name, value)| topic.config(name, value))
    };
    let topics: Vec<_> = args.names.into_iter().map(topic).collect();
    let mut outcomes = session.admin.create_topics(topics, mode(args.validate_only)).await;
    if args.if_not_exists {
        outcomes.retain(|_, outcome| !is_code(outcome.as_ref().err(), ErrorCode::TOPIC_ALREADY_EXISTS));
    }
    let mut problems = Problems::default();
    let created = problems.sort("topic", outcomes).into_iter().map(|(topic, created)| Created {
        topic,
        id: created.id.map(|id| id.to_string()),
        partitions: created.partitions,
        replication_factor: created.replicas,
    });
    let verb = if args.validate_only { "could create" } else { "created" };
    session.report(&created.collect::<Vec<_>>(), problems, |row| {
        let Created { topic, partitions, replication_factor, .. } = row;
        format!("{verb} topic {topic}: partitions {partitions}, replication factor {replication_factor}")
    })
}

fn is_code(error: Option<&trilog_client::Error>, wanted: ErrorCode) -> bool {
    matches!(error, Some(trilog_client::Error::Broker { code, .. }) if *code == wanted)
}

#[derive(Serialize)]
struct Listed {
    topic: String,
    id: Option<String>,
    internal: bool,
    partitions: usize,
    replication_factor: usize,
    under_replicated: usize,
    without_leader: usize,
}

impl Listed {
    fn of(topic: TopicDescription) -> Self {
        let count = |wanted: fn(&PartitionDescription) -> bool| {
            topic.partitions.iter().filter(|partition| wanted(partition)).count()
        };
        Self {
            under_replicated: count(PartitionDescription::is_under_replicated),
            without_leader: count(|partition| partition.leader.is_none()),
            replication_factor: topic.partitions.first().map_or(0, |first| first.replicas.len()),
            partitions: topic.partitions.len(),
            id: topic.id.map(|id| id.to_string()),
            internal: topic.internal,
            topic: topic.name,
        }
    }
}

async fn show_list(args: &ListArgs, session: &mut Session<'_>) -> Result<(), Failure> {
    let mut topics = session.admin.list_topics().await?;
    topics.retain(|topic| args.internal || !topic.internal);
    let rows: Vec<_> = topics.into_iter().map(Listed::of).collect();
    session.show(&rows, Problems::default(), |rows| {
        let mut table = Table::new(["TOPIC", ">PARTITIONS", ">REPLICAS", ">UNDER-REPLICATED", ">NO-LEADER"]);
        for row in rows {
            let tone = |count, tone| if count == 0 { Tone::Plain } else { tone };
            table.row([
                Cell::from(&row.topic),
                row.partitions.into(),
                row.replication_factor.into(),
                Cell::toned(row.under_replicated, tone(row.under_replicated, Tone::Odd)),
                Cell::toned(row.without_leader, tone(row.without_leader, Tone::Bad)),
            ]);
        }
        table
    })
}

#[derive(Serialize)]
struct Described {
    topic: String,
    id: Option<String>,
    internal: bool,
    /// What is configured for the topic itself.
    configs: std::collections::BTreeMap<String, Option<String>>,
    partitions: Vec<Partition>,
}

#[derive(Serialize)]
struct Partition {
    partition: i32,
    leader: Option<i32>,
    leader_epoch: Option<i32>,
    replicas: Vec<i32>,
    in_sync: Vec<i32>,
    offline: Vec<i32>,
}

impl From<PartitionDescription> for Partition {
    fn from(told: PartitionDescription) -> Self {
        let PartitionDescription { partition, leader, leader_epoch, replicas, in_sync, offline } = told;
        Self { partition, leader, leader_epoch, replicas, in_sync, offline }
    }
}

async fn describe(args: &DescribeArgs, session: &mut Session<'_>) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let topics = if args.names.is_empty() {
        let mut all = session.admin.list_topics().await?;
        all.retain(|topic| !topic.internal);
        all
    } else {
        session.topics(&args.names, &mut problems).await
    };
    let resources = topics.iter().map(|topic| ConfigResource::Topic(topic.name.clone()));
    let mut configs = session.admin.describe_configs(resources).await;
    let filtered = args.under_replicated || args.unavailable;
    let mut described = Vec::new();
    for topic in topics {
        let entries = match configs.remove(&ConfigResource::Topic(topic.name.clone())) {
            Some(Ok(entries)) => entries,
            // A topic that was deleted meanwhile has none.
            Some(Err(error)) if is_missing_topic(&error) => Vec::new(),
            Some(Err(error)) => {
                problems.add("configuration of topic", &topic.name, &error);
                Vec::new()
            }
            None => Vec::new(),
        };
        let own = entries.into_iter().filter(|entry| entry.source.is_own());
        let wanted = |partition: &PartitionDescription| {
            !filtered
                || args.under_replicated && partition.is_under_replicated()
                || args.unavailable && partition.leader.is_none()
        };
        let partitions: Vec<_> = topic.partitions.into_iter().filter(wanted).map(Partition::from).collect();
        if filtered && partitions.is_empty() {
            continue;
        }
        described.push(Described {
            topic: topic.name,
            id: topic.id.map(|id| id.to_string()),
            internal: topic.internal,
            configs: own.map(|entry| (entry.name, entry.value)).collect(),
            partitions,
        });
    }
    show_described(&described, session)?;
    problems.finish(session.screen)
}

fn show_described(described: &[Described], session: &mut Session<'_>) -> Result<(), Failure> {
    if session.is_json() {
        return session.screen.json(&described);
    }
    for (at, topic) in described.iter().enumerate() {
        if at > 0 {
            session.screen.line("")?;
        }
        let id = topic.id.as_ref().map(|id| format!(", id {id}")).unwrap_or_default();
        session.screen.line(format_args!("topic {}{id}", topic.topic))?;
        for (name, value) in &topic.configs {
            session.screen.line(format_args!("  {name}={}", value.as_deref().unwrap_or_default()))?;
        }
        let mut table = Table::new([">PARTITION", ">LEADER", ">EPOCH", "REPLICAS", "IN-SYNC", "OFFLINE"]);
        for row in &topic.partitions {
            let lags = row.in_sync.len() < row.replicas.len();
            let leader = if row.leader.is_some() { Tone::Plain } else { Tone::Bad };
            table.row([
                row.partition.into(),
                Cell::toned(or_dash(row.leader), leader),
                or_dash(row.leader_epoch).into(),
                list(&row.replicas).into(),
                Cell::toned(list(&row.in_sync), if lags { Tone::Odd } else { Tone::Plain }),
                list(&row.offline).into(),
            ]);
        }
        session.screen.table(&table)?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Named {
    topic: String,
}

async fn alter(args: &AlterArgs, session: &mut Session<'_>) -> Result<(), Failure> {
    let set = args.set.iter().map(|(name, value)| ConfigChange::set(name, value));
    let changes: Vec<_> = set.chain(args.unset.iter().map(ConfigChange::delete)).collect();
    let resources = args.names.iter().map(|name| (ConfigResource::Topic(name.clone()), changes.clone()));
    let outcomes = session.admin.alter_configs(resources, Change::Apply).await;
    let mut problems = Problems::default();
    let mut done = Vec::new();
    for (resource, outcome) in outcomes {
        let ConfigResource::Topic(topic) = resource else { continue };
        match outcome {
            Ok(()) => done.push(Named { topic }),
            Err(error) => session.topic_problem(&topic, &error, &mut problems).await,
        }
    }
    session.report(&done, problems, |row| format!("altered topic {}", row.topic))
}

async fn delete(args: DeleteArgs, session: &mut Session<'_>) -> Result<(), Failure> {
    let outcomes = session.admin.delete_topics(args.names.into_iter().map(TopicRef::Name)).await;
    let mut problems = Problems::default();
    let mut done = Vec::new();
    for (topic, outcome) in outcomes {
        match outcome {
            Ok(()) => done.push(Named { topic: topic.to_string() }),
            Err(error) if args.if_exists && is_missing_topic(&error) => {}
            Err(error) => session.topic_problem(&topic.to_string(), &error, &mut problems).await,
        }
    }
    session.report(&done, problems, |row| format!("deleted topic {}", row.topic))
}

async fn add_partitions(args: AddPartitionsArgs, session: &mut Session<'_>) -> Result<(), Failure> {
    let topic = NewPartitions::total(&args.name, args.total);
    let outcomes = session.admin.create_partitions([topic], mode(args.validate_only)).await;
    let mut problems = Problems::default();
    let mut done = Vec::new();
    for (topic, outcome) in outcomes {
        match outcome {
            Ok(()) => done.push(Named { topic }),
            Err(error) => session.topic_problem(&topic, &error, &mut problems).await,
        }
    }
    let verb = if args.validate_only { "could have" } else { "has" };
    let partitions = if args.total == 1 { "partition" } else { "partitions" };
    session.report(&done, problems, |row| format!("topic {} {verb} {} {partitions}", row.topic, args.total))
}
