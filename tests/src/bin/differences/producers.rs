//! InitProducerId, and what a partition's leader says to producers.

use std::rc::Rc;

use bytes::Bytes;
use kafka_protocol::messages::InitProducerIdRequest;
use trilog_client::wire::Connection;
use trilog_tests::batch::{BatchBuilder, Record};
use trilog_tests::partition::{Partition, init_producer};
use trilog_tests::requests::served;

use crate::stage::{Stage, asked};
use crate::told;

fn request(id: i64, epoch: i16) -> InitProducerIdRequest {
    InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(60_000)
        .with_producer_id(id.into())
        .with_producer_epoch(epoch)
}

async fn init(connection: &Connection, request: InitProducerIdRequest) -> String {
    let answer = asked(connection, request).await;
    let id = if answer.producer_id.0 < 0 { answer.producer_id.0.to_string() } else { "an id".to_owned() };
    format!("{}, {id}, epoch {}", told::code(answer.error_code), answer.producer_epoch)
}

/// A batch of `count` records of one producer.
fn batch(producer: i64, epoch: i16, sequence: i32, count: i32) -> Bytes {
    let records = (0..count).map(|_| Record::new(1, "a"));
    BatchBuilder::new(records.collect()).producer(producer, epoch, sequence).build()
}

async fn sent(stage: &Stage, partition: &Partition, what: &str, records: Bytes) {
    stage.note(what, told::produced(&partition.try_produce(records).await));
}

pub(crate) async fn ids(stage: Rc<Stage>) {
    for node in stage.ids() {
        let connection = stage.connect(node).await;
        // The first answers may be that there is no id yet.
        let newest = *served::<InitProducerIdRequest>(&connection).end();
        let known = init_producer(&connection, newest).await;
        let cases = [
            ("nothing", -1, -1),
            ("an id alone", known, -1),
            ("an epoch alone", -1, 0),
            ("both", known, 0),
            ("the epoch before the last", known, i16::MAX - 1),
            ("a negative id", -2, 0),
            ("a negative epoch", known, -2),
            ("an id that was never given", i64::MAX, 0),
        ];
        for (what, id, epoch) in cases {
            stage.note(format!("node {node}: {what}"), init(&connection, request(id, epoch)).await);
        }
        let timeless = request(-1, -1).with_transaction_timeout_ms(-1);
        stage.note(format!("node {node}: a negative timeout"), init(&connection, timeless).await);
        let nameless = request(-1, -1).with_transactional_id(Some(trilog_tests::requests::text("").into()));
        stage.note(format!("node {node}: an empty transactional id"), init(&connection, nameless).await);
    }
    let partition = stage.new_partition(&stage.named("topic"), &[]).await;
    let producer = partition.new_producer().await;
    sent(&stage, &partition, "sequence 0 to 1", batch(producer, 0, 0, 2)).await;
    sent(&stage, &partition, "the same again", batch(producer, 0, 0, 2)).await;
    sent(&stage, &partition, "a gap", batch(producer, 0, 3, 1)).await;
    sent(&stage, &partition, "half of it again", batch(producer, 0, 1, 1)).await;
    sent(&stage, &partition, "what follows", batch(producer, 0, 2, 2)).await;
    sent(&stage, &partition, "a newer epoch in the middle", batch(producer, 1, 4, 1)).await;
    sent(&stage, &partition, "a newer epoch from 0", batch(producer, 1, 0, 1)).await;
    sent(&stage, &partition, "the older epoch", batch(producer, 0, 4, 1)).await;
    for sequence in 1..8 {
        sent(&stage, &partition, &format!("sequence {sequence}"), batch(producer, 1, sequence, 1)).await;
    }
    sent(&stage, &partition, "the fifth last again", batch(producer, 1, 3, 1)).await;
    sent(&stage, &partition, "the sixth last again", batch(producer, 1, 2, 1)).await;
    let stranger = partition.new_producer().await;
    sent(&stage, &partition, "a producer's first from 5 on", batch(stranger, 0, 5, 1)).await;
    sent(&stage, &partition, "the same, once more", batch(stranger, 0, 5, 1)).await;
    let wrapped = partition.new_producer().await;
    sent(&stage, &partition, "an epoch above 0 as the first", batch(wrapped, 3, 0, 1)).await;
    stage.note("the end", partition.end().await);
}
