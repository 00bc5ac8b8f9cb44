//! Writers that announce large requests, send most of them at once and then a byte a second. They hold the memory that a node
//! has for large requests, and honest large requests must get it all the same.

use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use trilog_client::wire::RawConnection;

use super::{Attack, Scenario, Size};
use crate::batch::{BatchBuilder, Record};
use crate::cluster::{Cluster, ClusterOptions};
use crate::waiting::wait_until;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "slow-writers",
    what: "writers send 70 of 100 MiB and then a byte a second, while large requests are produced",
    cluster: || ClusterOptions::nodes(3),
    prepare: |cluster, size| -> Attack<'_> { Box::pin(prepare(cluster, size)) },
    attack: |cluster, size| -> Attack<'_> { Box::pin(attack(cluster, size)) },
};

/// What each writer announces, in bytes.
const ANNOUNCED: i32 = 100 << 20;

/// What it sends at once: so many parts of a mebibyte.
const PARTS_AT_ONCE: usize = 70;

/// An honest record, larger than the requests that need no share of the node's memory.
const RECORD_BYTES: usize = 900_000;

/// Writes and reads as many large records as during the attack, which fills what a node keeps of its log.
async fn prepare(cluster: &mut Cluster, size: Size) {
    let partition = cluster.new_partition("large").await;
    for number in 0..size.choose(8, 64) {
        partition.produce(record(number)).await;
    }
    partition.read_all().await;
}

fn record(number: i64) -> Bytes {
    BatchBuilder::new(vec![Record::new(number, vec![b'x'; RECORD_BYTES])]).build()
}

async fn attack(cluster: &mut Cluster, size: Size) {
    let partition = cluster.partition("large", 0).await;
    let leader = partition.connection.address().to_owned();
    let mut writers = JoinSet::new();
    for _ in 0..size.choose(4, 16) {
        let mut writer = RawConnection::connect(&leader).await.expect("the node takes connections");
        writers.spawn(async move {
            let part = vec![0; 1 << 20];
            let mut sent = writer.send_bytes(&ANNOUNCED.to_be_bytes()).await;
            for _ in 0..PARTS_AT_ONCE {
                sent = sent.and(writer.send_bytes(&part).await);
            }
            while sent.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
                sent = writer.send_bytes(&[0]).await;
            }
        });
    }
    for number in 0..size.choose(8, 64) {
        // In the middle of the writers' haste, and when they hold what there is.
        let record = record(number);
        wait_until(&format!("large record {number} is acknowledged"), async || {
            // The leadership may move while the machine is busy with what the writers send.
            let leader = cluster.partition_as_led("large", 0).await?;
            (leader.try_produce(record.clone()).await.error_code == 0).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(cluster.partition("large", 0).await.read_all().await.len() >= 2 * size.choose(8, 64));
}
