//! The driver's inbox: one lock, one vector that the driver takes as a whole, so that everything that came in during a
//! round is the next round's batch.
//!
//! What clients put in is bounded where it is accepted, by the bytes of requests in flight. Frames from peers are
//! bounded here: above [`MAX_PEER_BYTES`] they are dropped, and Raft sends again.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use trilog_storage::{FetchedEntries, StoreError};

use crate::controller::{ControllerRequest, ControllerResponse};
use crate::coordinator::{GroupRequest, GroupResponse};
use crate::ids::{LeaderEpoch, NodeId, Offset, RaftGroupId, TimestampMs, TopicId};
use crate::partition::{CheckedBatch, TimestampType};
use crate::shard::effects::{
    AppendError, Appended, DeleteRecordsError, NotController, NotCoordinator, PersistedReady,
};
use crate::survey::Survey;
use crate::transport::{Frame, PeerEvent};

/// Payload bytes of peers' frames that may wait for the driver.
const MAX_PEER_BYTES: usize = 64 << 20;

/// A batch for a partition that this node may lead.
#[derive(Debug)]
pub struct Append {
    /// The partition's group.
    pub group: RaftGroupId,
    /// The batch, as it passed the checks.
    pub batch: CheckedBatch,
    /// Whose clock stamps the records.
    pub timestamp_type: TimestampType,
    /// The wall clock now.
    pub now: TimestampMs,
    /// `min.insync.replicas`, for a producer that asked for all acknowledgements; none otherwise.
    pub min_insync_replicas: Option<i32>,
}

pub(crate) type AppendReply = oneshot::Sender<Result<Appended, AppendError>>;
pub(crate) type DeletionReply = oneshot::Sender<Result<Offset, DeleteRecordsError>>;
pub(crate) type CoordinateReply = oneshot::Sender<Result<GroupResponse, NotCoordinator>>;
pub(crate) type ConfirmReply = oneshot::Sender<Vec<(RaftGroupId, LeaderEpoch)>>;
pub(crate) type ControlReply = oneshot::Sender<Result<ControllerResponse, NotController>>;

/// What the driver reacts to.
pub(crate) enum Input {
    Append(Append, AppendReply),
    /// Delete the partition's records below the offset, or all that are committed.
    DeleteRecords {
        group: RaftGroupId,
        before: Option<Offset>,
        reply: DeletionReply,
    },
    Control {
        request: ControllerRequest,
        topic_ids: Vec<TopicId>,
        reply: ControlReply,
    },
    Coordinate {
        coordinator: RaftGroupId,
        request: Box<GroupRequest>,
        reply: CoordinateReply,
    },
    /// Ask the voters which of these groups this node leads.
    Confirm(Vec<RaftGroupId>, ConfirmReply),
    /// Tell how the groups stand.
    Survey(oneshot::Sender<Survey>),
    /// Offsets that are too old, by the wall clock, are to go.
    ExpireOffsets(TimestampMs),
    Frame {
        from: NodeId,
        frame: Frame,
    },
    PeerEvent {
        peer: NodeId,
        event: PeerEvent,
    },
    Persisted {
        readies: Vec<PersistedReady>,
        bytes: usize,
    },
    Fetched(RaftGroupId, FetchedEntries),
    /// Frames for the peer were dropped on their way out.
    Dropped(NodeId),
    /// The disk has room, or none any more.
    Room(bool),
    /// Hand every leadership over, checkpoint, sync and stop.
    Shutdown,
    /// Another thread of the node met an error that ends it.
    Fail(StoreError),
}

#[derive(Default)]
struct Queue {
    inputs: Vec<Input>,
    peer_bytes: usize,
    dropped_frames: u64,
}

/// See the module's documentation.
#[derive(Default)]
pub(crate) struct Inbox {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

impl Inbox {
    /// Adds an input.
    pub(crate) fn push(&self, input: Input) {
        let mut queue = self.lock();
        queue.inputs.push(input);
        drop(queue);
        self.arrived.notify_one();
    }

    /// Adds a peer's frame, or drops it when too much waits already.
    pub(crate) fn push_frame(&self, from: NodeId, frame: Frame) {
        let bytes = payload_bytes(&frame);
        let mut queue = self.lock();
        if queue.peer_bytes + bytes > MAX_PEER_BYTES {
            queue.dropped_frames += 1;
            return;
        }
        queue.peer_bytes += bytes;
        queue.inputs.push(Input::Frame { from, frame });
        drop(queue);
        self.arrived.notify_one();
    }

    /// Takes all that has come, waiting until something does or until `deadline`.
    pub(crate) fn drain(&self, deadline: Instant) -> Vec<Input> {
        let mut queue = self.lock();
        while queue.inputs.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                break;
            }
            queue = self.arrived.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.peer_bytes = 0;
        let dropped = std::mem::take(&mut queue.dropped_frames);
        if dropped > 0 {
            tracing::warn!(dropped, "frames from peers were dropped: this node does not keep up");
        }
        std::mem::take(&mut queue.inputs)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn payload_bytes(frame: &Frame) -> usize {
    match frame {
        Frame::Raft(messages) => messages
            .iter()
            .flat_map(|message| message.message.entries.iter())
            .map(|entry| entry.data.len())
            .sum(),
        _ => 0,
    }
}
