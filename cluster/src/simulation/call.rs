//! What clients ask nodes, and what they are told. In place of the Kafka protocol: what the broker would make of it.

use bytes::Bytes;

use crate::controller::{ControllerRequest, ControllerResponse};
use crate::coordinator::{GroupRequest, GroupResponse};
use crate::ids::{LeaderEpoch, Offset, ProducerId, RaftGroupId};
use crate::partition::testing::{BatchBuilder, TestRecord};
use crate::partition::{BatchHeader, CheckedBatch, RecordLimits, batches_of_entry, check_record_set};
use crate::shard::effects::{AppendError, Appended, DeleteRecordsError, NotController, NotCoordinator};

/// The name of a batch, which no other has. It stands in the log as the batch's base timestamp, which no leader changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct BatchName(pub(super) i64);

impl BatchName {
    pub(super) const fn of(header: &BatchHeader) -> Self {
        Self(header.base_timestamp.0)
    }
}

/// A request.
#[derive(Clone, Debug)]
pub(super) enum Call {
    /// Produce one batch.
    Append { group: RaftGroupId, batch: CheckedBatch, replicas: Option<usize> },
    /// Delete the records below an offset, or all that are committed.
    DeleteRecords { group: RaftGroupId, before: Option<Offset> },
    /// Anything for the controller.
    Control(ControllerRequest),
    /// Anything for a group coordinator.
    Coordinate { coordinator: RaftGroupId, request: Box<GroupRequest> },
    /// Read from an offset on: at a leader that its voters confirm, or at any replica.
    Read { group: RaftGroupId, offset: Offset, at_leader: bool },
}

/// What comes back.
#[derive(Debug)]
pub(super) enum Answer {
    /// To [`Call::Append`].
    Appended(Result<Appended, AppendError>),
    /// To [`Call::DeleteRecords`].
    RecordsDeleted(Result<Offset, DeleteRecordsError>),
    /// To [`Call::Control`].
    Controlled(Result<ControllerResponse, NotController>),
    /// To [`Call::Coordinate`].
    Coordinated(Result<GroupResponse, NotCoordinator>),
    /// To [`Call::Read`]. None where the node has nothing to answer with: no replica, not the leader, out of range.
    Read(Option<Fetched>),
    /// No process listens at that node: the request was never taken.
    Refused,
    /// The connection broke: whether the request was carried out is unknown.
    BrokenOff,
    /// Nothing came back in time.
    TimedOut,
}

/// The records a reader got.
#[derive(Debug)]
pub(super) struct Fetched {
    /// The first offset that could be read. No batches come from below it.
    pub(super) log_start: Offset,
    pub(super) high_watermark: Offset,
    pub(super) batches: Vec<ReadBatch>,
}

/// A batch in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadBatch {
    pub(super) base_offset: Offset,
    pub(super) last_offset: Offset,
    pub(super) epoch: LeaderEpoch,
    pub(super) name: BatchName,
    /// Who made it, if it is idempotent.
    pub(super) producer: Option<ProducerId>,
    pub(super) crc: u32,
}

impl ReadBatch {
    /// The batches of a payload.
    pub(super) fn all(payload: &Bytes) -> impl Iterator<Item = Self> {
        batches_of_entry(payload).map(|batch| {
            let (header, _) = batch.expect("a log holds whole batches");
            Self {
                base_offset: header.base_offset,
                last_offset: header.last_offset(),
                epoch: header.partition_leader_epoch,
                name: BatchName::of(&header),
                producer: header.is_idempotent().then_some(header.producer_id),
                crc: header.crc,
            }
        })
    }
}

/// A producer's id, its epoch and the first sequence number of a batch.
pub(super) type Sequence = (i64, i16, i32);

/// A batch of `count` records with values of `bytes` bytes, as a producer sends it.
pub(super) fn batch_of(
    name: BatchName,
    sequence: Option<Sequence>,
    count: usize,
    bytes: usize,
) -> CheckedBatch {
    let value = vec![name.0.to_le_bytes()[0]; bytes];
    let mut builder = BatchBuilder::of_records(&vec![TestRecord::of_value(value); count]).timestamp(name.0);
    if let Some((producer, epoch, base)) = sequence {
        builder = builder.producer(producer, epoch, base);
    }
    check_record_set(builder.build().into(), &RecordLimits::of_size(8 << 20)).expect("a batch is sound")
}
