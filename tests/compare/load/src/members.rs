//! Consumers of one group, polled by one thread, and what they own.
//!
//! A hundred of librdkafka's consumers have some eight hundred threads, which is a lot for a small machine; but they are
//! what members of a group are, and both clusters bear the same. Polled by a thread each they would be a hundred more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};

use crate::cluster::Cluster;

/// How often a member tells the coordinator that it lives, and so hears of a rebalance, in ms. The consumer protocol
/// leaves that to the brokers, which `run` starts with the same.
const HEARTBEAT_MS: &str = "500";

/// How long no callback may come for a group to count as settled.
const QUIET: Duration = Duration::from_secs(3);

/// How long a group may take to settle.
const PATIENCE: Duration = Duration::from_secs(120);

/// Between two rounds of polling.
const PAUSE: Duration = Duration::from_millis(1);

/// What a group's callbacks have told.
#[derive(Default)]
pub struct Told {
    /// How many partitions each member has that has any.
    pub owned: BTreeMap<usize, usize>,
    /// Callbacks so far.
    pub callbacks: usize,
    /// The last one.
    last: Option<Instant>,
}

/// The callbacks of one member.
#[derive(Clone)]
pub struct Ear {
    member: usize,
    told: Arc<Mutex<Told>>,
}

impl ClientContext for Ear {}

impl ConsumerContext for Ear {
    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, _: &Rebalance<'_>) {
        let owned = consumer.assignment().map_or(0, |list| list.count());
        if let Ok(mut told) = self.told.lock() {
            told.owned.insert(self.member, owned);
            told.owned.retain(|_, owned| *owned > 0);
            told.callbacks += 1;
            told.last = Some(Instant::now());
        }
    }
}

/// Members of one group.
pub struct Members {
    pub consumers: BTreeMap<usize, BaseConsumer<Ear>>,
    told: Arc<Mutex<Told>>,
}

/// The settings of a member in `classic` or in `consumer` protocol.
fn settings(group: &str, protocol: &str) -> Result<Vec<(String, String)>> {
    let own = match protocol {
        "classic" => {
            vec![("heartbeat.interval.ms", HEARTBEAT_MS), ("partition.assignment.strategy", "range")]
        }
        "consumer" => vec![("group.protocol", "consumer"), ("group.remote.assignor", "range")],
        other => bail!("there is no protocol {other}"),
    };
    let all = [
        ("group.id", group),
        ("enable.auto.commit", "false"),
        ("reconnect.backoff.ms", "10"),
        ("reconnect.backoff.max.ms", "100"),
    ];
    Ok(all.into_iter().chain(own).map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

impl Members {
    /// So many consumers that are connected and not yet subscribed.
    pub fn new(cluster: &Cluster, group: &str, protocol: &str, count: usize) -> Result<Self> {
        let settings = settings(group, protocol)?;
        let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let told = Arc::new(Mutex::new(Told::default()));
        let mut consumers = BTreeMap::new();
        for member in 0..count {
            let ear = Ear { member, told: Arc::clone(&told) };
            consumers.insert(member, cluster.config(&settings).create_with_context(ear)?);
        }
        Ok(Self { consumers, told })
    }

    /// Has all of them subscribe.
    pub fn subscribe(&self, topic: &str) -> Result<()> {
        for consumer in self.consumers.values() {
            consumer.subscribe(&[topic])?;
        }
        Ok(())
    }

    /// Serves all of them once.
    pub fn poll(&self) {
        for consumer in self.consumers.values() {
            // Whatever comes is about connections, or a record that nobody wants.
            let _ = consumer.poll(Duration::ZERO);
        }
        thread::sleep(PAUSE);
    }

    /// Serves all of them until together they own so many partitions, and then as long as it takes to be sure that this
    /// is the end of it. The moment of the last callback.
    pub fn settle(&self, partitions: usize) -> Result<Instant> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            self.poll();
            let told = self.told()?;
            let complete = told.owned.values().sum::<usize>() == partitions
                && told.owned.len() == self.consumers.len().min(partitions);
            if let Some(last) = told.last
                && complete
                && last.elapsed() > QUIET
            {
                return Ok(last);
            }
        }
        bail!("{} members do not settle within {PATIENCE:?}", self.consumers.len())
    }

    /// How many callbacks there were.
    pub fn callbacks(&self) -> Result<usize> {
        Ok(self.told()?.callbacks)
    }

    /// Leaves them as they are, to end with the process. To close them takes seconds each, as the others are not served
    /// meanwhile and keep a rebalance waiting.
    pub fn abandon(self) {
        std::mem::forget(self.consumers);
    }

    fn told(&self) -> Result<std::sync::MutexGuard<'_, Told>> {
        self.told.lock().map_err(|_| anyhow!("a callback panicked"))
    }
}
