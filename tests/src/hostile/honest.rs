//! Honest clients under the bounds that hold for attackers: a consumer on a phone's line, a thousand consumers at once, a producer of
//! requests of 100 MiB, a topic of ten thousand partitions, and fifty thousand groups. All of them work.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::produce_request::TopicProduceData;
use kafka_protocol::messages::{
    FindCoordinatorRequest, ListGroupsRequest, OffsetCommitRequest, ProduceRequest,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use trilog_client::wire::frame::encode_request;

use super::{Attack, Scenario, Size};
use crate::admin::NewTopic;
use crate::batch::{BatchBuilder, Record, values};
use crate::cluster::{Cluster, ClusterOptions};
use crate::partition::Partition;
use crate::requests::{FetchPlan, Target, group_id, text, topic_name};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "honest",
    what: "a slow consumer, 1,000 consumers at once, requests of 100 MiB, 10,000 partitions, 50,000 groups",
    cluster: || ClusterOptions::nodes(3).set("message.max.bytes", "20000000"),
    prepare: |cluster, size| -> Attack<'_> { Box::pin(prepare(cluster, size)) },
    attack: |cluster, size| -> Attack<'_> { Box::pin(attack(cluster, size)) },
};

const CONSUMED: &str = "consumed";
const LARGE: &str = "large";
const WIDE: &str = "wide";

/// The records of a batch that is consumed.
const BATCH_BYTES: usize = 100_000;

/// Partitions that a large request is about, all of one leader.
const PARTITIONS: i32 = 10;

/// What a phone's line carries, in bytes, each time it has waited for [`LINE_WAITS`].
const LINE_BYTES: usize = 4 << 10;
const LINE_WAITS: Duration = Duration::from_millis(200);

/// Groups that a coordinator is asked for at once.
const GROUPS_AT_ONCE: usize = 500;

async fn prepare(cluster: &mut Cluster, size: Size) {
    let consumed = cluster.new_partition(CONSUMED).await;
    for number in 0..i64::from(size.choose(8_u8, 40)) {
        let batch = BatchBuilder::new(vec![Record::new(number, vec![b'c'; BATCH_BYTES])]).build();
        consumed.produce(batch).await;
    }
    let large = (0..PARTITIONS).fold(NewTopic::new(LARGE), |topic, index| topic.assign(index, &[1, 2, 3]));
    cluster.create(large).await;
    cluster.wait_preferred(LARGE).await;
    super::create_wide(cluster, WIDE, size.choose(200, 10_000)).await;
}

async fn attack(cluster: &mut Cluster, size: Size) {
    let cluster = &*cluster;
    tokio::join!(
        slow_consumer(cluster, size),
        many_consumers(cluster, size.choose(40, 1_000)),
        large_requests(cluster, size),
    );
    let last = cluster.partition(WIDE, size.choose(200, 10_000) - 1).await;
    assert_eq!(last.produce(values(1, &["a"])).await, 0);
    assert_eq!(last.fetch(0).await.len(), 1);
    many_groups(cluster, size.choose(500, 50_000)).await;
}

/// Fetches over a line of some kilobytes a second, whose socket takes no more than that at once.
async fn slow_consumer(cluster: &Cluster, size: Size) {
    let partition = cluster.partition(CONSUMED, 0).await;
    let plan = FetchPlan { max_bytes: size.choose(1, 1_000_000), ..FetchPlan::from(0) };
    let request = partition.target.fetch(11, plan);
    let request = encode_request(&request, 11, 1, &text("phone")).expect("the request can be encoded");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(u32::try_from(LINE_BYTES).expect("some kilobytes")).expect("a small buffer");
    let address = partition.connection.address().parse().expect("an address of numbers");
    let mut stream = socket.connect(address).await.expect("the node takes connections");
    stream.write_all(&request).await.expect("the node reads");
    let length = usize::try_from(stream.read_u32().await.expect("an answer comes")).expect("its length");
    assert!(length > BATCH_BYTES, "{length} bytes are answered");
    let mut left = length;
    while left > 0 {
        let part = left.min(LINE_BYTES);
        stream.read_exact(&mut vec![0; part]).await.expect("the node goes on");
        left -= part;
        tokio::time::sleep(LINE_WAITS).await;
    }
}

/// Consumers that come at once, each of whom reads everything.
async fn many_consumers(cluster: &Cluster, count: usize) {
    let partition = cluster.partition(CONSUMED, 0).await;
    let (end, address) = (partition.end().await, partition.connection.address().to_owned());
    let mut consumers = JoinSet::new();
    for _ in 0..count {
        let (target, address) = (partition.target.clone(), address.clone());
        consumers.spawn(async move { consume(target, &address, end).await });
    }
    consumers.join_all().await;
}

async fn consume(target: Target, address: &str, end: i64) {
    let options = crate::cluster::connection_options();
    let connection = trilog_client::wire::Connection::connect(address, &options).await;
    let partition = Partition { connection: connection.expect("the node takes consumers"), target };
    let mut offset = 0;
    while offset < end {
        let batches = partition.fetch(offset).await;
        offset = batches.last().map_or(offset, |batch| batch.last_offset() + 1);
    }
}

/// Requests of 100 MB, of a batch for each of some partitions.
async fn large_requests(cluster: &Cluster, size: Size) {
    let connection = cluster.connect(1).await;
    let record = Record::new(1, vec![b'l'; size.choose(500_000, 10_000_000)]);
    let batch = BatchBuilder::new(vec![record]).build();
    let data = (0..PARTITIONS).map(|index| {
        kafka_protocol::messages::produce_request::PartitionProduceData::default()
            .with_index(index)
            .with_records(Some(batch.clone()))
    });
    let topic = TopicProduceData::default().with_name(topic_name(LARGE)).with_partition_data(data.collect());
    let request =
        ProduceRequest::default().with_acks(-1).with_timeout_ms(60_000).with_topic_data(vec![topic]);
    for _ in 0..size.choose(2, 3) {
        let answer = connection.request_at_version(request.clone(), 9).await.expect("Produce is answered");
        let codes = answer.responses.iter().flat_map(|topic| &topic.partition_responses);
        let codes: Vec<i16> = codes.map(|partition| partition.error_code).collect();
        assert_eq!(codes, [0; PARTITIONS as usize], "every batch is acknowledged");
    }
}

/// Groups that commit an offset each.
async fn many_groups(cluster: &Cluster, count: usize) {
    let names: Vec<String> = (0..count).map(|number| format!("honest-{number}")).collect();
    let mut nodes = BTreeMap::new();
    for id in cluster.ids() {
        nodes.insert(id, cluster.connect(id).await);
    }
    for names in names.chunks(GROUPS_AT_ONCE) {
        let keys = names.iter().map(|name| text(name)).collect();
        let request = FindCoordinatorRequest::default().with_coordinator_keys(keys);
        let found = nodes[&1].request(request).await.expect("coordinators are told").coordinators;
        let mut open = Vec::new();
        for coordinator in found {
            assert_eq!(coordinator.error_code, 0, "{}", coordinator.key);
            let request = commit(&coordinator.key);
            let sent = nodes[&coordinator.node_id.0].enqueue_at(request, 8).await;
            open.push(sent.expect("the coordinator takes commits"));
        }
        for answer in open {
            let answer = answer.answer().await.expect("a commit is answered");
            assert_eq!(answer.topics[0].partitions[0].error_code, 0, "the offset is committed");
        }
    }
    let mut listed = 0;
    for connection in nodes.values() {
        let answer = connection.request(ListGroupsRequest::default()).await.expect("groups are listed");
        listed += answer.groups.iter().filter(|group| group.group_id.starts_with("honest-")).count();
    }
    assert_eq!(listed, count, "every group is listed once");
}

fn commit(group: &str) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(1);
    let topic = OffsetCommitRequestTopic::default().with_name(topic_name(CONSUMED));
    let topic = topic.with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default().with_group_id(group_id(group)).with_topics(vec![topic]);
    request.with_generation_id_or_member_epoch(-1)
}
