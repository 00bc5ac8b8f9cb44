//! A member of a consumer group: start it several times, and the members share the partitions of a topic.
//!
//! ```text
//! cargo run -p trilog-client --example consumer_group -- 127.0.0.1:9092 billing orders
//! ```
//!
//! Each batch is worked off, then committed. Ctrl-C commits and leaves, so that the others go on at once.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeSet;

use trilog_client::Error;
use trilog_client::consumer::{
    CallbackFuture, Committer, Consumer, ConsumerConfig, GroupProtocol, RebalanceListener, ResetPolicy,
    TopicPartition,
};

/// Tells what comes and goes.
struct Narrator;

impl RebalanceListener for Narrator {
    fn revoked(&self, committer: Committer, partitions: BTreeSet<TopicPartition>) -> CallbackFuture {
        Box::pin(async move {
            // Everything that was worked off is committed already. This is the place for what is not.
            let committed = committer.commit().await;
            println!("gives up {}: {committed:?}", list(&partitions));
        })
    }

    fn lost(&self, partitions: BTreeSet<TopicPartition>) -> CallbackFuture {
        Box::pin(async move { println!("has lost {}", list(&partitions)) })
    }

    fn assigned(&self, partitions: BTreeSet<TopicPartition>) -> CallbackFuture {
        Box::pin(async move { println!("is given {}", list(&partitions)) })
    }
}

fn list(partitions: &BTreeSet<TopicPartition>) -> String {
    partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let (brokers, group, topic) = (next("127.0.0.1:9092"), next("billing"), next("orders"));
    let config = ConsumerConfig::new(&brokers)?
        .group(group)
        .protocol(GroupProtocol::Consumer)
        .reset(ResetPolicy::Earliest)
        .auto_commit(None);
    let mut consumer = Consumer::new(config)?;
    consumer.set_listener(Narrator);
    consumer.subscribe([topic])?;
    loop {
        let batch = tokio::select! {
            batch = consumer.poll() => batch?,
            _ = tokio::signal::ctrl_c() => break,
        };
        for record in &batch.records {
            println!("{} {}: {:?} = {:?}", batch.partition, record.offset, record.key, record.value);
        }
        consumer.commit().await?;
    }
    consumer.close().await
}
