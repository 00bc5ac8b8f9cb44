//! Today's librdkafka through its Rust crate: keyed and idempotent, across the death of a leader.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::util::Timeout;
use trilog_tests::admin::NewTopic;
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::waiting::{PATIENCE, wait_until};

const RECORDS: usize = 200_000;
const KEYS: usize = 500;
const PARTITIONS: i32 = 3;
const TOPIC: &str = "rdkafka-killed";

/// Counts what became of each record.
#[derive(Clone, Default)]
struct Deliveries {
    acknowledged: Arc<AtomicUsize>,
    failed: Arc<AtomicUsize>,
}

impl rdkafka::ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counter = if result.is_ok() { &self.acknowledged } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

fn producer(bootstrap: &str, deliveries: &Deliveries) -> ThreadedProducer<Deliveries> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("enable.idempotence", "true").set("linger.ms", "5");
    config.create_with_context(deliveries.clone()).unwrap()
}

/// Sends records `range`, each under key `number % KEYS` with its own number as value.
fn send(producer: &ThreadedProducer<Deliveries>, range: std::ops::Range<usize>) {
    for number in range {
        let (key, value) = (format!("key-{}", number % KEYS), number.to_string());
        let mut record = BaseRecord::to(TOPIC).key(&key).payload(&value);
        while let Err((error, back)) = producer.send(record) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            assert_eq!(error, full);
            // The client's own queue is full while nobody leads: its thread needs time, and gives no event to await.
            std::thread::sleep(Duration::from_millis(5));
            record = back;
        }
    }
}

/// Reads every partition from its beginning to its end; the values by partition, in order.
fn read_all(bootstrap: &str) -> BTreeMap<i32, Vec<(String, usize)>> {
    let mut config = ClientConfig::new();
    // The library wants a group for `assign` too; nothing is committed.
    config.set("bootstrap.servers", bootstrap).set("group.id", "unused").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.set("check.crcs", "true").create().unwrap();
    let mut assigned = TopicPartitionList::new();
    let mut missing = 0;
    for partition in 0..PARTITIONS {
        assigned.add_partition_offset(TOPIC, partition, Offset::Beginning).unwrap();
        let (low, high) = consumer.fetch_watermarks(TOPIC, partition, PATIENCE).unwrap();
        missing += high - low;
    }
    consumer.assign(&assigned).unwrap();
    let mut read: BTreeMap<i32, Vec<(String, usize)>> = BTreeMap::new();
    let start = Instant::now();
    while missing > 0 {
        assert!(start.elapsed() < PATIENCE, "{missing} records are still missing");
        // Errors are about connections that come and go; what counts is that all records come.
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) {
            let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
            let row = (text(message.key()), text(message.payload()).parse().unwrap());
            read.entry(message.partition()).or_default().push(row);
            missing -= 1;
        }
    }
    read
}

#[tokio::test]
async fn keyed_records_survive_a_leaders_death_once_and_in_order() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    cluster.create(NewTopic::new(TOPIC).partitions(PARTITIONS).replicas(3)).await;
    let deliveries = Deliveries::default();
    let producer = Arc::new(producer(&cluster.bootstrap(), &deliveries));
    let sender = Arc::clone(&producer);
    let first_half = tokio::task::spawn_blocking(move || send(&sender, 0..RECORDS / 2));
    wait_until("some are acknowledged", async || {
        (deliveries.acknowledged.load(Ordering::Relaxed) > RECORDS / 10).then_some(())
    })
    .await;
    let leader = cluster.leader(TOPIC, 0).await;
    cluster.kill(leader);
    first_half.await.unwrap();
    let sender = Arc::clone(&producer);
    let second_half = tokio::task::spawn_blocking(move || send(&sender, RECORDS / 2..RECORDS));
    cluster.leader_where(TOPIC, 0, |node| node != leader).await;
    cluster.start_node(leader);
    cluster.wait_ready().await.unwrap();
    second_half.await.unwrap();
    let flushed = tokio::task::spawn_blocking(move || producer.flush(Timeout::After(PATIENCE * 2)));
    flushed.await.unwrap().unwrap();
    assert_eq!(deliveries.failed.load(Ordering::Relaxed), 0);
    assert_eq!(deliveries.acknowledged.load(Ordering::Relaxed), RECORDS);

    let bootstrap = cluster.bootstrap();
    let read = tokio::task::spawn_blocking(move || read_all(&bootstrap)).await.unwrap();
    let mut by_key: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (key, number) in read.into_values().flatten() {
        by_key.entry(key).or_default().push(number);
    }
    assert_eq!(by_key.len(), KEYS);
    for (key, numbers) in by_key {
        let first = key.strip_prefix("key-").unwrap().parse::<usize>().unwrap();
        let sent = (first..RECORDS).step_by(KEYS);
        assert!(numbers.iter().copied().eq(sent), "the records of {key} are not those that were sent");
    }
    cluster.assert_alive();
}
