//! How soon after its start a cluster takes a record.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use rdkafka::producer::BaseRecord;

use crate::cluster::Cluster;
use crate::delivery::{Delivery, Sent, producer};

/// How long a cluster may take.
const PATIENCE: Duration = Duration::from_secs(90);

pub fn run(cluster: &Cluster, topic: &str, since_ms: u64) -> Result<()> {
    // Whatever librdkafka would wait for between attempts is not the cluster's time.
    let settings = [
        ("reconnect.backoff.ms", "10"),
        ("reconnect.backoff.max.ms", "50"),
        ("retry.backoff.ms", "20"),
        ("linger.ms", "0"),
        ("topic.metadata.refresh.fast.interval.ms", "20"),
        ("message.timeout.ms", "90000"),
        ("allow.auto.create.topics", "true"),
    ];
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let delivery = Delivery::default();
        let producer = producer(cluster, &settings, delivery.clone())?;
        let record = BaseRecord::<(), [u8], Sent>::with_opaque_to(topic, Box::new((0, begun)));
        if producer.send(record.payload(&b"first"[..])).is_err() {
            continue;
        }
        while begun.elapsed() < PATIENCE && delivery.0.failed() == 0 {
            if delivery.0.acked() > 0 {
                let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
                println!(r#"{{"command":"first-ack","ms":{}}}"#, now.saturating_sub(u128::from(since_ms)));
                return Ok(());
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
    bail!("no acknowledgement within {PATIENCE:?}")
}
