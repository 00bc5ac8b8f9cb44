//! A partition: its applied state, and on the leader the queue of batches that wait to be proposed.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use trilog_storage::{OffsetIndexRow, WriteBatch};

use super::{Proposal, SinceCheckpoint, Waiting};
use crate::ids::{LeaderEpoch, RaftGroupId, RaftIndex, TimestampMs};
use crate::partition::{Appender, CheckedBatch, LeaderEpochs, PartitionState, Prepared, TimestampType};
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
    leading: Option<Leading>,
    since_checkpoint: SinceCheckpoint,
}

struct Leading {
    epoch: LeaderEpoch,
    appender: Appender,
    queue: VecDeque<AppendRequest>,
    /// What is to be refused for its producer's sake, by a state that another leader may have changed by now.
    refused: Vec<Waiting>,
}

impl PartitionMachine {
    pub(super) fn restore(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.state = PartitionState::decode(bytes).map_err(|error| error.to_string())?;
        self.leader_epochs = Arc::new(self.state.leader_epochs().clone());
        self.since_checkpoint = SinceCheckpoint::default();
        Ok(())
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
        let applied = self.state.apply(payload)?;
        if *self.leader_epochs != *self.state.leader_epochs() {
            self.leader_epochs = Arc::new(self.state.leader_epochs().clone());
        }
        let row = OffsetIndexRow {
            base_offset: applied.first_offset,
            last_offset: applied.last_offset,
            raft_index: index,
            max_timestamp_so_far: applied.max_timestamp_so_far.0,
        };
        batch.put_index_row(group, &row);
        Some(RecentEntry { first_offset: applied.first_offset, index })
    }

    pub(super) fn start_leading(&mut self, epoch: LeaderEpoch) {
        let appender = Appender::new(&self.state, epoch);
        self.leading = Some(Leading { epoch, appender, queue: VecDeque::new(), refused: Vec::new() });
    }

    pub(super) fn stop_leading(&mut self, effects: &mut Vec<Effect>) {
        let Some(Leading { queue, refused, .. }) = self.leading.take() else { return };
        effects.extend(refused.into_iter().map(Waiting::refused));
        for request in queue {
            effects.push(Effect::Appended { ticket: request.ticket, result: Err(AppendError::NotLeader) });
        }
    }

    pub(super) fn has_queued(&self) -> bool {
        self.leading.as_ref().is_some_and(|leading| !(leading.queue.is_empty() && leading.refused.is_empty()))
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

    /// Stamps queued batches into one payload. A retry of a batch adds nothing to it, and waits for it all the same:
    /// what it repeats was proposed before, or is part of it. Refusals wait for it, too, or for a majority to confirm that
    /// this is still the leader: one that was deposed does not know what its producers have written since.
    pub(super) fn next_proposal(&mut self) -> Option<Proposal> {
        let log_start_offset = self.state.log_start_offset();
        let leading = self.leading.as_mut()?;
        let queued = leading.queue.iter().map(|request| request.batch.bytes().len());
        let first = leading.queue.front().map_or(0, |first| first.batch.bytes().len());
        let largest = first.max(MAX_ENTRY_BYTES);
        let mut payload = Vec::with_capacity(queued.sum::<usize>().min(largest));
        let mut waiting = Vec::new();
        while let Some(first) = leading.queue.front() {
            if !payload.is_empty() && payload.len() + first.batch.bytes().len() > MAX_ENTRY_BYTES {
                break;
            }
            let Some(request) = leading.queue.pop_front() else { break };
            let AppendRequest { ticket, batch, timestamp_type, now, replicas } = request;
            let (base_offset, log_append_time) =
                match leading.appender.prepare(&batch, now, timestamp_type, &mut payload) {
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
            log_start_offset: self.state.log_start_offset(),
            high_watermark: self.state.log_end_offset(),
            leader_epochs: Arc::clone(&self.leader_epochs),
            max_timestamp: self.state.max_timestamp(),
        }
    }
}
