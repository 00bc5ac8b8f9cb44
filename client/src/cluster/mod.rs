//! A client's view of one cluster: connections to its brokers, and metadata that is kept fresh.
//!
//! [`Cluster`] is the thin shell around [`crate::metadata`]: it owns the sockets and the clock. Each producer and consumer has
//! one of its own. A task keeps the metadata fresh; it ends with the last handle.
//!
//! # Cancel safety
//!
//! Every async function may be dropped at any await. What is lost is the attempt, never something that is known.

mod links;
mod refresh;
#[cfg(test)]
mod tests;
mod translate;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use self::links::Links;
pub(crate) use self::translate::address;
use crate::Error;
use crate::config::{Address, Common};
use crate::metadata::{Cache, Demand, LeaderHint, NodeId, Pace, Snapshot};
use crate::metrics::ClusterCounters;
use crate::security::PreparedSecurity;
use crate::wire::{Connection, ConnectionOptions};

/// See the module's documentation. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    shared: Arc<Shared>,
    _refresher: Arc<AbortOnDrop>,
}

/// Ends a task with its last owner.
#[derive(Debug)]
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What the handles and the task share.
#[derive(Debug)]
struct Shared {
    common: Common,
    options: ConnectionOptions,
    started: Instant,
    knowledge: Mutex<Knowledge>,
    published: watch::Sender<Arc<Snapshot>>,
    /// The refresher is to look at the demand.
    demanded: Notify,
    links: Links,
    counters: ClusterCounters,
}

#[derive(Debug)]
struct Knowledge {
    cache: Cache,
    demand: Demand,
    /// Whether brokers may make the topics that they are asked for, if the configuration allows it.
    may_create: bool,
    /// Why the last refresh brought nothing.
    failure: Option<Error>,
}

impl Cluster {
    /// Starts to learn of a cluster. Needs a tokio runtime; nothing is awaited.
    pub(crate) fn start(common: Common) -> Self {
        let options = common.options(PreparedSecurity::of(&common.security));
        let pace = Pace {
            retry: common.retry,
            max_age: common.metadata_max_age,
            max_idle: common.metadata_max_idle,
        };
        let knowledge =
            Knowledge { cache: Cache::default(), demand: Demand::new(pace), may_create: true, failure: None };
        let shared = Arc::new(Shared {
            links: Links::new(common.reconnect),
            common,
            options,
            started: Instant::now(),
            knowledge: Mutex::new(knowledge),
            published: watch::Sender::new(Arc::default()),
            demanded: Notify::new(),
            counters: ClusterCounters::default(),
        });
        let refresher = tokio::spawn(refresh::run(Arc::clone(&shared)));
        Self { shared, _refresher: Arc::new(AbortOnDrop(refresher.abort_handle())) }
    }

    /// What is known, and every change of it.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.shared.published.subscribe()
    }

    /// Waits until some broker is known.
    ///
    /// # Errors
    ///
    /// [`Error::Authentication`] if no broker accepts this client, [`Error::Closed`] if the runtime ends.
    pub(crate) async fn known(&self) -> Result<(), Error> {
        let mut known = self.watch();
        let is_decided = |known: &Snapshot| !known.brokers.is_empty() || known.refusal.is_some();
        let known = known.wait_for(|known| is_decided(known)).await.map_err(|_| Error::Closed)?;
        match &known.refusal {
            Some(refusal) if known.brokers.is_empty() => Err(refusal.clone()),
            _ => Ok(()),
        }
    }

    /// A topic is used: it is asked for, now and while it stays in use.
    pub(crate) fn uses(&self, topic: &Arc<str>) {
        let now = self.shared.now();
        if self.shared.knowledge().demand.uses(topic, now) {
            self.shared.demanded.notify_one();
        }
    }

    /// A consumer uses these topics. Brokers may make those that are missing (`allow.auto.create.topics`) only if the application
    /// has named all of them. Otherwise one that was deleted would come back by being asked for.
    pub(crate) fn consumes(&self, topics: &BTreeSet<Arc<str>>, are_named: bool) {
        let now = self.shared.now();
        let mut knowledge = self.shared.knowledge();
        if are_named && !knowledge.may_create {
            // Those of before were not all named, and would be asked for while they are idle.
            knowledge.demand.forget();
        }
        knowledge.may_create = are_named;
        let mut has_new = false;
        for topic in topics {
            has_new |= knowledge.demand.uses(topic, now);
        }
        drop(knowledge);
        if has_new {
            self.shared.demanded.notify_one();
        }
    }

    /// Whether brokers have said that there is no such topic (any more), when they were asked last.
    pub(crate) fn lacks(&self, topic: &str) -> bool {
        self.shared.published.borrow().lacks(topic)
    }

    /// Something that is known has turned out to be wrong.
    pub(crate) fn ask_anew(&self) {
        self.shared.knowledge().demand.ask_anew();
        self.shared.demanded.notify_one();
    }

    /// A broker told who leads a partition (KIP-951). Returns whether that is news.
    pub(crate) fn hint(&self, topic: &str, partition: i32, hint: LeaderHint) -> bool {
        let mut knowledge = self.shared.knowledge();
        let is_news = knowledge.cache.hint(topic, partition, hint);
        if is_news {
            self.shared.counters.leader_hints.add(1);
            self.shared.published.send_replace(knowledge.cache.snapshot());
        }
        is_news
    }

    /// Another answer than Metadata told where a broker listens.
    pub(crate) fn located(&self, node: NodeId, address: Address) {
        let mut knowledge = self.shared.knowledge();
        if knowledge.cache.located(node, address) {
            self.shared.published.send_replace(knowledge.cache.snapshot());
        }
    }

    /// A connection to a broker: the one that stands, or a new one, after the reconnect back-off.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] if no attempt succeeds, or if the broker is not known.
    pub(crate) async fn connection(&self, node: NodeId) -> Result<Connection, Error> {
        self.shared.connection(node).await
    }

    /// Forgets a connection that does not answer. Whoever holds it may still wait for its answers.
    pub(crate) async fn discard(&self, node: NodeId, connection: &Connection) {
        self.shared.links.discard(node, connection).await;
    }

    /// Asks any broker. A connection on which the request times out is forgotten, so that the next attempt prefers another one.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] with the last attempt's cause, and what `ask` fails with.
    pub(crate) async fn on_any<T>(
        &self,
        ask: impl AsyncFnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (node, connection) = self.any_node().await?;
        let answer = ask(&connection).await;
        if matches!(answer, Err(Error::Timeout { .. })) {
            self.discard(node, &connection).await;
        }
        answer
    }

    /// A connection to any broker.
    async fn any_node(&self) -> Result<(NodeId, Connection), Error> {
        let mut failure = self.unreachable();
        for node in self.shared.nodes_by_preference() {
            match self.connection(node).await {
                Ok(connection) => return Ok((node, connection)),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Why nothing is known of the cluster, for people who wait.
    pub(crate) fn unreachable(&self) -> Error {
        let failure = self.shared.knowledge().failure.clone();
        failure.unwrap_or_else(|| Error::Unreachable { cause: "none has answered yet".to_owned() })
    }

    /// Why the last refresh of the metadata brought nothing; none if it brought something.
    pub(crate) fn trouble(&self) -> Option<Error> {
        self.shared.knowledge().failure.clone()
    }

    /// How many partitions a topic has. Waits for `limit` until that is known.
    ///
    /// # Errors
    ///
    /// [`Error::Broker`] with what brokers say of the topic, as that it does not exist; [`Error::Timeout`] if none says anything.
    pub(crate) async fn partitions(&self, topic: &str, limit: Duration) -> Result<i32, Error> {
        let topic: Arc<str> = topic.into();
        let mut known = self.watch();
        self.uses(&topic);
        let count = |snapshot: &Snapshot| {
            let count = snapshot.topics.get(&topic).map_or(0, |known| known.partitions.len());
            i32::try_from(count).ok().filter(|count| *count > 0)
        };
        let is_decided = |snapshot: &Snapshot| count(snapshot).is_some() || snapshot.refusal.is_some();
        let found = match timeout(limit, known.wait_for(|snapshot| is_decided(snapshot))).await {
            Ok(Ok(snapshot)) => match (count(&snapshot), &snapshot.refusal) {
                (None, Some(refusal)) => return Err(refusal.clone()),
                (count, _) => count,
            },
            Ok(Err(_)) => return Err(Error::Closed),
            Err(_) => None,
        };
        if let Some(found) = found {
            return Ok(found);
        }
        let refused = known.borrow().topics.get(&topic).and_then(|known| known.error);
        let cause = || self.unreachable().to_string();
        let timeout = || Error::Timeout { what: "to learn of a topic's partitions", limit, cause: cause() };
        Err(refused.map_or_else(timeout, Error::code))
    }

    /// What it counts.
    pub(crate) fn counters(&self) -> &ClusterCounters {
        &self.shared.counters
    }
}

/// Asks one broker. A connection that does not answer in time is given up, so that the next request has a new one.
pub(crate) async fn on_node<T>(
    cluster: &Cluster,
    node: NodeId,
    patience: Duration,
    ask: impl AsyncFnOnce(&Connection) -> Result<T, Error>,
) -> Result<T, Error> {
    let Ok(connection) = timeout(patience, cluster.connection(node)).await else {
        return Err(Error::Unreachable {
            cause: format!("broker {node} was not reached within {patience:?}"),
        });
    };
    let connection = connection?;
    match timeout(patience, ask(&connection)).await {
        Ok(answer) => answer,
        Err(_) => {
            cluster.discard(node, &connection).await;
            let cause = "the broker does not answer".to_owned();
            Err(Error::Timeout { what: "a request", limit: patience, cause })
        }
    }
}

impl Shared {
    /// The time since the start.
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn knowledge(&self) -> MutexGuard<'_, Knowledge> {
        // No code that holds it panics half-way through a change.
        self.knowledge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connection(&self, node: NodeId) -> Result<Connection, Error> {
        let address = self.published.borrow().brokers.get(&node).cloned();
        let Some(address) = address else {
            return Err(Error::Unreachable { cause: format!("broker {node} is not known") });
        };
        self.links.get(node, &address, &self.options, &self.counters).await
    }

    /// All known brokers, those with a connection first, else in random order.
    fn nodes_by_preference(&self) -> Vec<NodeId> {
        let mut nodes: Vec<_> = self.published.borrow().brokers.keys().copied().collect();
        fastrand::shuffle(&mut nodes);
        nodes.sort_by_key(|node| !self.links.is_up(*node));
        nodes
    }
}
