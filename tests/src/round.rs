//! A round: clients at work, faults that come and go, and the judgement when all is well again.
//!
//! ```text
//!   clients start ── warm-up ── faults of the plan ── all healed ── writers settle ── everything is read
//!                                                       ── each replica's copy is read ── checked
//! ```
//!
//! After the faults nobody helps: the cluster has to heal by itself, every record that was sent has to be acknowledged, and
//! every group has to read everything. A client's patience is [`PATIENCE`](crate::waiting::PATIENCE); what is not well by then is
//! a violation like a lost record.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::admin::NewTopic;
use crate::checker::{Violation, check};
use crate::cluster::{Cluster, ClusterOptions};
use crate::copies;
use crate::history::{Deed, Micros, Place, Recorder};
use crate::nemesis::plan::Plan;
use crate::nemesis::{DISK, Family, RESERVE};
use crate::workload::{Stage, Workload};

/// Partitions of the topic: each node leads some.
const PARTITIONS: i32 = 4;

/// Who the entries about faults are from.
const NEMESIS: &str = "nemesis";

/// A cluster of three on which a plan with these faults can be played.
pub fn options(plan: &Plan) -> ClusterOptions {
    let mut options = ClusterOptions::nodes(3);
    options.network = plan.has(Family::Network);
    options.links = !options.network;
    options.clocks = plan.has(Family::Clocks);
    options.small_disks = plan.has(Family::Disks).then_some(DISK);
    options.faulty_disks = plan.has(Family::Power) || plan.has(Family::Devices);
    options
        .flag(if plan.relaxed { "--durability=relaxed" } else { "--durability=sync" })
        .flag(&format!("--min-free-space={RESERVE}MiB"))
        .set("group.initial.rebalance.delay.ms", "0")
        .set("group.min.session.timeout.ms", "500")
        .set("group.consumer.min.session.timeout.ms", "500")
        .set("group.consumer.session.timeout.ms", "4000")
        .set("group.consumer.min.heartbeat.interval.ms", "100")
        .set("group.consumer.heartbeat.interval.ms", "200")
}

/// What happens in order.
#[derive(Debug, Clone, Copy)]
enum Step {
    Strike(usize),
    Heal(usize),
    Change,
}

/// Plays a round on a cluster that is well, with a topic and groups of this name, and returns what was wrong. The recorder is
/// the caller's, so that the history survives a panic.
///
/// # Panics
/// If the cluster does not come to be well again, or something happens that nobody has a name for.
pub async fn play(cluster: &mut Cluster, name: &str, plan: &Plan, recorder: &Recorder) -> Vec<Violation> {
    // A leader refuses timestamps that lie more than an hour ahead of its own clock, as Kafka does; here clocks are wrong.
    let topic = NewTopic::new(name).partitions(PARTITIONS);
    let topic = topic.config("message.timestamp.after.max.ms", &i64::MAX.to_string());
    let topic_id = cluster.create(topic).await;
    cluster.wait_shown(name).await;
    let addresses = cluster.ids().into_iter().map(|id| (id, cluster.node(id).address().to_owned()));
    let logs = cluster.scratch().join(&format!("{name}-clients"));
    std::fs::create_dir(&logs).expect("a directory for the clients' logs");
    let stage = Stage {
        topic: name.to_owned(),
        topic_id,
        partitions: PARTITIONS,
        addresses: addresses.collect(),
        recorder: recorder.clone(),
        logs,
    };
    stage.begin_groups().await;
    let mut workload = Workload::start(stage.clone());
    follow(cluster, plan, &mut workload, recorder).await;
    bury_and_revive(cluster, recorder);
    let ready = cluster.wait_ready().await;
    ready.unwrap_or_else(|node| panic!("node {node} died after all faults were over"));
    recorder.happened(NEMESIS, Deed::Fault { what: "all is well again".to_owned() });
    workload.stop_writing().await;
    let ends = read_all(cluster, &stage).await;
    workload.stop_reading(&ends).await;
    copies::read_each(cluster, &stage).await;
    bury_and_revive(cluster, recorder);
    check(&recorder.history())
}

/// Lets everything happen at its time.
async fn follow(cluster: &mut Cluster, plan: &Plan, workload: &mut Workload, recorder: &Recorder) {
    let strikes = plan.strikes.iter().enumerate();
    let mut steps = strikes
        .flat_map(|(n, strike)| [(strike.at, Step::Strike(n)), (strike.until, Step::Heal(n))])
        .chain(plan.changes.iter().map(|at| (*at, Step::Change)))
        .collect::<Vec<_>>();
    steps.sort_by_key(|(at, _)| *at);
    let mut struck = BTreeMap::new();
    let began = Instant::now();
    for (at, step) in steps {
        sleep_until(began + at).await;
        let what = match step {
            Step::Strike(n) => format!("{}", plan.strikes[n].fault),
            Step::Heal(n) => format!("healed: {}", plan.strikes[n].fault),
            Step::Change => "a member joins each group, the first one leaves".to_owned(),
        };
        recorder.happened(NEMESIS, Deed::Fault { what });
        let invoked = recorder.now();
        match step {
            Step::Strike(n) => {
                let fault = &plan.strikes[n].fault;
                fault.strike(cluster).await;
                struck.insert(n, invoked);
                if let Some((nodes, everything)) = plan.forgetful(fault) {
                    forget(cluster, recorder, invoked, &nodes, everything);
                }
            }
            Step::Heal(n) => {
                let fault = &plan.strikes[n].fault;
                fault.heal(cluster).await;
                if let Some(node) = plan.forgetful_when_healed(fault) {
                    forget(cluster, recorder, struck[&n], &[node], false);
                }
            }
            Step::Change => {
                workload.join();
                workload.leave();
            }
        }
    }
    // What the last fault did is to be felt by clients before they are told to come to an end.
    sleep_until(began + plan.end() + Duration::from_millis(300)).await;
}

/// Writes down that nodes have lost what they did not sync since a moment, or everything.
fn forget(cluster: &Cluster, recorder: &Recorder, since: Micros, nodes: &[i32], everything: bool) {
    for node in nodes {
        let deed = Deed::Forgets { node: *node, nodes: cluster.ids().len(), everything };
        recorder.ended(NEMESIS, since, deed);
    }
}

/// A node that died by itself is a violation, and is started again, to see what else is wrong.
fn bury_and_revive(cluster: &mut Cluster, recorder: &Recorder) {
    for id in cluster.started() {
        if cluster.node(id).has_died() {
            let log = cluster.node(id).log();
            let last = log.lines().rev().take(5).collect::<Vec<_>>().join(" / ");
            recorder.happened(NEMESIS, Deed::GaveUp { why: format!("node {id} died by itself: {last}") });
            cluster.kill(id);
            cluster.start_node(id);
        }
    }
}

/// Reads each partition from its leader to its end, writes down what is there, and returns the ends.
async fn read_all(cluster: &Cluster, stage: &Stage) -> BTreeMap<Place, i64> {
    let mut ends = BTreeMap::new();
    for partition in 0..stage.partitions {
        let place = stage.place(partition);
        let invoked = stage.recorder.now();
        let batches = cluster.partition(&stage.topic, partition).await.read_all().await;
        let records = batches.iter().flat_map(copies::seen).collect::<Vec<_>>();
        ends.insert(place.clone(), records.last().map_or(0, |last| last.offset + 1));
        stage.recorder.ended("reader", invoked, Deed::Final { place, records });
    }
    ends
}
