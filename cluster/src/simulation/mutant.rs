//! Rules broken on purpose, to show that the invariants would tell.
//!
//! None of them needs a switch in the code that is tested. What is broken is the driver, the disk or the network around a shard, each
//! of which plays a part in keeping the rule; or else a test reaches into the shard and takes away what it has just noted
//! (`shard/sabotage.rs`).
//!
//! The first of 200 seeds that finds each, when this was last measured. `cargo test -p trilog-cluster is_found -- --nocapture` tells it.
//!
//! | mutant | seed | mutant | seed |
//! | --- | --- | --- | --- |
//! | `AcknowledgeUnsynced` | 0 | `VouchForAnybody` | 41 |
//! | `PromiseUnsynced` | 0 | `ServeAtOnce` | 12 |
//! | `FlushPromises` | 2 | `TrustEmptyDisk` | 0 |
//! | `AcknowledgeUnflushed` | 0 | `ReadmitAtOnce` | 0 |
//! | `ForgetNothing` | 7 | `IgnoreTerms` | 0 |
//! | `GoOnAfterFailedSync` | 7 | `SnapshotOfNow` | 0 |
//! | `AnswerUnconfirmed` | 77 | `ForgetTruncation` | 4 |
//! | `LoseLastAnswers` | 67 | `ForgetProducers` | 0 |
//! | `NoHardship` | 7 | `UseUnnoted` | 13 |
//! | `RefuseUnnoted` | 94 | `TrustWallClocks` | 7 |
//! | `ConfirmAll` | 6 | `LateUnnoted` | 7 |
//!
//! Two of them take a moment that chance does not find in so many seeds; some seeds [aim](super::aim) at it.

use std::collections::BTreeMap;

use raft::eraftpb::{Message, MessageType};

use crate::ids::{RaftGroupId, RaftIndex, Ticket};
use crate::shard::effects::{AppendError, Effect};
use crate::shard::{GroupView, Shard};
use crate::transport::{Frame, GroupMessage, ReadmitRow};

/// A rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutant {
    /// Raft counts entries, and promises leave, when a batch is visible and not yet synced.
    AcknowledgeUnsynced,
    /// Promises (votes, acknowledgements to a leader) leave before the sync; Raft's own count is right.
    PromiseUnsynced,
    /// With relaxed durability, promises that must never be forgotten (votes, terms) leave once the kernel has them.
    FlushPromises,
    /// With relaxed durability, entries are acknowledged before the kernel has them.
    AcknowledgeUnflushed,
    /// A node that may have forgotten what it acknowledged goes on as if it had not.
    ForgetNothing,
    /// A failed sync is taken for a successful one.
    GoOnAfterFailedSync,
    /// A leader answers readers without asking anybody whether it still leads.
    AnswerUnconfirmed,
    /// Whoever is asked whether somebody leads says yes.
    VouchForAnybody,
    /// A leader's reads are served from its election on, not from the first applied entry of its term.
    ServeAtOnce,
    /// A node on an empty disk is taken for a new one by everybody, whatever they know: it votes at once.
    TrustEmptyDisk,
    /// A node that lost its disk is let in by whom it asks, without a barrier that the others have.
    ReadmitAtOnce,
    /// What leaders and followers say to each other is taken to be of the present term, of whichever it is.
    IgnoreTerms,
    /// A partition's snapshot is its state as of now, and not as of the entry that its log begins behind.
    SnapshotOfNow,
    /// A follower keeps its own entries where the leader has others, and says that it has the leader's.
    ForgetTruncation,
    /// A partition forgets a producer within half a second, which is sooner than producers give up.
    ForgetProducers,
    /// What a partition answers in the round in which it is deleted is lost.
    LoseLastAnswers,
    /// Nobody is patient with a node whose disk stands still.
    NoHardship,
    /// Nobody notes that a peer answers late.
    LateUnnoted,
    /// Only sweeps write down whether a group is in use.
    UseUnnoted,
    /// A leader does not remember what it has refused.
    RefuseUnnoted,
    /// A coordinator measures the age of offsets by its node's wall clock.
    TrustWallClocks,
    /// The next coordinator takes all members that have reached their targets for confirmed.
    ConfirmAll,
}

impl Mutant {
    /// Does to messages what a sender or a receiver would that breaks the rule.
    pub(super) fn falsify(self, messages: &mut [GroupMessage], sender: Option<&Shard>, receiver: &Shard) {
        for GroupMessage { group, message } in messages {
            let Some(view) = receiver.group_view(*group) else { continue };
            match self {
                Self::IgnoreTerms if is_replication(message.msg_type) => message.term = view.term(),
                Self::ForgetTruncation if message.msg_type == MessageType::MsgAppend => {
                    keep_own_entries(message, view);
                }
                Self::SnapshotOfNow if message.msg_type == MessageType::MsgSnapshot => {
                    let now = sender.and_then(|sender| sender.group_view(*group));
                    if let Some(now) = now.filter(|now| now.is_partition()) {
                        message.mut_snapshot().data = now.state();
                    }
                }
                _ => {}
            }
        }
    }
}

/// The partitions that batches and deletions were sent to, for a node that loses its last answers.
#[derive(Default)]
pub(super) struct LastAnswers {
    asked: BTreeMap<Ticket, RaftGroupId>,
}

impl LastAnswers {
    /// A partition is asked for something.
    pub(super) fn asked(&mut self, ticket: Ticket, group: RaftGroupId) {
        self.asked.insert(ticket, group);
    }

    /// Loses what the log of a partition has settled in the round in which it goes. What is given up as it goes is told.
    pub(super) fn lose(&self, effects: &mut Vec<Effect>) {
        let removed = |effect: &Effect| match effect {
            Effect::ReplicaRemoved(group) => Some(*group),
            _ => None,
        };
        let gone: Vec<RaftGroupId> = effects.iter().filter_map(removed).collect();
        effects.retain(|effect| match effect {
            Effect::Appended { ticket, result: Ok(_) | Err(AppendError::Producer(_)) }
            | Effect::RecordsDeleted { ticket, result: Ok(_) } => {
                self.asked.get(ticket).is_none_or(|group| !gone.contains(group))
            }
            _ => true,
        });
    }
}

/// What a node that asks to be readmitted is told by whom it asks, whoever that is.
pub(super) fn readmit_at_once(question: &Frame) -> Option<Frame> {
    let Frame::Rejoin { store, groups } = question else { return None };
    let row = |group: &RaftGroupId| ReadmitRow {
        group: *group,
        term: 0,
        until: RaftIndex(0),
        groups: RaftGroupId(u64::MAX),
    };
    Some(Frame::Readmit { store: *store, rows: groups.iter().map(row).collect() })
}

/// Whether a leader says it to its followers, or they to it.
const fn is_replication(kind: MessageType) -> bool {
    use MessageType as M;
    matches!(kind, M::MsgAppend | M::MsgAppendResponse | M::MsgHeartbeat | M::MsgHeartbeatResponse)
}

fn keep_own_entries(message: &mut Message, view: GroupView<'_>) {
    let own = |index: u64| (index >= view.first().0 && index <= view.last().0).then_some(RaftIndex(index));
    if let Some(term) = own(message.index).and_then(|index| view.term_of(index)) {
        message.log_term = term;
    }
    for entry in message.entries.iter_mut() {
        if let Some(index) = own(entry.index) {
            *entry = view.entries(index, index).remove(0);
        }
    }
}
