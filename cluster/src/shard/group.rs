//! One Raft group on this node: its `RawNode`, the machine that its log drives, and what waits for its commits.
//!
//! The order that raft-rs asks for is kept in one place, [`Group::collect`] and [`Group::written`]: between `ready()`
//! and `advance_append_async()` nothing touches the node, and the entries can be read before it is advanced.

use std::time::Duration;

use raft::eraftpb::{Entry, EntryType, Message, MessageType, Snapshot};
use raft::{Config, RawNode, Ready, SnapshotStatus, StateRole};
use slog::Logger;
use trilog_storage::{FetchedEntries, RaftLog, StoreError, WriteBatch};

use super::effects::{Effect, PersistedReady, Round};
use super::machine::{Applied, CheckpointPolicy, DecisionInputs, Machine, Waiting, damaged};
use super::proposals::{Fate, Proposals};
use crate::controller::ControllerRecord;
use crate::ids::{LeaderEpoch, NodeId, RaftGroupId, RaftIndex};
use crate::replica::RecentEntry;

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
/// Above this the queue waits, so that the bound above is never met.
const UNCOMMITTED_HIGH_WATER: usize = 2 << 20;
/// Applied in one round.
const MAX_APPLY_BYTES: u64 = 8 << 20;

/// A group, as the shard drives it.
pub(super) struct Group {
    id: RaftGroupId,
    /// In order of preference: the first is the preferred leader.
    voters: Vec<NodeId>,
    node: RawNode<RaftLog>,
    machine: Machine,
    checkpoints: CheckpointPolicy,
    proposals: Proposals<Waiting>,
    /// Committed, and waiting for more replicas than a majority.
    held: Vec<(RaftIndex, Waiting)>,
    /// The term in which this replica serves as leader.
    serving: Option<u64>,
    writing: Option<Writing>,
    /// A snapshot that is being made durable: its ready's number, and the index it stands for.
    installing: Option<(u64, RaftIndex)>,
    pub(super) asleep: bool,
    pub(super) quiet_ticks: u32,
    pub(super) campaign_at: Option<Duration>,
    /// The commit index when the in-sync replicas were last looked at.
    pub(super) reviewed_commit: RaftIndex,
}

/// A ready between its collection and the moment its batch is visible.
struct Writing {
    ready: Ready,
    entries: Vec<Entry>,
    applied: Option<RaftIndex>,
    recent: Vec<RecentEntry>,
    metadata: Vec<ControllerRecord>,
    settled: Vec<Effect>,
    restored: bool,
}

/// What a group did in a round that concerns the whole shard.
#[derive(Default)]
pub(super) struct GroupOutcome {
    /// The metadata changed by these records.
    pub(super) metadata: Vec<ControllerRecord>,
    /// The whole state was replaced by a snapshot.
    pub(super) restored: bool,
    /// Whether this replica serves as leader has changed.
    pub(super) leadership_changed: bool,
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
            batch_append: true,
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
            machine,
            checkpoints,
            proposals: Proposals::new(),
            held: Vec::new(),
            serving: None,
            writing: None,
            installing: None,
            asleep: false,
            quiet_ticks: 0,
            campaign_at: None,
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

    /// The leader that this replica follows or is.
    pub(super) fn leader(&self) -> Option<NodeId> {
        u32::try_from(self.node.raft.leader_id).ok().filter(|id| *id != 0).map(NodeId)
    }

    pub(super) fn commit(&self) -> RaftIndex {
        RaftIndex(self.node.raft.raft_log.committed)
    }

    /// Whether everything in this replica's log is committed and applied here.
    pub(super) fn is_settled(&self) -> bool {
        let log = &self.node.raft.raft_log;
        log.committed == log.last_index() && log.applied == log.committed && !self.machine.has_queued()
    }

    /// How far this leader knows `voter` to be: the last entry it holds, and the commit it knows of.
    pub(super) fn progress(&self, voter: NodeId) -> Option<(RaftIndex, RaftIndex)> {
        let progress = self.node.raft.prs().get(u64::from(voter.0))?;
        Some((RaftIndex(progress.matched), RaftIndex(progress.committed_index)))
    }

    pub(super) fn step(&mut self, message: Message) {
        let asks_for_votes =
            matches!(message.msg_type, MessageType::MsgRequestVote | MessageType::MsgRequestPreVote);
        if asks_for_votes && message.from == self.node.raft.leader_id {
            // The leader itself stands for election: its process has begun anew, and its lease is void.
            self.forget_leader();
        }
        // A message that Raft refuses (from a stranger, or of a kind that never crosses the network) changes nothing.
        if let Err(error) = self.node.step(message) {
            tracing::trace!(group = self.id.0, %error, "Raft refused a message");
        }
    }

    pub(super) fn tick(&mut self) {
        self.node.tick();
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
        if let Err(error) = self.node.campaign() {
            tracing::debug!(group = self.id.0, %error, "cannot campaign");
        }
    }

    /// Stands for election at once, as after a leadership transfer: for a group whose leader's process is known to be
    /// gone, or that never had a leader. The leases of other followers do not veto it.
    pub(super) fn campaign_now(&mut self) {
        if self.node.raft.state != StateRole::Follower {
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

    pub(super) fn is_transferring(&self) -> bool {
        self.node.raft.lead_transferee.is_some()
    }

    pub(super) fn unreachable(&mut self, node: NodeId) {
        self.node.report_unreachable(u64::from(node.0));
    }

    /// A snapshot that has not arrived by now is taken for lost, so that Raft sends another.
    pub(super) fn retry_snapshots(&mut self) {
        let state = |progress: &raft::Progress| progress.state == raft::ProgressState::Snapshot;
        let waiting: Vec<u64> =
            self.node.raft.prs().iter().filter(|(_, p)| state(p)).map(|(id, _)| *id).collect();
        for id in waiting {
            self.node.report_snapshot(id, SnapshotStatus::Failure);
        }
    }

    pub(super) fn fetched(&mut self, fetched: FetchedEntries) {
        let context = self.node.mut_store().provide_fetched(fetched);
        self.node.on_entries_fetched(context);
    }

    /// Sees to what Raft and producers wait for and what no ready tells of: a follower's word may be all it takes.
    pub(super) fn attend(&mut self, effects: &mut Vec<Effect>) {
        self.release_held(effects);
        self.answer_snapshot_wish();
        effects.extend(
            self.node.mut_store().take_fetches().into_iter().map(|fetch| Effect::Fetch(self.id, fetch)),
        );
    }

    /// Takes what the group has to write and to say. Its changes go into `round.batch`, and [`Self::written`] must
    /// follow once that batch is visible.
    pub(super) fn collect(&mut self, round: &mut Round) -> Result<(), StoreError> {
        debug_assert!(self.writing.is_none(), "a round begins after the one before it is written");
        if !self.node.has_ready() {
            return Ok(());
        }
        let mut ready = self.node.ready();
        for message in ready.take_messages() {
            round.sends.message(self.id, message);
        }
        let mut writing = Writing {
            entries: ready.take_entries(),
            applied: None,
            recent: Vec::new(),
            metadata: Vec::new(),
            settled: Vec::new(),
            restored: false,
            ready,
        };
        if !writing.ready.snapshot().is_empty() {
            self.install(&mut writing, round)?;
        }
        self.node.mut_store().append(&writing.entries, &mut round.batch)?;
        if let Some(hard_state) = writing.ready.hs() {
            self.node.mut_store().set_hard_state(hard_state, &mut round.batch);
        }
        for entry in writing.ready.take_committed_entries() {
            self.apply(&entry, round, &mut writing)?;
        }
        if let Some(applied) = writing.applied {
            let done = self.machine.checkpoint(self.id, self.checkpoints, &mut round.batch);
            self.checkpointed(done.then_some(applied), &mut round.batch)?;
        }
        self.promise(&mut writing.ready, round);
        self.writing = Some(writing);
        Ok(())
    }

    /// What may only be said once the ready is durable.
    fn promise(&self, ready: &mut Ready, round: &mut Round) {
        for message in ready.take_persisted_messages() {
            round.persist.sends.message(self.id, message);
        }
        round.persist.readies.push(PersistedReady { group: self.id, number: ready.number() });
        round.persist.must_sync |= ready.must_sync();
    }

    /// A checkpoint at `applied` is in the batch: Raft resumes there after a restart, and the controller's log before
    /// it can go, but for a tail that spares a follower a snapshot.
    fn checkpointed(&mut self, applied: Option<RaftIndex>, batch: &mut WriteBatch) -> Result<(), StoreError> {
        let Some(applied) = applied else { return Ok(()) };
        self.node.mut_store().set_applied(applied, batch);
        if self.id == RaftGroupId::CONTROLLER {
            let up_to = RaftIndex(applied.0.saturating_sub(self.checkpoints.kept_controller_entries));
            self.node.mut_store().compact(up_to, batch)?;
        }
        Ok(())
    }

    /// Puts queued requests into the log, as far as the bound on what is not committed allows.
    pub(super) fn propose_queued(&mut self, inputs: &DecisionInputs, effects: &mut Vec<Effect>) {
        // Raft may have stepped down since this was last observed, and a follower's proposals would be forwarded to
        // the new leader, stamped with offsets and an epoch that are not its own.
        while self.serving == Some(self.term())
            && self.is_leader()
            && !self.is_transferring()
            && self.node.raft.uncommitted_size() < UNCOMMITTED_HIGH_WATER
        {
            let Some(proposal) = self.machine.next_proposal(inputs, effects) else { break };
            if !proposal.payload.is_empty()
                && let Err(error) = self.node.propose(Vec::new(), proposal.payload)
            {
                // Raft leaves a leader no reason to refuse within the bounds above. Should it, the requests are
                // known not to be in the log, and what the machine planned on top of them is void.
                tracing::warn!(group = self.id.0, %error, "a proposal was refused; stepping down");
                effects.extend(proposal.waiting.into_iter().map(Waiting::refused));
                let term = self.node.raft.term;
                self.node.raft.become_follower(term, 0);
                self.stop_serving(effects);
                break;
            }
            self.await_commit(proposal.waiting, effects);
        }
    }

    /// Parks answers until the log's last entry is applied: the proposal just made, or the one that a repeated
    /// request is a copy of.
    fn await_commit(&mut self, waiting: Vec<Waiting>, effects: &mut Vec<Effect>) {
        let index = RaftIndex(self.node.raft.raft_log.last_index());
        let already_applied = index.0 <= self.node.raft.raft_log.applied;
        for one in waiting {
            if already_applied {
                self.settle(Fate::Committed(one), index, effects);
            } else {
                let displaced = self.proposals.push(index, self.node.raft.term, one);
                effects.extend(displaced.into_iter().map(Waiting::refused));
            }
        }
    }

    fn apply(&mut self, entry: &Entry, round: &mut Round, writing: &mut Writing) -> Result<(), StoreError> {
        let index = RaftIndex(entry.index);
        // Membership is fixed at creation, so an entry of another type carries nothing that is understood here.
        if entry.entry_type == EntryType::EntryNormal {
            match self.machine.apply(self.id, index, &entry.data, &mut round.batch)? {
                Applied::Nothing => {}
                Applied::Records(recent) => writing.recent.push(recent),
                Applied::Metadata(records) => writing.metadata.extend(records),
            }
        }
        writing.applied = Some(index);
        for fate in self.proposals.applied(index, entry.term) {
            self.settle(fate, index, &mut writing.settled);
        }
        Ok(())
    }

    fn settle(&mut self, fate: Fate<Waiting>, index: RaftIndex, effects: &mut Vec<Effect>) {
        match fate {
            Fate::Overwritten(waiting) => effects.push(waiting.refused()),
            Fate::Committed(Waiting::Control { ticket, response }) => {
                effects.push(Effect::Answered { ticket, result: Ok(response) });
            }
            Fate::Committed(Waiting::Append { ticket, appended, replicas: None }) => {
                effects.push(Effect::Appended { ticket, result: Ok(appended) });
            }
            Fate::Committed(waiting) => self.held.push((index, waiting)),
        }
    }

    /// Answers the appends that enough replicas hold by now, beyond the majority that committed them.
    fn release_held(&mut self, effects: &mut Vec<Effect>) {
        if self.held.is_empty() {
            return;
        }
        let matched: Vec<u64> = self.node.raft.prs().iter().map(|(_, progress)| progress.matched).collect();
        let holding = |index: RaftIndex| matched.iter().filter(|matched| **matched >= index.0).count();
        self.held.retain(|(index, waiting)| match waiting {
            Waiting::Append { ticket, appended, replicas: Some(replicas) }
                if holding(*index) >= *replicas =>
            {
                effects.push(Effect::Appended { ticket: *ticket, result: Ok(*appended) });
                false
            }
            _ => true,
        });
    }

    /// The batch is visible: Raft may go on, and the world may know.
    pub(super) fn written(&mut self, effects: &mut Vec<Effect>) -> GroupOutcome {
        let Some(Writing { ready, entries, applied, recent, metadata, settled, restored }) =
            self.writing.take()
        else {
            return GroupOutcome::default();
        };
        self.node.mut_store().appended(&entries);
        self.node.advance_append_async(ready);
        if let Some(applied) = applied {
            self.node.advance_apply_to(applied.0);
        }
        let leadership_changed = self.observe_leadership(effects);
        if applied.is_some() || restored || leadership_changed {
            self.publish(recent, restored, effects);
        }
        // Whoever is told of its write may read it: the high watermark is published above.
        effects.extend(settled);
        GroupOutcome { metadata, restored, leadership_changed }
    }

    fn publish(&self, recent: Vec<RecentEntry>, restored: bool, effects: &mut Vec<Effect>) {
        match &self.machine {
            Machine::Controller(machine) => {
                effects.push(Effect::Image(std::sync::Arc::clone(machine.image())))
            }
            Machine::Partition(machine) => {
                if restored {
                    effects.push(Effect::ReplicaOpened(self.id));
                }
                effects.push(Effect::ReplicaChanged { group: self.id, status: machine.status(), recent });
            }
        }
    }

    /// Everything that readers may know, for a group that has just been opened.
    pub(super) fn publish_opened(&self, effects: &mut Vec<Effect>) {
        self.publish(Vec::new(), true, effects);
    }

    /// A leader serves from its first applied entry of its own term until it leads no more.
    fn observe_leadership(&mut self, effects: &mut Vec<Effect>) -> bool {
        let term = self.node.raft.term;
        let leads = self.is_leader();
        if self.serving.is_some_and(|serving| !leads || serving != term) {
            self.stop_serving(effects);
            return true;
        }
        if leads && self.serving.is_none() && self.node.raft.apply_to_current_term() {
            self.serving = Some(term);
            self.machine.start_leading(epoch(term));
            return true;
        }
        false
    }

    fn stop_serving(&mut self, effects: &mut Vec<Effect>) {
        self.serving = None;
        self.machine.stop_leading(effects);
        // These are committed: a client that asks again gets the same answer from the next leader.
        effects.extend(self.held.drain(..).map(|(_, waiting)| waiting.unknown()));
    }

    /// The ready of this number, and those before it, are durable.
    pub(super) fn persisted(&mut self, number: u64) {
        self.node.on_persist_ready(number);
        if let Some((_, index)) = self.installing.take_if(|(ready, _)| *ready <= number) {
            self.node.advance_apply_to(index.0);
        }
    }

    /// Replaces log and state by the leader's snapshot.
    fn install(&mut self, writing: &mut Writing, round: &mut Round) -> Result<(), StoreError> {
        let snapshot = writing.ready.snapshot();
        let metadata = snapshot.get_metadata();
        let index = RaftIndex(metadata.index);
        self.machine.restore(&snapshot.data).map_err(|detail| damaged(self.id, &detail))?;
        let voters = metadata.get_conf_state().voters.clone();
        self.node.mut_store().install_snapshot(index, metadata.term, &voters, &mut round.batch)?;
        self.machine.checkpoint_snapshot(self.id, &mut round.batch);
        self.node.mut_store().set_applied(index, &mut round.batch);
        self.installing = Some((writing.ready.number(), index));
        writing.settled.extend(self.proposals.abandon().into_iter().map(Waiting::unknown));
        writing.restored = true;
        tracing::info!(group = self.id.0, index = index.0, "took a snapshot from the leader");
        Ok(())
    }

    /// Raft wants a snapshot for a follower that is behind the log's start: the state as applied.
    fn answer_snapshot_wish(&mut self) {
        if !self.node.mut_store().take_snapshot_wanted() {
            return;
        }
        let log = &self.node.raft.raft_log;
        let applied = log.applied;
        let Ok(term) = log.term(applied) else { return };
        let mut snapshot = Snapshot { data: self.machine.snapshot(), ..Snapshot::default() };
        let metadata = snapshot.mut_metadata();
        metadata.index = applied;
        metadata.term = term;
        metadata.mut_conf_state().voters = self.voters.iter().map(|voter| u64::from(voter.0)).collect();
        self.node.mut_store().provide_snapshot(snapshot);
    }

    /// Writes a checkpoint of whatever was applied since the last one, so that a restart replays nothing.
    pub(super) fn checkpoint(&mut self, batch: &mut WriteBatch) -> Result<(), StoreError> {
        if self.machine.checkpoint(self.id, self.checkpoints.at_once(), batch) {
            let applied = RaftIndex(self.node.raft.raft_log.applied);
            self.checkpointed(Some(applied), batch)?;
        }
        Ok(())
    }

    /// The group leaves this node: nobody is left waiting.
    pub(super) fn close(mut self, effects: &mut Vec<Effect>) {
        self.stop_serving(effects);
        effects.extend(self.proposals.abandon().into_iter().map(Waiting::unknown));
    }
}

/// A leader epoch is the Raft term. Terms count elections, so they stay far below an epoch's range.
fn epoch(term: u64) -> LeaderEpoch {
    LeaderEpoch(i32::try_from(term).unwrap_or(i32::MAX))
}
