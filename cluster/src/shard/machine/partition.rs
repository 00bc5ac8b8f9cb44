//! A partition: its applied state, and on the leader the queue of batches that wait to be proposed. Requests to delete the
//! oldest records go before them: they are few, and nobody's order depends on theirs.

mod cut_points;
mod deletion;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use trilog_storage::{IndexSpan, OffsetIndexRow, Store, StoreError, WriteBatch};

use self::cut_points::CutPoints;
pub(super) use self::cut_points::base_state;
pub(crate) use self::deletion::DeletionRequest;
use super::{CheckpointPolicy, DecisionInputs, ENTRY_READ_BYTES, Proposal, Replay, SinceCheckpoint, Waiting};
use crate::ids::{LeaderEpoch, RaftGroupId, RaftIndex, TimestampMs};
use crate::partition::time_index::TimeSpan;
use crate::partition::{
    ActiveProducer, Appender, CheckedBatch, Command, LeaderEpochs, PartitionState, Prepared, TimestampType,
};
use crate::replica::{RecentEntry, ReplicaStatus};
use crate::shard::effects::{AppendError, Appended, Effect, Ticket};

/// Many produce requests become one Raft entry, up to this size. A larger batch gets an entry of its own.
const MAX_ENTRY_BYTES: usize = 512 << 10;

/// A producer's batch on its way into the log.
#[derive(Debug)]
pub(crate) struct AppendRequest {
    pub(crate) ticket: Ticket,
    pub(crate) batch: CheckedBatch,
    pub(crate) timestamp_type: TimestampType,
    /// The wall clock when the request came in.
    pub(crate) now: TimestampMs,
    /// How many replicas must hold the batch when that is more than a majority.
    pub(crate) replicas: Option<usize>,
}

/// The replicated state of a partition, and its leader's work.
#[derive(Default)]
pub(crate) struct PartitionMachine {
    state: PartitionState,
    /// The state's leader epochs as readers hold them; they change once an election.
    leader_epochs: Arc<LeaderEpochs>,
    /// Boxed, as most replicas do not lead.
    leading: Option<Box<Leading>>,
    since_checkpoint: SinceCheckpoint,
    /// How long the last checkpoint was.
    checkpoint_bytes: u64,
    cut_points: CutPoints,
}

struct Leading {
    epoch: LeaderEpoch,
    appender: Appender,
    queue: VecDeque<AppendRequest>,
    deletions: Vec<DeletionRequest>,
    /// A step of time is to be put into the log, for the producers.
    producers_age: bool,
    /// What is to be refused for its producer's sake, by a state that another leader may have changed by now.
    refused: Vec<Waiting>,
}

/// How many bytes the batches at a queue's front may take as one entry. Looks no further than the entry goes: a queue may be
/// long, and each entry looks at it.
fn entry_bytes(mut lengths: impl Iterator<Item = usize>) -> usize {
    let first = lengths.next().unwrap_or(0);
    let mut bytes = first;
    for length in lengths {
        if bytes + length > MAX_ENTRY_BYTES {
            break;
        }
        bytes += length;
    }
    bytes
}

impl PartitionMachine {
    pub(super) fn restore(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.state = PartitionState::decode(bytes).map_err(|error| error.to_string())?;
        self.leader_epochs = Arc::new(self.state.leader_epochs().clone());
        self.since_checkpoint = SinceCheckpoint::default();
        self.checkpoint_bytes = bytes.len() as u64;
        Ok(())
    }

    /// Finds the states that are kept of a log that has given up everything up to `truncated`.
    pub(super) fn load_cut_points(
        &mut self,
        store: &Store,
        group: RaftGroupId,
        truncated: RaftIndex,
    ) -> Result<(), StoreError> {
        self.cut_points = CutPoints::load(store, group, truncated)?;
        Ok(())
    }

    /// Whether everything has been deleted since the state was last kept: now it takes no entries with it.
    pub(super) fn is_emptied(&self) -> bool {
        self.state.log_start_offset() == self.state.log_end_offset()
            && self.cut_points.lie_before_the_end_of(&self.state)
    }

    /// A checkpoint as of the entry at `index`, encoded, is on its way to the disk. The state is also kept for good where the
    /// last one that is kept is as far away as the policy has checkpoints be, or nothing is left behind it.
    pub(super) fn checkpoint_written(
        &mut self,
        group: RaftGroupId,
        index: RaftIndex,
        encoded: Vec<u8>,
        policy: CheckpointPolicy,
        batch: &mut WriteBatch,
    ) {
        self.since_checkpoint = SinceCheckpoint::default();
        self.checkpoint_bytes = encoded.len() as u64;
        if self.is_emptied() || self.cut_points.are_due(index, &self.state, policy) {
            self.cut_points.keep(group, index, &self.state, encoded, batch);
        }
    }

    /// What a restart would replay. To write a long state again for a little less of that is not worth it.
    pub(super) const fn replay(&self) -> Replay {
        let SinceCheckpoint { entries, bytes } = self.since_checkpoint;
        Replay { bytes: bytes + entries * ENTRY_READ_BYTES, least: self.checkpoint_bytes }
    }

    /// Log and state were replaced by a snapshot as of the entry at `index`.
    pub(super) fn snapshot_installed(
        &mut self,
        group: RaftGroupId,
        index: RaftIndex,
        batch: &mut WriteBatch,
    ) {
        let encoded = self.encode();
        self.cut_points.reset(group, index, &self.state, encoded, batch);
    }

    /// Where the log is to be cut, if it is.
    pub(super) fn cut(
        &mut self,
        group: RaftGroupId,
        applied: RaftIndex,
        policy: CheckpointPolicy,
        batch: &mut WriteBatch,
    ) -> Option<RaftIndex> {
        self.cut_points.advance(group, applied, &self.state, policy, batch)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        self.state.encode()
    }

    pub(super) const fn since_checkpoint(&mut self) -> &mut SinceCheckpoint {
        &mut self.since_checkpoint
    }

    pub(super) fn apply(
        &mut self,
        group: RaftGroupId,
        index: RaftIndex,
        payload: &Bytes,
        batch: &mut WriteBatch,
    ) -> Option<RecentEntry> {
        self.since_checkpoint.count(payload.len());
        let applied = self.state.apply(payload);
        if *self.leader_epochs != *self.state.leader_epochs() {
            self.leader_epochs = Arc::new(self.state.leader_epochs().clone());
        }
        let applied = applied?;
        let span = |span: TimeSpan| IndexSpan { max_timestamp: span.max_timestamp.0, before: span.before };
        let row = OffsetIndexRow {
            base_offset: applied.first_offset,
            last_offset: applied.last_offset,
            raft_index: index,
            bytes_so_far: applied.bytes_so_far,
            number: applied.number,
            spans: applied.spans.into_iter().map(span).collect(),
        };
        batch.put_index_row(group, &row);
        Some(RecentEntry { first_offset: applied.first_offset, index })
    }

    pub(super) fn start_leading(&mut self, epoch: LeaderEpoch) {
        let appender = Appender::new(&self.state, epoch);
        let (queue, deletions, producers_age, refused) = Default::default();
        self.leading = Some(Box::new(Leading { epoch, appender, queue, deletions, producers_age, refused }));
    }

    pub(super) fn stop_leading(&mut self, effects: &mut Vec<Effect>) {
        let Some(leading) = self.leading.take() else { return };
        let Leading { queue, deletions, refused, .. } = *leading;
        effects.extend(refused.into_iter().map(Waiting::refused));
        effects.extend(deletions.iter().map(DeletionRequest::refused));
        for request in queue {
            effects.push(Effect::Appended { ticket: request.ticket, result: Err(AppendError::NotLeader) });
        }
    }

    pub(super) fn has_queued(&self) -> bool {
        self.leading.as_deref().is_some_and(|Leading { queue, deletions, producers_age, refused, .. }| {
            *producers_age || !(queue.is_empty() && deletions.is_empty() && refused.is_empty())
        })
    }

    /// Takes a batch in, in the order of the calls. Refused unless this replica leads.
    pub(crate) fn enqueue(&mut self, request: AppendRequest, effects: &mut Vec<Effect>) {
        match &mut self.leading {
            Some(leading) => leading.queue.push_back(request),
            None => {
                effects
                    .push(Effect::Appended { ticket: request.ticket, result: Err(AppendError::NotLeader) });
            }
        }
    }

    /// A batch is refused before it is taken in. Its producer's later ones have to wait for it.
    pub(crate) fn refused(&mut self, batch: &CheckedBatch, at: Duration) {
        if let Some(leading) = &mut self.leading {
            leading.appender.refused(batch, at);
        }
    }

    #[cfg(test)]
    pub(crate) fn forget_refusals(&mut self) {
        if let Some(leading) = &mut self.leading {
            leading.appender.forget_refusals();
        }
    }

    /// The next thing to propose, if requests wait for one.
    pub(super) fn next_proposal(&mut self, inputs: &DecisionInputs) -> Option<Proposal> {
        self.propose_deletions().or_else(|| self.propose_age()).or_else(|| self.propose_batches(inputs))
    }

    /// The idempotent producers of the applied state.
    pub(crate) fn active_producers(&self) -> Vec<ActiveProducer> {
        self.state.producers().active().collect()
    }

    /// How many idempotent producers are remembered, or will be.
    pub(super) fn producers(&self) -> usize {
        let known = self.state.producers().len();
        self.leading.as_ref().map_or(known, |leading| known.max(leading.appender.producers()))
    }

    /// How long the last checkpoint was.
    pub(super) const fn checkpoint_bytes(&self) -> u64 {
        self.checkpoint_bytes
    }

    /// A step of time has passed for the producers. Whether that is to be put into the log: it is not where there are none.
    pub(crate) fn ask_to_age(&mut self) -> bool {
        let known = self.producers();
        let leading = self.leading.as_mut().filter(|_| known > 0);
        leading.map(|leading| leading.producers_age = true).is_some()
    }

    fn propose_age(&mut self) -> Option<Proposal> {
        let leading = self.leading.as_mut()?;
        std::mem::take(&mut leading.producers_age).then(|| {
            let age = leading.appender.age_producers();
            Proposal::Entry { payload: Command::AgeProducers(age).encode(), waiting: Vec::new() }
        })
    }

    /// Stamps queued batches into one payload. A retry of a batch adds nothing to it, and waits for it all the same:
    /// what it repeats was proposed before, or is part of it. Refusals wait for it, too, or for a majority to confirm that
    /// this is still the leader: one that was deposed does not know what its producers have written since.
    fn propose_batches(&mut self, inputs: &DecisionInputs) -> Option<Proposal> {
        let at = inputs.now;
        let log_start_offset = self.state.log_start_offset();
        let leading = self.leading.as_mut()?;
        leading.appender.bound_producers(inputs.producer_room.limit(leading.appender.producers()));
        let lengths = leading.queue.iter().map(|request| request.batch.bytes().len());
        let mut payload = Vec::with_capacity(entry_bytes(lengths));
        let mut waiting = Vec::new();
        while let Some(first) = leading.queue.front() {
            if !payload.is_empty() && payload.len() + first.batch.bytes().len() > MAX_ENTRY_BYTES {
                break;
            }
            let Some(request) = leading.queue.pop_front() else { break };
            let AppendRequest { ticket, batch, timestamp_type, now, replicas } = request;
            let (base_offset, log_append_time) =
                match leading.appender.prepare(&batch, now, at, timestamp_type, &mut payload) {
                    Prepared::Append { base_offset, log_append_time, .. }
                    | Prepared::Duplicate { base_offset, log_append_time, .. } => {
                        (base_offset, log_append_time)
                    }
                    Prepared::Refused(error) => {
                        leading.refused.push(Waiting::Refusal { ticket, error });
                        continue;
                    }
                };
            let appended = Appended { base_offset, log_append_time, log_start_offset };
            waiting.push(Waiting::Append { ticket, appended, replicas });
        }
        // Should Raft refuse the proposal, the leadership ends, and the appender with it.
        leading.appender.accept_draft();
        if !payload.is_empty() {
            waiting.append(&mut leading.refused);
            return Some(Proposal::Entry { payload, waiting });
        }
        if !waiting.is_empty() {
            return Some(Proposal::Repetition { waiting });
        }
        let waiting = std::mem::take(&mut leading.refused);
        (!waiting.is_empty()).then_some(Proposal::Read { waiting })
    }

    /// What readers may see.
    pub(crate) fn status(&self) -> ReplicaStatus {
        ReplicaStatus {
            leading: self.leading.as_ref().map(|leading| leading.epoch),
            // A snapshot is older than the deletion that made it necessary, which follows in the log.
            log_start_offset: self.state.log_start_offset().max(self.cut_points.readable_from()),
            high_watermark: self.state.log_end_offset(),
            bytes_so_far: self.state.bytes_so_far(),
            leader_epochs: Arc::clone(&self.leader_epochs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_as_large_as_what_it_takes_and_looks_no_further() {
        let looked_at = std::cell::Cell::new(0);
        let queue = |length: usize| {
            let look = |_: &usize| looked_at.set(looked_at.get() + 1);
            std::iter::repeat_n(length, 1_000_000).inspect(look)
        };
        assert_eq!(entry_bytes(queue(MAX_ENTRY_BYTES / 4)), MAX_ENTRY_BYTES);
        assert_eq!(looked_at.get(), 5);
        assert_eq!(entry_bytes(queue(3 * MAX_ENTRY_BYTES)), 3 * MAX_ENTRY_BYTES);
        assert_eq!(entry_bytes([].into_iter()), 0);
        assert_eq!(entry_bytes([10, 20].into_iter()), 30);
    }
}
