//! A shard drives many Raft groups and is pure: input and time go in, effects come out as values. No clock, no
//! randomness, no task, no socket, no channel; the [driver](crate::driver) owns those.
//!
//! A round goes like this. Inputs ([`Shard::receive`], [`Shard::append`], …) step groups and mark them dirty.
//! [`Shard::collect`] gathers, over all dirty groups, what to send at once, what to write and what may only be said
//! after a sync. The driver applies the one batch; [`Shard::written`] then advances Raft and tells what readers and
//! producers may know. When the batch is durable, [`Shard::persisted`] lets Raft count it.
//!
//! Architecture Invariant: a follower's acknowledgement and a vote leave only through [`Persist`](effects::Persist),
//! that is after the sync that makes them true.

mod arrivals;
mod confirmations;
mod coordinators;
pub(crate) mod effects;
#[cfg(test)]
mod golden;
mod group;
mod housekeeping;
mod leaving;
mod liveness;
mod logger;
mod machine;
mod orphans;
mod peers;
mod producers;
mod proposals;
mod quorum;
mod refused;
mod rejoin;
mod replay;
mod room;
#[cfg(test)]
mod sabotage;
mod snapshots;
pub(crate) mod standing;
mod succession;
mod survey;
mod topology;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use raft::eraftpb::{Message, MessageType};
use slog::Logger;
use trilog_storage::{FetchedEntries, Store, StoreError, TailCache, WriteBatch};

use self::arrivals::Arrivals;
pub(crate) use self::arrivals::OPENED_PER_ROUND;
use self::confirmations::Confirmations;
use self::effects::{
    AppendError, DeleteRecordsError, Effect, Needs, NotController, Outbox, Persist, PersistedReady, Round,
};
#[cfg(test)]
pub(crate) use self::group::GroupView;
pub(crate) use self::group::forget;
use self::group::{Group, GroupOutcome, Implausible};
use self::leaving::Leaving;
pub(crate) use self::machine::{AppendRequest, CheckpointPolicy, ControlRequest, DeletionRequest};
use self::machine::{DecisionInputs, Machine};
use self::orphans::Orphans;
use self::peers::Peers;
use self::producers::KnownProducers;
pub(crate) use self::producers::ProducerLimits;
use self::quorum::CaughtUp;
use self::refused::Refused;
use self::rejoin::Rejoin;
use self::replay::Replays;
use self::room::Room;
use self::snapshots::{Receiving, Sending};
use self::standing::Behind;
use self::succession::Succession;
use self::turns::Turns;
use crate::controller::configs::BrokerSettings;
use crate::controller::{ControllerRequest, ControllerResponse, Quorum};
use crate::coordinator::TopicPatterns;
use crate::ids::{NodeId, RaftGroupId, StoreId};
use crate::leadership::Leaderships;
use crate::transport::{Frame, GroupMessage};

/// The length of a tick: Raft's timeouts are counted in it.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// Bytes that may be visible and not yet durable before leaders stop proposing: requests then wait in their groups'
/// queues. The store keeps several times as much in memory until it is written.
const MAX_UNSYNCED_BYTES: usize = 2 << 20;

/// A round ends with the group that fills its batch this far; the others have their turn in the next one. While a
/// batch is applied no reader gets through, and the store can free nothing of what the batch replaces.
pub(crate) const MAX_ROUND_BYTES: usize = 512 << 10;

/// A round also ends with the group that has it read this much from the store, which is what a restart applies: nobody's
/// input is looked at meanwhile, nor the clock.
pub(crate) const MAX_ROUND_READ_BYTES: usize = 1 << 20;

/// A round also ends with this many groups, of which each takes some microseconds though it has nothing to write.
const MAX_ROUND_GROUPS: usize = 512;

/// What a shard has to know about its place in the cluster.
pub(crate) struct ShardConfig {
    pub(crate) node: NodeId,
    /// The store that it has.
    pub(crate) store_id: StoreId,
    /// Every node of the cluster, this one included: the controller's members.
    pub(crate) nodes: Vec<NodeId>,
    pub(crate) defaults: Arc<BrokerSettings>,
    pub(crate) patterns: Arc<TopicPatterns>,
    pub(crate) checkpoints: CheckpointPolicy,
    pub(crate) producers: ProducerLimits,
    /// How many new partitions are opened in a round.
    pub(crate) arrivals_per_round: usize,
}

/// All Raft groups of one node.
pub(crate) struct Shard {
    node: NodeId,
    nodes: Vec<NodeId>,
    store: Store,
    tail: TailCache,
    checkpoints: CheckpointPolicy,
    logger: Logger,
    /// In order, as everything that is gone through: equal inputs have equal outcomes.
    groups: BTreeMap<RaftGroupId, Group>,
    /// The groups that are coordinators, leading or not.
    coordinators: BTreeSet<RaftGroupId>,
    /// Groups that are ticked.
    awake: BTreeSet<RaftGroupId>,
    /// Groups that may have something to write or to say.
    dirty: Turns,
    /// Groups collected in the round that is being written.
    writing: Vec<RaftGroupId>,
    orphans: Orphans,
    arrivals: Arrivals,
    arrivals_per_round: usize,
    peers: Peers,
    rejoin: Rejoin,
    replays: Replays,
    known_producers: KnownProducers,
    confirmations: Confirmations,
    room: Room,
    behind: Behind,
    caught_up: CaughtUp,
    succession: Succession,
    leaderships: Leaderships,
    inputs: DecisionInputs,
    /// Changes of a shard's own making, for the next batch: groups that came or went.
    batch: WriteBatch,
    sends: Outbox,
    effects: Vec<Effect>,
    /// Bytes that are visible and not yet durable.
    unsynced_bytes: usize,
    now: Duration,
    next_housekeeping: Duration,
    leaving: Leaving,
    refused: Refused,
    sending: Sending,
    receiving: Receiving,
}

impl Shard {
    /// Opens the groups that this node had, from their checkpoints, or makes the controller's group on a new node.
    pub(crate) fn open(
        config: ShardConfig,
        store: Store,
        tail: TailCache,
        now: Duration,
    ) -> Result<Self, StoreError> {
        let others: Vec<NodeId> = config.nodes.iter().copied().filter(|node| *node != config.node).collect();
        let alive = BTreeSet::from([config.node]);
        let mut shard = Self {
            node: config.node,
            nodes: config.nodes,
            store,
            tail,
            checkpoints: config.checkpoints,
            logger: logger::logger(),
            groups: BTreeMap::new(),
            coordinators: BTreeSet::new(),
            awake: BTreeSet::new(),
            dirty: Turns::default(),
            writing: Vec::new(),
            orphans: Orphans::default(),
            arrivals: Arrivals::default(),
            arrivals_per_round: config.arrivals_per_round,
            rejoin: Rejoin::new(config.store_id, &others, now),
            peers: Peers::new(others),
            replays: Replays::default(),
            known_producers: KnownProducers::new(config.producers),
            confirmations: Confirmations::default(),
            room: Room::default(),
            behind: Behind::default(),
            caught_up: CaughtUp::default(),
            succession: Succession::default(),
            leaderships: Leaderships::new(config.node),
            inputs: DecisionInputs {
                alive,
                has_room: true,
                defaults: config.defaults,
                patterns: config.patterns,
                image: Arc::default(),
                producer_room: KnownProducers::new(config.producers).room(1),
                now,
                quorum: Quorum::default(),
            },
            batch: WriteBatch::new(),
            sends: Outbox::default(),
            effects: Vec::new(),
            unsynced_bytes: 0,
            now,
            next_housekeeping: now,
            leaving: Leaving::default(),
            refused: Refused::default(),
            sending: Sending::default(),
            receiving: Receiving::default(),
        };
        match shard.open_groups() {
            Ok(()) => Ok(shard),
            Err(error) => Err(error.with_group_name(|group| shard.image().name_of(group))),
        }
    }

    /// A frame from a peer, which was [heard](Self::heard) before.
    pub(crate) fn receive(&mut self, now: Duration, from: NodeId, frame: Frame) {
        self.advance(now);
        match frame {
            Frame::Raft(messages) => {
                for GroupMessage { group, message } in messages {
                    self.step(from, group, message);
                }
            }
            Frame::Heartbeat { sequence } => self.sends.frame(from, Frame::HeartbeatAck { sequence }),
            Frame::HeartbeatAck { sequence } => self.learn_answer(from, sequence),
            Frame::Leadership(rows) => self.learn_leaderships(from, rows),
            Frame::Sleep(rows) => self.fall_asleep(from, &rows),
            Frame::Rejoin { store, groups } => self.rejoin_asked(from, store, &groups),
            Frame::Recount { store, groups } => self.recount_asked(from, store, &groups),
            Frame::Readmit { store, rows } => self.readmitted(from, store, &rows),
            Frame::Confirm { round, rows } => self.vouch(from, round, rows),
            Frame::Vouch { round, rows } => self.vouched(from, round, &rows),
            Frame::SnapshotPart(part) => self.take_snapshot_part(from, *part),
            Frame::SnapshotReceived(received) => self.snapshot_received(from, received),
            Frame::NoRoom => self.learn_no_room(from),
            Frame::Leaving => self.learn_leaving(from),
            Frame::Request { .. } | Frame::Response { .. } => {
                debug_assert!(false, "requests between nodes are the node's concern");
            }
        }
    }

    fn step(&mut self, from: NodeId, id: RaftGroupId, message: Message) {
        if message.from != u64::from(from.0) || message.to != u64::from(self.node.0) {
            return self.refuse(from, id, "it is from or to another node");
        }
        if self.overflows(id, &message) {
            return;
        }
        match self.groups.get(&id).map(|group| group.scrutinize(&message)) {
            Some(Err(Implausible::NotYet)) => return,
            Some(Err(why)) => return self.refuse(from, id, why),
            Some(Ok(())) | None => {}
        }
        if let Some(group) = self.groups.get_mut(&id) {
            // A pulse is not work that keeps a group awake, nor does the answer to its last one wake a leader.
            let answers_pulse =
                message.msg_type == MessageType::MsgHeartbeatResponse && message.term == group.term();
            let is_pulse = message.msg_type == MessageType::MsgHeartbeat;
            let (hopeless, deposed) = (group.has_more_than(&message), group.leader());
            let is_waited_for = group.is_waited_for() || brings_payload(&message);
            group.step(message);
            if group.take_unanimous() {
                self.rejoin.recovered(id);
            }
            if hopeless {
                self.stand_instead(id, from, deposed);
            }
            if is_pulse {
                self.rouse(id);
            } else if !answers_pulse {
                self.wake(id);
            }
            self.dirty.insert_as(id, is_waited_for);
        } else if self.may_come(id) {
            self.orphans.keep(id, message);
        }
    }

    /// A batch for a partition. Its answer is an [`Effect::Appended`].
    pub(crate) fn append(&mut self, now: Duration, id: RaftGroupId, request: AppendRequest) {
        self.advance(now);
        let refusal = self.refusal_of(id, &request);
        let Some(group) = self.groups.get_mut(&id) else {
            return self.refuse_append(&request, AppendError::NotLeader);
        };
        // A majority is what a commit means; only more than that has to be waited for.
        let majority = group.voters().len() / 2 + 1;
        match (group.machine_mut(), refusal) {
            (Machine::Partition(machine), Some(error)) => {
                machine.refused(&request.batch, now);
                return self.refuse_append(&request, error);
            }
            (Machine::Partition(machine), None) => {
                let replicas = request.replicas.filter(|needed| *needed > majority);
                machine.enqueue(AppendRequest { replicas, ..request }, &mut self.effects);
            }
            _ => self.refuse_append(&request, AppendError::NotLeader),
        }
        self.wake(id);
        self.dirty.hurry(id);
    }

    /// Why a batch cannot be taken in now, for reasons that have nothing to do with the batch.
    pub(crate) fn refusal_of(&self, id: RaftGroupId, request: &AppendRequest) -> Option<AppendError> {
        let group = self.groups.get(&id)?;
        if group.serving().is_some() && !self.can_take_records(group.voters()) {
            return Some(AppendError::NoRoom);
        }
        let lacks_replicas = request.replicas.is_some_and(|needed| self.leaderships.in_sync(id) < needed);
        lacks_replicas.then_some(AppendError::NotEnoughReplicas)
    }

    fn refuse_append(&mut self, request: &AppendRequest, error: AppendError) {
        self.effects.push(Effect::Appended { ticket: request.ticket, result: Err(error) });
    }

    /// A request to delete the oldest records of a partition. Its answer is an [`Effect::RecordsDeleted`].
    pub(crate) fn delete_records(&mut self, now: Duration, id: RaftGroupId, request: DeletionRequest) {
        self.advance(now);
        match self.groups.get_mut(&id).map(Group::machine_mut) {
            Some(Machine::Partition(machine)) => machine.enqueue_deletion(request, &mut self.effects),
            _ => {
                let result = Err(DeleteRecordsError::NotLeader);
                self.effects.push(Effect::RecordsDeleted { ticket: request.ticket, result });
            }
        }
        self.wake(id);
        self.dirty.hurry(id);
    }

    /// A request for the controller. Its answer is an [`Effect::Answered`].
    pub(crate) fn control(&mut self, now: Duration, request: ControlRequest) {
        self.advance(now);
        match &request.request {
            ControllerRequest::DescribeQuorum => self.inputs.quorum = self.quorum(),
            ControllerRequest::HandToPreferred(groups) => {
                let handovers =
                    groups.iter().map(|group| self.hand_to_preferred(RaftGroupId(*group))).collect();
                let result = Ok(ControllerResponse::HandToPreferred(handovers));
                return self.effects.push(Effect::Answered { ticket: request.ticket, result });
            }
            _ => {}
        }
        let id = RaftGroupId::CONTROLLER;
        match self.groups.get_mut(&id).map(Group::machine_mut) {
            Some(Machine::Controller(machine)) => machine.enqueue(request, &mut self.effects),
            _ => self.effects.push(Effect::Answered { ticket: request.ticket, result: Err(NotController) }),
        }
        self.wake(id);
        self.dirty.hurry(id);
    }

    /// Old entries that a follower asked for have been read.
    pub(crate) fn fetched(&mut self, now: Duration, id: RaftGroupId, entries: FetchedEntries) {
        self.advance(now);
        if let Some(group) = self.groups.get_mut(&id) {
            group.fetched(entries);
            self.dirty.insert(id);
        }
    }

    /// These readies, and `bytes` of batches with them, are durable.
    pub(crate) fn persisted(&mut self, now: Duration, readies: &[PersistedReady], bytes: usize) {
        self.advance(now);
        let was_full = self.unsynced_bytes >= MAX_UNSYNCED_BYTES;
        self.unsynced_bytes = self.unsynced_bytes.saturating_sub(bytes);
        if was_full {
            // Groups whose requests had to wait.
            self.dirty.extend(self.awake.iter().copied());
        }
        for ready in readies {
            if let Some(group) = self.groups.get_mut(&ready.group) {
                group.persisted(ready.number);
                self.dirty.insert_as(ready.group, group.is_waited_for());
            }
        }
    }

    /// Gathers a round's work, if there is any.
    pub(crate) fn collect(&mut self) -> Result<Option<Round>, StoreError> {
        debug_assert!(self.writing.is_empty(), "a round begins after the one before it is written");
        self.inputs.now = self.now;
        self.ask_voters();
        self.open_arrivals()?;
        let mut round = Round {
            without_room: self.without_room(),
            sends: std::mem::take(&mut self.sends),
            batch: std::mem::take(&mut self.batch),
            read_bytes: 0,
            persist: Persist::default(),
        };
        // Groups that came or went must be on disk before anything they promise.
        round.persist.needs = if round.batch.is_empty() { Needs::Nothing } else { Needs::Disk };
        self.bound_replay(&mut round.batch);
        let mut snapshots = Vec::new();
        let groups = self.groups.len();
        let mut has_more = false;
        while round.batch.len_bytes() < MAX_ROUND_BYTES
            && round.read_bytes < MAX_ROUND_READ_BYTES
            && self.writing.len() < MAX_ROUND_GROUPS
            && let Some(id) = self.dirty.next()
        {
            let Some(group) = self.groups.get_mut(&id) else { continue };
            group.attend(&self.store, &mut self.effects)?;
            if self.unsynced_bytes + round.batch.len_bytes() < MAX_UNSYNCED_BYTES {
                self.inputs.producer_room = self.known_producers.room(groups);
                has_more |= group.propose_queued(&self.inputs, &mut self.effects);
            }
            group.collect(&self.store, &mut round)?;
            self.known_producers.note(id, group.machine().producers());
            snapshots.extend(group.take_long_snapshots().map(|snapshot| (id, snapshot)));
            self.replays.note(id, group.replay());
            self.writing.push(id);
        }
        if has_more {
            self.dirty.hurry(RaftGroupId::CONTROLLER);
        }
        for (id, snapshot) in snapshots {
            self.send_snapshot(id, snapshot);
        }
        round.persist.bytes = round.batch.len_bytes();
        self.unsynced_bytes += round.persist.bytes;
        let idle = round.sends.is_empty() && round.batch.is_empty() && round.persist.readies.is_empty();
        if idle {
            self.writing.clear();
        }
        Ok((!idle).then_some(round))
    }

    /// The round's batch is visible.
    pub(crate) fn written(&mut self) -> Result<(), StoreError> {
        let mut outcomes = Vec::with_capacity(self.writing.len());
        // All groups have done with the round before the metadata's changes take some of them away.
        for id in std::mem::take(&mut self.writing) {
            let Some(group) = self.groups.get_mut(&id) else { continue };
            outcomes.push((id, group.written(&self.inputs, &mut self.effects)));
            // More may be committed than one round applies, and applying may have freed what was queued.
            self.dirty.insert_as(id, group.is_waited_for());
        }
        for (id, outcome) in outcomes {
            self.follow_up(id, outcome)?;
        }
        Ok(())
    }

    /// Does what a group's round means for the others.
    fn follow_up(&mut self, id: RaftGroupId, outcome: GroupOutcome) -> Result<(), StoreError> {
        if outcome.leadership_changed {
            self.announce(id);
            self.plan_ageing(id);
            self.leave_to_those_with_room();
        }
        if outcome.restored && id == RaftGroupId::CONTROLLER {
            self.reconcile()?;
        }
        for record in &outcome.metadata {
            self.follow(record)?;
        }
        if outcome.restored && id == RaftGroupId::CONTROLLER {
            self.tell_coordinators(None);
        } else if !outcome.metadata.is_empty() {
            self.tell_coordinators(Some(&outcome.metadata));
        }
        if outcome.compacted {
            self.effects.push(Effect::LogCompacted);
        }
        Ok(())
    }

    /// What is to be carried out, in order.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Whether another round may have something to do right away.
    pub(crate) fn has_work(&self) -> bool {
        !self.dirty.is_empty()
            || !self.arrivals.is_empty()
            || !self.batch.is_empty()
            || !self.sends.is_empty()
    }
}

/// Whether a message brings what somebody waits for: entries that are more than the first one of a term.
fn brings_payload(message: &Message) -> bool {
    message.entries.iter().any(|entry| !entry.data.is_empty())
}
