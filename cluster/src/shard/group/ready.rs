//! What Raft has ready: written, applied, and told.
//!
//! The order that raft-rs asks for is kept in one place, [`Group::collect`] and [`Group::written`]: between `ready()`
//! and `advance_append_async()` nothing touches the node, and the entries can be read before it is advanced.

use raft::Ready;
use raft::eraftpb::{Entry, EntryType, Message, MessageType};
use trilog_storage::{Store, StoreError, WriteBatch};

use super::Group;
use crate::controller::ControllerRecord;
use crate::ids::RaftIndex;
use crate::replica::RecentEntry;
use crate::shard::effects::{Effect, Needs, PersistedReady, Round};
use crate::shard::machine::{Applied, CheckpointPolicy, DecisionInputs, Machine, Replay, Waiting, damaged};
use crate::shard::room::{carries_entries, is_partition, suffice_without};

/// A ready between its collection and the moment its batch is visible.
pub(super) struct Writing {
    pub(super) ready: Ready,
    pub(super) entries: Vec<Entry>,
    applied: Option<RaftIndex>,
    recent: Vec<RecentEntry>,
    metadata: Vec<ControllerRecord>,
    settled: Vec<Effect>,
    restored: bool,
}

/// What a group did in a round that concerns the whole shard.
#[derive(Default)]
pub(in crate::shard) struct GroupOutcome {
    /// The metadata changed by these records.
    pub(in crate::shard) metadata: Vec<ControllerRecord>,
    /// The whole state was replaced by a snapshot.
    pub(in crate::shard) restored: bool,
    /// Entries behind a checkpoint are of no use any more.
    pub(in crate::shard) compacted: bool,
    /// Whether this replica serves as leader has changed.
    pub(in crate::shard) leadership_changed: bool,
}

impl Group {
    /// Takes what the group has to write and to say. Its changes go into `round.batch`, and [`Self::written`] must
    /// follow once that batch is visible.
    pub(in crate::shard) fn collect(&mut self, store: &Store, round: &mut Round) -> Result<(), StoreError> {
        debug_assert!(self.writing.is_none(), "a round begins after the one before it is written");
        self.node.mut_store().check()?;
        self.cut_log(&mut round.batch)?;
        if !self.node.has_ready() {
            return Ok(());
        }
        self.node.mut_store().take_read_bytes();
        let mut ready = self.node.ready();
        round.read_bytes += self.node.mut_store().take_read_bytes();
        let spared = is_partition(&self.machine) && suffice_without(&self.voters, &round.without_room);
        for message in ready.take_messages() {
            debug_assert!(
                !carries_entries(&message) || message.entries[0].index == message.index + 1,
                "entries follow the one that a message names"
            );
            if self.is_long_snapshot(&message) {
                self.long_snapshots.push(message);
                continue;
            }
            let full = round.without_room.iter().any(|peer| u64::from(peer.0) == message.to);
            if !(spared && full && carries_entries(&message)) {
                round.sends.message(self.id, message);
            }
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
        round.persist.needs = self.needs(&writing).max(round.persist.needs);
        if !writing.ready.snapshot().is_empty() {
            self.install(&mut writing, round)?;
            self.forget_deleted(store, &mut round.batch);
        }
        self.node.mut_store().append(&writing.entries, &mut round.batch)?;
        if self.note_barriers(&writing.entries, &mut round.batch) {
            round.persist.needs = Needs::Disk;
        }
        if let Some(hard_state) = writing.ready.hs() {
            self.node.mut_store().set_hard_state(hard_state, &mut round.batch);
        }
        for entry in writing.ready.take_committed_entries() {
            self.apply(&entry, round, &mut writing)?;
        }
        self.confirmed(writing.ready.take_read_states());
        // Nothing is to be seen of the entries before the batch is, and their answers leave after it.
        let applied = writing.applied.map_or(self.node.raft.raft_log.applied, |applied| applied.0);
        self.settle_reads(RaftIndex(applied), &mut writing.settled);
        if let Some(applied) = writing.applied
            && self.machine.checkpoint(self.id, applied, self.checkpoints, &mut round.batch)
        {
            self.node.mut_store().set_applied(applied, &mut round.batch);
            self.forget_deleted(store, &mut round.batch);
        }
        self.promise(&mut writing.ready, round);
        self.writing = Some(writing);
        Ok(())
    }

    /// What may only be said once the ready is durable, and what Raft lumps together with it.
    fn promise(&self, ready: &mut Ready, round: &mut Round) {
        // A snapshot among them was to be sent by a leader that has stepped down since: the next one sends its own.
        let messages = ready.take_persisted_messages().into_iter();
        for mut message in messages.filter(|message| !self.is_long_snapshot(message)) {
            self.sign(&mut message);
            let sends = if is_promise(&message) { &mut round.persist.sends } else { &mut round.sends };
            sends.message(self.id, message);
        }
        round.persist.readies.push(PersistedReady { group: self.id, number: ready.number() });
    }

    /// Whether a message brings a snapshot that has to travel in parts.
    fn is_long_snapshot(&self, message: &Message) -> bool {
        message.msg_type == MessageType::MsgSnapshot
            && message.get_snapshot().data.len() > self.checkpoints.part_bytes
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
        self.note_barrier(index);
        for fate in self.proposals.applied(index, entry.term) {
            self.settle(fate, index, &mut writing.settled);
        }
        Ok(())
    }

    /// The batch is visible: Raft may go on, and the world may know.
    pub(in crate::shard) fn written(
        &mut self,
        inputs: &DecisionInputs,
        effects: &mut Vec<Effect>,
    ) -> GroupOutcome {
        let compacted = std::mem::take(&mut self.cut);
        let Some(Writing { ready, entries, applied, recent, metadata, settled, restored }) =
            self.writing.take()
        else {
            return GroupOutcome { compacted, ..GroupOutcome::default() };
        };
        self.node.mut_store().appended(&entries);
        self.node.advance_append_async(ready);
        if let Some(applied) = applied {
            self.node.advance_apply_to(applied.0);
        }
        let leadership_changed = self.observe_leadership(inputs, effects);
        if applied.is_some() || restored || leadership_changed {
            self.publish(recent, restored, effects);
        }
        // Whoever is told of its write may read it: the high watermark is published above.
        effects.extend(settled);
        GroupOutcome { metadata, restored, compacted: compacted || restored, leadership_changed }
    }

    /// The ready of this number, and those before it, are durable.
    pub(in crate::shard) fn persisted(&mut self, number: u64) {
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
        self.machine.checkpoint_snapshot(self.id, index, &mut round.batch);
        self.node.mut_store().set_applied(index, &mut round.batch);
        self.installing = Some((writing.ready.number(), index));
        writing.settled.extend(self.proposals.abandon().into_iter().map(Waiting::unknown));
        writing.restored = true;
        tracing::info!(group = self.id.0, index = index.0, "took a snapshot from the leader");
        Ok(())
    }

    /// Gives up the entries that the stored state stands for, but for a tail that spares a follower a snapshot. Once a group
    /// sleeps, all followers that are there have what there is.
    ///
    /// What is deleted in this round is given up in a later one: readers have to know of it first.
    fn cut_log(&mut self, batch: &mut WriteBatch) -> Result<(), StoreError> {
        let policy = if self.asleep { self.checkpoints.keeping_nothing() } else { self.checkpoints };
        let applied = RaftIndex(self.node.raft.raft_log.applied);
        let (checkpoint, truncated) = (self.node.store().applied(), self.node.store().truncated());
        let Some(up_to) = self.machine.cut(self.id, checkpoint, applied, policy, batch) else {
            return Ok(());
        };
        if up_to > truncated {
            self.node.mut_store().compact(up_to, batch)?;
            self.cut = true;
        }
        Ok(())
    }

    /// Writes a checkpoint of whatever was applied since the last one, so that a restart replays nothing.
    pub(in crate::shard) fn checkpoint(&mut self, store: &Store, batch: &mut WriteBatch) {
        let applied = RaftIndex(self.node.raft.raft_log.applied);
        if self.machine.checkpoint(self.id, applied, CheckpointPolicy::AT_ONCE, batch) {
            self.node.mut_store().set_applied(applied, batch);
            self.forget_deleted(store, batch);
        }
    }

    /// The state is in `batch`. If it is the metadata, the groups that it does not hold any more need no tombstones.
    fn forget_deleted(&self, store: &Store, batch: &mut WriteBatch) {
        let Machine::Controller(machine) = &self.machine else { return };
        let image = machine.image();
        for group in store.deleted_groups().into_iter().filter(|group| image.has_dropped(*group)) {
            batch.forget_deleted_group(group);
        }
    }

    /// As [`Self::checkpoint`], for the sake of the node and before the group's own policy asks for it. Between rounds only.
    pub(in crate::shard) fn checkpoint_early(&mut self, batch: &mut WriteBatch) {
        debug_assert!(self.writing.is_none(), "the state is ahead of what is known to be applied");
        // The state is that of the snapshot, and as of an index that does not count as applied yet.
        if self.installing.is_some() {
            return;
        }
        let applied = RaftIndex(self.node.raft.raft_log.applied);
        self.machine.write_checkpoint(self.id, applied, self.checkpoints, batch);
        self.node.mut_store().set_applied(applied, batch);
    }

    /// What a restart would replay of this group.
    pub(in crate::shard) fn replay(&self) -> Replay {
        self.machine.replay()
    }

    /// How many committed entries are not applied yet.
    pub(in crate::shard) fn unapplied(&self) -> u64 {
        let log = &self.node.raft.raft_log;
        log.committed.saturating_sub(log.applied)
    }
}

/// Whether a message claims something that a crash could undo. That a leader is followed and that a vote would be given
/// holds at the moment of its saying and for nothing after it. Were these to wait for a disk, leaders would step down,
/// for want of a word from their followers, and elections would drag on, whenever a sync takes half a second.
fn is_promise(message: &Message) -> bool {
    !matches!(
        message.msg_type,
        MessageType::MsgHeartbeatResponse
            | MessageType::MsgRequestPreVote
            | MessageType::MsgRequestPreVoteResponse
    )
}
