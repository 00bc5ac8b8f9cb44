//! Real consumers, each on a thread of its own, and a ledger of what happened to all of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// A partition by topic and number.
pub type Place = (String, i32);

/// How long a poll waits.
const POLL: Duration = Duration::from_millis(50);

/// A callback of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It was given these partitions, perhaps none.
    Assigned(Vec<Place>),
    /// It has to give up these.
    Revoked(Vec<Place>),
    /// A rebalance failed.
    Failed(String),
}

/// What happened to the consumers of one group, in order.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    book: Arc<Mutex<Book>>,
}

#[derive(Debug, Default)]
struct Book {
    events: Vec<(String, Event)>,
    /// Who owns each partition now.
    owners: BTreeMap<Place, String>,
    /// Partitions that were given to somebody while somebody else had them.
    owned_twice: Vec<(Place, String, String)>,
    /// The offsets consumed, in order.
    consumed: BTreeMap<Place, Vec<i64>>,
    /// The last offset that a commit was acknowledged for.
    committed: BTreeMap<Place, i64>,
}

impl Ledger {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a callback, and what it means for who owns what.
    fn note(&self, name: &str, event: Event) {
        let mut book = self.book();
        match &event {
            Event::Assigned(list) => {
                for place in list {
                    if let Some(other) = book.owners.insert(place.clone(), name.to_owned()) {
                        book.owned_twice.push((place.clone(), other, name.to_owned()));
                    }
                }
            }
            Event::Revoked(list) => {
                for place in list {
                    if book.owners.get(place).is_some_and(|owner| owner == name) {
                        book.owners.remove(place);
                    }
                }
            }
            Event::Failed(_) => {}
        }
        book.events.push((name.to_owned(), event));
    }

    /// All callbacks so far, by consumer.
    pub fn events(&self) -> Vec<(String, Event)> {
        self.book().events.clone()
    }

    /// How many partitions each consumer owns that owns any.
    pub fn owned(&self) -> BTreeMap<String, usize> {
        let mut owned = BTreeMap::new();
        for owner in self.book().owners.values() {
            *owned.entry(owner.clone()).or_default() += 1;
        }
        owned
    }

    /// The owner of each partition.
    pub fn owners(&self) -> BTreeMap<Place, String> {
        self.book().owners.clone()
    }

    /// The offsets consumed so far, in the order they came.
    pub fn consumed(&self) -> BTreeMap<Place, Vec<i64>> {
        self.book().consumed.clone()
    }

    /// How many records were consumed so far.
    pub fn count(&self) -> usize {
        self.book().consumed.values().map(Vec::len).sum()
    }

    /// The last offset of each partition that a commit was acknowledged for.
    pub fn committed(&self) -> BTreeMap<Place, i64> {
        self.book().committed.clone()
    }

    /// Fails if a partition was ever given to a consumer while another one had it.
    ///
    /// # Panics
    /// With all callbacks, if it was so.
    pub fn assert_one_owner(&self) {
        let book = self.book();
        assert!(book.owned_twice.is_empty(), "owned twice: {:?}; {:#?}", book.owned_twice, book.events);
    }
}

/// What one consumer is told and does.
struct Diary {
    name: String,
    ledger: Ledger,
    /// What it would commit: the offset behind the last record consumed of each partition it owns.
    position: Mutex<BTreeMap<Place, i64>>,
}

impl Diary {
    fn position(&self) -> MutexGuard<'_, BTreeMap<Place, i64>> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits what was consumed and waits for the outcome. One commit at a time: of several that are on their way when
    /// a coordinator is lost, librdkafka may send an earlier one again behind a later one.
    fn commit(&self, consumer: &BaseConsumer<Self>) {
        let mut position = self.position();
        let mut offsets = TopicPartitionList::new();
        for ((topic, partition), offset) in position.iter() {
            let added = offsets.add_partition_offset(topic, *partition, Offset::Offset(*offset));
            added.expect("an offset that was consumed is one");
        }
        // A refusal is nothing to worry about: what was consumed since will be committed with it.
        if position.is_empty() || consumer.commit(&offsets, CommitMode::Sync).is_err() {
            return;
        }
        let mut book = self.ledger.book();
        for (place, offset) in std::mem::take(&mut *position) {
            book.committed.insert(place, offset);
        }
    }
}

impl ClientContext for Diary {}

impl ConsumerContext for Diary {
    // It is told before librdkafka acts, on the thread that polls: whoever gives a partition up handles none of its records
    // any more, and has not yet told the coordinator.
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let event = match rebalance {
            Rebalance::Assign(list) => Event::Assigned(places(list)),
            Rebalance::Revoke(list) => {
                self.commit(consumer);
                Event::Revoked(places(list))
            }
            Rebalance::Error(error) => Event::Failed(error.to_string()),
        };
        self.ledger.note(&self.name, event);
    }
}

fn places(list: &TopicPartitionList) -> Vec<Place> {
    let mut places: Vec<Place> =
        list.elements().iter().map(|row| (row.topic().to_owned(), row.partition())).collect();
    places.sort();
    places
}

/// A librdkafka consumer in a group, polled by a thread of its own. Dropped, it leaves the group.
#[derive(Debug)]
pub struct RealConsumer {
    name: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl RealConsumer {
    /// Subscribes a new consumer to topics. It reads from the beginning where nothing is committed, and commits whenever
    /// there is nothing to read for a moment, and what it gives up.
    ///
    /// # Panics
    /// If librdkafka refuses the settings.
    pub fn start(
        bootstrap: &str,
        group: &str,
        name: &str,
        topics: &[&str],
        settings: &[(&str, &str)],
        ledger: &Ledger,
    ) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap).set("group.id", group).set("client.id", name);
        config.set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
        config.set("reconnect.backoff.ms", "10").set("reconnect.backoff.max.ms", "100");
        for (name, value) in settings {
            config.set(*name, *value);
        }
        let diary = Diary { name: name.to_owned(), ledger: ledger.clone(), position: Mutex::default() };
        let consumer: BaseConsumer<Diary> =
            config.create_with_context(diary).expect("librdkafka takes the settings");
        consumer.subscribe(topics).expect("librdkafka takes the topics");
        let stop = Arc::new(AtomicBool::new(false));
        let stops = Arc::clone(&stop);
        let thread = std::thread::spawn(move || consume(&consumer, &stops));
        Self { name: name.to_owned(), stop, thread: Some(thread) }
    }

    /// How it is called in the ledger.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Leaves the group, with the last offsets committed.
    ///
    /// # Panics
    /// If its thread panicked.
    pub async fn leave(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = tokio::task::spawn_blocking(move || thread.join()).await;
            assert!(matches!(ended, Ok(Ok(()))), "the thread of {} ends well", self.name);
        }
    }
}

impl Drop for RealConsumer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Nobody asks for the outcome of one that was left alone.
            let _ = thread.join();
        }
    }
}

fn consume(consumer: &BaseConsumer<Diary>, stop: &AtomicBool) {
    let diary = consumer.context();
    while !stop.load(Ordering::Relaxed) {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                let place = (message.topic().to_owned(), message.partition());
                diary.position().insert(place.clone(), message.offset() + 1);
                diary.ledger.book().consumed.entry(place).or_default().push(message.offset());
            }
            // Errors are about connections that come and go; what counts is what is consumed.
            Some(Err(_)) => {}
            None => diary.commit(consumer),
        }
    }
}
