//! The driver's inbox: one lock and two lanes.
//!
//! What clients and peers want done is *work*, and there may be more of it than the driver does in a second. It is handed
//! out bit by bit, so that the driver looks at its clock in between. The rest is news, which costs next to
//! nothing and is worth less the later it comes: signs of life, connections that came and went, what is durable. News is
//! handed out first, and all of it.
//!
//! Records for partitions are handed out in turns: a piece for each partition in order of arrival, then the next one for each. So a record
//! does not wait behind all that floods other partitions. Every second piece is of the other work, which stays in order.
//!
//! A frame is therefore two things: that its sender lives, at once, and its content, when its turn comes.
//!
//! What clients put in is bounded where it is accepted, by the bytes of requests whose fate is open: see [`Held`]. Frames from peers are
//! bounded here: above [`MAX_PEER_BYTES`] they are dropped, and Raft sends again.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use trilog_storage::FetchedEntries;

use super::fatal::FatalError;
use crate::controller::{ControllerRequest, ControllerResponse};
use crate::coordinator::{GroupRequest, GroupResponse};
use crate::ids::{LeaderEpoch, NodeId, Offset, RaftGroupId, TimestampMs, TopicId};
use crate::partition::ActiveProducer;
use crate::partition::{CheckedBatch, TimestampType};
use crate::shard::effects::{
    AppendError, Appended, DeleteRecordsError, NotController, NotCoordinator, PersistedReady,
};
use crate::survey::Survey;
use crate::transport::{Frame, PeerEvent};

/// Payload bytes of peers' frames that may wait for the driver.
pub const MAX_PEER_BYTES: usize = 64 << 20;

/// What an input counts for beside its payload: much work may come in small pieces.
const INPUT_BYTES: usize = 256;

/// What a Raft message counts for beside its entries.
const MESSAGE_BYTES: usize = 64;

/// What a question for producers counts for: the answer may have to copy all that the node remembers.
const PRODUCERS_BYTES: usize = 256 << 10;

/// What a group counts for in a question for those that this node leads.
const GROUP_BYTES: usize = 64;

/// How often it is said that frames were dropped.
const SAY_DROPPED_EVERY: Duration = Duration::from_secs(1);

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
    /// What its sender holds for it.
    pub held: Held,
}

/// Something that the sender of a batch holds until it is decided whether the batch enters the log, or the leader that has it in its
/// log leads no more: dropped then, and not before, whether the sender still waits for the answer or not.
#[derive(Clone, Default)]
pub struct Held(Option<Arc<dyn Any + Send + Sync>>);

impl Held {
    /// Holds this.
    pub fn new(held: Arc<dyn Any + Send + Sync>) -> Self {
        Self(Some(held))
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Held(..)" } else { "Held" })
    }
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
    /// Tell which producers this node's replicas of these partitions know.
    Producers(Vec<RaftGroupId>, oneshot::Sender<BTreeMap<RaftGroupId, Vec<ActiveProducer>>>),
    /// Offsets that are too old are to go.
    ExpireOffsets,
    Frame {
        from: NodeId,
        frame: Frame,
    },
    /// Bytes of the peer arrived.
    Heard(NodeId),
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
    /// Another thread or task of the node has ended, or met what ends the node.
    Fail(FatalError),
}

impl Input {
    /// Whether it waits for its turn.
    const fn is_work(&self) -> bool {
        match self {
            Self::Append(..)
            | Self::DeleteRecords { .. }
            | Self::Control { .. }
            | Self::Coordinate { .. }
            | Self::Confirm(..)
            | Self::Producers(..)
            | Self::ExpireOffsets
            | Self::Frame { .. } => true,
            Self::Survey(_)
            | Self::Heard(_)
            | Self::PeerEvent { .. }
            | Self::Persisted { .. }
            | Self::Fetched(..)
            | Self::Dropped(_)
            | Self::Room(_)
            | Self::Shutdown
            | Self::Fail(_) => false,
        }
    }
}

/// Work, and how many bytes it counts for.
struct Work {
    bytes: usize,
    input: Input,
}

/// Work in the order in which it is handed out.
#[derive(Default)]
struct Lanes {
    /// Records, by the group of their partition.
    records: BTreeMap<RaftGroupId, VecDeque<Work>>,
    /// The groups of `records`, in the order of their turns.
    turns: VecDeque<RaftGroupId>,
    /// All other work.
    rest: VecDeque<Work>,
    /// The last piece was a record.
    was_record: bool,
}

impl Lanes {
    fn is_empty(&self) -> bool {
        self.turns.is_empty() && self.rest.is_empty()
    }

    fn push(&mut self, work: Work) {
        let Input::Append(Append { group, .. }, _) = &work.input else { return self.rest.push_back(work) };
        let records = self.records.entry(*group).or_insert_with(|| {
            self.turns.push_back(*group);
            VecDeque::new()
        });
        records.push_back(work);
    }

    fn pop(&mut self) -> Option<Work> {
        let is_records_turn = !self.was_record || self.rest.is_empty();
        let record = if is_records_turn { self.pop_record() } else { None };
        self.was_record = record.is_some();
        record.or_else(|| self.rest.pop_front())
    }

    fn pop_record(&mut self) -> Option<Work> {
        let group = self.turns.pop_front()?;
        let records = self.records.get_mut(&group)?;
        let record = records.pop_front();
        if records.is_empty() {
            self.records.remove(&group);
        } else {
            self.turns.push_back(group);
        }
        record
    }
}

#[derive(Default)]
struct Queue {
    news: Vec<Input>,
    work: Lanes,
    /// Payload bytes of the frames among the work.
    peer_bytes: usize,
    /// The peers among the news that were heard, and have not been found dead since.
    heard: BTreeSet<NodeId>,
    dropped_frames: u64,
    said_dropped_at: Option<Instant>,
    /// The thread that is to panic.
    #[cfg(test)]
    panics: Option<&'static str>,
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
        match &input {
            // Heard once is as good as heard often.
            Input::Heard(peer) if !queue.heard.insert(*peer) => return,
            Input::PeerEvent { peer, .. } => {
                queue.heard.remove(peer);
            }
            _ => {}
        }
        if input.is_work() {
            let bytes = INPUT_BYTES + payload_bytes_of(&input);
            queue.work.push(Work { bytes, input });
        } else {
            queue.news.push(input);
        }
        drop(queue);
        self.arrived.notify_one();
    }

    /// Adds a peer's frame, or drops it when too much waits already. Either way the peer is heard.
    pub(crate) fn push_frame(&self, from: NodeId, frame: Frame) {
        self.push(Input::Heard(from));
        let bytes = payload_bytes(&frame);
        let mut queue = self.lock();
        if queue.peer_bytes + bytes > MAX_PEER_BYTES {
            queue.dropped_frames += 1;
            return;
        }
        queue.peer_bytes += bytes;
        queue.work.push(Work { bytes: INPUT_BYTES + bytes, input: Input::Frame { from, frame } });
        drop(queue);
        self.arrived.notify_one();
    }

    /// Takes the news, and work up to the one that makes it `work_bytes`; none if that is 0. Waits until there is something
    /// or until `deadline`.
    pub(crate) fn drain(&self, deadline: Instant, work_bytes: usize) -> Vec<Input> {
        let mut queue = self.lock();
        while queue.news.is_empty() && (queue.work.is_empty() || work_bytes == 0) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                break;
            }
            queue = self.arrived.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.heard.clear();
        let mut inputs = std::mem::take(&mut queue.news);
        let mut bytes = 0;
        while bytes < work_bytes
            && let Some(work) = queue.work.pop()
        {
            bytes += work.bytes;
            if matches!(work.input, Input::Frame { .. }) {
                queue.peer_bytes -= work.bytes - INPUT_BYTES;
            }
            inputs.push(work.input);
        }
        queue.say_dropped();
        inputs
    }

    /// Has the thread of this name panic when it starts.
    #[cfg(test)]
    pub(super) fn ask_to_panic(&self, thread: &'static str) {
        self.lock().panics = Some(thread);
    }

    #[cfg(test)]
    pub(super) fn panic_if_asked(&self, thread: &str) {
        let is_asked = self.lock().panics == Some(thread);
        assert!(!is_asked, "{thread} was asked to panic");
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn say_dropped(&mut self) {
        let is_due = self.said_dropped_at.is_none_or(|at| at.elapsed() >= SAY_DROPPED_EVERY);
        if self.dropped_frames > 0 && is_due {
            let dropped = std::mem::take(&mut self.dropped_frames);
            self.said_dropped_at = Some(Instant::now());
            tracing::warn!(dropped, "frames from peers were dropped: this node does not keep up");
        }
    }
}

fn payload_bytes_of(input: &Input) -> usize {
    match input {
        Input::Append(append, _) => append.batch.bytes().len(),
        Input::Frame { frame, .. } => payload_bytes(frame),
        Input::Producers(..) => PRODUCERS_BYTES,
        Input::Control { request, .. } => request.bytes(),
        Input::Coordinate { request, .. } => request.bytes(),
        Input::Confirm(groups, _) => groups.len() * GROUP_BYTES,
        _ => 0,
    }
}

fn payload_bytes(frame: &Frame) -> usize {
    match frame {
        Frame::SnapshotPart(part) => part.data.len(),
        Frame::Raft(messages) => {
            let entries = messages.iter().flat_map(|message| message.message.entries.iter());
            entries.map(|entry| entry.data.len()).sum::<usize>() + messages.len() * MESSAGE_BYTES
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use raft::eraftpb::{Entry, Message};

    use super::*;
    use crate::coordinator::ListGroups;
    use crate::partition::testing::BatchBuilder;
    use crate::partition::{RecordLimits, check_record_set};
    use crate::transport::GroupMessage;

    const PEER: NodeId = NodeId(2);

    fn frame_of(bytes: usize) -> Frame {
        let entry = Entry { data: vec![0; bytes].into(), ..Entry::default() };
        let message = Message { entries: vec![entry].into(), ..Message::default() };
        Frame::Raft(vec![GroupMessage { group: RaftGroupId(1), message }])
    }

    /// What is taken in one turn: what stands for each input, in order.
    fn take(inbox: &Inbox, work_bytes: usize) -> Vec<&'static str> {
        let word = |input: &Input| match input {
            Input::Frame { .. } => "frame",
            Input::Heard(_) => "heard",
            Input::PeerEvent { .. } => "event",
            Input::Persisted { .. } => "persisted",
            Input::ExpireOffsets => "work",
            _ => "other",
        };
        inbox.drain(Instant::now(), work_bytes).iter().map(word).collect()
    }

    #[test]
    fn work_comes_bit_by_bit_and_news_at_once() {
        let inbox = Inbox::default();
        for _ in 0..6 {
            inbox.push_frame(PEER, frame_of(1000));
        }
        inbox.push(Input::Persisted { readies: Vec::new(), bytes: 1 });
        assert_eq!(take(&inbox, 2000), ["heard", "persisted", "frame", "frame"]);
        inbox.push_frame(PEER, frame_of(0));
        assert_eq!(take(&inbox, 0), ["heard"], "no work is asked for");
        assert_eq!(take(&inbox, 1), ["frame"], "a piece is taken whole");
        assert_eq!(take(&inbox, usize::MAX), ["frame"; 4]);
        assert_eq!(inbox.lock().peer_bytes, 0);
    }

    #[test]
    fn work_counts_for_what_it_names() {
        let inbox = Inbox::default();
        for _ in 0..3 {
            let groups = vec![RaftGroupId(1); 10_000];
            inbox.push(Input::Confirm(groups.clone(), oneshot::channel().0));
            let request = ControllerRequest::HandToPreferred(groups.iter().map(|group| group.0).collect());
            inbox.push(Input::Control { request, topic_ids: Vec::new(), reply: oneshot::channel().0 });
            let request = Box::new(GroupRequest::List(ListGroups::default()));
            let coordinator = RaftGroupId(1);
            inbox.push(Input::Coordinate { coordinator, request, reply: oneshot::channel().0 });
        }
        let turns = std::iter::from_fn(|| Some(take(&inbox, 1 << 20).len()).filter(|taken| *taken > 0));
        assert_eq!(turns.collect::<Vec<_>>(), [3, 3, 3], "a turn takes what comes to a mebibyte");
    }

    #[test]
    fn partitions_have_turns_and_the_rest_every_second_piece() {
        let inbox = Inbox::default();
        let batch =
            check_record_set(BatchBuilder::of_count(1).build().into(), &RecordLimits::of_size(1 << 20));
        let batch = batch.unwrap();
        for group in [1, 1, 1, 1, 2, 3] {
            let append = Append {
                group: RaftGroupId(group),
                batch: batch.clone(),
                timestamp_type: TimestampType::CreateTime,
                now: TimestampMs(0),
                min_insync_replicas: None,
                held: Held::default(),
            };
            inbox.push(Input::Append(append, oneshot::channel().0));
        }
        for _ in 0..4 {
            inbox.push(Input::ExpireOffsets);
        }
        let group = |input: &Input| match input {
            Input::Append(append, _) => append.group.0,
            _ => 0,
        };
        let taken: Vec<u64> = inbox.drain(Instant::now(), usize::MAX).iter().map(group).collect();
        assert_eq!(taken, [1, 0, 2, 0, 3, 0, 1, 0, 1, 1]);
        assert!(inbox.lock().work.is_empty() && inbox.lock().work.records.is_empty());
    }

    #[test]
    fn much_work_in_small_pieces_is_bounded_too() {
        let inbox = Inbox::default();
        for _ in 0..100_000 {
            inbox.push(Input::ExpireOffsets);
        }
        assert_eq!(take(&inbox, 1 << 20).len(), (1 << 20) / INPUT_BYTES);
    }

    #[test]
    fn a_full_inbox_takes_a_bounded_number_of_bytes_a_turn_until_it_is_empty() {
        let inbox = Inbox::default();
        while inbox.lock().dropped_frames == 0 {
            inbox.push_frame(PEER, frame_of(100 << 10));
        }
        let (mut turns, mut frames) = (0, 0);
        loop {
            let taken = inbox.drain(Instant::now(), 1 << 20);
            let bytes: usize = taken.iter().map(payload_bytes_of).sum();
            assert!(bytes <= (1 << 20) + (101 << 10), "{bytes} bytes in one turn");
            let count = taken.iter().filter(|input| matches!(input, Input::Frame { .. })).count();
            if count == 0 {
                break;
            }
            turns += 1;
            frames += count;
        }
        assert!(turns >= 58, "{turns} turns for {frames} frames");
    }

    #[test]
    fn a_peer_is_heard_once_a_turn_also_when_its_frame_is_dropped_or_waits() {
        let inbox = Inbox::default();
        for _ in 0..3 {
            inbox.push_frame(PEER, frame_of(MAX_PEER_BYTES - 100));
        }
        assert_eq!(take(&inbox, 0), ["heard"]);
        inbox.push_frame(PEER, frame_of(MAX_PEER_BYTES - 100));
        assert_eq!(take(&inbox, 0), ["heard"], "that frame was dropped");
    }

    #[test]
    fn what_is_heard_after_an_event_stays_behind_it() {
        let inbox = Inbox::default();
        let lost = || Input::PeerEvent { peer: PEER, event: PeerEvent::Refused };
        inbox.push(Input::Heard(PEER));
        inbox.push(lost());
        inbox.push(Input::Heard(PEER));
        inbox.push(Input::Heard(PEER));
        assert_eq!(take(&inbox, 0), ["heard", "event", "heard"]);
    }

    #[test]
    fn payloads_are_what_frames_count_for() {
        let body = Bytes::from_static(b"body");
        assert_eq!(payload_bytes(&Frame::Response { id: 1, body }), 0);
        assert_eq!(payload_bytes(&frame_of(1000)), 1000 + MESSAGE_BYTES);
    }
}
