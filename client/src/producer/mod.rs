//! Sending records.
//!
//! A [`Producer`] collects records into batches, a batch a partition, and sends each to the broker that leads its partition.
//! `send` resolves once the record is accepted, and gives a [`Delivery`], which resolves once it is acknowledged:
//!
//! ```no_run
//! use trilog_client::{Producer, ProducerConfig, Record};
//!
//! # async fn example() -> Result<(), trilog_client::Error> {
//! let producer = Producer::new(ProducerConfig::new("127.0.0.1:9092")?)?;
//!
//! let delivery = producer.send(Record::to("orders").key("customer-7").value("three")).await?;
//! let delivered = delivery.await?;
//! println!("partition {}, offset {:?}", delivered.partition, delivered.offset);
//!
//! producer.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//!
//! By default a producer is idempotent and waits for all replicas in sync: a record that is acknowledged is neither lost nor
//! doubled, and the records of a partition are in the order of their `send`s, whatever is retried. A record that is given up is
//! [reported](Delivery); the ones behind it go on in a new epoch of the producer, so that no broker takes them for out of order.
//!
//! With a `transactional.id`, records belong to [transactions](Transaction): those of one are seen by readers together or not at all.
//!
//! # How it is built
//!
//! | room | what it tells |
//! | --- | --- |
//! | `machine` | the whole producer without sockets and clocks: topics, queues, nodes, the producer id |
//! | `queue` | one partition: the order of batches, retries, sequence numbers and epochs |
//! | `sticky`, `partitioner` | which partition a record goes to |
//! | `verdict` | what a broker's error code means for a batch |
//! | `transactions` | the producer's transactions: their states, the requests to their coordinator, what errors mean |
//! | `transaction` | the application's side of a transaction |
//! | `driver`, `lane` | the tasks with the clock and the sockets |
//! | `messages`, `encode` | Kafka's messages |

mod batch;
mod config;
mod delivery;
mod driver;
mod encode;
mod flush;
mod lane;
mod machine;
mod messages;
mod partitioner;
mod queue;
mod record;
mod sequence;
mod shared;
mod sticky;
#[cfg(test)]
mod tests;
mod topic;
mod transaction;
mod transactions;
mod verdict;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thiserror::Error;
use tokio::sync::{SemaphorePermit, TryAcquireError};
use tokio::time::timeout;

pub use self::config::{Acks, ProducerConfig};
pub use self::delivery::{Delivered, Delivery};
use self::driver::Driver;
use self::lane::Terms;
use self::machine::{Machine, Setup};
use self::messages::Encoding;
pub use self::partitioner::Partitioner;
pub use self::record::Record;
use self::shared::Shared;
pub use self::transaction::Transaction;
use self::transactions::Transactional;
use crate::Error;
use crate::cluster::Cluster;
use crate::metrics::Metrics;

/// What a record takes of `buffer.memory` beside its bytes: its place in a batch, and the delivery that waits for it.
const RECORD_OVERHEAD: usize = 128;

/// Sends records to a cluster. Cheap to clone; all clones are one producer.
///
/// When the last clone is dropped, records that were accepted are still sent, as long as the runtime lives.
/// [`close`](Self::close) waits for them.
#[derive(Clone, Debug)]
pub struct Producer {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    cluster: Cluster,
    max_record: usize,
    max_block: Duration,
    bootstrap: String,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// Why [`Producer::try_send`] did not accept a record.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrySendError {
    /// `buffer.memory` is full. The record comes back.
    #[error("the producer's memory is full (buffer.memory)")]
    Full(Box<Record>),
    /// The record can never be sent, or the producer is closed.
    #[error(transparent)]
    Refused(#[from] Error),
}

impl Producer {
    /// Starts a producer, on the tokio runtime of the caller. It connects by itself; nothing is awaited.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn new(config: ProducerConfig) -> Result<Self, Error> {
        config.validate()?;
        let setup = Setup {
            rules: config.rules(),
            is_idempotent: config.is_idempotent(),
            is_transactional: config.transactional_id.is_some(),
            max_in_flight: config.max_in_flight,
            max_request_size: config.max_request_size,
            max_block: config.max_block,
            partitioner: config.partitioner.clone(),
            ignores_keys: config.ignores_keys,
            is_adaptive: config.is_adaptive,
            availability_timeout: config.availability_timeout,
            seed: fastrand::u64(..),
        };
        let shared = Arc::new(Shared::new(Machine::new(setup), config.buffer_memory));
        let cluster = Cluster::start(config.common.clone());
        let terms = Terms {
            acks: config.acks,
            timeout: config.common.request_timeout,
            encoding: Encoding {
                compression: config.compression_level()?,
                bytes_sent: Arc::clone(&shared.counters.bytes_sent),
            },
            transactional: config.transactional_id.as_deref().map(|id| Transactional {
                id: id.into(),
                timeout: config.transaction_timeout,
                patience: config.common.request_timeout,
            }),
        };
        let driver = Driver::new(Arc::clone(&shared), cluster.clone(), terms, config.max_in_flight);
        tokio::spawn(driver.run());
        let handle = Handle {
            shared,
            cluster,
            max_record: config.max_request_size.min(config.buffer_memory.saturating_sub(RECORD_OVERHEAD)),
            max_block: config.max_block,
            bootstrap: config.bootstrap_servers().join(","),
        };
        Ok(Self { handle: Arc::new(handle) })
    }

    /// Accepts a record, and waits for memory if there is none, at most `max.block.ms`. Records that one task sends one after
    /// the other to a partition stay in that order.
    ///
    /// # Errors
    ///
    /// [`Error::RecordTooLarge`], [`Error::Timeout`] if there was no memory in time, [`Error::Closed`]. With a `transactional.id`,
    /// [`Error::TransactionState`] outside of a transaction, and [`Error::NeedsAbort`] in one that has failed. What happens to an
    /// accepted record, its [`Delivery`] tells.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, the record was not accepted.
    pub async fn send(&self, record: Record) -> Result<Delivery, Error> {
        self.send_in(None, record).await
    }

    /// Accepts a record, in the transaction of this number if there is one.
    async fn send_in(&self, transaction: Option<u64>, record: Record) -> Result<Delivery, Error> {
        let (charge, timestamp) = self.admit(&record)?;
        let shared = &self.handle.shared;
        let permits = u32::try_from(charge).unwrap_or(u32::MAX);
        let permit = if let Ok(permit) = shared.memory.try_acquire_many(permits) {
            permit
        } else {
            let _starving = shared.starve();
            let limit = self.handle.max_block;
            let acquired = timeout(limit, shared.memory.acquire_many(permits)).await;
            let full = |_| {
                let cause = format!("buffer.memory ({} bytes) stayed full", shared.buffer_memory);
                Error::Timeout { what: "to send a record", limit, cause }
            };
            acquired.map_err(full)?.map_err(|_| Error::Closed)?
        };
        self.accept(transaction, record, (charge, timestamp), permit)
    }

    /// Accepts a record if there is memory for it.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] if there is none; otherwise as [`Producer::send`].
    pub fn try_send(&self, record: Record) -> Result<Delivery, TrySendError> {
        let (charge, timestamp) = self.admit(&record)?;
        let permits = u32::try_from(charge).unwrap_or(u32::MAX);
        match self.handle.shared.memory.try_acquire_many(permits) {
            Ok(permit) => Ok(self.accept(None, record, (charge, timestamp), permit)?),
            Err(TryAcquireError::NoPermits) => Err(TrySendError::Full(Box::new(record))),
            Err(TryAcquireError::Closed) => Err(Error::Closed.into()),
        }
    }

    /// What a record takes of the memory, and its timestamp.
    fn admit(&self, record: &Record) -> Result<(usize, i64), Error> {
        if self.handle.shared.is_closed() {
            return Err(Error::Closed);
        }
        if !is_topic_name(&record.topic) {
            return Err(Error::Unencodable { cause: format!("{:?} is no name of a topic", record.topic) });
        }
        let timestamp = record.timestamp.unwrap_or_else(now_ms);
        if timestamp < 0 {
            let cause = format!("its timestamp is {timestamp}, before 1970");
            return Err(Error::Unencodable { cause });
        }
        let (size, limit) = (batch::len_alone(record, timestamp), self.handle.max_record);
        if size > limit {
            return Err(Error::RecordTooLarge { size, limit });
        }
        Ok((size + RECORD_OVERHEAD, timestamp))
    }

    /// Appends a record, unless the producer was closed meanwhile: then its memory is free again.
    fn accept(
        &self,
        transaction: Option<u64>,
        record: Record,
        (charge, timestamp): (usize, i64),
        memory: SemaphorePermit<'_>,
    ) -> Result<Delivery, Error> {
        let shared = &self.handle.shared;
        let (token, delivery) = Delivery::channel();
        let is_due = {
            let mut machine = shared.machine();
            machine.admit(transaction)?;
            machine.append(record, token, charge, timestamp, shared.now())?
        };
        memory.forget();
        shared.counters.accepted.add(1);
        if is_due {
            shared.changed.notify_one();
        }
        Ok(delivery)
    }

    /// Sends what was accepted before without lingering, and waits until every such record has its fate.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the records are sent all the same.
    pub async fn flush(&self) {
        let shared = &self.handle.shared;
        let flush = shared.machine().begin_flush();
        shared.changed.notify_one();
        shared.flushed(flush).await;
    }

    /// Accepts no further record, from any clone, and waits until every accepted one has its fate: at most
    /// `delivery.timeout.ms`, or `max.block.ms` for a topic that does not exist. A `send` that waits for memory is refused. An open
    /// transaction is aborted first, which takes at most `max.block.ms`.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the producer closes all the same.
    pub async fn close(&self) {
        self.handle.shared.close();
        self.flush().await;
        self.at_rest().await;
    }

    /// Waits until the cluster has answered, so that a wrong address shows before the first record times out.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] with what stood in the way.
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing has changed.
    pub async fn ready(&self, limit: Duration) -> Result<(), Error> {
        let mut known = self.handle.cluster.watch();
        match timeout(limit, known.wait_for(|known| !known.brokers.is_empty())).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(Error::Closed),
            Err(_) => {
                let cause = format!("{}: {}", self.handle.bootstrap, self.handle.cluster.unreachable());
                Err(Error::Timeout { what: "to reach the cluster", limit, cause })
            }
        }
    }

    /// How many partitions a topic has. Waits for `limit` until that is known; a topic that does not exist is made meanwhile, where
    /// brokers do that.
    ///
    /// # Errors
    ///
    /// [`Error::Broker`] with what brokers say of the topic, as that it does not exist; [`Error::Timeout`] if none says anything.
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing has changed.
    pub async fn partitions(&self, topic: &str, limit: Duration) -> Result<i32, Error> {
        self.handle.cluster.partitions(topic, limit).await
    }

    /// What the producer has counted so far.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let (shared, cluster) = (&self.handle.shared, self.handle.cluster.counters());
        let tally = shared.machine().tally();
        let free = shared.memory.available_permits();
        Metrics {
            connections: cluster.connections.get(),
            failed_connections: cluster.failed_connections.get(),
            metadata_refreshes: cluster.metadata_refreshes.get(),
            leader_hints: cluster.leader_hints.get(),
            records_accepted: shared.counters.accepted.get(),
            records_delivered: shared.counters.delivered.get(),
            records_failed: shared.counters.failed.get(),
            batches_sent: tally.batches,
            batches_retried: tally.retries,
            requests_sent: tally.requests,
            bytes_sent: shared.counters.bytes_sent.get(),
            buffered_bytes: shared.buffer_memory.saturating_sub(free) as u64,
        }
    }
}

/// Whether Kafka allows a topic of this name.
fn is_topic_name(name: &str) -> bool {
    let is_allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    (1..=249).contains(&name.len()) && name.bytes().all(is_allowed) && name != "." && name != ".."
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
