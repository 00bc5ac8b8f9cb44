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
use crate::batch::{Batch, BatchBuilder, Record};
use crate::cluster::{Cluster, ClusterOptions};
use crate::partition::Partition;
use crate::requests::{FetchPlan, fetched, text, topic_name};
use crate::waiting::wait_until;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "unread-answers",
    what: "clients fetch and ask for metadata without reading any answer, while honest consumers read",
    cluster: || ClusterOptions::nodes(3).set("message.max.bytes", "104857600"),
    prepare: |cluster, size| -> Attack<'_> { Box::pin(prepare(cluster, size)) },
    attack: |cluster, size| -> Attack<'_> { Box::pin(attack(cluster, size)) },
};

const TOPIC: &str = "unread";
const WIDE: &str = "wide";

/// Requests that each client sends at once.
const PIPELINED: usize = 20;

/// The records of a batch that is fetched.
const BATCH_BYTES: usize = 900_000;

async fn prepare(cluster: &mut Cluster, size: Size) {
    let connection = cluster.connect(1).await;
    NewTopic::new(TOPIC).partitions(1).create(&connection).await;
    super::create_wide(cluster, WIDE, size.choose(100, 2_000)).await;
    let partition = cluster.partition(TOPIC, 0).await;
    let batches = batches(size);
    for number in 0..batches {
        let batch = BatchBuilder::new(vec![Record::new(number, vec![b'x'; BATCH_BYTES])]).build();
        partition.produce(batch).await;
    }
    let large = BatchBuilder::new(vec![Record::new(0, vec![b'l'; size.choose(20, 40) << 20])]).build();
    assert_eq!(partition.produce(large).await, batches, "the large batch is the last one");
    consume(cluster, batches).await;
}

/// Batches before the large one.
fn batches(size: Size) -> i64 {
    size.choose(20, 60)
}

async fn attack(cluster: &mut Cluster, size: Size) {
    let partition = cluster.partition(TOPIC, 0).await;
    let address = partition.connection.address();
    let mut unread = JoinSet::new();
    for number in 0..size.choose(60, 200) {
        let request = if number % 4 == 3 { metadata() } else { fetch(&partition) };
        let address = address.to_owned();
        unread.spawn(async move { ask_and_read_nothing(&address, &request).await });
    }
    // They have asked for more than a node may hold, when the first consumers come.
    tokio::time::sleep(Duration::from_millis(size.choose(500, 3_000))).await;
    let at = batches(size);
    for _ in 0..size.choose(2, 10) {
        let read = consume(cluster, at).await;
        assert!(read >= usize::try_from(at).expect("it is positive") * BATCH_BYTES, "{read} bytes");
    }
    let length = wait_until("the large batch is fetched", async || {
        let partition = cluster.partition(TOPIC, 0).await;
        let plan = FetchPlan { max_bytes: 1, partition_max_bytes: 1, ..FetchPlan::from(at) };
        let large = fetched(
            partition.connection.request_at_version(partition.target.fetch(11, plan), 11).await.ok()?,
        );
        large.records.map(|records| records.len())
    })
    .await;
    assert!(length > size.choose(20, 40) << 20, "a large batch is fetched whole, not {length} bytes");
    unread.shutdown().await;
}

/// Consumes everything up to an offset, over a new connection where the node has closed the last one. How many bytes it was.
async fn consume(cluster: &Cluster, to: i64) -> usize {
    let (mut offset, mut bytes) = (0, 0);
    let mut partition = cluster.partition(TOPIC, 0).await;
    while offset < to {
        let request = partition.target.fetch(11, FetchPlan::from(offset));
        let Ok(answer) = partition.connection.request_at_version(request, 11).await else {
            partition = cluster.partition(TOPIC, 0).await;
            continue;
        };
        for batch in Batch::split(&fetched(answer).records.unwrap_or_default()) {
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
