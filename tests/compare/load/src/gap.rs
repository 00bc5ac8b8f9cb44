//! How long a fault is felt by a producer.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use rdkafka::producer::Producer;

use crate::cluster::Cluster;
use crate::delivery::{Delivery, FLUSH_WITHIN, Outcome, producer, send, wait_until_due};

pub fn run(cluster: &Cluster, topic: &str, secs: u64, rate: u64, log: &Path) -> Result<()> {
    let delivery = Delivery::default();
    delivery.0.keep_outcomes()?;
    let settings = [
        ("enable.idempotence", "true"),
        ("linger.ms", "0"),
        ("reconnect.backoff.ms", "10"),
        ("reconnect.backoff.max.ms", "100"),
        ("retry.backoff.ms", "20"),
        ("topic.metadata.refresh.fast.interval.ms", "20"),
        ("message.timeout.ms", "60000"),
    ];
    let producer = producer(cluster, &settings, delivery.clone())?;
    let started = Instant::now();
    for number in 0..rate * secs {
        wait_until_due(started, number, rate);
        send(&producer, topic, 0, &number.to_be_bytes(), number, Instant::now())?;
    }
    // What is not settled by then is neither acknowledged nor failed, and `verify` takes it for unknown.
    let _ = producer.flush(FLUSH_WITHIN);
    let outcomes = delivery.0.take_outcomes()?;
    let mut file = BufWriter::new(File::create(log)?);
    for Outcome { number, acked, at } in &outcomes {
        let word = if *acked { "acked" } else { "failed" };
        writeln!(file, "{number} {word} {}", (*at - started).as_millis())?;
    }
    file.flush()?;
    let (gap, at) = widest_gap(&outcomes, started);
    println!(
        r#"{{"command":"gap","sent":{},"acked":{},"failed":{},"gap_ms":{},"at_ms":{}}}"#,
        rate * secs,
        delivery.0.acked(),
        delivery.0.failed(),
        gap.as_millis(),
        at.as_millis()
    );
    Ok(())
}

/// The longest time between two acknowledgements, and when it began.
fn widest_gap(outcomes: &[Outcome], started: Instant) -> (Duration, Duration) {
    let acked: Vec<Instant> =
        outcomes.iter().filter(|outcome| outcome.acked).map(|outcome| outcome.at).collect();
    let gaps = acked.windows(2).map(|pair| (pair[1] - pair[0], pair[0] - started));
    gaps.max().unwrap_or_default()
}
