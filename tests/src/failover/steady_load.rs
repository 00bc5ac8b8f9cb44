//! A producer that sends at a steady pace, and knows what became of every record.
//!
//! It is librdkafka, idempotent, in its own words: it acknowledges to us what the broker acknowledged to it, and sends
//! again by itself. Its waits are turned down, as a service would that cares about a quarter of a second: before it
//! dials again and before it asks again who leads. How soon it gives up on a node that says nothing
//! (`socket.timeout.ms`, a minute by default) is its own patience and not the broker's; where a node falls silent, it
//! gets half a second ([`IMPATIENT`]). librdkafka looks for requests whose time is over once a second.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};

use super::diary::Diary;
use super::journal::{Gap, Journal};
use super::stage::read_numbers;
use crate::cluster::Cluster;
use crate::waiting::wait_until;

/// What every producer here is set to.
const SETTINGS: [(&str, &str); 9] = [
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("linger.ms", "0"),
    ("reconnect.backoff.ms", "10"),
    ("reconnect.backoff.max.ms", "100"),
    ("retry.backoff.ms", "20"),
    ("topic.metadata.refresh.fast.interval.ms", "20"),
    ("message.timeout.ms", "60000"),
    // Lines about connections, metadata and leaders; none for each record.
    ("debug", "broker,topic,metadata"),
];

/// What a producer is set to that does not wait for long for a node that says nothing.
pub const IMPATIENT: [(&str, &str); 1] = [("socket.timeout.ms", "500")];

/// Records a second, over all partitions.
const RATE: u32 = 1000;

/// Where a record went, and which one it is.
type Sent = Box<(usize, u64)>;

/// The journal of each partition, and what the client says meanwhile.
#[derive(Clone)]
struct Journals {
    partitions: Arc<Vec<Mutex<Journal>>>,
    diary: Arc<Diary>,
}

impl Journals {
    fn of(&self, partition: usize) -> MutexGuard<'_, Journal> {
        self.partitions[partition].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Journals {
    fn log(&self, _: RDKafkaLogLevel, subject: &str, text: &str) {
        self.diary.write(Instant::now(), format!("{subject}: {text}"));
    }
}

impl ProducerContext for Journals {
    type DeliveryOpaque = Sent;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Sent) {
        let (partition, number) = *sent;
        match result {
            Ok(message) => self.of(partition).acknowledged(number, message.offset(), Instant::now()),
            Err((error, _)) => {
                eprintln!("record {number} of partition {partition} failed: {error}");
                self.of(partition).failed(number);
            }
        }
    }
}

/// See the module. Dropped, it stops.
pub struct SteadyLoad {
    topic: String,
    partitions: usize,
    journals: Journals,
    held: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl SteadyLoad {
    /// Starts to send to a topic's partitions in turn.
    ///
    /// # Panics
    /// If librdkafka refuses the settings.
    pub fn start(cluster: &Cluster, topic: &str, partitions: usize, settings: &[(&str, &str)]) -> Self {
        let each = (0..partitions).map(|_| Mutex::default()).collect();
        let journals = Journals { partitions: Arc::new(each), diary: Arc::default() };
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Debug);
        config.set("bootstrap.servers", cluster.bootstrap());
        for (name, value) in SETTINGS.iter().chain(settings) {
            config.set(*name, *value);
        }
        let producer = config.create_with_context(journals.clone()).expect("librdkafka takes the settings");
        let (held, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let sender = Sender {
            producer,
            topic: topic.to_owned(),
            journals: journals.clone(),
            held: Arc::clone(&held),
            ended: Arc::clone(&ended),
        };
        let thread = Some(std::thread::spawn(move || sender.run()));
        Self { topic: topic.to_owned(), partitions, journals, held, ended, thread }
    }

    /// Waits until this many records of a partition were acknowledged after a moment.
    pub async fn wait_acknowledged(&self, partition: usize, since: Instant, count: usize) {
        wait_until(&format!("{count} records of partition {partition} are acknowledged"), async || {
            (self.journals.of(partition).acknowledged_since(since) >= count).then_some(())
        })
        .await;
    }

    /// The longest time without an acknowledgement of a partition that ended after a moment.
    ///
    /// # Panics
    /// If nothing was acknowledged after it.
    pub fn widest_gap(&self, partition: usize, since: Instant) -> Gap {
        self.journals.of(partition).widest_gap(since).expect("acknowledgements were waited for")
    }

    /// The same over all partitions.
    pub fn widest_gap_of_all(&self, since: Instant) -> Gap {
        let gaps = (0..self.partitions).map(|partition| self.widest_gap(partition, since));
        gaps.max().expect("there are partitions")
    }

    /// What the client said between two moments, a line each, with the time since the first one in ms.
    pub fn said_between(&self, from: Instant, to: Instant) -> String {
        self.journals.diary.between(from, to)
    }

    /// How many records failed so far: what a client surfaces to its user.
    pub fn failures(&self) -> usize {
        (0..self.partitions).map(|partition| self.journals.of(partition).failures()).sum()
    }

    /// Holds still, reads back what was written since the last time, and goes on.
    ///
    /// # Panics
    /// If anything acknowledged is lost, doubled or out of order.
    pub async fn verify(&self, cluster: &Cluster) {
        self.held.store(true, Ordering::SeqCst);
        for partition in 0..self.partitions {
            wait_until("everything sent is settled", async || {
                self.journals.of(partition).is_settled().then_some(())
            })
            .await;
            let from = self.journals.of(partition).unchecked_offset();
            let held = read_numbers(cluster, &self.topic, partition, from).await;
            let checked = self.journals.of(partition).check(&held);
            assert_eq!(checked, Ok(()), "partition {partition}");
        }
        self.held.store(false, Ordering::SeqCst);
    }
}

impl Drop for SteadyLoad {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread that sends.
struct Sender {
    producer: ThreadedProducer<Journals>,
    topic: String,
    journals: Journals,
    held: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
}

impl Sender {
    fn run(self) {
        let pace = Duration::from_secs(1) / RATE;
        let mut due = Instant::now();
        for turn in 0.. {
            // What was not sent on time, while held or while this thread did not get its turn, is not made up for.
            due = (due + pace).max(Instant::now());
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if self.ended.load(Ordering::SeqCst) {
                return;
            }
            if !self.held.load(Ordering::SeqCst) {
                self.send(turn % self.journals.partitions.len());
            }
        }
    }

    fn send(&self, partition: usize) {
        // The journal is locked until the record is sent, or somebody might find everything settled in between.
        let mut journal = self.journals.of(partition);
        let number = journal.next();
        let index = i32::try_from(partition).expect("a partition's index");
        let payload = number.to_be_bytes();
        let record = BaseRecord::<(), [u8], Sent>::with_opaque_to(&self.topic, Box::new((partition, number)))
            .payload(&payload)
            .partition(index);
        if let Err((error, _)) = self.producer.send(record) {
            eprintln!("record {number} of partition {partition} was not taken: {error}");
            journal.failed(number);
        }
    }
}
