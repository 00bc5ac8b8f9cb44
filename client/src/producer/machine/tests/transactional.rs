//! A producer with transactions, two brokers and a coordinator, played from a seed: answers are lost, leaders and the coordinator move,
//! transactions that end make the next one wait, brokers ask for an abort. Each seed checks that what was committed is there once,
//! that what was aborted is not there, and that every call of the application returns.

use std::collections::{BTreeMap, BTreeSet};

use super::simulated::{Log, Wire, decoded};
use super::*;
use crate::consumer::{CommitOffset, GroupMetadata, TopicPartition};
use crate::producer::transactions::{Answer, Call, IdAndEpoch, Offsets, Protocol, Step};
use crate::producer::verdict::judge;

const PARTITIONS: usize = 2;
const TRANSACTIONS: u32 = 25;
const SEEDS: u64 = 300;

/// What the coordinator knows of the transactional id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Empty,
    Ongoing,
    /// Markers are being written.
    Ending {
        commits: bool,
    },
    Ended {
        commits: bool,
    },
}

struct Coordinator {
    node: NodeId,
    producer: IdAndEpoch,
    phase: Phase,
    /// The epoch before the one of now, if that came from the producer's own request.
    before: Option<i16>,
    partitions: BTreeSet<usize>,
    /// The offset in the open transaction.
    pending: Option<i64>,
    committed: i64,
    level: i16,
}

impl Coordinator {
    fn check(&self, producer: IdAndEpoch) -> Result<(), ErrorCode> {
        if producer != self.producer {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        if matches!(self.phase, Phase::Ending { .. }) {
            Err(ErrorCode::CONCURRENT_TRANSACTIONS)
        } else {
            Ok(())
        }
    }

    fn add(&mut self, producer: IdAndEpoch, partition: Option<usize>) -> Result<(), ErrorCode> {
        self.check(producer)?;
        self.phase = Phase::Ongoing;
        self.partitions.extend(partition);
        Ok(())
    }

    fn raise(&mut self) {
        self.before = Some(self.producer.epoch);
        self.producer.epoch += 1;
    }

    fn init(&mut self, producer: Option<IdAndEpoch>) -> Result<IdAndEpoch, ErrorCode> {
        if matches!(self.phase, Phase::Ending { .. }) {
            return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        }
        assert_ne!(self.phase, Phase::Ongoing, "it would fence itself");
        match producer {
            Some(known) if Some(known.epoch) == self.before => return Ok(self.producer),
            Some(known) if known != self.producer => return Err(ErrorCode::PRODUCER_FENCED),
            _ => {}
        }
        self.raise();
        Ok(self.producer)
    }

    fn end(
        &mut self,
        producer: IdAndEpoch,
        commits: bool,
        protocol: Protocol,
    ) -> Result<Option<IdAndEpoch>, ErrorCode> {
        let is_implicit = protocol == Protocol::Implicit;
        let is_again = is_implicit && Some(producer.epoch) == self.before;
        match self.phase {
            _ if !is_again && producer != self.producer => Err(ErrorCode::PRODUCER_FENCED),
            Phase::Ending { .. } => Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            Phase::Ended { commits: did } if did == commits && (is_again || !is_implicit) => {
                Ok(is_implicit.then_some(self.producer))
            }
            Phase::Ongoing if !is_again => {
                self.phase = Phase::Ending { commits };
                is_implicit.then(|| self.raise());
                Ok(is_implicit.then_some(self.producer))
            }
            Phase::Empty | Phase::Ended { .. } if is_implicit && !commits && !is_again => {
                self.phase = Phase::Ended { commits };
                self.raise();
                Ok(Some(self.producer))
            }
            _ => Err(ErrorCode::INVALID_TXN_STATE),
        }
    }
}

/// A partition's log, with what became of each record's transaction.
#[derive(Default)]
struct Partition {
    log: Log,
    /// `None` while the transaction is open.
    outcomes: Vec<Option<bool>>,
}

/// What the application does with its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    Sends(u32),
    Commits,
    Aborts,
}

struct World {
    machine: Machine<u32>,
    random: fastrand::Rng,
    now: Duration,
    partitions: Vec<Partition>,
    leaders: Vec<NodeId>,
    wires: BTreeMap<NodeId, Wire>,
    coordinator: Coordinator,
    asked: Option<Step>,
    is_kind: bool,
    next_record: u32,
    begun: u32,
    /// The open transaction: its number, its records, its offset and what comes next.
    open: Option<(u64, Vec<u32>, Option<i64>, Plan)>,
    /// The records of transactions by how they ended.
    committed: BTreeSet<u32>,
    aborted: BTreeSet<u32>,
    /// The offset that was committed last.
    offset: i64,
    failed: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let coordinator = Coordinator {
            node: 1,
            producer: IdAndEpoch { id: 7, epoch: 0 },
            phase: Phase::Empty,
            before: None,
            partitions: BTreeSet::new(),
            pending: None,
            committed: 0,
            level: random.i16(1..=2),
        };
        let mut machine = Machine::new(Setup { seed, is_transactional: true, ..setup() });
        assert!(machine.transactions().unwrap().init().is_none());
        Self {
            machine,
            random,
            now: Duration::ZERO,
            partitions: (0..PARTITIONS).map(|_| Partition::default()).collect(),
            leaders: vec![1, 2],
            wires: [(1, Wire::default()), (2, Wire::default())].into(),
            coordinator,
            asked: None,
            is_kind: false,
            next_record: 0,
            begun: 0,
            open: None,
            committed: BTreeSet::new(),
            aborted: BTreeSet::new(),
            offset: 0,
            failed: 0,
        }
    }

    fn learn(&mut self) {
        let leaders: Vec<_> = self.leaders.iter().copied().map(Some).collect();
        self.machine.learn(known(&leaders), self.now);
    }

    /// Whether something goes wrong, one in `rare` times.
    fn mishap(&mut self, rare: u32) -> bool {
        !self.is_kind && self.random.u32(..rare) == 0
    }

    fn poll(&mut self) {
        let polled = self.machine.poll(self.now, false);
        self.failed +=
            u32::try_from(polled.finished.iter().filter(|record| record.result.is_err()).count()).unwrap();
        for effect in polled.effects {
            match effect {
                Effect::Connect(node) => {
                    self.wires.get_mut(&node).unwrap().is_up = true;
                    self.machine.connected(node);
                }
                Effect::Send(node, request) => self.wires.get_mut(&node).unwrap().requests.push_back(request),
                Effect::AskProducerId => panic!("the coordinator gives the id"),
                Effect::Coordinate(step) => assert!(self.asked.replace(step).is_none(), "one at a time"),
                Effect::Refresh => self.learn(),
                Effect::Use(_) => {}
            }
        }
    }

    /// A broker takes its oldest request.
    fn serve(&mut self, node: NodeId) {
        let Some(request) = self.wires.get_mut(&node).unwrap().requests.pop_front() else { return };
        let mut verdicts = Vec::new();
        for part in &request.parts {
            let answer = self.append(node, part, request.protocol.unwrap());
            // A leader may append and then lose its leadership before it answers.
            verdicts.push(match answer {
                Ok(_) if self.mishap(20) => judge(ErrorCode::REQUEST_TIMED_OUT, None, false),
                Ok(offset) => Verdict::Appended { base_offset: Some(offset), append_time: None },
                Err(code) => judge(code, None, false),
            });
        }
        self.wires.get_mut(&node).unwrap().answers.push_back((request.id, verdicts));
    }

    fn append(&mut self, node: NodeId, part: &Part, protocol: Protocol) -> Result<i64, ErrorCode> {
        let at = usize::try_from(part.partition).unwrap();
        if self.leaders[at] != node {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        if self.mishap(60) {
            let codes = [
                ErrorCode::TRANSACTION_ABORTABLE,
                ErrorCode::MESSAGE_TOO_LARGE,
                ErrorCode::UNKNOWN_PRODUCER_ID,
                ErrorCode::NOT_ENOUGH_REPLICAS,
            ];
            return Err(codes[self.random.usize(..codes.len())]);
        }
        let (header, values, _) = decoded(part);
        assert!(header.attributes.is_transactional());
        let producer = IdAndEpoch { id: header.producer_id.0, epoch: header.producer_epoch.0 };
        if protocol == Protocol::Implicit {
            self.coordinator.add(producer, Some(at))?;
        }
        let is_part = self.coordinator.phase == Phase::Ongoing && self.coordinator.partitions.contains(&at);
        assert!(is_part, "a batch outside of a transaction would stay open for ever");
        let partition = &mut self.partitions[at];
        let offset = partition.log.append(&header, &values, true)?;
        partition.outcomes.resize(partition.log.records.len(), None);
        Ok(offset)
    }

    fn deliver(&mut self, node: NodeId) {
        self.wires.get_mut(&node).unwrap().deliver(&mut self.machine, self.now);
    }

    /// A connection ends: some requests still arrive, no answer does.
    fn cut(&mut self, node: NodeId) {
        let arrive = self.random.usize(..=self.wires[&node].requests.len());
        (0..arrive).for_each(|_| self.serve(node));
        self.wires.get_mut(&node).unwrap().cut(node, &mut self.machine, self.now);
    }

    /// The coordinator takes the request to it, or that is lost, or its answer is.
    fn coordinate(&mut self) {
        let Some(Step { node, call }) = self.asked.take() else { return };
        let lost = || Err(Error::Disconnected { cause: "lost".to_owned() });
        let answer = if self.mishap(12) {
            lost()
        } else {
            let answer = self.decide(node, &call).map_err(Error::code);
            if self.mishap(12) { lost() } else { answer }
        };
        self.machine.coordinated(&call, answer, self.now);
    }

    fn decide(&mut self, node: Option<NodeId>, call: &Call) -> Result<Answer, ErrorCode> {
        if node.is_some_and(|node| node != self.coordinator.node) {
            return Err(ErrorCode::NOT_COORDINATOR);
        }
        if self.mishap(15) {
            return Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
        }
        let coordinator = &mut self.coordinator;
        let level = coordinator.level;
        match call {
            Call::FindCoordinator(_) => Ok(Answer::Coordinator(coordinator.node)),
            Call::InitProducerId { producer } => Ok(Answer::Producer(coordinator.init(*producer)?, level)),
            Call::AddPartitions { producer, partitions } => {
                let mut codes = Vec::new();
                for place in partitions {
                    let added = coordinator.add(*producer, usize::try_from(place.1).ok());
                    codes.push((place.clone(), added.err().unwrap_or(ErrorCode::NONE)));
                }
                Ok(Answer::Parts(codes))
            }
            Call::AddOffsets { producer, .. } => coordinator.add(*producer, None).map(|()| Answer::Added),
            Call::CommitOffsets { producer, offsets, protocol } => {
                if *protocol == Protocol::Implicit {
                    coordinator.add(*producer, None)?;
                }
                assert_eq!(coordinator.phase, Phase::Ongoing, "the group is part of a transaction");
                let (place, commit) = offsets.offsets.first_key_value().unwrap();
                let place = (Arc::clone(&place.topic), place.partition);
                coordinator.pending = Some(commit.offset);
                let refuses = self.mishap(10);
                let code = if refuses { ErrorCode::ILLEGAL_GENERATION } else { ErrorCode::NONE };
                Ok(Answer::Parts(vec![(place, code)]))
            }
            Call::EndTxn { producer, commits, protocol } => {
                Ok(Answer::Ended(coordinator.end(*producer, *commits, *protocol)?, level))
            }
        }
    }

    /// The coordinator writes the markers of a transaction that ends.
    fn write_markers(&mut self) {
        let Phase::Ending { commits } = self.coordinator.phase else { return };
        for at in std::mem::take(&mut self.coordinator.partitions) {
            let partition = &mut self.partitions[at];
            let IdAndEpoch { id, epoch } = self.coordinator.producer;
            partition.log.mark(id, epoch);
            partition.outcomes.iter_mut().for_each(|outcome| {
                outcome.get_or_insert(commits);
            });
        }
        if let Some(offset) = self.coordinator.pending.take().filter(|_| commits) {
            self.coordinator.committed = offset;
        }
        self.coordinator.phase = Phase::Ended { commits };
    }

    /// The application takes the next step of its transaction.
    fn apply(&mut self) {
        let now = self.now;
        let transactions = self.machine.transactions().unwrap();
        let Some((number, mut records, mut offset, plan)) = self.open.take() else {
            if self.begun < TRANSACTIONS
                && let Some(begun) = transactions.begin()
            {
                self.begun += 1;
                let plan = Plan::Sends(self.random.u32(0..8));
                self.open = Some((begun.expect("nobody fences it"), Vec::new(), None, plan));
            }
            return;
        };
        let plan = match plan {
            Plan::Sends(0) if self.random.bool() => Plan::Commits,
            Plan::Sends(0) => match self.random.u8(0..4) {
                0 => Plan::Aborts,
                1 => {
                    // Dropped: nobody waits for its end.
                    transactions.abandon(number);
                    self.aborted.extend(records);
                    return;
                }
                _ => Plan::Commits,
            },
            Plan::Sends(left) if left == 3 && offset.is_none() => {
                let sent = i64::from(self.next_record) + 1;
                let offsets = [(TopicPartition::new("in", 0), CommitOffset::at(sent))].into();
                let offsets = Offsets { group: GroupMetadata::of_group("g"), offsets };
                match transactions.send_offsets(number, offsets) {
                    Ok(_) => {
                        offset = Some(sent);
                        Plan::Sends(left)
                    }
                    Err(_) => Plan::Aborts,
                }
            }
            Plan::Sends(left) => {
                let mut value = self.next_record.to_be_bytes().to_vec();
                value.resize(self.random.usize(4..150), 0);
                let partition = self.random.i32(0..2);
                let record = Record::to("t").partition(partition).value(value);
                if self.machine.append(record, self.next_record, 1, 1000, now).is_ok() {
                    records.push(self.next_record);
                    self.next_record += 1;
                }
                Plan::Sends(left - 1)
            }
            Plan::Commits => match transactions.commit(number) {
                None => Plan::Commits,
                Some(Ok(())) => {
                    self.committed.extend(records);
                    self.offset = offset.unwrap_or(self.offset);
                    return;
                }
                Some(Err(error)) => {
                    assert_eq!(error.class(), ErrorClass::NeedsAbort, "{error}");
                    Plan::Aborts
                }
            },
            Plan::Aborts => match transactions.abort(number) {
                None => Plan::Aborts,
                Some(ended) => {
                    ended.expect("nobody fences it");
                    self.aborted.extend(records);
                    return;
                }
            },
        };
        self.open = Some((number, records, offset, plan));
    }

    fn step(&mut self) {
        let node = self.random.i32(1..=2);
        match self.random.u8(0..100) {
            0..25 => self.apply(),
            25..45 => self.serve(node),
            45..62 => self.deliver(node),
            62..76 => self.coordinate(),
            76..82 => self.write_markers(),
            82..93 => self.now += at(self.random.u64(0..200)),
            _ if self.is_kind => self.now += at(50),
            93 => self.now += at(self.random.u64(0..8000)),
            94..97 => self.cut(node),
            97 => self.coordinator.node = node,
            _ => {
                let partition = self.random.usize(..PARTITIONS);
                self.leaders[partition] = node;
                if self.random.bool() {
                    self.learn();
                }
            }
        }
        self.poll();
    }

    fn play(&mut self) {
        self.learn();
        for turn in 0..200_000 {
            self.is_kind = turn > 100_000;
            let is_over = self.begun == TRANSACTIONS && self.open.is_none() && self.machine.is_at_rest();
            if is_over {
                break;
            }
            self.step();
        }
        let is_over = self.begun == TRANSACTIONS && self.open.is_none();
        assert!(is_over, "every transaction ends: {:?}, {:?}", self.open, self.machine.transactions());
        self.machine.close();
        self.poll();
        assert!(self.machine.is_done(), "nothing is left");
        self.write_markers();
    }

    fn check(&self) {
        let mut seen = BTreeSet::new();
        for partition in &self.partitions {
            let outcomes = partition.log.records.iter().zip(&partition.outcomes);
            let committed: Vec<_> = outcomes
                .filter(|(_, outcome)| outcome.expect("none is open"))
                .map(|(record, _)| *record)
                .collect();
            assert!(committed.windows(2).all(|pair| pair[0] < pair[1]), "in order: {committed:?}");
            for record in committed {
                assert!(seen.insert(record), "{record} is there once");
            }
        }
        assert_eq!(seen, self.committed, "what was committed is there, and nothing else");
        assert!(seen.is_disjoint(&self.aborted));
        assert_eq!(self.coordinator.committed, self.offset, "offsets are part of the transaction");
    }
}

#[test]
fn what_was_committed_is_there_once_and_what_was_aborted_never_is() {
    let (mut committed, mut aborted, mut failed) = (0, 0, 0);
    for seed in 0..SEEDS {
        let outcome = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            world.play();
            world.check();
            (world.committed.len(), world.aborted.len(), world.failed)
        });
        let counts = outcome.unwrap_or_else(|_| panic!("seed {seed}"));
        committed += counts.0;
        aborted += counts.1;
        failed += counts.2;
    }
    assert!(committed > 5000 && aborted > 2000 && failed > 500, "{committed}, {aborted}, {failed}");
}
