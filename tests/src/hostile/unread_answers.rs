//! Clients that ask for large answers and do not read them: fetches, and the metadata of a topic of many partitions. Their
//! answers have a bound for the node, and honest consumers get theirs, a large batch included.

use std::time::Duration;

use bytes::BytesMut;
use kafka_protocol::messages::MetadataRequest;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use tokio::task::JoinSet;
use trilog_client::wire::RawConnection;
use trilog_client::wire::frame::encode_request;

use super::{Attack, Scenario, Size};
use crate::admin::NewTopic;
use crate::batch::{BatchBuilder, Record};
use crate::cluster::{Cluster, ClusterOptions};
use crate::partition::Partition;
use crate::requests::{FetchPlan, text, topic_name};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "unread-answers",
    what: "clients fetch and ask for metadata without reading any answer, while honest consumers read",
    cluster: || ClusterOptions::nodes(3).set("message.max.bytes", "104857600"),
    attack: |cluster, size| -> Attack<'_> { Box::pin(attack(cluster, size)) },
};

const TOPIC: &str = "unread";
const WIDE: &str = "wide";

/// Requests that each client sends at once.
const PIPELINED: usize = 20;

/// The records of a batch that is fetched.
const BATCH_BYTES: usize = 900_000;

async fn attack(cluster: &mut Cluster, size: Size) {
    let connection = cluster.connect(1).await;
    NewTopic::new(TOPIC).partitions(1).create(&connection).await;
    NewTopic::new(WIDE).partitions(size.choose(100, 2_000)).create(&connection).await;
    let partition = cluster.partition(TOPIC, 0).await;
    let batches: u16 = size.choose(20, 60);
    let least = usize::from(batches) * BATCH_BYTES;
    for number in 0..i64::from(batches) {
        let batch = BatchBuilder::new(vec![Record::new(number, vec![b'x'; BATCH_BYTES])]).build();
        partition.produce(batch).await;
    }
    let large = BatchBuilder::new(vec![Record::new(0, vec![b'l'; size.choose(20, 40) << 20])]).build();
    let at = partition.produce(large).await;

    let address = partition.connection.address();
    let mut unread = JoinSet::new();
    for number in 0..size.choose(60, 200) {
        let request = if number % 4 == 3 { metadata() } else { fetch(&partition) };
        let address = address.to_owned();
        unread.spawn(async move { ask_and_read_nothing(&address, &request).await });
    }
    // They have asked for more than a node may hold, when the first consumers come.
    tokio::time::sleep(Duration::from_millis(size.choose(500, 3_000))).await;
    for _ in 0..size.choose(2, 10) {
        let read = consume(&cluster.partition(TOPIC, 0).await, at).await;
        assert!(read >= least, "{read} bytes before the large batch");
    }
    let plan = FetchPlan { max_bytes: 1, partition_max_bytes: 1, ..FetchPlan::from(at) };
    let large = cluster.partition(TOPIC, 0).await.try_fetch(plan).await;
    let length = large.records.map_or(0, |records| records.len());
    assert!(length > size.choose(20, 40) << 20, "a large batch is fetched whole, not {length} bytes");
    unread.shutdown().await;
}

/// Consumes everything up to an offset. How many bytes it was.
async fn consume(partition: &Partition, to: i64) -> usize {
    let (mut offset, mut bytes) = (0, 0);
    while offset < to {
        for batch in partition.fetch(offset).await {
            offset = batch.last_offset() + 1;
            bytes += batch.bytes.len();
        }
    }
    bytes
}

/// Sends requests again and again over new connections, and reads no answer, until it is stopped.
async fn ask_and_read_nothing(address: &str, request: &[u8]) {
    loop {
        let Ok(mut connection) = RawConnection::connect(address).await else { continue };
        for _ in 0..PIPELINED {
            if connection.send_bytes(request).await.is_err() {
                break;
            }
        }
        // The node closes it when others wait for the memory.
        while connection.send_bytes(request).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

fn fetch(partition: &Partition) -> BytesMut {
    let request = partition.target.fetch(11, FetchPlan::from(0));
    encode_request(&request, 11, 1, &text("unread")).expect("the request can be encoded")
}

fn metadata() -> BytesMut {
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name(WIDE)));
    let request = MetadataRequest::default().with_topics(Some(vec![topic]));
    encode_request(&request, 9, 1, &text("unread")).expect("the request can be encoded")
}
