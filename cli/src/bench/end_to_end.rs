//! `trilog bench end-to-end`: records in at a rate, and the time until a consumer has each.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::time::{sleep_until, timeout};
use trilog_client::consumer::TopicPartition;
use trilog_client::{Consumer, ConsumerConfig, Error, Producer, ProducerConfig, Record};

use super::LoadArgs;
use super::histogram::Histogram;
use super::payload::{Stamp, Values};
use super::report::Report;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// How long records may be on their way after the last one was acknowledged.
const LAST_ONES: Duration = Duration::from_secs(30);

pub(super) async fn run(
    args: &LoadArgs,
    producer: ProducerConfig,
    consumer: ConsumerConfig,
    patience: Duration,
) -> Result<Report, Failure> {
    let interrupt = Interrupt::watch();
    let producer = Producer::new(producer)?;
    let known = producer.partitions(&args.topic, patience).await;
    known.map_err(|error| Failure::topic(&args.topic, &error))?;
    let mut consumer = Consumer::new(consumer.auto_commit(None))?;
    let places = consumer.partitions(&args.topic, patience).await?;
    let marks = consumer.watermarks(places.clone()).await?;
    consumer.assign(places.clone())?;
    for (place, (_, high)) in &marks {
        consumer.seek(place, *high);
    }
    let values = Values::new(args.size);
    let late = |_| Failure::Failed("the first records did not arrive within 30 seconds".to_owned());
    timeout(LAST_ONES, warm_up(&producer, &mut consumer, places, &values)).await.map_err(late)??;

    let origin = Instant::now();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let stamp = Stamp { origin, run: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX) };
    let load = args.load(producer, values, Some(stamp.clone()));
    let sending = tokio::spawn(load.send(interrupt, Progress::new(false)));
    let latency = receive(&mut consumer, sending, &stamp).await?;
    let took = origin.elapsed();
    consumer.close().await?;
    let bytes = latency.len() * args.size as u64;
    Ok(Report::new("end-to-end", &args.topic, latency.len(), bytes, took, Some(&latency)))
}

/// Sends a record to each partition and waits until they are back, so that no connection is opened while times are measured.
async fn warm_up(
    producer: &Producer,
    consumer: &mut Consumer,
    places: Vec<TopicPartition>,
    values: &Values,
) -> Result<(), Error> {
    for place in &places {
        let record = Record::to(&*place.topic).partition(place.partition).value(values.plain(0));
        producer.send(record).await?.await?;
    }
    let mut missing = BTreeSet::from_iter(places);
    while !missing.is_empty() {
        missing.remove(&consumer.poll().await?.partition);
    }
    Ok(())
}

/// Receives what `sending` sends, and gives the times that the records took.
async fn receive(
    consumer: &mut Consumer,
    mut sending: tokio::task::JoinHandle<Result<super::load::Sent, Error>>,
    stamp: &Stamp,
) -> Result<Histogram, Failure> {
    let mut progress = Progress::new(super::is_watched());
    let mut latency = Histogram::default();
    let mut sent = None;
    let mut deadline = Instant::now();
    while sent.is_none_or(|records| latency.len() < records) {
        tokio::select! {
            biased;
            batch = consumer.poll() => {
                let (batch, now) = (batch?, Instant::now());
                let values = batch.records.iter().filter_map(|record| record.value.as_deref());
                values.filter_map(|value| stamp.age(value, now)).for_each(|age| latency.record(age));
            }
            outcome = &mut sending, if sent.is_none() => {
                sent = Some(outcome.unwrap_or(Err(Error::Closed))?.records);
                deadline = Instant::now() + LAST_ONES;
            }
            () = sleep_until(deadline.into()), if sent.is_some() => {
                let missing = sent.unwrap_or(0).saturating_sub(latency.len());
                return Err(Failure::Failed(format!("{missing} records did not arrive within 30 seconds")));
            }
        }
        progress.show(|| format!("{} records received", latency.len()));
    }
    Ok(latency)
}
