//! What an application is told when something is wrong.

use std::time::Duration;

use trilog_client::{Error, ErrorClass, Producer, ProducerConfig, Record};
use trilog_tests::cluster::shared;

#[tokio::test]
async fn a_topic_that_does_not_exist_fails_the_record_by_name() {
    let cluster = shared().await;
    let names = [("allow.auto.create.topics", "false"), ("max.block.ms", "15000")];
    let config = ProducerConfig::new(&cluster.bootstrap()).unwrap().with_names(names).unwrap();
    let producer = Producer::new(config).unwrap();
    let error = producer.send(Record::to("client-missing").value("v")).await.unwrap().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Retriable);
    assert!(error.to_string().contains("UNKNOWN_TOPIC_OR_PARTITION (3)"), "{error}");
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_named_before_any_record_is_sent() {
    // Nobody listens there, and no test's node ever does.
    let address = "127.0.0.1:1";
    let producer = Producer::new(ProducerConfig::new(address).unwrap()).unwrap();
    let error = producer.ready(Duration::from_secs(10)).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }) && error.to_string().contains(address), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}
