//! What comes out of a shard: every effect is a value, carried out by the driver.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use raft::eraftpb::Message;
use trilog_storage::{EntryFetch, WriteBatch};

use crate::controller::{ControllerResponse, MetadataImage};
use crate::coordinator::GroupResponse;
pub(crate) use crate::ids::Ticket;
use crate::ids::{LeaderEpoch, NodeId, Offset, RaftGroupId, TimestampMs};
use crate::leadership::Leadership;
use crate::partition::ProducerError;
use crate::replica::{RecentEntry, ReplicaStatus};
use crate::shard::standing::Standing;
use crate::transport::{Frame, GroupMessage, LeadershipRow, SleepRow};

/// A batch in the log, as its producer is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The offset of the batch's first record.
    pub base_offset: Offset,
    /// The time stamped by the leader, for a topic with `message.timestamp.type=LogAppendTime`.
    pub log_append_time: Option<TimestampMs>,
    /// The partition's first offset at that time.
    pub log_start_offset: Offset,
}

/// Why a batch did not enter the log, or is not known to have.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// This node does not lead the partition; the batch is not in the log.
    #[error("this node does not lead the partition")]
    NotLeader,
    /// This node has no room on its disk, or a majority of the partition's replicas has none; the batch is not in the log.
    #[error("the disk of this node, or of too many other replicas, is full")]
    NoRoom,
    /// Fewer replicas are in sync than `min.insync.replicas`; the batch is not in the log.
    #[error("fewer replicas are in sync than min.insync.replicas asks for")]
    NotEnoughReplicas,
    /// The producer's sequence or epoch forbids it; the batch is not in the log.
    #[error(transparent)]
    Producer(ProducerError),
    /// Whether the batch is in the log cannot be known here: the producer has to find out by trying again.
    #[error("whether the batch was committed is unknown")]
    Unknown,
}

/// Why records were not deleted, or are not known to have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeleteRecordsError {
    /// This node does not lead the partition (any more). Whether the records are deleted is unknown.
    #[error("this node does not lead the partition")]
    NotLeader,
    /// The offset lies above the high watermark, or below 0.
    #[error("the offset is not one that the partition has")]
    OffsetOutOfRange,
}

/// A request reached a node that does not lead the controller (any more); it changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node does not lead the controller")]
pub struct NotController;

/// A request reached a node that does not coordinate the group (any more). Whether it changed anything is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node does not coordinate the group")]
pub struct NotCoordinator;

/// Something the shard wants done or known.
pub(crate) enum Effect {
    /// This node has a replica of the group from now on.
    ReplicaOpened(RaftGroupId),
    /// It has none any more; what it stored is to be purged.
    ReplicaRemoved(RaftGroupId),
    /// What readers may see of a replica has changed.
    ReplicaChanged { group: RaftGroupId, status: ReplicaStatus, recent: Vec<RecentEntry> },
    /// The cluster's metadata has changed.
    Image(Arc<MetadataImage>),
    /// A group has a leader that was not known, its in-sync replicas have changed, or (with none) it is not led any more.
    Leadership { group: RaftGroupId, leadership: Leadership },
    /// The peers that are heard, and those that clients may still be told of, have changed.
    Peers { alive: BTreeSet<NodeId>, unfenced: BTreeSet<NodeId> },
    /// How the replicas of this node stand has changed.
    Standing(Standing),
    /// The answer to an append.
    Appended { ticket: Ticket, result: Result<Appended, AppendError> },
    /// These appends are in the log, and their answers are to come: from more replicas, or from whoever leads next. Their batches
    /// take no memory any more.
    Logged(Vec<Ticket>),
    /// The answer to a request to delete records: the log start offset after it.
    RecordsDeleted { ticket: Ticket, result: Result<Offset, DeleteRecordsError> },
    /// The answer to a controller request.
    Answered { ticket: Ticket, result: Result<ControllerResponse, NotController> },
    /// Those of the groups asked for that this node led when it was asked, and in which epochs.
    Confirmed { ticket: Ticket, led: Vec<(RaftGroupId, LeaderEpoch)> },
    /// The answer to a request for a group coordinator.
    Coordinated { ticket: Ticket, result: Result<GroupResponse, NotCoordinator> },
    /// Something that a peer said was dropped, as no honest peer says it.
    Refused,
    /// Entries behind a checkpoint are of no use any more: what they occupy is to be purged.
    LogCompacted,
    /// A follower wants entries that are no longer in memory: to be read on another thread.
    Fetch {
        /// Whose log they are in.
        group: RaftGroupId,
        /// Which ones.
        fetch: EntryFetch,
        /// Whether they hold clients' records, of which there may be many, or what the cluster writes of itself.
        holds_records: bool,
    },
}

impl Effect {
    /// Whether somebody waits for it.
    pub(crate) const fn is_answer(&self) -> bool {
        match self {
            Self::Appended { .. }
            | Self::RecordsDeleted { .. }
            | Self::Answered { .. }
            | Self::Confirmed { .. }
            | Self::Coordinated { .. } => true,
            Self::ReplicaOpened(_)
            | Self::ReplicaRemoved(_)
            | Self::ReplicaChanged { .. }
            | Self::Image(_)
            | Self::Leadership { .. }
            | Self::Peers { .. }
            | Self::Standing(_)
            | Self::Logged(_)
            | Self::Refused
            | Self::LogCompacted
            | Self::Fetch { .. } => false,
        }
    }
}

/// One round of a shard's work. The driver sends `sends` at once, applies `batch`, calls [`Shard::written`], and hands
/// `persist` to the syncer.
///
/// [`Shard::written`]: super::Shard::written
pub(crate) struct Round {
    /// The nodes that have no room: a peer among them is not sent records, unless it is needed for a majority.
    pub(crate) without_room: BTreeSet<NodeId>,
    /// What may leave before anything is durable: a leader's entries, heartbeats.
    pub(crate) sends: Outbox,
    /// All groups' changes, to be made visible together.
    pub(crate) batch: WriteBatch,
    /// The bytes of entries that were read from the store to be applied, as after a restart.
    pub(crate) read_bytes: usize,
    /// What to tell Raft, and whom, once the batch is durable.
    pub(crate) persist: Persist,
}

/// What waits for a sync.
#[derive(Default)]
pub(crate) struct Persist {
    /// The readies that are durable after it.
    pub(crate) readies: Vec<PersistedReady>,
    /// Promises that may only leave after it: votes, acknowledgements of entries.
    pub(crate) sends: Outbox,
    /// The size of the batch: what the store may still have to write.
    pub(crate) bytes: usize,
    /// What has to be done with the batch before the promises leave. Promises without a write still queue behind the writes
    /// before them.
    pub(crate) needs: Needs,
}

/// What has to be done with a batch, and all before it, before anything that follows from it leaves the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Needs {
    /// Nothing is said that depends on it.
    #[default]
    Nothing,
    /// It holds entries. With relaxed durability they are acknowledged once the kernel has them.
    Kernel,
    /// It holds what must never be forgotten: a term or a vote, a snapshot, groups that come or go, what a replica may do, a
    /// barrier, an entry of the controller, or the first entry of a term. `group/forgetful.rs` says why these are enough.
    Disk,
}

impl Persist {
    /// Whether nothing waits for a sync, as in a round that only sends.
    pub(crate) fn is_empty(&self) -> bool {
        self.readies.is_empty() && self.sends.is_empty() && self.bytes == 0
    }
}

/// A Raft ready that has become durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PersistedReady {
    pub(crate) group: RaftGroupId,
    pub(crate) number: u64,
}

/// Messages on their way out, gathered by peer: all groups' messages of a round leave in one frame a peer.
#[derive(Default)]
pub(crate) struct Outbox {
    peers: BTreeMap<NodeId, PeerOutbox>,
}

#[derive(Default)]
struct PeerOutbox {
    messages: Vec<GroupMessage>,
    leaderships: Vec<LeadershipRow>,
    sleeps: Vec<SleepRow>,
    frames: Vec<Frame>,
}

impl Outbox {
    fn to(&mut self, peer: NodeId) -> &mut PeerOutbox {
        self.peers.entry(peer).or_default()
    }

    /// Adds a Raft message for the node it is addressed to.
    pub(crate) fn message(&mut self, group: RaftGroupId, message: Message) {
        if let Ok(to) = u32::try_from(message.to) {
            self.to(NodeId(to)).messages.push(GroupMessage { group, message });
        }
    }

    /// Adds a leadership to tell of.
    pub(crate) fn leadership(&mut self, to: NodeId, row: LeadershipRow) {
        self.to(to).leaderships.push(row);
    }

    /// Adds a group to let sleep.
    pub(crate) fn sleep(&mut self, to: NodeId, row: SleepRow) {
        self.to(to).sleeps.push(row);
    }

    /// Adds a frame of its own.
    pub(crate) fn frame(&mut self, to: NodeId, frame: Frame) {
        self.to(to).frames.push(frame);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// Everything, peer by peer. What lets a group sleep leaves after its messages.
    pub(crate) fn into_frames(self) -> impl Iterator<Item = (NodeId, Frame)> {
        self.peers.into_iter().flat_map(|(peer, outbox)| {
            let PeerOutbox { messages, leaderships, sleeps, frames } = outbox;
            let raft = (!messages.is_empty()).then_some(Frame::Raft(messages));
            let leaderships = (!leaderships.is_empty()).then_some(Frame::Leadership(leaderships));
            let sleeps = (!sleeps.is_empty()).then_some(Frame::Sleep(sleeps));
            frames.into_iter().chain(raft).chain(leaderships).chain(sleeps).map(move |frame| (peer, frame))
        })
    }
}
