//! A producer and two brokers, played from a seed: leaders move, requests and answers are lost, batches are refused, time
//! passes in leaps. Whatever happens, no record is doubled or reordered, and none that was acknowledged is missing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use trilog_protocol::batch::BatchHeader;
use trilog_protocol::compression::Compression;
use trilog_protocol::records::decode_records;

use super::*;
use crate::producer::verdict::{Fate, Remedy, judge};

const PARTITIONS: usize = 2;
const RECORDS: u32 = 120;
const SEEDS: u64 = 400;

/// One partition's log, and what it remembers of the producer, as Kafka does.
#[derive(Default)]
pub(super) struct Log {
    pub(super) records: Vec<u32>,
    producers: BTreeMap<i64, Numbers>,
}

/// The epoch and the last five batches of a producer: first and last sequence number, offset.
struct Numbers {
    epoch: i16,
    batches: VecDeque<(i32, i32, i64)>,
}

impl Log {
    /// What a leader does with a batch. A strict one takes only number 0 of a producer that it does not know.
    pub(super) fn append(
        &mut self,
        header: &BatchHeader,
        records: &[u32],
        is_strict: bool,
    ) -> Result<i64, ErrorCode> {
        let (first, last) = (header.base_sequence, header.last_sequence());
        let epoch = header.producer_epoch.0;
        let known = self.producers.get(&header.producer_id.0);
        let expected = match known {
            Some(numbers) if epoch < numbers.epoch => return Err(ErrorCode::INVALID_PRODUCER_EPOCH),
            Some(numbers) if epoch == numbers.epoch => {
                if let Some(found) = numbers.batches.iter().find(|batch| (batch.0, batch.1) == (first, last))
                {
                    return Ok(found.2);
                }
                numbers.batches.back().map_or(0, |batch| batch.1 + 1)
            }
            Some(_) => 0,
            None if is_strict => 0,
            None => first,
        };
        if first != expected {
            return Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        }
        let offset = i64::try_from(self.records.len()).unwrap();
        self.records.extend_from_slice(records);
        let fresh = || Numbers { epoch, batches: VecDeque::new() };
        let numbers = self.producers.entry(header.producer_id.0).or_insert_with(fresh);
        if numbers.epoch != epoch {
            *numbers = fresh();
        }
        numbers.batches.push_back((first, last, offset));
        if numbers.batches.len() > 5 {
            numbers.batches.pop_front();
        }
        Ok(offset)
    }

    /// A marker ends a transaction, and tells of the producer's next epoch.
    pub(super) fn mark(&mut self, id: i64, epoch: i16) {
        let numbers = self.producers.entry(id).or_insert_with(|| Numbers { epoch, batches: VecDeque::new() });
        if numbers.epoch != epoch {
            *numbers = Numbers { epoch, batches: VecDeque::new() };
        }
    }
}

/// A connection: requests that the broker has not seen, and answers that the producer has not seen.
#[derive(Default)]
pub(super) struct Wire {
    pub(super) requests: VecDeque<Outbound>,
    pub(super) answers: VecDeque<(RequestId, Vec<Verdict>)>,
    pub(super) is_up: bool,
}

impl Wire {
    /// The oldest answer arrives.
    pub(super) fn deliver(&mut self, machine: &mut Machine<u32>, now: Duration) {
        if let Some((request, verdicts)) = self.answers.pop_front() {
            machine.answered(request, verdicts, now);
        }
    }

    /// The connection to `node` ends, if there is one: what is on its way gets no answer.
    pub(super) fn cut(&mut self, node: NodeId, machine: &mut Machine<u32>, now: Duration) {
        if !std::mem::take(&mut self.is_up) {
            return;
        }
        let lost =
            std::mem::take(&mut self.requests).into_iter().map(|request| (request.id, request.parts.len()));
        let answered = std::mem::take(&mut self.answers).into_iter().map(|(id, parts)| (id, parts.len()));
        machine.disconnected(node);
        for (id, parts) in answered.chain(lost) {
            let error = Error::Disconnected { cause: "cut".to_owned() };
            let again = Verdict::Again { error, fate: Fate::Unknown, remedy: Remedy::Refresh };
            machine.answered(id, vec![again; parts], now);
        }
    }
}

/// A batch as a broker reads it: its header, the numbers that its records hold, and its length in bytes.
pub(super) fn decoded(part: &Part) -> (BatchHeader, Vec<u32>, usize) {
    let batch = part.content.finish(Compression::NONE, &part.origin).unwrap().freeze();
    let header = BatchHeader::parse(&batch).unwrap();
    let records = decode_records(&header, &batch, 1 << 20).unwrap();
    let values = records.map(|record| {
        let value = record.unwrap().value.unwrap();
        u32::from_be_bytes(value[..4].try_into().unwrap())
    });
    (header, values.collect(), batch.len())
}

struct World {
    machine: Machine<u32>,
    random: fastrand::Rng,
    now: Duration,
    logs: Vec<Log>,
    leaders: Vec<NodeId>,
    wires: BTreeMap<NodeId, Wire>,
    fates: BTreeMap<u32, Option<(usize, Option<i64>)>>,
    is_strict: bool,
    is_kind: bool,
    /// The longest batch that brokers take, in bytes.
    limit: usize,
    /// The records that brokers refused as too large by themselves.
    too_large: BTreeSet<u32>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        Self {
            machine: Machine::new(Setup { seed, ..setup() }),
            is_strict: random.bool(),
            limit: if random.bool() { usize::MAX } else { random.usize(180..320) },
            too_large: BTreeSet::new(),
            random,
            now: Duration::ZERO,
            logs: (0..PARTITIONS).map(|_| Log::default()).collect(),
            leaders: vec![1, 2],
            wires: [(1, Wire::default()), (2, Wire::default())].into(),
            fates: BTreeMap::new(),
            is_kind: false,
        }
    }

    fn learn(&mut self) {
        let leaders: Vec<_> = self.leaders.iter().copied().map(Some).collect();
        self.machine.learn(known(&leaders), self.now);
    }

    fn poll(&mut self) {
        let polled = self.machine.poll(self.now, false);
        for record in polled.finished {
            let fate = record.result.ok().map(|at| (usize::try_from(at.partition).unwrap(), at.offset));
            assert!(self.fates.insert(record.token, fate).is_none(), "one fate a record");
        }
        for effect in polled.effects {
            match effect {
                Effect::Connect(node) => {
                    self.wires.get_mut(&node).unwrap().is_up = true;
                    self.machine.connected(node);
                }
                Effect::Send(node, request) => self.wires.get_mut(&node).unwrap().requests.push_back(request),
                Effect::AskProducerId => self.machine.identified(Ok((7, 0)), self.now),
                Effect::Refresh => self.learn(),
                Effect::Use(_) | Effect::Coordinate(_) => {}
            }
        }
    }

    /// The broker takes its oldest request.
    fn serve(&mut self, node: NodeId) {
        let Some(request) = self.wires.get_mut(&node).unwrap().requests.pop_front() else { return };
        let mut verdicts = Vec::new();
        for part in &request.parts {
            let at = usize::try_from(part.partition).unwrap();
            let refuses = !self.is_kind && self.random.u8(..) < 25;
            // A leader may append and then lose its leadership before it answers.
            let loses = !self.is_kind && self.random.u8(..) < 12;
            let answer = if self.leaders[at] != node {
                Err(ErrorCode::NOT_LEADER_OR_FOLLOWER)
            } else if refuses {
                let codes = [ErrorCode::NOT_ENOUGH_REPLICAS, ErrorCode::MESSAGE_TOO_LARGE];
                Err(codes[usize::from(self.random.u8(..) < 10)])
            } else {
                let (header, values, length) = decoded(part);
                // As in Kafka, the size is checked before the sequence.
                if length > self.limit {
                    self.too_large.extend(values.first().filter(|_| values.len() == 1));
                    Err(ErrorCode::MESSAGE_TOO_LARGE)
                } else {
                    self.logs[at].append(&header, &values, self.is_strict)
                }
            };
            verdicts.push(match answer {
                Ok(_) if loses => judge(ErrorCode::REQUEST_TIMED_OUT, None, false),
                Ok(offset) => Verdict::Appended { base_offset: Some(offset), append_time: None },
                Err(code) => judge(code, None, false),
            });
        }
        self.wires.get_mut(&node).unwrap().answers.push_back((request.id, verdicts));
    }

    fn deliver(&mut self, node: NodeId) {
        self.wires.get_mut(&node).unwrap().deliver(&mut self.machine, self.now);
    }

    /// The connection ends: some requests still arrive, no answer does.
    fn cut(&mut self, node: NodeId) {
        let arrive = self.random.usize(..=self.wires[&node].requests.len());
        (0..arrive).for_each(|_| self.serve(node));
        self.wires.get_mut(&node).unwrap().cut(node, &mut self.machine, self.now);
    }

    fn step(&mut self, next: &mut u32) {
        let node = self.random.i32(1..=2);
        match self.random.u8(0..100) {
            0..=34 if *next < RECORDS => {
                let mut value = next.to_be_bytes().to_vec();
                value.resize(self.random.usize(4..150), 0);
                let partition = self.random.i32(0..2);
                self.machine
                    .append(Record::to("t").partition(partition).value(value), *next, 1, 1000, self.now)
                    .unwrap();
                *next += 1;
            }
            0..=64 => self.serve(node),
            65..=89 => self.deliver(node),
            90..=93 => self.now += at(self.random.u64(0..300)),
            _ if self.is_kind => self.now += at(10),
            94 => self.now += at(self.random.u64(0..8000)),
            95..=97 => self.cut(node),
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
        let mut next = 0;
        while next < RECORDS {
            self.step(&mut next);
        }
        self.is_kind = true;
        self.machine.close();
        for _ in 0..10_000 {
            if self.machine.is_done() {
                break;
            }
            self.now += at(50);
            self.poll();
            for node in [1, 2] {
                self.serve(node);
                self.deliver(node);
            }
        }
        self.poll();
    }

    fn check(&self) {
        assert_eq!(self.fates.len(), usize::try_from(RECORDS).unwrap(), "every record has its fate");
        for log in &self.logs {
            let is_rising = log.records.windows(2).all(|pair| pair[0] < pair[1]);
            assert!(is_rising, "nothing is doubled or reordered: {:?}", log.records);
        }
        for (record, fate) in &self.fates {
            if let Some((partition, offset)) = fate {
                let offset = usize::try_from(offset.unwrap()).unwrap();
                assert_eq!(
                    self.logs[*partition].records.get(offset),
                    Some(record),
                    "where it was acknowledged"
                );
            }
        }
    }
}

#[test]
fn nothing_is_doubled_reordered_or_lost_once_acknowledged() {
    let mut delivered = 0;
    for seed in 0..SEEDS {
        let outcome = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            world.play();
            world.check();
            world.fates.values().flatten().count()
        });
        delivered += outcome.unwrap_or_else(|_| panic!("seed {seed}"));
    }
    let all = usize::try_from(SEEDS).unwrap() * usize::try_from(RECORDS).unwrap();
    assert!(delivered > all / 2, "the brokers are not that bad: {delivered} of {all}");
}

#[test]
fn only_records_that_are_too_large_by_themselves_fail_as_too_large() {
    let mut failed = 0;
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        (world.is_kind, world.limit) = (true, 180);
        world.play();
        world.check();
        for (record, fate) in &world.fates {
            let is_fair = fate.is_some() || world.too_large.contains(record);
            assert!(is_fair, "seed {seed}: record {record} fits, and failed");
        }
        failed += world.too_large.len();
    }
    assert!(failed > 0, "some records are too large");
}
