//! A member of a consumer group, which comes and goes. What it does as a member is what the clients of the coordinator's
//! [properties] do; here its requests find their way to the coordinator, wherever that leads.
//!
//! [properties]: crate::coordinator::properties

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Client, Desk, Share};
use crate::coordinator::properties::{Client as GroupClient, Identity, Topics};
use crate::coordinator::{GroupProtocol, GroupRequest};
use crate::ids::Ticket;
use crate::simulation::call::{Answer, Call};

/// The topics that members subscribe to. Some of them come and go.
const TOPICS: [&str; 4] = ["orders", "pair", "passing-1", "passing-2"];

/// Longer than any member waits: it gives up by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many of a thousand times that a member might do something it ends, in order or without a word.
const ENDS: u64 = 4;

/// How many of a thousand times a new one starts in its place.
const STARTS: u64 = 60;

/// How many of a thousand times somebody would rather delete the group. It is, if nobody else is in it.
const DELETES: u64 = 20;

/// See the module's documentation.
pub(super) struct Member {
    /// Its place among all members.
    place: usize,
    client: GroupClient,
    protocol: GroupProtocol,
    is_running: bool,
    ending: bool,
}

impl Member {
    /// One of two classic groups, of eager and of cooperative members, or of a group of the consumer protocol.
    pub(super) fn new(number: usize) -> Self {
        Self::numbered(number, number)
    }

    /// The same as one that sends a request without an answer once more. Clients with odd numbers do.
    pub(super) fn that_repeats_itself(self) -> Self {
        Self::numbered(self.place, 2 * self.place + 1)
    }

    fn numbered(place: usize, number: usize) -> Self {
        let (group, protocol) = match place / 2 {
            0 => ("eager", GroupProtocol::Classic),
            1 => ("cooperative", GroupProtocol::Classic),
            _ => ("consumer", GroupProtocol::Consumer),
        };
        let identity = Identity {
            number,
            group: group.into(),
            instance: None,
            is_cooperative: group == "cooperative",
            topics: TOPICS.map(str::to_owned).into_iter().collect::<BTreeSet<_>>(),
        };
        Self { place, client: GroupClient::new(identity), protocol, is_running: false, ending: false }
    }

    fn ask(&self, request: GroupRequest, desk: &mut Desk<'_>) -> Option<Ticket> {
        let coordinator = desk.coordinator_of(self.client.group())?;
        let request = Box::new(request);
        let node = desk.leader(coordinator);
        Some(desk.ask_within(PATIENCE, node, Call::Coordinate { coordinator, request }))
    }

    /// Comes, or goes.
    fn change(&mut self, desk: &mut Desk<'_>) {
        if !self.is_running {
            if desk.random.chance(STARTS) {
                let fresh = desk.fresh_id();
                self.client.start(desk.now, self.protocol, fresh);
                self.is_running = true;
            } else if desk.random.chance(DELETES) {
                self.ask(GroupRequest::Delete(self.client.group().clone()), desk);
            }
        } else if desk.random.chance(ENDS) {
            self.is_running = false;
            if desk.random.chance(500) {
                self.client.kill();
            } else if let Some(request) = self.client.stop() {
                self.ask(request, desk);
            }
        }
    }
}

impl Client for Member {
    fn wake(&mut self, desk: &mut Desk<'_>) {
        self.ending |= desk.ending;
        if !self.ending {
            self.change(desk);
        }
        if self.is_running && desk.now >= self.client.due {
            let topics = Topics::from(&*desk.image());
            let fresh = desk.fresh_id();
            if let Some(request) = self.client.act(desk.now, &topics, fresh) {
                self.client.waiting = self.ask(request, desk);
                if self.client.waiting.is_none() {
                    self.client.lose_answer(desk.now);
                }
            }
        }
        desk.wake_within(20, 80);
    }

    fn answered(&mut self, ticket: Ticket, answer: Answer, desk: &mut Desk<'_>) {
        if self.client.waiting != Some(ticket) {
            return;
        }
        match answer {
            Answer::Coordinated(Ok(response)) => {
                // It is told topics by name, and needs no node to know them.
                let topics = Topics::from(desk.newest_image);
                self.client.hear(desk.now, &topics, response);
                // Some refusals end the process: a group was deleted before its first member knew that it had joined, for example.
                self.is_running = self.client.is_running();
            }
            _ => self.client.lose_answer(desk.now),
        }
    }

    fn is_done(&self) -> bool {
        self.ending && self.client.is_settled()
    }

    fn share(&self) -> Option<Share<'_>> {
        let client = &self.client;
        client.is_running().then(|| Share {
            group: client.group(),
            topics: client.topics(),
            owned: client.owned(),
        })
    }
}
