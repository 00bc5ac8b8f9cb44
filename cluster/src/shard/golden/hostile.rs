//! Whatever peers say: no word of theirs ends a node, now or at its next start, and none makes a store hold what no honest
//! peer writes.
//!
//! A cluster plays a script up to some point. Then anybody says anything: messages of all kinds, whose numbers are those that
//! matter where they arrive, or just beside them, or absurd. Honest messages go on in between.

use bytes::Bytes;
use proptest::prelude::*;
use protobuf::ProtobufEnum;
use raft::eraftpb::{ConfState, Entry, EntryType, Message, MessageType, Snapshot};
use trilog_storage::{RaftLog, TailCache};

use super::command::Interpreter;
use super::network::Selection;
use super::stage::Stage;
use crate::controller::{ControllerRecord, encode_entry};
use crate::ids::{NodeId, Offset, ProducerId, RaftGroupId, RaftIndex, StoreId};
use crate::partition::Command;
use crate::partition::testing::BatchBuilder;
use crate::shard::group::Group;
use crate::shard::machine::{LogEnd, Machine, Purpose};
use crate::transport::{Frame, GroupMessage, LeadershipRow, ReadmitRow, SleepRow, TermRow};

/// The groups of the scripts: the controller's, a partition's, one that comes later and one that never does.
const GROUPS: [u64; 5] = [0, 1, 2, 3, u64::MAX];

/// What the cluster has been through.
const PASTS: [&[&str]; 6] = [
    &["boot 3 t=1,2,3"],
    &["boot 3 t=1,2,3 checkpoint-every=2 keep=1", "append 1 t-0 a b", "settle", "append 1 t-0 c", "settle"],
    // A follower that lacks what its leader has given up.
    &[
        "boot 3 t=1,2,3 checkpoint-every=2 keep=0",
        "crash 3",
        "append 1 t-0 a",
        "settle",
        "append 1 t-0 b",
        "settle",
        "delete-records 1 t-0 all",
        "settle",
        "run 30",
        "start 3",
    ],
    // Entries that are not committed, and a deposed leader.
    &["boot 3 t=1,2,3", "cut-off 1", "append 1 t-0 lost", "run 40", "append 2 t-0 kept", "run 5", "heal"],
    // A disk that was lost, of three and of two replicas.
    &["boot 3 t=1,2,3 p=1,2", "append 1 t-0 a", "settle", "wipe 2", "refused 1 2", "refused 3 2", "start 2"],
    // Syncs that are under way.
    &["boot 3 t=1,2,3", "append 1 t-0 a", "settle", "hold 2", "append 1 t-0 b", "deliver"],
];

/// A number that is near one that matters, or absurd.
#[derive(Clone, Copy, Debug)]
enum Number {
    Near(i64),
    Absurd(u64),
}

/// The payload of an entry.
#[derive(Clone, Copy, Debug)]
enum Payload {
    Empty,
    /// A batch so far from the log's end, in an epoch so far from the entry's term.
    Batch(i64, i32),
    Command(i64),
    Records,
    Rubbish(u8),
}

#[derive(Clone, Debug)]
struct Lie {
    from: u32,
    to: u32,
    group: usize,
    kind: i32,
    /// Term, log term and commit's term.
    terms: [Number; 3],
    /// Index, commit and hint.
    indexes: [Number; 3],
    reject: bool,
    request_snapshot: bool,
    context: usize,
    /// How far from the one before it, of which term, of which kind, with what.
    entries: Vec<(i64, Number, i32, Payload)>,
    /// As of which entry, of which term, of the group's voters or not, with an own state or rubbish.
    snapshot: Option<(Number, Number, bool, bool)>,
}

/// Something else that is said of groups.
#[derive(Clone, Debug)]
struct Claim {
    from: u32,
    to: u32,
    group: usize,
    what: usize,
    term: Number,
    index: Number,
}

#[derive(Clone, Debug)]
enum Step {
    Lie(Box<Lie>),
    Claim(Claim),
    Tick,
    Deliver,
    Append(u32),
    Restart(u32),
}

fn number() -> impl Strategy<Value = Number> {
    let absurd = [0, 1, i32::MAX as u64, i32::MAX as u64 + 1, 1 << 40, 1 << 53, u64::MAX - 1, u64::MAX];
    prop_oneof![
        6 => (-2..=3_i64).prop_map(Number::Near),
        1 => prop::sample::select(absurd.to_vec()).prop_map(Number::Absurd),
    ]
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        Just(Payload::Empty),
        (-1..=1_i64, -1..=1_i32).prop_map(|(offset, epoch)| Payload::Batch(offset, epoch)),
        (-1..=1_i64).prop_map(Payload::Command),
        Just(Payload::Records),
        any::<u8>().prop_map(Payload::Rubbish),
    ]
}

prop_compose! {
    fn lie()(
        (from, to, group, kind) in (0..5_u32, 1..=3_u32, 0..GROUPS.len(), 0..19),
        terms in prop::array::uniform3(number()),
        indexes in prop::array::uniform3(number()),
        (reject, request_snapshot) in (any::<bool>(), prop::bool::weighted(0.1)),
        context in prop_oneof![5 => Just(0_usize), 1 => 0..3_usize],
        entries in prop::collection::vec((0..=2_i64, number(), prop_oneof![9 => Just(0), 1 => 0..3], payload()), 0..3),
        snapshot in prop::option::weighted(0.3, (number(), number(), prop::bool::weighted(0.8), any::<bool>())),
    ) -> Lie {
        Lie { from, to, group, kind, terms, indexes, reject, request_snapshot, context, entries, snapshot }
    }
}

prop_compose! {
    fn claim()(
        (from, to, group) in (1..=3_u32, 1..=3_u32, 0..GROUPS.len()),
        what in 0..9_usize,
        term in number(),
        index in number(),
    ) -> Claim {
        Claim { from, to, group, what, term, index }
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => lie().prop_map(|lie| Step::Lie(Box::new(lie))),
        3 => claim().prop_map(Step::Claim),
        2 => Just(Step::Tick),
        2 => Just(Step::Deliver),
        1 => (1..=3_u32).prop_map(Step::Append),
        1 => (1..=3_u32).prop_map(Step::Restart),
    ]
}

impl Number {
    const fn beside(self, number: u64) -> u64 {
        match self {
            Self::Near(distance) => number.saturating_add_signed(distance),
            Self::Absurd(number) => number,
        }
    }
}

impl Lie {
    fn group(&self) -> RaftGroupId {
        RaftGroupId(GROUPS[self.group])
    }

    /// What it comes to where it arrives at `replica`.
    fn message(&self, replica: Option<&Group>) -> Message {
        let (term, last) = replica.map_or((1, 0), |group| (group.term(), group.last().0));
        let [its_term, log_term, commit_term] = self.terms.map(|number| number.beside(term));
        let [index, commit, reject_hint] = self.indexes.map(|number| number.beside(last));
        let mut before = index;
        let entries = self.entries.iter().map(|(distance, term_of_it, kind, payload)| {
            before = before.saturating_add_signed(*distance);
            let term = term_of_it.beside(term);
            let entry_type = EntryType::from_i32(*kind).unwrap();
            Entry { index: before, term, entry_type, data: data(*payload, term, replica), ..Entry::default() }
        });
        let entries: Vec<Entry> = entries.collect();
        Message {
            msg_type: MessageType::from_i32(self.kind).unwrap(),
            from: self.from.into(),
            to: self.to.into(),
            term: its_term,
            log_term,
            commit_term,
            index,
            commit,
            reject_hint,
            reject: self.reject,
            request_snapshot: self.request_snapshot.into(),
            context: [&b""[..], b"CampaignTransfer", &[7; 1000]][self.context].to_vec().into(),
            entries: entries.into(),
            snapshot: self.snapshot(term, last, replica).into(),
            ..Message::default()
        }
    }

    fn snapshot(&self, term: u64, last: u64, replica: Option<&Group>) -> Option<Snapshot> {
        let (index, term_of_it, own_voters, own_state) = self.snapshot?;
        let voters = match replica {
            Some(group) if own_voters => group.voters().iter().map(|voter| u64::from(voter.0)).collect(),
            _ => vec![1, 2, 3, 4],
        };
        let state = replica
            .filter(|_| own_state)
            .map_or_else(|| b"rubbish".to_vec().into(), |it| it.machine().state());
        let mut snapshot = Snapshot { data: state, ..Snapshot::default() };
        let metadata = snapshot.mut_metadata();
        (metadata.index, metadata.term) = (index.beside(last), term_of_it.beside(term));
        metadata.set_conf_state(ConfState { voters, ..ConfState::default() });
        Some(snapshot)
    }
}

fn data(payload: Payload, term: u64, replica: Option<&Group>) -> Bytes {
    let end = match replica.map(Group::machine) {
        Some(Machine::Partition(machine)) => machine.status().high_watermark.0,
        _ => 0,
    };
    match payload {
        Payload::Empty => Bytes::new(),
        Payload::Batch(distance, epochs) => {
            let epoch = i32::try_from(term).unwrap_or(i32::MAX).saturating_add(epochs);
            let batch = BatchBuilder::of_count(1).base_offset((end + distance).max(0)).leader_epoch(epoch);
            batch.build().into()
        }
        Payload::Command(distance) => Command::RaiseLogStart(Offset((end + distance).max(0))).encode().into(),
        Payload::Records => {
            encode_entry(&[ControllerRecord::ProducerIdsAllocated { next: ProducerId(9) }]).into()
        }
        Payload::Rubbish(byte) => vec![byte; 40].into(),
    }
}

impl Claim {
    /// The frame, of a peer that was met with `store`: what names another one does not come past the node's edge.
    fn frame(&self, replica: Option<&Group>, store: Option<StoreId>) -> Option<Frame> {
        let group = RaftGroupId(GROUPS[self.group]);
        let (term, commit) = replica.map_or((1, 0), |group| (group.term(), group.commit().0));
        let (term, index) = (self.term.beside(term), self.index.beside(commit));
        let leader = NodeId(self.from);
        Some(match self.what {
            0 => Frame::Leadership(vec![LeadershipRow { group, term, leader, isr: vec![leader, NodeId(9)] }]),
            1 => Frame::Leadership(vec![LeadershipRow { group, term, leader, isr: vec![leader] }]),
            2 => Frame::Sleep(vec![SleepRow { group, term, commit: RaftIndex(index) }]),
            3 => Frame::Rejoin { store: store?, groups: vec![group, group] },
            4 => Frame::Recount { store: store?, groups: vec![group] },
            5 => Frame::Confirm { round: term, rows: vec![TermRow { group, term }; 2] },
            6 => Frame::Vouch { round: index, rows: vec![TermRow { group, term }] },
            7 => Frame::NoRoom,
            _ => Frame::Leaving,
        })
    }

    /// A leader's word that this very store may follow.
    fn readmission(&self, replica: Option<&Group>, store: StoreId) -> Frame {
        let group = RaftGroupId(GROUPS[self.group]);
        let (term, commit) = replica.map_or((1, 0), |group| (group.term(), group.commit().0));
        let (term, until) = (self.term.beside(term), RaftIndex(self.index.beside(commit)));
        Frame::Readmit { store, rows: vec![ReadmitRow { group, term, until, groups: RaftGroupId(until.0) }] }
    }
}

fn say(stage: &mut Stage, from: u32, to: u32, frame: Frame) {
    let (from, to) = (NodeId(from), NodeId(to));
    if stage.nodes[&to].is_running() {
        stage.input(to, |shard, now| {
            shard.heard(now, from);
            shard.receive(now, from, frame);
        });
    }
}

fn replica(stage: &Stage, node: u32, group: RaftGroupId) -> Option<&Group> {
    let node = &stage.nodes[&NodeId(node)];
    node.is_running().then(|| node.shard().groups.get(&group)).flatten()
}

fn take(play: &mut Interpreter, step: &Step) {
    match step {
        Step::Lie(lie) => {
            let stage = play.stage();
            let message = lie.message(replica(stage, lie.to, lie.group()));
            let frame = Frame::Raft(vec![GroupMessage { group: lie.group(), message }]);
            say(stage, lie.from, lie.to, frame);
        }
        Step::Claim(claim) => {
            let stage = play.stage();
            let there = replica(stage, claim.to, RaftGroupId(GROUPS[claim.group]));
            let from = &stage.nodes[&NodeId(claim.from)];
            let store = from.is_running().then(|| from.store().id());
            let mut frames: Vec<Frame> = claim.frame(there, store).into_iter().collect();
            if stage.nodes[&NodeId(claim.to)].is_running() {
                let store = stage.nodes[&NodeId(claim.to)].store().id();
                frames.push(claim.readmission(there, store));
            }
            frames.into_iter().for_each(|frame| say(stage, claim.from, claim.to, frame));
        }
        Step::Tick => play.stage().tick(&[]),
        Step::Deliver => {
            play.stage().deliver(Selection::default());
        }
        Step::Append(node) => {
            if play.stage().nodes[&NodeId(*node)].is_running() {
                play.run(&format!("append {node} t-0 honest"));
            }
        }
        Step::Restart(node) => {
            if play.stage().nodes[&NodeId(*node)].is_running() {
                play.run(&format!("crash {node}"));
            }
            play.run(&format!("start {node}"));
        }
    }
    play.stage().take_transcript(false);
}

/// Every log on disk is one that an honest leader wrote.
fn check_stores(stage: &Stage) {
    for (id, node) in stage.nodes.iter().filter(|(_, node)| node.is_running()) {
        for (group, replica) in &node.shard().groups {
            let tail = TailCache::new(0);
            let Some(log) = RaftLog::open(node.store(), &tail, *group).unwrap() else { continue };
            let state = log.hard_state();
            assert!(state.commit <= log.last().0, "{id} {group}: commit {} of {}", state.commit, log.last());
            assert!(log.last_term() <= state.term.max(1), "{id} {group}: an entry of a term to come");
            let machine = Machine::new(match replica.machine() {
                Machine::Controller(_) => Purpose::Controller,
                Machine::Coordinator(_) => Purpose::Coordinator,
                Machine::Partition(_) => Purpose::Partition,
            });
            let reader = node.store().reader(&tail);
            let (mut end, mut term) = (LogEnd::Unknown, 0);
            for index in (log.truncated().next().0..=log.last().0).map(RaftIndex) {
                let entry = reader.entry(*group, index).unwrap().expect("a log has no gaps");
                assert!(entry.term >= term, "{id} {group}: terms fall at entry {index}");
                term = entry.term;
                machine.scrutinize(term, &entry.payload, &mut end).expect("an entry can be applied");
            }
        }
    }
}

/// Each case is a cluster of three nodes. `PROPTEST_CASES` asks for another number of them.
fn config() -> ProptestConfig {
    let config = ProptestConfig { max_shrink_iters: 400, ..ProptestConfig::default() };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => config,
        None => ProptestConfig { cases: 24, ..config },
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_word_of_a_peer_ends_a_node_or_spoils_a_store(
        past in 0..PASTS.len(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut play = Interpreter::default();
        for line in PASTS[past] {
            play.run(line);
        }
        play.stage().is_hostile = true;
        for step in &steps {
            take(&mut play, step);
        }
        check_stores(play.stage());
        for node in 1..=3 {
            take(&mut play, &Step::Restart(node));
        }
        check_stores(play.stage());
    }
}
