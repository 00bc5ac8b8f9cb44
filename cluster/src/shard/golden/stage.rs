//! The stage: all nodes, the network between them and the time, moved by the script alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::describe::{self, Vocabulary};
use super::network::{Link, Network, Selection, split};
use super::node::{Node, NodeOptions, Output};
use crate::ids::{LeaderEpoch, NodeId, Offset, RaftGroupId};
use crate::replica::ReplicaStatus;
use crate::shard::effects::{Effect, Ticket};
use crate::shard::standing::Standing;
use crate::shard::{Shard, TICK};
use crate::transport::{Frame, PeerEvent};

/// Deliveries after which a cluster that has not come to rest never will.
const RESTLESS: usize = 1000;

/// See the module's documentation.
pub(super) struct Stage {
    pub(super) nodes: BTreeMap<NodeId, Node>,
    pub(super) network: Network,
    pub(super) vocabulary: Vocabulary,
    now: Duration,
    next_ticket: u64,
    seen: BTreeMap<NodeId, Seen>,
    /// Peers to whom the node that is working could not send, being down.
    refused: BTreeSet<NodeId>,
    transcript: Vec<Line>,
    /// Whether somebody lies.
    pub(super) is_hostile: bool,
}

/// A line of output.
enum Line {
    /// A message left.
    Sent(String),
    /// Anything else.
    Happened(String),
}

/// What a node was last seen to publish, so that only changes are told.
#[derive(Default)]
struct Seen {
    alive: BTreeSet<NodeId>,
    /// Whether it leads, the high watermark and the log start.
    replicas: BTreeMap<RaftGroupId, (Option<LeaderEpoch>, Offset, Offset)>,
}

impl Stage {
    /// Starts all nodes, connected with each other.
    pub(super) fn new(options: &NodeOptions) -> Self {
        let mut stage = Self {
            nodes: BTreeMap::new(),
            network: Network::default(),
            vocabulary: Vocabulary::default(),
            now: Duration::ZERO,
            next_ticket: 0,
            seen: BTreeMap::new(),
            refused: BTreeSet::new(),
            transcript: Vec::new(),
            is_hostile: false,
        };
        for id in &options.nodes {
            stage.nodes.insert(*id, Node::new(*id, options.clone()));
        }
        for id in &options.nodes {
            stage.start(*id);
        }
        stage
    }

    /// What happened since this was last asked. Without the messages if `brief`.
    pub(super) fn take_transcript(&mut self, brief: bool) -> Vec<String> {
        let told = |line| match line {
            Line::Sent(line) => (!brief).then_some(line),
            Line::Happened(line) => Some(line),
        };
        std::mem::take(&mut self.transcript).into_iter().filter_map(told).collect()
    }

    /// A ticket for something that a client asks.
    pub(super) fn ask(&mut self, question: String) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.vocabulary.ask(ticket, question);
        ticket
    }

    fn running(&self) -> Vec<NodeId> {
        self.nodes.iter().filter(|(_, node)| node.is_running()).map(|(id, _)| *id).collect()
    }

    /// Does something with a node that is up, and takes what comes of it.
    pub(super) fn with_node(&mut self, id: NodeId, act: impl FnOnce(&mut Node, Duration) -> Vec<Output>) {
        let now = self.now;
        let outputs = act(self.node(id), now);
        self.take(id, outputs);
        while let Some(peer) = self.refused.pop_first() {
            let outputs = self.node(id).input(now, |shard| shard.frames_dropped(peer));
            self.take(id, outputs);
        }
    }

    fn node(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(&id).unwrap_or_else(|| panic!("there is no node {id}"))
    }

    /// Hands a shard an input.
    pub(super) fn input(&mut self, id: NodeId, input: impl FnOnce(&mut Shard, Duration)) {
        self.with_node(id, |node, now| node.input(now, |shard| input(shard, now)));
    }

    /// Starts a node, which connects to those that are up, and they to it.
    pub(super) fn start(&mut self, id: NodeId) {
        self.seen.insert(id, Seen::default());
        self.with_node(id, Node::start);
        for peer in self.running().into_iter().filter(|peer| *peer != id) {
            self.connect((id, peer));
            self.connect((peer, id));
        }
    }

    /// Ends a node by `end`.
    pub(super) fn end(&mut self, id: NodeId, end: impl FnOnce(&mut Node, Duration) -> Vec<Output>) {
        self.with_node(id, end);
        self.network.lose_all_to(id);
    }

    fn connect(&mut self, (from, to): Link) {
        if !self.network.is_cut((from, to)) {
            let store = self.nodes[&from].store().id();
            let Some(recognition) = self.node(to).meet(from, store) else {
                return self.happened(format!("{to} refuses {from}, whose store was replaced"));
            };
            self.input(from, |shard, now| {
                shard.peer_event(now, to, PeerEvent::Recognized(recognition));
                shard.peer_event(now, to, PeerEvent::Connected);
            });
        }
    }

    /// All links carry frames again.
    pub(super) fn heal(&mut self) {
        for (from, to) in self.network.heal() {
            if self.nodes[&from].is_running() && self.nodes[&to].is_running() {
                self.connect((from, to));
            }
        }
    }

    /// Time goes on by a tick, for `nodes` or all that are up.
    pub(super) fn tick(&mut self, nodes: &[NodeId]) {
        self.now += TICK;
        for id in self.running() {
            if nodes.is_empty() || nodes.contains(&id) {
                self.input(id, Shard::tick);
            }
        }
    }

    /// Lets the selected frames arrive, but not what is sent in answer to them.
    pub(super) fn deliver(&mut self, selection: Selection) -> usize {
        let frames = self.network.take(selection);
        let count = frames.len();
        for ((from, to), frame) in frames {
            if self.nodes[&to].is_running() {
                self.input(to, |shard, now| {
                    shard.heard(now, from);
                    shard.receive(now, from, frame);
                });
            }
        }
        count
    }

    /// Lets everything arrive, and all answers to it, until nothing is under way.
    pub(super) fn settle(&mut self) {
        for _ in 0..RESTLESS {
            let delivered = self.deliver(Selection::default());
            for id in self.running() {
                self.with_node(id, Node::fetch);
            }
            if delivered == 0 && self.network.frames().next().is_none() {
                return;
            }
        }
        panic!("the cluster does not come to rest");
    }

    fn take(&mut self, id: NodeId, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Sent(to, frame) => {
                    split(frame).into_iter().for_each(|frame| self.send((id, to), frame));
                }
                Output::Fetch(group) => {
                    let group = self.vocabulary.group(group);
                    self.happened(format!("{id} wants to read old entries of {group}"));
                }
                Output::Effect(effect) => self.observe(id, effect),
            }
        }
    }

    fn send(&mut self, link: Link, frame: Frame) {
        let line = self.describe(link, &frame);
        let arrives = if self.nodes[&link.1].is_running() {
            self.network.send(link, frame)
        } else {
            self.refused.insert(link.1);
            false
        };
        if let Some(line) = line {
            self.transcript.push(Line::Sent(if arrives { line } else { format!("{line} (lost)") }));
        }
    }

    /// A frame as a script shows it. Heartbeats between nodes and news of leaders are left out.
    pub(super) fn describe(&self, (from, to): Link, frame: &Frame) -> Option<String> {
        match frame {
            Frame::Raft(messages) => messages.first().map(|m| self.vocabulary.message(m.group, &m.message)),
            Frame::Sleep(rows) => rows.first().map(|row| self.vocabulary.sleep(from, to, *row)),
            Frame::SnapshotPart(part) => Some(self.vocabulary.snapshot_part(part)),
            Frame::SnapshotReceived(word) => Some(self.vocabulary.snapshot_received(from, to, word)),
            Frame::Rejoin { groups, .. } => Some(self.vocabulary.rejoin(from, to, groups)),
            Frame::Recount { groups, .. } => Some(self.vocabulary.recount(from, to, groups)),
            Frame::Readmit { rows, .. } => Some(self.vocabulary.readmit(from, to, rows)),
            Frame::Confirm { round, rows } => {
                Some(format!("{from}->{to} Confirm round {round}: {}", self.vocabulary.terms(rows)))
            }
            Frame::Vouch { round, rows } => {
                Some(format!("{from}->{to} Vouch round {round}: {}", self.vocabulary.terms(rows)))
            }
            _ => None,
        }
    }

    fn observe(&mut self, id: NodeId, effect: Effect) {
        match effect {
            Effect::ReplicaOpened(group) => {
                self.seen.entry(id).or_default().replicas.remove(&group);
                self.happened(format!("{id} opens {}", self.vocabulary.group(group)));
            }
            Effect::ReplicaRemoved(group) => {
                self.happened(format!("{id} removes {}", self.vocabulary.group(group)));
            }
            Effect::ReplicaChanged { group, status, .. } => self.replica_changed(id, group, &status),
            Effect::Image(image) => self.vocabulary.learn(&image),
            Effect::Leadership { group, leadership }
                if leadership.leader == id && !leadership.isr.is_empty() =>
            {
                let group = self.vocabulary.group(group);
                let isr = describe::nodes(leadership.isr.iter());
                self.happened(format!("{id} leads {group} in term {}, in sync {isr}", leadership.epoch.0));
            }
            Effect::Peers { alive, .. } => {
                let seen = self.seen.entry(id).or_default();
                if seen.alive != alive {
                    let line = format!("{id} takes {} for alive", describe::nodes(&alive));
                    seen.alive = alive;
                    self.happened(line);
                }
            }
            Effect::Standing(Standing { is_unrecognized, barred, stuck }) => {
                let [barred, stuck] = [barred, stuck].map(|groups| self.vocabulary.groups(&groups));
                let new = if is_unrecognized { "unrecognized, " } else { "" };
                self.happened(format!("{id} stands: {new}barred {barred}, stuck {stuck}"));
            }
            Effect::Appended { ticket, result } => {
                let question = self.vocabulary.answered(ticket);
                self.happened(format!("{id} answers {question}: {}", describe::append_answer(result)));
            }
            Effect::RecordsDeleted { ticket, result } => {
                let question = self.vocabulary.answered(ticket);
                let answer = match result {
                    Ok(start) => format!("the log starts at {start}"),
                    Err(error) => format!("{error:?}"),
                };
                self.happened(format!("{id} answers {question}: {answer}"));
            }
            Effect::Answered { ticket, result } => {
                let question = self.vocabulary.answered(ticket);
                self.happened(format!("{id} answers {question}: {}", describe::control_answer(result)));
            }
            Effect::Confirmed { ticket, led } => {
                let question = self.vocabulary.answered(ticket);
                let led = self.vocabulary.led(&led);
                self.happened(format!("{id} answers {question}: it leads {led}"));
            }
            Effect::Coordinated { .. } => debug_assert!(false, "no script asks a coordinator here"),
            Effect::Refused if self.is_hostile => {}
            Effect::Refused => panic!("{id} refuses what an honest peer says"),
            Effect::Leadership { .. } | Effect::Logged(_) | Effect::Fetch { .. } | Effect::LogCompacted => {}
        }
    }

    fn replica_changed(&mut self, id: NodeId, group: RaftGroupId, status: &ReplicaStatus) {
        let new = (status.leading, status.high_watermark, status.log_start_offset);
        let old = self.seen.entry(id).or_default().replicas.insert(group, new);
        let (leading, high_watermark, log_start_offset) = old.unwrap_or((None, Offset(0), Offset(0)));
        let group = self.vocabulary.group(group);
        if leading.is_some() && leading != new.0 {
            self.happened(format!("{id} no longer leads {group}"));
        }
        if high_watermark != new.1 {
            self.happened(format!("{id} shows {group} up to offset {}", new.1));
        }
        if log_start_offset != new.2 {
            self.happened(format!("{id} shows {group} from offset {}", new.2));
        }
    }

    fn happened(&mut self, line: String) {
        self.transcript.push(Line::Happened(line));
    }
}
