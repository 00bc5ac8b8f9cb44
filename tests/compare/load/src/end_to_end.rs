//! How long a record takes from its sending until a consumer has it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use rand::RngCore;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

use crate::cluster::{Cluster, METADATA_WITHIN};
use crate::delivery::{Delivery, FLUSH_WITHIN, Sent, producer, send, wait_until_due};

/// How long records may be on their way once the last one was sent.
const LAST_ONES: Duration = Duration::from_secs(30);

/// Tells the records of this run from others in the topic, and when they were due.
#[derive(Clone, Copy)]
struct Stamp {
    origin: Instant,
    run: u64,
}

impl Stamp {
    fn put(self, payload: &mut [u8], due: Instant) -> Result<()> {
        payload[..8].copy_from_slice(&u64::try_from((due - self.origin).as_nanos())?.to_be_bytes());
        payload[8..16].copy_from_slice(&self.run.to_be_bytes());
        Ok(())
    }

    fn age(self, payload: &[u8]) -> Option<Duration> {
        let due = u64::from_be_bytes(*payload.first_chunk::<8>()?);
        let run = u64::from_be_bytes(*payload.get(8..)?.first_chunk::<8>()?);
        let is_ours = run == self.run;
        is_ours.then(|| self.origin.elapsed().saturating_sub(Duration::from_nanos(due)))
    }
}

pub fn run(cluster: &Cluster, topic: &str, size: usize, secs: u64, rate: u64) -> Result<()> {
    if size < 16 {
        bail!("a record needs 16 bytes for its stamp");
    }
    let partitions = cluster.partitions(topic)?;
    // Both clients with their own defaults: what is compared is what their users get.
    let producer = producer(cluster, &[], Delivery::default())?;
    let consumer = at_the_end(cluster, topic, partitions)?;
    let mut payload = vec![0; size];
    rand::rng().fill_bytes(&mut payload);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let stamp = Stamp { origin: Instant::now(), run: u64::try_from(now.as_nanos())? };
    warm_up(&producer, &consumer, topic, partitions, stamp, &mut payload)?;

    let (total, sent) = (rate * secs, AtomicU64::new(0));
    let latency = thread::scope(|scope| {
        let receiver = scope.spawn(|| receive(&consumer, stamp, total, &sent));
        let started = Instant::now();
        for number in 0..total {
            let due = wait_until_due(started, number, rate);
            stamp.put(&mut payload, due)?;
            // Which partition a record goes to is the client's own choice.
            let record = BaseRecord::<(), [u8], Sent>::with_opaque_to(topic, Box::new((number, due)));
            producer.send(record.payload(&payload)).map_err(|(error, _)| error)?;
            sent.fetch_add(1, Ordering::Relaxed);
        }
        producer.flush(FLUSH_WITHIN)?;
        receiver.join().map_err(|_| anyhow::anyhow!("the receiver panicked"))?
    })?;
    let quantile = |quantile| latency.value_at_quantile(quantile) as f64 / 1e3;
    println!(
        r#"{{"command":"end-to-end","rate":{rate},"size":{size},"count":{},"p50_ms":{:.2},"p99_ms":{:.2},"p999_ms":{:.2},"max_ms":{:.2}}}"#,
        latency.len(),
        quantile(0.5),
        quantile(0.99),
        quantile(0.999),
        latency.max() as f64 / 1e3
    );
    Ok(())
}

/// A consumer of all partitions, from their ends on.
fn at_the_end(cluster: &Cluster, topic: &str, partitions: i32) -> Result<BaseConsumer> {
    let settings = [("group.id", "load"), ("enable.auto.commit", "false")];
    let consumer: BaseConsumer = cluster.config(&settings).create()?;
    let mut assigned = TopicPartitionList::new();
    for partition in 0..partitions {
        let (_, high) = consumer.fetch_watermarks(topic, partition, METADATA_WITHIN)?;
        assigned.add_partition_offset(topic, partition, Offset::Offset(high))?;
    }
    consumer.assign(&assigned)?;
    Ok(consumer)
}

/// Sends a record to each partition and waits until they are back, so that no connection is opened while times are measured.
fn warm_up(
    producer: &ThreadedProducer<Delivery>,
    consumer: &BaseConsumer,
    topic: &str,
    partitions: i32,
    stamp: Stamp,
    payload: &mut [u8],
) -> Result<()> {
    stamp.put(payload, stamp.origin)?;
    for partition in 0..partitions {
        send(producer, topic, partition, payload, 0, stamp.origin)?;
    }
    let mut back = 0;
    while back < partitions {
        let message = consumer.poll(LAST_ONES).context("the first records did not arrive")??;
        back += i32::from(message.payload().and_then(|payload| stamp.age(payload)).is_some());
    }
    Ok(())
}

fn receive(consumer: &BaseConsumer, stamp: Stamp, total: u64, sent: &AtomicU64) -> Result<Histogram<u64>> {
    let mut latency = Histogram::new(3)?;
    let mut heard = Instant::now();
    while latency.len() < total {
        match consumer.poll(Duration::from_millis(200)) {
            Some(message) => {
                let message = message?;
                if let Some(age) = message.payload().and_then(|payload| stamp.age(payload)) {
                    heard = Instant::now();
                    latency.record(u64::try_from(age.as_micros())?)?;
                }
            }
            None if heard.elapsed() > LAST_ONES => {
                bail!("{} of {} records did not arrive", total - latency.len(), sent.load(Ordering::Relaxed))
            }
            None => {}
        }
    }
    Ok(latency)
}
