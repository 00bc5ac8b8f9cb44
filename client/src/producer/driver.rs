//! The task around the machine: it owns the clock, the lanes and the producer's connections.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

use super::lane::{self, Event, PartReply, Reply, Terms};
use super::machine::{Effect, Outbound, Polled};
use super::messages::{self, PartOutcome};
use super::queue::RequestId;
use super::shared::Shared;
use super::transactions::{self, Step};
use super::verdict::{Fate, Remedy, Verdict, judge};
use crate::Error;
use crate::cluster::Cluster;
use crate::metadata::{NodeId, Snapshot};

/// Events of lanes that wait for the driver. Lanes wait when there are more.
const QUEUED_EVENTS: usize = 1024;

/// What is due within this time is due. The runtime's timers come at full milliseconds, up to one late: with half of that given up
/// beforehand they are late as often as early, and a batch lingers for the time that was set, on average.
const HALF_A_TICK: Duration = Duration::from_micros(500);

/// See the module's documentation.
pub(super) struct Driver {
    shared: Arc<Shared>,
    cluster: Cluster,
    terms: Terms,
    lanes: HashMap<NodeId, mpsc::Sender<Outbound>>,
    max_in_flight: usize,
    known: watch::Receiver<Arc<Snapshot>>,
    events: mpsc::Receiver<Event>,
    sender: mpsc::Sender<Event>,
    /// Topics and partitions of each request on its way, to tell the cluster of leaders.
    asked: HashMap<RequestId, messages::Addressees>,
    _ends: Ends,
}

/// Gives up what has no fate when the driver ends, in whichever way: a panic, or the end of its runtime.
struct Ends(Arc<Shared>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Driver {
    pub(super) fn new(shared: Arc<Shared>, cluster: Cluster, terms: Terms, max_in_flight: usize) -> Self {
        let (sender, events) = mpsc::channel(QUEUED_EVENTS);
        let known = cluster.watch();
        let (lanes, asked) = (HashMap::new(), HashMap::new());
        let ends = Ends(Arc::clone(&shared));
        Self { shared, cluster, terms, lanes, max_in_flight, known, events, sender, asked, _ends: ends }
    }

    /// Works until the producer is closed and every record has its fate.
    pub(super) async fn run(mut self) {
        loop {
            let wake_at = self.work();
            if self.shared.machine().is_done() {
                break;
            }
            let wake_at = wake_at.map_or(Duration::from_secs(3600), |at| at.saturating_sub(HALF_A_TICK));
            let alarm = self.shared.started + wake_at;
            tokio::select! {
                () = self.shared.changed.notified() => {}
                Some(event) = self.events.recv() => self.take(event),
                Ok(()) = self.known.changed() => self.learn(),
                () = sleep_until(alarm) => {}
            }
            while let Ok(event) = self.events.try_recv() {
                self.take(event);
            }
        }
    }

    /// Has the machine do what is due, and does what it asks for. Returns when to look again.
    fn work(&mut self) -> Option<Duration> {
        let starved = self.shared.is_starved();
        let (polled, settled) = {
            let mut machine = self.shared.machine();
            let polled = machine.poll(self.shared.now() + HALF_A_TICK, starved);
            (polled, machine.settled())
        };
        let Polled { effects, finished, wake_at } = polled;
        for effect in effects {
            self.act(effect);
        }
        self.shared.resolve(finished);
        self.shared.settle(settled);
        // After the records' fates: who waits for the end of a transaction finds them all.
        self.shared.turned.send_replace(());
        wake_at
    }

    fn act(&mut self, effect: Effect) {
        match effect {
            Effect::Connect(node) => self.open_lane(node),
            Effect::Send(node, request) => self.send(node, request),
            Effect::AskProducerId => {
                let (cluster, events) = (self.cluster.clone(), self.sender.clone());
                tokio::spawn(async move {
                    let _ = events.send(Event::Identified(identify(&cluster).await)).await;
                });
            }
            Effect::Coordinate(step) => self.coordinate(step),
            Effect::Refresh => self.cluster.ask_anew(),
            Effect::Use(topic) => self.cluster.uses(&topic),
        }
    }

    fn coordinate(&self, step: Step) {
        let Some(identity) = self.terms.transactional.clone() else { return };
        let (cluster, events) = (self.cluster.clone(), self.sender.clone());
        let call = step.call.clone();
        tokio::spawn(async move {
            let answer = transactions::perform(&cluster, &identity, step).await;
            let _ = events.send(Event::Coordinated(call, answer)).await;
        });
    }

    fn open_lane(&mut self, node: NodeId) {
        // The machine has at most so many requests on their way: the channel never fills.
        let (requests, receiver) = mpsc::channel(self.max_in_flight);
        self.lanes.insert(node, requests);
        let (cluster, terms, events) = (self.cluster.clone(), self.terms.clone(), self.sender.clone());
        tokio::spawn(lane::run(cluster, node, terms, receiver, events));
    }

    fn send(&mut self, node: NodeId, request: Outbound) {
        let id = request.id;
        self.asked.insert(id, messages::addressees(&request.parts));
        let is_taken = self.lanes.get(&node).is_some_and(|lane| lane.try_send(request).is_ok());
        if !is_taken {
            let error = Error::Disconnected { cause: format!("the connection to broker {node} has ended") };
            let verdict = Verdict::Again { error, fate: Fate::NotAppended, remedy: Remedy::Refresh };
            self.answer(id, Reply::All(verdict));
            // The lane's own word is on its way, too, and there is nobody else to wait for.
            self.shared.changed.notify_one();
        }
    }

    fn take(&mut self, event: Event) {
        let now = self.shared.now();
        match event {
            Event::Up(node) => self.shared.machine().connected(node),
            Event::Down(node) => {
                self.lanes.remove(&node);
                self.shared.machine().disconnected(node);
            }
            Event::Answered(request, reply) => self.answer(request, reply),
            Event::Identified(answer) => self.shared.machine().identified(answer, now),
            Event::Coordinated(call, answer) => self.shared.machine().coordinated(&call, answer, now),
        }
    }

    fn answer(&mut self, request: RequestId, reply: Reply) {
        let Some(asked) = self.asked.remove(&request) else { return };
        let verdicts = match reply {
            Reply::All(verdict) => vec![verdict; asked.len()],
            Reply::Parts(parts) => {
                let parts = parts.into_iter().zip(&asked);
                parts.map(|(part, (topic, partition))| self.verdict(part, topic, *partition)).collect()
            }
        };
        // A hint may have changed what is known: the machine is to know it before it sends again.
        let known = self.known.borrow_and_update().clone();
        let now = self.shared.now();
        let mut machine = self.shared.machine();
        machine.learn(known, now);
        machine.answered(request, verdicts, now);
    }

    fn verdict(&self, part: PartReply, topic: &str, partition: i32) -> Verdict {
        match part.outcome {
            PartOutcome::Appended { base_offset, append_time } => {
                Verdict::Appended { base_offset, append_time }
            }
            PartOutcome::Failed { code, message } => {
                let hinted = part.hint.is_some_and(|hint| self.cluster.hint(topic, partition, hint));
                judge(code, message, hinted)
            }
            PartOutcome::Missing => {
                let cause = format!("the answer does not mention {topic}, partition {partition}");
                let error = Error::Malformed { cause };
                Verdict::Again { error, fate: Fate::Unknown, remedy: Remedy::Wait }
            }
        }
    }

    fn learn(&mut self) {
        let known = self.known.borrow_and_update().clone();
        self.shared.machine().learn(known, self.shared.now());
    }
}

/// Asks any broker for a producer id.
async fn identify(cluster: &Cluster) -> Result<(i64, i16), Error> {
    cluster.on_any(async |connection| messages::producer_id(connection).await).await
}
