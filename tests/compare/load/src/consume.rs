//! How fast a topic is read back.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use crate::cluster::{Cluster, METADATA_WITHIN};

/// How long nothing may come before the reading is given up.
const SILENCE: Duration = Duration::from_secs(60);

pub fn run(cluster: &Cluster, topic: &str) -> Result<()> {
    let partitions = cluster.partitions(topic)?;
    let settings = [
        ("group.id", "load"),
        ("enable.auto.commit", "false"),
        ("auto.offset.reset", "earliest"),
        ("fetch.message.max.bytes", "4194304"),
        ("queued.max.messages.kbytes", "262144"),
        ("check.crcs", "false"),
    ];
    let consumer: BaseConsumer = cluster.config(&settings).create()?;
    let (mut assigned, mut ends) = (TopicPartitionList::new(), HashMap::new());
    for partition in 0..partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition, METADATA_WITHIN)?;
        if high > low {
            assigned.add_partition_offset(topic, partition, Offset::Beginning)?;
            ends.insert(partition, high);
        }
    }
    consumer.assign(&assigned)?;
    let (mut bytes, mut messages) = (0_u64, 0_u64);
    let (mut started, mut heard) = (None, Instant::now());
    while !ends.is_empty() {
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => {
                heard = Instant::now();
                // The time to the first message belongs to the connection, not to the reading.
                started.get_or_insert(heard);
                bytes += u64::try_from(message.payload_len())?;
                messages += 1;
                if ends.get(&message.partition()).is_some_and(|end| message.offset() + 1 >= *end) {
                    ends.remove(&message.partition());
                }
            }
            Some(Err(error)) => eprintln!("{error}"),
            None if heard.elapsed() > SILENCE => {
                bail!("nothing for {SILENCE:?}; {} partitions are not read to their end", ends.len())
            }
            None => {}
        }
    }
    let seconds = started.context("nothing to read")?.elapsed().as_secs_f64();
    println!(
        r#"{{"command":"consume","msgs":{messages},"msgs_s":{:.0},"mb_s":{:.1}}}"#,
        messages as f64 / seconds,
        bytes as f64 / seconds / 1e6
    );
    Ok(())
}
