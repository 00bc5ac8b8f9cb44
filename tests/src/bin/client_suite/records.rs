//! Records in and out.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::timeout;
use trilog_client::{Consumer, Header, Record, TopicPartition};

use crate::stage::{Stage, each_once, number, until};

/// Every codec, keys, headers and null come back as they went in, in their order.
pub(crate) async fn come_back(stage: Stage) {
    stage.topic(1).await;
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    let mut expected = Vec::new();
    for (index, codec) in codecs.into_iter().enumerate() {
        let acks = if index % 2 == 0 { "all" } else { "1" };
        let idempotence = if index % 2 == 0 { "true" } else { "false" };
        let settings = [("compression.type", codec), ("acks", acks), ("enable.idempotence", idempotence)];
        let producer = stage.producer(&settings);
        let mut null = Record::to(stage.name).key("");
        null.headers.push(Header::null("h"));
        let records = [
            Record::to(stage.name)
                .key(codec)
                .value("some text ".repeat(50))
                .header("a", "1")
                .header("a", "2"),
            Record::to(stage.name).value(""),
            null,
        ];
        for record in records {
            let delivered = producer.send(record.clone()).await.expect("taken").await.expect("acknowledged");
            assert_eq!(delivered.offset, i64::try_from(expected.len()).ok(), "{codec}");
            expected.push((record.key, record.value, record.headers));
        }
        producer.close().await;
    }
    let mut consumer = stage.consumer(&[]);
    consumer.assign([TopicPartition::new(stage.name, 0)]).expect("it is no member");
    let mut found = Vec::new();
    while found.len() < expected.len() {
        let batch = consumer.poll().await.expect("records");
        found.extend(batch.records.into_iter().map(|record| (record.key, record.value, record.headers)));
    }
    assert_eq!(found, expected);
    let place = TopicPartition::new(stage.name, 0);
    assert!(consumer.seek(&place, 4));
    let batch = consumer.poll().await.expect("records");
    assert_eq!(batch.records.first().map(|record| record.offset.0), Some(4));
}

/// Reads until a group has these numbers, and gives them back with the consumer that read each.
async fn read(consumers: &mut [Consumer], count: usize) -> Vec<(usize, u32)> {
    let mut found = Vec::new();
    while found.len() < count {
        for (index, consumer) in consumers.iter_mut().enumerate() {
            // A member that has nothing to read has to be polled all the same.
            if let Ok(batch) = timeout(Duration::from_millis(20), consumer.poll()).await {
                let batch = batch.expect("records");
                found.extend(batch.records.iter().map(|record| (index, number(record.value.as_deref()))));
            }
        }
    }
    found
}

/// Two members share a topic and commit; the next member goes on where they ended.
pub(crate) async fn group_resumes(stage: Stage, protocol: &str) {
    stage.topic(4).await;
    let settings = [("group.protocol", protocol)];
    let mut members = [stage.consumer(&settings), stage.consumer(&settings)];
    for member in &mut members {
        member.subscribe([stage.name]).expect("it has a group");
    }
    until("two partitions each", async || {
        for member in &mut members {
            let _ = timeout(Duration::from_millis(50), member.poll()).await;
        }
        members.iter().all(|member| member.assignment().len() == 2).then_some(())
    })
    .await;
    stage.send(0..1000).await;
    let found = read(&mut members, 1000).await;
    let mut shares = BTreeMap::<usize, usize>::new();
    found.iter().for_each(|(member, _)| *shares.entry(*member).or_default() += 1);
    assert_eq!(shares.len(), 2, "both have read: {shares:?}");
    each_once(found.into_iter().map(|(_, number)| number), 0..1000);
    for member in members {
        member.close().await.expect("the last commit is made");
    }
    stage.send(1000..1500).await;
    let mut next = [stage.consumer(&settings)];
    next[0].subscribe([stage.name]).expect("it has a group");
    each_once(read(&mut next, 500).await.into_iter().map(|(_, number)| number), 1000..1500);
    let [next] = next;
    next.close().await.expect("the last commit is made");
}
