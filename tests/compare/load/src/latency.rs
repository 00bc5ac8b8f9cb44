//! How long an acknowledgement takes.

use std::time::Instant;

use anyhow::{Context, Result};
use rand::RngCore;
use rdkafka::producer::Producer;

use crate::cluster::Cluster;
use crate::delivery::{Delivery, FLUSH_WITHIN, producer, send, wait_until_due};

/// Seconds sent before the measurement begins.
const RUN_UP_SECS: u64 = 3;

pub fn run(cluster: &Cluster, topic: &str, size: usize, secs: u64, rate: u64) -> Result<()> {
    let partitions = u64::try_from(cluster.partitions(topic)?)?;
    let delivery = Delivery::default();
    let producer = producer(cluster, &[("linger.ms", "0")], delivery.clone())?;
    let mut payload = vec![0; size];
    rand::rng().fill_bytes(&mut payload);
    let started = Instant::now();
    for number in 0..rate * (secs + RUN_UP_SECS) {
        // The moment a record was due counts, not the moment it was sent: no coordinated omission.
        let due = wait_until_due(started, number, rate);
        if number == rate * RUN_UP_SECS {
            delivery.0.measure_latency()?;
        }
        send(&producer, topic, i32::try_from(number % partitions)?, &payload, number, due)?;
    }
    producer.flush(FLUSH_WITHIN)?;
    let latency = delivery.0.take_latency()?.context("no latency was measured")?;
    let quantile = |quantile| latency.value_at_quantile(quantile) as f64 / 1e3;
    println!(
        r#"{{"command":"latency","rate":{rate},"size":{size},"count":{},"failed":{},"p50_ms":{:.2},"p99_ms":{:.2},"p999_ms":{:.2},"max_ms":{:.2}}}"#,
        latency.len(),
        delivery.0.failed(),
        quantile(0.5),
        quantile(0.99),
        quantile(0.999),
        latency.max() as f64 / 1e3
    );
    Ok(())
}
