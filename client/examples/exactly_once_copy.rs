//! Copies a topic exactly once: reads records, changes them, and writes them together with the offsets of what was read.
//!
//! ```text
//! cargo run -p trilog-client --example exactly_once_copy -- 127.0.0.1:9092 orders orders-in-capitals copier-1
//! ```
//!
//! The last argument names this instance: its transactional id. Start it again under the same name, and it fences the instance before it,
//! which ends with an error. Start others under other names, and they share the topic's partitions. Readers of the copy set
//! `isolation.level=read_committed`. It needs a cluster that serves transactions, such as Apache Kafka 2.5 or later.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use trilog_client::consumer::{Batch, CommitOffset, ConsumerConfig, Landmark, ResetPolicy};
use trilog_client::{Consumer, Error, ErrorClass, Producer, ProducerConfig, Record};

/// Copies one batch: all of it, with its offset, or nothing.
async fn copy(consumer: &Consumer, producer: &Producer, target: &str, batch: &Batch) -> Result<(), Error> {
    // An error below drops the transaction, which aborts it.
    let mut transaction = producer.begin_transaction().await?;
    for record in &batch.records {
        let mut copy = Record::to(target);
        copy.key.clone_from(&record.key);
        copy.value = record.value.as_ref().map(|value| value.to_ascii_uppercase().into());
        // Whether it arrived, the commit tells.
        drop(transaction.send(copy).await?);
    }
    let offsets = [(batch.partition.clone(), CommitOffset::at(batch.next_offset))].into();
    // The group refuses them if other members have the partitions by now.
    transaction.send_offsets(offsets, &consumer.group_metadata()?).await?;
    transaction.commit().await
}

/// Reads again from the committed offsets on: what was aborted is copied anew.
async fn go_back(consumer: &mut Consumer) -> Result<(), Error> {
    let assigned = consumer.assignment();
    // A group tells no offsets that a transaction is about to change.
    let committed = consumer.committed(assigned.clone()).await?;
    for partition in &assigned {
        match committed.get(partition) {
            Some(commit) => consumer.seek(partition, commit.offset),
            None => consumer.seek_to(partition, Landmark::Beginning),
        };
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let (brokers, source) = (next("127.0.0.1:9092"), next("orders"));
    let (target, instance) = (next("orders-in-capitals"), next("copier-1"));
    let config = ConsumerConfig::new(&brokers)?
        .group(format!("copy-{source}"))
        .reset(ResetPolicy::Earliest)
        .with_names([("isolation.level", "read_committed")])?
        // The transactions commit.
        .auto_commit(None);
    let mut consumer = Consumer::new(config)?;
    consumer.subscribe([source])?;
    let producer = Producer::new(ProducerConfig::new(&brokers)?.transactional_id(instance))?;
    producer.init_transactions().await?;
    let ended = loop {
        let batch = tokio::select! {
            batch = consumer.poll() => batch?,
            _ = tokio::signal::ctrl_c() => break Ok(()),
        };
        match copy(&consumer, &producer, &target, &batch).await {
            Ok(()) => println!("{}: copied up to {}", batch.partition, batch.next_offset),
            // Fenced: another instance has this one's name.
            Err(error) if matches!(error.class(), ErrorClass::Fenced | ErrorClass::Fatal) => {
                break Err(error);
            }
            Err(error) => {
                println!("{}: {error}; once more", batch.partition);
                go_back(&mut consumer).await?;
            }
        }
    };
    producer.close().await;
    // It leaves its group, so that others have its partitions at once.
    consumer.close().await?;
    ended
}
