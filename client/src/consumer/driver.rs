//! The task with the clock and the sockets: it does what [`State`](super::state::State) wants done, and tells it what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use trilog_protocol::ErrorCode;
use uuid::Uuid;

use super::group::classic;
use super::group::modern::HeartbeatAnswer;
use super::ledger::Committable;
use super::partition::TopicPartition;
use super::positions::Ticket;
use super::requests::group::{self, ClassicAnswer};
use super::requests::log::{self, Fetched, PerPartition};
use super::requests::offsets;
use super::requests::topics::{self, ListedTopic};
use super::shared::{Shared, wall_clock};
use super::state::{FetchJob, Job, Lifetime, MembershipId, WatchId};
use crate::Error;
use crate::cluster::on_node;
use crate::metadata::{NodeId, Snapshot};

/// How long a consumer may take to leave its group.
pub(super) const LEAVE_WITHIN: Duration = Duration::from_secs(5);

/// What came of a job.
enum Outcome {
    Coordinator(Result<NodeId, Error>),
    Classic(MembershipId, classic::Request, Result<ClassicAnswer, Error>),
    Modern(MembershipId, Result<Result<HeartbeatAnswer, ErrorCode>, Error>),
    Named(MembershipId, Result<BTreeMap<Uuid, Arc<str>>, Error>),
    Listed(WatchId, Result<Vec<ListedTopic>, Error>),
    Committed(BTreeMap<TopicPartition, Ticket>, Result<PerPartition<Option<Committable>>, Error>),
    Landmarks(BTreeMap<TopicPartition, (Ticket, i64)>, Result<PerPartition<Option<Committable>>, Error>),
    EpochEnds(
        BTreeMap<TopicPartition, (Ticket, i32, Option<i32>)>,
        Result<PerPartition<Option<Committable>>, Error>,
    ),
    Fetched(FetchJob, Result<Fetched, Error>),
}

impl Outcome {
    /// Whether it answers a request that a member has sent.
    const fn is_of_member(&self) -> bool {
        matches!(self, Self::Classic(..) | Self::Modern(..))
    }
}

/// The tasks that wait for answers.
struct Jobs {
    tasks: JoinSet<Outcome>,
    /// How many of them a member has sent: the last of them says that it leaves.
    of_member: usize,
}

impl Jobs {
    fn start(&mut self, shared: &Arc<Shared>, jobs: Vec<Job>) {
        for job in jobs {
            self.of_member += usize::from(matches!(job, Job::Classic { .. } | Job::Modern { .. }));
            self.tasks.spawn(perform(Arc::clone(shared), job));
        }
    }
}

/// Runs until the consumer was closed or dropped and has left its group.
pub(super) async fn run(shared: Arc<Shared>) {
    let _ends = Ends(Arc::clone(&shared));
    let mut metadata = shared.cluster.watch();
    let mut jobs = Jobs { tasks: JoinSet::new(), of_member: 0 };
    let mut end = None;
    loop {
        let has_changed = metadata.has_changed().unwrap_or_default();
        let snapshot = metadata.borrow_and_update().clone();
        if let Some(refusal) = snapshot.refusal.as_ref().filter(|_| has_changed) {
            shared.state().tell_if_hopeless(refusal.clone());
        }
        let turn = turn(&shared, &snapshot);
        jobs.start(&shared, turn.jobs);
        if turn.has_left && jobs.of_member == 0 {
            break;
        }
        if turn.is_ending && !turn.is_calling {
            end.get_or_insert_with(|| Instant::now() + LEAVE_WITHIN);
        } else {
            // The application's callback takes the time that it takes.
            end = None;
        }
        let deadline = turn.deadline.map(|deadline| shared.started + deadline);
        let wake = deadline.into_iter().chain(end).min();
        tokio::select! {
            () = shared.driver.notified() => {}
            changed = metadata.changed() => if changed.is_err() { break },
            Some(outcome) = jobs.tasks.join_next() => {
                if let Ok(outcome) = outcome {
                    jobs.of_member -= usize::from(outcome.is_of_member());
                    let more = take_in(&shared, outcome);
                    jobs.start(&shared, more);
                }
            }
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
        }
        if end.is_some_and(|end| end <= Instant::now()) {
            break;
        }
    }
}

/// Tells that the driver has ended, in whichever way.
struct Ends(Arc<Shared>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.ended.send_replace(true);
        self.0.application.notify_one();
    }
}

/// What one look at the state brought.
struct Turn {
    jobs: Vec<Job>,
    deadline: Option<Duration>,
    is_ending: bool,
    /// The application has a callback to run.
    is_calling: bool,
    has_left: bool,
}

fn turn(shared: &Shared, snapshot: &Snapshot) -> Turn {
    let now = shared.now();
    let mut state = shared.state();
    if state.phase == Lifetime::Abandoned && state.callback.is_some() {
        state.callback_ends(now);
    }
    let is_ending = state.phase != Lifetime::Consuming;
    if is_ending {
        state.member.leave();
    }
    let jobs = state.jobs(now, wall_clock(), snapshot);
    let topics = state.topics();
    shared.cluster.consumes(&topics, state.has_named(&topics));
    if std::mem::take(&mut state.metadata_is_stale) {
        shared.cluster.ask_anew();
    }
    if state.left(now) || state.has_news() {
        shared.application.notify_one();
    }
    let abandoned_callback = state.phase == Lifetime::Abandoned && state.callback.is_some();
    if abandoned_callback {
        // Nobody answers it: the next turn does.
        shared.driver.notify_one();
    }
    let is_calling = state.callback.is_some();
    let has_left = is_ending && !is_calling && state.member.has_left();
    Turn { jobs, deadline: state.deadline(), is_ending, is_calling, has_left }
}

fn take_in(shared: &Shared, outcome: Outcome) -> Vec<Job> {
    let now = shared.now();
    let mut more = Vec::new();
    let mut state = shared.state();
    match outcome {
        Outcome::Coordinator(found) => state.coordinator_answered(found, now),
        Outcome::Classic(of, _, Ok(answer)) => state.classic_answered(of, answer, now, &mut more),
        Outcome::Classic(of, request, Err(error)) => state.classic_failed(of, &request, error, now),
        Outcome::Modern(of, answer) => state.heartbeat_answered(of, answer, now),
        Outcome::Named(of, names) => state.topics_named(of, names.unwrap_or_default(), now),
        Outcome::Listed(of, topics) => state.topics_listed(of, topics, now, fastrand::f64()),
        Outcome::Committed(asked, answer) => state.committed_answered(&asked, answer, now),
        Outcome::Landmarks(asked, answer) => state.landmarks_answered(&asked, answer, now),
        Outcome::EpochEnds(asked, answer) => state.epoch_ends_answered(&asked, answer, now),
        Outcome::Fetched(job, answer) => state.fetch_answered(job, answer, now),
    }
    more
}

async fn perform(shared: Arc<Shared>, job: Job) -> Outcome {
    let config = &shared.config;
    let patience = config.common.request_timeout;
    match job {
        Job::FindCoordinator => Outcome::Coordinator(shared.find_coordinator().await),
        Job::Classic { node, membership, request } => {
            // JoinGroup is answered when the rebalance is over; the connection itself limits how long that may take.
            let patience = match request {
                classic::Request::Join { .. } => config.max_poll_interval.saturating_add(patience),
                _ => patience,
            };
            let sent = request.clone();
            let answer = on_node(&shared.group_cluster, node, patience, async |connection| {
                group::classic(connection, shared.group(), config, sent).await
            });
            Outcome::Classic(membership, request, answer.await)
        }
        Job::Modern { node, membership, request } => {
            let answer = on_node(&shared.group_cluster, node, patience, async |connection| {
                group::heartbeat(connection, shared.group(), request).await
            });
            Outcome::Modern(membership, answer.await)
        }
        Job::NameTopics { membership, ids } => Outcome::Named(membership, name_topics(&shared, &ids).await),
        Job::ListTopics { watch } => Outcome::Listed(watch, list_topics(&shared).await),
        Job::Committed { node, partitions } => {
            let places: Vec<_> = partitions.keys().cloned().collect();
            let answer = on_node(&shared.group_cluster, node, patience, async |connection| {
                offsets::committed(connection, shared.group(), &places).await
            });
            let only_offset = |found: Option<offsets::Committed>| found.map(|found| found.offset);
            let rows = answer
                .await
                .map(|rows| rows.into_iter().map(|(place, found)| (place, found.map(only_offset))).collect());
            Outcome::Committed(partitions, rows)
        }
        Job::Landmarks { node, times } => {
            let wanted = times.iter().map(|(place, (_, time))| (place.clone(), *time)).collect();
            let answer = on_node(&shared.cluster, node, patience, async |connection| {
                log::offsets(connection, &wanted, config.read_committed).await
            });
            Outcome::Landmarks(times, answer.await)
        }
        Job::EpochEnds { node, epochs } => {
            let wanted =
                epochs.iter().map(|(place, (_, epoch, leader))| (place.clone(), (*epoch, *leader))).collect();
            let answer = on_node(&shared.cluster, node, patience, async |connection| {
                log::ends_of_epochs(connection, &wanted).await
            });
            Outcome::EpochEnds(epochs, answer.await)
        }
        Job::Fetch(job) => {
            let patience = patience.saturating_add(config.fetch_max_wait);
            let answer = on_node(&shared.cluster, job.node, patience, async |connection| {
                log::fetch(connection, config, job.request.clone(), job.reserved, job.max_wait).await
            });
            let answer = answer.await;
            Outcome::Fetched(job, answer)
        }
    }
}

async fn name_topics(
    shared: &Shared,
    ids: &std::collections::BTreeSet<Uuid>,
) -> Result<BTreeMap<Uuid, Arc<str>>, Error> {
    shared.cluster.on_any(async |connection| group::topic_names(connection, ids).await).await
}

/// Lists the topics of the cluster, of which some broker may have to be found first.
async fn list_topics(shared: &Shared) -> Result<Vec<ListedTopic>, Error> {
    let limit = shared.config.common.request_timeout;
    let listing = async {
        shared.cluster.known().await?;
        shared.cluster.on_any(async |connection| topics::list(connection).await).await
    };
    let late = |_| {
        Err(Error::Timeout {
            what: "to list the topics",
            limit,
            cause: shared.cluster.unreachable().to_string(),
        })
    };
    timeout(limit, listing).await.unwrap_or_else(late)
}
