//! A disk that hangs: other nodes lead meanwhile, and until it was quick for a while. Nothing acknowledged is lost.
//!
//! `DISK_HANGS_SECONDS` says for how long the disk hangs each time, separated by commas; without it, for one second, which nobody
//! need notice, and for five.

use std::time::{Duration, Instant};

use trilog_tests::admin::NewTopic;
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::complete::not_tested;
use trilog_tests::failover::steady_load::{IMPATIENT, SteadyLoad};
use trilog_tests::faulty_disk::{FaultyDisk, Part, Trouble};
use trilog_tests::waiting::{PATIENCE, wait_until, within};

const TOPIC: &str = "hanging";

/// Whose disk it is. It is to lead the first partition.
const NODE: i32 = 1;

/// What the node says when it notices, and when it trusts its disk again.
const STALLS: &str = "the disk has not finished a sync for seconds";
const MOVES: &str = "the disk moves again";

/// Three nodes with disks that can hang, if this machine allows that.
async fn start() -> Option<Cluster> {
    let mounted = FaultyDisk::mount();
    mounted.inspect_err(|why| not_tested("disks that hang (are you root?)", why)).ok()?;
    let cluster = Cluster::start(ClusterOptions::nodes(3).faulty_disks()).await;
    let topic = NewTopic::new(TOPIC).assign(0, &[1, 2, 3]).assign(1, &[2, 3, 1]).assign(2, &[3, 1, 2]);
    cluster.create(topic).await;
    wait_led(&cluster).await;
    Some(cluster)
}

/// Who leads the first partition, as another node knows it.
async fn leader(cluster: &Cluster) -> Option<i32> {
    let topic = cluster.topic_at(2, TOPIC).await?;
    topic.partitions.iter().find(|row| row.partition_index == 0).map(|row| row.leader_id.0)
}

/// Waits until the node leads the first partition.
async fn wait_led(cluster: &Cluster) {
    wait_until("the node leads its partition", async || {
        leader(cluster).await.filter(|leader| *leader == NODE)
    })
    .await;
}

/// Waits until another node leads the first partition.
async fn wait_left(cluster: &Cluster) {
    wait_until("another node leads the partition", async || {
        leader(cluster).await.filter(|leader| *leader > 0 && *leader != NODE)
    })
    .await;
}

/// How often the node has said something.
fn said(cluster: &Cluster, line: &str) -> usize {
    cluster.node(NODE).log().matches(line).count()
}

/// Waits until each partition was written to anew.
async fn wait_written(load: &SteadyLoad) {
    let now = Instant::now();
    for partition in 0..3 {
        load.wait_acknowledged(partition, now, 50).await;
    }
}

/// Waits until the node leads again, which it may not before it trusts its disk.
async fn wait_trusted(cluster: &Cluster) {
    let mut stalls_when_away = None;
    let returned = within(PATIENCE * 2, async || {
        let leads = leader(cluster).await? == NODE;
        // Looked at afterwards: a node says it first.
        let (stalls, moves) = (said(cluster, STALLS), said(cluster, MOVES));
        if !leads {
            stalls_when_away = Some(stalls);
        }
        let was_away_since = leads && stalls_when_away == Some(stalls);
        assert!(!was_away_since || stalls == moves, "the node leads again, and its disk is not trusted yet");
        (leads && stalls == moves).then_some(())
    })
    .await;
    assert!(returned.is_some(), "the node leads again:\n{}", cluster.node(NODE).log());
}

fn hangs() -> Vec<Duration> {
    let named = std::env::var("DISK_HANGS_SECONDS").unwrap_or_else(|_| "1,5".to_owned());
    let seconds = named.split(',').map(|word| word.parse().expect("DISK_HANGS_SECONDS: seconds, by commas"));
    seconds.map(Duration::from_secs).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaderships_leave_a_disk_that_hangs_and_stay_away_until_it_is_well() {
    let Some(cluster) = start().await else { return };
    let load = SteadyLoad::start(&cluster, TOPIC, 3, &IMPATIENT);
    for hang in hangs() {
        wait_written(&load).await;
        let before = said(&cluster, STALLS);
        cluster.faulty_disk(NODE).trouble(Part::All, Trouble::Hang);
        tokio::time::sleep(hang).await;
        let is_long = hang > Duration::from_secs(4);
        if is_long {
            wait_left(&cluster).await;
            assert_eq!(said(&cluster, STALLS), before + 1);
            // The others do without it.
            wait_written(&load).await;
        }
        cluster.faulty_disk(NODE).heal();
        wait_trusted(&cluster).await;
        wait_written(&load).await;
    }
    load.verify(&cluster).await;
    assert_eq!(load.failures(), 0);
    cluster.assert_alive();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaderships_do_not_come_and_go_with_a_disk_that_hangs_again_and_again() {
    let Some(cluster) = start().await else { return };
    let load = SteadyLoad::start(&cluster, TOPIC, 3, &IMPATIENT);
    wait_written(&load).await;
    let disk = cluster.faulty_disk(NODE);
    disk.trouble(Part::All, Trouble::Hang);
    wait_left(&cluster).await;
    for _ in 0..3 {
        disk.heal();
        wait_until("the node has caught up", async || {
            let topic = cluster.topic_at(2, TOPIC).await?;
            let leads = topic.partitions.iter().any(|row| row.leader_id.0 == NODE);
            assert!(!leads || said(&cluster, MOVES) > 0, "the node leads, and its disk is not trusted yet");
            topic.partitions.iter().all(|row| row.isr_nodes.len() == 3).then_some(())
        })
        .await;
        disk.trouble(Part::File("db"), Trouble::Hang);
        let hangs = async || disk.is_waited_for().then_some(());
        wait_until("a sync hangs", hangs).await;
        wait_written(&load).await;
    }
    disk.heal();
    wait_trusted(&cluster).await;
    load.verify(&cluster).await;
    assert_eq!(load.failures(), 0);
    cluster.assert_alive();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_a_slow_disk_is_part_of_a_majority_when_another_node_is_lost() {
    let Some(mut cluster) = start().await else { return };
    let load = SteadyLoad::start(&cluster, TOPIC, 3, &IMPATIENT);
    wait_written(&load).await;
    cluster.faulty_disk(NODE).trouble(Part::All, Trouble::Hang);
    wait_left(&cluster).await;
    // As long as syncs take so long, the node's disk is not trusted.
    cluster.faulty_disk(NODE).trouble(Part::All, Trouble::Slow(Duration::from_millis(700)));
    cluster.kill(2);
    wait_written(&load).await;
    cluster.faulty_disk(NODE).heal();
    cluster.start_node(2);
    wait_trusted(&cluster).await;
    load.verify(&cluster).await;
    assert_eq!(load.failures(), 0);
    cluster.assert_alive();
}
