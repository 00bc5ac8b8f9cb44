//! A topic of thousands of partitions is created, a node starts anew that has replicas of all of them, and the topic is deleted.
//! None of it is to stop those who use other topics.

use trilog_client::wire::Connection;

use super::{Attack, Scenario, Size};
use crate::admin::{NewTopic, delete_topic};
use crate::cluster::{Cluster, ClusterOptions};
use crate::requests::error;
use crate::waiting::wait_until;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "many-partitions",
    what: "a topic of 10,000 partitions is created, a node with replicas of all of them starts anew, the topic is deleted",
    cluster: || ClusterOptions::nodes(3),
    prepare: |cluster, size| -> Attack<'_> { Box::pin(prepare(cluster, size)) },
    attack: |cluster, size| -> Attack<'_> { Box::pin(attack(cluster, size)) },
};

/// The node that starts anew.
const NODE: i32 = 3;

/// Creates and deletes as many partitions as the attack, which fills the caches of a store.
async fn prepare(cluster: &mut Cluster, size: Size) {
    let connection = cluster.connect(1).await;
    create(cluster, &connection, size).await;
    delete(cluster, &connection).await;
}

async fn attack(cluster: &mut Cluster, size: Size) {
    let connection = cluster.connect(1).await;
    let partitions = create(cluster, &connection, size).await;
    cluster.stop(NODE).await;
    cluster.start_node(NODE);
    led_by_all(cluster, partitions).await;
    let last = cluster.partition("wide", partitions - 1).await;
    assert_eq!(last.end().await, 0);
    delete(cluster, &connection).await;
}

/// Creates the topic, and returns how many partitions it has once all of them are led and in sync.
async fn create(cluster: &Cluster, connection: &Connection, size: Size) -> i32 {
    let partitions = size.choose(500, 10_000);
    let created = NewTopic::new("wide").partitions(partitions).try_create(connection).await;
    assert_eq!(error(created.error_code), None, "{:?}", created.error_message);
    led_by_all(cluster, partitions).await;
    partitions
}

async fn delete(cluster: &Cluster, connection: &Connection) {
    assert_eq!(error(delete_topic(connection, "wide").await), None);
    wait_until("the topic is gone", async || cluster.topic("wide").await.is_none().then_some(())).await;
}

/// Waits until every partition has a leader and every replica is in sync.
async fn led_by_all(cluster: &Cluster, partitions: i32) {
    wait_until("all partitions are led and in sync", async || {
        let topic = cluster.topic("wide").await?;
        let rows = topic.partitions.iter();
        let settled = rows.filter(|row| row.leader_id.0 > 0 && row.isr_nodes.len() == 3).count();
        (settled == usize::try_from(partitions).expect("it is positive")).then_some(())
    })
    .await;
}
