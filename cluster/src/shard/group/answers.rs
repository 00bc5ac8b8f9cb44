//! Requests on their way into the log, and the answers on their way out.
//!
//! A leader takes requests from its first applied entry of its own term until it leads no more. Every request that was
//! taken ends in an answer: committed, known not to be in the log, or unknown.

use std::sync::Arc;

use raft::eraftpb::Snapshot;
use trilog_storage::{Store, StoreError};

use super::{Group, epoch};
use crate::ids::RaftIndex;
use crate::replica::{RecentEntry, ReplicaStatus};
use crate::shard::effects::{AppendError, Effect, Ticket};
use crate::shard::machine::{DecisionInputs, Machine, Proposal, Waiting};
use crate::shard::proposals::Fate;
use crate::shard::room::is_partition;

/// Proposed and not yet committed bytes of one group above which its queue waits, so that Raft's own bound is never met.
const UNCOMMITTED_HIGH_WATER: usize = 2 << 20;

impl Group {
    /// Sees to what Raft and producers wait for and what no ready tells of: a follower's word may be all it takes.
    pub(in crate::shard) fn attend(
        &mut self,
        store: &Store,
        effects: &mut Vec<Effect>,
    ) -> Result<(), StoreError> {
        self.release_held(effects);
        self.answer_snapshot_wish(store)?;
        let (group, holds_records) = (self.id, is_partition(&self.machine));
        let fetches = self.node.mut_store().take_fetches().into_iter();
        effects.extend(fetches.map(|fetch| Effect::Fetch { group, fetch, holds_records }));
        Ok(())
    }

    /// Whether somebody waits for what becomes of a request: a client, or what waits for a majority's word.
    pub(in crate::shard) fn is_waited_for(&self) -> bool {
        !self.proposals.is_empty()
            || !self.held.is_empty()
            || !self.reads.is_empty()
            || self.machine.has_queued()
    }

    /// Puts queued requests into the log, as far as the bound on what is not committed allows. True if the controller has decided what a
    /// round may, and has more to decide in the next one.
    pub(in crate::shard) fn propose_queued(
        &mut self,
        inputs: &DecisionInputs,
        effects: &mut Vec<Effect>,
    ) -> bool {
        while self.may_propose()
            && !self.is_transferring()
            && self.node.raft.uncommitted_size() < UNCOMMITTED_HIGH_WATER
        {
            match self.machine.next_proposal(inputs) {
                None => break,
                Some(Proposal::Entry { payload, waiting }) => self.propose(payload, waiting, effects),
                Some(Proposal::Repetition { waiting }) => self.await_commit(waiting, effects),
                Some(Proposal::Read { waiting }) => {
                    self.confirm(waiting, effects);
                    if matches!(self.machine, Machine::Controller(_)) && self.machine.has_queued() {
                        return true;
                    }
                }
            }
        }
        false
    }

    /// Whether this replica serves as leader, and Raft agrees: it may have stepped down since this was last observed,
    /// and would forward what a follower proposes to the new leader, stamped with offsets and an epoch that are not its own.
    pub(in crate::shard) fn may_propose(&self) -> bool {
        self.serving == Some(self.term()) && self.is_leader()
    }

    fn propose(&mut self, payload: Vec<u8>, waiting: Vec<Waiting>, effects: &mut Vec<Effect>) {
        let Err(error) = self.node.propose(Vec::new(), payload) else {
            return self.await_commit(waiting, effects);
        };
        // Raft leaves a leader no reason to refuse within the bounds above. Should it, the requests are known not to
        // be in the log, and what the machine planned on top of them is void: the leadership ends, here as everywhere,
        // when the next ready shows it.
        tracing::warn!(group = self.id.0, %error, "a proposal was refused; stepping down");
        effects.extend(waiting.into_iter().map(Waiting::refused));
        let term = self.node.raft.term;
        self.node.raft.become_follower(term, 0);
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

    pub(super) fn settle(&mut self, fate: Fate<Waiting>, index: RaftIndex, effects: &mut Vec<Effect>) {
        match fate {
            Fate::Overwritten(waiting) => effects.push(waiting.refused()),
            Fate::Committed(Waiting::Refusal { ticket, error }) => {
                effects.push(Effect::Appended { ticket, result: Err(AppendError::Producer(error)) });
            }
            Fate::Committed(Waiting::Deletion { ticket, result }) => {
                effects.push(Effect::RecordsDeleted { ticket, result });
            }
            Fate::Committed(Waiting::Control { ticket, response }) => {
                effects.push(Effect::Answered { ticket, result: Ok(response) });
            }
            Fate::Committed(Waiting::Group { ticket, response }) => {
                effects.push(Effect::Coordinated { ticket, result: Ok(*response) });
            }
            Fate::Committed(Waiting::Append { ticket, appended, replicas: None }) => {
                effects.push(Effect::Appended { ticket, result: Ok(appended) });
            }
            // Only a leader learns which replicas hold it. A client that asks the next one again gets the same answer.
            Fate::Committed(waiting @ Waiting::Append { replicas: Some(_), .. })
                if self.serving.is_none() =>
            {
                effects.push(waiting.unknown());
            }
            Fate::Committed(waiting @ Waiting::Append { replicas: Some(_), .. }) => {
                effects.push(Effect::Logged(waiting.append_ticket().into_iter().collect()));
                self.held.push((index, waiting));
            }
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

    pub(super) fn publish(&self, recent: Vec<RecentEntry>, restored: bool, effects: &mut Vec<Effect>) {
        let status = match &self.machine {
            Machine::Controller(machine) => {
                return effects.push(Effect::Image(Arc::clone(machine.image())));
            }
            // What a coordinator's log holds is not records: consumers find an empty partition.
            Machine::Coordinator(_) => ReplicaStatus::empty(self.serving.map(epoch)),
            Machine::Partition(machine) => machine.status(),
        };
        if restored {
            effects.push(Effect::ReplicaOpened(self.id));
        }
        effects.push(Effect::ReplicaChanged { group: self.id, status, recent });
    }

    /// Everything that readers may know, for a group that has just been opened.
    pub(in crate::shard) fn publish_opened(&self, effects: &mut Vec<Effect>) {
        self.publish(Vec::new(), true, effects);
    }

    /// A leader serves from its first applied entry of its own term until it leads no more.
    pub(super) fn observe_leadership(&mut self, inputs: &DecisionInputs, effects: &mut Vec<Effect>) -> bool {
        let term = self.node.raft.term;
        let leads = self.is_leader();
        self.forget_fetched();
        let stops = self.serving.is_some_and(|serving| !leads || serving != term);
        if stops {
            self.stop_serving(effects);
        }
        let starts = leads && self.serving.is_none() && self.node.raft.apply_to_current_term();
        if starts {
            self.serving = Some(term);
            self.machine.start_leading(epoch(term), inputs);
        }
        stops || starts
    }

    fn stop_serving(&mut self, effects: &mut Vec<Effect>) {
        self.serving = None;
        self.node.mut_store().forget_snapshot();
        self.machine.stop_leading(effects);
        let logged: Vec<Ticket> = self.proposals.iter().filter_map(Waiting::append_ticket).collect();
        if !logged.is_empty() {
            effects.push(Effect::Logged(logged));
        }
        self.refuse_reads(effects);
        // These are committed: a client that asks again gets the same answer from the next leader.
        effects.extend(self.held.drain(..).map(|(_, waiting)| waiting.unknown()));
    }

    /// Raft wants a snapshot for a follower that is behind the log's start.
    fn answer_snapshot_wish(&mut self, store: &Store) -> Result<(), StoreError> {
        if !self.node.mut_store().take_snapshot_wanted() {
            return Ok(());
        }
        let log = &self.node.raft.raft_log;
        let (truncated, applied) = (self.node.store().truncated(), RaftIndex(log.applied));
        let Some((index, state)) = self.machine.snapshot(store, self.id, truncated, applied)? else {
            return Ok(());
        };
        let Ok(term) = log.term(index.0) else { return Ok(()) };
        let mut snapshot = Snapshot { data: state, ..Snapshot::default() };
        let metadata = snapshot.mut_metadata();
        metadata.index = index.0;
        metadata.term = term;
        metadata.mut_conf_state().voters = self.voters.iter().map(|voter| u64::from(voter.0)).collect();
        self.node.mut_store().provide_snapshot(snapshot);
        Ok(())
    }

    /// The group leaves this node: nobody is left waiting.
    ///
    /// # Panics
    ///
    /// When it is in the middle of a round, whose answers would be lost.
    pub(in crate::shard) fn close(mut self, effects: &mut Vec<Effect>) {
        assert!(self.writing.is_none(), "a group leaves this node between two rounds");
        self.stop_serving(effects);
        effects.extend(self.proposals.abandon().into_iter().map(Waiting::unknown));
    }
}
