//! What scenarios share: the listeners, the users, and a round trip by all three clients.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use trilog_client::admin::{Admin, AdminConfig, Change, NewTopic, ScramChange, ScramMechanism};
use trilog_client::security::Security;
use trilog_client::{Consumer, ConsumerConfig, Error, Producer, ProducerConfig, Record};

/// The password of `alice` with PLAIN, as the node is configured.
pub(crate) const PLAIN_SECRET: &str = "plain-secret";

/// That with SCRAM, as [`users`] sets it: with signs of the protocol.
pub(crate) const SCRAM_SECRET: &str = "scram=,secret €";

/// A listener of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    Plaintext,
    Tls,
    /// TLS for clients with a certificate.
    Mutual,
    /// TLS with a certificate for another name.
    Elsewhere,
    Sasl,
    SaslTls,
    /// SASL within TLS, with sessions of three seconds.
    Brief,
}

impl Listener {
    pub(crate) fn address(self) -> String {
        let first: u16 = variable("SECURED_PORT").parse().expect("a port");
        format!("127.0.0.1:{}", first + self as u16)
    }
}

pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is set by tests/compat/secured/run"))
}

/// A file of certificates or keys.
pub(crate) fn pem(name: &str) -> PathBuf {
    PathBuf::from(variable("SECURED_HOME")).join(name)
}

pub(crate) fn admin(listener: Listener, security: Security) -> Admin {
    let config = AdminConfig::new(&listener.address()).expect("an address").security(security);
    Admin::new(config).expect("an admin client")
}

/// Waits for the node, and makes the users of SCRAM.
pub(crate) async fn users() {
    let admin = admin(Listener::Plaintext, Security::plaintext());
    admin.ready(Duration::from_secs(60)).await.expect("the node answers");
    // Kafka changes a user only once in a request.
    for mechanism in [ScramMechanism::Sha256, ScramMechanism::Sha512] {
        let change = ScramChange::Set { password: SCRAM_SECRET.to_owned(), iterations: 8192 };
        let changes = [(("al=i,ce".to_owned(), mechanism), change)];
        for (user, outcome) in admin.alter_users(changes).await.expect("the node answers") {
            outcome.unwrap_or_else(|error| panic!("{user:?}: {error}"));
        }
    }
    // The node learns of them a moment later.
    sleep(Duration::from_secs(1)).await;
}

/// Makes a topic, sends records and reads them in a group, all by this security.
pub(crate) async fn round_trip(name: &str, listener: Listener, security: &Security) {
    let admin = admin(listener, security.clone());
    for (topic, outcome) in admin.create_topics([NewTopic::new(name).partitions(2)], Change::Apply).await {
        outcome.unwrap_or_else(|error| panic!("{topic}: {error}"));
    }
    let address = listener.address();
    let config = ProducerConfig::new(&address).expect("an address").security(security.clone());
    let producer = Producer::new(config).expect("a producer");
    let mut sent = BTreeSet::new();
    let mut deliveries = Vec::new();
    for number in 0..200 {
        // Some of them longer than a record of TLS.
        let value = format!("{number}-{}", "x".repeat(if number % 20 == 0 { 100_000 } else { 10 }));
        deliveries.push(producer.send(Record::to(name).value(value.clone())).await.expect("it is taken"));
        sent.insert(value);
    }
    for delivery in deliveries {
        delivery.await.expect("it is acknowledged");
    }
    producer.close().await;
    let names = [("group.id", name), ("auto.offset.reset", "earliest")];
    let config = ConsumerConfig::new(&address).expect("an address").with_names(names).expect("settings");
    let mut consumer = Consumer::new(config.security(security.clone())).expect("a consumer");
    consumer.subscribe([name]).expect("it has a group");
    let mut read = BTreeSet::new();
    while read.len() < sent.len() {
        let batch = timeout(Duration::from_secs(60), consumer.poll()).await.expect("records come");
        for record in batch.expect("records").records {
            let value = record.value.expect("a value");
            read.insert(String::from_utf8(value.to_vec()).expect("a text"));
        }
    }
    assert!(read == sent, "{} of {} records", read.len(), sent.len());
    consumer.close().await.expect("it leaves its group");
}

/// What each of the three clients says of a listener that does not let it in, and how soon.
pub(crate) async fn refusals(listener: Listener, security: &Security) -> Vec<Error> {
    let address = listener.address();
    let started = Instant::now();
    let mut errors = Vec::new();
    errors.push(admin(listener, security.clone()).list_topics().await.expect_err("no admin is let in"));
    for idempotence in ["true", "false"] {
        let names = [("enable.idempotence", idempotence)];
        let config = ProducerConfig::new(&address).expect("an address").with_names(names).expect("settings");
        let producer = Producer::new(config.security(security.clone())).expect("a producer");
        let delivery = producer.send(Record::to("t").value("v")).await.expect("it is taken");
        errors.push(delivery.await.expect_err("no producer is let in"));
    }
    for group in [true, false] {
        let config = ConsumerConfig::new(&address).expect("an address").group("g");
        let mut consumer = Consumer::new(config.security(security.clone())).expect("a consumer");
        if group {
            consumer.subscribe(["t"]).expect("it has a group");
        } else {
            consumer.assign([trilog_client::TopicPartition::new("t", 0)]).expect("it is no member");
        }
        errors.push(consumer.poll().await.expect_err("no consumer is let in"));
    }
    assert!(started.elapsed() < Duration::from_secs(20), "told after {:?}: {errors:?}", started.elapsed());
    errors
}
