//! A partition of `__consumer_offsets`: the replicated groups, and on its leader the coordinator that they belong to.
//!
//! The leader's coordinator is ahead of what is applied by what it has proposed, so requests do not wait for the ones
//! before them, and many of them share an entry. In return every answer is given only once all records that were written
//! before it are committed, its own included; one without a record once a majority has confirmed the leadership. When the leadership ends, the coordinator is thrown away with everything
//! that it was ahead.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{DecisionInputs, Proposal, SinceCheckpoint, Waiting};
use crate::controller::MetadataImage;
use crate::coordinator::{
    CoordinatorState, GroupCoordinator, GroupRequest, GroupResponse, decode_entry, encode_record,
    entry_header,
};
use crate::ids::Ticket;
use crate::shard::effects::{Effect, NotCoordinator};
use crate::survey::Survey;

/// Many requests' records become one Raft entry, up to about this size.
const MAX_ENTRY_BYTES: usize = 512 << 10;

/// Bytes of log between two checkpoints, at least. A checkpoint writes all groups anew, so that a larger state is
/// written less often: the log grows by as much as it before.
const MIN_CHECKPOINT_BYTES: u64 = 1 << 20;

/// The replicated groups of one coordinator, and its leader's work.
#[derive(Default)]
pub(crate) struct CoordinatorMachine {
    applied: CoordinatorState,
    leading: Option<Leading>,
    since_checkpoint: SinceCheckpoint,
    /// The length of the last checkpoint.
    checkpoint_bytes: u64,
}

struct Leading {
    coordinator: GroupCoordinator,
    queue: VecDeque<Decided>,
}

/// What came of one call of the coordinator: encoded records, and the answers that wait for them.
struct Decided {
    records: Vec<u8>,
    answers: Vec<(Ticket, GroupResponse)>,
}

impl CoordinatorMachine {
    pub(super) fn restore(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.applied = CoordinatorState::decode(bytes).map_err(|error| error.to_string())?;
        self.since_checkpoint = SinceCheckpoint::default();
        self.checkpoint_bytes = bytes.len() as u64;
        Ok(())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        self.applied.encode()
    }

    pub(super) const fn since_checkpoint(&mut self) -> &mut SinceCheckpoint {
        &mut self.since_checkpoint
    }

    /// How many bytes of log are worth a checkpoint.
    pub(super) fn checkpoint_every_bytes(&self) -> u64 {
        self.checkpoint_bytes.max(MIN_CHECKPOINT_BYTES)
    }

    /// A checkpoint of this length is on its way to the disk.
    pub(super) fn checkpoint_written(&mut self, bytes: usize) {
        self.since_checkpoint = SinceCheckpoint::default();
        self.checkpoint_bytes = bytes as u64;
    }

    pub(super) fn apply(&mut self, payload: &Bytes) -> Result<(), String> {
        self.since_checkpoint.count(payload.len());
        for record in decode_entry(payload).map_err(|error| error.to_string())? {
            self.applied.replay(&record);
        }
        Ok(())
    }

    pub(super) fn start_leading(&mut self, inputs: &DecisionInputs) {
        let mut leading = Leading {
            coordinator: GroupCoordinator::new(
                self.applied.clone(),
                Arc::clone(&inputs.defaults.groups),
                Arc::clone(&inputs.image),
                inputs.now,
            )
            .with_patterns(&inputs.patterns),
            queue: VecDeque::new(),
        };
        leading.take_decided();
        self.leading = Some(leading);
    }

    pub(super) fn stop_leading(&mut self, effects: &mut Vec<Effect>) {
        let Some(Leading { coordinator, queue }) = self.leading.take() else { return };
        let decided = queue.into_iter().flat_map(|decided| decided.answers).map(|(ticket, _)| ticket);
        for ticket in decided.chain(coordinator.abandon()) {
            effects.push(Effect::Coordinated { ticket, result: Err(NotCoordinator) });
        }
    }

    /// Whether something was decided that is to be proposed.
    pub(crate) fn has_queued(&self) -> bool {
        self.leading.as_ref().is_some_and(|leading| !leading.queue.is_empty())
    }

    /// Takes a request in, in the order of the calls. Refused unless this replica leads.
    pub(crate) fn request(
        &mut self,
        now: Duration,
        ticket: Ticket,
        request: GroupRequest,
        effects: &mut Vec<Effect>,
    ) {
        match &mut self.leading {
            Some(leading) => leading.decide(|coordinator| coordinator.handle(now, ticket, request)),
            None => effects.push(Effect::Coordinated { ticket, result: Err(NotCoordinator) }),
        }
    }

    /// Adds the groups that this replica coordinates, as committed, to `survey`.
    pub(in crate::shard) fn count_in(&self, survey: &mut Survey) {
        if let Some(leading) = &self.leading {
            leading.coordinator.count_states(&mut survey.consumer_groups);
            survey.committed_offsets.extend(self.applied.committed_offsets());
        }
    }

    /// This process stood still for so long.
    pub(crate) fn stood_still(&mut self, gap: Duration) {
        if let Some(leading) = &mut self.leading {
            leading.coordinator.stood_still(gap);
        }
    }

    /// Does what has become due.
    pub(crate) fn tick(&mut self, now: Duration) {
        let Some(leading) = &mut self.leading else { return };
        if leading.coordinator.next_deadline().is_some_and(|deadline| deadline <= now) {
            leading.decide(|coordinator| coordinator.handle_timeout(now));
        }
    }

    /// The cluster's metadata has changed; `topics_deleted` when topics are gone.
    pub(crate) fn metadata_changed(
        &mut self,
        now: Duration,
        image: &Arc<MetadataImage>,
        topics_deleted: bool,
    ) {
        let Some(leading) = &mut self.leading else { return };
        leading.coordinator.set_image(Arc::clone(image));
        if topics_deleted {
            leading.decide(|coordinator| coordinator.topics_deleted(now));
        }
    }

    /// Removes what is too old.
    pub(crate) fn expire(&mut self, now: Duration) {
        if let Some(leading) = &mut self.leading {
            leading.decide(|coordinator| coordinator.expire(now));
        }
    }

    /// Puts what was decided since the last time into one payload. Answers without any record are given once a majority
    /// confirms that this is still the coordinator, and what was proposed before them is committed.
    pub(super) fn next_proposal(&mut self) -> Option<Proposal> {
        let leading = self.leading.as_mut().filter(|leading| !leading.queue.is_empty())?;
        let mut payload = Vec::new();
        let mut waiting = Vec::new();
        while let Some(decided) = leading.queue.front() {
            if !payload.is_empty() && payload.len() + decided.records.len() > MAX_ENTRY_BYTES {
                break;
            }
            let Some(Decided { records, answers }) = leading.queue.pop_front() else { break };
            if payload.is_empty() && !records.is_empty() {
                payload = entry_header();
            }
            payload.extend(records);
            waiting.extend(
                answers
                    .into_iter()
                    .map(|(ticket, response)| Waiting::Group { ticket, response: Box::new(response) }),
            );
        }
        let is_read = payload.is_empty();
        Some(if is_read { Proposal::Read { waiting } } else { Proposal::Entry { payload, waiting } })
    }
}

#[cfg(test)]
impl CoordinatorMachine {
    pub(crate) fn take_back_use(&mut self) {
        let Some(Leading { coordinator, queue }) = &mut self.leading else { return };
        for decided in queue.iter_mut().filter(|decided| !decided.records.is_empty()) {
            let payload = [entry_header(), std::mem::take(&mut decided.records)].concat();
            for record in decode_entry(&payload).expect("a coordinator reads what it has just written") {
                if !coordinator.take_back_use(&self.applied, &record) {
                    encode_record(&record, &mut decided.records);
                }
            }
        }
    }

    pub(crate) fn be_ahead(&mut self, by: Duration) {
        if let Some(leading) = &mut self.leading {
            leading.coordinator.be_ahead(by);
        }
    }

    pub(crate) fn confirm_members(&mut self) {
        if let Some(leading) = &mut self.leading {
            leading.coordinator.confirm_members();
        }
    }
}

impl Leading {
    fn decide(&mut self, call: impl FnOnce(&mut GroupCoordinator)) {
        call(&mut self.coordinator);
        self.take_decided();
    }

    fn take_decided(&mut self) {
        let actions = self.coordinator.take_actions();
        if actions.records.is_empty() && actions.answers.is_empty() {
            return;
        }
        let mut records = Vec::new();
        let mut last = None;
        for record in &actions.records {
            // A sweep over all groups may write more than an entry ought to hold.
            let may_part = last.is_some_and(|last| record.is_independent_of(last));
            if may_part && records.len() >= MAX_ENTRY_BYTES {
                self.queue.push_back(Decided { records: std::mem::take(&mut records), answers: Vec::new() });
            }
            encode_record(record, &mut records);
            last = Some(record);
        }
        self.queue.push_back(Decided { records, answers: actions.answers });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use uuid::Uuid;

    use super::*;
    use crate::controller::configs::BrokerSettings;
    use crate::controller::{ControllerRecord, PartitionRecord, Quorum};
    use crate::coordinator::{CommitOffsets, CommitPartition, CommitTopic, TopicPatterns};
    use crate::ids::{NodeId, Offset, PartitionIndex, TopicId};
    use crate::shard::ProducerLimits;
    use crate::shard::producers::KnownProducers;

    fn leading_with_topic(name: &str) -> CoordinatorMachine {
        let mut image = MetadataImage::default();
        image.replay(&ControllerRecord::TopicCreated {
            name: name.to_owned(),
            id: TopicId(Uuid::from_u128(7)),
            partitions: vec![PartitionRecord { group: 1, replicas: vec![NodeId(1)] }],
            configs: BTreeMap::new(),
        });
        let mut machine = CoordinatorMachine::default();
        machine.start_leading(&DecisionInputs {
            alive: BTreeSet::new(),
            has_room: true,
            defaults: Arc::new(BrokerSettings::default()),
            patterns: TopicPatterns::in_place(),
            image: Arc::new(image),
            producer_room: KnownProducers::new(ProducerLimits::DEFAULT).room(1),
            now: Duration::ZERO,
            quorum: Quorum::default(),
        });
        machine
    }

    fn commit(group: &str, topic: &str) -> GroupRequest {
        let partition = CommitPartition {
            index: PartitionIndex(0),
            offset: Offset(1),
            leader_epoch: None,
            metadata: String::new(),
        };
        GroupRequest::CommitOffsets(CommitOffsets {
            group: group.into(),
            member: "".into(),
            epoch: -1,
            instance: None,
            retention_ms: None,
            knows_epochs: true,
            topics: vec![CommitTopic { name: topic.into(), partitions: vec![partition] }],
        })
    }

    /// The payloads of all entries to propose, and how many answers wait for each.
    fn entries(machine: &mut CoordinatorMachine) -> Vec<(Vec<u8>, usize)> {
        let entry = |proposal| match proposal {
            Proposal::Entry { payload, waiting } => (payload, waiting.len()),
            Proposal::Repetition { .. } | Proposal::Read { .. } => panic!("nothing was only asked"),
        };
        std::iter::from_fn(|| machine.next_proposal()).map(entry).collect()
    }

    #[test]
    fn a_sweep_over_all_groups_becomes_many_entries() {
        let mut machine = leading_with_topic("t");
        let groups = (0..100).map(|number| format!("{number:010000}")).collect::<Vec<_>>();
        for (ticket, group) in (0..).zip(&groups) {
            machine.request(Duration::ZERO, Ticket(ticket), commit(group, "t"), &mut Vec::new());
        }
        assert_eq!(entries(&mut machine).iter().map(|(_, waiting)| waiting).sum::<usize>(), groups.len());

        machine.expire(Duration::from_secs(365 * 24 * 3600));
        let entries = entries(&mut machine);
        assert!(entries.iter().all(|(payload, _)| payload.len() < MAX_ENTRY_BYTES + 20_000));
        let records = entries.iter().map(|(payload, _)| decode_entry(payload).unwrap().len());
        assert_eq!(records.sum::<usize>(), groups.len());
    }
}
