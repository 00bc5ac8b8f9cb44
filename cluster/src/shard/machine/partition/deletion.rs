//! Deleting a partition's oldest records: all below an offset, which becomes the log start by a committed entry (DeleteRecords,
//! KIP-107, and retention).
//!
//! What has come since the last time becomes one entry, with the highest offset of all. Offsets are held against what is
//! applied, so that an entry never reaches beyond the end that it finds when it is applied.

use super::PartitionMachine;
use crate::ids::Offset;
use crate::partition::Command;
use crate::shard::effects::{DeleteRecordsError, Effect, Ticket};
use crate::shard::machine::{Proposal, Waiting};

/// Records to delete.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeletionRequest {
    pub(crate) ticket: Ticket,
    /// The first offset that stays; none for the high watermark, so that nothing does that is there.
    pub(crate) before: Option<Offset>,
}

impl DeletionRequest {
    pub(super) const fn refused(&self) -> Effect {
        Effect::RecordsDeleted { ticket: self.ticket, result: Err(DeleteRecordsError::NotLeader) }
    }
}

impl PartitionMachine {
    /// Takes a request in. Refused unless this replica leads.
    pub(crate) fn enqueue_deletion(&mut self, request: DeletionRequest, effects: &mut Vec<Effect>) {
        match &mut self.leading {
            Some(leading) => leading.deletions.push(request),
            None => effects.push(request.refused()),
        }
    }

    /// One command for all that wait, or, where none moves the log start, nothing but a majority's word that this is still
    /// the leader: another one may have written further, or deleted more.
    pub(super) fn propose_deletions(&mut self) -> Option<Proposal> {
        let leading = self.leading.as_mut().filter(|leading| !leading.deletions.is_empty())?;
        let (log_start, high_watermark) = (self.state.log_start_offset(), self.state.log_end_offset());
        let requests = std::mem::take(&mut leading.deletions);
        let wanted = |request: &DeletionRequest| request.before.unwrap_or(high_watermark);
        let valid = requests.iter().map(wanted).filter(|offset| *offset <= high_watermark);
        let low_watermark = valid.fold(log_start, Offset::max);
        let waiting = requests.iter().map(|request| {
            let in_range = (Offset(0)..=high_watermark).contains(&wanted(request));
            let result = if in_range { Ok(low_watermark) } else { Err(DeleteRecordsError::OffsetOutOfRange) };
            Waiting::Deletion { ticket: request.ticket, result }
        });
        let waiting = waiting.collect();
        Some(if low_watermark > log_start {
            Proposal::Entry { payload: Command::RaiseLogStart(low_watermark).encode(), waiting }
        } else {
            Proposal::Read { waiting }
        })
    }
}
