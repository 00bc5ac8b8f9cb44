//! Sessions that end after three seconds (`connections.max.reauth.ms`).

use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use trilog_client::admin::{Change, NewTopic};
use trilog_client::security::{Sasl, Security};
use trilog_client::{Consumer, ConsumerConfig, Producer, ProducerConfig, Record};

use crate::sasl::unsecured;
use crate::stage::{Listener, PLAIN_SECRET, SCRAM_SECRET, admin};
use crate::tls::trusting;

/// Several sessions long.
const LOAD: Duration = Duration::from_secs(11);

/// A producer and a member of a group work on over several sessions: nothing fails, and no connection is opened anew.
pub(crate) async fn under_load() {
    let mut sides = Vec::new();
    for (name, sasl) in [
        ("renewed-plain", Sasl::plain("alice", PLAIN_SECRET)),
        ("renewed-scram", Sasl::scram_sha_512("al=i,ce", SCRAM_SECRET)),
        ("renewed-bearer", Sasl::oauth_bearer(|| async { Ok(unsecured("alice")) })),
    ] {
        sides.push(tokio::spawn(one(name, Security::sasl_ssl(trusting(), sasl))));
    }
    for side in sides {
        side.await.expect("it does not fail");
    }
}

async fn one(name: &'static str, security: Security) {
    let admin = admin(Listener::Brief, security.clone());
    let topic = NewTopic::new(name).partitions(3);
    let made = admin.create_topics([topic], Change::Apply).await;
    assert!(made.values().all(Result::is_ok), "{made:?}");
    let address = Listener::Brief.address();
    let config = ProducerConfig::new(&address).expect("an address").security(security.clone());
    let producer = Producer::new(config).expect("a producer");
    let names = [("group.id", name), ("auto.offset.reset", "earliest")];
    let config = ConsumerConfig::new(&address).expect("an address").with_names(names).expect("settings");
    let mut consumer = Consumer::new(config.security(security)).expect("a consumer");
    consumer.subscribe([name]).expect("it has a group");
    producer.partitions(name, Duration::from_secs(30)).await.expect("the topic");
    let first = producer.send(Record::to(name).value("first")).await.expect("it is taken");
    first.await.expect("it is acknowledged");
    let connections = producer.metrics().connections;

    let end = Instant::now() + LOAD;
    let mut sent = 1_usize;
    let sending = async {
        while Instant::now() < end {
            let delivery = producer.send(Record::to(name).value("v")).await.expect("it is taken");
            delivery.await.unwrap_or_else(|error| panic!("{name}, record {sent}: {error}"));
            sent += 1;
            sleep(Duration::from_millis(5)).await;
        }
        sent
    };
    let reading = async {
        let mut read = 0;
        while Instant::now() < end {
            if let Ok(batch) = timeout(Duration::from_secs(2), consumer.poll()).await {
                read += batch.unwrap_or_else(|error| panic!("{name}: {error}")).records.len();
            }
            assert!(consumer.trouble().is_none(), "{name}: {:?}", consumer.trouble());
        }
        read
    };
    let (sent, mut read) = tokio::join!(sending, reading);
    while read < sent {
        let batch = timeout(Duration::from_secs(20), consumer.poll()).await.expect("records come");
        read += batch.expect("records").records.len();
    }
    assert_eq!(read, sent);
    let metrics = producer.metrics();
    assert_eq!(metrics.connections, connections, "{name}: no connection was opened anew");
    assert_eq!((metrics.batches_retried, metrics.records_failed), (0, 0), "{name}");
    consumer.close().await.expect("it leaves its group");
}
