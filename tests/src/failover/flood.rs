//! A producer that sends as fast as the cluster takes it, and counts.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use crate::cluster::Cluster;

/// Bytes of a record's value. It begins with the record's number in its partition.
pub(super) const VALUE: usize = 1024;

/// librdkafka's own queue, which is full all the time: a tenth of a second's worth or two.
const SETTINGS: [(&str, &str); 7] = [
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("linger.ms", "5"),
    ("batch.size", "1000000"),
    ("queue.buffering.max.messages", "20000"),
    ("reconnect.backoff.ms", "10"),
    ("message.timeout.ms", "60000"),
];

/// How long what is in the queue may take at the end.
const FLUSH_WITHIN: Duration = Duration::from_secs(60);

/// What was acknowledged, by partition, and what failed.
#[derive(Clone)]
struct Counts {
    acknowledged: Arc<Vec<AtomicU64>>,
    /// The first failure, in words.
    failure: Arc<OnceLock<String>>,
}

impl ClientContext for Counts {}

impl ProducerContext for Counts {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, partition: usize) {
        match result {
            Ok(_) => {
                self.acknowledged[partition].fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                let _ = self.failure.set(error.to_string());
            }
        }
    }
}

/// See the module. Dropped, it stops at once.
pub(super) struct Flood {
    counts: Counts,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    /// Starts to send to a topic's partitions in turn.
    ///
    /// # Panics
    /// If librdkafka refuses the settings.
    pub(super) fn start(cluster: &Cluster, topic: &str, partitions: usize) -> Self {
        let acknowledged = (0..partitions).map(|_| AtomicU64::new(0)).collect();
        let counts = Counts { acknowledged: Arc::new(acknowledged), failure: Arc::default() };
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap());
        for (name, value) in SETTINGS {
            config.set(name, value);
        }
        let producer = config.create_with_context(counts.clone()).expect("librdkafka takes the settings");
        let ended = Arc::new(AtomicBool::new(false));
        let (topic, ends) = (topic.to_owned(), Arc::clone(&ended));
        let thread = Some(std::thread::spawn(move || send(&producer, &topic, partitions, &ends)));
        Self { counts, ended, thread }
    }

    /// Bytes of values acknowledged so far.
    pub(super) fn bytes(&self) -> u64 {
        let records: u64 = self.counts.acknowledged.iter().map(|count| count.load(Ordering::Relaxed)).sum();
        records * u64::try_from(VALUE).expect("a small number")
    }

    /// Bytes acknowledged in a second, over a span that begins now.
    pub(super) async fn rate(&self, span: Duration) -> f64 {
        let (start, before) = (Instant::now(), self.bytes());
        tokio::time::sleep(span).await;
        rate(self.bytes() - before, start.elapsed())
    }

    /// Stops, and returns how many records of each partition were acknowledged: all that were sent.
    ///
    /// # Panics
    /// If any failed.
    pub(super) async fn finish(mut self) -> Vec<u64> {
        self.ended.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let ended = tokio::task::spawn_blocking(move || thread.join()).await;
            assert!(matches!(ended, Ok(Ok(()))), "the sender ends well");
        }
        assert_eq!(self.counts.failure.get(), None, "no error that a client surfaces");
        self.counts.acknowledged.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Bytes a second.
#[expect(clippy::cast_precision_loss, reason = "a figure")]
pub(super) fn rate(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64()
}

fn send(producer: &ThreadedProducer<Counts>, topic: &str, partitions: usize, ended: &AtomicBool) {
    let mut value = vec![0x5a; VALUE];
    let mut number = 0_u64;
    while !ended.load(Ordering::Relaxed) {
        value[..size_of::<u64>()].copy_from_slice(&number.to_be_bytes());
        for partition in 0..partitions {
            send_one(producer, topic, partition, &value);
        }
        number += 1;
    }
    producer.flush(FLUSH_WITHIN).expect("everything is settled in time");
}

/// Hands one record over, waiting while librdkafka's queue is full.
fn send_one(producer: &ThreadedProducer<Counts>, topic: &str, partition: usize, value: &[u8]) {
    let index = i32::try_from(partition).expect("a partition's index");
    let record = BaseRecord::<(), [u8], usize>::with_opaque_to(topic, partition).payload(value);
    let mut record = record.partition(index);
    loop {
        match producer.send(record) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                record = refused;
                std::thread::sleep(Duration::from_millis(1));
            }
            Err((error, _)) => panic!("a record is not taken: {error}"),
        }
    }
}
