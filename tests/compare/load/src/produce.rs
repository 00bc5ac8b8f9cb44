//! How much a cluster takes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rand::RngCore;
use rdkafka::producer::Producer;

use crate::cluster::Cluster;
use crate::delivery::{Delivery, FLUSH_WITHIN, producer, send};

/// Sent before the measurement begins.
const RUN_UP: Duration = Duration::from_secs(3);

/// The payload is a window into this many records' worth of random bytes, so that it neither compresses nor repeats
/// from record to record.
const WINDOWS: usize = 64;

pub fn run(cluster: &Cluster, topic: &str, size: usize, secs: u64) -> Result<()> {
    let partitions = cluster.partitions(topic)?;
    let count = u64::try_from(partitions)?;
    let delivery = Delivery::default();
    let settings = [
        ("linger.ms", "5"),
        ("batch.size", "1000000"),
        ("queue.buffering.max.kbytes", "65536"),
        ("queue.buffering.max.messages", "500000"),
    ];
    let producer = producer(cluster, &settings, delivery.clone())?;
    let mut payload = vec![0; size * WINDOWS];
    rand::rng().fill_bytes(&mut payload);
    let started = Instant::now();
    let (mut number, mut measured_from) = (0_u64, None);
    while started.elapsed() < Duration::from_secs(secs) + RUN_UP {
        if measured_from.is_none() && started.elapsed() > RUN_UP {
            measured_from = Some((delivery.0.acked(), Instant::now()));
        }
        // The clock is read once for many records.
        for _ in 0..256 {
            let window = usize::try_from(number)? % (WINDOWS - 1) * size;
            // A run of records to one partition before the next, as a sticky partitioner does it.
            let partition = i32::try_from(number / 64 % count)?;
            send(&producer, topic, partition, &payload[window..window + size], number, started)?;
            number += 1;
        }
    }
    let (before, since) = measured_from.context("too short")?;
    let acked = (delivery.0.acked() - before) as f64;
    let seconds = since.elapsed().as_secs_f64();
    producer.flush(FLUSH_WITHIN)?;
    println!(
        r#"{{"command":"produce","size":{size},"partitions":{partitions},"msgs_s":{:.0},"mb_s":{:.1},"msgs":{},"failed":{}}}"#,
        acked / seconds,
        acked * size as f64 / seconds / 1e6,
        delivery.0.acked(),
        delivery.0.failed()
    );
    Ok(())
}
