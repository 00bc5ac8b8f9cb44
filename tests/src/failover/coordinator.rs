//! The node that coordinates a consumer group is killed.
//!
//! Each node coordinates a group of one member that is ours, request by request: how soon does the member's heartbeat,
//! and its commit in the same generation, get through to the next coordinator? Three consumers of librdkafka read the
//! load in a further group, which must never hear of a rebalance.

use std::time::Instant;

use trilog_client::wire::Connection;

use super::figure::Figure;
use super::stage::{NODES, TOPIC, set_up, wait_balanced};
use super::steady_load::SteadyLoad;
use crate::cluster::{Cluster, ClusterOptions, connection_options};
use crate::group::classic::{ClassicMember, form};
use crate::group::librdkafka::{Ledger, RealConsumer};
use crate::group::offsets::Commit;
use crate::group::{Group, find_coordinator};
use crate::waiting::wait_until;

/// The group of real consumers. How often they heartbeat tells how soon they notice.
const CONSUMERS: &str = "failover-consumers";
const CONSUMER_SETTINGS: [(&str, &str); 1] = [("heartbeat.interval.ms", "500")];

/// See [`Scenario::run`](super::Scenario::run).
pub async fn run(rounds: usize) -> Vec<Figure> {
    let mut gap = Figure::explaining_ms("coordinator killed (SIGKILL): until its group goes on");
    let mut resumed =
        Figure::at_most_ms("from another coordinator being known until its group goes on", None, 1000.0);
    let options = ClusterOptions::nodes(3).set("group.initial.rebalance.delay.ms", "0");
    let mut cluster = set_up(options).await;
    let load = SteadyLoad::start(&cluster, TOPIC, NODES, &[]);
    let (ledger, consumers) = start_consumers(&cluster).await;
    let mut members = Vec::new();
    for node in cluster.ids() {
        members.push(member_coordinated_by(&cluster, node).await);
    }
    let events = ledger.events();
    for round in 0..rounds {
        let (victim, witness) = (cluster.ids()[round % NODES], cluster.ids()[(round + 1) % NODES]);
        let witness = cluster.connect(witness).await;
        let struck = Instant::now();
        cluster.kill(victim);
        let (elected, went_on) = go_on(&mut members[round % NODES], &witness, victim, round).await;
        gap.add_time(went_on - struck);
        resumed.add_time(went_on - elected);

        cluster.start_node(victim);
        wait_balanced(&cluster, &witness).await;
        for member in &mut members {
            go_on(member, &witness, 0, round).await;
        }
        load.verify(&cluster).await;
        eprintln!("round {}: {}, after the election {}", round + 1, gap.last(), resumed.last());
    }
    assert_eq!(ledger.events(), events, "no rebalance");
    ledger.assert_one_owner();
    for consumer in consumers {
        consumer.leave().await;
    }
    vec![gap, resumed]
}

/// Three real consumers that have settled.
async fn start_consumers(cluster: &Cluster) -> (Ledger, Vec<RealConsumer>) {
    let (ledger, bootstrap) = (Ledger::default(), cluster.bootstrap());
    let start =
        |name| RealConsumer::start(&bootstrap, CONSUMERS, name, &[TOPIC], &CONSUMER_SETTINGS, &ledger);
    let consumers = ["a", "b", "c"].map(start);
    wait_until("each consumer owns a partition", async || (ledger.owned().len() == NODES).then_some(()))
        .await;
    (ledger, consumers.into())
}

/// The one member of a new group that this node coordinates.
async fn member_coordinated_by(cluster: &Cluster, node: i32) -> ClassicMember {
    for number in 0.. {
        let group = cluster.group(&format!("failover-{number}")).await;
        if group.node == node {
            let mut members = [ClassicMember::new(&group).await];
            form(&mut members).await;
            let [member] = members;
            return member;
        }
    }
    unreachable!("there is always another name")
}

/// Has a member try until a coordinator that is not `victim` takes its heartbeat and its commit. Returns when `witness`
/// first named such a coordinator, and when it took them.
///
/// # Panics
/// If the member is told that its generation is over.
async fn go_on(
    member: &mut ClassicMember,
    witness: &Connection,
    victim: i32,
    round: usize,
) -> (Instant, Instant) {
    let mut elected = None;
    wait_until(&format!("group {} goes on", member.group), async || {
        let address = coordinator_address(witness, &member.group, victim).await?;
        let elected = *elected.get_or_insert_with(Instant::now);
        takes(member, &address, round).await.then(|| (elected, Instant::now()))
    })
    .await
}

/// Whom the witness names as the coordinator of a group, unless it is `victim`.
async fn coordinator_address(witness: &Connection, group: &str, victim: i32) -> Option<String> {
    let found = find_coordinator(witness, group).await.expect("the witness answers");
    let named = found.error_code == 0 && found.node_id.0 != victim;
    named.then(|| format!("{}:{}", found.host, found.port))
}

/// Whether the coordinator at this address takes a heartbeat and a commit of the member.
async fn takes(member: &mut ClassicMember, address: &str, round: usize) -> bool {
    let Ok(connection) = Connection::connect(address, &connection_options()).await else { return false };
    member.connection = connection.clone();
    match member.try_heartbeat().await {
        Ok(None) => {}
        Ok(Some(error)) => {
            assert!(error.is_retriable(), "{error:?} upon a heartbeat to a new coordinator");
            return false;
        }
        Err(_) => return false,
    }
    let group = Group { name: member.group.clone(), node: 0, connection };
    let offset = i64::try_from(round).expect("a small number");
    let commit = Commit::outside(TOPIC, 0, offset).by(&member.id, member.generation);
    matches!(group.try_commit(&commit).await, Ok(None))
}
