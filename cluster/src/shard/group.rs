//! One Raft group on this node: its `RawNode`, the machine that its log drives, and what waits for its commits.
//!
//! What Raft has ready is written and applied in [`ready`]; requests become proposals and proposals answers in
//! [`answers`]. What a replica may do whose disk was lost is [`admission`]'s matter, and what one may do that has forgotten the
//! end of its log is [`forgetful`]'s.

mod admission;
mod answers;
mod forgetful;
#[cfg(test)]
mod inspection;
mod patience;
mod reads;
mod ready;
mod scrutiny;
mod survey;

use std::collections::BTreeMap;
use std::time::Duration;

use raft::eraftpb::{Message, MessageType};
use raft::{Config, RawNode, SnapshotStatus, StateRole};
use slog::Logger;
use trilog_storage::{FetchedEntries, RaftLog};

pub(super) use self::admission::Admission;
use self::admission::Readmission;
pub(crate) use self::forgetful::forget;
use self::forgetful::{Ballots, is_grant};
#[cfg(test)]
pub(crate) use self::inspection::GroupView;
use self::patience::Patience;
use self::reads::Reads;
pub(super) use self::ready::GroupOutcome;
use self::ready::Writing;
pub(super) use self::scrutiny::{Implausible, MAX_CONTEXT_LEN, MAX_TERM, MAX_TERM_JUMP};
use super::machine::{CheckpointPolicy, Machine, Waiting};
use super::proposals::Proposals;
use crate::ids::{LeaderEpoch, NodeId, RaftGroupId, RaftIndex};

/// Ticks without a leader's word before the first replica stands for election: half a second. Each further one, in
/// order of preference, waits [`HEARTBEAT_TICKS`] longer. So no two stand at the same time again and again, without
/// the random timeouts that Raft has for it: a shard's outcomes depend on its inputs alone.
const ELECTION_TICKS: usize = 10;
/// Ticks between a leader's heartbeats to a group that is awake.
const HEARTBEAT_TICKS: usize = 3;
/// One append message carries about this much, and always at least one entry.
const MAX_MESSAGE_BYTES: u64 = 512 << 10;
/// Append messages on the way to one follower.
const MAX_INFLIGHT_MESSAGES: usize = 8;
/// Proposed and not yet committed bytes of one group; what comes on top waits in the machine's queue.
const MAX_UNCOMMITTED_BYTES: u64 = 32 << 20;
/// Applied in one round. After a restart that is read from the store, by the thread that drives all groups.
const MAX_APPLY_BYTES: u64 = 1 << 20;

/// A group, as the shard drives it.
pub(super) struct Group {
    id: RaftGroupId,
    /// In order of preference: the first is the preferred leader.
    voters: Vec<NodeId>,
    node: RawNode<RaftLog>,
    admission: Admission,
    /// On a leader: the replicas that lost their disks. Those of other terms are of no more use.
    readmissions: BTreeMap<NodeId, Readmission>,
    /// The votes that this replica got.
    ballots: Ballots,
    machine: Machine,
    checkpoints: CheckpointPolicy,
    proposals: Proposals<Waiting>,
    reads: Reads,
    patience: Patience,
    /// Committed, and waiting for more replicas than a majority.
    held: Vec<(RaftIndex, Waiting)>,
    /// The term in which this replica serves as leader.
    serving: Option<u64>,
    writing: Option<Writing>,
    /// Snapshots to be sent that are too long for a message.
    long_snapshots: Vec<Message>,
    /// Nobody has waited for a snapshot since this was last looked at.
    spares_snapshot: bool,
    /// A snapshot that is being made durable: its ready's number, and the index it stands for.
    installing: Option<(u64, RaftIndex)>,
    /// The log was cut in the round that is being written.
    cut: bool,
    pub(super) asleep: bool,
    pub(super) quiet_ticks: u32,
    pub(super) planned: Option<Campaign>,
    /// The replica has stood for the first time since its start, and may do so once more without delay if a voter knows a later term.
    /// That voter had begun an election before it was started itself, of which nothing will come. Later on it may be in the middle of one.
    may_repeat: bool,
    /// The commit index when the in-sync replicas were last looked at.
    pub(super) reviewed_commit: RaftIndex,
}

/// An election that this replica will begin if the group has no leader by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Campaign {
    /// On the shard's clock.
    pub(super) at: Duration,
    /// The replica was opened with this plan, and no loss of a leader has caused it.
    pub(super) is_first: bool,
}

impl Campaign {
    /// The campaign that follows the loss of a leader or of a candidate.
    pub(super) fn at(at: Duration) -> Self {
        Self { at, is_first: false }
    }
}

impl Group {
    pub(super) fn new(
        node: NodeId,
        id: RaftGroupId,
        voters: Vec<NodeId>,
        log: RaftLog,
        machine: Machine,
        checkpoints: CheckpointPolicy,
        logger: &Logger,
    ) -> raft::Result<Self> {
        let rank = voters.iter().position(|voter| *voter == node).unwrap_or(voters.len());
        let patience = ELECTION_TICKS + rank * HEARTBEAT_TICKS;
        let config = Config {
            id: u64::from(node.0),
            election_tick: ELECTION_TICKS,
            min_election_tick: patience,
            max_election_tick: patience + 1,
            heartbeat_tick: HEARTBEAT_TICKS,
            applied: log.applied().0,
            max_size_per_msg: MAX_MESSAGE_BYTES,
            max_inflight_msgs: MAX_INFLIGHT_MESSAGES,
            max_uncommitted_size: MAX_UNCOMMITTED_BYTES,
            max_committed_size_per_ready: MAX_APPLY_BYTES,
            check_quorum: true,
            pre_vote: true,
            // Not in raft-rs: it adds entries to an empty message for the same follower that may come behind another one, and the
            // follower then acknowledges one more than it has.
            batch_append: false,
            // Followers of a partition learn of a commit with the next entry or heartbeat, which spares a message
            // a round; the controller's followers serve the metadata, so they are told at once.
            skip_bcast_commit: id != RaftGroupId::CONTROLLER,
            ..Config::default()
        };
        let node = RawNode::new(&config, log, logger)?;
        Ok(Self {
            id,
            voters,
            node,
            admission: Admission::Full,
            readmissions: BTreeMap::new(),
            ballots: Ballots::default(),
            machine,
            checkpoints,
            proposals: Proposals::new(),
            reads: Reads::default(),
            patience: Patience::default(),
            held: Vec::new(),
            serving: None,
            writing: None,
            long_snapshots: Vec::new(),
            spares_snapshot: false,
            installing: None,
            cut: false,
            asleep: false,
            quiet_ticks: 0,
            planned: None,
            may_repeat: false,
            reviewed_commit: RaftIndex(0),
        })
    }

    pub(super) const fn id(&self) -> RaftGroupId {
        self.id
    }

    pub(super) fn voters(&self) -> &[NodeId] {
        &self.voters
    }

    pub(super) const fn machine(&self) -> &Machine {
        &self.machine
    }

    pub(super) const fn machine_mut(&mut self) -> &mut Machine {
        &mut self.machine
    }

    pub(super) fn term(&self) -> u64 {
        self.node.raft.term
    }

    /// The epoch in which this replica serves as leader.
    pub(super) fn serving(&self) -> Option<LeaderEpoch> {
        self.serving.map(epoch)
    }

    pub(super) fn is_leader(&self) -> bool {
        self.node.raft.state == StateRole::Leader
    }

    /// Whether it neither leads nor stands for election.
    pub(super) fn is_follower(&self) -> bool {
        self.node.raft.state == StateRole::Follower
    }

    /// The leader that this replica follows or is.
    pub(super) fn leader(&self) -> Option<NodeId> {
        u32::try_from(self.node.raft.leader_id).ok().filter(|id| *id != 0).map(NodeId)
    }

    /// The last entry of this replica's log.
    pub(super) fn last(&self) -> RaftIndex {
        RaftIndex(self.node.raft.raft_log.last_index())
    }

    pub(super) fn commit(&self) -> RaftIndex {
        RaftIndex(self.node.raft.raft_log.committed)
    }

    /// Whether everything in this replica's log is committed and applied here, and nobody waits.
    pub(super) fn is_settled(&self) -> bool {
        let log = &self.node.raft.raft_log;
        log.committed == log.last_index()
            && log.applied == log.committed
            && !self.machine.has_queued()
            && self.reads.is_empty()
    }

    /// How far this leader knows `voter` to be: the last entry it holds, and the commit it knows of.
    pub(super) fn progress(&self, voter: NodeId) -> Option<(RaftIndex, RaftIndex)> {
        let progress = self.node.raft.prs().get(u64::from(voter.0))?;
        Some((RaftIndex(progress.matched), RaftIndex(progress.committed_index)))
    }

    /// Takes a message that was [scrutinized](Self::scrutinize), or that this replica sends itself.
    pub(super) fn step(&mut self, message: Message) {
        if !self.heeds(&message) || self.overstates(&message) {
            return;
        }
        if asks_for_vote(message.msg_type) {
            if message.from == self.node.raft.leader_id {
                // The leader itself stands for election: its process has begun anew, and its lease is void.
                self.forget_leader();
            }
            if self.could_elect(&message) {
                self.planned = None;
            }
        }
        if message.msg_type == MessageType::MsgTimeoutNow && !self.may_stand() {
            return;
        }
        let stands_again = self.is_outdated_by(&message) && std::mem::take(&mut self.may_repeat);
        if is_grant(&message) {
            self.take_grant(message)
        } else {
            self.step_raft(message)
        }
        if stands_again {
            self.campaign();
        }
    }

    fn step_raft(&mut self, message: Message) {
        // A message that Raft refuses (from a stranger, or of a kind that never crosses the network) changes nothing.
        if let Err(error) = self.node.step(message) {
            tracing::trace!(group = self.id.0, %error, "Raft refused a message");
        }
    }

    /// Whether a message asks for a vote that this replica cannot give, as its log has what the candidate's lacks.
    pub(super) fn has_more_than(&self, message: &Message) -> bool {
        let log = &self.node.raft.raft_log;
        asks_for_vote(message.msg_type)
            && (message.log_term, message.index) < (log.last_term(), log.last_index())
    }

    /// Whether a candidate that asks for a vote may win an election by it. This replica then keeps to its election timer, which a
    /// vote sets back, and does not stand by the plan that it has made: an election that takes longer than the plan, as with a
    /// thousand groups that elect at once or a slow disk, would be undone by the next one.
    fn could_elect(&self, message: &Message) -> bool {
        message.term > self.term() && !self.has_more_than(message)
    }

    /// Whether a message ends this replica's attempt to be elected, as the voter knows a later term.
    fn is_outdated_by(&self, message: &Message) -> bool {
        message.msg_type == MessageType::MsgRequestPreVoteResponse
            && message.reject
            && message.term > self.term()
            && self.node.raft.state == StateRole::PreCandidate
    }

    /// A tick of Raft's timers, which go slower in `hardship`. They stand still while this replica cannot campaign.
    pub(super) fn tick(&mut self, hardship: u32) {
        self.tick_ballots();
        // To a follower time only says when to stand.
        if self.may_stand() {
            self.tick_patiently(hardship);
        }
    }

    /// Whether this replica may campaign. Not while a snapshot is taken up or being made durable: Raft would look at the
    /// committed entries that do not count as applied yet, and the log begins after them.
    fn may_stand(&self) -> bool {
        self.has_votes() && self.installing.is_none() && self.node.raft.raft_log.unstable.snapshot.is_none()
    }

    /// Tells the followers that their leader is here.
    pub(super) fn ping(&mut self) {
        self.node.ping();
    }

    /// After a sleep in which nothing was counted: a leader greets its followers, and has a full election timeout to
    /// hear from a majority of them.
    pub(super) fn woken(&mut self) {
        if self.is_leader() {
            self.node.raft.election_elapsed = 0;
            self.node.ping();
        }
    }

    /// Stands for election, asking first whether it could win (pre-vote).
    pub(super) fn campaign(&mut self) {
        if !self.may_stand() {
            return;
        }
        if let Err(error) = self.node.campaign() {
            tracing::debug!(group = self.id.0, %error, "cannot campaign");
        }
    }

    /// Begins the first election after a start. The replica may repeat it once without delay.
    pub(super) fn campaign_first(&mut self) {
        self.may_repeat = true;
        self.campaign();
    }

    /// Stands for election at once, as after a leadership transfer: for a group whose leader's process is known to be
    /// gone, or that never had a leader. The leases of other followers do not veto it.
    pub(super) fn campaign_now(&mut self) {
        // Who needs everybody's votes asks for them as everybody does.
        if !self.is_follower() || !self.is_admitted() {
            return self.campaign();
        }
        let id = self.node.raft.id;
        self.step(Message {
            msg_type: MessageType::MsgTimeoutNow,
            from: id,
            to: id,
            term: self.node.raft.term,
            ..Message::default()
        });
    }

    /// The leader's lease is over: this replica votes for another one from now on.
    pub(super) fn forget_leader(&mut self) {
        self.node.raft.election_elapsed = self.node.raft.election_timeout();
    }

    pub(super) fn transfer_to(&mut self, node: NodeId) {
        self.node.transfer_leader(u64::from(node.0));
    }

    /// Goes on leading if the leadership was on its way to `node`, which is lost.
    pub(super) fn keep_from(&mut self, node: NodeId) {
        if self.node.raft.lead_transferee == Some(u64::from(node.0)) {
            self.node.raft.abort_leader_transfer();
        }
    }

    pub(super) fn is_transferring(&self) -> bool {
        self.node.raft.lead_transferee.is_some()
    }

    pub(super) fn unreachable(&mut self, node: NodeId) {
        self.node.report_unreachable(u64::from(node.0));
    }

    /// A snapshot that has not arrived by now is taken for lost, so that Raft sends another; not so those that are
    /// `under_way`. One that nobody waits for any more is given up.
    pub(super) fn retry_snapshots(&mut self, under_way: impl Fn(NodeId) -> bool) {
        let waiting: Vec<NodeId> =
            self.voters.iter().copied().filter(|voter| self.awaits_snapshot(*voter)).collect();
        if std::mem::replace(&mut self.spares_snapshot, waiting.is_empty()) && waiting.is_empty() {
            self.node.mut_store().forget_snapshot();
        }
        for voter in waiting.into_iter().filter(|voter| !under_way(*voter)) {
            self.snapshot_failed(voter);
        }
    }

    /// Whether Raft sends `voter` nothing until it has taken up a snapshot.
    pub(super) fn awaits_snapshot(&self, voter: NodeId) -> bool {
        let progress = self.node.raft.prs().get(u64::from(voter.0));
        progress.is_some_and(|progress| progress.state == raft::ProgressState::Snapshot)
    }

    /// A snapshot did not get through.
    pub(super) fn snapshot_failed(&mut self, voter: NodeId) {
        self.node.report_snapshot(u64::from(voter.0), SnapshotStatus::Failure);
    }

    /// The snapshots that are to be sent in parts.
    pub(super) fn take_long_snapshots(&mut self) -> impl Iterator<Item = Message> + use<> {
        std::mem::take(&mut self.long_snapshots).into_iter()
    }

    pub(super) fn fetched(&mut self, fetched: FetchedEntries) {
        let context = self.node.mut_store().provide_fetched(fetched);
        self.node.on_entries_fetched(context);
        self.forget_fetched();
    }

    /// Drops what was read for followers, unless this replica leads: nobody would ever collect it.
    pub(super) fn forget_fetched(&mut self) {
        if !self.is_leader() {
            self.node.mut_store().forget_fetched();
        }
    }
}

/// A leader epoch is the Raft term. Terms count elections, so they stay far below an epoch's range.
fn epoch(term: u64) -> LeaderEpoch {
    LeaderEpoch(i32::try_from(term).unwrap_or(i32::MAX))
}

/// Whether a message of this kind asks for a vote, or whether it would be given.
const fn asks_for_vote(kind: MessageType) -> bool {
    matches!(kind, MessageType::MsgRequestVote | MessageType::MsgRequestPreVote)
}
