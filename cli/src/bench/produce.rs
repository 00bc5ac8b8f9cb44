//! `trilog bench produce`: records in, and the time until they are acknowledged.

use std::time::Duration;

use trilog_client::{Producer, ProducerConfig};

use super::LoadArgs;
use super::payload::Values;
use super::report::Report;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::progress::Progress;

pub(super) async fn run(
    args: &LoadArgs,
    config: ProducerConfig,
    patience: Duration,
) -> Result<Report, Failure> {
    let interrupt = Interrupt::watch();
    let producer = Producer::new(config)?;
    let known = producer.partitions(&args.topic, patience).await;
    known.map_err(|error| Failure::topic(&args.topic, &error))?;
    let load = args.load(producer, Values::new(args.size), None);
    let started = load.pace.started;
    let sent = load.send(interrupt, Progress::new(super::is_watched())).await?;
    let bytes = sent.records * args.size as u64;
    Ok(Report::new("produce", &args.topic, sent.records, bytes, started.elapsed(), Some(&sent.latency)))
}
