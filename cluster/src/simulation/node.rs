//! One node: a shard over a real store, and by hand what the driver, the syncer and the background threads do around it.

mod calls;
mod rounds;
mod syncer;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use trilog_storage::{EntryFetch, FetchedEntries, Store, TailCache};

use self::syncer::Syncing;
use super::call::{Answer, Call, Fetched};
use super::clock::Clock;
use super::disk::{Disk, Space};
use super::mutant::{LastAnswers, Mutant};
use super::random::Random;
use crate::acquaintances::Acquaintances;
use crate::controller::MetadataImage;
use crate::controller::configs::BrokerSettings;
use crate::coordinator::TopicPatterns;
use crate::driver::stall::Stall;
use crate::ids::{LeaderEpoch, NodeId, RaftGroupId, StoreId, Ticket};
use crate::replica::{Replica, ReplicaStatus};
use crate::shard::effects::Persist;
use crate::shard::{CheckpointPolicy, ProducerLimits, Shard, ShardConfig, forget};
use crate::transport::{Frame, PeerEvent};

/// How long a node that is told to stop waits for others to take its leaderships.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(3);

/// What all nodes are made with.
#[derive(Clone)]
pub(super) struct NodeOptions {
    pub(super) nodes: Vec<NodeId>,
    pub(super) settings: Arc<BrokerSettings>,
    pub(super) checkpoints: CheckpointPolicy,
    pub(super) producers: ProducerLimits,
    pub(super) arrivals_per_round: usize,
    pub(super) tail_bytes: usize,
    /// How many keys a step of a purge removes at most.
    pub(super) purge_keys: usize,
    /// How many inputs a process takes between two of these steps.
    pub(super) purge_pause: u32,
    /// How long a process gathers what comes before it works, as a driver does that was busy meanwhile.
    pub(super) gathers: Duration,
    /// How far the wall clock is ahead of the time from the beginning.
    pub(super) wall_offset_ms: i64,
    /// Whether a node notices that its disk stands still.
    pub(super) watches_syncs: bool,
    /// The nodes that acknowledge what has reached the kernel.
    pub(super) relaxed: BTreeSet<NodeId>,
    pub(super) mutant: Option<Mutant>,
}

/// What a process reacts to.
pub(super) enum Input {
    Tick,
    /// A frame that was sent by a process with this store.
    Frame {
        from: NodeId,
        store: StoreId,
        frame: Frame,
    },
    Peer {
        peer: NodeId,
        event: PeerEvent,
    },
    Synced,
    Fetched(RaftGroupId, FetchedEntries),
    /// It is time to do what was gathered.
    Work,
    Call {
        ticket: Ticket,
        call: Call,
    },
    Stop,
}

/// What comes out of a process, in order.
pub(super) enum Output {
    Send(NodeId, Frame),
    /// More is gathered for a while, and [`Input::Work`] is to follow.
    Gather(Duration),
    /// A sync has begun, and [`Input::Synced`] is to follow.
    Sync,
    /// The disk refused to sync, so the process has to end.
    SyncFailed,
    Fetch(RaftGroupId, EntryFetch),
    Answer(Ticket, Answer),
    /// What readers may see of a replica.
    Shows(RaftGroupId, ReplicaStatus),
    /// Everything is written that a process writes before it ends: [`Node::stop`] is next.
    Ending,
}

/// A node, running or not, with its disk.
pub(super) struct Node {
    id: NodeId,
    options: NodeOptions,
    pub(super) disk: Disk,
    /// Counts the processes.
    pub(super) life: u32,
    /// What it has acknowledged may be gone, and nobody was told yet.
    pub(super) forgot: bool,
    pub(super) running: Option<Process>,
}

/// A running process.
pub(super) struct Process {
    pub(super) shard: Shard,
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) acquaintances: Acquaintances,
    tail: TailCache,
    mutant: Option<Mutant>,
    last_answers: LastAnswers,
    waiting: VecDeque<Persist>,
    syncing: Option<Syncing>,
    stall: Stall,
    replicas: BTreeMap<RaftGroupId, Arc<Replica>>,
    leaders: BTreeMap<RaftGroupId, NodeId>,
    /// What was read at a leader, and in which epoch, until the voters confirm that it leads.
    unconfirmed: BTreeMap<Ticket, (LeaderEpoch, Option<Fetched>)>,
    image: Arc<MetadataImage>,
    /// Peers for whom frames were dropped since the last tick.
    pub(super) dropped: BTreeSet<NodeId>,
    stop_by: Option<Duration>,
    /// Something was taken that is not worked on yet.
    is_gathering: bool,
    /// Whether there is something to purge, and the inputs that pass before the next step.
    purging: bool,
    purge_in: u32,
    ticks: u32,
    /// What came while the process was paused.
    pub(super) paused: Option<Vec<Input>>,
}

impl Node {
    pub(super) fn new(id: NodeId, options: NodeOptions) -> Self {
        let disk = Disk::new(id, options.relaxed.contains(&id));
        Self { id, options, disk, life: 0, forgot: false, running: None }
    }

    pub(super) const fn process(&self) -> Option<&Process> {
        self.running.as_ref()
    }

    pub(super) const fn process_mut(&mut self) -> Option<&mut Process> {
        self.running.as_mut()
    }

    /// Whether it has done everything that it was given to do.
    pub(super) fn is_up_to_date(&self) -> bool {
        self.running.as_ref().is_some_and(|process| !process.is_gathering)
    }

    /// Whether the sync that is under way will fail.
    pub(super) fn fails_to_sync(&self) -> bool {
        self.disk.failing && self.running.as_ref().is_some_and(Process::is_syncing)
    }

    /// Starts a process on what the disk holds.
    pub(super) fn start(&mut self, now: Duration, random: &mut Random) -> Vec<Output> {
        assert!(self.running.is_none(), "node {} is up", self.id);
        self.life += 1;
        let (store, forgot) = self.disk.open();
        self.forgot |= forgot;
        if forgot && self.options.mutant != Some(Mutant::ForgetNothing) {
            let batch = forget(&store).expect("what is forgotten is written down");
            self.disk.apply(&store, batch);
            self.disk.synced(self.disk.written());
        }
        let tail = TailCache::new(self.options.tail_bytes);
        let config = ShardConfig {
            node: self.id,
            store_id: self.disk.id(),
            nodes: self.options.nodes.clone(),
            defaults: Arc::clone(&self.options.settings),
            patterns: TopicPatterns::in_place(),
            checkpoints: self.options.checkpoints,
            producers: self.options.producers,
            arrivals_per_round: self.options.arrivals_per_round,
        };
        let shard = Shard::open(config, store.clone(), tail.clone(), Duration::ZERO)
            .expect("a shard opens its groups");
        self.running = Some(Process {
            shard,
            clock: Clock::new(now, self.options.wall_offset_ms, random),
            acquaintances: Acquaintances::load(&store).expect("what is known of peers is read"),
            store,
            tail,
            mutant: self.options.mutant,
            last_answers: LastAnswers::default(),
            waiting: VecDeque::new(),
            syncing: None,
            stall: Stall::default(),
            replicas: BTreeMap::new(),
            leaders: BTreeMap::new(),
            unconfirmed: BTreeMap::new(),
            image: Arc::default(),
            dropped: BTreeSet::new(),
            stop_by: None,
            is_gathering: false,
            // What a previous run did not finish.
            purging: true,
            purge_in: self.options.purge_pause,
            ticks: 0,
            paused: None,
        });
        let mut outputs = Vec::new();
        self.work(now, &mut outputs);
        outputs
    }

    /// Ends the process without a word. Returns how many batches the disk loses by it.
    pub(super) fn crash(&mut self, random: &mut Random) -> Option<usize> {
        self.running.take()?;
        Some(self.disk.crash(random))
    }

    /// Ends the machine, and with it the process, if one runs. Returns how many batches the disk loses by it.
    pub(super) fn lose_power(&mut self, random: &mut Random) -> usize {
        self.running = None;
        self.disk.lose_power(random)
    }

    /// Hands the process an input and lets it work until it has nothing left to do. A paused one keeps it for later.
    pub(super) fn input(&mut self, now: Duration, input: Input) -> Vec<Output> {
        let mut outputs = Vec::new();
        let Some(process) = &mut self.running else { return outputs };
        if let Some(kept) = &mut process.paused {
            kept.push(input);
            return outputs;
        }
        if matches!(input, Input::Synced) {
            if self.disk.failing
                && process.is_syncing()
                && process.mutant != Some(Mutant::GoOnAfterFailedSync)
            {
                return vec![Output::SyncFailed];
            }
            process.synced(now, &mut self.disk, &mut outputs);
        } else {
            if matches!(input, Input::Tick) {
                process.sync_by_the_way(&self.disk);
                process.shard.set_room(process.clock.shows(now), self.disk.space == Space::Enough);
                if self.options.watches_syncs {
                    process.watch_syncs(now);
                }
            }
            let is_due = matches!(input, Input::Work) || self.options.gathers.is_zero();
            process.take(now, input, &mut outputs);
            if !is_due {
                if !std::mem::replace(&mut process.is_gathering, true) {
                    outputs.push(Output::Gather(self.options.gathers));
                }
                return outputs;
            }
        }
        self.work(now, &mut outputs);
        let process = self.running.as_mut().expect("it has just worked");
        process.is_gathering = false;
        if process.purging {
            match process.purge_in.checked_sub(1) {
                Some(left) => process.purge_in = left,
                None => {
                    process.purging = self.disk.purge(&process.store, self.options.purge_keys);
                    process.purge_in = self.options.purge_pause;
                }
            }
        }
        if process.stop_by.is_some_and(|by| now >= by || !process.shard.leads_any()) {
            process.shard.checkpoint_all();
            process.rounds(&mut self.disk, &mut outputs);
            outputs.push(Output::Ending);
        }
        outputs
    }

    fn work(&mut self, now: Duration, outputs: &mut Vec<Output>) {
        let Some(process) = &mut self.running else { return };
        loop {
            process.rounds(&mut self.disk, outputs);
            if !process.begin_sync(now, &self.disk, outputs) {
                return;
            }
        }
    }

    /// Syncs everything and ends the process in order.
    pub(super) fn stop(&mut self) -> Vec<Output> {
        let Some(process) = self.running.take() else { return Vec::new() };
        let Process { shard, store, tail, replicas, waiting, syncing, .. } = process;
        drop((shard, tail, replicas));
        store.close().expect("a store closes");
        self.disk.closed();
        let mut outputs = Vec::new();
        for round in syncing.into_iter().flat_map(|syncing| syncing.rounds).chain(waiting) {
            send(round.sends.into_frames(), &mut outputs);
        }
        outputs
    }
}

impl Process {
    fn take(&mut self, now: Duration, input: Input, outputs: &mut Vec<Output>) {
        let own = self.clock.shows(now);
        match input {
            Input::Tick => {
                self.shard.tick(own);
                self.forget_use();
                for peer in std::mem::take(&mut self.dropped) {
                    self.shard.frames_dropped(peer);
                }
                if self.clock.is_time_to_sweep(now) {
                    self.shard.expire_offsets(own);
                }
            }
            Input::Frame { from, frame: Frame::Confirm { round, rows }, .. }
                if self.mutant == Some(Mutant::VouchForAnybody) =>
            {
                outputs.push(Output::Send(from, Frame::Vouch { round, rows }));
            }
            Input::Frame { from, frame, .. } => {
                self.shard.heard(own, from);
                self.shard.receive(own, from, frame);
                match self.mutant {
                    Some(Mutant::NoHardship) => self.shard.forget_slow_peers(),
                    Some(Mutant::LateUnnoted) => self.shard.forget_late_answers(),
                    _ => {}
                }
            }
            Input::Peer { peer, event } => self.shard.peer_event(own, peer, event),
            Input::Fetched(group, entries) => self.shard.fetched(own, group, entries),
            Input::Work => {}
            Input::Call { ticket, call } => self.call(now, ticket, call, outputs),
            Input::Stop => {
                self.stop_by.get_or_insert(now + HAND_OVER_WITHIN);
                self.shard.hand_over(own);
            }
            Input::Synced => unreachable!("the node takes care of it"),
        }
    }

    /// Lets only sweeps tell whether groups are in use, if that is the mutant.
    fn forget_use(&mut self) {
        if self.mutant == Some(Mutant::UseUnnoted) {
            self.shard.take_back_use();
        }
    }

    /// Who leads the group, as this node has heard.
    pub(super) fn leader_of(&self, group: RaftGroupId) -> Option<NodeId> {
        self.leaders.get(&group).copied()
    }

    /// The metadata as this node has applied it.
    pub(super) const fn image(&self) -> &Arc<MetadataImage> {
        &self.image
    }
}

fn send(frames: impl Iterator<Item = (NodeId, Frame)>, outputs: &mut Vec<Output>) {
    outputs.extend(frames.map(|(peer, frame)| Output::Send(peer, frame)));
}
