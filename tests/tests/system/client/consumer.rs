//! The bundled consumer in groups of both protocols: members come and go, a node is killed, and every record is consumed once, in
//! order.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_core::Stream;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use trilog_client::consumer::{
    Assignor, CommitOffset, Consumer, ConsumerConfig, GroupProtocol, ResetPolicy, TopicPartition,
};
use trilog_tests::admin::NewTopic;
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::group::librdkafka::{Ledger, RealConsumer};
use trilog_tests::waiting::wait_until;

const PARTITIONS: i32 = 6;

/// The offsets of each partition in the order in which they came, and who consumed them.
type Book = BTreeMap<TopicPartition, Vec<(i64, &'static str)>>;

/// What all members consumed.
#[derive(Clone, Debug, Default)]
struct Journal {
    book: Arc<Mutex<Book>>,
}

impl Journal {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) -> usize {
        self.book().values().map(Vec::len).sum()
    }

    fn count_of(&self, name: &str) -> usize {
        self.book().values().flatten().filter(|(_, by)| *by == name).count()
    }

    /// Every record of every partition once, in order.
    fn assert_once_in_order(&self, each: i64) {
        for (partition, consumed) in self.book().iter() {
            let offsets: Vec<_> = consumed.iter().map(|(offset, _)| *offset).collect();
            assert_eq!(offsets, (0..each).collect::<Vec<_>>(), "{partition}: {consumed:?}");
        }
        assert_eq!(self.book().len(), usize::try_from(PARTITIONS).unwrap());
    }
}

/// A member that consumes in a task of its own, and commits each batch before it comes back for the next.
struct Member {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Member {
    fn start(name: &'static str, config: ConsumerConfig, topic: &str, journal: &Journal) -> Self {
        let mut consumer = Consumer::new(config).expect("the configuration is sound");
        consumer.subscribe([topic]).expect("there is a group");
        let (stop, mut stopped) = watch::channel(false);
        let journal = journal.clone();
        let task = tokio::spawn(async move {
            loop {
                let batch = tokio::select! {
                    batch = consumer.poll() => batch.expect("nothing is wrong for good"),
                    _ = stopped.wait_for(|stopped| *stopped) => break,
                };
                let offsets = batch.records.iter().map(|record| (record.offset.0, name));
                journal.book().entry(batch.partition.clone()).or_default().extend(offsets);
                consumer.commit().await.expect("a member's commit is taken");
            }
            consumer.close().await.expect("there is nothing left to commit");
        });
        Self { stop, task }
    }

    async fn leave(self) {
        self.stop.send_replace(true);
        self.task.await.expect("the member ends well");
    }
}

fn config(cluster: &Cluster, group: &str, protocol: GroupProtocol) -> ConsumerConfig {
    let config = ConsumerConfig::new(&cluster.bootstrap()).expect("addresses are addresses");
    config.group(group).protocol(protocol).reset(ResetPolicy::Earliest).auto_commit(None)
}

async fn start(topic: &str) -> Cluster {
    let settings = ClusterOptions::nodes(3)
        .set("group.initial.rebalance.delay.ms", "0")
        .set("group.consumer.min.heartbeat.interval.ms", "100")
        .set("group.consumer.heartbeat.interval.ms", "100");
    let cluster = Cluster::start(settings).await;
    cluster.create(NewTopic::new(topic).partitions(PARTITIONS)).await;
    cluster.wait_shown(topic).await;
    cluster
}

/// Writes this many records into every partition, in turn.
struct Writer {
    producer: FutureProducer,
    topic: String,
}

impl Writer {
    fn new(cluster: &Cluster, topic: &str) -> Self {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", cluster.bootstrap())
            .set("enable.idempotence", "true")
            .set("linger.ms", "1")
            .create()
            .expect("librdkafka takes the settings");
        Self { producer, topic: topic.to_owned() }
    }

    async fn write(&self, each: usize) {
        for number in 0..each {
            let value = number.to_string();
            let sent = (0..PARTITIONS).map(|partition| {
                let record = FutureRecord::<(), _>::to(&self.topic).partition(partition).payload(&value);
                self.producer.send_result(record).expect("the queue has room")
            });
            for delivery in sent.collect::<Vec<_>>() {
                delivery.await.expect("the producer lives").expect("every record is delivered");
            }
        }
    }
}

/// Members join and leave, and a node that coordinates or leads is killed, while records are written all the time.
async fn plays(protocol: GroupProtocol) {
    let mut cluster = start("shared").await;
    let writer = Arc::new(Writer::new(&cluster, "shared"));
    let journal = Journal::default();
    let settings = config(&cluster, "workers", protocol);
    let first = Member::start("first", settings.clone(), "shared", &journal);
    writer.write(50).await;
    wait_until("the first member consumes", async || (journal.count() == 300).then_some(())).await;

    let second = Member::start("second", settings.clone(), "shared", &journal);
    let mut each = 50;
    wait_until("the second member consumes", async || {
        writer.write(1).await;
        each += 1;
        (journal.count_of("second") > 0).then_some(())
    })
    .await;

    let coordinator = cluster.group("workers").await.node;
    let writing = tokio::spawn({
        let writer = Arc::clone(&writer);
        async move { writer.write(200).await }
    });
    cluster.kill(coordinator);
    writing.await.expect("every record is written");
    each += 200;
    let all = |each: usize| each * usize::try_from(PARTITIONS).expect("a few");
    wait_until("everything is consumed", async || (journal.count() >= all(each)).then_some(())).await;

    let third = Member::start("third", settings, "shared", &journal);
    first.leave().await;
    wait_until("the third member consumes", async || {
        writer.write(1).await;
        each += 1;
        (journal.count_of("third") > 0).then_some(())
    })
    .await;
    wait_until("everything is consumed", async || (journal.count() >= all(each)).then_some(())).await;
    second.leave().await;
    third.leave().await;
    journal.assert_once_in_order(i64::try_from(each).expect("a few"));
}

#[tokio::test]
async fn a_classic_group_consumes_every_record_once_while_a_node_is_killed() {
    plays(GroupProtocol::Classic).await;
}

#[tokio::test]
async fn a_group_of_the_consumer_protocol_does_so_too() {
    plays(GroupProtocol::Consumer).await;
}

/// A member of ours and one of librdkafka's share the partitions, by either protocol.
async fn mixes(protocol: GroupProtocol, librdkafka: &[(&str, &str)]) {
    let cluster = start("mixed").await;
    let writer = Writer::new(&cluster, "mixed");
    let journal = Journal::default();
    let settings = config(&cluster, "mixed", protocol).assignors([Assignor::Range]);
    let ours = Member::start("ours", settings, "mixed", &journal);
    writer.write(10).await;
    wait_until("our member consumes", async || (journal.count() == 60).then_some(())).await;
    let ledger = Ledger::default();
    let theirs =
        RealConsumer::start(&cluster.bootstrap(), "mixed", "theirs", &["mixed"], librdkafka, &ledger);
    wait_until("the partitions are shared", async || {
        (ledger.owned().get("theirs") == Some(&3)).then_some(())
    })
    .await;
    writer.write(10).await;
    wait_until("everything is consumed", async || (journal.count() + ledger.count() == 120).then_some(()))
        .await;
    theirs.leave().await;
    writer.write(10).await;
    wait_until("our member has them all", async || (journal.count() + ledger.count() == 180).then_some(()))
        .await;
    ours.leave().await;
    // Both together have every record once.
    let mut offsets = ledger.consumed();
    for (place, consumed) in journal.book().iter() {
        let place = (place.topic.to_string(), place.partition);
        offsets.entry(place).or_default().extend(consumed.iter().map(|(offset, _)| *offset));
    }
    for (place, mut consumed) in offsets {
        consumed.sort_unstable();
        assert_eq!(consumed, (0..30).collect::<Vec<_>>(), "{place:?}");
    }
}

#[tokio::test]
async fn a_classic_group_with_librdkafka() {
    mixes(GroupProtocol::Classic, &[("partition.assignment.strategy", "range")]).await;
}

#[tokio::test]
async fn a_group_of_the_consumer_protocol_with_librdkafka() {
    mixes(GroupProtocol::Consumer, &[("group.protocol", "consumer")]).await;
}

/// Nobody is in the way: seeks, pauses, watermarks and commits with metadata, of partitions that are assigned by hand.
#[tokio::test]
async fn partitions_assigned_by_hand_are_read_from_where_one_wants() {
    let cluster = start("by-hand").await;
    let writer = Writer::new(&cluster, "by-hand");
    writer.write(20).await;
    let mut consumer = Consumer::new(config(&cluster, "by-hand", GroupProtocol::Classic)).unwrap();
    let [zero, one] = [0, 1].map(|partition| TopicPartition::new("by-hand", partition));
    let marks = consumer.watermarks([zero.clone(), one.clone()]).await.unwrap();
    assert_eq!(marks, [(zero.clone(), (0, 20)), (one.clone(), (0, 20))].into());

    consumer.assign([zero.clone(), one.clone()]).unwrap();
    consumer.pause([&one]);
    assert!(consumer.seek(&zero, 15));
    let mut offsets = Vec::new();
    while offsets.len() < 5 {
        let batch = consumer.poll().await.unwrap();
        assert_eq!(batch.partition, zero);
        offsets.extend(batch.records.iter().map(|record| record.offset.0));
    }
    assert_eq!(offsets, [15, 16, 17, 18, 19]);
    assert_eq!((consumer.position(&zero), consumer.lag(&zero)), (Some(20), Some(0)));

    let commit = CommitOffset { offset: 17, leader_epoch: None, metadata: "half-way".to_owned() };
    consumer.committer().commit_offsets([(zero.clone(), commit.clone())].into()).await.unwrap();
    let committed = consumer.committed([zero.clone(), one.clone()]).await.unwrap();
    assert_eq!(
        committed.get(&zero).map(|found| (found.offset, found.metadata.as_str())),
        Some((17, "half-way"))
    );
    assert_eq!(committed.get(&one), None);

    let mut next = Consumer::new(config(&cluster, "by-hand", GroupProtocol::Classic)).unwrap();
    next.assign([zero.clone()]).unwrap();
    let mut stream = Box::pin(next.into_stream());
    for offset in 17..20 {
        let record = poll_fn(|context| stream.as_mut().poll_next(context)).await.unwrap().unwrap();
        assert_eq!(
            (record.0, record.1.offset.0),
            (zero.clone(), offset),
            "reading begins with the committed offset"
        );
    }
    drop(stream);
    consumer.close().await.unwrap();
}

/// A member that unsubscribes gives its partitions to the others at once, and may assign by hand or come back.
async fn unsubscribes(protocol: GroupProtocol) {
    let cluster = start("given-up").await;
    let writer = Writer::new(&cluster, "given-up");
    writer.write(10).await;
    let settings = config(&cluster, "leavers", protocol);
    let mut consumer = Consumer::new(settings.clone()).unwrap();
    consumer.subscribe(["given-up"]).unwrap();
    let consume = async |consumer: &mut Consumer, most: usize| {
        let mut count = 0;
        while count < most {
            count += consumer.poll().await.unwrap().records.len();
        }
        consumer.commit().await.unwrap();
        count
    };
    let all = usize::try_from(PARTITIONS).unwrap() * 10;
    assert_eq!(consume(&mut consumer, all).await, all);
    assert_eq!(consumer.assignment().len(), usize::try_from(PARTITIONS).unwrap());

    consumer.unsubscribe().await.unwrap();
    assert!(consumer.assignment().is_empty());
    let mut other = Consumer::new(settings).unwrap();
    other.subscribe(["given-up"]).unwrap();
    writer.write(10).await;
    assert_eq!(consume(&mut other, all).await, all, "the other one has all partitions");

    let zero = TopicPartition::new("given-up", 0);
    consumer.assign([zero.clone()]).unwrap();
    assert!(consumer.seek(&zero, 19));
    assert_eq!(consumer.poll().await.unwrap().records[0].offset.0, 19);
    other.close().await.unwrap();
    consumer.subscribe(["given-up"]).unwrap();
    writer.write(1).await;
    assert_eq!(consume(&mut consumer, all / 10).await, all / 10, "it goes on where the other one ended");
    consumer.close().await.unwrap();
}

#[tokio::test]
async fn a_classic_member_unsubscribes() {
    unsubscribes(GroupProtocol::Classic).await;
}

#[tokio::test]
async fn a_member_of_the_consumer_protocol_unsubscribes() {
    unsubscribes(GroupProtocol::Consumer).await;
}
