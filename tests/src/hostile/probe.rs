//! A client that produces and consumes a record on each node every 200 ms, and notes how long the slowest one took.
//!
//! The probe has a thread and a runtime of its own, so that an attack from the same process does not slow it down. A record
//! counts from its first attempt: an error, a closed connection and a new leader are part of what it takes.

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kafka_protocol::messages::{FetchRequest, ProduceRequest};
use tokio::sync::watch;
use tokio::task::JoinSet;
use trilog_client::wire::{Connection, ConnectionOptions};

use crate::admin::{NewTopic, topic_metadata};
use crate::batch::values;
use crate::cluster::Cluster;
use crate::partition::Partition;
use crate::requests::{FetchPlan, Target, fetched, only, produced};

/// The topic of the probe's records: a partition for each node to lead.
pub const TOPIC: &str = "probe";

/// How often a record is produced.
const INTERVAL: Duration = Duration::from_millis(200);

/// The pause after a failed attempt.
const RETRY: Duration = Duration::from_millis(20);

/// How long the probe goes on with a record when the attack is over.
const LAST_RECORD_WITHIN: Duration = Duration::from_secs(60);

/// What the probe felt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Felt {
    /// Records that were acknowledged and delivered.
    pub acknowledged: u64,
    /// Attempts that failed.
    pub failed_attempts: u64,
    /// The longest time from a record's first attempt to its acknowledgement.
    pub worst_acknowledgement: Duration,
    /// The longest time from a record's acknowledgement to its delivery.
    pub worst_delivery: Duration,
}

impl Felt {
    fn join(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.failed_attempts += other.failed_attempts;
        self.worst_acknowledgement = self.worst_acknowledgement.max(other.worst_acknowledgement);
        self.worst_delivery = self.worst_delivery.max(other.worst_delivery);
    }
}

/// A probe at work.
#[derive(Debug)]
pub struct Probe {
    stop: watch::Sender<bool>,
    thread: JoinHandle<Felt>,
}

impl Probe {
    /// Creates the topic and starts. Returns once every node has acknowledged a record.
    ///
    /// # Panics
    /// If that does not happen.
    pub async fn start(cluster: &Cluster) -> Self {
        let ids = cluster.ids();
        let mut topic = NewTopic::new(TOPIC);
        for (partition, first) in (0..).zip(0..ids.len()) {
            let replicas: Vec<i32> = ids.iter().cycle().skip(first).take(ids.len().min(3)).copied().collect();
            topic = topic.assign(partition, &replicas);
        }
        cluster.create(topic).await;
        cluster.wait_preferred(TOPIC).await;
        let addresses: Vec<String> = ids.iter().map(|id| cluster.node(*id).address().to_owned()).collect();
        let (stop, stopped) = watch::channel(false);
        let (begun, has_begun) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime starts").block_on(run(addresses, stopped, begun))
        });
        let waited = tokio::task::spawn_blocking(move || has_begun.recv_timeout(LAST_RECORD_WITHIN)).await;
        waited.expect("no panic").expect("the probe begins before the attack");
        Self { stop, thread }
    }

    /// Ends the probe with the records that it is at.
    ///
    /// # Panics
    /// If such a record is not served.
    pub fn stop(self) -> Felt {
        self.stop.send_replace(true);
        self.thread.join().expect("the probe's records are served")
    }
}

async fn run(addresses: Vec<String>, stop: watch::Receiver<bool>, begun: mpsc::Sender<()>) -> Felt {
    let mut lanes = JoinSet::new();
    let mut felt = Felt::default();
    let partitions = i32::try_from(addresses.len()).expect("a few nodes");
    let mut first = Vec::new();
    for partition in 0..partitions {
        let mut lane = Lane { addresses: addresses.clone(), partition, leader: None };
        felt.join(&lane.record().await);
        first.push(lane);
    }
    // Connecting is no part of what the attack costs.
    felt = Felt { acknowledged: felt.acknowledged, ..Felt::default() };
    // Its receiver is gone if the test has given up.
    let _ = begun.send(());
    for lane in first {
        lanes.spawn(lane.run(stop.clone()));
    }
    while let Some(lane) = lanes.join_next().await {
        felt.join(&lane.expect("a lane ends without a panic"));
    }
    felt
}

/// One partition.
struct Lane {
    addresses: Vec<String>,
    partition: i32,
    leader: Option<Partition>,
}

impl Lane {
    async fn run(mut self, mut stop: watch::Receiver<bool>) -> Felt {
        let mut felt = Felt::default();
        let mut ticks = tokio::time::interval(INTERVAL);
        while !*stop.borrow() {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stop.changed() => break,
            }
            let mut given_up = stop.clone();
            let too_late = async {
                let _ = given_up.wait_for(|stop| *stop).await;
                tokio::time::sleep(LAST_RECORD_WITHIN).await;
            };
            tokio::select! {
                one = self.record() => felt.join(&one),
                () = too_late => panic!("a record of partition {} is not served after the attack", self.partition),
            }
        }
        felt
    }

    /// Produces a record and reads it back, however often it takes.
    async fn record(&mut self) -> Felt {
        let mut felt = Felt { acknowledged: 1, ..Felt::default() };
        let begun = Instant::now();
        let offset = loop {
            match self.produce().await {
                Some(offset) => break offset,
                None => self.failed(&mut felt).await,
            }
        };
        felt.worst_acknowledgement = begun.elapsed();
        let acknowledged = Instant::now();
        while self.fetch(offset).await.is_none() {
            self.failed(&mut felt).await;
        }
        felt.worst_delivery = acknowledged.elapsed();
        felt
    }

    async fn failed(&mut self, felt: &mut Felt) {
        felt.failed_attempts += 1;
        self.leader = None;
        tokio::time::sleep(RETRY).await;
    }

    async fn produce(&mut self) -> Option<i64> {
        let Partition { connection, target } = self.leader().await?;
        let version = connection.versions().negotiate::<ProduceRequest>().ok()?;
        let answer = connection.request(target.produce(version, -1, values(1, &["probe"]))).await.ok()?;
        let answer = produced(answer);
        (answer.error_code == 0).then_some(answer.base_offset)
    }

    async fn fetch(&mut self, offset: i64) -> Option<()> {
        let Partition { connection, target } = self.leader().await?;
        let version = connection.versions().negotiate::<FetchRequest>().ok()?;
        let plan = FetchPlan { max_wait_ms: 1_000, min_bytes: 1, ..FetchPlan::from(offset) };
        let answer = fetched(connection.request(target.fetch(version, plan)).await.ok()?);
        (answer.error_code == 0 && answer.high_watermark > offset).then_some(())
    }

    /// A connection to the partition's leader, by the word of any node.
    async fn leader(&mut self) -> Option<Partition> {
        if let Some(leader) = &self.leader {
            return Some(leader.clone());
        }
        for address in &self.addresses {
            let Some(asked) = connect(address).await else { continue };
            let Ok(metadata) = topic_metadata(&asked, TOPIC).await else { continue };
            let mut brokers = metadata.brokers.iter();
            let topic = only(metadata.topics);
            let rows = topic.partitions.iter();
            let Some(row) = rows.into_iter().find(|row| row.partition_index == self.partition) else {
                continue;
            };
            let Some(broker) = brokers.find(|broker| broker.node_id == row.leader_id) else { continue };
            let Some(connection) = connect(&format!("{}:{}", broker.host, broker.port)).await else {
                continue;
            };
            let target = Target { topic: TOPIC.to_owned(), id: topic.topic_id, partition: self.partition };
            self.leader = Some(Partition { connection, target });
            return self.leader.clone();
        }
        None
    }
}

async fn connect(address: &str) -> Option<Connection> {
    let options = ConnectionOptions {
        client_id: "probe".to_owned(),
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(30),
        ..ConnectionOptions::default()
    };
    Connection::connect(address, &options).await.ok()
}
