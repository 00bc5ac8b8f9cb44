//! The whole producer against brokers that a seed decides about.

mod simulated;
mod transactional;

use super::*;
use crate::backoff::Backoff;
use crate::config::Address;
use crate::metadata::{Partition, Topic as KnownTopic};
use trilog_protocol::ErrorCode;

const fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn setup() -> Setup {
    Setup {
        rules: Rules {
            batch_size: 300,
            linger: at(5),
            delivery_timeout: Duration::from_secs(20),
            retry: Backoff { initial: at(100), max: Duration::from_secs(1) },
        },
        is_idempotent: true,
        is_transactional: false,
        max_in_flight: 5,
        max_request_size: 1000,
        max_block: Duration::from_secs(10),
        partitioner: None,
        ignores_keys: false,
        is_adaptive: true,
        availability_timeout: Duration::ZERO,
        seed: 1,
    }
}

/// A cluster of nodes 1 and 2 where the partitions of `t` have these leaders.
fn known(leaders: &[Option<NodeId>]) -> Arc<Snapshot> {
    let address = |port| Address { host: "h".to_owned(), port };
    let partitions = leaders.iter().map(|leader| Partition { leader: *leader, leader_epoch: 1 }).collect();
    let topic = KnownTopic { partitions, ..KnownTopic::default() };
    Arc::new(Snapshot {
        brokers: [(1, address(1)), (2, address(2))].into(),
        topics: [("t".into(), topic)].into(),
        ..Snapshot::default()
    })
}

fn names(effects: &[Effect]) -> Vec<String> {
    let name = |effect: &Effect| match effect {
        Effect::Connect(node) => format!("connect {node}"),
        Effect::Send(node, request) => format!("send {node}: {}", request.parts.len()),
        Effect::AskProducerId => "ask for a producer id".to_owned(),
        Effect::Coordinate(step) => format!("coordinate {step:?}"),
        Effect::Refresh => "refresh".to_owned(),
        Effect::Use(topic) => format!("use {topic}"),
    };
    effects.iter().map(name).collect()
}

#[test]
fn a_record_waits_for_its_topic_then_an_id_then_a_connection() {
    let mut machine = Machine::new(setup());
    assert!(machine.append(Record::to("t").value("v"), 1, 10, 1000, at(0)).unwrap());
    assert_eq!(names(&machine.poll(at(0), false).effects), ["use t"]);
    machine.learn(known(&[Some(1)]), at(10));
    let polled = machine.poll(at(10), false);
    assert_eq!((names(&polled.effects), polled.wake_at), (Vec::new(), Some(at(15))));
    assert_eq!(names(&machine.poll(at(15), false).effects), ["ask for a producer id"]);
    assert_eq!(names(&machine.poll(at(16), false).effects), [""; 0], "once");
    machine.identified(Ok((7, 0)), at(20));
    assert_eq!(names(&machine.poll(at(20), false).effects), ["connect 1"]);
    machine.connected(1);
    let polled = machine.poll(at(21), false);
    assert_eq!(names(&polled.effects), ["send 1: 1"]);
    machine.answered(0, vec![Verdict::Appended { base_offset: Some(5), append_time: None }], at(30));
    let finished = machine.poll(at(30), false).finished;
    assert_eq!(finished[0].result.as_ref().unwrap().offset, Some(5));
}

#[test]
fn records_without_a_key_go_to_all_partitions_when_nothing_is_sent_meanwhile() {
    let mut machine = Machine::new(setup());
    machine.learn(known(&[Some(1), Some(2), Some(1), Some(2)]), at(0));
    let value = "v".repeat(70);
    for number in 0..400 {
        machine.append(Record::to("t").value(value.clone()), number, 70, 1000, at(0)).unwrap();
    }
    // Three of them fill a batch, but not to the last byte.
    let batches: Vec<_> = machine.queues.iter().map(|(_, queue)| queue.batches()).collect();
    assert!(batches.iter().all(|count| (20..50).contains(count)), "{batches:?}");
    let open = machine.queues.iter().filter(|(_, queue)| queue.has_room(&Record::to("t"), 1000, 300));
    assert!(open.count() <= 1, "what was left does not linger");
}

#[test]
fn a_topic_that_does_not_exist_fails_its_records_in_time() {
    let mut machine = Machine::new(setup());
    machine.append(Record::to("other").value("v"), 1, 10, 1000, at(0)).unwrap();
    assert_eq!(machine.poll(at(0), false).wake_at, Some(at(10_000)));
    let finished = machine.poll(at(10_000), false).finished;
    let error = finished[0].result.as_ref().unwrap_err();
    assert!(error.to_string().contains("to learn of a topic's partitions"), "{error}");
}

#[test]
fn a_partition_that_does_not_exist_is_refused_at_once() {
    let mut machine = Machine::new(setup());
    machine.append(Record::to("t"), 0, 10, 1000, at(0)).unwrap();
    machine.learn(known(&[Some(1)]), at(0));
    for partition in [-1, 1, i32::MAX] {
        machine.append(Record::to("t").partition(partition), 1, 10, 1000, at(0)).unwrap();
    }
    let finished = machine.poll(at(0), false).finished;
    assert_eq!(finished.len(), 3);
    assert!(matches!(finished[0].result, Err(Error::NoSuchPartition { partition: -1, count: 1, .. })));
}

#[derive(Debug)]
struct Panics;

impl Partitioner for Panics {
    fn partition(&self, record: &Record, _: u32) -> Option<i32> {
        assert!(record.key.is_some(), "no key");
        Some(0)
    }
}

#[test]
fn a_panic_of_the_partitioner_fails_its_record_and_no_other() {
    let mut machine = Machine::new(Setup { partitioner: Some(Arc::new(Panics)), ..setup() });
    machine.append(Record::to("t"), 1, 10, 1000, at(0)).unwrap();
    machine.append(Record::to("t").key("k"), 2, 10, 1000, at(0)).unwrap();
    machine.learn(known(&[Some(1)]), at(0));
    machine.append(Record::to("t"), 3, 10, 1000, at(0)).unwrap();
    let finished = machine.poll(at(0), false).finished;
    assert_eq!(finished.iter().map(|record| record.token).collect::<Vec<_>>(), [1, 3]);
    let error = finished[0].result.as_ref().unwrap_err();
    assert_eq!(error.to_string(), "the partitioner panicked: no key");
    assert_eq!(machine.queues[0].1.batches(), 1);
}

#[test]
fn times_without_an_end_can_be_counted_with() {
    let config = crate::ProducerConfig::new("h:1").unwrap();
    let config = config.delivery_timeout(Duration::MAX).max_block(Duration::MAX).linger(at(5));
    let endless = Setup { rules: config.rules(), max_block: config.max_block, ..setup() };
    let mut machine = Machine::new(endless);
    machine.append(Record::to("t"), 1, 10, 1000, at(1)).unwrap();
    assert!(machine.poll(at(1), false).wake_at.is_some());
    machine.learn(known(&[Some(1)]), at(2));
    assert_eq!(machine.poll(at(2), false).wake_at, Some(at(7)));
}

#[test]
fn an_abandoned_machine_has_no_record_left_and_takes_none() {
    let mut machine = Machine::new(Setup { is_idempotent: false, ..setup() });
    machine.learn(known(&[Some(1)]), at(0));
    machine.connected(1);
    machine.append(Record::to("t").value("in flight"), 1, 10, 1000, at(0)).unwrap();
    assert_eq!(names(&machine.poll(at(5), false).effects), ["send 1: 1", "use t"]);
    machine.append(Record::to("t").value("waiting"), 2, 10, 1000, at(5)).unwrap();
    machine.append(Record::to("unknown"), 3, 10, 1000, at(5)).unwrap();
    let mut tokens: Vec<_> = machine.abandon(&Error::Closed).iter().map(|record| record.token).collect();
    tokens.sort_unstable();
    assert_eq!(tokens, [1, 2, 3]);
    assert!(machine.is_done());
    assert!(matches!(machine.append(Record::to("t"), 4, 10, 1000, at(6)), Err(Error::Closed)));
}

#[test]
fn the_end_of_the_last_epoch_asks_for_another_id_at_once() {
    let mut machine = Machine::new(setup());
    machine.learn(known(&[Some(1)]), at(0));
    machine.connected(1);
    machine.append(Record::to("t"), 1, 10, 1000, at(0)).unwrap();
    machine.poll(at(5), false);
    machine.identified(Ok((7, i16::MAX)), at(5));
    assert_eq!(names(&machine.poll(at(5), false).effects), ["send 1: 1"]);
    machine.answered(0, vec![Verdict::OutOfSequence(Error::Closed)], at(6));
    assert_eq!(names(&machine.poll(at(1000), false).effects), ["ask for a producer id"]);
    machine.identified(Ok((8, 0)), at(1000));
    assert_eq!(names(&machine.poll(at(1000), false).effects), ["send 1: 1"]);
}

#[test]
fn a_topic_that_was_forgotten_while_records_wait_is_asked_for_again() {
    let mut machine = Machine::new(setup());
    machine.learn(known(&[None]), at(0));
    machine.append(Record::to("t"), 1, 10, 1000, at(0)).unwrap();
    machine.poll(at(0), false);
    machine.learn(Arc::default(), at(10));
    assert_eq!(names(&machine.poll(at(10), false).effects), ["use t", "refresh"]);
}

/// A machine without numbers whose brokers are connected.
fn connected(leaders: &[Option<NodeId>]) -> Machine<i32> {
    let mut machine = Machine::new(Setup { is_idempotent: false, ..setup() });
    machine.learn(known(leaders), at(0));
    machine.connected(1);
    machine.connected(2);
    machine
}

#[test]
fn batches_that_linger_join_a_request_that_leaves_anyway_and_begin_none() {
    let mut machine = connected(&[Some(1), Some(1), Some(2), Some(1)]);
    let small = |partition| Record::to("t").partition(partition).value("v");
    for (partition, ms) in [(0, 0), (1, 3), (2, 3)] {
        machine.append(small(partition), partition, 10, 1000, at(ms)).unwrap();
    }
    let polled = machine.poll(at(5), false);
    assert_eq!((names(&polled.effects)[0].as_str(), polled.wake_at), ("send 1: 2", Some(at(8))));
    // What is begun in partition 3 lingers as if nothing had left, and nothing wakes up for what has.
    machine.append(small(3), 3, 10, 1000, at(6)).unwrap();
    let polled = machine.poll(at(8), false);
    assert_eq!((names(&polled.effects)[0].as_str(), polled.wake_at), ("send 2: 1", Some(at(11))));
}

#[test]
fn batches_that_linger_join_only_while_there_is_room_and_no_request_that_is_half_full() {
    let mut machine = connected(&[Some(1); 4]);
    let append = |machine: &mut Machine<i32>, partition, len, ms| {
        let record = Record::to("t").partition(partition).value(vec![0; len]);
        machine.append(record, partition, 10, 1000, at(ms)).unwrap();
    };
    // A batch of 300 bytes is full, and a request of 1000.
    for (partition, len) in [(0, 600), (1, 1), (2, 1), (3, 1)] {
        append(&mut machine, partition, len, 0);
    }
    assert_eq!(names(&machine.poll(at(1), false).effects)[0], "send 1: 1");
    append(&mut machine, 0, 250, 1);
    assert_eq!(names(&machine.poll(at(2), false).effects)[0], "send 1: 4");
    for (partition, len) in [(0, 250), (1, 200), (2, 200), (3, 200)] {
        append(&mut machine, partition, len, 2);
    }
    assert_eq!(names(&machine.poll(at(3), false).effects)[0], "send 1: 3", "the fourth would be too much");
}

#[test]
fn a_request_takes_a_batch_of_each_partition_and_a_node_five_requests() {
    let mut machine = Machine::new(Setup { is_idempotent: false, ..setup() });
    machine.learn(known(&[Some(1), Some(1)]), at(0));
    for record in 0..20 {
        let full = Record::to("t").partition(record % 2).value(vec![0; 250]);
        machine.append(full, record, 10, 1000, at(0)).unwrap();
    }
    machine.poll(at(0), false);
    machine.connected(1);
    let effects = machine.poll(at(0), false).effects;
    assert_eq!(names(&effects), ["send 1: 2"; 5]);
    assert_eq!(names(&machine.poll(at(0), false).effects), [""; 0]);
}

#[test]
fn a_refused_producer_id_fails_everything() {
    let mut machine = Machine::new(setup());
    machine.learn(known(&[Some(1)]), at(0));
    machine.append(Record::to("t"), 1, 10, 1000, at(0)).unwrap();
    machine.poll(at(5), false);
    machine.identified(Err(Error::code(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS)), at(6));
    let waits = machine.poll(at(6), false);
    assert!(waits.finished.is_empty() && waits.effects.is_empty());
    machine.poll(at(200), false);
    machine.identified(Err(Error::code(ErrorCode::CLUSTER_AUTHORIZATION_FAILED)), at(200));
    machine.append(Record::to("t"), 2, 10, 1000, at(200)).unwrap();
    let finished = machine.poll(at(200), false).finished;
    assert_eq!(finished.iter().filter(|record| record.result.is_err()).count(), 2);
}

#[test]
fn a_flush_lets_nothing_linger() {
    let mut machine = Machine::new(Setup { is_idempotent: false, ..setup() });
    machine.learn(known(&[Some(1)]), at(0));
    machine.connected(1);
    machine.append(Record::to("t"), 1, 10, 1000, at(0)).unwrap();
    assert_eq!(names(&machine.poll(at(0), false).effects), ["use t"]);
    let flush = machine.begin_flush();
    assert_eq!(names(&machine.poll(at(0), false).effects), ["send 1: 1"]);
    assert!(machine.settled() <= flush);
    machine.answered(0, vec![Verdict::Appended { base_offset: Some(5), append_time: None }], at(1));
    machine.poll(at(1), false);
    assert!(machine.settled() > flush);
}
