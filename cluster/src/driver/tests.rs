//! The driver's turns, counted: how much each of them does before the clock is looked at again. And the threads beside it,
//! of which each is missed.

use tempfile::TempDir;
use trilog_storage::{Identity, StoreOptions};
use uuid::Uuid;

use super::*;
use crate::controller::configs::BrokerSettings;
use crate::controller::{Broker, ControllerRequest, CreateTopics, Listener, NewTopic};
use crate::coordinator::TopicPatterns;
use crate::ids::{LeaderEpoch, RaftGroupId, TimestampMs, TopicId};
use crate::partition::testing::{BatchBuilder, TestRecord};
use crate::partition::{RecordLimits, TimestampType, check_record_set};
use crate::shard::effects::{AppendError, Appended};
use crate::shard::{CheckpointPolicy, MAX_ROUND_READ_BYTES, OPENED_PER_ROUND, ProducerLimits};
use crate::transport::{PeerEvent, PeerHandler, Recognition, TransportConfig, Unrecognized};

const PARTITIONS: i32 = 12;

/// The bytes of a record: large enough that a few hundred are more than any bound.
const RECORD_BYTES: usize = 100 << 10;

/// The most that an entry has beside its records, and a batch beside its entries.
const OVERHEAD: usize = 64 << 10;

/// The most that a round reads: the last group of it may read as much as one alone.
const MOST_READ: usize = 2 * MAX_ROUND_READ_BYTES + (512 << 10) + OVERHEAD;

/// Nothing is written out before it has to be.
const NEVER: CheckpointPolicy = CheckpointPolicy {
    every_entries: u64::MAX,
    every_bytes: u64::MAX,
    node_bytes: u64::MAX,
    kept_entries: 0,
    kept_bytes: 0,
    part_bytes: 1 << 20,
};

/// Nobody is there to talk to.
struct Alone;

impl PeerHandler for Alone {
    fn meet(&self, _: NodeId, _: crate::ids::StoreId) -> Result<Recognition, Unrecognized> {
        Ok(Recognition::First)
    }

    fn received(&self, _: NodeId, _: Frame) {}

    fn alive(&self, _: NodeId) {}

    fn peer_event(&self, _: NodeId, _: PeerEvent) {}

    fn failed(&self, task: &'static str) {
        panic!("{task} has panicked");
    }
}

/// A node alone on what the directory holds.
async fn config(dir: &TempDir, checkpoints: CheckpointPolicy) -> DriverConfig {
    let identity = Identity { cluster_id: "test".into(), node_id: 1 };
    let store = Store::open(dir.path(), &identity, StoreOptions::default()).unwrap();
    let (node, store_id) = (NodeId(1), store.id());
    let transport = TransportConfig {
        cluster_id: "test".into(),
        node,
        store: store_id,
        listener: tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(),
        peers: std::collections::BTreeMap::new(),
        secret: None,
    };
    DriverConfig {
        shard: ShardConfig {
            node,
            store_id,
            nodes: vec![node],
            defaults: Arc::new(BrokerSettings::default()),
            patterns: TopicPatterns::in_place(),
            checkpoints,
            producers: ProducerLimits::DEFAULT,
            arrivals_per_round: OPENED_PER_ROUND,
        },
        store,
        // Nothing is kept in memory, as after a restart.
        tail: TailCache::new(0),
        durability: Durability::Sync,
        reserve: Reserve::default(),
        transport: Transport::start(transport, Arc::new(Alone)),
        inbox: Arc::new(Inbox::default()),
        published: Arc::new(Published::new()),
        metrics: NodeMetrics::default(),
    }
}

/// Turns until `is_done`, each with a tick.
fn turn_until(driver: &mut Driver, mut is_done: impl FnMut(&Driver) -> bool) -> Vec<TurnWork> {
    let mut turns = Vec::new();
    while !is_done(driver) {
        driver.next_tick = driver.next_tick.min(Instant::now() + Duration::from_millis(1));
        turns.push(driver.turn().unwrap());
    }
    turns
}

/// The partitions' groups, all of them led.
fn partitions(driver: &mut Driver) -> Vec<RaftGroupId> {
    let topic = NewTopic {
        name: "t".into(),
        num_partitions: PARTITIONS,
        replication_factor: -1,
        assignments: Vec::new(),
        configs: Vec::new(),
    };
    turn_until(driver, |driver| leads(driver, RaftGroupId::CONTROLLER));
    let listener = Listener { name: "PLAINTEXT".into(), host: "localhost".into(), port: 9092 };
    let (node, incarnation) = (NodeId(1), Uuid::from_u128(1));
    let broker = Broker { node, incarnation, listeners: vec![listener], rack: None };
    control(driver, ControllerRequest::RegisterBroker(broker));
    control(
        driver,
        ControllerRequest::CreateTopics(CreateTopics { topics: vec![topic], validate_only: false }),
    );
    assert!(driver.published.image().topic("t").is_some());
    let image = driver.published.image();
    let groups: Vec<_> =
        image.topic("t").unwrap().partitions.iter().map(|partition| partition.group).collect();
    turn_until(driver, |driver| groups.iter().all(|group| leads(driver, *group)));
    groups
}

/// Has the controller, which is here, carry out a request.
fn control(driver: &mut Driver, request: ControllerRequest) {
    let (reply, mut answer) = oneshot::channel();
    driver.inbox.push(Input::Control { request, topic_ids: vec![TopicId(Uuid::from_u128(7))], reply });
    turn_until(driver, |_| answer.try_recv().map(Result::unwrap).is_ok());
}

fn leads(driver: &Driver, group: RaftGroupId) -> bool {
    driver.published.leadership(group).is_some_and(|known| known.epoch > LeaderEpoch(0))
}

/// Hands in records, in turn for each partition, and returns how many answers are awaited.
fn append(
    driver: &Driver,
    groups: &[RaftGroupId],
    records: usize,
) -> Vec<oneshot::Receiver<Result<Appended, AppendError>>> {
    let value = "v".repeat(RECORD_BYTES);
    let batch = BatchBuilder::of_records(&[TestRecord::of_value(value.as_str())]).build();
    let batch = check_record_set(batch.into(), &RecordLimits::of_size(1 << 20)).unwrap();
    let one = |group: &RaftGroupId| {
        let (reply, answer) = oneshot::channel();
        let append = Append {
            group: *group,
            batch: batch.clone(),
            timestamp_type: TimestampType::CreateTime,
            now: TimestampMs(0),
            min_insync_replicas: None,
            held: Held::default(),
        };
        driver.inbox.push(Input::Append(append, reply));
        answer
    };
    groups.iter().cycle().take(records).map(one).collect()
}

fn all_answered(answers: &mut Vec<oneshot::Receiver<Result<Appended, AppendError>>>) -> bool {
    answers.retain_mut(|answer| match answer.try_recv() {
        Ok(appended) => appended.is_err_and(|error| panic!("{error}")),
        Err(oneshot::error::TryRecvError::Empty) => true,
        Err(oneshot::error::TryRecvError::Closed) => panic!("an answer is lost"),
    });
    answers.is_empty()
}

/// Appends as many records in a directory, under this policy, and ends without a word.
async fn written(records: usize, checkpoints: CheckpointPolicy) -> (TempDir, Vec<TurnWork>) {
    let dir = tempfile::tempdir().unwrap();
    let mut driver = Driver::new(config(&dir, checkpoints).await).unwrap();
    let groups = partitions(&mut driver);
    let mut answers = append(&driver, &groups, records);
    let turns = turn_until(&mut driver, |_| all_answered(&mut answers));
    (dir, turns)
}

/// Starts again and applies what there is.
async fn replayed(dir: &TempDir, checkpoints: CheckpointPolicy) -> Vec<TurnWork> {
    let mut driver = Driver::new(config(dir, checkpoints).await).unwrap();
    turn_until(&mut driver, |driver| {
        !driver.shard.has_work() && driver.shard.unapplied() == 0 && driver.replay.is_none()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_inbox_is_worked_off_in_bounded_turns() {
    let records = 300;
    let (_dir, turns) = written(records, NEVER).await;
    let most = turns.iter().map(|turn| turn.written_bytes).max().unwrap();
    // The last group of a round may propose 2 MiB and an entry.
    let bound = MAX_ROUND_BYTES + (2 << 20) + (512 << 10) + OVERHEAD;
    assert!(most <= bound, "{most} bytes were written in one turn");
    let most = turns.iter().map(|turn| turn.inputs).max().unwrap();
    assert!(most <= MAX_TURN_BYTES / RECORD_BYTES + 20, "{most} inputs were taken in one turn");
    let written: usize = turns.iter().map(|turn| turn.written_bytes).sum();
    assert!(written > records * RECORD_BYTES && turns.len() > written / (2 << 20), "{} turns", turns.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_is_bounded_however_much_there_is_to_replay() {
    let records = 300;
    let (dir, _) = written(records, NEVER).await;
    let turns = replayed(&dir, NEVER).await;
    let read: usize = turns.iter().map(|turn| turn.read_bytes).sum();
    assert!(read > records * RECORD_BYTES / 2, "{read} bytes were replayed");
    let most = turns.iter().map(|turn| turn.read_bytes).max().unwrap();
    assert!(most <= MOST_READ, "{most} bytes were read in one turn");
    let between =
        turns.split(|turn| turn.ticked).map(|turns| turns.iter().map(|turn| turn.read_bytes).sum::<usize>());
    assert!(between.max().unwrap() < read, "the clock ticked meanwhile");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_restart_replays_is_bounded_for_the_node() {
    let node_bytes: u32 = 2 << 20;
    let policy = CheckpointPolicy { node_bytes: node_bytes.into(), ..NEVER };
    let (dir, _) = written(300, policy).await;
    let read: usize = replayed(&dir, policy).await.iter().map(|turn| turn.read_bytes).sum();
    // What the last round applied was not bounded yet.
    let bound = node_bytes as usize + MOST_READ;
    assert!(read > 0 && read <= bound, "{read} bytes were replayed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_restart_reads_to_open_the_store_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    {
        let mut driver = Driver::new(config(&dir, NEVER).await).unwrap();
        let groups = partitions(&mut driver);
        let mut answers = append(&driver, &groups, 600);
        turn_until(&mut driver, |_| all_answered(&mut answers));
        // It writes one more table. Whether there was one before, nobody can tell.
        driver.page_table.finish();
    }
    let store = config(&dir, NEVER).await.store;
    let Some(read) = store.opening_read_bytes() else { return };
    let usage = store.disk_usage().unwrap();
    assert!(usage > 60 << 20 && read < 32 << 20, "{read} bytes of {usage} were read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_panic_of_any_thread_ends_the_node_and_names_it() {
    for thread in ["syncer", "purger", "page-table", "entry-reader", "disk-watch"] {
        let dir = tempfile::tempdir().unwrap();
        let config = config(&dir, NEVER).await;
        config.inbox.ask_to_panic(thread);
        let end = start(config).unwrap().await.expect("the driver says how it ended");
        let said = end.unwrap_err().to_string();
        assert!(said.contains(thread) && said.contains("panicked"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_panic_of_the_driver_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir, NEVER).await;
    config.inbox.ask_to_panic("driver");
    assert!(start(config).unwrap().await.is_err());
}
