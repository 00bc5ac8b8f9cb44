//! A node that was away while a state grew that no frame between nodes can hold: it gets it in parts, and can lead.

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetFetchRequest};
use trilog_client::wire::Connection;
use trilog_tests::admin::NewTopic;
use trilog_tests::cluster::{CONSUMER_OFFSETS, Cluster, ClusterOptions};
use trilog_tests::group::offsets::{fetch_request, fetched_offsets};
use trilog_tests::group::partition_of;
use trilog_tests::http::sum;
use trilog_tests::requests::{group_id, only, text, topic_name};
use trilog_tests::waiting::wait_until;

/// The longest frame between nodes, see `transport/frame.rs`.
const MAX_FRAME_BYTES: usize = 64 << 20;

const PARTITIONS: i32 = 100;

/// As long as `offset.metadata.max.bytes` has it by default.
const METADATA_BYTES: usize = 4096;

/// Groups of one coordinator that fill more than a frame.
fn groups() -> Vec<String> {
    let of_one = (0..).map(|number| format!("group-{number}")).filter(|group| partition_of(group, 16) == 0);
    let bytes = usize::try_from(PARTITIONS).unwrap() * METADATA_BYTES;
    of_one.take(MAX_FRAME_BYTES / bytes + 8).collect()
}

async fn commit(connection: &Connection, group: &str) {
    let metadata = "m".repeat(METADATA_BYTES);
    let partitions = (0..PARTITIONS).map(|partition| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(partition)
            .with_committed_offset(i64::from(partition))
            .with_committed_metadata(Some(text(&metadata)))
    });
    let topic = OffsetCommitRequestTopic::default()
        .with_name(topic_name("long"))
        .with_partitions(partitions.collect());
    let request = OffsetCommitRequest::default()
        .with_group_id(group_id(group))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    let version = connection.versions().negotiate::<OffsetCommitRequest>().unwrap();
    let answer = connection.request_at_version(request, version).await.unwrap();
    assert!(only(answer.topics).partitions.iter().all(|row| row.error_code == 0), "{group}");
}

/// How many offsets the group has, as this node says.
async fn committed(connection: &Connection, group: &str) -> Option<usize> {
    let version = connection.versions().negotiate::<OffsetFetchRequest>().unwrap();
    let answer = connection.request_at_version(fetch_request(group, None, version), version).await.unwrap();
    let group = fetched_offsets(answer, version);
    (group.error_code == 0).then(|| group.topics.iter().map(|topic| topic.partitions.len()).sum())
}

#[tokio::test]
async fn a_state_longer_than_a_frame_reaches_a_node_that_was_away() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    cluster.create(NewTopic::new("long").partitions(PARTITIONS).replicas(3)).await;
    cluster.wait_preferred(CONSUMER_OFFSETS).await;
    let row = cluster.partition_metadata(CONSUMER_OFFSETS, 0).await.unwrap();
    // The second in order of preference is the next leader.
    let (leader, away) = (row.replica_nodes[0].0, row.replica_nodes[1].0);
    cluster.kill(away);
    let connection = cluster.connect(leader).await;
    let groups = groups();
    for group in &groups {
        commit(&connection, group).await;
    }
    // An idle group gives up what its state stands for.
    wait_until("the groups are idle", async || {
        let samples = cluster.node(leader).scrape().await;
        (sum(&samples, "trilog_raft_groups", &[("state", "awake")]) == 0.0).then_some(())
    })
    .await;

    cluster.start_node(away);
    // Whoever leads by then: on a slow machine the leadership may move meanwhile.
    wait_until("the snapshot has come", async || {
        cluster.node(away).log().contains("took a snapshot from the leader").then_some(())
    })
    .await;
    cluster.wait_ready().await.unwrap();
    wait_until("the node is ready", async || {
        cluster.node(away).get("/health/ready").await.filter(|answer| answer.status == 200)
    })
    .await;

    wait_until("the node leads", async || {
        cluster.kill(leader);
        if cluster.leader_where(CONSUMER_OFFSETS, 0, |led| led != leader).await == away {
            return Some(());
        }
        cluster.start_node(leader);
        cluster.wait_ready().await.ok()?;
        cluster.wait_preferred(CONSUMER_OFFSETS).await;
        None
    })
    .await;
    let connection = cluster.connect(away).await;
    for group in &groups {
        let offsets =
            wait_until("the coordinator answers", async || committed(&connection, group).await).await;
        assert_eq!(offsets, usize::try_from(PARTITIONS).unwrap(), "{group}");
    }
    cluster.assert_alive();
}
