//! The world: nodes, network, clients and time, moved from event to event by one seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::aim::Aim;
use super::burden::Burden;
use super::call::Call;
use super::clients::Connection;
use super::disk::{Disk, Space};
use super::event::{Event, Schedule};
use super::fault::Climate;
use super::hardship::{Lag, drivers_wait, hardship};
use super::invariants::{Invariants, Violation};
use super::memory::Memory;
use super::mutant::Mutant;
use super::network::{Link, Network};
use super::node::{Input, Node, NodeOptions, Output};
use super::observation::Observation;
use super::random::Random;
use super::retention::short_retention;
use super::trace::Trace;
use super::watch::Watch;
use super::workload::{Client, ClientId, clients};
use crate::controller::MetadataImage;
use crate::controller::configs::BrokerSettings;
use crate::ids::{NodeId, RaftGroupId, Ticket};
use crate::shard::{CheckpointPolicy, OPENED_PER_ROUND, TICK};
use crate::transport::{Frame, PeerEvent};

/// How long a transport takes to connect, or to learn that nobody listens, in milliseconds.
const CONNECT_MS: (u64, u64) = (1, 60);

/// See the module's documentation.
pub(super) struct World {
    pub(super) now: Duration,
    pub(super) random: Random,
    pub(super) schedule: Schedule,
    pub(super) nodes: BTreeMap<NodeId, Node>,
    pub(super) network: Network,
    pub(super) trace: Trace,
    pub(super) invariants: Invariants,
    pub(super) climate: Climate,
    /// Nothing breaks any more.
    pub(super) is_calm: bool,
    /// The node that lost its disk last. No other does before it has what it lost.
    pub(super) bereft: Option<NodeId>,
    /// By how much clocks have jumped ahead, all together.
    pub(super) jumped: Duration,
    /// The latest metadata that a node had. It outlives the node.
    pub(super) newest_image: Arc<MetadataImage>,
    watch: Watch,
    /// Drivers wait for slow disks.
    pub(super) drivers_wait: bool,
    /// The cluster has to live with such a slow disk, which it needs.
    pub(super) hardship: Option<Lag>,
    /// What this seed's faults are aimed at.
    pub(super) aim: Aim,
    /// The next answer that tells a member its assignment is the last of its process.
    pub(super) ends_with_assignment: bool,
    pub(super) mutant: Option<Mutant>,
    pub(super) clients: Vec<Box<dyn Client>>,
    /// The clients are to come to an end.
    pub(super) ending: bool,
    pub(super) connections: BTreeMap<(ClientId, NodeId), Connection>,
    /// Requests that have no answer yet, as their clients know, and where they were sent.
    pub(super) open: BTreeMap<Ticket, (ClientId, NodeId)>,
    /// Requests that a process of that node has taken up.
    pub(super) taken: BTreeMap<Ticket, (NodeId, Call)>,
    pub(super) next_ticket: u64,
}

impl World {
    /// Three nodes that are about to start, and clients.
    pub(super) fn new(seed: u64, mutant: Option<Mutant>, trace: Trace) -> Self {
        let mut random = Random::new(seed);
        let ids = [NodeId(1), NodeId(2), NodeId(3)];
        let memory = Memory::of(seed, mutant);
        let retention = short_retention(seed);
        let options = options(&ids, (memory, retention), &mut random, mutant);
        let wrong = wrong_clock(seed, &ids);
        let arrivals_per_round =
            Random::new(seed.rotate_left(16)).pick(&[1, 2, OPENED_PER_ROUND]).unwrap_or(1);
        let watches_syncs = drivers_wait(seed) || hardship(seed).is_some();
        let node = |id| {
            let wall_offset_ms = wrong.filter(|(node, _)| *node == id).map_or(0, |(_, offset)| offset);
            let options = options.clone();
            (id, Node::new(id, NodeOptions { wall_offset_ms, arrivals_per_round, watches_syncs, ..options }))
        };
        let nodes = ids.into_iter().map(node).collect();
        let climate = Climate::new(&mut random);
        let mut world = Self {
            now: Duration::ZERO,
            schedule: Schedule::default(),
            nodes,
            network: Network::new(),
            trace,
            invariants: Invariants::new(),
            climate,
            is_calm: false,
            bereft: None,
            jumped: Duration::ZERO,
            newest_image: Arc::default(),
            watch: Watch::default(),
            drivers_wait: drivers_wait(seed),
            hardship: hardship(seed),
            aim: Aim::of(seed),
            ends_with_assignment: false,
            mutant,
            clients: clients((Burden::of(seed), Aim::of(seed)), memory, retention, &mut random),
            ending: false,
            connections: BTreeMap::new(),
            open: BTreeMap::new(),
            taken: BTreeMap::new(),
            next_ticket: 0,
            random,
        };
        for node in ids {
            world.schedule.at(world.random.millis(0, 20), Event::Start { node });
        }
        for client in 0..world.clients.len() {
            world.schedule.at(world.random.millis(0, 200), Event::Wake { client });
        }
        world.schedule.at(world.random.millis(0, 3_000), Event::NextFault);
        world.begin_to_aim();
        world
    }

    /// Lets everything happen that does before `end`.
    pub(super) fn run_until(&mut self, end: Duration) -> Result<(), Violation> {
        while self.now < end {
            self.step()?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Violation> {
        let (at, event) = self.schedule.next().expect("nodes tick for ever");
        self.now = at;
        match event {
            Event::Input { node, life, input } => self.input(node, life, input),
            Event::Start { node } => self.start(node),
            Event::Resume { node, life } => self.resume(node, life),
            Event::Call { node, ticket, call } => self.call(node, ticket, call),
            Event::Answer { ticket, answer } => {
                self.answer(ticket, answer);
                Ok(())
            }
            Event::Wake { client } => {
                self.with_client(client, |client, desk| client.wake(desk));
                Ok(())
            }
            Event::Break(fault) => self.break_down(fault),
            Event::NextFault => {
                self.next_fault();
                Ok(())
            }
            Event::TakeAim => {
                self.take_aim();
                Ok(())
            }
            Event::End { node, life } => {
                if self.nodes[&node].life == life {
                    self.crash(node, true);
                }
                Ok(())
            }
            Event::Mend(fault) => {
                self.mend(fault);
                Ok(())
            }
        }
    }

    /// Lets a node that is off start, if there is room on its disk, and its peers connect with it.
    pub(super) fn start(&mut self, id: NodeId) -> Result<(), Violation> {
        let (now, random) = (self.now, &mut self.random);
        let can_start = |node: &&mut Node| node.process().is_none() && node.disk.space != Space::Nothing;
        let Some(node) = self.nodes.get_mut(&id).filter(can_start) else { return Ok(()) };
        self.trace.tell(now, format_args!("{id} starts"));
        (node.disk.lag, node.disk.holds_driver) = (Disk::QUICK, false);
        let outputs = node.start(now, random);
        let (life, forgot) = (node.life, std::mem::take(&mut node.forgot));
        let process = node.process().expect("it has just been started");
        let invariants = &mut self.invariants;
        self.watch.started(id, &process.shard, forgot, |seen| invariants.observe(seen))?;
        self.schedule.at(now, Event::Input { node: id, life, input: Input::Tick });
        for peer in self.peers_of(id) {
            self.connect_soon((id, peer));
            self.connect_soon((peer, id));
        }
        self.carry_out(id, outputs)
    }

    pub(super) fn peers_of(&self, id: NodeId) -> Vec<NodeId> {
        self.nodes.keys().copied().filter(|peer| *peer != id).collect()
    }

    /// The transport of `from` will find a way to `to`, if there is one.
    pub(super) fn connect_soon(&mut self, link: Link) {
        if self.network.is_cut(link) || self.nodes[&link.1].process().is_none() {
            return;
        }
        let after = self.random.millis(CONNECT_MS.0, CONNECT_MS.1);
        self.peer_event(link, after, PeerEvent::Connected);
    }

    pub(super) fn peer_event(&mut self, (from, peer): Link, after: Duration, event: PeerEvent) {
        let life = self.nodes[&from].life;
        let input = Input::Peer { peer, event };
        self.schedule.at(self.now + after, Event::Input { node: from, life, input });
    }

    fn resume(&mut self, id: NodeId, life: u32) -> Result<(), Violation> {
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.life == life) else { return Ok(()) };
        let Some(kept) = node.process_mut().and_then(|process| process.paused.take()) else { return Ok(()) };
        self.trace.tell(self.now, format_args!("{id} goes on"));
        for input in kept {
            self.input(id, life, input)?;
        }
        Ok(())
    }

    /// Hands a process an input, and follows up on what comes of it.
    pub(super) fn input(&mut self, id: NodeId, life: u32, mut input: Input) -> Result<(), Violation> {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.life == life) else { return Ok(()) };
        let Some(process) = node.process() else { return Ok(()) };
        let is_paused = process.paused.is_some();
        if !is_paused && !self.arrives(id, life, &input)? {
            return Ok(());
        }
        let Some(process) = self.nodes.get(&id).and_then(Node::process) else { return Ok(()) };
        if !is_paused {
            if let Input::Tick = &input {
                let next = now + process.clock.truly(TICK);
                self.schedule.at(next, Event::Input { node: id, life, input: Input::Tick });
            }
            if let Input::Frame { from, frame: Frame::Raft(messages), .. } = &mut input
                && let Some(mutant) = self.mutant
            {
                let sender = self.nodes.get(from).and_then(Node::process).map(|sender| &sender.shard);
                mutant.falsify(messages, sender, &process.shard);
            }
            self.observe_input(id, &input)?;
        }
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        let outputs = node.input(now, input);
        if let Some(process) = node.process().filter(|_| node.is_up_to_date()) {
            let invariants = &mut self.invariants;
            self.watch.look(id, &process.shard, |seen| invariants.observe(seen))?;
        }
        self.carry_out(id, outputs)
    }

    fn observe_input(&mut self, id: NodeId, input: &Input) -> Result<(), Violation> {
        let invariants = &mut self.invariants;
        match input {
            Input::Tick => Ok(()),
            Input::Frame { from, frame, .. } => {
                self.trace.tell(self.now, format_args!("{from}->{id} {}", describe(frame)));
                Ok(())
            }
            Input::Peer { peer, event } => {
                self.trace.tell(self.now, format_args!("{id} {peer} {event:?}"));
                if *event == PeerEvent::Connected {
                    self.network.connect((id, *peer));
                }
                Ok(())
            }
            Input::Synced if !self.nodes[&id].fails_to_sync() => {
                self.trace.tell(self.now, format_args!("{id} synced"));
                self.watch.synced(id, |seen| invariants.observe(seen))
            }
            Input::Synced | Input::Fetched(..) | Input::Work | Input::Stop => Ok(()),
            Input::Call { ticket, call } => {
                self.taken.insert(*ticket, (id, call.clone()));
                invariants.observe(&Observation::Called { ticket: *ticket, call })
            }
        }
    }

    fn carry_out(&mut self, id: NodeId, outputs: Vec<Output>) -> Result<(), Violation> {
        let life = self.nodes[&id].life;
        for output in outputs {
            match output {
                Output::Send(to, frame) => self.send((id, to), frame),
                Output::Gather(after) => {
                    self.schedule.at(self.now + after, Event::Input { node: id, life, input: Input::Work });
                }
                Output::Sync => {
                    self.watch.sync_began(id);
                    let after = self.nodes[&id].disk.sync_takes(&mut self.random);
                    self.schedule.at(self.now + after, Event::Input { node: id, life, input: Input::Synced });
                    if self.nodes[&id].disk.holds_driver {
                        self.pause_until(id, self.now + after);
                    }
                }
                Output::SyncFailed => {
                    self.trace.tell(self.now, format_args!("{id} cannot sync"));
                    self.crash(id, true);
                }
                Output::Fetch(group, fetch) => {
                    let Some(process) = self.nodes[&id].process() else { continue };
                    let input = Input::Fetched(group, process.fetch(fetch));
                    let after = self.random.millis(0, 5);
                    self.schedule.at(self.now + after, Event::Input { node: id, life, input });
                }
                Output::Answer(ticket, answer) => self.answered(id, ticket, answer)?,
                Output::Shows(group, status) => {
                    let (epoch, log_start) = (status.leading, status.log_start_offset);
                    let high_watermark = status.high_watermark;
                    let leads = epoch.map_or(-1, |epoch| epoch.0);
                    let shown = format!("{id} {group} leads {leads} from {log_start} to {high_watermark}");
                    self.trace.tell(self.now, shown);
                    self.invariants.observe(&Observation::Shows {
                        node: id,
                        group,
                        epoch,
                        log_start,
                        high_watermark,
                    })?;
                }
                Output::Ending => {
                    let invariants = &mut self.invariants;
                    self.watch.sync_began(id);
                    self.watch.synced(id, |seen| invariants.observe(seen))?;
                    self.stop(id);
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, link: Link, frame: Frame) {
        let (from, to) = link;
        if !self.network.is_connected(link) {
            if let Some(process) = self.nodes.get_mut(&from).and_then(Node::process_mut) {
                process.dropped.insert(to);
            }
            return;
        }
        let (life, store) = (self.nodes[&to].life, self.nodes[&from].disk.id());
        if self.is_readmitted_at_once(link, &frame) {
            return;
        }
        for at in self.network.arrivals(link, self.now, &mut self.random) {
            let input = Input::Frame { from, store, frame: frame.clone() };
            self.schedule.at(at, Event::Input { node: to, life, input });
        }
    }

    /// Ends a node's machine, whether a process runs on it or not. Nobody hears of it.
    pub(super) fn lose_power(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let was_running = node.process().is_some();
        let lost = node.lose_power(&mut self.random);
        let is_relaxed = node.disk.is_relaxed;
        self.trace.tell(self.now, format_args!("{id} loses power and {lost} batches"));
        if was_running {
            self.process_gone(id, false);
        }
        if is_relaxed {
            self.told_of_lost_power(id);
        }
    }

    /// The invariants hear that a node may have lost what it acknowledged.
    fn told_of_lost_power(&mut self, id: NodeId) {
        let told = self.invariants.observe(&Observation::LostPower { node: id });
        told.expect("no invariant is broken by a loss of power alone");
    }

    /// Ends a process without a word. Its peers' connections are reset if `heard`.
    pub(super) fn crash(&mut self, id: NodeId, heard: bool) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let fails = node.disk.is_relaxed && node.disk.failing;
        let Some(lost) = node.crash(&mut self.random) else { return };
        self.trace.tell(self.now, format_args!("{id} crashes and loses {lost} batches"));
        self.process_gone(id, heard);
        if fails {
            self.told_of_lost_power(id);
        }
    }

    /// Ends a process in order.
    fn stop(&mut self, id: NodeId) {
        self.trace.tell(self.now, format_args!("{id} stops"));
        let Some(node) = self.nodes.get_mut(&id) else { return };
        for output in node.stop() {
            if let Output::Send(to, frame) = output {
                self.send((id, to), frame);
            }
        }
        self.process_gone(id, true);
    }

    /// What follows from the end of a process: its peers may hear of it, and somebody starts it again.
    fn process_gone(&mut self, id: NodeId, heard: bool) {
        for peer in self.peers_of(id) {
            self.network.disconnect((id, peer));
            if heard && !self.network.is_cut((peer, id)) {
                self.network.disconnect((peer, id));
                self.peer_event((peer, id), Duration::ZERO, PeerEvent::Disconnected);
                let after = self.random.millis(CONNECT_MS.0, CONNECT_MS.1);
                self.peer_event((peer, id), after, PeerEvent::Refused);
            }
        }
        self.break_off(id, heard);
        let back = if self.is_calm { Duration::ZERO } else { self.random.millis(20, 3_000) };
        self.schedule.at(self.now + back, Event::Start { node: id });
    }
}

fn options(
    nodes: &[NodeId],
    (memory, retention): (Memory, Option<Duration>),
    random: &mut Random,
    mutant: Option<Mutant>,
) -> NodeOptions {
    let settings = [
        ("offsets.topic.num.partitions", "2"),
        ("group.initial.rebalance.delay.ms", "100"),
        ("group.consumer.session.timeout.ms", "10000"),
        ("group.consumer.min.session.timeout.ms", "10000"),
        ("group.consumer.heartbeat.interval.ms", "3000"),
        ("group.consumer.min.heartbeat.interval.ms", "3000"),
    ];
    let expiration = memory.expiration_ms.map(|ms| ("producer.id.expiration.ms", ms.to_string()));
    let settings = settings.map(|(name, value)| (name, value.to_owned())).into_iter().chain(expiration);
    let mut settings = BrokerSettings::from_pairs(settings).expect("the settings are sound");
    if let Some(retention) = retention {
        Arc::make_mut(&mut settings.groups).offsets_retention = retention;
    }
    NodeOptions {
        nodes: nodes.to_vec(),
        settings: Arc::new(settings),
        checkpoints: CheckpointPolicy {
            every_entries: random.pick(&[1, 5, 50, 1000]).unwrap_or(5),
            every_bytes: random.pick(&[1 << 10, 64 << 10, 64 << 20]).unwrap_or(64 << 20),
            node_bytes: random.pick(&[1 << 10, 64 << 10, 64 << 20]).unwrap_or(64 << 20),
            kept_entries: random.pick(&[0, 10, 1000]).unwrap_or(0),
            kept_bytes: random.pick(&[0, 1 << 10, 64 << 10, 16 << 20]).unwrap_or(16 << 20),
            part_bytes: random.pick(&[40, 300, 1 << 10, 1 << 20]).unwrap_or(1 << 20),
        },
        producers: memory.limits,
        arrivals_per_round: OPENED_PER_ROUND,
        watches_syncs: false,
        relaxed: relaxed(nodes, random),
        tail_bytes: random.pick(&[1 << 10, 1 << 20]).unwrap_or(1 << 20),
        purge_keys: random.pick(&[1, 10, 1024]).unwrap_or(1024),
        purge_pause: random.pick(&[0, 30, 300]).unwrap_or(0),
        gathers: Duration::from_millis(random.pick(&[0, 0, 1, 10]).unwrap_or(0)),
        wall_offset_ms: 0,
        mutant,
    }
}

/// The node whose wall clock is years ahead or behind, in a third of all simulations.
fn wrong_clock(seed: u64, nodes: &[NodeId]) -> Option<(NodeId, i64)> {
    const DECADE_MS: u64 = 10 * 365 * 86_400_000;
    let mut random = Random::new(!seed);
    let offset = i64::try_from(random.below(2 * DECADE_MS)).ok()? - i64::try_from(DECADE_MS).ok()?;
    let node = random.pick(nodes)?;
    random.chance(333).then_some((node, offset))
}

/// The nodes with relaxed durability: none, all or some.
fn relaxed(nodes: &[NodeId], random: &mut Random) -> BTreeSet<NodeId> {
    let share = random.pick(&[0, 0, 1000, 1000, 500]).unwrap_or(0);
    nodes.iter().copied().filter(|_| random.chance(share)).collect()
}

/// A frame as the trace shows it.
fn describe(frame: &Frame) -> String {
    match frame {
        Frame::Raft(messages) => {
            let message = |message: &crate::transport::GroupMessage| {
                let (RaftGroupId(group), m) = (message.group, &message.message);
                let last = m.index + m.entries.len() as u64;
                format!("{group}:{:?}/{} {}..{last} c{} {}", m.msg_type, m.term, m.index, m.commit, m.reject)
            };
            messages.iter().map(message).collect::<Vec<_>>().join(", ")
        }
        Frame::Leadership(rows) => format!("{} leaderships", rows.len()),
        Frame::Sleep(rows) => format!("{} groups to sleep", rows.len()),
        Frame::Heartbeat { sequence } => format!("heartbeat {sequence}"),
        Frame::HeartbeatAck { sequence } => format!("heard {sequence}"),
        Frame::Rejoin { groups, .. } => format!("asks to rejoin {groups:?}"),
        Frame::Recount { groups, .. } => format!("asks to be counted anew {groups:?}"),
        Frame::Readmit { rows, .. } => format!("readmits {rows:?}"),
        Frame::Confirm { round, rows } => format!("asks in round {round} of {} groups", rows.len()),
        Frame::Vouch { round, rows } => format!("vouches in round {round} for {} groups", rows.len()),
        Frame::SnapshotPart(part) => {
            format!("{} bytes of {} from {} on of a snapshot", part.data.len(), part.total, part.offset)
        }
        Frame::SnapshotReceived(word) => format!("has {} bytes of a snapshot", word.received),
        Frame::NoRoom => "no room".into(),
        Frame::Leaving => "leaves".into(),
        Frame::Request { .. } | Frame::Response { .. } => "a request".into(),
    }
}
