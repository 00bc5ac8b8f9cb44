//! The cluster as the scenarios set it up, and as they look at it.

use std::time::Instant;

use kafka_protocol::messages::{MetadataRequest, MetadataResponse};
use trilog_client::wire::{ClientError, Connection};

use crate::admin::{NewTopic, topic_metadata};
use crate::batch::Batch;
use crate::cluster::{Cluster, ClusterOptions, connection_options};
use crate::partition::Partition;
use crate::requests::{FetchPlan, Target};
use crate::waiting::wait_until;

/// The nodes of each cluster here.
pub(super) const NODES: usize = 3;

/// The topic that is written to: a partition for each node to lead.
pub(super) const TOPIC: &str = "load";

/// A topic that is not written to, and whose leaders move with the others.
const IDLE_TOPIC: &str = "idle";
const IDLE_PARTITIONS: i32 = 30;

/// Three nodes and the topics.
pub(super) async fn set_up(options: ClusterOptions) -> Cluster {
    let cluster = Cluster::start(options).await;
    let connection = cluster.connect_any().await;
    let topic = NewTopic::new(TOPIC).assign(0, &[1, 2, 3]).assign(1, &[2, 3, 1]).assign(2, &[3, 1, 2]);
    topic.create(&connection).await;
    NewTopic::new(IDLE_TOPIC).partitions(IDLE_PARTITIONS).create(&connection).await;
    wait_balanced(&cluster, &connection).await;
    cluster
}

/// The node that is to lead a partition of [`TOPIC`].
pub(super) fn preferred(partition: usize) -> i32 {
    i32::try_from(partition).expect("a partition's index") + 1
}

/// Waits until a partition of [`TOPIC`] is led by its preferred node and all of the topic's replicas are in sync.
pub(super) async fn wait_in_order(cluster: &Cluster, partition: usize) {
    wait_until(
        &format!("partition {partition} is led by its preferred node and all is in sync"),
        async || {
            let shown = cluster.topic(TOPIC).await?;
            let in_sync = shown.partitions.iter().all(|row| row.isr_nodes.len() == NODES);
            let index = i32::try_from(partition).ok();
            let row = shown.partitions.iter().find(|row| Some(row.partition_index) == index)?;
            (in_sync && row.leader_id.0 == preferred(partition)).then_some(())
        },
    )
    .await;
}

/// Waits until every partition of every topic is led by its preferred node.
pub(super) async fn wait_balanced(cluster: &Cluster, connection: &Connection) {
    wait_until("every partition is led by its preferred node", async || {
        let metadata = all_metadata(connection).await.ok()?;
        cluster.assert_alive();
        is_balanced(&metadata).then_some(())
    })
    .await;
}

async fn all_metadata(connection: &Connection) -> Result<MetadataResponse, ClientError> {
    connection.request(MetadataRequest::default().with_topics(None)).await
}

fn is_balanced(metadata: &MetadataResponse) -> bool {
    let mut rows = metadata.topics.iter().flat_map(|topic| &topic.partitions);
    rows.all(|row| row.replica_nodes.first() == Some(&row.leader_id))
}

/// When a node names another leader of a partition than this one.
pub(super) async fn wait_elected(connection: &Connection, partition: usize, old: i32) -> Instant {
    wait_until("another leader is named", async || {
        let leader = named_leader(connection, partition).await?;
        (leader > 0 && leader != old).then(Instant::now)
    })
    .await
}

/// When a node named another leader of a partition than its preferred one for the last time.
pub(super) async fn wait_moved_back(connection: &Connection, partition: usize) -> Instant {
    let mut elsewhere = Instant::now();
    wait_until("the preferred leader is named", async || {
        let asked = Instant::now();
        let leader = named_leader(connection, partition).await?;
        if leader == preferred(partition) {
            return Some(());
        }
        elsewhere = asked;
        None
    })
    .await;
    elsewhere
}

async fn named_leader(connection: &Connection, partition: usize) -> Option<i32> {
    let metadata = topic_metadata(connection, TOPIC).await.ok()?;
    let mut rows = metadata.topics.first()?.partitions.iter();
    rows.find(|row| usize::try_from(row.partition_index) == Ok(partition)).map(|row| row.leader_id.0)
}

/// What a partition holds from an offset to its end: each record's offset, and the number that it carries.
pub(super) async fn read_numbers(
    cluster: &Cluster,
    topic: &str,
    partition: usize,
    from: i64,
) -> Vec<(i64, u64)> {
    let mut held = Vec::new();
    let mut offset = from;
    wait_until("the partition is read to its end", async || {
        let leader = partition_at_leader(cluster, topic, partition).await?;
        // A leadership on its way back to its preferred node is asked for once more.
        loop {
            let answer = leader.try_fetch(FetchPlan::from(offset)).await;
            if answer.error_code != 0 {
                return None;
            }
            if offset >= answer.high_watermark {
                return Some(());
            }
            for batch in Batch::split(&answer.records.unwrap_or_default()) {
                held.extend(numbers(&batch).filter(|(at, _)| *at >= offset));
                offset = batch.last_offset() + 1;
            }
        }
    })
    .await;
    held
}

fn numbers(batch: &Batch) -> impl Iterator<Item = (i64, u64)> {
    let values = batch.records().into_iter().map(|record| record.value.expect("every record has a value"));
    let numbers = values.map(|value| u64::from_be_bytes(value[..8].try_into().expect("eight bytes")));
    (batch.base_offset()..).zip(numbers)
}

async fn partition_at_leader(cluster: &Cluster, topic: &str, partition: usize) -> Option<Partition> {
    let index = i32::try_from(partition).ok()?;
    let shown = cluster.topic(topic).await?;
    let leader = shown.partitions.iter().find(|row| row.partition_index == index)?.leader_id.0;
    if !cluster.started().contains(&leader) {
        return None;
    }
    let address = cluster.node(leader).address();
    let connection = Connection::connect(address, &connection_options()).await.ok()?;
    let target = Target { topic: topic.to_owned(), id: shown.topic_id, partition: index };
    Some(Partition { connection, target })
}
