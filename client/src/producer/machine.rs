//! The producer as a machine: records, answers and the time go in; requests and fates come out.
//!
//! There is no socket, clock, task or randomness here: times are counted from the producer's start by its driver, and random
//! numbers come from a seed. `T` is what the application waits with for a record's fate.
//!
//! Invariants:
//! 1. Every record that was appended gets exactly one fate.
//! 2. At most `max_in_flight` requests are on their way to a node, each with at most one batch of a partition.

mod nodes;
mod poll;
mod transact;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use trilog_protocol::batch::{BatchOrigin, BatchWriter};

use self::nodes::Nodes;
use super::batch::{Entry, Finished};
use super::flush::Generations;
use super::partitioner::{Partitioner, destination};
use super::queue::{Queue, RequestId, Rules};
use super::record::Record;
use super::sequence::{Identity, Sequence};
use super::sticky::{Load, draw};
use super::topic::{Pending, Topic};
use super::transactions::{Protocol, Step, Transactions};
use super::verdict::Verdict;
use crate::Error;
use crate::error::ErrorClass;
use crate::metadata::{NodeId, Snapshot};

/// How the machine is set up.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) rules: Rules,
    pub(super) is_idempotent: bool,
    /// Whether records belong to transactions.
    pub(super) is_transactional: bool,
    pub(super) max_in_flight: usize,
    pub(super) max_request_size: usize,
    /// How long a record may wait for its topic to be known.
    pub(super) max_block: Duration,
    pub(super) partitioner: Option<Arc<dyn Partitioner>>,
    pub(super) ignores_keys: bool,
    pub(super) is_adaptive: bool,
    /// How long a queue may wait until its partition counts as not available; zero for ever.
    pub(super) availability_timeout: Duration,
    pub(super) seed: u64,
}

/// What the driver is to do.
#[derive(Debug)]
pub(super) enum Effect {
    /// Connect to a node, and say how that went.
    Connect(NodeId),
    /// Send a request to a node that is connected.
    Send(NodeId, Outbound),
    /// Ask for a producer id.
    AskProducerId,
    /// Send a request about transactions, and say how that went.
    Coordinate(Step),
    /// Ask for metadata again: something known was wrong.
    Refresh,
    /// Keep knowing this topic.
    Use(Arc<str>),
}

/// A Produce request.
#[derive(Debug)]
pub(super) struct Outbound {
    pub(super) id: RequestId,
    pub(super) parts: Vec<Part>,
    /// How brokers learn that the batches belong to a transaction, if they do.
    pub(super) protocol: Option<Protocol>,
}

/// One partition's batch in a request.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    pub(super) content: Arc<BatchWriter>,
    pub(super) origin: BatchOrigin,
}

/// What a look at the machine brought.
#[derive(Debug)]
pub(super) struct Polled<T> {
    pub(super) effects: Vec<Effect>,
    pub(super) finished: Vec<Finished<T>>,
    /// When to look again, if nothing happens before.
    pub(super) wake_at: Option<Duration>,
}

/// Counts of what happened, for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Batches that came back to be sent again.
    pub(super) retries: u64,
    /// Requests handed out.
    pub(super) requests: u64,
    /// Batches handed out.
    pub(super) batches: u64,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Machine<T> {
    setup: Setup,
    known: Arc<Snapshot>,
    topics: HashMap<Arc<str>, Topic<T>>,
    queues: Vec<(Arc<str>, Queue<T>)>,
    /// The queues that hold a batch.
    active: BTreeSet<usize>,
    nodes: Nodes,
    identity: Identity,
    generations: Generations,
    random: fastrand::Rng,
    /// Fates that nobody was told of yet.
    finished: Vec<Finished<T>>,
    /// The queues with a batch in each request that is on its way, in the order of its parts.
    requests: HashMap<RequestId, (NodeId, Vec<usize>)>,
    next_request: RequestId,
    /// Whether something known has turned out to be wrong.
    is_stale: bool,
    is_closing: bool,
    /// When an open transaction is given up, as the producer is closed.
    ends_at: Option<Duration>,
    transactions: Option<Transactions>,
    tally: Tally,
}

impl<T> Machine<T> {
    pub(super) fn new(setup: Setup) -> Self {
        let transactions = setup.is_transactional.then(|| Transactions::new(setup.rules.retry));
        let identity = match (setup.is_idempotent, &transactions) {
            (_, Some(_)) => Identity::Awaited,
            (true, None) => Identity::missing(),
            (false, None) => Identity::Anonymous,
        };
        let random = fastrand::Rng::with_seed(setup.seed);
        let nodes = Nodes::new(setup.max_in_flight);
        Self {
            setup,
            known: Arc::default(),
            topics: HashMap::new(),
            queues: Vec::new(),
            active: BTreeSet::new(),
            nodes,
            identity,
            generations: Generations::default(),
            random,
            finished: Vec::new(),
            requests: HashMap::new(),
            next_request: 0,
            is_stale: false,
            is_closing: false,
            ends_at: None,
            transactions,
            tally: Tally::default(),
        }
    }

    /// Appends a record. Returns whether the driver should look at the machine.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`], after [`close`](Self::close). Where records belong to transactions, what [`Transactions::admit`] says.
    pub(super) fn append(
        &mut self,
        record: Record,
        token: T,
        charge: usize,
        timestamp: i64,
        now: Duration,
    ) -> Result<bool, Error> {
        if self.is_closing {
            return Err(Error::Closed);
        }
        self.admit(None)?;
        let generation = self.generations.enter();
        let entry = Entry { token, charge, generation, timestamp };
        if let Identity::Refused(error) = &self.identity {
            let error = error.clone();
            self.finished.push(entry.finish(Err(error)));
            return Ok(true);
        }
        let name = match self.topics.get_mut(record.topic.as_str()) {
            Some(topic) => {
                let was_touched = std::mem::replace(&mut topic.is_touched, true);
                if !topic.is_unknown() {
                    return Ok(self.enqueue(&record, entry, now) || !was_touched);
                }
                Arc::clone(&topic.name)
            }
            None => self.begin_topic(&record.topic, now),
        };
        let Some(topic) = self.topics.get_mut(&name) else { return Ok(false) };
        if topic.is_unknown() {
            let is_first = topic.pending.is_empty();
            topic.pending.push_back(Pending { record, entry, since: now });
            return Ok(is_first);
        }
        self.enqueue(&record, entry, now);
        Ok(true)
    }

    /// Takes in a topic that had no record before.
    fn begin_topic(&mut self, name: &str, now: Duration) -> Arc<str> {
        let name: Arc<str> = name.into();
        self.topics.insert(Arc::clone(&name), Topic::new(Arc::clone(&name)));
        self.adopt(&name, now);
        name
    }

    /// Puts a record of a known topic into its queue. Returns whether the driver should look.
    fn enqueue(&mut self, record: &Record, entry: Entry<T>, now: Duration) -> bool {
        let Some(topic) = self.topics.get_mut(record.topic.as_str()) else { return false };
        let count = topic.queues.len();
        let partitions = u32::try_from(count).unwrap_or(u32::MAX);
        let custom = self.setup.partitioner.as_deref();
        let chosen = match destination(record, partitions, custom, self.setup.ignores_keys) {
            Ok(chosen) => chosen,
            Err(error) => {
                self.finished.push(entry.finish(Err(error)));
                return true;
            }
        };
        let mut has_sealed = false;
        let place = match chosen {
            Some(partition) => usize::try_from(partition).ok().and_then(|at| topic.queues.get(at).copied()),
            None => {
                let (left, most) = (topic.sticky.last(), self.setup.rules.batch_size);
                let has_room = |queue: &Queue<T>| queue.has_room(record, entry.timestamp, most);
                let random = &mut self.random;
                let at = stick(topic, &self.queues, &self.known, &self.setup, random, now, has_room);
                topic.sticky.add(entry.charge);
                if let Some(place) = left.filter(|left| *left != at).and_then(|left| topic.queues.get(left)) {
                    // Nothing joins its batch any more, which therefore need not linger.
                    has_sealed = self.queues[*place].1.seal();
                }
                topic.queues.get(at).copied()
            }
        };
        let Some(place) = place else {
            // The topic may have got more partitions since.
            self.is_stale = true;
            let (topic, partition) = (topic.name.to_string(), chosen.unwrap_or_default());
            let error = Error::NoSuchPartition { topic, partition, count };
            self.finished.push(entry.finish(Err(error)));
            return true;
        };
        match self.queues[place].1.append(record, entry, now, &self.setup.rules) {
            Ok(appended) => {
                if appended.is_new {
                    self.active.insert(place);
                }
                appended.is_new || appended.is_full || has_sealed
            }
            Err((error, entry)) => {
                let error = Error::Unencodable { cause: error.to_string() };
                self.finished.push(entry.finish(Err(error)));
                true
            }
        }
    }

    /// Takes in what is known of the cluster.
    pub(super) fn learn(&mut self, known: Arc<Snapshot>, now: Duration) {
        self.known = known;
        let names: Vec<_> = self.topics.keys().cloned().collect();
        for name in names {
            self.adopt(&name, now);
        }
    }

    /// Takes over a topic's partitions, and enqueues what waited for them.
    fn adopt(&mut self, name: &Arc<str>, now: Duration) {
        let Some(topic) = self.topics.get_mut(name) else { return };
        let Some(known) = self.known.topics.get(name) else { return };
        if let Some(error) = known.error.filter(|error| !error.is_retriable()) {
            let error = self.known.reason(error);
            self.finished.extend(topic.fail(&error));
            return;
        }
        // A topic that was made again with fewer keeps its queues: their brokers refuse what is in them.
        for at in topic.queues.len()..known.partitions.len() {
            let partition = i32::try_from(at).unwrap_or(i32::MAX);
            topic.queues.push(self.queues.len());
            self.queues.push((Arc::clone(name), Queue::new(partition)));
        }
        if !topic.queues.is_empty() {
            for pending in std::mem::take(&mut topic.pending) {
                self.enqueue(&pending.record, pending.entry, now);
            }
        }
    }

    /// A connection to a node stands.
    pub(super) fn connected(&mut self, node: NodeId) {
        self.nodes.connected(node);
    }

    /// There is no connection to a node, or it has ended. Requests that were on their way are answered one by one.
    pub(super) fn disconnected(&mut self, node: NodeId) {
        self.nodes.disconnected(node);
        self.is_stale = true;
    }

    /// The verdicts for a request's parts, in their order.
    pub(super) fn answered(&mut self, request: RequestId, verdicts: Vec<Verdict>, now: Duration) {
        let Some((node, places)) = self.requests.remove(&request) else { return };
        assert_eq!(verdicts.len(), places.len(), "each part has a verdict");
        self.nodes.answered(node);
        for (place, verdict) in places.into_iter().zip(verdicts) {
            if let Verdict::Again { remedy, .. } = &verdict {
                self.is_stale |= *remedy == super::verdict::Remedy::Refresh;
            }
            if matches!(verdict, Verdict::Again { .. } | Verdict::OutOfSequence(_)) {
                self.tally.retries += 1;
            }
            let random = self.random.f64();
            let (rules, identity) = (&self.setup.rules, &mut self.identity);
            let finished = self.queues[place].1.settle(request, verdict, now, random, rules, identity);
            self.finished.extend(finished);
        }
    }

    /// The answer to a request for a producer id.
    pub(super) fn identified(&mut self, answer: Result<(i64, i16), Error>, now: Duration) {
        let Identity::Asked { failures } = self.identity else { return };
        match answer {
            Ok((id, epoch)) => self.identity = Identity::Known(Sequence::new(id, epoch)),
            Err(error) if error.class() == ErrorClass::Retriable => {
                let failures = failures.saturating_add(1);
                let delay = self.setup.rules.retry.delay(failures, self.random.f64());
                self.identity = Identity::Missing { not_before: now + delay, failures };
            }
            Err(error) => {
                self.fail_all(&error);
                self.identity = Identity::Refused(error);
            }
        }
    }

    fn fail_all(&mut self, error: &Error) {
        let queued = self.queues.iter_mut().flat_map(|(_, queue)| queue.fail(error));
        self.finished.extend(queued);
        let pending = self.topics.values_mut().flat_map(|topic| topic.fail(error));
        self.finished.extend(pending);
    }

    /// Sends everything without lingering. Over once [`settled`](Self::settled) exceeds what is returned.
    pub(super) fn begin_flush(&mut self) -> u64 {
        self.generations.begin_flush()
    }

    /// Flushes below this number are over.
    pub(super) fn settled(&self) -> u64 {
        self.generations.settled()
    }

    /// Gives up every record, also those in flight, and takes no more: nobody will look at the machine again.
    pub(super) fn abandon(&mut self, error: &Error) -> Vec<Finished<T>> {
        self.close();
        if let Some(transactions) = &mut self.transactions {
            transactions.end(error.clone());
        }
        self.fail_all(error);
        let flying = self.queues.iter_mut().flat_map(|(_, queue)| queue.abandon(error));
        self.finished.extend(flying);
        self.take_finished()
    }

    /// The fates that nobody was told of yet.
    fn take_finished(&mut self) -> Vec<Finished<T>> {
        let finished = std::mem::take(&mut self.finished);
        for record in &finished {
            self.generations.leave(record.generation);
        }
        finished
    }

    /// Nothing more will be appended: nothing lingers. An open transaction is aborted.
    pub(super) fn close(&mut self) {
        self.is_closing = true;
        if let Some(transactions) = &mut self.transactions {
            transactions.close();
        }
    }

    /// Whether it was closed, all fates are known and no transaction is open.
    pub(super) fn is_done(&self) -> bool {
        self.is_closing && self.generations.is_empty() && self.finished.is_empty() && self.is_at_rest()
    }

    /// What happened so far.
    pub(super) const fn tally(&self) -> Tally {
        self.tally
    }
}

/// The partition for a topic's next record without a key: the one that it sticks to, or another one that is drawn now.
fn stick<T>(
    topic: &mut Topic<T>,
    queues: &[(Arc<str>, Queue<T>)],
    known: &Snapshot,
    setup: &Setup,
    random: &mut fastrand::Rng,
    now: Duration,
    has_room: impl Fn(&Queue<T>) -> bool,
) -> usize {
    let has_room = |at: usize| topic.queues.get(at).is_some_and(|place| has_room(&queues[*place].1));
    if let Some(current) = topic.sticky.current(topic.queues.len(), setup.rules.batch_size, has_room) {
        return current;
    }
    let patience = setup.availability_timeout;
    let loads = topic.queues.iter().map(|place| {
        let queue = &queues[*place].1;
        let waited = queue.waiting_since().map_or(Duration::ZERO, |since| now.saturating_sub(since));
        let is_slow = !patience.is_zero() && waited >= patience;
        let is_available = !is_slow && known.leader(&topic.name, queue.number()).is_some();
        Load { batches: queue.batches(), is_available }
    });
    let drawn = draw(&loads.collect::<Vec<_>>(), setup.is_adaptive, random.u64(..));
    topic.sticky.switch(drawn);
    drawn
}

#[cfg(test)]
mod tests;
