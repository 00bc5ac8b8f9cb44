//! Members of consumer groups subscribe to regular expressions that take long to compile, each a new one.

use kafka_protocol::messages::ConsumerGroupHeartbeatRequest;
use tokio::task::JoinSet;

use super::{Attack, Scenario, Size};
use crate::cluster::{Cluster, ClusterOptions};
use crate::requests::{group_id, text};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "expressions",
    what: "members subscribe to ever new regular expressions that take long to compile",
    cluster: || ClusterOptions::nodes(3),
    prepare: super::nothing,
    attack: |cluster, size| -> Attack<'_> { Box::pin(attack(cluster, size)) },
};

/// The first version in which a member may give an expression.
const VERSION: i16 = 1;

/// Requests that a connection has open at a time.
const PIPELINED: usize = 4;

async fn attack(cluster: &mut Cluster, size: Size) {
    let mut members = JoinSet::new();
    for number in 0..size.choose(8, 64) {
        let group = cluster.group(&format!("hostile-{number}")).await;
        members.spawn(async move {
            for round in 0..size.choose(3, 30) {
                let mut open = Vec::new();
                for nth in 0..PIPELINED {
                    let pattern = format!("\\pL{{80}}[a-z]{{{}}}x{number}", round * PIPELINED + nth + 1);
                    let request = subscription(&group.name, &pattern);
                    let sent = group.connection.enqueue_at(request, VERSION).await;
                    open.push(sent.expect("the node takes heartbeats"));
                }
                for answer in open {
                    // Refused or not: each is answered.
                    answer.answer().await.expect("a heartbeat is answered");
                }
            }
        });
    }
    members.join_all().await;
}

fn subscription(group: &str, pattern: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group_id(group))
        .with_member_id(text("AAAAAAAAAAAAAAAAAAAAAA"))
        .with_rebalance_timeout_ms(5_000)
        .with_subscribed_topic_regex(Some(text(pattern)))
        .with_topic_partitions(Some(Vec::new()))
}
