//! A look at the machine: what expires, what can be sent, and when to look again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::nodes::Access;
use super::{Effect, Identity, Machine, NodeId, Outbound, Part, Polled, Transactions};

/// The queues that may send to a node now.
#[derive(Debug, Default)]
struct Ready {
    /// Their batches have to leave.
    due: Vec<usize>,
    /// Their batches still linger. They join a request that leaves anyway, as in Java, and begin none: otherwise each of many
    /// partitions would have a request of its own at a moderate rate.
    lingering: Vec<usize>,
}

/// A request that is being filled.
#[derive(Debug, Default)]
struct Draft {
    parts: Vec<Part>,
    /// The queue of each part.
    places: Vec<usize>,
    /// Bytes of all parts, before compression.
    len: usize,
}

/// The earliest of several times.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Alarm(Option<Duration>);

impl Alarm {
    pub(super) fn set(&mut self, at: Duration) {
        self.0 = Some(self.0.map_or(at, |earlier| earlier.min(at)));
    }
}

impl<T> Machine<T> {
    /// Does what is due at `now`. `starved` says that applications wait for memory: then nothing lingers.
    pub(in crate::producer) fn poll(&mut self, now: Duration, starved: bool) -> Polled<T> {
        let mut expiry = Alarm::default();
        self.expire(now, &mut expiry);
        let mut effects = Vec::new();
        self.transact(now, &mut effects, &mut expiry);
        let mut alarm = expiry;
        let ends = self.transactions.as_ref().is_some_and(Transactions::is_ending);
        let hasty = starved || self.is_closing || ends || self.generations.is_flushing();
        // A queue with several full batches sends one a request.
        let mut again = true;
        while std::mem::take(&mut again) {
            // A batch that lingered may have left since the last look.
            alarm = expiry;
            let by_node = self.ready_queues(now, hasty, &mut alarm);
            if !by_node.is_empty() && self.has_identity(now, &mut effects, &mut alarm) {
                for (node, ready) in by_node {
                    again |= self.send_to(node, ready, &mut effects);
                }
            }
        }
        // What the partitions of the batches that wait have to be added to, and what has failed meanwhile.
        self.transact(now, &mut effects, &mut alarm);
        self.use_topics(&mut effects);
        if std::mem::take(&mut self.is_stale) {
            effects.push(Effect::Refresh);
        }
        Polled { effects, finished: self.take_finished(), wake_at: alarm.0 }
    }

    fn expire(&mut self, now: Duration, alarm: &mut Alarm) {
        let rules = &self.setup.rules;
        for place in &self.active {
            let queue = &mut self.queues[*place].1;
            if queue.expires_at(rules).is_some_and(|at| at <= now) {
                self.finished.extend(queue.expire(now, rules));
            }
            queue.expires_at(rules).into_iter().for_each(|at| alarm.set(at));
        }
        self.active.retain(|place| self.queues[*place].1.batches() > 0);
        let limit = self.setup.max_block;
        for (name, topic) in &mut self.topics {
            if topic.pending.is_empty() {
                continue;
            }
            let error = self.known.topics.get(name).and_then(|topic| topic.error);
            let cause = error.map_or_else(|| "no broker told".to_owned(), |error| error.to_string());
            self.finished.extend(topic.expire(now, limit, &cause));
            topic.pending.front().into_iter().for_each(|pending| alarm.set(pending.since + limit));
        }
    }

    fn use_topics(&mut self, effects: &mut Vec<Effect>) {
        for (name, topic) in &mut self.topics {
            if std::mem::take(&mut topic.is_touched) || !topic.pending.is_empty() {
                effects.push(Effect::Use(name.clone()));
            }
        }
    }

    /// The queues that may send now, by their leaders: the leaders for which a batch is due.
    fn ready_queues(&mut self, now: Duration, hasty: bool, alarm: &mut Alarm) -> BTreeMap<NodeId, Ready> {
        let mut by_node: BTreeMap<NodeId, Ready> = BTreeMap::new();
        for place in &self.active {
            let (topic, queue) = &self.queues[*place];
            if !queue.is_waiting() {
                continue;
            }
            let Some(leader) = self.known.leader(topic, queue.number()) else {
                self.is_stale = true;
                // While its records waited, the topic may have been forgotten as idle.
                self.topics.get_mut(topic).into_iter().for_each(|topic| topic.is_touched = true);
                continue;
            };
            let transactions = &mut self.transactions;
            let mut is_admitted = || match transactions {
                Some(transactions) => transactions.admits(&(Arc::clone(topic), queue.number())),
                None => true,
            };
            match queue.ready_at(leader, hasty, &self.setup.rules) {
                Some(at) if at <= now && !is_admitted() => {}
                Some(at) if at <= now => by_node.entry(leader).or_default().due.push(*place),
                Some(at) => {
                    alarm.set(at);
                    let is_ready =
                        queue.ready_at(leader, true, &self.setup.rules).is_some_and(|at| at <= now);
                    if is_ready && is_admitted() {
                        by_node.entry(leader).or_default().lingering.push(*place);
                    }
                }
                None => {}
            }
        }
        by_node.retain(|_, ready| !ready.due.is_empty());
        by_node
    }

    /// Whether batches can be numbered, if they need to be. Asks for a producer id otherwise.
    fn has_identity(&mut self, now: Duration, effects: &mut Vec<Effect>, alarm: &mut Alarm) -> bool {
        match self.identity {
            Identity::Anonymous | Identity::Known(_) => true,
            Identity::Missing { not_before, failures } if not_before <= now => {
                self.identity = Identity::Asked { failures };
                effects.push(Effect::AskProducerId);
                false
            }
            Identity::Missing { not_before, .. } => {
                alarm.set(not_before);
                false
            }
            Identity::Asked { .. } | Identity::Awaited | Identity::Refused(_) => false,
        }
    }

    /// Fills requests for a node with the batches that are ready for it, one of each queue in a request. Returns whether to look
    /// at the queues again: there was a request, or there is no producer id any more.
    fn send_to(&mut self, node: NodeId, ready: Ready, effects: &mut Vec<Effect>) -> bool {
        let Ready { due: mut queues, mut lingering } = ready;
        // No queue is the first each time.
        let start = self.random.usize(..queues.len());
        queues.rotate_left(start);
        let mut queues = queues.into_iter().peekable();
        let mut again = false;
        while queues.peek().is_some() {
            match self.nodes.access(node) {
                Access::Busy => break,
                Access::Unconnected => {
                    self.nodes.dialled(node);
                    effects.push(Effect::Connect(node));
                    break;
                }
                Access::Open => {}
            }
            let mut draft = Draft::default();
            while let Some(place) = queues.next_if(|place| self.has_room(&draft, *place)) {
                self.put(&mut draft, place, node);
            }
            if queues.peek().is_none() {
                self.put_lingering(&mut draft, std::mem::take(&mut lingering), node);
            }
            again = true;
            let Draft { parts, places, .. } = draft;
            if parts.is_empty() {
                // The last epoch of the producer id is used up: the next look asks for another id.
                break;
            }
            let id = self.next_request;
            self.next_request += 1;
            self.nodes.sent(node);
            self.tally.requests += 1;
            self.tally.batches += parts.len() as u64;
            self.requests.insert(id, (node, places));
            let transactions = self.transactions.as_mut();
            transactions.into_iter().for_each(Transactions::sent);
            let protocol = self.transactions.as_ref().map(Transactions::protocol);
            effects.push(Effect::Send(node, Outbound { id, parts, protocol }));
        }
        again
    }

    /// Whether the next batch of a queue fits into a request. An empty one takes any.
    fn has_room(&self, draft: &Draft, place: usize) -> bool {
        draft.parts.is_empty() || draft.len + self.queues[place].1.next_len() <= self.setup.max_request_size
    }

    /// Puts the next batch of a queue into the next request, unless it needs a producer id first.
    fn put(&mut self, draft: &mut Draft, place: usize, node: NodeId) {
        let (topic, queue) = &mut self.queues[place];
        let len = queue.next_len();
        if let Some((content, origin)) = queue.take(self.next_request, node, &mut self.identity) {
            draft.parts.push(Part { topic: topic.clone(), partition: queue.number(), content, origin });
            draft.places.push(place);
            draft.len += len;
        }
    }

    /// Has batches that still linger join a request that leaves anyway. One that is half full already saves them little, and
    /// under load they would be sent before they are full.
    fn put_lingering(&mut self, draft: &mut Draft, lingering: Vec<usize>, node: NodeId) {
        if draft.parts.is_empty() || draft.len > self.setup.max_request_size / 2 {
            return;
        }
        for place in lingering {
            if self.has_room(draft, place) {
                self.put(draft, place, node);
            }
        }
    }
}
