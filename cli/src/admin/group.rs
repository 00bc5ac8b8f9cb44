//! `trilog group`.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Args, Subcommand};
use serde::Serialize;
use trilog_client::TopicPartition;
use trilog_client::admin::{
    GroupDescription, GroupFilter, GroupListing, Isolation, MemberDescription, OffsetSpec,
};
use trilog_client::consumer::CommitOffset;

use super::problems::Problems;
use super::reset::{ResetArgs, reset};
use super::selection::Selection;
use super::{Session, or_dash};
use crate::failure::Failure;
use crate::table::{Cell, Table, Tone};

/// What can be done with consumer groups.
#[derive(Clone, Debug, Subcommand)]
pub enum GroupCommand {
    /// List groups of both protocols.
    #[command(after_help = "Examples:
  trilog group list
  trilog group list --state Empty --type consumer")]
    List(ListArgs),
    /// Describe groups: committed offsets, lag and members.
    #[command(after_help = "Examples:
  trilog group describe billing
  trilog group describe billing --members")]
    Describe(DescribeArgs),
    /// Set a group's committed offsets to somewhere else. Without --execute, only show where to.
    #[command(after_help = "The group must have no members.

Examples:
  trilog group reset-offsets billing --topic orders --to-earliest
  trilog group reset-offsets billing --topic orders:0,1 --to-offset 100 --execute
  trilog group reset-offsets billing --all-topics --to-datetime 2026-03-01T12:00:00Z --execute
  trilog group reset-offsets billing --all-topics --shift-by -10 --execute")]
    ResetOffsets(ResetArgs),
    /// Delete groups with their committed offsets. They must have no members.
    #[command(after_help = "Example:
  trilog group delete billing shipping")]
    Delete(DeleteArgs),
    /// Delete committed offsets of a group.
    #[command(after_help = "Example:
  trilog group delete-offsets billing --topic orders")]
    DeleteOffsets(DeleteOffsetsArgs),
}

/// What `group list` is told.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// Only groups in this state. May be repeated.
    #[arg(long, value_name = "STATE", ignore_case = true, value_parser = super::state::of_group())]
    state: Vec<String>,
    /// Only groups of this type. May be repeated.
    #[arg(long = "type", value_name = "TYPE", ignore_case = true, value_parser = super::state::type_of_group())]
    kind: Vec<String>,
}

/// What `group describe` is told.
#[derive(Clone, Debug, Args)]
pub struct DescribeArgs {
    /// The groups' names.
    #[arg(required = true, value_name = "GROUP")]
    names: Vec<String>,
    /// Show the members instead of the offsets. JSON has both.
    #[arg(long)]
    members: bool,
}

/// What `group delete` is told.
#[derive(Clone, Debug, Args)]
pub struct DeleteArgs {
    /// The groups' names.
    #[arg(required = true, value_name = "GROUP")]
    names: Vec<String>,
}

/// What `group delete-offsets` is told.
#[derive(Clone, Debug, Args)]
pub struct DeleteOffsetsArgs {
    /// The group's name.
    #[arg(value_name = "GROUP")]
    group: String,
    /// A topic, or partitions of it. May be repeated.
    #[arg(long, required = true, value_name = "TOPIC[:PARTITIONS]")]
    topic: Vec<Selection>,
}

pub(super) async fn perform(command: GroupCommand, session: &mut Session<'_>) -> Result<(), Failure> {
    match command {
        GroupCommand::List(args) => show_list(args, session).await,
        GroupCommand::Describe(args) => describe(&args, session).await,
        GroupCommand::ResetOffsets(args) => reset(&args, session).await,
        GroupCommand::Delete(args) => delete(&args, session).await,
        GroupCommand::DeleteOffsets(args) => delete_offsets(&args, session).await,
    }
}

#[derive(Serialize)]
struct Listed {
    group: String,
    r#type: String,
    state: String,
    protocol_type: String,
}

impl From<GroupListing> for Listed {
    fn from(told: GroupListing) -> Self {
        let GroupListing { group, protocol_type, state, kind } = told;
        Self { group, r#type: kind, state, protocol_type }
    }
}

async fn show_list(args: ListArgs, session: &mut Session<'_>) -> Result<(), Failure> {
    let filter = GroupFilter { states: args.state, types: args.kind };
    let listed = session.admin.list_groups(&filter).await?;
    let mut problems = Problems::default();
    for (broker, error) in &listed.failures {
        problems.add("groups of broker", broker, error);
    }
    let rows: Vec<_> = listed.groups.into_iter().map(Listed::from).collect();
    session.show(&rows, problems, |rows| {
        let mut table = Table::new(["GROUP", "TYPE", "STATE", "PROTOCOL-TYPE"]);
        for row in rows {
            let texts = [&row.group, &row.r#type, &row.state, &row.protocol_type];
            table.row(texts.map(Cell::from));
        }
        table
    })
}

#[derive(Serialize)]
struct Described {
    group: String,
    r#type: String,
    state: String,
    assignor: String,
    coordinator: Option<i32>,
    group_epoch: Option<i32>,
    assignment_epoch: Option<i32>,
    members: Vec<Member>,
    offsets: Vec<Offset>,
}

#[derive(Serialize)]
struct Member {
    member_id: String,
    instance_id: Option<String>,
    client_id: String,
    host: String,
    rack: Option<String>,
    epoch: Option<i32>,
    topics: Vec<String>,
    pattern: Option<String>,
    assignment: Vec<Place>,
    target: Vec<Place>,
}

#[derive(Serialize)]
struct Place {
    topic: String,
    partition: i32,
}

#[derive(Serialize)]
struct Offset {
    topic: String,
    partition: i32,
    committed: Option<i64>,
    end: Option<i64>,
    lag: Option<i64>,
    metadata: Option<String>,
    member_id: Option<String>,
}

impl From<&TopicPartition> for Place {
    fn from(place: &TopicPartition) -> Self {
        Self { topic: place.topic.to_string(), partition: place.partition }
    }
}

impl From<MemberDescription> for Member {
    fn from(told: MemberDescription) -> Self {
        Self {
            assignment: told.assignment.iter().map(Place::from).collect(),
            target: told.target.iter().map(Place::from).collect(),
            member_id: told.member_id,
            instance_id: told.instance,
            client_id: told.client_id,
            host: told.host,
            rack: told.rack,
            epoch: told.epoch,
            topics: told.topics,
            pattern: told.pattern,
        }
    }
}

async fn describe(args: &DescribeArgs, session: &mut Session<'_>) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let groups = problems.sort("group", session.admin.describe_groups(args.names.iter().cloned()).await);
    let mut committed = session.admin.list_group_offsets(groups.iter().map(|(name, _)| name.clone())).await;
    let mut described = Vec::new();
    for (name, group) in groups {
        let offsets = match committed.remove(&name) {
            Some(Ok(offsets)) => problems.sort("offset of", offsets).into_iter().collect(),
            Some(Err(error)) => {
                problems.add("offsets of group", &name, &error);
                BTreeMap::new()
            }
            None => BTreeMap::new(),
        };
        let offsets = lags(&group, &offsets, session, &mut problems).await;
        described.push(Described {
            group: name,
            r#type: group.kind,
            state: group.state,
            assignor: group.assignor,
            coordinator: group.coordinator,
            group_epoch: group.epoch,
            assignment_epoch: group.assignment_epoch,
            members: group.members.into_iter().map(Member::from).collect(),
            offsets,
        });
    }
    if session.is_json() {
        session.screen.json(&described)?;
    } else {
        for (at, group) in described.iter().enumerate() {
            if at > 0 {
                session.screen.line("")?;
            }
            show_group(group, args.members, session)?;
        }
    }
    problems.finish(session.screen)
}

/// What is committed of a group, how far that is behind, and which member has it.
async fn lags(
    group: &GroupDescription,
    committed: &BTreeMap<TopicPartition, CommitOffset>,
    session: &Session<'_>,
    problems: &mut Problems,
) -> Vec<Offset> {
    let owners: BTreeMap<_, _> = group
        .members
        .iter()
        .flat_map(|member| member.assignment.iter().map(|place| (place.clone(), member.member_id.clone())))
        .collect();
    let places: BTreeSet<_> = committed.keys().chain(owners.keys()).cloned().collect();
    let ends = places.iter().map(|place| (place.clone(), OffsetSpec::Latest));
    let ends = session.admin.list_offsets(ends, Isolation::ReadUncommitted).await;
    let ends: BTreeMap<_, _> = problems.sort("end of", ends).into_iter().collect();
    let row = |place: &TopicPartition| {
        let commit = committed.get(place);
        let end = ends.get(place).copied().flatten().map(|end| end.offset);
        Offset {
            topic: place.topic.to_string(),
            partition: place.partition,
            committed: commit.map(|commit| commit.offset),
            end,
            lag: commit.zip(end).map(|(commit, end)| end.saturating_sub(commit.offset).max(0)),
            metadata: commit.map(|commit| commit.metadata.clone()).filter(|metadata| !metadata.is_empty()),
            member_id: owners.get(place).cloned(),
        }
    };
    places.iter().map(row).collect()
}

fn show_group(group: &Described, members: bool, session: &mut Session<'_>) -> Result<(), Failure> {
    let assignor = if group.assignor.is_empty() { "-" } else { &group.assignor };
    session.screen.line(format_args!(
        "group {}, type {}, state {}, assignor {assignor}, coordinator {}, members {}",
        group.group,
        group.r#type,
        group.state,
        or_dash(group.coordinator),
        group.members.len()
    ))?;
    let table = if members { members_of(group) } else { offsets_of(group) };
    session.screen.table(&table)
}

fn members_of(group: &Described) -> Table {
    let mut table =
        Table::new(["MEMBER", "INSTANCE", "CLIENT", "HOST", ">EPOCH", ">PARTITIONS", "ASSIGNMENT"]);
    for member in &group.members {
        let mut topics = BTreeMap::<&str, Vec<i32>>::new();
        for place in &member.assignment {
            topics.entry(&place.topic).or_default().push(place.partition);
        }
        let topic = |(topic, partitions): (&str, Vec<i32>)| format!("{topic}:{}", super::list(&partitions));
        table.row([
            Cell::from(&member.member_id),
            or_dash(member.instance_id.as_ref()).into(),
            Cell::from(&member.client_id),
            Cell::from(&member.host),
            or_dash(member.epoch).into(),
            member.assignment.len().into(),
            topics.into_iter().map(topic).collect::<Vec<_>>().join(" ").into(),
        ]);
    }
    table
}

fn offsets_of(group: &Described) -> Table {
    let clients: BTreeMap<_, _> =
        group.members.iter().map(|member| (member.member_id.as_str(), member)).collect();
    let mut table =
        Table::new(["TOPIC", ">PARTITION", ">COMMITTED", ">END", ">LAG", "MEMBER", "CLIENT", "HOST"]);
    for row in &group.offsets {
        let member = row.member_id.as_deref().and_then(|id| clients.get(id));
        let tone = if row.lag.is_some_and(|lag| lag > 0) { Tone::Odd } else { Tone::Plain };
        table.row([
            Cell::from(&row.topic),
            row.partition.into(),
            or_dash(row.committed).into(),
            or_dash(row.end).into(),
            Cell::toned(or_dash(row.lag), tone),
            or_dash(row.member_id.as_ref()).into(),
            or_dash(member.map(|member| &member.client_id)).into(),
            or_dash(member.map(|member| &member.host)).into(),
        ]);
    }
    table
}

#[derive(Serialize)]
struct Named {
    group: String,
}

async fn delete(args: &DeleteArgs, session: &mut Session<'_>) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let deleted = problems.sort("group", session.admin.delete_groups(args.names.iter().cloned()).await);
    let rows: Vec<_> = deleted.into_iter().map(|(group, ())| Named { group }).collect();
    session.report(&rows, problems, |row| format!("deleted group {}", row.group))
}

async fn delete_offsets(args: &DeleteOffsetsArgs, session: &mut Session<'_>) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let places = session.partitions(&args.topic, &mut problems).await;
    let outcomes = session.admin.delete_group_offsets(&args.group, places).await;
    let deleted = problems.sort("offset of", outcomes);
    let rows: Vec<_> = deleted.iter().map(|(place, ())| Place::from(place)).collect();
    session.report(&rows, problems, |row| format!("deleted offset of {}-{}", row.topic, row.partition))
}
