//! Every replica's own copy of a topic, read from it as its leader.
//!
//! A reader sees the leader's copy only, and two replicas may have diverged from it for long before one of them leads. So each
//! of three nodes in turn is made the leader of everything, by a record that one of the others lacks and cannot be elected
//! without:
//!
//! ```text
//!   Y stops ── a record is written: X and Z have it ── Z stops ── Y starts ── X leads and is read ── Z starts
//! ```
//!
//! What the groups have committed is asked each time, too: their coordinators have moved as well.

use std::collections::BTreeSet;
use std::time::Duration;

use trilog_client::wire::Connection;

use crate::batch::{Batch, values};
use crate::cluster::{CONSUMER_OFFSETS, Cluster, connection_options};
use crate::history::{Deed, Place, Seen, Sending};
use crate::partition::Partition;
use crate::waiting::{PATIENCE, wait_until, within};
use crate::workload::{Stage, first_value, payload, record_at};

/// The number of who writes the records, behind those of all other clients.
const WRITER: u32 = 2_000;

/// Who that is in a history.
const READER: &str = "reader";

/// How long the node that is to lead is waited for. Its preferred leader takes a partition back two seconds after it has
/// started, so that whoever was not read by then is not read at all.
const LEADS_WITHIN: Duration = Duration::from_secs(5);

/// How often a node is made to lead, should it lose a partition before it was read.
const ATTEMPTS: usize = 4;

/// Reads each partition from each of three nodes.
///
/// # Panics
/// If the nodes do not come back, or one cannot be made to lead.
pub async fn read_each(cluster: &mut Cluster, stage: &Stage) {
    let ids = cluster.ids();
    let mut values = first_value(WRITER)..;
    for node in &ids {
        let others = ids.iter().copied().filter(|other| other != node).collect::<Vec<_>>();
        let &[early, late] = &others[..] else { panic!("a cluster of three") };
        let mut unread = (0..stage.partitions).collect::<BTreeSet<_>>();
        for _ in 0..ATTEMPTS {
            wait_whole(cluster, &stage.topic).await;
            cluster.stop(early).await;
            for partition in 0..stage.partitions {
                write(cluster, stage, partition, &mut values).await;
            }
            cluster.stop(late).await;
            cluster.start_node(early);
            for partition in unread.clone() {
                if read(cluster, stage, *node, partition).await.is_some() {
                    unread.remove(&partition);
                }
            }
            committed(cluster, stage).await;
            cluster.start_node(late);
            if unread.is_empty() {
                break;
            }
        }
        assert!(unread.is_empty(), "node {node} does not lead the partitions {unread:?}");
    }
    wait_whole(cluster, &stage.topic).await;
}

/// Waits until every replica of a topic and of the coordinators is in sync, and all nodes are ready.
async fn wait_whole(cluster: &Cluster, topic: &str) {
    cluster.wait_ready().await.unwrap_or_else(|node| panic!("node {node} died by itself"));
    for topic in [topic, CONSUMER_OFFSETS] {
        wait_until(&format!("all replicas of {topic} are in sync"), async || {
            let shown = cluster.topic(topic).await?;
            let is_whole = shown.partitions.iter().all(|row| row.isr_nodes.len() == row.replica_nodes.len());
            is_whole.then_some(())
        })
        .await;
    }
}

/// Writes a record that both nodes have which run.
async fn write(cluster: &Cluster, stage: &Stage, partition: i32, numbers: &mut impl Iterator<Item = u64>) {
    wait_until("a record is written to who runs", async || {
        let led = cluster.partition_as_led(&stage.topic, partition).await?;
        let value = numbers.next().expect("there are values without end");
        let invoked = stage.recorder.now();
        let answer = led.try_produce(values(1, &[&payload(value)])).await;
        let is_there = answer.error_code == 0;
        // A refusal may mean anything, here as for a client.
        let there = Sending::Acknowledged { offset: Some(answer.base_offset) };
        let sending = if is_there { there } else { Sending::Unknown };
        stage.recorder.ended(READER, invoked, Deed::Send { place: stage.place(partition), value, sending });
        is_there.then_some(())
    })
    .await;
}

/// Reads a partition from a node, if that leads it.
async fn read(cluster: &Cluster, stage: &Stage, node: i32, partition: i32) -> Option<()> {
    let (invoked, batches) = within(LEADS_WITHIN, async || {
        let address = cluster.node(node).address();
        let connection = Connection::connect(address, &connection_options()).await.ok()?;
        let partition = Partition { connection, target: stage.target(partition) };
        let invoked = stage.recorder.now();
        Some((invoked, partition.try_read_all().await.ok()?))
    })
    .await?;
    let records = batches.iter().flat_map(seen).collect();
    let client = format!("{READER} of node {node}");
    stage.recorder.ended(&client, invoked, Deed::Final { place: stage.place(partition), records });
    Some(())
}

/// The records of a batch.
///
/// # Panics
/// If one is none of a workload's.
pub fn seen(batch: &Batch) -> Vec<Seen> {
    let records = (batch.base_offset()..).zip(batch.records());
    let seen = records.map(|(offset, record)| {
        record_at(offset, record.value.as_deref()).expect("a record that was written here")
    });
    seen.collect()
}

/// Asks what each group has committed.
async fn committed(cluster: &Cluster, stage: &Stage) {
    for group in stage.groups() {
        // The coordinator may move between the two questions: a node that has started takes back what it prefers to lead.
        let told = within(PATIENCE, async || {
            let found = cluster.try_group(&group).await?;
            let invoked = stage.recorder.now();
            Some((invoked, found.try_offsets().await?))
        });
        let Some((invoked, rows)) = told.await else {
            let why = format!("group {group} has no coordinator");
            stage.recorder.happened(READER, Deed::GaveUp { why });
            continue;
        };
        let placed = |(topic, partition, offset): (String, i32, i64)| (Place::new(&topic, partition), offset);
        let offsets = rows.into_iter().map(placed).collect();
        stage.recorder.ended(READER, invoked, Deed::Committed { group, offsets });
    }
}
