//! What the application's side and the driver share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use trilog_protocol::{ErrorCode, Meaning};

use super::CommitOffset;
use super::config::ConsumerConfig;
use super::group::classic::Identity;
use super::membership::Membership;
use super::partition::TopicPartition;
use super::requests::group::find_coordinator;
use super::requests::offsets;
use super::state::State;
use crate::Error;
use crate::cluster::{Cluster, on_node};
use crate::metadata::NodeId;

/// See the module.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Arc<ConsumerConfig>,
    /// Metadata, and the connections to the leaders.
    pub(super) cluster: Cluster,
    /// The connections to the coordinator. They are others, as a broker answers in order: a JoinGroup, which takes as long as a
    /// rebalance, and a Fetch, which waits for records, would hold up heartbeats and each other.
    pub(super) group_cluster: Cluster,
    pub(super) started: Instant,
    state: Mutex<State>,
    /// The driver has something to do.
    pub(super) driver: Notify,
    /// The application has something to take.
    pub(super) application: Notify,
    /// Whether the driver has ended.
    pub(super) ended: watch::Sender<bool>,
    /// Commits are sent one after the other, in the order in which they were asked for.
    committing: tokio::sync::Mutex<()>,
}

impl Shared {
    pub(super) fn new(config: ConsumerConfig) -> Self {
        let config = Arc::new(config);
        let mut patient = config.common.clone();
        patient.request_timeout = config.max_poll_interval.saturating_add(config.common.request_timeout);
        Self {
            cluster: Cluster::start(config.common.clone()),
            group_cluster: Cluster::start(patient),
            started: Instant::now(),
            state: Mutex::new(State::new(Arc::clone(&config))),
            driver: Notify::new(),
            application: Notify::new(),
            ended: watch::Sender::new(false),
            committing: tokio::sync::Mutex::default(),
            config,
        }
    }

    /// The time since the start.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds it panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The application polls.
    pub(super) fn polled(&self) {
        if self.state().member.polled(self.now()) {
            self.driver.notify_one();
        }
    }

    /// The group's name; empty without one.
    pub(super) fn group(&self) -> &str {
        self.config.group.as_deref().unwrap_or_default()
    }

    pub(super) async fn find_coordinator(&self) -> Result<NodeId, Error> {
        let limit = self.config.common.request_timeout;
        let asked = self.group_cluster.on_any(async |connection| {
            let cause = "the broker does not answer".to_owned();
            let late = Error::Timeout { what: "FindCoordinator", limit, cause };
            // Within the time for a connection and its answer, so that a broker that does not answer is not asked again.
            let answer = timeout(limit / 2, find_coordinator(connection, self.group())).await;
            answer.unwrap_or(Err(late))
        });
        let found = timeout(limit, asked);
        let found = found.await.unwrap_or_else(|_| {
            let cause = "no broker has named the coordinator".to_owned();
            Err(Error::Timeout { what: "FindCoordinator", limit, cause })
        });
        match found {
            Ok((node, address)) => {
                // It may be newer than the metadata, or have moved.
                self.group_cluster.located(node, address);
                Ok(node)
            }
            Err(error) => {
                if !matches!(error, Error::Broker { .. }) {
                    // None of the brokers that are known answers.
                    self.group_cluster.ask_anew();
                }
                Err(error)
            }
        }
    }

    /// The coordinator as it is known, or as it is found now.
    async fn coordinator(&self) -> Result<NodeId, Error> {
        let known = self.state().coordinator;
        match known {
            Some(node) => Ok(node),
            None => {
                let node = self.find_coordinator().await?;
                self.state().coordinator = Some(node);
                Ok(node)
            }
        }
    }

    /// Commits offsets, and tries again for `default.api.timeout.ms` where that may help.
    pub(super) async fn commit(&self, offsets: BTreeMap<TopicPartition, CommitOffset>) -> Result<(), Error> {
        // Before it waits for its turn: partitions may go meanwhile.
        let tenures = self.state().tenures(offsets.keys());
        let _order = self.committing.lock().await;
        self.commit_in_turn(offsets, &tenures).await
    }

    /// Commits what the application is done with when the commits of before are over.
    pub(super) async fn commit_owed(&self) -> Result<(), Error> {
        let _order = self.committing.lock().await;
        let (owed, tenures) = {
            let state = self.state();
            let owed = state.ledger.owed();
            let tenures = state.tenures(owed.keys());
            (owed, tenures)
        };
        let offsets = owed.into_iter().map(|(place, next)| (place, CommitOffset::from(next))).collect();
        self.commit_in_turn(offsets, &tenures).await
    }

    async fn commit_in_turn(
        &self,
        mut offsets: BTreeMap<TopicPartition, CommitOffset>,
        tenures: &BTreeMap<TopicPartition, u64>,
    ) -> Result<(), Error> {
        if self.config.group.is_none() {
            return Err(Error::code(ErrorCode::INVALID_GROUP_ID));
        }
        let end = Instant::now() + self.config.api_timeout;
        let mut failures = 0;
        let mut gone = None;
        while !offsets.is_empty() {
            let Some(error) = self.commit_once(&mut offsets, tenures, &mut gone).await? else { continue };
            failures += 1;
            let pause = self.config.common.retry.delay(failures, fastrand::f64());
            if Instant::now() + pause > end {
                return Err(error);
            }
            sleep(pause).await;
        }
        gone.map_or(Ok(()), Err)
    }

    /// Sends a commit, and takes what was committed off the list, and what has no topic any more; that is told in `gone`. What is given is
    /// the reason to try again.
    async fn commit_once(
        &self,
        offsets: &mut BTreeMap<TopicPartition, CommitOffset>,
        tenures: &BTreeMap<TopicPartition, u64>,
        gone: &mut Option<Error>,
    ) -> Result<Option<Error>, Error> {
        let (identity, is_joining) = {
            let state = self.state();
            // Under the generation of now, the coordinator would take the offset of a partition that somebody else has.
            if let Some(place) = state.gone_since(tenures) {
                let message = Some(format!("{place} has gone: offsets not committed"));
                return Err(Error::Broker { code: ErrorCode::ILLEGAL_GENERATION, message });
            }
            (state.member.identity(), state.member.is_joining())
        };
        // A member that is out of its group has lost its partitions: somebody else has begun with them.
        let identity = identity.ok_or_else(|| Error::code(ErrorCode::UNKNOWN_MEMBER_ID))?;
        if is_joining {
            return Ok(Some(Error::code(ErrorCode::REBALANCE_IN_PROGRESS)));
        }
        let outcome = match self.coordinator().await {
            Ok(node) => {
                let patience = self.config.common.request_timeout;
                on_node(&self.group_cluster, node, patience, async |connection| {
                    offsets::commit(connection, self.group(), &identity, offsets).await
                })
                .await
            }
            Err(error) => Err(error),
        };
        let codes = match outcome {
            Ok(codes) => codes,
            Err(error) if error.class() == crate::ErrorClass::Retriable => {
                self.state().coordinator_lost(self.now());
                self.driver.notify_one();
                return Ok(Some(error));
            }
            Err(error) => return Err(error),
        };
        self.committed(offsets, &codes, &identity, gone)
    }

    fn committed(
        &self,
        offsets: &mut BTreeMap<TopicPartition, CommitOffset>,
        codes: &BTreeMap<TopicPartition, ErrorCode>,
        identity: &Identity,
        gone: &mut Option<Error>,
    ) -> Result<Option<Error>, Error> {
        let now = self.now();
        let mut state = self.state();
        let mut again = None;
        let asked: Vec<_> = offsets.keys().cloned().collect();
        for place in asked {
            let code = codes.get(&place).copied().unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR);
            let is_modern = matches!(state.member, Membership::Modern(_));
            match code.meaning() {
                Meaning::Success => {
                    if let Some(commit) = offsets.remove(&place) {
                        state.ledger.committed(&place, commit.offset);
                    }
                }
                // A coordinator may not know of a new topic yet. One that the metadata lacks, too, was deleted: no retry helps, and a
                // rebalance waits for the end of this commit.
                Meaning::Refresh if self.cluster.lacks(&place.topic) => {
                    offsets.remove(&place);
                    let message = Some(format!("{} is gone: offset of {place} not committed", place.topic));
                    *gone = Some(Error::Broker { code, message });
                }
                Meaning::Refresh => {
                    self.cluster.ask_anew();
                    again = Some(Error::code(code));
                }
                Meaning::Retry => again = Some(Error::code(code)),
                Meaning::RefreshCoordinator => {
                    state.coordinator_lost(now);
                    self.driver.notify_one();
                    again = Some(Error::code(code));
                }
                // The next heartbeat brings the epoch that the coordinator expects.
                Meaning::Refused if code == ErrorCode::STALE_MEMBER_EPOCH && is_modern => {
                    state.commit_refused(identity, code, now);
                    self.driver.notify_one();
                    again = Some(Error::code(code));
                }
                // The commit is tried again under the generation that the rebalance brings, if the partitions are still this
                // member's then.
                Meaning::Rejoin if code != ErrorCode::UNKNOWN_MEMBER_ID && !is_modern => {
                    state.commit_refused(identity, code, now);
                    self.driver.notify_one();
                    again = Some(Error::code(code));
                }
                _ => {
                    state.commit_refused(identity, code, now);
                    self.driver.notify_one();
                    return Err(Error::Broker {
                        code,
                        message: Some(format!("offset of {place} not committed")),
                    });
                }
            }
        }
        Ok(again)
    }
}

/// Milliseconds since 1970.
pub(super) fn wall_clock() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
