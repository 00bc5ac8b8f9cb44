//! `trilog cluster`.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use serde::Serialize;
use trilog_client::admin::{
    ClusterDescription, ElectionKind, PartitionDescription, QuorumReplica, Results, TopicDescription,
};
use trilog_client::{Error, ErrorCode, TopicPartition};

use super::problems::{Problems, is_missing_topic};
use super::selection::Selection;
use super::{Session, list, or_dash};
use crate::failure::Failure;
use crate::table::{Cell, Table, Tone};

/// What can be asked of a cluster as a whole.
#[derive(Clone, Debug, Subcommand)]
pub enum ClusterCommand {
    /// Show the brokers, and what each of them leads and stores.
    #[command(after_help = "Example:
  trilog cluster info --output json")]
    Info,
    /// Check that all partitions have a leader and all replicas are in sync. Exit code 1 if not.
    #[command(after_help = "Example:
  trilog cluster health && echo all is well")]
    Health,
    /// Elect the preferred leaders, or any leader that is left.
    #[command(after_help = "Examples:
  trilog cluster elect
  trilog cluster elect --topic orders:0,1")]
    Elect(ElectArgs),
    /// Show the quorum of the cluster's metadata, and how far its nodes are behind.
    #[command(after_help = "Example:
  trilog cluster quorum")]
    Quorum,
}

/// What `cluster elect` is told.
#[derive(Clone, Debug, Args)]
pub struct ElectArgs {
    /// A topic, or partitions of it; all partitions by default. May be repeated.
    #[arg(long, value_name = "TOPIC[:PARTITIONS]")]
    topic: Vec<Selection>,
    /// Let a replica lead that is not in sync, where no other is left. Records may be lost.
    #[arg(long, requires = "topic")]
    unclean: bool,
}

pub(super) async fn perform(command: ClusterCommand, session: &mut Session<'_>) -> Result<(), Failure> {
    match command {
        ClusterCommand::Info => info(session).await,
        ClusterCommand::Health => health(session).await,
        ClusterCommand::Elect(args) => elect(&args, session).await,
        ClusterCommand::Quorum => quorum(session).await,
    }
}

#[derive(Serialize)]
struct Info {
    cluster_id: Option<String>,
    controller: Option<i32>,
    topics: usize,
    partitions: usize,
    under_replicated: usize,
    without_leader: usize,
    brokers: Vec<Broker>,
}

#[derive(Serialize)]
struct Broker {
    id: i32,
    host: String,
    port: i32,
    rack: Option<String>,
    leaders: usize,
    replicas: usize,
    out_of_sync: usize,
}

impl Info {
    fn of(cluster: ClusterDescription, topics: &[TopicDescription]) -> Self {
        let partitions: Vec<_> = topics.iter().flat_map(|topic| &topic.partitions).collect();
        let count =
            |wanted: &dyn Fn(&PartitionDescription) -> bool| partitions.iter().filter(|p| wanted(p)).count();
        let broker = |told: trilog_client::admin::BrokerDescription| {
            let lacks =
                |p: &PartitionDescription| p.replicas.contains(&told.id) && !p.in_sync.contains(&told.id);
            Broker {
                leaders: count(&|p| p.leader == Some(told.id)),
                replicas: count(&|p| p.replicas.contains(&told.id)),
                out_of_sync: count(&lacks),
                id: told.id,
                host: told.host.clone(),
                port: told.port,
                rack: told.rack.clone(),
            }
        };
        Self {
            cluster_id: cluster.cluster_id,
            controller: cluster.controller,
            topics: topics.len(),
            partitions: partitions.len(),
            under_replicated: count(&PartitionDescription::is_under_replicated),
            without_leader: count(&|p| p.leader.is_none()),
            brokers: cluster.brokers.into_iter().map(broker).collect(),
        }
    }
}

async fn info(session: &mut Session<'_>) -> Result<(), Failure> {
    let cluster = session.admin.describe_cluster().await?;
    let topics = session.admin.list_topics().await?;
    let info = Info::of(cluster, &topics);
    if session.is_json() {
        return session.screen.json(&info);
    }
    session.screen.line(format_args!(
        "cluster {}: {} brokers, {} topics, {} partitions ({} under-replicated, {} without a leader)",
        or_dash(info.cluster_id.as_ref()),
        info.brokers.len(),
        info.topics,
        info.partitions,
        info.under_replicated,
        info.without_leader
    ))?;
    let headings = [">ID", "ADDRESS", "RACK", ">LEADERS", ">REPLICAS", ">OUT-OF-SYNC", "CONTROLLER"];
    let mut table = Table::new(headings);
    for broker in &info.brokers {
        let tone = if broker.out_of_sync == 0 { Tone::Plain } else { Tone::Odd };
        let controls = if info.controller == Some(broker.id) { "yes" } else { "" };
        table.row([
            broker.id.into(),
            format!("{}:{}", broker.host, broker.port).into(),
            or_dash(broker.rack.as_ref()).into(),
            broker.leaders.into(),
            broker.replicas.into(),
            Cell::toned(broker.out_of_sync, tone),
            controls.into(),
        ]);
    }
    session.screen.table(&table)
}

#[derive(Serialize)]
struct Health {
    healthy: bool,
    brokers: usize,
    partitions: usize,
    /// Brokers that have replicas and are not there.
    missing_brokers: Vec<i32>,
    /// How many partitions are not led by their first replica; that is no fault.
    not_preferred: usize,
    /// Topics that the cluster cannot describe.
    failed_topics: Vec<FailedTopic>,
    problems: Vec<Unwell>,
}

#[derive(Serialize)]
struct FailedTopic {
    topic: String,
    error: String,
}

#[derive(Serialize)]
struct Unwell {
    topic: String,
    partition: i32,
    leader: Option<i32>,
    replicas: Vec<i32>,
    in_sync: Vec<i32>,
}

impl Health {
    fn of(cluster: &ClusterDescription, topics: Results<String, TopicDescription>) -> Self {
        let up: BTreeSet<_> = cluster.brokers.iter().map(|broker| broker.id).collect();
        let mut needed = BTreeSet::new();
        let (mut problems, mut partitions, mut not_preferred) = (Vec::new(), 0, 0);
        let mut failed_topics = Vec::new();
        for (name, outcome) in topics {
            let topic = match outcome {
                Ok(topic) => topic,
                // It is being deleted.
                Err(error) if is_missing_topic(&error) => continue,
                Err(error) => {
                    failed_topics.push(FailedTopic { topic: name, error: error.to_string() });
                    continue;
                }
            };
            for partition in &topic.partitions {
                partitions += 1;
                needed.extend(partition.replicas.iter().copied());
                not_preferred += usize::from(partition.is_led_by_another());
                if partition.leader.is_none() || partition.is_under_replicated() {
                    problems.push(Unwell {
                        topic: topic.name.clone(),
                        partition: partition.partition,
                        leader: partition.leader,
                        replicas: partition.replicas.clone(),
                        in_sync: partition.in_sync.clone(),
                    });
                }
            }
        }
        let missing_brokers: Vec<_> = needed.difference(&up).copied().collect();
        let healthy = problems.is_empty() && missing_brokers.is_empty() && failed_topics.is_empty();
        let brokers = up.len();
        Self { healthy, brokers, partitions, missing_brokers, not_preferred, failed_topics, problems }
    }

    /// What is wrong, in one sentence.
    fn complaint(&self) -> String {
        let leaderless = self.problems.iter().filter(|unwell| unwell.leader.is_none()).count();
        let mut parts = Vec::new();
        if !self.missing_brokers.is_empty() {
            parts.push(format!("missing brokers: {}", list(&self.missing_brokers)));
        }
        if let Some(FailedTopic { topic, error }) = self.failed_topics.first() {
            let count = self.failed_topics.len();
            parts.push(format!("topics with errors: {count} (the first is {topic:?}: {error})"));
        }
        if leaderless > 0 {
            parts.push(format!("partitions without a leader: {leaderless}"));
        }
        let lagging = self.problems.len() - leaderless;
        if lagging > 0 {
            parts.push(format!("partitions with replicas out of sync: {lagging}"));
        }
        parts.join(", ")
    }
}

async fn health(session: &mut Session<'_>) -> Result<(), Failure> {
    let cluster = session.admin.describe_cluster().await?;
    let topics = session.admin.list_topic_results().await?;
    let health = Health::of(&cluster, topics);
    if session.is_json() {
        session.screen.json(&health)?;
    } else if health.healthy {
        let Health { brokers, partitions, not_preferred, .. } = health;
        let note = format!("{not_preferred} of them not led by their preferred replica");
        session.screen.line(format_args!("healthy: {brokers} brokers, {partitions} partitions, {note}"))?;
    } else if !health.problems.is_empty() {
        let mut table = Table::new(["TOPIC", ">PARTITION", ">LEADER", "REPLICAS", "IN-SYNC"]);
        for row in &health.problems {
            let tone = if row.leader.is_some() { Tone::Plain } else { Tone::Bad };
            table.row([
                Cell::from(&row.topic),
                row.partition.into(),
                Cell::toned(or_dash(row.leader), tone),
                list(&row.replicas).into(),
                Cell::toned(list(&row.in_sync), Tone::Odd),
            ]);
        }
        session.screen.table(&table)?;
    }
    session.screen.flush()?;
    if health.healthy { Ok(()) } else { Err(Failure::Failed(health.complaint())) }
}

#[derive(Serialize)]
struct Elected {
    topic: String,
    partition: i32,
    /// `elected`, or `not needed` where the leader was the right one already.
    outcome: &'static str,
}

async fn elect(args: &ElectArgs, session: &mut Session<'_>) -> Result<(), Failure> {
    let kind = if args.unclean { ElectionKind::Unclean } else { ElectionKind::Preferred };
    let mut problems = Problems::default();
    let outcomes: Results<TopicPartition, ()> = if args.topic.is_empty() {
        session.admin.elect_all_leaders(kind).await?
    } else {
        let places = session.partitions(&args.topic, &mut problems).await;
        session.admin.elect_leaders(kind, places).await
    };
    let mut rows = Vec::new();
    for (place, outcome) in outcomes {
        let outcome = match outcome {
            Ok(()) => "elected",
            Err(Error::Broker { code: ErrorCode::ELECTION_NOT_NEEDED, .. }) => "not needed",
            Err(error) => {
                problems.add("election of", &place, &error);
                continue;
            }
        };
        rows.push(Elected { topic: place.topic.to_string(), partition: place.partition, outcome });
    }
    if rows.is_empty() && !session.is_json() {
        problems.finish(session.screen)?;
        return session.screen.line("No election was needed.");
    }
    session.show(&rows, problems, |rows| {
        let mut table = Table::new(["TOPIC", ">PARTITION", "OUTCOME"]);
        for row in rows {
            table.row([Cell::from(&row.topic), row.partition.into(), row.outcome.into()]);
        }
        table
    })
}

#[derive(Serialize)]
struct Quorum {
    leader: Option<i32>,
    leader_epoch: i32,
    high_watermark: i64,
    nodes: Vec<Node>,
}

#[derive(Serialize)]
struct Node {
    id: i32,
    /// `leader`, `voter` or `observer`.
    role: &'static str,
    log_end_offset: Option<i64>,
    lag: Option<i64>,
    last_fetch: Option<i64>,
    last_caught_up: Option<i64>,
}

async fn quorum(session: &mut Session<'_>) -> Result<(), Failure> {
    let told = session.admin.describe_quorum().await?;
    let end = told
        .voters
        .iter()
        .find(|voter| Some(voter.id) == told.leader)
        .and_then(|leader| leader.log_end_offset);
    let node = |replica: &QuorumReplica, role| Node {
        id: replica.id,
        role: if Some(replica.id) == told.leader { "leader" } else { role },
        log_end_offset: replica.log_end_offset,
        lag: end.zip(replica.log_end_offset).map(|(end, own)| end.saturating_sub(own).max(0)),
        last_fetch: replica.last_fetch,
        last_caught_up: replica.last_caught_up,
    };
    let voters = told.voters.iter().map(|voter| node(voter, "voter"));
    let nodes = voters.chain(told.observers.iter().map(|observer| node(observer, "observer")));
    let quorum = Quorum {
        leader: told.leader,
        leader_epoch: told.leader_epoch,
        high_watermark: told.high_watermark,
        nodes: nodes.collect(),
    };
    if session.is_json() {
        return session.screen.json(&quorum);
    }
    let Quorum { leader, leader_epoch, high_watermark, .. } = &quorum;
    let leader = or_dash(*leader);
    session
        .screen
        .line(format_args!("leader {leader}, epoch {leader_epoch}, high watermark {high_watermark}"))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let ago = |at: Option<i64>| at.map(|at| format!("{} ms ago", now.saturating_sub(at).max(0)));
    let mut table = Table::new([">ID", "ROLE", ">LOG-END", ">LAG", ">LAST-FETCH", ">CAUGHT-UP"]);
    for node in &quorum.nodes {
        let tone = if node.lag.is_some_and(|lag| lag > 0) { Tone::Odd } else { Tone::Plain };
        table.row([
            node.id.into(),
            node.role.into(),
            or_dash(node.log_end_offset).into(),
            Cell::toned(or_dash(node.lag), tone),
            or_dash(ago(node.last_fetch)).into(),
            or_dash(ago(node.last_caught_up)).into(),
        ]);
    }
    session.screen.table(&table)
}

#[cfg(test)]
mod tests {
    use trilog_client::admin::BrokerDescription;

    use super::*;

    fn partition(leader: Option<i32>, in_sync: &[i32]) -> PartitionDescription {
        let in_sync = in_sync.to_vec();
        PartitionDescription { leader, replicas: vec![1, 2, 3], in_sync, ..Default::default() }
    }

    fn error(code: ErrorCode) -> Error {
        Error::Broker { code, message: None }
    }

    fn health(brokers: &[i32], partitions: Vec<PartitionDescription>) -> Health {
        let brokers = brokers.iter().map(|id| BrokerDescription { id: *id, ..Default::default() });
        let cluster = ClusterDescription { brokers: brokers.collect(), ..Default::default() };
        let topic = TopicDescription { name: "t".to_owned(), partitions, ..Default::default() };
        Health::of(&cluster, [("t".to_owned(), Ok(topic))].into())
    }

    #[test]
    fn a_cluster_is_well_if_all_replicas_are_in_sync_whoever_leads() {
        let well = health(&[1, 2, 3], vec![partition(Some(1), &[1, 2, 3]), partition(Some(2), &[3, 2, 1])]);
        assert!(well.healthy && well.not_preferred == 1);
    }

    #[test]
    fn a_topic_with_an_error_is_a_problem_unless_it_is_being_deleted() {
        let health =
            |code| Health::of(&ClusterDescription::default(), [("t".to_owned(), Err(error(code)))].into());
        assert!(health(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION).healthy);
        let unwell = health(ErrorCode::LEADER_NOT_AVAILABLE);
        assert!(!unwell.healthy);
        let cause = error(ErrorCode::LEADER_NOT_AVAILABLE);
        assert_eq!(unwell.complaint(), format!("topics with errors: 1 (the first is \"t\": {cause})"));
    }

    #[test]
    fn what_is_wrong_is_one_sentence() {
        let unwell = health(&[1, 2], vec![partition(None, &[]), partition(Some(1), &[1, 2])]);
        assert!(!unwell.healthy);
        let wanted =
            "missing brokers: 3, partitions without a leader: 1, partitions with replicas out of sync: 1";
        assert_eq!(unwell.complaint(), wanted);
    }
}
