//! Topics by a regular expression.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::timeout;
use trilog_client::admin::{Change, NewTopic};
use trilog_client::{Consumer, Record};

use crate::stage::{Stage, until};

/// How long the member goes on after a topic is gone: several times its metadata.max.age.ms.
const AFTERWARDS: Duration = Duration::from_secs(2);

/// Makes a topic, and sends its name to it.
async fn topic(stage: &Stage, name: &str) {
    let topic = NewTopic::new(name).partitions(2).replicas(3);
    for (name, outcome) in stage.admin().create_topics([topic], Change::Apply).await {
        outcome.unwrap_or_else(|error| panic!("topic {name}: {error}"));
    }
    let producer = stage.producer(&[]);
    let delivery = producer.send(Record::to(name).value(name.to_owned())).await.expect("the record is taken");
    delivery.await.expect("the record is acknowledged");
    producer.close().await;
}

/// What was read, by topic.
type Found = BTreeMap<String, usize>;

/// Polls for a moment.
async fn poll(consumer: &mut Consumer, found: &mut Found) {
    if let Ok(batch) = timeout(Duration::from_millis(50), consumer.poll()).await {
        let batch = batch.expect("records");
        *found.entry(batch.partition.topic.to_string()).or_default() += batch.records.len();
    }
}

fn assigned(consumer: &Consumer) -> BTreeSet<String> {
    consumer.assignment().into_iter().map(|place| place.topic.to_string()).collect()
}

/// A member reads the topics that match: those that are there, one that is made later, and no more one that is deleted, which does
/// not come back by being asked for.
pub(crate) async fn follow(stage: Stage, protocol: &str) {
    let [first, later, other] = ["a", "b", "1"].map(|end| format!("{}-{end}", stage.name));
    let mut consumer = stage.consumer(&[("group.protocol", protocol), ("metadata.max.age.ms", "500")]);
    consumer.subscribe_pattern(&format!("{}-[a-z]+", stage.name)).expect("it is an expression");
    let mut found = Found::new();
    // Nothing matches yet.
    poll(&mut consumer, &mut found).await;
    topic(&stage, &other).await;
    topic(&stage, &first).await;
    until("the record of the topic that matches", async || {
        poll(&mut consumer, &mut found).await;
        found.contains_key(&first).then_some(())
    })
    .await;
    topic(&stage, &later).await;
    until("the record of the topic that was made later", async || {
        poll(&mut consumer, &mut found).await;
        found.contains_key(&later).then_some(())
    })
    .await;
    assert_eq!(assigned(&consumer), [first.clone(), later.clone()].into());

    for (name, outcome) in stage.admin().delete_topics([first.as_str()]).await {
        outcome.unwrap_or_else(|error| panic!("topic {name:?}: {error}"));
    }
    let mut shown = BTreeSet::new();
    until("no partition of the topic that was deleted", async || {
        poll(&mut consumer, &mut found).await;
        let has = assigned(&consumer);
        if has != shown {
            println!("{}: after the topic was deleted, the member has {has:?}", stage.name);
            shown.clone_from(&has);
        }
        (has == [later.clone()].into()).then_some(())
    })
    .await;
    let _ = timeout(AFTERWARDS, async {
        loop {
            poll(&mut consumer, &mut found).await;
        }
    })
    .await;
    let topics = stage.admin().list_topics().await.expect("the topics are listed");
    assert!(topics.iter().all(|topic| topic.name != first), "asked for, {first} came back");
    assert_eq!(found, [(first, 1), (later, 1)].into());
    consumer.close().await.expect("the last commit is made");
}
