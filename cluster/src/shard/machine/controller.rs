//! The controller: the cluster's metadata, and on its leader the requests that wait for a decision.
//!
//! Decisions are made one entry at a time, each against an image that holds all decisions before it. A queue of
//! requests therefore takes a commit each, which is a millisecond; nothing has to be undone when a leader falls.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::{DecisionInputs, Proposal, SinceCheckpoint, Waiting};
use crate::controller::{
    ControllerRecord, ControllerRequest, DecisionContext, MetadataImage, decide, decode_entry,
};
use crate::ids::TopicId;
use crate::shard::effects::{Effect, NotController, Ticket};

/// How many requests may wait for a decision; more are refused and tried again by whoever sent them.
const MAX_QUEUED: usize = 1024;

/// What the requests that are decided in one round count for, in bytes, and one request more at the most. The others wait for the next
/// round, so that the driver looks at its clock in between.
const MAX_DECIDED_BYTES: usize = 1 << 20;

/// A request for the controller.
pub(crate) struct ControlRequest {
    pub(crate) ticket: Ticket,
    pub(crate) request: ControllerRequest,
    /// Fresh topic ids, as many as the request names topics: the machine has no randomness of its own.
    pub(crate) topic_ids: Vec<TopicId>,
}

/// The replicated metadata, and its leader's work.
#[derive(Default)]
pub(crate) struct ControllerMachine {
    image: Arc<MetadataImage>,
    leading: Option<Leading>,
    since_checkpoint: SinceCheckpoint,
}

#[derive(Default)]
struct Leading {
    queue: VecDeque<ControlRequest>,
    /// A decision is on its way into the log: the next one waits for it.
    deciding: bool,
}

impl ControllerMachine {
    pub(crate) const fn image(&self) -> &Arc<MetadataImage> {
        &self.image
    }

    pub(super) fn restore(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.image = Arc::new(MetadataImage::decode(bytes).map_err(|error| error.to_string())?);
        self.since_checkpoint = SinceCheckpoint::default();
        Ok(())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        self.image.encode()
    }

    pub(super) const fn since_checkpoint(&mut self) -> &mut SinceCheckpoint {
        &mut self.since_checkpoint
    }

    pub(super) fn apply(&mut self, payload: &Bytes) -> Result<Vec<ControllerRecord>, String> {
        self.since_checkpoint.count(payload.len());
        let records = decode_entry(payload).map_err(|error| error.to_string())?;
        let image = Arc::make_mut(&mut self.image);
        for record in &records {
            image.replay(record);
        }
        if let Some(leading) = &mut self.leading {
            leading.deciding = false;
        }
        Ok(records)
    }

    pub(super) fn start_leading(&mut self) {
        self.leading = Some(Leading::default());
    }

    pub(super) fn stop_leading(&mut self, effects: &mut Vec<Effect>) {
        for request in self.leading.take().into_iter().flat_map(|leading| leading.queue) {
            effects.push(Effect::Answered { ticket: request.ticket, result: Err(NotController) });
        }
    }

    pub(super) fn has_queued(&self) -> bool {
        self.leading.as_ref().is_some_and(|leading| !leading.deciding && !leading.queue.is_empty())
    }

    pub(crate) fn enqueue(&mut self, request: ControlRequest, effects: &mut Vec<Effect>) {
        match &mut self.leading {
            Some(leading) if leading.queue.len() < MAX_QUEUED => leading.queue.push_back(request),
            _ => effects.push(Effect::Answered { ticket: request.ticket, result: Err(NotController) }),
        }
    }

    /// Decides request after request until one needs an entry, or as many as a round may. The answers of those that need none rest
    /// on metadata that another controller may have changed by now: they wait for that entry, or for a majority's confirmation.
    pub(super) fn next_proposal(&mut self, inputs: &DecisionInputs) -> Option<Proposal> {
        let leading = self.leading.as_mut().filter(|leading| !leading.deciding)?;
        let mut waiting = Vec::new();
        let mut bytes = 0;
        while bytes < MAX_DECIDED_BYTES
            && let Some(ControlRequest { ticket, request, mut topic_ids }) = leading.queue.pop_front()
        {
            bytes += request.bytes();
            let mut new_topic_id =
                || topic_ids.pop().expect("a request brings an id for each topic it names");
            let mut context = DecisionContext {
                alive: &inputs.alive,
                has_room: inputs.has_room,
                defaults: &inputs.defaults,
                new_topic_id: &mut new_topic_id,
                quorum: &inputs.quorum,
            };
            let (entry, response) = decide(&self.image, &request, &mut context).into_entry();
            waiting.push(Waiting::Control { ticket, response });
            if let Some(payload) = entry {
                leading.deciding = true;
                return Some(Proposal::Entry { payload, waiting });
            }
        }
        (!waiting.is_empty()).then_some(Proposal::Read { waiting })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::controller::configs::BrokerSettings;
    use crate::controller::{DeleteTopics, Quorum, TopicRef};
    use crate::coordinator::TopicPatterns;
    use crate::shard::ProducerLimits;
    use crate::shard::producers::KnownProducers;

    #[test]
    fn a_round_decides_a_bounded_number_of_bytes() {
        let inputs = DecisionInputs {
            alive: BTreeSet::new(),
            has_room: true,
            defaults: Arc::new(BrokerSettings::default()),
            patterns: TopicPatterns::in_place(),
            image: Arc::default(),
            producer_room: KnownProducers::new(ProducerLimits::DEFAULT).room(1),
            now: Duration::ZERO,
            quorum: Quorum::default(),
        };
        let (mut machine, mut effects) = (ControllerMachine::default(), Vec::new());
        machine.start_leading();
        for ticket in 0..10 {
            let topics = vec![TopicRef::Name("x".repeat(MAX_DECIDED_BYTES / 4))];
            let request = ControllerRequest::DeleteTopics(DeleteTopics { topics });
            let request = ControlRequest { ticket: Ticket(ticket), request, topic_ids: Vec::new() };
            machine.enqueue(request, &mut effects);
        }
        let mut rounds = Vec::new();
        while let Some(Proposal::Read { waiting }) = machine.next_proposal(&inputs) {
            rounds.push(waiting.len());
        }
        assert_eq!((rounds, machine.has_queued()), (vec![4, 4, 2], false));
    }
}
