//! What a consumer has read of a topic that is deleted before it is committed: it holds up nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::timeout;
use trilog_client::consumer::{Consumer, ConsumerConfig, TopicPartition};
use trilog_client::{Producer, ProducerConfig, Record};
use trilog_tests::admin::{NewTopic, delete_topic};
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::waiting::PATIENCE;

const GONE: &str = "follow-gone";
const STAYS: &str = "follow-stays";

/// A member of a classic group that follows an expression and has read a record of each of two topics, of which the first one is then
/// deleted. Nothing is committed yet. A commit is tried again for longer than any test waits.
async fn loses_a_topic(cluster: &Cluster) -> Consumer {
    let bootstrap = cluster.bootstrap();
    let producer =
        Producer::new(ProducerConfig::new(&bootstrap).expect("addresses")).expect("sound settings");
    for name in [GONE, STAYS] {
        cluster.create(NewTopic::new(name)).await;
        cluster.wait_shown(name).await;
        let delivery = producer.send(Record::to(name).value("value")).await.expect("the record is taken");
        delivery.await.expect("the record is acknowledged");
    }
    producer.close().await;
    let config = ConsumerConfig::from_names([
        ("bootstrap.servers", bootstrap.as_str()),
        ("group.id", "loses-a-topic"),
        ("auto.offset.reset", "earliest"),
        ("auto.commit.interval.ms", "3600000"),
        ("default.api.timeout.ms", "3600000"),
        ("metadata.max.age.ms", "500"),
    ]);
    let mut consumer = Consumer::new(config.expect("the settings exist")).expect("they are sound");
    consumer.subscribe_pattern("follow-[a-z]+").expect("it is an expression");
    let mut read = BTreeSet::new();
    while read.len() < 2 {
        read.insert(consumer.poll().await.expect("nothing is wrong for good").partition);
    }
    assert_eq!(delete_topic(&cluster.connect_any().await, GONE).await, 0);
    consumer
}

async fn start() -> Cluster {
    Cluster::start(ClusterOptions::nodes(3).set("group.initial.rebalance.delay.ms", "0")).await
}

fn stays() -> TopicPartition {
    TopicPartition::new(STAYS, 0)
}

#[tokio::test]
async fn a_rebalance_does_not_wait_for_its_offsets() {
    let cluster = start().await;
    let mut consumer = loses_a_topic(&cluster).await;
    let rebalanced = async {
        while consumer.assignment() != BTreeSet::from([stays()]) {
            // The member hears of the deletion, and rebalances while it polls.
            let polled = timeout(Duration::from_millis(50), consumer.poll()).await;
            assert!(polled.is_err(), "{polled:?}");
        }
    };
    timeout(PATIENCE, rebalanced).await.expect("the member gives up the topic that is gone");
    consumer.close().await.expect("what was read of the other topic is committed");
}

#[tokio::test]
async fn a_commit_tells_of_it_and_takes_the_others() {
    let cluster = start().await;
    let mut consumer = loses_a_topic(&cluster).await;
    let committed = timeout(PATIENCE, consumer.commit()).await.expect("the commit ends");
    let refusal = committed.expect_err("nobody has the topic").to_string();
    assert!(refusal.contains("follow-gone is gone"), "{refusal}");
    let committed = consumer.committed([stays()]).await.expect("the group is asked");
    assert_eq!(committed.get(&stays()).map(|commit| commit.offset), Some(1));
}
