//! What scenarios share: the cluster, topics of their own, and waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use trilog_client::admin::{Admin, AdminConfig, Change, NewTopic};
use trilog_client::{Consumer, ConsumerConfig, Producer, ProducerConfig, Record, TopicPartition};

/// Where a scenario plays.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    /// The scenario's name: that of its topic and its group.
    pub(crate) name: &'static str,
    pub(crate) bootstrap: String,
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is set by tests/compat/run"))
}

impl Stage {
    pub(crate) fn of(name: &'static str) -> Self {
        Self { name, bootstrap: variable("COMPAT_BOOTSTRAP") }
    }

    pub(crate) fn admin(&self) -> Admin {
        Admin::new(AdminConfig::new(&self.bootstrap).expect("addresses")).expect("an admin client")
    }

    /// Makes the scenario's topic.
    pub(crate) async fn topic(&self, partitions: i32) {
        let topic = NewTopic::new(self.name).partitions(partitions).replicas(3);
        for (name, outcome) in self.admin().create_topics([topic], Change::Apply).await {
            outcome.unwrap_or_else(|error| panic!("topic {name}: {error}"));
        }
    }

    pub(crate) fn producer(&self, settings: &[(&str, &str)]) -> Producer {
        let own = [("bootstrap.servers", self.bootstrap.as_str()), ("linger.ms", "5")];
        let config = ProducerConfig::from_names(own.into_iter().chain(settings.iter().copied()));
        Producer::new(config.expect("settings that exist")).expect("a producer")
    }

    /// A consumer of the scenario's group.
    pub(crate) fn consumer(&self, settings: &[(&str, &str)]) -> Consumer {
        let own = [
            ("bootstrap.servers", self.bootstrap.as_str()),
            ("group.id", self.name),
            ("auto.offset.reset", "earliest"),
            ("auto.commit.interval.ms", "100"),
        ];
        let config = ConsumerConfig::from_names(own.into_iter().chain(settings.iter().copied()));
        Consumer::new(config.expect("settings that exist")).expect("a consumer")
    }

    /// Sends numbers as values, with keys, and waits until all are acknowledged.
    pub(crate) async fn send(&self, numbers: std::ops::Range<u32>) {
        let producer = self.producer(&[]);
        let mut deliveries = Vec::new();
        for number in numbers {
            let record = Record::to(self.name).key(format!("key-{}", number % 101)).value(number.to_string());
            deliveries.push(producer.send(record).await.expect("the record is taken"));
        }
        for delivery in deliveries {
            delivery.await.expect("the record is acknowledged");
        }
        producer.close().await;
    }

    /// All numbers that the topic holds, by partition, in their order.
    pub(crate) async fn all(&self) -> BTreeMap<i32, Vec<u32>> {
        let own = [("bootstrap.servers", self.bootstrap.as_str()), ("auto.offset.reset", "earliest")];
        let mut consumer =
            Consumer::new(ConsumerConfig::from_names(own).expect("settings")).expect("a consumer");
        let count = self.producer(&[]).partitions(self.name, Duration::from_secs(30)).await;
        let places = (0..count.expect("the topic is there"))
            .map(|partition| TopicPartition::new(self.name, partition));
        let places: Vec<_> = places.collect();
        consumer.assign(places.clone()).expect("it is no member");
        let marks = consumer.watermarks(places).await.expect("the partitions are led");
        let mut left: BTreeMap<_, _> = marks
            .into_iter()
            .filter(|(_, (low, high))| low < high)
            .map(|(place, (_, high))| (place, high))
            .collect();
        let mut found = BTreeMap::<i32, Vec<u32>>::new();
        while !left.is_empty() {
            let batch = consumer.poll().await.expect("records");
            let numbers = batch.records.iter().map(|record| number(record.value.as_deref()));
            found.entry(batch.partition.partition).or_default().extend(numbers);
            if left.get(&batch.partition).is_some_and(|high| batch.next_offset >= *high) {
                left.remove(&batch.partition);
            }
        }
        found
    }
}

/// The number that a value holds.
pub(crate) fn number(value: Option<&[u8]>) -> u32 {
    let text = std::str::from_utf8(value.expect("the record has a value")).expect("it is text");
    text.parse().expect("it is a number")
}

/// Each of these numbers is there once.
pub(crate) fn each_once(found: impl IntoIterator<Item = u32>, expected: std::ops::Range<u32>) {
    let mut all: Vec<_> = found.into_iter().collect();
    all.sort_unstable();
    assert!(all == expected.clone().collect::<Vec<_>>(), "{} numbers instead of {expected:?}", all.len());
}

/// Waits until `ask` gives something.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(90), waiting).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

/// Does something to a node.
pub(crate) async fn node(action: &str, number: u32) {
    let mut command = Command::new(variable("COMPAT_NODE"));
    let done = command.args([action, &number.to_string()]).status().await;
    assert!(done.expect("the program runs").success(), "{action} of node {number}");
}

/// What a member has: told by its listener, or found out.
pub(crate) type Owned = BTreeSet<i32>;

/// Ends a task, and takes its panic over.
pub(crate) async fn joined<T>(task: JoinHandle<T>) -> T {
    task.await.expect("the task ends well")
}
