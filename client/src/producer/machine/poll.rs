//! A look at the machine: what expires, what can be sent, and when to look again.

use std::collections::BTreeMap;
use std::time::Duration;

use super::nodes::Access;
use super::{Effect, Identity, Machine, NodeId, Outbound, Part, Polled};

/// The earliest of several times.
#[derive(Debug, Default)]
struct Alarm(Option<Duration>);

impl Alarm {
    fn set(&mut self, at: Duration) {
        self.0 = Some(self.0.map_or(at, |earlier| earlier.min(at)));
    }
}

impl<T> Machine<T> {
    /// Does what is due at `now`. `starved` says that applications wait for memory: then nothing lingers.
    pub(in crate::producer) fn poll(&mut self, now: Duration, starved: bool) -> Polled<T> {
        let mut alarm = Alarm::default();
        self.expire(now, &mut alarm);
        let hasty = starved || self.is_closing || self.generations.is_flushing();
        let mut effects = Vec::new();
        // A queue with several full batches sends one a request.
        let mut again = true;
        while std::mem::take(&mut again) {
            let by_node = self.ready_queues(now, hasty, &mut alarm);
            if !by_node.is_empty() && self.has_identity(now, &mut effects, &mut alarm) {
                for (node, queues) in by_node {
                    again |= self.send_to(node, queues, &mut effects);
                }
            }
        }
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

    /// The queues that may send now, by their leaders.
    fn ready_queues(
        &mut self,
        now: Duration,
        hasty: bool,
        alarm: &mut Alarm,
    ) -> BTreeMap<NodeId, Vec<usize>> {
        let mut by_node: BTreeMap<NodeId, Vec<usize>> = BTreeMap::new();
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
            match queue.ready_at(leader, hasty, &self.setup.rules) {
                Some(at) if at <= now => by_node.entry(leader).or_default().push(*place),
                Some(at) => alarm.set(at),
                None => {}
            }
        }
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
            Identity::Asked { .. } | Identity::Refused(_) => false,
        }
    }

    /// Fills requests for a node with the batches that are ready for it, one of each queue in a request. Returns whether to look
    /// at the queues again: there was a request, or there is no producer id any more.
    fn send_to(&mut self, node: NodeId, mut queues: Vec<usize>, effects: &mut Vec<Effect>) -> bool {
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
            let id = self.next_request;
            let (mut parts, mut places, mut size) = (Vec::new(), Vec::new(), 0);
            while let Some(place) = queues.peek().copied() {
                let (topic, queue) = &mut self.queues[place];
                size += queue.next_len();
                if !parts.is_empty() && size > self.setup.max_request_size {
                    break;
                }
                queues.next();
                if let Some((content, origin)) = queue.take(id, node, &mut self.identity) {
                    let partition = queue.number();
                    parts.push(Part { topic: topic.clone(), partition, content, origin });
                    places.push(place);
                }
            }
            if parts.is_empty() {
                // The last epoch of the producer id is used up: the next look asks for another id.
                again = true;
                break;
            }
            again = true;
            self.next_request += 1;
            self.nodes.sent(node);
            self.tally.requests += 1;
            self.tally.batches += parts.len() as u64;
            self.requests.insert(id, (node, places));
            effects.push(Effect::Send(node, Outbound { id, parts }));
        }
        again
    }
}
