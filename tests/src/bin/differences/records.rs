//! What Produce says of records: those without keys, those out of their time, and when it answers.

use std::rc::Rc;

use bytes::Bytes;
use kafka_protocol::messages::ProduceRequest;
use trilog_tests::batch::{BatchBuilder, Codec, Record, values};
use trilog_tests::partition::Partition;
use trilog_tests::requests::{produced, served};
use trilog_tests::waiting::wait_until;

use crate::stage::Stage;
use crate::told;

/// A day in milliseconds.
const DAY: i64 = 86_400_000;

fn keyed(timestamp: i64) -> Record {
    Record { key: Some(Bytes::from_static(b"key")), ..Record::new(timestamp, "keyed") }
}

fn bare(timestamp: i64) -> Record {
    Record::new(timestamp, "without a key")
}

/// A compacted topic takes no record without a key, and says which of a batch have none.
pub(crate) async fn without_keys(stage: Rc<Stage>) {
    for policy in ["compact", "compact,delete", "delete"] {
        let topic = stage.named(&policy.replace(',', "-"));
        let partition = stage.new_partition(&topic, &[("cleanup.policy", policy)]).await;
        for codec in Codec::ALL {
            let mixed = vec![keyed(1), bare(1), keyed(1), bare(1)];
            let answer = partition.try_produce(BatchBuilder::new(mixed).codec(codec).build()).await;
            stage.note(format!("{policy}, {codec:?}: with, without, with, without"), told::produced(&answer));
            let good = BatchBuilder::new(vec![keyed(1), keyed(1)]).codec(codec).build();
            let answer = partition.try_produce(good).await;
            stage.note(format!("{policy}, {codec:?}: with, with"), told::produced(&answer));
        }
        let empty = Record { key: Some(Bytes::new()), value: None, ..bare(1) };
        let answer = partition.try_produce(BatchBuilder::new(vec![empty]).build()).await;
        stage.note(format!("{policy}: an empty key without a value"), told::produced(&answer));
        for version in served::<ProduceRequest>(&partition.connection) {
            let request = partition.target.produce(version, -1, BatchBuilder::new(vec![bare(1)]).build());
            let answer = partition.connection.request_at_version(request, version).await;
            let answer = produced(answer.expect("Produce is answered"));
            stage.note(format!("{policy}: without, version {version}"), told::produced(&answer));
        }
        stage.note(format!("{policy}: the end"), partition.end().await);
    }
}

/// Records out of their time, and what cannot be read: which of a batch are blamed.
pub(crate) async fn blamed(stage: Rc<Stage>) {
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().expect("it is later than 1970").as_millis());
    let now = now.expect("a time");
    let settings =
        [("message.timestamp.before.max.ms", "3600000"), ("message.timestamp.after.max.ms", "3600000")];
    let topic = stage.named("timed");
    let partition = stage.new_partition(&topic, &settings).await;
    let cases = [
        ("in time", vec![now, now]),
        ("the second too old", vec![now, now - DAY, now]),
        ("the first and the third too new", vec![now + DAY, now, now + DAY]),
        ("all too old", vec![now - DAY, now - DAY]),
        ("no time", vec![-1]),
        ("a time, and none", vec![now, -1]),
    ];
    for codec in [Codec::None, Codec::Lz4] {
        for (what, times) in &cases {
            let records = times.iter().map(|time| keyed(*time)).collect();
            let answer = partition.try_produce(BatchBuilder::new(records).codec(codec).build()).await;
            stage.note(format!("{codec:?}: {what}"), told::produced(&answer));
        }
    }
    let appended = [("message.timestamp.type", "LogAppendTime"), settings[0], settings[1]];
    let partition = stage.new_partition(&stage.named("append-time"), &appended).await;
    for (what, times) in &cases {
        let records = times.iter().map(|time| keyed(*time)).collect();
        let answer = partition.try_produce(BatchBuilder::new(records).build()).await;
        stage.note(format!("append time: {what}"), told::produced(&answer));
    }
    let both = [("cleanup.policy", "compact"), settings[0], settings[1]];
    let partition = stage.new_partition(&stage.named("both"), &both).await;
    let records = vec![keyed(now - DAY), bare(now)];
    let answer = partition.try_produce(BatchBuilder::new(records).build()).await;
    stage.note("one too old, and one without a key", told::produced(&answer));
    let records = vec![bare(now), keyed(now - DAY)];
    let answer = partition.try_produce(BatchBuilder::new(records).build()).await;
    stage.note("one without a key, and one too old", told::produced(&answer));
}

/// How many requests with a tiny timeout are sent: enough that some would be late if it counted.
const OFTEN: i64 = 20;

async fn hurried(partition: &Partition, acks: i16, timeout: i32) -> String {
    let mut answers = Vec::new();
    for _ in 0..OFTEN {
        let mut request = partition.target.produce(9, acks, values(1, &["a"]));
        request.timeout_ms = timeout;
        let answer = partition.connection.request_at_version(request, 9).await;
        answers.push(told::code(produced(answer.expect("Produce is answered")).error_code));
    }
    answers.dedup();
    answers.join(", ")
}

/// Which acknowledgements there are, and that `acks=1` knows no timeout.
pub(crate) async fn acknowledgements(stage: Rc<Stage>) {
    let partition = stage.new_partition(&stage.named("timeouts"), &[]).await;
    for timeout in [0, 1, -1, i32::MIN] {
        stage.note(format!("acks=1 within {timeout} ms"), hurried(&partition, 1, timeout).await);
    }
    // Kafka's leader does not wait for the followers.
    let all = 4 * OFTEN;
    wait_until("all of them are committed", async || (partition.end().await == all).then_some(())).await;
    for acks in [2, -2, i16::MAX, i16::MIN] {
        let answer = partition.produce_with_acks(acks, values(1, &["a"])).await;
        stage.note(format!("acks={acks}"), told::produced(&answer));
    }
    let other = stage.elsewhere(&partition).await;
    for acks in [1, -1, 2] {
        let answer = other.produce_with_acks(acks, values(1, &["a"])).await;
        stage.note(format!("acks={acks} to a node that does not lead"), told::produced(&answer));
    }
    for (topic, index) in [
        (stage.named("timeouts"), 1),
        (stage.named("timeouts"), -1),
        (stage.named("none"), 0),
        (String::new(), 0),
    ] {
        let target = trilog_tests::requests::Target { topic, partition: index, ..partition.target.clone() };
        for version in [3, 9, 12] {
            let request = target.produce(version, -1, values(1, &["a"]));
            let answer = partition.connection.request_at_version(request, version).await;
            let answer = produced(answer.expect("Produce is answered"));
            stage.note(
                format!("partition {index} of {:?}, version {version}", target.topic),
                told::produced(&answer),
            );
        }
    }
    stage.note("the end, again", partition.end().await);
}
