//! The producer and the consumer of `trilog-client`, in the parts that [`producer`](super::producer) and
//! [`member`](super::member) give to librdkafka's. The same checker judges both.

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use trilog_client::consumer::{CallbackFuture, CommitOffset, Committer, RebalanceListener};
use trilog_client::{Consumer, ConsumerConfig, ErrorClass, Producer, ProducerConfig, Record, TopicPartition};

use super::Stage;
use super::diary::Diary;
use super::member::{COMMIT_EVERY, GroupProtocol, POLL};
use super::payload::{payload, seen};
use super::producer::KEYS;
use crate::history::{Deed, Micros, Outcome, Place, Recorder, Sending};
use crate::waiting::PATIENCE;

/// Settings of every client here: impatient, and quick to come back.
const IMPATIENT: [(&str, &str); 6] = [
    ("request.timeout.ms", "1000"),
    ("socket.connection.setup.timeout.ms", "1000"),
    ("reconnect.backoff.ms", "10"),
    ("reconnect.backoff.max.ms", "200"),
    ("retry.backoff.ms", "20"),
    ("retry.backoff.max.ms", "200"),
];

/// A runtime for one client, on the thread of the caller.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("the system gives a runtime")
}

/// What the thread of a producer needs.
pub(super) struct Sends {
    pub(super) client: String,
    pub(super) topic: String,
    pub(super) first: u64,
    pub(super) rate: u32,
    pub(super) recorder: Recorder,
    pub(super) stop: Arc<AtomicBool>,
}

impl Sends {
    /// Sends until it is told to stop, and until all is settled.
    ///
    /// # Panics
    /// If the client refuses the settings.
    pub(super) fn run(self, bootstrap: &str) {
        let patience = (PATIENCE * 3).as_millis().to_string();
        let own = [
            ("bootstrap.servers", bootstrap),
            ("client.id", self.client.as_str()),
            ("linger.ms", "2"),
            ("delivery.timeout.ms", patience.as_str()),
            ("max.block.ms", patience.as_str()),
        ];
        let config =
            ProducerConfig::from_names(own.into_iter().chain(IMPATIENT)).expect("settings that exist");
        runtime().block_on(async {
            let producer = Producer::new(config).expect("the client takes the settings");
            self.recorder.happened(&self.client, Deed::Produces);
            let deed = match self.send(&producer).await {
                Ok(sent) => Deed::Settled { sent },
                Err(why) => Deed::GaveUp { why },
            };
            self.recorder.happened(&self.client, deed);
        });
    }

    async fn send(&self, producer: &Producer) -> Result<u64, String> {
        let (mut due, interval) = (Instant::now(), Duration::from_secs(1) / self.rate);
        let mut fates = JoinSet::new();
        let mut sent = 0;
        for value in self.first.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            sleep(due.saturating_duration_since(Instant::now())).await;
            due += interval;
            while fates.try_join_next().is_some() {}
            let invoked = self.recorder.now();
            let record =
                Record::to(self.topic.as_str()).key((value % KEYS).to_string()).value(payload(value));
            let delivery = producer.send(record).await;
            let delivery = delivery.map_err(|error| format!("value {value} was not taken: {error}"))?;
            sent += 1;
            let note = self.note(value, invoked);
            fates.spawn(async move { note(delivery.await) });
        }
        let settled = async { while fates.join_next().await.is_some() {} };
        match timeout(PATIENCE, settled).await {
            Ok(()) => Ok(sent),
            Err(_) => Err(format!("{} records are not settled {PATIENCE:?} after all is well", fates.len())),
        }
    }

    /// Writes down what became of a record.
    fn note(
        &self,
        value: u64,
        invoked: Micros,
    ) -> impl FnOnce(Result<trilog_client::Delivered, trilog_client::Error>) + Send + use<> {
        let (client, topic, recorder) = (self.client.clone(), self.topic.clone(), self.recorder.clone());
        move |fate| {
            let (partition, sending) = match fate {
                Ok(delivered) => (delivered.partition, Sending::Acknowledged { offset: delivered.offset }),
                Err(error) => {
                    let why = format!("value {value}: {error}");
                    recorder.happened(&client, Deed::GaveUp { why });
                    return;
                }
            };
            let place = Place::new(&topic, partition);
            recorder.ended(&client, invoked, Deed::Send { place, value, sending });
        }
    }
}

/// Is told what the member has.
struct Listener(Arc<Diary>);

fn places(partitions: BTreeSet<TopicPartition>) -> Vec<Place> {
    partitions.into_iter().map(|place| Place::new(&place.topic, place.partition)).collect()
}

impl RebalanceListener for Listener {
    fn revoked(&self, _committer: Committer, partitions: BTreeSet<TopicPartition>) -> CallbackFuture {
        self.0.revoked(places(partitions));
        Box::pin(ready(()))
    }

    fn lost(&self, partitions: BTreeSet<TopicPartition>) -> CallbackFuture {
        self.0.revoked(places(partitions));
        Box::pin(ready(()))
    }

    fn assigned(&self, partitions: BTreeSet<TopicPartition>) -> CallbackFuture {
        self.0.assigned(places(partitions));
        Box::pin(ready(()))
    }
}

/// Polls, and commits meanwhile, until it is told to stop; then it leaves the group.
///
/// # Panics
/// If the client refuses the settings.
pub(super) fn consume(stage: &Stage, protocol: GroupProtocol, diary: Diary, stop: &AtomicBool) {
    let bootstrap = stage.bootstrap();
    let of_protocol: &[(&str, &str)] = match protocol {
        GroupProtocol::Classic => &[
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("session.timeout.ms", "4000"),
            ("heartbeat.interval.ms", "200"),
        ],
        GroupProtocol::Consumer => &[("group.remote.assignor", "uniform")],
    };
    let own = [
        ("bootstrap.servers", bootstrap.as_str()),
        ("client.id", diary.client.as_str()),
        ("group.id", diary.group.as_str()),
        ("group.protocol", protocol.name()),
        ("auto.offset.reset", "earliest"),
        ("enable.auto.commit", "false"),
        ("fetch.max.wait.ms", "200"),
        ("default.api.timeout.ms", "3000"),
    ];
    let names = own.into_iter().chain(IMPATIENT).chain(of_protocol.iter().copied());
    let config = ConsumerConfig::from_names(names).expect("settings that exist");
    let diary = Arc::new(diary);
    runtime().block_on(async {
        let mut consumer = Consumer::new(config).expect("the client takes the settings");
        consumer.set_listener(Listener(Arc::clone(&diary)));
        consumer.subscribe([stage.topic.as_str()]).expect("the consumer has a group");
        let (mut committing, mut since) = (None::<JoinHandle<()>>, Instant::now());
        let mut leaves = false;
        loop {
            poll(&mut consumer, &diary).await;
            if committing.as_ref().is_some_and(|commit| !commit.is_finished()) {
                continue;
            }
            if leaves {
                break;
            }
            leaves = stop.load(Ordering::Relaxed);
            if leaves || since.elapsed() > COMMIT_EVERY {
                since = Instant::now();
                let offsets = diary.take_position();
                let some = !offsets.is_empty();
                let commit = commit(Arc::clone(&diary), consumer.committer(), offsets);
                committing = some.then(|| tokio::spawn(commit));
            }
        }
        diary.end_run();
        // Nothing is left to commit, so that it fails only where the group is not told.
        let _ = consumer.close().await;
    });
}

async fn poll(consumer: &mut Consumer, diary: &Diary) {
    match timeout(POLL, consumer.poll()).await {
        Ok(Ok(batch)) => {
            let place = Place::new(&batch.partition.topic, batch.partition.partition);
            for record in &batch.records {
                let offset = record.offset.0;
                diary.read(place.clone(), offset, seen(offset, record.value.as_deref()));
            }
        }
        // What passes is told by nobody else either; what does not is a fault.
        Ok(Err(error)) if error.class() == ErrorClass::Retriable => {}
        Ok(Err(error)) => {
            diary.gave_up(format!("the consumer: {error}"));
            sleep(POLL).await;
        }
        Err(_) => diary.end_run(),
    }
}

/// Commits these offsets and waits for the outcome. Not even a refusal is certain: the client asks again when a connection breaks,
/// and tells the last answer.
async fn commit(diary: Arc<Diary>, committer: Committer, offsets: BTreeMap<Place, i64>) {
    let named = offsets.iter().map(|(place, offset)| {
        (TopicPartition::new(place.topic.as_str(), place.partition), CommitOffset::at(*offset))
    });
    let invoked = diary.recorder.now();
    let outcome = match committer.commit_offsets(named.collect()).await {
        Ok(()) => Outcome::Acknowledged,
        Err(_) => Outcome::Unknown,
    };
    diary.committed(invoked, offsets, outcome);
}
