//! Producers that send as much as they are told, or as fast as the cluster takes it, and count.
//!
//! librdkafka has one request of an idempotent producer under way to a partition, and while there is more to send it looks
//! again and again whether it may, without a rest: a whole processor of two. That is no load, but a second one beside
//! it. So a partition is given one batch at a time, and the next one once all of it is acknowledged; there are partitions
//! enough to keep the cluster busy meanwhile.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use crate::cluster::Cluster;

/// Bytes of a record's value. It begins with the record's number in its partition.
const VALUE: usize = 1024;
const VALUE_BYTES: f64 = 1024.0;

/// Records of a batch, unless somebody says otherwise: half a megabyte.
const BATCH: u32 = 500;

/// How long to wait while librdkafka's queue is full.
const FULL_FOR: Duration = Duration::from_millis(1);

/// A batch leaves when it is full, and no sooner.
const SETTINGS: [(&str, &str); 6] = [
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("linger.ms", "1000"),
    ("batch.size", "1000000"),
    ("reconnect.backoff.ms", "10"),
    ("message.timeout.ms", "60000"),
];

/// How long what is in the queue may take at the end.
const FLUSH_WITHIN: Duration = Duration::from_secs(60);

/// What was acknowledged, by partition, and what failed.
#[derive(Clone)]
struct Counts {
    /// Records of a batch.
    batch: u64,
    acknowledged: Arc<Vec<AtomicU64>>,
    /// The first failure, in words.
    failure: Arc<OnceLock<String>>,
    /// Partitions of which a whole batch is settled.
    ready: Sender<usize>,
}

impl ClientContext for Counts {}

impl ProducerContext for Counts {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, partition: usize) {
        // Whoever is told that a partition is ready may have stopped to send.
        match result {
            Ok(_) => {
                let before = self.acknowledged[partition].fetch_add(1, Ordering::Relaxed);
                if (before + 1).is_multiple_of(self.batch) {
                    let _ = self.ready.send(partition);
                }
            }
            Err((error, _)) => {
                let _ = self.failure.set(error.to_string());
                let _ = self.ready.send(partition);
            }
        }
    }
}

/// How much producers send.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Demand {
    /// This many bytes of values a second.
    Steady(f64),
    /// Whatever the cluster takes.
    Limitless,
}

/// See the module. Dropped, it stops at once.
pub(super) struct Flood {
    counts: Counts,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    /// Starts to send `demand` to a topic's partitions.
    ///
    /// # Panics
    /// If librdkafka refuses the settings.
    pub(super) fn start(cluster: &Cluster, topic: &str, partitions: usize, demand: Demand) -> Self {
        Self::in_batches_of(BATCH, cluster, topic, partitions, demand)
    }

    /// As [`Self::start`], but with so many records a batch.
    pub(super) fn in_batches_of(
        batch: u32,
        cluster: &Cluster,
        topic: &str,
        partitions: usize,
        demand: Demand,
    ) -> Self {
        let acknowledged = (0..partitions).map(|_| AtomicU64::new(0)).collect();
        let (ready, turns) = channel();
        for partition in 0..partitions {
            ready.send(partition).expect("the receiver is here");
        }
        let counts = Counts {
            batch: batch.into(),
            acknowledged: Arc::new(acknowledged),
            failure: Arc::default(),
            ready,
        };
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap());
        for (name, value) in SETTINGS {
            config.set(name, value);
        }
        config.set("batch.num.messages", batch.to_string());
        let producer = config.create_with_context(counts.clone()).expect("librdkafka takes the settings");
        let ended = Arc::new(AtomicBool::new(false));
        let sender = Sending { producer, topic: topic.to_owned(), batch, turns, ended: Arc::clone(&ended) };
        let thread = Some(std::thread::spawn(move || sender.run(demand)));
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

/// What the thread that sends works with.
struct Sending {
    producer: ThreadedProducer<Counts>,
    topic: String,
    /// Records of a batch.
    batch: u32,
    turns: Receiver<usize>,
    ended: Arc<AtomicBool>,
}

impl Sending {
    /// Sends batch after batch to whichever partition is ready, until it is told to end.
    fn run(self, demand: Demand) {
        let mut value = vec![0x5a; VALUE];
        let mut numbers = HashMap::new();
        let mut due = Instant::now();
        for partition in &self.turns {
            if self.ended.load(Ordering::Relaxed) {
                break;
            }
            if let Demand::Steady(rate) = demand {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                due += Duration::from_secs_f64(f64::from(self.batch) * VALUE_BYTES / rate);
            }
            let number = numbers.entry(partition).or_insert(0_u64);
            for _ in 0..self.batch {
                value[..size_of::<u64>()].copy_from_slice(&number.to_be_bytes());
                self.send_one(partition, &value);
                *number += 1;
            }
        }
        self.producer.flush(FLUSH_WITHIN).expect("everything is settled in time");
    }

    /// Hands one record over, once librdkafka's queue has room for it.
    fn send_one(&self, partition: usize, value: &[u8]) {
        let index = i32::try_from(partition).expect("a partition's index");
        let mut record = BaseRecord::<(), [u8], usize>::with_opaque_to(&self.topic, partition).payload(value);
        record = record.partition(index);
        while let Err((error, refused)) = self.producer.send(record) {
            assert_eq!(
                error.rdkafka_error_code(),
                Some(RDKafkaErrorCode::QueueFull),
                "a record is not taken: {error}"
            );
            record = refused;
            std::thread::sleep(FULL_FOR);
        }
    }
}
