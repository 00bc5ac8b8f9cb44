//! Calls: the sockets and the clock around [`Rounds`] and [`Places`].

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::requests::{coordinator, metadata};
use super::rounds::{Policy, Rounds};
use super::route::{BATCH, Coordinated, Needs, Places, Route, batches};
use super::topics::TopicRef;
use super::{Admin, Results};
use crate::Error;
use crate::cluster::on_node;
use crate::metadata::NodeId;
use crate::wire::Connection;

/// What a call does with its items.
pub(super) trait Operation: Send + Sync + 'static {
    /// An item.
    type Key: Ord + Clone + Send + Sync + 'static;
    /// What an item is answered.
    type Value: Send + 'static;
    /// How it may be repeated.
    const POLICY: Policy;

    /// Where the request about an item goes.
    fn route(&self, key: &Self::Key) -> Route;

    /// Sends the request about these items, and translates its answer.
    fn ask(
        &self,
        attempt: Attempt<'_>,
        keys: &[Self::Key],
    ) -> impl Future<Output = Result<Results<Self::Key, Self::Value>, Error>> + Send;
}

/// One request's circumstances.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt<'a> {
    pub(super) connection: &'a Connection,
    /// The broker, where it matters which one.
    pub(super) node: Option<NodeId>,
    /// How long the broker may take.
    pub(super) limit: Duration,
}

impl Admin {
    /// Asks about all items until each is settled, or `default.api.timeout.ms` is over.
    pub(super) async fn run<O: Operation>(
        &self,
        operation: O,
        keys: impl IntoIterator<Item = O::Key>,
    ) -> Results<O::Key, O::Value> {
        let operation = Arc::new(operation);
        let mut rounds = Rounds::new(keys, O::POLICY);
        let end = Instant::now() + self.config.api_timeout;
        let mut failures = 0;
        while !rounds.open().is_empty() {
            if timeout_at(end, self.round(&operation, &mut rounds)).await.is_err() {
                break;
            }
            if rounds.open().is_empty() {
                break;
            }
            failures += 1;
            let pause = self.config.common.retry.delay(failures, fastrand::f64());
            if Instant::now() + pause >= end {
                break;
            }
            sleep(pause).await;
        }
        rounds.finish(&self.late())
    }

    /// As [`run`](Self::run), where there is one item and its answer is the call's.
    pub(super) async fn run_one<O: Operation>(&self, operation: O, key: O::Key) -> Result<O::Value, Error> {
        let missing = || Error::Malformed { cause: "nothing was asked".to_owned() };
        self.run(operation, [key]).await.into_values().next().unwrap_or_else(|| Err(missing()))
    }

    async fn round<O: Operation>(&self, operation: &Arc<O>, rounds: &mut Rounds<O::Key, O::Value>) {
        if let Err(error) = self.cluster.known().await {
            // No broker accepts this client: another round would end the same way.
            rounds.open().into_iter().for_each(|key| rounds.settle(key, Err(error.clone())));
            return;
        }
        let routed: Vec<_> = rounds.open().into_iter().map(|key| (operation.route(&key), key)).collect();
        let places = self.locate(Needs::of(routed.iter().map(|(route, _)| route))).await;
        let mut located = Vec::new();
        for (route, key) in routed {
            match places.find(&route) {
                Ok(node) => located.push((key, node)),
                Err(error) => rounds.settle(key, Err(error)),
            }
        }
        let mut brokers = JoinSet::new();
        for (node, requests) in batches(located) {
            let (admin, operation) = (self.clone(), Arc::clone(operation));
            brokers.spawn(async move { admin.ask_in_turn(node, &*operation, requests).await });
        }
        while let Some(answered) = brokers.join_next().await {
            for (keys, outcome) in answered.into_iter().flatten() {
                rounds.take(keys, outcome);
            }
        }
    }

    /// Sends one broker's requests one after the other.
    async fn ask_in_turn<O: Operation>(
        &self,
        node: Option<NodeId>,
        operation: &O,
        requests: Vec<Vec<O::Key>>,
    ) -> Vec<(Vec<O::Key>, Result<Results<O::Key, O::Value>, Error>)> {
        let limit = self.config.common.request_timeout;
        let mut outcomes = Vec::new();
        for keys in requests {
            let asked = async |connection: &Connection| {
                operation.ask(Attempt { connection, node, limit }, &keys).await
            };
            let outcome = match node {
                Some(node) => on_node(&self.cluster, node, limit, asked).await,
                None => self.cluster.on_any(asked).await,
            };
            if matches!(outcome, Err(Error::Unreachable { .. })) {
                self.cluster.ask_anew();
            }
            outcomes.push((keys, outcome));
        }
        outcomes
    }

    async fn locate(&self, needs: Needs) -> Places {
        let mut places = Places {
            brokers: self.cluster.watch().borrow().brokers.keys().copied().collect(),
            controller: Ok(None),
            topics: Results::new(),
            coordinators: Results::new(),
        };
        let topics: Vec<TopicRef> = needs.topics.into_iter().collect();
        let mut lookups: Vec<&[TopicRef]> = topics.chunks(BATCH).collect();
        if lookups.is_empty() && needs.controller {
            lookups.push(&[]);
        }
        for topics in lookups {
            let asked = self.cluster.on_any(async |connection| metadata::topics(connection, topics).await);
            match asked.await {
                Ok(answer) => {
                    for (node, address) in answer.brokers {
                        places.brokers.insert(node);
                        self.cluster.located(node, address);
                    }
                    places.controller = Ok(answer.controller);
                    places.topics.extend(answer.topics);
                }
                Err(error) => {
                    self.cluster.ask_anew();
                    places.controller = Err(error.clone());
                    places.topics.extend(topics.iter().map(|topic| (topic.clone(), Err(error.clone()))));
                }
            }
        }
        let keys: Vec<_> = needs.coordinators.into_iter().collect();
        for keys in keys.chunks(BATCH) {
            places.coordinators.extend(self.coordinators(keys).await);
        }
        places
    }

    async fn coordinators(&self, keys: &[Coordinated]) -> Results<Coordinated, NodeId> {
        let asked = self.cluster.on_any(async |connection| coordinator::find(connection, keys).await);
        match asked.await {
            Ok(found) => {
                let known = found.into_iter().map(|(key, found)| {
                    let node = found.map(|(node, address)| {
                        self.cluster.located(node, address);
                        node
                    });
                    (key, node)
                });
                known.collect()
            }
            Err(error) => {
                self.cluster.ask_anew();
                keys.iter().map(|key| (key.clone(), Err(error.clone()))).collect()
            }
        }
    }

    /// Why a call has no answer when its time is over.
    fn late(&self) -> Error {
        if self.cluster.watch().borrow().brokers.is_empty() {
            return self.cluster.unreachable();
        }
        let cause = "a broker has not answered".to_owned();
        Error::Timeout { what: "the call", limit: self.config.api_timeout, cause }
    }
}
