//! What a Raft group replicates: the state that its entries change, and what its leader proposes.
//!
//! All kinds follow one pattern, decide → record → replay: a leader decides against what it knows, proposes the
//! outcome, and every replica applies it. Applying never refuses, and applying an entry twice changes nothing.

mod controller;
mod coordinator;
mod partition;
mod scrutiny;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use trilog_storage::{Store, StoreError, WriteBatch};

pub(crate) use self::controller::{ControlRequest, ControllerMachine};
pub(crate) use self::coordinator::CoordinatorMachine;
pub(crate) use self::partition::{AppendRequest, DeletionRequest, PartitionMachine};
pub(super) use self::scrutiny::{LogEnd, end_of_records};
use super::effects::{
    AppendError, Appended, DeleteRecordsError, Effect, NotController, NotCoordinator, Ticket,
};
use super::producers::ProducerRoom;
use crate::controller::configs::BrokerSettings;
use crate::controller::{ControllerRecord, ControllerResponse, MetadataImage, Quorum};
use crate::coordinator::{GroupResponse, TopicPatterns};
use crate::ids::{LeaderEpoch, NodeId, Offset, RaftGroupId, RaftIndex};
use crate::partition::ProducerError;
use crate::replica::RecentEntry;

/// The key of the record that holds a machine's checkpoint.
const CHECKPOINT_KEY: &[u8] = b"checkpoint";

/// What an accepted proposal answers once it is applied.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A batch, and how many replicas must hold it when that is more than a majority.
    Append { ticket: Ticket, appended: Appended, replicas: Option<usize> },
    /// That a batch is out of its producer's order, or of an older producer.
    Refusal { ticket: Ticket, error: ProducerError },
    /// Where the log starts now, or that it cannot start where it should.
    Deletion { ticket: Ticket, result: Result<Offset, DeleteRecordsError> },
    /// A decision of the controller.
    Control { ticket: Ticket, response: ControllerResponse },
    /// A decision of a group coordinator.
    Group { ticket: Ticket, response: Box<GroupResponse> },
}

impl Waiting {
    /// The ticket of an append.
    pub(super) const fn append_ticket(&self) -> Option<Ticket> {
        match self {
            Self::Append { ticket, .. } | Self::Refusal { ticket, .. } => Some(*ticket),
            Self::Deletion { .. } | Self::Control { .. } | Self::Group { .. } => None,
        }
    }

    /// The answer when the proposal is known not to be in the log.
    pub(super) fn refused(self) -> Effect {
        match self {
            Self::Append { ticket, .. } | Self::Refusal { ticket, .. } => {
                Effect::Appended { ticket, result: Err(AppendError::NotLeader) }
            }
            Self::Deletion { ticket, .. } => {
                Effect::RecordsDeleted { ticket, result: Err(DeleteRecordsError::NotLeader) }
            }
            Self::Control { ticket, .. } => Effect::Answered { ticket, result: Err(NotController) },
            Self::Group { ticket, .. } => Effect::Coordinated { ticket, result: Err(NotCoordinator) },
        }
    }

    /// The answer when the proposal's fate will not be learnt. Whoever asked for anything else than an append asks again,
    /// and finds what its request did.
    pub(super) fn unknown(self) -> Effect {
        match self {
            Self::Append { ticket, .. } => Effect::Appended { ticket, result: Err(AppendError::Unknown) },
            other @ (Self::Refusal { .. }
            | Self::Deletion { .. }
            | Self::Control { .. }
            | Self::Group { .. }) => other.refused(),
        }
    }
}

/// What a group is for. Decided by the topic whose partition it is, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The cluster's metadata.
    Controller,
    /// A partition of `__consumer_offsets`: consumer groups.
    Coordinator,
    /// Any other partition: records.
    Partition,
}

/// What a decision depends on besides the state and the request.
pub(crate) struct DecisionInputs {
    pub(crate) alive: BTreeSet<NodeId>,
    /// Whether a majority of the nodes has room on its disk.
    pub(crate) has_room: bool,
    pub(crate) defaults: Arc<BrokerSettings>,
    /// The node's compiled topic patterns.
    pub(crate) patterns: Arc<TopicPatterns>,
    /// The metadata as this node has applied it.
    pub(crate) image: Arc<MetadataImage>,
    /// The room for new idempotent producers.
    pub(super) producer_room: ProducerRoom,
    pub(crate) now: Duration,
    /// How the controller's group stood when that was asked for last.
    pub(crate) quorum: Quorum,
}

/// Something to propose, and what waits for it.
pub(super) enum Proposal {
    /// An entry with this payload.
    Entry { payload: Vec<u8>, waiting: Vec<Waiting> },
    /// Nothing new: these wait for what was proposed last, of which they are copies.
    Repetition { waiting: Vec<Waiting> },
    /// Nothing new: these rest on what is known here, and wait for a majority to confirm that it is up to date.
    Read { waiting: Vec<Waiting> },
}

/// What applying an entry did.
pub(super) enum Applied {
    /// Nothing that anybody outside has to hear of.
    Nothing,
    /// Records became readable.
    Records(RecentEntry),
    /// The metadata changed by these records.
    Metadata(Vec<ControllerRecord>),
}

/// The replicated state of one group.
pub(super) enum Machine {
    Controller(ControllerMachine),
    Coordinator(CoordinatorMachine),
    Partition(PartitionMachine),
}

/// How much of a long snapshot is in one frame: little beside what may wait for a peer, so that a heartbeat is never far behind.
const PART_BYTES: usize = 1 << 20;

/// When state is written out, what the log keeps behind it, and how it travels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CheckpointPolicy {
    /// A checkpoint is written after this many entries at the latest: what a restart replays.
    pub(crate) every_entries: u64,
    /// And after this many bytes of payload.
    pub(crate) every_bytes: u64,
    /// And as soon as a restart would replay more than this of all the node's partitions: then the one with the most has its turn.
    pub(crate) node_bytes: u64,
    /// Entries that stay in the log though its state stands for them, and spare a follower that was away a snapshot.
    pub(crate) kept_entries: u64,
    /// More than this many bytes of a partition's records do not stay for that reason.
    pub(crate) kept_bytes: u64,
    /// A snapshot that is longer than this many bytes travels in parts of this length.
    pub(crate) part_bytes: usize,
}

impl Default for CheckpointPolicy {
    fn default() -> Self {
        Self {
            every_entries: 1024,
            every_bytes: 64 << 20,
            node_bytes: 32 << 20,
            kept_entries: 1024,
            kept_bytes: 16 << 20,
            part_bytes: PART_BYTES,
        }
    }
}

impl CheckpointPolicy {
    /// Anything that was applied is written out now.
    pub(super) const AT_ONCE: Self = Self {
        every_entries: 1,
        every_bytes: 1,
        node_bytes: 0,
        kept_entries: 0,
        kept_bytes: 0,
        part_bytes: PART_BYTES,
    };

    /// Nothing stays for the sake of followers.
    pub(super) const fn keeping_nothing(self) -> Self {
        Self { kept_entries: 0, kept_bytes: 0, ..self }
    }

    /// For a state that is `bytes` long, which is not written for fewer entries than take as long to read.
    const fn for_length(self, bytes: u64) -> Self {
        let entries = bytes / ENTRY_READ_BYTES;
        if self.every_bytes < bytes || self.every_entries > entries {
            self
        } else {
            Self { every_entries: entries, ..self }
        }
    }

    /// For a state that only grows with what it holds: written out once the log behind it has grown by `bytes`.
    const fn by_bytes(self, bytes: u64) -> Self {
        if self.every_bytes < bytes {
            self
        } else {
            Self { every_entries: u64::MAX, every_bytes: bytes, ..self }
        }
    }
}

/// Where a machine's last checkpoint stands, and how much has been applied since.
#[derive(Default)]
struct SinceCheckpoint {
    entries: u64,
    bytes: u64,
}

/// What a restart would replay of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Replay {
    /// The entries that it would read, in bytes.
    pub(super) bytes: u64,
    /// Below this a checkpoint is not worth its writing.
    pub(super) least: u64,
}

/// What reading an entry counts for beside its bytes: finding a row takes as long as reading this much of it.
const ENTRY_READ_BYTES: u64 = 1024;

impl SinceCheckpoint {
    const fn count(&mut self, bytes: usize) {
        self.entries += 1;
        self.bytes += bytes as u64;
    }
}

impl Machine {
    /// The machine of a group in which nothing has happened.
    pub(super) fn new(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Controller => Self::Controller(ControllerMachine::default()),
            Purpose::Coordinator => Self::Coordinator(CoordinatorMachine::default()),
            Purpose::Partition => Self::Partition(PartitionMachine::default()),
        }
    }

    /// The machine as its last checkpoint has it, of a group whose log has given up everything up to `truncated`.
    pub(super) fn load(
        store: &Store,
        group: RaftGroupId,
        purpose: Purpose,
        truncated: RaftIndex,
    ) -> Result<Self, StoreError> {
        let checkpoint = store.record(group, CHECKPOINT_KEY)?;
        let mut machine = Self::new(purpose);
        if let Some(bytes) = checkpoint {
            machine.restore(&bytes).map_err(|detail| damaged(group, &detail))?;
        }
        if let Self::Partition(machine) = &mut machine {
            machine.load_cut_points(store, group, truncated)?;
        }
        Ok(machine)
    }

    /// Replaces the state by an encoded one.
    pub(super) fn restore(&mut self, bytes: &[u8]) -> Result<(), String> {
        match self {
            Self::Controller(machine) => machine.restore(bytes),
            Self::Coordinator(machine) => machine.restore(bytes),
            Self::Partition(machine) => machine.restore(bytes),
        }
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Controller(machine) => machine.encode(),
            Self::Coordinator(machine) => machine.encode(),
            Self::Partition(machine) => machine.encode(),
        }
    }

    /// Applies a committed entry's payload.
    pub(super) fn apply(
        &mut self,
        group: RaftGroupId,
        index: RaftIndex,
        payload: &Bytes,
        batch: &mut WriteBatch,
    ) -> Result<Applied, StoreError> {
        if payload.is_empty() {
            return Ok(Applied::Nothing);
        }
        match self {
            Self::Controller(machine) => {
                machine.apply(payload).map(Applied::Metadata).map_err(|detail| damaged(group, &detail))
            }
            Self::Coordinator(machine) => {
                machine.apply(payload).map(|()| Applied::Nothing).map_err(|detail| damaged(group, &detail))
            }
            Self::Partition(machine) => {
                let recent = machine.apply(group, index, payload, batch);
                Ok(recent.map_or(Applied::Nothing, Applied::Records))
            }
        }
    }

    /// Writes a checkpoint when enough has been applied since the last one, the last time the entry at `applied`. Returns
    /// whether it did: the caller then moves the applied index in the same batch.
    pub(super) fn checkpoint(
        &mut self,
        group: RaftGroupId,
        applied: RaftIndex,
        policy: CheckpointPolicy,
        batch: &mut WriteBatch,
    ) -> bool {
        let (since, policy) = match self {
            Self::Controller(machine) => (machine.since_checkpoint(), policy),
            Self::Coordinator(machine) => {
                let policy = policy.by_bytes(machine.checkpoint_every_bytes());
                (machine.since_checkpoint(), policy)
            }
            Self::Partition(machine) => {
                let policy = policy.for_length(machine.checkpoint_bytes());
                (machine.since_checkpoint(), policy)
            }
        };
        let is_due = since.entries >= policy.every_entries || since.bytes >= policy.every_bytes;
        if !is_due && !matches!(self, Self::Partition(machine) if machine.is_emptied()) {
            return false;
        }
        self.write_checkpoint(group, applied, policy, batch);
        true
    }

    /// Writes a checkpoint, due or not. The caller moves the applied index in the same batch.
    pub(super) fn write_checkpoint(
        &mut self,
        group: RaftGroupId,
        applied: RaftIndex,
        policy: CheckpointPolicy,
        batch: &mut WriteBatch,
    ) {
        let encoded = self.encode();
        batch.put_record(group, CHECKPOINT_KEY, encoded.clone());
        match self {
            Self::Controller(machine) => *machine.since_checkpoint() = SinceCheckpoint::default(),
            Self::Coordinator(machine) => machine.checkpoint_written(encoded.len()),
            Self::Partition(machine) => machine.checkpoint_written(group, applied, encoded, policy, batch),
        }
    }

    /// What a restart would replay. Nothing of the controller and of coordinators: their checkpoints follow the size of
    /// their states, and they are few.
    pub(super) const fn replay(&self) -> Replay {
        match self {
            Self::Controller(_) | Self::Coordinator(_) => Replay { bytes: 0, least: 0 },
            Self::Partition(machine) => machine.replay(),
        }
    }

    /// Writes the state that a snapshot brought, which is that as of the entry at `index`, as this group's checkpoint.
    pub(super) fn checkpoint_snapshot(
        &mut self,
        group: RaftGroupId,
        index: RaftIndex,
        batch: &mut WriteBatch,
    ) {
        batch.put_record(group, CHECKPOINT_KEY, self.encode());
        if let Self::Partition(machine) = self {
            machine.snapshot_installed(group, index, batch);
        }
    }

    /// Up to which entry the log can go, of a group whose last checkpoint is as of `checkpoint` and which has applied the
    /// entry at `applied`. For the controller and the coordinators the checkpoint replaces the log; a partition's log is what
    /// consumers read.
    pub(super) fn cut(
        &mut self,
        group: RaftGroupId,
        checkpoint: RaftIndex,
        applied: RaftIndex,
        policy: CheckpointPolicy,
        batch: &mut WriteBatch,
    ) -> Option<RaftIndex> {
        match self {
            Self::Controller(_) | Self::Coordinator(_) => {
                Some(RaftIndex(checkpoint.0.saturating_sub(policy.kept_entries)))
            }
            Self::Partition(machine) => machine.cut(group, applied, policy, batch),
        }
    }

    /// A snapshot for a follower that lacks what the log has given up, and the entry that it is as of: what it gets after it
    /// is the log behind that. The controller's and the coordinators' is their state as of `applied`.
    pub(super) fn snapshot(
        &self,
        store: &Store,
        group: RaftGroupId,
        truncated: RaftIndex,
        applied: RaftIndex,
    ) -> Result<Option<(RaftIndex, Bytes)>, StoreError> {
        Ok(match self {
            Self::Controller(_) | Self::Coordinator(_) => Some((applied, self.encode().into())),
            Self::Partition(_) => {
                partition::base_state(store, group, truncated)?.map(|state| (truncated, state.into()))
            }
        })
    }

    /// How many idempotent producers it remembers.
    pub(super) fn producers(&self) -> usize {
        match self {
            Self::Controller(_) | Self::Coordinator(_) => 0,
            Self::Partition(machine) => machine.producers(),
        }
    }

    /// The state, encoded.
    #[cfg(test)]
    pub(super) fn state(&self) -> Bytes {
        self.encode().into()
    }

    /// An entry of this leader's own term is applied: it may decide from now on.
    pub(super) fn start_leading(&mut self, epoch: LeaderEpoch, inputs: &DecisionInputs) {
        match self {
            Self::Controller(machine) => machine.start_leading(),
            Self::Coordinator(machine) => machine.start_leading(inputs),
            Self::Partition(machine) => machine.start_leading(epoch),
        }
    }

    /// The term is over. What was queued and never proposed is refused.
    pub(super) fn stop_leading(&mut self, effects: &mut Vec<Effect>) {
        match self {
            Self::Controller(machine) => machine.stop_leading(effects),
            Self::Coordinator(machine) => machine.stop_leading(effects),
            Self::Partition(machine) => machine.stop_leading(effects),
        }
    }

    /// Whether requests wait to be proposed.
    pub(super) fn has_queued(&self) -> bool {
        match self {
            Self::Controller(machine) => machine.has_queued(),
            Self::Coordinator(machine) => machine.has_queued(),
            Self::Partition(machine) => machine.has_queued(),
        }
    }

    /// The next thing to propose.
    pub(super) fn next_proposal(&mut self, inputs: &DecisionInputs) -> Option<Proposal> {
        match self {
            Self::Controller(machine) => machine.next_proposal(inputs),
            Self::Coordinator(machine) => machine.next_proposal(),
            Self::Partition(machine) => machine.next_proposal(inputs),
        }
    }
}

/// What a group's log or checkpoint holds cannot be what was written.
pub(super) fn damaged(group: RaftGroupId, detail: &str) -> StoreError {
    StoreError::damaged_in(group, detail)
}
