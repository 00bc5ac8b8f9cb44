//! The one thread with a clock: it drains the inbox, lets the shard work, and carries out what comes of it.
//!
//! A round's order is what makes it safe: send what a leader may send at once, apply the one batch, let the shard go
//! on, publish, answer, and hand the rest to the [syncer] — disk, network and processor work side by side.
//!
//! A turn has one round. Each of its parts is bounded in bytes: what is taken from the [inbox], what is written, and what is
//! read from the store to be applied. So the clock is looked at every few milliseconds, however much there is to do, and a
//! busy node is not taken for a dead one: its heartbeats leave in time, and it hears those of others.

mod disk_watch;
mod entry_reader;
mod fatal;
mod full_producers;
pub(crate) mod inbox;
mod pace;
mod page_table;
mod published;
mod purger;
mod replies;
pub(crate) mod stall;
pub(crate) mod start_report;
mod syncer;
mod threads;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use trilog_storage::{Store, StoreError, TailCache};

use self::disk_watch::DiskWatch;
pub use self::disk_watch::Reserve;
use self::entry_reader::{EntryReader, Turn};
pub use self::fatal::FatalError;
use self::full_producers::FullProducers;
pub use self::inbox::{Append, Held};
use self::inbox::{AppendReply, Inbox, Input};
use self::page_table::PageTable;
pub(crate) use self::published::Published;
use self::purger::Purger;
use self::replies::Replies;
use self::stall::Stall;
use self::start_report::ReplayReport;
use self::syncer::Syncer;
use crate::ids::NodeId;
use crate::metrics::NodeMetrics;
use crate::replica::Replica;
use crate::shard::effects::Effect;
use crate::shard::{
    AppendRequest, ControlRequest, DeletionRequest, MAX_ROUND_BYTES, Shard, ShardConfig, TICK,
};
use crate::transport::{Frame, Transport};

/// How long a node that is told to stop waits for others to take its leaderships.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(3);

/// The bytes of work that a turn takes from the inbox, and one piece more at the most.
const MAX_TURN_BYTES: usize = 1 << 20;

/// When a write counts as stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Once a majority has it on disk.
    #[default]
    Sync,
    /// Once the kernels of a majority's machines have it; synced every 100 ms. If the machines of a majority go down at once,
    /// acknowledged records may be lost; the end of a process loses none.
    Relaxed,
}

/// What the driver works with.
pub(crate) struct DriverConfig {
    pub(crate) shard: ShardConfig,
    pub(crate) store: Store,
    pub(crate) tail: TailCache,
    pub(crate) durability: Durability,
    pub(crate) reserve: Reserve,
    pub(crate) transport: Transport,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) published: Arc<Published>,
    pub(crate) metrics: NodeMetrics,
}

/// The thread's state.
struct Driver {
    shard: Shard,
    store: Store,
    tail: TailCache,
    transport: Transport,
    inbox: Arc<Inbox>,
    published: Arc<Published>,
    full_producers: FullProducers,
    metrics: NodeMetrics,
    syncer: Syncer,
    entry_reader: EntryReader,
    purger: Purger,
    page_table: PageTable,
    /// Bytes that producers appended since the last tick.
    appended: u64,
    _disk_watch: DiskWatch,
    stall: Stall,
    replies: Replies,
    /// Peers for whom frames were dropped since the last tick: a dead peer's are, one after the other.
    dropped: BTreeSet<NodeId>,
    started: Instant,
    next_tick: Instant,
    /// The last round was filled by what it wrote, and there may be as much again: no more work is taken in meanwhile.
    is_behind: bool,
    /// What was committed before the start and is not applied yet.
    replay: Option<ReplayReport>,
    /// When to stop at the latest, once that was asked for.
    stop_by: Option<Instant>,
}

/// What a turn did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct TurnWork {
    /// Inputs that it took.
    inputs: usize,
    /// Bytes that it read from the store to apply them.
    read_bytes: usize,
    /// Bytes that it wrote.
    written_bytes: usize,
    /// It looked at the clock, and a tick was due.
    ticked: bool,
}

/// Starts the driver's thread. The receiver learns how it ended.
pub(crate) fn start(config: DriverConfig) -> Result<oneshot::Receiver<Result<(), FatalError>>, FatalError> {
    let driver = Driver::new(config)?;
    let (ended, end) = oneshot::channel();
    let published = Arc::clone(&driver.published);
    std::thread::Builder::new()
        .name("driver".into())
        .spawn(move || {
            #[cfg(test)]
            driver.inbox.panic_if_asked("driver");
            let named = |error: StoreError| error.with_group_name(|group| published.image().name_of(group));
            let _ = ended.send(driver.run().map_err(|error| match error {
                FatalError::Store(error) => FatalError::Store(named(error)),
                other => other,
            }));
        })
        .map_err(FatalError::Thread)?;
    Ok(end)
}

impl Driver {
    /// Opens the groups and starts the threads beside the driver's own.
    fn new(config: DriverConfig) -> Result<Self, FatalError> {
        let DriverConfig { shard, store, tail, durability, reserve, transport, inbox, published, metrics } =
            config;
        let shard = Shard::open(shard, store.clone(), tail.clone(), Duration::ZERO)?;
        let syncer =
            Syncer::start(store.clone(), transport.clone(), Arc::clone(&inbox), durability, metrics.clone())
                .map_err(FatalError::Thread)?;
        let entry_reader =
            EntryReader::start(store.reader(&tail), Arc::clone(&inbox)).map_err(FatalError::Thread)?;
        let purger = Purger::start(store.clone(), Arc::clone(&inbox)).map_err(FatalError::Thread)?;
        let page_table = PageTable::start(store.clone(), Arc::clone(&inbox)).map_err(FatalError::Thread)?;
        let disk_watch =
            DiskWatch::start(store.clone(), Arc::clone(&inbox), reserve).map_err(FatalError::Thread)?;
        let now = Instant::now();
        Ok(Self {
            shard,
            store,
            tail,
            transport,
            inbox,
            published,
            full_producers: FullProducers::new(metrics.producers_refused.clone()),
            metrics,
            syncer,
            entry_reader,
            purger,
            page_table,
            appended: 0,
            _disk_watch: disk_watch,
            stall: Stall::default(),
            replies: Replies::default(),
            dropped: BTreeSet::new(),
            started: now,
            next_tick: now,
            is_behind: false,
            replay: Some(ReplayReport::new(now)),
            stop_by: None,
        })
    }

    fn run(mut self) -> Result<(), FatalError> {
        loop {
            self.turn()?;
            if self.may_stop(Instant::now()) {
                return self.stop();
            }
        }
    }

    /// Takes what has come, ticks if it is time, and does one round. Waits only if there is nothing to do.
    fn turn(&mut self) -> Result<TurnWork, FatalError> {
        self.metrics.beat();
        let mut turn = TurnWork::default();
        let until = if self.shard.has_work() { self.started } else { self.next_tick };
        self.syncer.pass_on();
        let work_bytes = if self.is_behind || self.syncer.is_full() { 0 } else { MAX_TURN_BYTES };
        for input in self.inbox.drain(until, work_bytes) {
            self.take(input)?;
            turn.inputs += 1;
        }
        let now = Instant::now();
        if now >= self.next_tick {
            self.tick(now);
            turn.ticked = true;
        }
        self.round(&mut turn)?;
        self.is_behind = turn.written_bytes >= MAX_ROUND_BYTES;
        Ok(turn)
    }

    fn tick(&mut self, now: Instant) {
        // Ticks that a stall swallowed are not made up for: they would only start elections.
        self.next_tick = now + TICK;
        self.watch_syncs();
        self.shard.tick(self.elapsed());
        for peer in std::mem::take(&mut self.dropped) {
            self.shard.frames_dropped(peer);
        }
        self.entry_reader.keep_pace(now, std::mem::take(&mut self.appended));
        self.replies.forget_abandoned();
        self.replay = self.replay.take().and_then(|replay| replay.look(now, self.shard.unapplied()));
    }

    /// A node whose disk stands still leads nothing that others can lead.
    fn watch_syncs(&mut self) {
        let now = self.elapsed();
        let Some(is_stalled) = self.stall.look(now, self.store.syncing_for()) else { return };
        if is_stalled {
            let seconds = self.stall.quick_for().as_secs();
            tracing::warn!(
                "the disk has not finished a sync for seconds: other nodes lead where they can until it was quick for {seconds} s"
            );
        } else {
            tracing::info!("the disk moves again");
        }
        self.shard.set_stalled(now, is_stalled);
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn take(&mut self, input: Input) -> Result<(), FatalError> {
        let now = self.elapsed();
        match input {
            Input::Append(append, reply) => self.take_append(now, append, reply),
            Input::DeleteRecords { group, before, reply } => {
                let ticket = self.replies.ticket();
                self.replies.deletions.expect(ticket, reply);
                self.shard.delete_records(now, group, DeletionRequest { ticket, before });
            }
            Input::Control { request, topic_ids, reply } => {
                let ticket = self.replies.ticket();
                self.replies.controls.expect(ticket, reply);
                self.shard.control(now, ControlRequest { ticket, request, topic_ids });
            }
            Input::Coordinate { coordinator, request, reply } => {
                let ticket = self.replies.ticket();
                self.replies.coordinations.expect(ticket, reply);
                self.shard.coordinate(now, coordinator, ticket, *request);
            }
            Input::Confirm(groups, reply) => {
                let ticket = self.replies.ticket();
                self.replies.confirmations.expect(ticket, reply);
                self.shard.confirm(now, ticket, &groups);
            }
            // Whoever no longer waits for it has dropped its receiver.
            Input::Survey(reply) => drop(reply.send(self.shard.survey())),
            Input::Producers(_, reply) if reply.is_closed() => {}
            Input::Producers(groups, reply) => drop(reply.send(self.shard.active_producers(&groups))),
            Input::ExpireOffsets => self.shard.expire_offsets(now),
            Input::Frame { from, frame } => self.shard.receive(now, from, frame),
            Input::Heard(peer) => self.shard.heard(now, peer),
            Input::PeerEvent { peer, event } => self.shard.peer_event(now, peer, event),
            Input::Persisted { readies, bytes } => self.shard.persisted(now, &readies, bytes),
            Input::Fetched(group, entries) => self.shard.fetched(now, group, entries),
            Input::Dropped(peer) => {
                self.dropped.insert(peer);
            }
            Input::Shutdown => {
                self.stop_by.get_or_insert(Instant::now() + HAND_OVER_WITHIN);
                self.shard.hand_over(now);
            }
            Input::Room(has_room) => {
                self.shard.set_room(now, has_room);
            }
            Input::Fail(error) => return Err(error),
        }
        Ok(())
    }

    fn take_append(&mut self, now: Duration, append: Append, reply: AppendReply) {
        let Append { group, batch, timestamp_type, now: wall_clock, min_insync_replicas, held } = append;
        let ticket = self.replies.ticket();
        self.appended = self.appended.saturating_add(u64::try_from(batch.bytes().len()).unwrap_or(u64::MAX));
        self.replies.appends.expect(ticket, reply, held);
        let replicas = min_insync_replicas.and_then(|needed| usize::try_from(needed).ok());
        let request = AppendRequest { ticket, batch, timestamp_type, now: wall_clock, replicas };
        self.shard.append(now, group, request);
    }

    /// One round of the shard's work, if there is any.
    fn round(&mut self, turn: &mut TurnWork) -> Result<(), FatalError> {
        if let Some(round) = self.shard.collect()? {
            turn.read_bytes = round.read_bytes;
            if let Some(replay) = &mut self.replay {
                replay.count(round.read_bytes);
            }
            turn.written_bytes = round.batch.len_bytes();
            self.send(round.sends.into_frames());
            self.store.apply(round.batch)?;
            self.shard.written()?;
            if !round.persist.is_empty() {
                self.syncer.submit(round.persist);
            }
        }
        let mut effects = self.shard.take_effects();
        // What is known comes before what is answered: whoever is told that this node leads no more looks here for
        // who does.
        effects.sort_by_key(Effect::is_answer);
        for effect in effects {
            self.carry_out(effect);
        }
        Ok(())
    }

    fn send(&mut self, frames: impl Iterator<Item = (NodeId, Frame)>) {
        for (peer, frame) in frames {
            if self.transport.send(peer, frame).is_err() {
                self.dropped.insert(peer);
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Appended { ticket, result } => {
                self.full_producers.look_at(&result, Instant::now());
                self.replies.appends.answer(ticket, result);
            }
            Effect::Logged(tickets) => self.replies.appends.release(&tickets),
            Effect::RecordsDeleted { ticket, result } => self.replies.deletions.answer(ticket, result),
            Effect::Answered { ticket, result } => self.replies.controls.answer(ticket, result),
            Effect::Coordinated { ticket, result } => self.replies.coordinations.answer(ticket, result),
            Effect::Confirmed { ticket, led } => self.replies.confirmations.answer(ticket, led),
            Effect::LogCompacted => self.purger.purge(),
            Effect::ReplicaOpened(group) => {
                let (reader, tail) = (self.store.reader(&self.tail), self.tail.clone());
                self.published.open(Arc::new(Replica::new(group, reader, tail, Arc::clone(&self.inbox))));
            }
            Effect::ReplicaRemoved(group) => {
                if let Some(replica) = self.published.remove(group) {
                    replica.close();
                }
                self.tail.forget(group);
                self.purger.purge();
            }
            Effect::ReplicaChanged { group, status, recent } => {
                if let Some(replica) = self.published.replica(group) {
                    replica.publish(status, recent);
                }
            }
            Effect::Image(image) => self.published.set_image(image),
            Effect::Leadership { group, leadership } => {
                if self.published.set_leadership(group, leadership) {
                    self.metrics.leader_changes.inc();
                }
            }
            Effect::Peers { alive, unfenced } => self.published.set_peers(alive, unfenced),
            Effect::Standing(standing) => self.published.set_standing(standing),
            Effect::Refused => self.metrics.refused_messages.inc(),
            Effect::Fetch { group, fetch, holds_records } => {
                self.entry_reader.fetch(group, fetch, if holds_records { Turn::Paced } else { Turn::Next });
            }
        }
    }

    fn may_stop(&self, now: Instant) -> bool {
        self.stop_by.is_some_and(|by| now >= by || !self.shard.leads_any())
    }

    /// Everything to disk, so that the next start replays nothing.
    fn stop(mut self) -> Result<(), FatalError> {
        self.shard.checkpoint_all();
        while self.shard.has_work() {
            self.round(&mut TurnWork::default())?;
        }
        self.syncer.finish();
        self.purger.finish();
        self.page_table.finish();
        // What a thread met on its last way counts, too.
        for input in self.inbox.drain(self.started, 0) {
            if let Input::Fail(error) = input {
                return Err(error);
            }
        }
        Ok(self.store.close()?)
    }
}

#[cfg(test)]
mod tests;
