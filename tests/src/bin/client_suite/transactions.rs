//! Transactions: what readers see of them, who is fenced, and what a cluster without them says.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::timeout;
use trilog_client::consumer::CommitOffset;
use trilog_client::{Consumer, Error, ErrorClass, ErrorCode, Producer, Record, Transaction};

use crate::stage::{Stage, each_once, number, until};

/// How long a reader waits for records that must not come.
const IN_VAIN: Duration = Duration::from_millis(500);

/// A producer with transactions that is ready for them.
pub(crate) async fn transactional(stage: &Stage, settings: &[(&str, &str)]) -> Producer {
    let producer = stage.producer(&[&[("transactional.id", stage.name)], settings].concat());
    producer.init_transactions().await.expect("the transactional id is registered");
    producer
}

/// Sends numbers in a transaction, and waits until brokers have them.
async fn send(stage: &Stage, transaction: &Transaction<'_>, numbers: std::ops::Range<u32>) {
    let mut deliveries = Vec::new();
    for number in numbers {
        let record = Record::to(stage.name).key(format!("key-{number}")).value(number.to_string());
        deliveries.push(transaction.send(record).await.expect("the record is taken"));
    }
    for delivery in deliveries {
        delivery.await.expect("the record is acknowledged");
    }
}

/// A reader of all partitions of a topic, with this isolation.
pub(crate) async fn reader(stage: &Stage, topic: &str, isolation: &str) -> Consumer {
    let settings = [("isolation.level", isolation), ("enable.auto.commit", "false"), ("group.id", "readers")];
    let mut consumer = stage.consumer(&settings);
    let places = consumer.partitions(topic, Duration::from_secs(30)).await.expect("the topic is there");
    consumer.assign(places.clone()).expect("it is no member");
    for place in &places {
        consumer.seek(place, 0);
    }
    consumer
}

/// Reads this many numbers, and then none for a while.
pub(crate) async fn read(consumer: &mut Consumer, count: usize) -> Vec<u32> {
    let mut found = Vec::new();
    while found.len() < count {
        let batch = consumer.poll().await.expect("records");
        found.extend(batch.records.iter().map(|record| number(record.value.as_deref())));
    }
    let more = timeout(IN_VAIN, consumer.poll()).await;
    assert!(more.is_err(), "{} numbers and no more: {more:?}", found.len());
    found
}

/// Readers of committed records see a transaction once it is committed, and nothing of one that is aborted or open.
pub(crate) async fn whole(stage: Stage) {
    stage.topic(3).await;
    let producer = transactional(&stage, &[]).await;
    let outside = producer.send(Record::to(stage.name)).await.expect_err("no transaction is open");
    assert!(matches!(outside, Error::TransactionState { .. }), "{outside}");

    let mut first = producer.begin_transaction().await.expect("it begins");
    send(&stage, &first, 0..30).await;
    first.commit().await.expect("it is committed");
    let mut second = producer.begin_transaction().await.expect("it begins");
    send(&stage, &second, 30..60).await;
    second.abort().await.expect("it is aborted");
    // Dropped: aborted in the background.
    let dropped = producer.begin_transaction().await.expect("it begins");
    send(&stage, &dropped, 60..70).await;
    drop(dropped);
    let mut last = producer.begin_transaction().await.expect("it begins");
    send(&stage, &last, 70..100).await;

    let mut all = reader(&stage, stage.name, "read_uncommitted").await;
    let mut committed = reader(&stage, stage.name, "read_committed").await;
    let (all, seen) = tokio::join!(read(&mut all, 100), read(&mut committed, 30));
    each_once(all, 0..100);
    each_once(seen, 0..30);
    last.commit().await.expect("it is committed");
    each_once(read(&mut committed, 30).await, 70..100);
    drop(last);
    producer.close().await;
}

/// A second producer with the same transactional id: the first is told that it is fenced, and its transaction is aborted.
pub(crate) async fn fenced(stage: Stage) {
    stage.topic(1).await;
    let first = transactional(&stage, &[]).await;
    let mut transaction = first.begin_transaction().await.expect("it begins");
    send(&stage, &transaction, 0..10).await;
    let second = transactional(&stage, &[]).await;
    let error = transaction.commit().await.expect_err("somebody else has the id");
    assert_eq!(error.class(), ErrorClass::Fenced, "{error}");
    drop(transaction);
    let error = first.begin_transaction().await.expect_err("for good");
    assert_eq!(error.class(), ErrorClass::Fenced, "{error}");
    let mut transaction = second.begin_transaction().await.expect("it begins");
    send(&stage, &transaction, 10..20).await;
    transaction.commit().await.expect("it is committed");
    drop(transaction);
    each_once(read(&mut reader(&stage, stage.name, "read_committed").await, 10).await, 10..20);
    tokio::join!(first.close(), second.close());
}

/// The code of a refusal that asks for an abort.
fn refusal(error: &Error) -> ErrorCode {
    match error {
        Error::NeedsAbort { cause } => refusal(cause),
        Error::Broker { code, .. } => *code,
        other => panic!("it is a broker's refusal: {other}"),
    }
}

/// A member that left may not send offsets, nor may one in a generation that is over. The one that has the partitions may.
pub(crate) async fn zombie(stage: Stage, protocol: &str) {
    stage.topic(1).await;
    stage.send(0..10).await;
    let settings = [("group.protocol", protocol), ("enable.auto.commit", "false")];
    let mut zombie = stage.consumer(&settings);
    assert!(zombie.group_metadata().is_ok(), "it has no partitions that others could have");
    zombie.subscribe([stage.name]).expect("it has a group");
    zombie.poll().await.expect("records");
    let of_zombie = zombie.group_metadata().expect("it is a member");
    zombie.close().await.expect("it leaves");
    let mut member = stage.consumer(&settings);
    member.subscribe([stage.name]).expect("it has a group");
    assert!(member.group_metadata().is_err(), "it is not in the group yet");
    let batch = member.poll().await.expect("records");
    let of_member = member.group_metadata().expect("it is a member");
    let offsets = BTreeMap::from([(batch.partition.clone(), CommitOffset::at(7))]);

    let producer = transactional(&stage, &[]).await;
    let mut refused = vec![(of_zombie, ErrorCode::UNKNOWN_MEMBER_ID)];
    if protocol == "classic" {
        let mut late = of_member.clone();
        late.generation -= 1;
        refused.push((late, ErrorCode::ILLEGAL_GENERATION));
    }
    for (group, code) in refused {
        let mut transaction = producer.begin_transaction().await.expect("it begins");
        let error =
            transaction.send_offsets(offsets.clone(), &group).await.expect_err("it is out of the group");
        assert_eq!((error.class(), refusal(&error)), (ErrorClass::NeedsAbort, code), "{error}");
        let error = transaction.commit().await.expect_err("it cannot be committed");
        assert_eq!(error.class(), ErrorClass::NeedsAbort, "{error}");
        transaction.abort().await.expect("it is aborted");
    }
    let committed = member.committed([batch.partition.clone()]).await.expect("the group answers");
    assert!(committed.is_empty(), "{committed:?}");
    let mut transaction = producer.begin_transaction().await.expect("it begins");
    transaction.send_offsets(offsets, &of_member).await.expect("it is in the group");
    transaction.commit().await.expect("it is committed");
    drop(transaction);
    let committed = member.committed([batch.partition.clone()]).await.expect("the group answers");
    assert_eq!(committed[&batch.partition].offset, 7);
    producer.close().await;
    member.close().await.expect("it leaves");
}

/// A transaction that stays open for too long is aborted by the coordinator, and its producer is told so by the next call.
pub(crate) async fn timed_out(stage: Stage) {
    stage.topic(1).await;
    let producer = transactional(&stage, &[("transaction.timeout.ms", "1000")]).await;
    let mut transaction = producer.begin_transaction().await.expect("it begins");
    send(&stage, &transaction, 0..10).await;
    let admin = stage.admin();
    until("the coordinator aborts", async || {
        let described = admin.describe_transactions([stage.name]).await.remove(stage.name)?.ok()?;
        (described.state == "CompleteAbort").then_some(())
    })
    .await;
    let error = transaction.commit().await.expect_err("it is aborted");
    // Kafka says PRODUCER_FENCED, or INVALID_TXN_STATE where each transaction has an epoch of its own.
    assert!(matches!(error.class(), ErrorClass::Fenced | ErrorClass::Fatal), "{error}");
    drop(transaction);
    producer.close().await;
    let next = transactional(&stage, &[]).await;
    let mut transaction = next.begin_transaction().await.expect("it begins");
    send(&stage, &transaction, 10..20).await;
    transaction.commit().await.expect("it is committed");
    drop(transaction);
    each_once(read(&mut reader(&stage, stage.name, "read_committed").await, 10).await, 10..20);
    next.close().await;
}

/// One transaction over sixty partitions, with more records than a request takes.
pub(crate) async fn large(stage: Stage) {
    const NUMBERS: u32 = 6000;
    stage.topic(60).await;
    let producer = transactional(&stage, &[]).await;
    let mut transaction = producer.begin_transaction().await.expect("it begins");
    send(&stage, &transaction, 0..NUMBERS).await;
    transaction.commit().await.expect("it is committed");
    drop(transaction);
    let mut consumer = reader(&stage, stage.name, "read_committed").await;
    let found = read(&mut consumer, usize::try_from(NUMBERS).expect("a small number")).await;
    each_once(found, 0..NUMBERS);
    producer.close().await;
}

/// A cluster that serves no transactions says so, and what to do about it.
pub(crate) async fn refused(stage: Stage) {
    let producer = stage.producer(&[("transactional.id", stage.name)]);
    let error = producer.init_transactions().await.expect_err("there are no transactions");
    assert_eq!(error.class(), ErrorClass::Fatal, "{error}");
    assert!(error.to_string().contains("Trilog does not support transactions"), "{error}");
    let error = producer.begin_transaction().await.expect_err("there are no transactions");
    assert_eq!(error.class(), ErrorClass::Fatal, "{error}");
    producer.close().await;
}
