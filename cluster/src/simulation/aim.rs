//! Faults that are aimed at a moment which chance rarely finds.
//!
//! One seed in eight has one of these beside its other faults.
//!
//! * A coordinator's process ends with an answer that tells a member of the consumer protocol the last step to its target. The
//!   decision is committed, and nobody hears it. That happens again and again, and once more when all other faults have ended.
//!   Members send the same request once more then, as librdkafka does.
//! * A peer's port refuses connections for a moment, many times a second, while its process lives. A leader takes the peer for
//!   lost, and for alive when it next hears it. So a leader that has too few replicas, and therefore refuses batches, has enough
//!   of them between two batches of one producer.

use std::time::Duration;

use super::call::{Answer, Call};
use super::event::Event;
use super::invariants::Violation;
use super::world::World;
use crate::coordinator::properties::is_last_step;
use crate::coordinator::{CoordinatorState, GroupRequest};
use crate::ids::{NodeId, Ticket};
use crate::transport::PeerEvent;

/// How many seeds there are for one of each kind.
const SEEDS: u64 = 16;

/// The time between two coordinators that end, in milliseconds.
const LAST_WORDS_MS: (u64, u64) = (500, 3_000);

/// The time between two refused connections, in milliseconds.
const REFUSALS_MS: (u64, u64) = (20, 400);

/// How long a coordinator is waited for that ends with an answer after all other faults, and how often it is looked whether one
/// has.
const AIM_FOR: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(50);

/// The longest time that a batch is on its way where batches are aimed at, in microseconds.
const CLIENT_DELAY: u64 = 150_000;

/// When the first such fault occurs.
const BEGINS: Duration = Duration::from_secs(1);

/// What a seed aims at. It is drawn from nothing, so that all other seeds stay what they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    Nothing,
    /// Answers with assignments.
    Assignments,
    /// Producers that have several batches under way, where replicas come and go.
    Batches,
}

impl Aim {
    pub(super) const fn of(seed: u64) -> Self {
        match seed % SEEDS {
            6 => Self::Assignments,
            14 => Self::Batches,
            _ => Self::Nothing,
        }
    }
}

impl World {
    /// Plans what this seed aims at.
    pub(super) fn begin_to_aim(&mut self) {
        if self.aim == Aim::Batches {
            self.climate.client_delay = CLIENT_DELAY;
        }
        if self.aim != Aim::Nothing {
            self.schedule.at(BEGINS, Event::TakeAim);
        }
    }

    /// Takes aim, now or again.
    pub(super) fn take_aim(&mut self) {
        let (first, last) = match self.aim {
            _ if self.is_calm => return,
            Aim::Nothing => return,
            Aim::Assignments => {
                self.ends_with_assignment = true;
                LAST_WORDS_MS
            }
            Aim::Batches => {
                self.refuse_a_connection();
                REFUSALS_MS
            }
        };
        let after = self.random.millis(first, last);
        self.schedule.at(self.now + after, Event::TakeAim);
    }

    /// A node is told that a peer's process listens no more, which is not so.
    fn refuse_a_connection(&mut self) {
        let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        let Some(node) = self.random.pick(&nodes) else { return };
        let Some(peer) = self.random.pick(&self.peers_of(node)) else { return };
        self.peer_event((node, peer), Duration::ZERO, PeerEvent::Refused);
        self.connect_soon((node, peer));
    }

    /// Whether an answer is lost because its process ends with it, as somebody took aim.
    pub(super) fn dies_with(&mut self, node: NodeId, ticket: Ticket, call: &Call, answer: &Answer) -> bool {
        if !self.ends_with_assignment || !self.is_last_step(node, call, answer) {
            return false;
        }
        self.ends_with_assignment = false;
        let life = self.nodes[&node].life;
        self.schedule.at(self.now, Event::End { node, life });
        self.answer_later(ticket, Answer::BrokenOff);
        true
    }

    fn is_last_step(&self, node: NodeId, call: &Call, answer: &Answer) -> bool {
        let Call::Coordinate { coordinator, request } = call else { return false };
        let Answer::Coordinated(Ok(response)) = answer else { return false };
        if !matches!(**request, GroupRequest::ConsumerHeartbeat(_)) {
            return false;
        }
        let view = self.nodes[&node].process().and_then(|process| process.shard.group_view(*coordinator));
        let state = view.and_then(|view| CoordinatorState::decode(&view.state()).ok());
        state.is_some_and(|state| is_last_step(request, response, &state))
    }

    /// Lets a coordinator end with an answer once more, after all other faults.
    pub(super) fn end_with_assignment(&mut self) -> Result<(), Violation> {
        self.calm_down()?;
        self.ends_with_assignment = true;
        let deadline = self.now + AIM_FOR;
        while self.ends_with_assignment && self.now < deadline {
            self.run_until(self.now + LOOK)?;
        }
        self.ends_with_assignment = false;
        Ok(())
    }
}
