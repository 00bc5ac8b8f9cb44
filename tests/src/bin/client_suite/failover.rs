//! A node is killed while records are produced and consumed, and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use trilog_client::Record;

use crate::stage::{Stage, each_once, joined, node, number, until};

const NUMBERS: u32 = 6000;

/// Whether the node was killed, for what is played beside.
pub(crate) static HAS_KILLED: AtomicBool = AtomicBool::new(false);

/// Nothing is lost or doubled, in no partition out of order, and the group reads everything.
pub(crate) async fn node_dies(stage: Stage) {
    stage.topic(6).await;
    let mut consumer = stage.consumer(&[("group.protocol", "consumer")]);
    consumer.subscribe([stage.name]).expect("it has a group");
    let read = Arc::new(AtomicU32::new(0));
    let reading = {
        let read = Arc::clone(&read);
        tokio::spawn(async move {
            let mut seen = std::collections::BTreeSet::new();
            while seen.len() < usize::try_from(NUMBERS).expect("a small number") {
                let batch = consumer.poll().await.expect("records");
                seen.extend(batch.records.iter().map(|record| number(record.value.as_deref())));
                read.store(u32::try_from(seen.len()).expect("a small number"), Ordering::Relaxed);
            }
            consumer.close().await.expect("the last commit is made");
        })
    };
    let acknowledged = Arc::new(AtomicU32::new(0));
    let producing = {
        let (stage, acknowledged) = (stage.clone(), Arc::clone(&acknowledged));
        tokio::spawn(async move {
            let producer = stage.producer(&[]);
            let mut deliveries = tokio::task::JoinSet::new();
            for number in 0..NUMBERS {
                let record = Record::to(stage.name).key((number % 101).to_string()).value(number.to_string());
                let delivery = producer.send(record).await.expect("the record is taken");
                let acknowledged = Arc::clone(&acknowledged);
                deliveries.spawn(async move {
                    delivery.await.expect("the record is acknowledged");
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                });
                if number % 20 == 0 {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            }
            while let Some(delivered) = deliveries.join_next().await {
                delivered.expect("each is acknowledged");
            }
            producer.close().await;
        })
    };
    let some = |count: &AtomicU32, least: u32| (count.load(Ordering::Relaxed) >= least).then_some(());
    until("records flow", async || some(&acknowledged, NUMBERS / 10).and(some(&read, NUMBERS / 20))).await;
    node("kill", 2).await;
    HAS_KILLED.store(true, Ordering::Relaxed);
    until("records flow without the node", async || some(&acknowledged, NUMBERS / 2)).await;
    node("start", 2).await;
    joined(producing).await;
    joined(reading).await;
    let all = stage.all().await;
    for (partition, numbers) in &all {
        assert!(numbers.is_sorted(), "partition {partition} is out of order");
    }
    each_once(all.into_values().flatten(), 0..NUMBERS);
}
