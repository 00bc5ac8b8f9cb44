//! Requests of clients on their way into the shard, and reads, which go around it.

use std::time::Duration;

use super::{Output, Process};
use crate::ids::{Offset, RaftGroupId, Ticket, TopicId};
use crate::partition::TimestampType;
use crate::replica::{ReadError, ReplicaStatus};
use crate::shard::{AppendRequest, ControlRequest, DeletionRequest};
use crate::simulation::call::{Answer, Call, Fetched, ReadBatch};
use crate::simulation::mutant::Mutant;

/// The bytes that one read returns at most, roughly.
const READ_BYTES: usize = 16 << 10;

impl Process {
    pub(super) fn call(&mut self, now: Duration, ticket: Ticket, call: Call, outputs: &mut Vec<Output>) {
        let own = self.clock.shows(now);
        match call {
            Call::Append { group, batch, replicas } => {
                let now = self.clock.wall(now);
                let timestamp_type = TimestampType::CreateTime;
                let request = AppendRequest { ticket, batch, timestamp_type, now, replicas };
                self.last_answers.asked(ticket, group);
                if self.mutant == Some(Mutant::RefuseUnnoted) {
                    self.shard.forget_refusals(group);
                }
                self.shard.append(own, group, request);
            }
            Call::DeleteRecords { group, before } => {
                self.last_answers.asked(ticket, group);
                self.shard.delete_records(own, group, DeletionRequest { ticket, before });
            }
            Call::Control(request) => {
                let topic_ids = vec![TopicId(uuid::Uuid::from_u128(ticket.0.into()))];
                self.shard.control(own, ControlRequest { ticket, request, topic_ids });
            }
            Call::Coordinate { coordinator, request } => {
                self.shard.coordinate(own, coordinator, ticket, *request);
                self.forget_use();
            }
            Call::Read { group, offset, at_leader } => {
                let fetched = self.read(group, offset);
                let leading = self.replicas.get(&group).and_then(|replica| replica.status().leading);
                match leading {
                    Some(epoch) if at_leader && self.mutant != Some(Mutant::AnswerUnconfirmed) => {
                        self.unconfirmed.insert(ticket, (epoch, fetched));
                        self.shard.confirm(own, ticket, &[group]);
                    }
                    None if at_leader => outputs.push(Output::Answer(ticket, Answer::Read(None))),
                    _ => outputs.push(Output::Answer(ticket, Answer::Read(fetched))),
                }
            }
        }
    }

    /// What a reader gets from this node, as the broker would read it.
    pub(in crate::simulation) fn read(&self, group: RaftGroupId, offset: Offset) -> Option<Fetched> {
        let replica = self.replicas.get(&group)?;
        let ReplicaStatus { log_start_offset: log_start, high_watermark, .. } = replica.status();
        let payloads = match replica.read_blocking(offset, READ_BYTES, true) {
            Err(ReadError::OffsetOutOfRange { .. }) if offset < log_start => Vec::new(),
            read => read.ok()?,
        };
        let batches = payloads.iter().flat_map(ReadBatch::all).collect();
        Some(Fetched { log_start, high_watermark, batches })
    }
}
