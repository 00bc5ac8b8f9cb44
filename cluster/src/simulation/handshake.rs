//! Who is recognized as what: handshakes as the transport shakes hands, played by hand.
//!
//! A connection stands once the other side has answered, and it carries the frames of one process with one store. What a
//! process with an earlier store has sent is lost where a connection of a later one begins.

use super::event::Event;
use super::invariants::Violation;
use super::mutant::{Mutant, readmit_at_once};
use super::network::Link;
use super::node::{Input, Node, Process};
use super::world::World;
use crate::acquaintances::{Recognition, last_readmitted};
use crate::ids::{NodeId, StoreId};
use crate::transport::{Frame, PeerEvent};

impl World {
    /// Whether an input gets through to the process: a frame on a connection that still stands, or a connection to somebody
    /// who answers, of whom the process then hears first as what it is recognized.
    pub(super) fn arrives(&mut self, id: NodeId, life: u32, input: &Input) -> Result<bool, Violation> {
        match *input {
            Input::Frame { from, store, .. } => {
                Ok(self.nodes[&id].process().is_some_and(|process| process.takes_frames_of(from, store)))
            }
            Input::Peer { peer, event: PeerEvent::Connected } => {
                let Some(recognition) = self.shake_hands((id, peer)) else { return Ok(false) };
                let event = PeerEvent::Recognized(recognition);
                self.input(id, life, Input::Peer { peer, event }).map(|()| true)
            }
            _ => Ok(true),
        }
    }

    /// What the peer says as what it recognizes a node that dials it; none if it does not answer.
    fn shake_hands(&mut self, link: Link) -> Option<Recognition> {
        let store = self.nodes[&link.0].disk.id();
        let recognition = self.nodes.get_mut(&link.1)?.meet(link.0, store);
        if recognition.is_none() {
            // Dialled again, until somebody answers or is known to be gone.
            self.connect_soon(link);
        }
        if self.mutant == Some(Mutant::TrustEmptyDisk) {
            return recognition.map(|_| Recognition::First);
        }
        recognition
    }

    /// A mutant's answer to who asks to be readmitted. Returns whether there is one.
    pub(super) fn is_readmitted_at_once(&mut self, (node, asked): Link, question: &Frame) -> bool {
        let answer = readmit_at_once(question).filter(|_| self.mutant == Some(Mutant::ReadmitAtOnce));
        let Some(frame) = answer else { return false };
        let (life, store) = (self.nodes[&node].life, self.nodes[&asked].disk.id());
        let input = Input::Frame { from: asked, store, frame };
        self.schedule.at(self.now, Event::Input { node, life, input });
        true
    }
}

impl Node {
    /// As what a peer that has `store` is recognized here; none while nobody answers. What has to be written down is durable
    /// at once.
    pub(super) fn meet(&mut self, peer: NodeId, store: StoreId) -> Option<Recognition> {
        let process = self.running.as_mut().filter(|process| process.paused.is_none())?;
        let readmitted = last_readmitted(peer, &process.store).expect("what is known of peers is read");
        let (recognition, batch) = process.acquaintances.meet(peer, store, readmitted).ok()?;
        if let Some(batch) = batch {
            self.disk.apply(&process.store, batch);
            self.disk.synced(self.disk.written());
        }
        Some(recognition)
    }
}

impl Process {
    /// Whether a frame that a process of `from` with `store` has sent still counts: a connection of an earlier store ends
    /// where one of a later one begins.
    fn takes_frames_of(&self, from: NodeId, store: StoreId) -> bool {
        self.acquaintances.store_of(from).is_none_or(|known| known == store)
    }
}
