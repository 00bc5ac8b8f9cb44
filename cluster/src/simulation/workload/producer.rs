//! A producer. Most are idempotent and send again what has no answer, to whoever leads by then, until they are told where
//! it is, in one of the ways that real clients have; the others never send anything twice.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Client, Desk};
use crate::controller::{ControllerRequest, ControllerResponse};
use crate::ids::{NodeId, RaftGroupId, Ticket};
use crate::partition::{CheckedBatch, ProducerError};
use crate::shard::effects::AppendError;
use crate::simulation::burden::Burden;
use crate::simulation::call::{Answer, BatchName, Call, batch_of};
use crate::simulation::random::Random;

/// Batches that one producer makes at most.
const BATCHES: i64 = 120;

/// How many of a thousand times a producer that has nothing under way goes on in another partition.
const MOVES: u64 = 50;

/// A record of a long batch has fewer bytes than this.
const LONG_RECORD: usize = 2 << 20;

/// Batch names of different producers are this far apart.
const NAMES: i64 = 1_000_000;

/// What identifies an idempotent producer.
#[derive(Clone, Copy)]
struct Identity {
    id: i64,
    epoch: i16,
    next_sequence: i32,
}

/// How a producer sends again what was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    /// As librdkafka does: once nothing is under way any more, all of it in one go.
    InOneGo,
    /// As Kafka's Java client does: each batch once it is the first that is open, and at once.
    OneByOne,
}

/// A batch that is not acknowledged.
struct Pending {
    name: BatchName,
    batch: CheckedBatch,
    made_at: Duration,
    asked: Option<Ticket>,
    /// Nothing before it was open when it was last sent.
    was_first: bool,
    /// It was sent before, and is not known to be in the log.
    is_retry: bool,
}

impl Pending {
    /// Whether it is to be sent again.
    const fn is_due_again(&self) -> bool {
        self.is_retry && self.asked.is_none()
    }
}

/// See the module's documentation.
pub(super) struct Producer {
    number: i64,
    is_idempotent: bool,
    retry: Retry,
    /// How many batches may be under way.
    in_flight: i64,
    /// How many replicas it wants to hold its batches.
    replicas: Option<usize>,
    identity: Option<Identity>,
    identity_asked: Option<Ticket>,
    partition: Option<RaftGroupId>,
    /// Where the last batches were sent, on one connection.
    node: Option<NodeId>,
    /// How often the partition had lost something when this producer began there.
    losses: usize,
    pending: VecDeque<Pending>,
    /// After how long it gives a batch up, if ever.
    patience: Option<Duration>,
    /// How many of a thousand batches are long.
    long: u64,
    made: i64,
    ending: bool,
}

impl Producer {
    pub(super) fn new(number: i64, burden: Burden, patience: Option<Duration>, random: &mut Random) -> Self {
        Self {
            number,
            is_idempotent: random.chance(750),
            retry: random.pick(&[Retry::InOneGo, Retry::OneByOne]).unwrap_or(Retry::InOneGo),
            in_flight: random.pick(&[1, 3, 5, 5]).unwrap_or(1),
            replicas: random.pick(&[None, Some(1), Some(2), Some(3), Some(3)]).flatten(),
            identity: None,
            identity_asked: None,
            partition: None,
            node: None,
            losses: 0,
            pending: VecDeque::new(),
            patience,
            long: if burden == Burden::LongBatches { 40 } else { 0 },
            made: 0,
            ending: false,
        }
    }

    /// An idempotent one that has as many batches under way as it may, wants all replicas to hold them, and sends what was
    /// refused again in one go.
    pub(super) fn with_many_in_flight(self) -> Self {
        Self { is_idempotent: true, retry: Retry::InOneGo, in_flight: 5, replicas: Some(3), ..self }
    }

    /// Whether it has what it needs to send.
    fn prepare(&mut self, desk: &mut Desk<'_>) -> bool {
        if self.is_idempotent && self.identity.is_none() {
            if self.identity_asked.is_none() {
                let call = Call::Control(ControllerRequest::AllocateProducerIds);
                self.identity_asked = Some(desk.ask_leader(RaftGroupId::CONTROLLER, call));
            }
            return false;
        }
        let image = desk.image();
        let is_gone = self.partition.is_none_or(|group| image.has_dropped(group) || desk.is_lost(group));
        let moves_on = self.pending.is_empty() && desk.random.chance(MOVES);
        if is_gone || moves_on || self.is_out_of_patience(desk.now) {
            self.partition = desk.any_partition();
            self.begin_anew();
        }
        let losses = self.partition.and_then(|group| desk.lossy.get(&group)).copied().unwrap_or_default();
        if std::mem::replace(&mut self.losses, losses) != losses && !is_gone && !moves_on {
            // Where acknowledged batches are lost, the partition takes what follows them for out of order. A client then begins
            // anew, in the next epoch.
            self.begin_anew();
        }
        self.partition.is_some()
    }

    /// Whether the first batch has been under way for too long.
    fn is_out_of_patience(&self, now: Duration) -> bool {
        let waited = self.pending.front().map(|first| now - first.made_at);
        self.patience.is_some_and(|patience| waited.is_some_and(|waited| waited >= patience))
    }

    /// Gives up what is under way, and counts from 0 in the next epoch.
    fn begin_anew(&mut self) {
        self.pending.clear();
        if let Some(identity) = &mut self.identity {
            *identity = Identity { epoch: identity.epoch + 1, next_sequence: 0, ..*identity };
        }
    }

    /// Whether another batch may be under way. One that is acknowledged counts while one before it is not: a leader
    /// knows a producer's last five batches, and takes an older one for a new one out of order.
    fn may_make(&self) -> bool {
        let first = self.pending.front().map_or(self.made + 1, |first| first.name.0 % NAMES);
        self.made + 1 - first < self.in_flight
    }

    fn make(&mut self, now: Duration, random: &mut Random) {
        self.made += 1;
        let name = BatchName(self.number * NAMES + self.made);
        let count = random.place(3) + 1;
        let bytes = if random.chance(self.long) {
            random.place(LONG_RECORD)
        } else if random.chance(20) {
            40_000
        } else {
            random.place(100)
        };
        let sequence = self.identity.map(|Identity { id, epoch, next_sequence }| (id, epoch, next_sequence));
        if let Some(identity) = &mut self.identity {
            identity.next_sequence += i32::try_from(count).expect("a batch is small");
        }
        let batch = batch_of(name, sequence, count, bytes);
        self.pending.push_back(Pending {
            name,
            batch,
            made_at: now,
            asked: None,
            was_first: false,
            is_retry: false,
        });
    }

    fn send(&mut self, desk: &mut Desk<'_>) {
        let Some(group) = self.partition else { return };
        let image = desk.image();
        let factor = image.partition_of(group).map_or(1, |view| view.partition.replicas.len());
        let replicas = self.replicas.map(|replicas| replicas.min(factor));
        let sent_now = self.sent_now();
        let is_silent = self.pending.iter().all(|pending| pending.asked.is_none());
        let begins_again =
            self.retry == Retry::OneByOne && self.pending.front().is_some_and(Pending::is_due_again);
        let node = match self.node.filter(|_| !is_silent && !begins_again) {
            Some(node) => node,
            None => desk.leader(group),
        };
        self.node = Some(node);
        let pending = self.pending.iter_mut().take(sent_now).enumerate();
        for (place, pending) in pending.filter(|(_, p)| p.asked.is_none()) {
            let batch = pending.batch.clone();
            pending.asked = Some(desk.ask(node, Call::Append { group, batch, replicas }));
            pending.was_first = place == 0;
        }
    }

    /// How many batches, from the first one on, may be under way now.
    fn sent_now(&self) -> usize {
        let again = self.pending.iter().position(Pending::is_due_again);
        match (self.retry, again) {
            (_, None) => self.pending.len(),
            (Retry::InOneGo, Some(_)) => {
                let is_drained = self.pending.iter().all(|pending| pending.asked.is_none());
                if is_drained { self.pending.len() } else { 0 }
            }
            // What comes after the first one waits for it, if it was sent before.
            (Retry::OneByOne, Some(0)) => {
                let behind = self.pending.iter().skip(1).position(Pending::is_due_again);
                behind.map_or(self.pending.len(), |behind| behind + 1)
            }
            (Retry::OneByOne, Some(again)) => again,
        }
    }

    fn settle(&mut self, at: usize, answer: &Answer, desk: &Desk<'_>) {
        let pending = &mut self.pending[at];
        pending.asked = None;
        pending.is_retry = true;
        match answer {
            Answer::Appended(Ok(_)) => {
                self.pending.remove(at);
            }
            Answer::Appended(Err(AppendError::Producer(ProducerError::OutOfOrderSequence { .. }))) => {
                // Nothing that is acknowledged goes missing, and nothing overtakes what was refused, so the first open
                // batch always continues the log, and so do those behind it, if all came on one connection.
                let losses = self.partition.and_then(|group| desk.lossy.get(&group)).copied();
                let lost_some = losses.unwrap_or_default() != self.losses;
                let is_next = pending.was_first || self.retry == Retry::InOneGo;
                assert!(
                    !is_next || lost_some,
                    "what came before {:?} is missing, or came later",
                    pending.name
                );
            }
            // Others before it were refused while nobody led, or there is no room for one more producer: they all come again.
            Answer::Appended(Err(AppendError::Producer(
                ProducerError::Overtaken { .. } | ProducerError::TooMany { .. },
            ))) => {}
            Answer::Appended(Err(AppendError::Producer(error))) => {
                unreachable!("nobody else uses the producer id: {error}");
            }
            // Whether it is in the log is not known, and without a sequence number it cannot be sent again.
            Answer::Appended(Err(AppendError::Unknown)) | Answer::BrokenOff | Answer::TimedOut
                if !self.is_idempotent =>
            {
                self.pending.remove(at);
            }
            // The connection is given up, and with it what else was sent on it.
            Answer::TimedOut | Answer::BrokenOff | Answer::Refused if self.is_idempotent => {
                for pending in &mut self.pending {
                    pending.is_retry |= pending.asked.take().is_some();
                }
            }
            _ => {}
        }
    }
}

impl Client for Producer {
    fn wake(&mut self, desk: &mut Desk<'_>) {
        self.ending |= desk.ending;
        if self.is_done() {
            return;
        }
        if self.prepare(desk) {
            while self.made < BATCHES && self.may_make() && !self.ending {
                self.make(desk.now, desk.random);
            }
            self.send(desk);
        }
        desk.wake_within(10, 120);
    }

    fn answered(&mut self, ticket: Ticket, answer: Answer, desk: &mut Desk<'_>) {
        if self.identity_asked == Some(ticket) {
            self.identity_asked = None;
            if let Answer::Controlled(Ok(ControllerResponse::AllocateProducerIds(Ok(block)))) = &answer {
                self.identity = Some(Identity { id: block.first.0, epoch: 0, next_sequence: 0 });
            }
        } else if let Some(at) = self.pending.iter().position(|pending| pending.asked == Some(ticket)) {
            self.settle(at, &answer, desk);
        }
    }

    fn is_done(&self) -> bool {
        self.ending && self.pending.is_empty()
    }
}
