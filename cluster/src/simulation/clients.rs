//! Between the clients and the nodes: requests and answers on their way, which break off, get lost and come too late.

use std::sync::Arc;
use std::time::Duration;

use super::call::{Answer, Call};
use super::event::Event;
use super::invariants::Violation;
use super::node::{Input, Node, Process};
use super::observation::Observation;
use super::workload::{Client, ClientId, Desk, Wish};
use super::world::World;
use crate::ids::{NodeId, Ticket};

/// How many of a thousand requests break their connection, and how many answers get lost.
const CLIENT_LOSS: u64 = 10;

/// How long a client takes at most to make a new connection, in milliseconds.
const BROKEN_MS: u64 = 100;

/// An answer too many, or one too few.
const fn not_once(detail: String) -> Violation {
    Violation { rule: "a request is answered once, or its node is gone", detail }
}

/// A client's connection with a node. Requests arrive in the order in which they were sent, or not at all.
#[derive(Default)]
pub(super) struct Connection {
    last_arrival: Duration,
    /// What is sent before this time is lost.
    broken_until: Duration,
}

impl World {
    /// Whether all clients have done what they had begun.
    pub(super) fn clients_are_done(&self) -> bool {
        self.clients.iter().all(|client| client.is_done())
    }

    /// The clients that have not.
    pub(super) fn clients_that_wait(&self) -> Vec<ClientId> {
        (0..self.clients.len()).filter(|client| !self.clients[*client].is_done()).collect()
    }

    /// A request reaches a node.
    pub(super) fn call(&mut self, node: NodeId, ticket: Ticket, call: Call) -> Result<(), Violation> {
        if self.nodes[&node].process().is_none() {
            self.answer_later(ticket, Answer::Refused);
            return Ok(());
        }
        let life = self.nodes[&node].life;
        self.input(node, life, Input::Call { ticket, call })
    }

    /// A process has answered. Its client may hear of it.
    pub(super) fn answered(&mut self, node: NodeId, ticket: Ticket, answer: Answer) -> Result<(), Violation> {
        self.trace.tell(self.now, format_args!("{node} answers {}: {answer:?}", ticket.0));
        let Some((_, call)) = self.taken.remove(&ticket) else {
            return Err(not_once(format!("node {node} answers {ticket:?} twice: {answer:?}")));
        };
        if let (Call::Read { group, offset, .. }, Answer::Read(Some(fetched))) = (&call, &answer) {
            let (group, from) = (*group, *offset);
            self.invariants.observe(&Observation::Read { node, group, from, fetched })?;
        }
        self.invariants.observe(&Observation::Answered { node, ticket, call: &call, answer: &answer })?;
        if self.dies_with(node, ticket, &call, &answer) {
            return Ok(());
        }
        if self.is_calm || !self.random.chance(CLIENT_LOSS) {
            self.answer_later(ticket, answer);
        }
        Ok(())
    }

    /// Every request that a process took up has been answered.
    pub(super) fn check_answered(&self) -> Result<(), Violation> {
        let Some((ticket, (node, call))) = self.taken.first_key_value() else { return Ok(()) };
        Err(not_once(format!("node {node} does not answer {ticket:?}: {call:?}")))
    }

    /// A process is gone, and with it what it had taken up. Whoever waits for it learns so if the end was `heard`.
    pub(super) fn break_off(&mut self, node: NodeId, heard: bool) {
        let at_node = |(_, (taken_by, _)): &(&Ticket, &(NodeId, Call))| *taken_by == node;
        let lost: Vec<Ticket> = self.taken.iter().filter(at_node).map(|(ticket, _)| *ticket).collect();
        for ticket in lost {
            self.taken.remove(&ticket);
            if heard {
                self.answer_later(ticket, Answer::BrokenOff);
            }
        }
    }

    pub(super) fn answer_later(&mut self, ticket: Ticket, answer: Answer) {
        let after = self.random.micros(100, self.climate.client_delay);
        self.schedule.at(self.now + after, Event::Answer { ticket, answer });
    }

    /// Something comes back to a client, or its patience ends. What comes first counts.
    pub(super) fn answer(&mut self, ticket: Ticket, answer: Answer) {
        if let Some((client, _)) = self.open.remove(&ticket) {
            self.with_client(client, |client, desk| client.answered(ticket, answer, desk));
        }
    }

    /// Remembers the metadata of the node that knows of the latest topics. All nodes may be down when an answer arrives.
    fn note_metadata(&mut self) {
        let images = self.nodes.values().filter_map(Node::process).map(Process::image);
        let newest = images.max_by_key(|image| image.next_group());
        if let Some(image) = newest.filter(|image| image.next_group() >= self.newest_image.next_group()) {
            self.newest_image = Arc::clone(image);
        }
    }

    /// Lets a client act, and does what it wishes.
    pub(super) fn with_client(&mut self, id: ClientId, act: impl FnOnce(&mut dyn Client, &mut Desk<'_>)) {
        self.note_metadata();
        let mut desk = Desk {
            now: self.now,
            newest_image: &self.newest_image,
            nodes: &self.nodes,
            random: &mut self.random,
            next_ticket: &mut self.next_ticket,
            lossy: &self.invariants.lossy,
            jumped: self.jumped,
            is_calm: self.is_calm,
            ending: self.ending,
            wishes: Vec::new(),
        };
        act(&mut *self.clients[id], &mut desk);
        for wish in desk.wishes {
            match wish {
                Wish::WakeAfter(after) => self.schedule.at(self.now + after, Event::Wake { client: id }),
                Wish::Ask { node, ticket, call, patience } => {
                    self.trace.tell(self.now, format_args!("client {id} asks {node} {}", ticket.0));
                    self.open.insert(ticket, (id, node));
                    let timeout = Event::Answer { ticket, answer: Answer::TimedOut };
                    self.schedule.at(self.now + patience, timeout);
                    if let Some(at) = self.arrival(id, node) {
                        self.schedule.at(at, Event::Call { node, ticket, call });
                    }
                }
            }
        }
    }

    /// When a request that a client sends now arrives, if it does. If the connection breaks, the client notices, and knows
    /// nothing of what it had sent before.
    fn arrival(&mut self, client: ClientId, node: NodeId) -> Option<Duration> {
        let breaks = !self.is_calm && self.random.chance(CLIENT_LOSS);
        let connection = self.connections.entry((client, node)).or_default();
        if breaks {
            connection.broken_until = self.now + self.random.millis(1, BROKEN_MS);
        }
        if self.now < connection.broken_until {
            let sent = self.open.iter().filter(|(_, sent)| **sent == (client, node));
            for ticket in sent.map(|(ticket, _)| *ticket).collect::<Vec<_>>() {
                self.schedule.at(self.now, Event::Answer { ticket, answer: Answer::BrokenOff });
            }
            return None;
        }
        let at = self.now + self.random.micros(100, self.climate.client_delay);
        connection.last_arrival = at.max(connection.last_arrival);
        Some(connection.last_arrival)
    }
}
