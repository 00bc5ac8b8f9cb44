//! Sending records, and counting what became of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use hdrhistogram::Histogram;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};

use crate::cluster::Cluster;

/// How long a producer may take to settle what is still in flight.
pub const FLUSH_WITHIN: Duration = Duration::from_secs(60);

/// A record's number and the moment that counts as its sending.
pub type Sent = Box<(u64, Instant)>;

/// What became of one numbered record, and when.
pub struct Outcome {
    pub number: u64,
    pub acked: bool,
    pub at: Instant,
}

/// What became of the records of one producer.
#[derive(Default)]
pub struct Deliveries {
    acked: AtomicU64,
    failed: AtomicU64,
    /// Microseconds to acknowledgement, once somebody wants to know.
    latency: Mutex<Option<Histogram<u64>>>,
    /// Each outcome in its order, if somebody wants to know.
    outcomes: Mutex<Option<Vec<Outcome>>>,
}

impl Deliveries {
    pub fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Forgets the latencies so far and measures from here on.
    pub fn measure_latency(&self) -> Result<()> {
        *self.latency.lock().map_err(poisoned)? = Some(Histogram::new(3)?);
        Ok(())
    }

    pub fn take_latency(&self) -> Result<Option<Histogram<u64>>> {
        Ok(self.latency.lock().map_err(poisoned)?.take())
    }

    /// Keeps each outcome from here on.
    pub fn keep_outcomes(&self) -> Result<()> {
        *self.outcomes.lock().map_err(poisoned)? = Some(Vec::new());
        Ok(())
    }

    pub fn take_outcomes(&self) -> Result<Vec<Outcome>> {
        Ok(self.outcomes.lock().map_err(poisoned)?.take().unwrap_or_default())
    }
}

fn poisoned<T>(_: std::sync::PoisonError<T>) -> anyhow::Error {
    anyhow!("a delivery callback panicked")
}

/// The producer's side of [`Deliveries`].
#[derive(Clone, Default)]
pub struct Delivery(pub Arc<Deliveries>);

impl ClientContext for Delivery {}

impl ProducerContext for Delivery {
    type DeliveryOpaque = Sent;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Sent) {
        let now = Instant::now();
        let (number, at) = *sent;
        let count = if result.is_ok() { &self.0.acked } else { &self.0.failed };
        count.fetch_add(1, Ordering::Relaxed);
        if let Ok(mut latency) = self.0.latency.lock()
            && let Some(histogram) = latency.as_mut()
        {
            // A histogram that grows by itself takes any value.
            let _ = histogram.record(u64::try_from((now - at).as_micros()).unwrap_or(u64::MAX));
        }
        if let Ok(mut outcomes) = self.0.outcomes.lock()
            && let Some(outcomes) = outcomes.as_mut()
        {
            outcomes.push(Outcome { number, acked: result.is_ok(), at: now });
        }
    }
}

/// A producer that reports to `delivery`.
pub fn producer(
    cluster: &Cluster,
    base: &[(&str, &str)],
    delivery: Delivery,
) -> Result<ThreadedProducer<Delivery>> {
    Ok(cluster.config(base).create_with_context(delivery)?)
}

/// Hands a record to librdkafka, waiting while its queue is full.
pub fn send(
    producer: &ThreadedProducer<Delivery>,
    topic: &str,
    partition: i32,
    payload: &[u8],
    number: u64,
    at: Instant,
) -> Result<()> {
    let sent = Box::new((number, at));
    let record = BaseRecord::<(), [u8], Sent>::with_opaque_to(topic, sent).payload(payload);
    let mut record = record.partition(partition);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                record = refused;
                thread::sleep(Duration::from_millis(1));
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

/// The moment record `number` is due at `rate` records a second; sleeps until then.
pub fn wait_until_due(started: Instant, number: u64, rate: u64) -> Instant {
    let due = started + Duration::from_nanos(number * 1_000_000_000 / rate);
    if let Some(wait) = due.checked_duration_since(Instant::now()) {
        thread::sleep(wait);
    }
    due
}
