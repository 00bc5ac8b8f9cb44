//! One node of the stage: a shard over a real store, and what the driver, the syncer and the background threads do
//! around it, by hand.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use trilog_storage::{Acknowledge, EntryFetch, Identity, Store, StoreOptions, TailCache};

use crate::acquaintances::{Acquaintances, Recognition, last_readmitted};
use crate::controller::configs::BrokerSettings;
use crate::coordinator::TopicPatterns;
use crate::ids::{NodeId, RaftGroupId, StoreId};
use crate::shard::effects::{Effect, Needs, Persist};
use crate::shard::{CheckpointPolicy, OPENED_PER_ROUND, ProducerLimits, Shard, ShardConfig, forget};
use crate::transport::Frame;

/// What all nodes of a stage are made with.
#[derive(Clone)]
pub(super) struct NodeOptions {
    pub(super) nodes: Vec<NodeId>,
    pub(super) tail_bytes: usize,
    pub(super) checkpoints: CheckpointPolicy,
    /// Entries need not be synced to be acknowledged.
    pub(super) relaxed: bool,
}

/// What came out of a node, in order.
pub(super) enum Output {
    Sent(NodeId, Frame),
    Effect(Effect),
    /// A read of old entries was asked for.
    Fetch(RaftGroupId),
}

/// A node, running or not, with its disk.
pub(super) struct Node {
    id: NodeId,
    options: NodeOptions,
    disk: TempDir,
    /// How often its machine went down.
    power_losses: u32,
    /// The disk as of the last sync. Only kept while syncs are held; otherwise every write is synced at once.
    synced: Option<TempDir>,
    running: Option<Running>,
    acquaintances: Acquaintances,
}

struct Running {
    shard: Shard,
    store: Store,
    tail: TailCache,
    relaxed: bool,
    /// What waits for a sync.
    unsynced: VecDeque<Persist>,
    fetches: VecDeque<(RaftGroupId, EntryFetch)>,
}

impl Node {
    pub(super) fn new(id: NodeId, options: NodeOptions) -> Self {
        let disk = tempfile::tempdir().unwrap();
        let acquaintances = Acquaintances::default();
        Self { id, options, disk, power_losses: 0, synced: None, running: None, acquaintances }
    }

    pub(super) const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub(super) fn shard(&self) -> &Shard {
        &self.up().shard
    }

    pub(super) fn store(&self) -> &Store {
        &self.up().store
    }

    fn up(&self) -> &Running {
        self.running.as_ref().unwrap_or_else(|| panic!("node {} is down", self.id))
    }

    fn up_mut(&mut self) -> &mut Running {
        self.running.as_mut().unwrap_or_else(|| panic!("node {} is down", self.id))
    }

    /// Starts the node on what its disk holds.
    pub(super) fn start(&mut self, now: Duration) -> Vec<Output> {
        assert!(self.running.is_none(), "node {} is up", self.id);
        let identity = Identity { cluster_id: "golden".into(), node_id: self.id.0 };
        let boot = format!("{:032x}", self.power_losses + 1).parse().ok();
        let options = StoreOptions { boot, ..StoreOptions::default() };
        let store = Store::open(self.disk.path(), &identity, options).unwrap();
        if store.forgot() {
            store.apply(forget(&store).unwrap()).unwrap();
        }
        let relaxed = self.options.relaxed;
        store.acknowledge(if relaxed { Acknowledge::Flushed } else { Acknowledge::Synced }).unwrap();
        let tail = TailCache::new(self.options.tail_bytes);
        let config = ShardConfig {
            node: self.id,
            store_id: store.id(),
            nodes: self.options.nodes.clone(),
            defaults: Arc::new(BrokerSettings::default()),
            patterns: TopicPatterns::in_place(),
            checkpoints: self.options.checkpoints,
            producers: ProducerLimits::DEFAULT,
            arrivals_per_round: OPENED_PER_ROUND,
        };
        let shard = Shard::open(config, store.clone(), tail.clone(), now).unwrap();
        let (unsynced, fetches) = (VecDeque::new(), VecDeque::new());
        self.running = Some(Running { shard, store, tail, relaxed, unsynced, fetches });
        self.input(now, |_| ())
    }

    /// As what this node recognizes a peer that has `store`; not at all if that was replaced by another one. The stage's nodes all
    /// reach each other, so that there is no need to write it down: it is remembered as long as the script plays.
    pub(super) fn meet(&mut self, peer: NodeId, store: StoreId) -> Option<Recognition> {
        let readmitted = last_readmitted(peer, self.store()).unwrap();
        let (recognition, _) = self.acquaintances.meet(peer, store, readmitted).ok()?;
        Some(recognition)
    }

    /// Ends the node and loses its disk: the next start is on an empty one.
    pub(super) fn wipe(&mut self) {
        self.crash();
        self.disk = tempfile::tempdir().unwrap();
        self.acquaintances = Acquaintances::default();
    }

    /// Ends the node's machine: what was not synced is gone, and the node can tell.
    pub(super) fn lose_power(&mut self) {
        self.crash();
        self.power_losses += 1;
    }

    /// Ends the node as a power cut does: what was not synced is gone.
    pub(super) fn crash(&mut self) {
        assert!(self.running.take().is_some(), "node {} is down", self.id);
        if let Some(synced) = self.synced.take() {
            self.disk = synced;
        }
    }

    /// Ends the node as SIGTERM does, after its leaderships are handed over: checkpoints, a last sync, and no replay
    /// at the next start.
    pub(super) fn stop(&mut self, now: Duration) -> Vec<Output> {
        let mut outputs = self.input(now, Shard::checkpoint_all);
        outputs.extend(self.release_syncs(now));
        if let Some(running) = self.running.take() {
            drop(running.shard);
            running.store.close().unwrap();
        }
        outputs
    }

    /// Hands the shard an input and lets it work until it has nothing left to do.
    pub(super) fn input(&mut self, now: Duration, input: impl FnOnce(&mut Shard)) -> Vec<Output> {
        let mut outputs = Vec::new();
        input(&mut self.up_mut().shard);
        loop {
            self.up_mut().work(&mut outputs);
            let hold = self.synced.is_some();
            if !self.up_mut().finish_writes(now, hold, &mut outputs) {
                return outputs;
            }
        }
    }

    /// From here on nothing is synced unless the script says so.
    pub(super) fn hold_syncs(&mut self) {
        self.up().store.sync().unwrap();
        self.synced = Some(copy_of(self.disk.path()));
    }

    /// One sync for everything that waits.
    pub(super) fn sync(&mut self, now: Duration) -> Vec<Output> {
        assert!(self.synced.is_some(), "the syncs of node {} are not held", self.id);
        self.up().store.sync().unwrap();
        self.synced = Some(copy_of(self.disk.path()));
        let mut outputs = Vec::new();
        self.up_mut().finish_writes(now, false, &mut outputs);
        outputs.extend(self.input(now, |_| ()));
        outputs
    }

    /// Syncs again as soon as there is something to.
    pub(super) fn release_syncs(&mut self, now: Duration) -> Vec<Output> {
        self.synced = None;
        self.input(now, |_| ())
    }

    /// Carries out the reads that were asked for.
    pub(super) fn fetch(&mut self, now: Duration) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Some((group, fetch)) = self.up_mut().fetches.pop_front() {
            let running = self.up();
            let fetched = fetch.read(&running.store.reader(&running.tail)).unwrap();
            outputs.extend(self.input(now, |shard| shard.fetched(now, group, fetched)));
        }
        outputs
    }
}

impl Running {
    /// The driver's rounds.
    fn work(&mut self, outputs: &mut Vec<Output>) {
        loop {
            if let Some(round) = self.shard.collect().unwrap() {
                outputs.extend(round.sends.into_frames().map(|(peer, frame)| Output::Sent(peer, frame)));
                self.store.apply(round.batch).unwrap();
                self.shard.written().unwrap();
                self.unsynced.push_back(round.persist);
            }
            let effects = self.shard.take_effects();
            let idle = effects.is_empty();
            for effect in effects {
                outputs.push(self.carry_out(effect));
            }
            if idle && !self.shard.has_work() {
                return;
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) -> Output {
        match effect {
            Effect::Fetch { group, fetch, .. } => {
                self.fetches.push_back((group, fetch));
                return Output::Fetch(group);
            }
            Effect::LogCompacted => while self.store.purge(1024).unwrap().more {},
            Effect::ReplicaRemoved(group) => {
                self.tail.forget(group);
                while self.store.purge(1024).unwrap().more {}
            }
            _ => {}
        }
        Output::Effect(effect)
    }

    /// The syncer's work, up to the first write that has to wait. Returns whether Raft was told of anything.
    fn finish_writes(&mut self, now: Duration, hold: bool, outputs: &mut Vec<Output>) -> bool {
        let (mut readies, mut bytes) = (Vec::new(), 0);
        let free = if self.relaxed { Needs::Kernel } else { Needs::Nothing };
        while self.unsynced.front().is_some_and(|persist| !(hold && persist.needs > free)) {
            let Some(persist) = self.unsynced.pop_front() else { break };
            if persist.needs > free {
                self.store.sync().unwrap();
            }
            outputs.extend(persist.sends.into_frames().map(|(peer, frame)| Output::Sent(peer, frame)));
            readies.extend(persist.readies);
            bytes += persist.bytes;
        }
        let told = !readies.is_empty() || bytes > 0;
        if told {
            self.shard.persisted(now, &readies, bytes);
        }
        told
    }
}

/// A directory with the same files.
fn copy_of(directory: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_into(directory, copy.path());
    copy
}

fn copy_into(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy_into(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
