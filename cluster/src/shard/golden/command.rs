//! The language: one command a line. The table is in the [parent](super).

use uuid::Uuid;

use super::inspect;
use super::network::Selection;
use super::node::{Node, NodeOptions};
use super::stage::Stage;
use crate::controller::{
    Assignment, Broker, ControllerRequest, CreateTopics, DeleteTopics, Listener, NewTopic, TopicRef,
};
use crate::ids::{NodeId, Offset, RaftGroupId, TimestampMs, TopicId};
use crate::partition::testing::{BatchBuilder, TestRecord, header_of};
use crate::partition::{RecordLimits, TimestampType, check_record_set};
use crate::script::Words;
use crate::shard::{AppendRequest, CheckpointPolicy, ControlRequest, DeletionRequest, Shard};
use crate::transport::PeerEvent;

/// The options of `boot` and `cluster` that are no topics.
const OPTIONS: [&str; 5] = ["tail", "checkpoint-every", "keep", "relaxed", "part"];

/// Ticks in which followers learn what is committed: a heartbeat and its answer.
const FOLLOW_TICKS: usize = 4;

/// A script's cluster, once it has one.
#[derive(Default)]
pub(super) struct Interpreter {
    stage: Option<Stage>,
}

/// Words that are nodes.
trait Nodes {
    fn node(&self, at: usize) -> NodeId;
    fn nodes(&self, from: usize) -> Vec<NodeId>;
}

impl Nodes for Words<'_> {
    fn node(&self, at: usize) -> NodeId {
        NodeId(self.number(self.word(at)))
    }

    fn nodes(&self, from: usize) -> Vec<NodeId> {
        self.plain.iter().skip(from).map(|word| NodeId(self.number(word))).collect()
    }
}

impl Interpreter {
    /// What the script has made of its cluster.
    pub(super) fn stage(&mut self) -> &mut Stage {
        self.stage.as_mut().expect("a script begins with `boot` or `cluster`")
    }

    /// Carries a command out, and says what came of it.
    pub(super) fn run(&mut self, line: &str) -> Vec<String> {
        let (command, words) = Words::of(line);
        match command {
            "cluster" => self.stage = Some(Stage::new(&node_options(&words))),
            "boot" => self.stage = Some(boot(&words)),
            _ => {}
        }
        let stage = self.stage.as_mut().expect("a script begins with `boot` or `cluster`");
        let mut lines = match command {
            "status" => inspect::status(stage, group(stage, &words, words.word(0))),
            "log" => inspect::log(stage, words.node(0), group(stage, &words, words.word(1))),
            "network" => {
                stage.network.frames().filter_map(|(link, frame)| stage.describe(link, frame)).collect()
            }
            "unanswered" => stage.vocabulary.unanswered().into_iter().map(str::to_owned).collect(),
            "drop" => drop_frames(stage, &words),
            _ => {
                act(stage, command, &words);
                Vec::new()
            }
        };
        let brief = matches!(command, "settle" | "run");
        lines.extend(stage.take_transcript(brief));
        lines
    }
}

fn node_options(words: &Words<'_>) -> NodeOptions {
    let count: u32 = words.number(words.word(0));
    let defaults = CheckpointPolicy::default();
    NodeOptions {
        nodes: (1..=count).map(NodeId).collect(),
        tail_bytes: words.option("tail").unwrap_or(1 << 20),
        checkpoints: CheckpointPolicy {
            every_entries: words.option("checkpoint-every").unwrap_or(defaults.every_entries),
            kept_entries: words.option("keep").unwrap_or(defaults.kept_entries),
            part_bytes: words.option("part").unwrap_or(defaults.part_bytes),
            ..defaults
        },
        relaxed: words.option("relaxed").unwrap_or(false),
    }
}

/// The commands that change something.
fn act(stage: &mut Stage, command: &str, words: &Words<'_>) {
    match command {
        "cluster" | "boot" => {}
        "tick" => (0..words.number(words.word(0))).for_each(|_: u32| stage.tick(&words.nodes(1))),
        "run" => {
            let ticks: u32 = words.number(words.word(0));
            (0..ticks).for_each(|_| run_a_tick(stage));
        }
        "deliver" => {
            stage.deliver(selection(stage, words));
        }
        "settle" => stage.settle(),
        "cut" | "cut-off" | "heal" => change_links(stage, command, words),
        "hold" => stage.with_node(words.node(0), |node, _| {
            node.hold_syncs();
            Vec::new()
        }),
        "sync" => stage.with_node(words.node(0), Node::sync),
        "release" => stage.with_node(words.node(0), Node::release_syncs),
        "fetch" => stage.with_node(words.node(0), Node::fetch),
        "start" => stage.start(words.node(0)),
        "stop" => stage.end(words.node(0), Node::stop),
        "crash" => stage.end(words.node(0), |node, _| {
            node.crash();
            Vec::new()
        }),
        "power" => stage.end(words.node(0), |node, _| {
            node.lose_power();
            Vec::new()
        }),
        "wipe" => stage.end(words.node(0), |node, _| {
            node.wipe();
            Vec::new()
        }),
        "refused" => {
            let peer = words.node(1);
            stage.input(words.node(0), |shard, now| {
                shard.peer_event(now, peer, PeerEvent::Disconnected);
                shard.peer_event(now, peer, PeerEvent::Refused);
            });
        }
        "hand-over" => stage.input(words.node(0), Shard::hand_over),
        "full" => stage.input(words.node(0), |shard, now| shard.set_room(now, false)),
        "room" => stage.input(words.node(0), |shard, now| shard.set_room(now, true)),
        "stall" => stage.input(words.node(0), |shard, now| shard.set_stalled(now, true)),
        "move" => stage.input(words.node(0), |shard, now| shard.set_stalled(now, false)),
        "append" => append(stage, words),
        "delete-records" => delete_records(stage, words),
        "confirm" => {
            let groups: Vec<RaftGroupId> =
                words.plain[1..].iter().map(|name| group(stage, words, name)).collect();
            let ticket = stage.ask(words.text("as").unwrap_or("confirm").into());
            stage.input(words.node(0), |shard, now| shard.confirm(now, ticket, &groups));
        }
        "hand-to-preferred" => {
            let groups = words.plain[1..].iter().map(|name| group(stage, words, name).0).collect();
            let question = command.to_owned();
            ask_controller(stage, words.node(0), question, ControllerRequest::HandToPreferred(groups));
        }
        "create-topic" | "delete-topic" | "register" | "producer-ids" => control(stage, command, words),
        _ => words.refuse(),
    }
}

/// A cluster whose controller leads and knows all nodes, with the topics named in the command. How it came to that is
/// another script's matter.
fn boot(words: &Words<'_>) -> Stage {
    let mut stage = Stage::new(&node_options(words));
    stage.settle();
    while controller(&stage).is_none() {
        run_a_tick(&mut stage);
    }
    for node in stage.nodes.keys().copied().collect::<Vec<_>>() {
        let request = ControllerRequest::RegisterBroker(broker(node));
        ask_controller(&mut stage, NodeId(1), format!("register {node}"), request);
    }
    for (name, replicas) in words.named.iter().filter(|(name, _)| !OPTIONS.contains(name)) {
        let request = create_topics(new_topic(words, name, &[*replicas]));
        ask_controller(&mut stage, NodeId(1), format!("create {name}"), request);
    }
    (0..FOLLOW_TICKS).for_each(|_| run_a_tick(&mut stage));
    stage.take_transcript(false);
    stage
}

fn run_a_tick(stage: &mut Stage) {
    stage.tick(&[]);
    stage.settle();
}

fn controller(stage: &Stage) -> Option<NodeId> {
    let leads = |shard: &Shard| shard.groups[&RaftGroupId::CONTROLLER].serving().is_some();
    stage.nodes.iter().find(|(_, node)| node.is_running() && leads(node.shard())).map(|(id, _)| *id)
}

/// `[FROM->TO] [GROUP]`
fn selection(stage: &Stage, words: &Words<'_>) -> Selection {
    let mut selection = Selection::default();
    for word in &words.plain {
        match word.split_once("->") {
            Some((from, to)) => {
                selection.link = Some((NodeId(words.number(from)), NodeId(words.number(to))));
            }
            None => selection.group = Some(group(stage, words, word)),
        }
    }
    selection
}

fn group(stage: &Stage, words: &Words<'_>, name: &str) -> RaftGroupId {
    let numbered = || name.strip_prefix("group-").map(|number| RaftGroupId(words.number(number)));
    stage.vocabulary.group_named(name).or_else(numbered).unwrap_or_else(|| words.refuse())
}

fn drop_frames(stage: &mut Stage, words: &Words<'_>) -> Vec<String> {
    let selection = selection(stage, words);
    let dropped = stage.network.take(selection);
    dropped.iter().filter_map(|(link, frame)| stage.describe(*link, frame)).collect()
}

fn change_links(stage: &mut Stage, command: &str, words: &Words<'_>) {
    match command {
        "heal" => stage.heal(),
        "cut" => {
            let (from, to) = words.word(0).split_once("->").unwrap_or_else(|| words.refuse());
            stage.network.cut((NodeId(words.number(from)), NodeId(words.number(to))));
        }
        _ => {
            let node = words.node(0);
            for other in stage.nodes.keys().copied().filter(|other| *other != node).collect::<Vec<_>>() {
                stage.network.cut((node, other));
                stage.network.cut((other, node));
            }
        }
    }
}

/// `append NODE PARTITION VALUE... [as=NAME] [producer=ID seq=N] [replicas=N]`
fn append(stage: &mut Stage, words: &Words<'_>) {
    let (node, group) = (words.node(0), group(stage, words, words.word(1)));
    let requests: Vec<AppendRequest> =
        words.plain[2..].iter().map(|value| append_request(stage, words, value)).collect();
    stage.input(node, |shard, now| {
        for request in requests {
            shard.append(now, group, request);
        }
    });
}

/// `delete-records NODE PARTITION OFFSET [as=NAME]`
fn delete_records(stage: &mut Stage, words: &Words<'_>) {
    let (node, group) = (words.node(0), group(stage, words, words.word(1)));
    let before = (words.word(2) != "all").then(|| Offset(words.number(words.word(2))));
    let ticket = stage.ask(words.text("as").unwrap_or("delete-records").into());
    stage.input(node, |shard, now| shard.delete_records(now, group, DeletionRequest { ticket, before }));
}

fn append_request(stage: &mut Stage, words: &Words<'_>, value: &str) -> AppendRequest {
    let mut batch = BatchBuilder::of_records(&[TestRecord::of_value(value)]);
    if let Some(producer) = words.option("producer") {
        batch = batch.producer(producer, 0, words.option("seq").unwrap_or(0));
    }
    let bytes = batch.build();
    stage.vocabulary.name_batch(header_of(&bytes).crc, value);
    AppendRequest {
        ticket: stage.ask(words.text("as").unwrap_or(value).into()),
        batch: check_record_set(bytes.into(), &RecordLimits::of_size(1 << 20)).unwrap(),
        timestamp_type: TimestampType::CreateTime,
        now: TimestampMs(0),
        replicas: words.option("replicas"),
    }
}

/// What the controller is asked, at the node that the command names first.
fn control(stage: &mut Stage, command: &str, words: &Words<'_>) {
    let request = match command {
        "create-topic" => create_topics(new_topic(words, words.word(1), &words.plain[2..])),
        "delete-topic" => ControllerRequest::DeleteTopics(DeleteTopics {
            topics: vec![TopicRef::Name(words.word(1).into())],
        }),
        "register" => ControllerRequest::RegisterBroker(broker(words.node(1))),
        _ => ControllerRequest::AllocateProducerIds,
    };
    let question = [&[command], words.plain.get(1..2).unwrap_or_default()].concat().join(" ");
    ask_controller(stage, words.node(0), question, request);
}

fn ask_controller(stage: &mut Stage, node: NodeId, question: String, request: ControllerRequest) {
    let ticket = stage.ask(question);
    let topic_ids = vec![TopicId(Uuid::from_u128(ticket.0.into()))];
    stage.input(node, |shard, now| shard.control(now, ControlRequest { ticket, request, topic_ids }));
}

fn create_topics(topic: NewTopic) -> ControllerRequest {
    ControllerRequest::CreateTopics(CreateTopics { topics: vec![topic], validate_only: false })
}

/// A topic with the replicas of each partition given as `1,2,3`.
fn new_topic(words: &Words<'_>, name: &str, replicas: &[&str]) -> NewTopic {
    let nodes = |word: &str| word.split(',').map(|node| words.number(node)).collect();
    let assignment = |(partition, word): (i32, &&str)| Assignment { partition, replicas: nodes(word) };
    NewTopic {
        name: name.into(),
        num_partitions: -1,
        replication_factor: -1,
        assignments: (0..).zip(replicas).map(assignment).collect(),
        configs: Vec::new(),
    }
}

fn broker(node: NodeId) -> Broker {
    Broker {
        node,
        incarnation: Uuid::from_u128(node.0.into()),
        listeners: vec![Listener { name: "PLAINTEXT".into(), host: "127.0.0.1".into(), port: 9092 }],
        rack: None,
    }
}
