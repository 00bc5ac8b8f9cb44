//! Nodes that were away while what they lack was deleted, and cut off the others' logs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use trilog_tests::admin::NewTopic;
use trilog_tests::batch::{BatchBuilder, Record};
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::partition::{EARLIEST, Partition};
use trilog_tests::requests::{epoch_ended, error};
use trilog_tests::waiting::wait_until;

/// Batches of half a mebibyte that are more than a log keeps below its start for the sake of followers.
const MORE_THAN_KEPT: usize = 36;

fn large(number: usize) -> Bytes {
    let padding = "0".repeat(1 << 19);
    BatchBuilder::new(vec![Record::new(1, format!("{padding}{number}"))]).build()
}

/// What `node` has logged about snapshots it took.
fn snapshots_taken(cluster: &Cluster, node: i32) -> usize {
    cluster.node(node).log().matches("took a snapshot from the leader").count()
}

#[tokio::test]
async fn a_follower_behind_the_log_start_gets_a_snapshot_and_can_lead() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    cluster.create(NewTopic::new("cut").assign(0, &[3, 1, 2])).await;
    let partition = cluster.partition("cut", 0).await;
    let producer = partition.new_producer().await;
    let batch = |sequence: i32| {
        BatchBuilder::new(vec![Record::new(1, sequence.to_string())]).producer(producer, 0, sequence).build()
    };
    partition.produce(batch(0)).await;
    let first_epoch = partition.fetch(0).await[0].leader_epoch();
    cluster.kill(3);

    cluster.leader_where("cut", 0, |leader| leader != 3).await;
    let partition = cluster.partition("cut", 0).await;
    partition.produce(batch(1)).await;
    assert_eq!(partition.delete_records(-1).await, 2);
    for number in 0..MORE_THAN_KEPT {
        partition.produce(large(number)).await;
    }
    let last = partition.produce(batch(2)).await;
    let second_epoch = partition.fetch(last).await[0].leader_epoch();

    let before = snapshots_taken(&cluster, 3);
    cluster.start_node(3);
    cluster.wait_ready().await.unwrap();
    cluster.leader_where("cut", 0, |leader| leader == 3).await;
    assert!(snapshots_taken(&cluster, 3) > before, "what it lacked was there no more");
    let partition = cluster.partition("cut", 0).await;
    assert_eq!(partition.list_offset(EARLIEST).await.0, 2);
    assert_eq!(partition.read_all().await.len(), MORE_THAN_KEPT + 1);
    // What the producer sent is known: before the cut, where it is deleted, and behind it.
    for (sequence, offset) in [(0, 0), (1, 1), (2, last)] {
        let again = partition.try_produce(batch(sequence)).await;
        assert_eq!((error(again.error_code), again.base_offset), (None, offset), "sequence {sequence}");
    }
    assert_eq!(partition.produce(batch(3)).await, last + 1);
    let gap = partition.try_produce(batch(9)).await;
    assert_eq!(error(gap.error_code), Some(ResponseError::OutOfOrderSequenceNumber));
    for (asked, epoch, end) in [(first_epoch, first_epoch, 2), (second_epoch, second_epoch, last + 1)] {
        let request = partition.target.epoch_end(asked);
        let ended = epoch_ended(partition.connection.request(request).await.unwrap());
        assert_eq!((ended.leader_epoch, ended.end_offset), (epoch, end));
    }
    cluster.assert_alive();
}

/// Produces until told to stop, and returns what was acknowledged where.
async fn produce_until(stop: Arc<AtomicBool>, partition: Partition) -> BTreeMap<i64, usize> {
    let mut acknowledged = BTreeMap::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        acknowledged.insert(partition.produce(large(number)).await, number);
    }
    acknowledged
}

#[tokio::test]
async fn under_load_a_node_that_is_killed_and_left_behind_comes_back_whole() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    cluster.create(NewTopic::new("cut-busy").assign(0, &[1, 3, 2])).await;
    let partition = cluster.partition("cut-busy", 0).await;
    let stop = Arc::new(AtomicBool::new(false));
    let producing = tokio::spawn(produce_until(Arc::clone(&stop), partition.clone()));
    for _ in 0..2 {
        cluster.kill(3);
        let killed_at = partition.end().await;
        let grown_by = async |records: usize| {
            let wanted = killed_at + i64::try_from(records).expect("a small number");
            wait_until("the log grows", async || (partition.end().await >= wanted).then_some(())).await;
        };
        grown_by(4).await;
        partition.delete_records(-1).await;
        grown_by(4 + MORE_THAN_KEPT).await;
        cluster.start_node(3);
        cluster.wait_ready().await.unwrap();
        wait_until("node 3 is in sync", async || {
            let row = cluster.partition_metadata("cut-busy", 0).await?;
            row.isr_nodes.iter().any(|node| node.0 == 3).then_some(())
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = producing.await.unwrap();
    // The first in order of preference among those that are left, once it holds all there is.
    wait_until("node 3 leads", async || {
        cluster.kill(1);
        if cluster.leader_where("cut-busy", 0, |leader| leader != 1).await == 3 {
            return Some(());
        }
        cluster.start_node(1);
        cluster.wait_ready().await.ok()?;
        cluster.leader_where("cut-busy", 0, |leader| leader == 1).await;
        None
    })
    .await;
    let partition = cluster.partition("cut-busy", 0).await;
    let start = partition.list_offset(EARLIEST).await.0;
    let acknowledged = acknowledged.split_off(&start);
    let read = partition.read_all().await;
    for (offset, number) in &acknowledged {
        let batch = read.iter().find(|batch| batch.base_offset() == *offset);
        let value = batch.map(|batch| batch.values().remove(0)).expect("what is acknowledged is there");
        assert_eq!(value.trim_start_matches('0'), number.to_string().trim_start_matches('0'));
    }
    assert_eq!(read.len(), acknowledged.len());
    cluster.assert_alive();
}
