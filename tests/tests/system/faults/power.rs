//! Power cuts, at random moments under load and after each step of a start, and disks that are in trouble.

use std::time::Duration;

use trilog_tests::admin::NewTopic;
use trilog_tests::batch::{BatchBuilder, Record};
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::complete::not_tested;
use trilog_tests::faulty_disk::{FaultyDisk, Part, Trouble};
use trilog_tests::nemesis::plan::Plan;
use trilog_tests::nemesis::{Fault, PowerCut};
use trilog_tests::round;
use trilog_tests::waiting::wait_until;

use super::{LASTS, play};

/// Whether there can be faulty disks on this machine; says so if not.
fn is_possible() -> bool {
    let mounted = FaultyDisk::mount();
    mounted.inspect_err(|why| not_tested("power cuts (are you root?)", why)).is_ok()
}

fn cut(nodes: &[i32], seed: u64) -> Fault {
    let (restarted_before, sync_takes) = (None, Duration::from_millis(3));
    Fault::Power(PowerCut { nodes: nodes.to_vec(), restarted_before, sync_takes, seed })
}

#[tokio::test]
async fn of_one_two_and_all_nodes() {
    if !is_possible() {
        return;
    }
    let (pause, short) = (Duration::from_millis(500), LASTS / 4);
    let cuts = Plan::one(cut(&[1], 1), LASTS).then(cut(&[2, 3], 2), pause, short).then(
        cut(&[1, 2, 3], 3),
        pause,
        short,
    );
    let mut cluster = Cluster::start(round::options(&cuts)).await;
    play(&mut cluster, "cuts", &cuts).await;
    let restarted_before = Some(Duration::from_millis(150));
    let killed = PowerCut { nodes: vec![1, 2, 3], restarted_before, sync_takes: Duration::ZERO, seed: 4 };
    play(&mut cluster, "killed-and-cut", &Plan::one(Fault::Power(killed), short)).await;
    cluster.assert_alive();
}

#[tokio::test]
async fn disks_that_are_slow_hang_or_fail() {
    if !is_possible() {
        return;
    }
    let device = |node, part, trouble| Fault::Device { node, part, trouble };
    let slow = Plan::one(device(1, Part::All, Trouble::Slow(Duration::from_millis(200))), LASTS);
    let mut cluster = Cluster::start(round::options(&slow)).await;
    play(&mut cluster, "slow", &slow).await;
    let pause = Duration::from_millis(600);
    let hangs = Plan::one(device(2, Part::All, Trouble::Hang), 3 * LASTS)
        .then(device(3, Part::File("db"), Trouble::Hang), pause, 3 * LASTS)
        .then(device(1, Part::File("durable"), Trouble::Hang), pause, 3 * LASTS);
    play(&mut cluster, "hangs", &hangs).await;
    let fails = Plan::one(device(1, Part::File("db"), Trouble::Fail), LASTS)
        .then(device(2, Part::File("durable"), Trouble::Fail), pause, 2 * LASTS)
        .then(device(3, Part::All, Trouble::Fail), pause, LASTS);
    play(&mut cluster, "fails", &fails).await;
    cluster.assert_alive();
}

/// Starts the one node of a cluster with a disk whose power is cut after so many changes. Whether it came to that.
async fn is_cut_while_it_starts(cluster: &mut Cluster, changes: u64) -> bool {
    let serves = |cluster: &Cluster| cluster.node(1).log().matches("clients are served").count();
    let before = serves(cluster);
    cluster.faulty_disk(1).cut_power_after(changes, changes);
    cluster.start_node(1);
    let was_cut = wait_until("the node serves, or its power is cut", async || {
        let has_power = cluster.faulty_disk(1).has_power();
        (!has_power || serves(cluster) > before).then_some(!has_power)
    })
    .await;
    cluster.kill(1);
    cluster.faulty_disk(1).restore_power();
    was_cut
}

#[tokio::test]
async fn after_each_step_of_a_first_start() {
    if !is_possible() {
        return;
    }
    let mut cluster = Cluster::start(ClusterOptions::nodes(1).faulty_disks()).await;
    for changes in 0.. {
        cluster.kill(1);
        std::fs::remove_dir_all(cluster.faulty_disk(1).data_dir().parent().unwrap()).unwrap();
        cluster.faulty_disk(1).settle();
        let was_cut = is_cut_while_it_starts(&mut cluster, changes).await;
        cluster.start_node(1);
        let ready = cluster.wait_ready().await;
        assert!(ready.is_ok(), "cut after {changes} changes:\n{}", cluster.node(1).log());
        if !was_cut {
            break;
        }
    }
}

async fn produce(cluster: &Cluster, count: usize) {
    let partition = cluster.partition("topic", 0).await;
    for _ in 0..count {
        partition.produce_records(vec![Record::new(0, "acknowledged")]).await;
    }
}

async fn count(cluster: &Cluster) -> usize {
    let batches = cluster.partition("topic", 0).await.read_all().await;
    batches.iter().map(|batch| batch.records().len()).sum()
}

/// Has a node write a record that no disk gets to see, and kills it. The next process finds the record in the page cache.
async fn kill_with_a_record_in_the_page_cache(cluster: &mut Cluster) {
    let partition = cluster.partition("topic", 0).await;
    cluster.faulty_disk(1).trouble(Part::All, Trouble::Hang);
    let records = BatchBuilder::new(vec![Record::new(0, vec![7; 20_000])]).build();
    let produce = tokio::spawn(async move { partition.try_produce(records).await });
    let hangs = async || cluster.faulty_disk(1).is_waited_for().then_some(());
    wait_until("a record is written, and its sync hangs", hangs).await;
    produce.abort();
    cluster.kill(1);
    cluster.faulty_disk(1).heal();
}

#[tokio::test]
async fn after_each_step_of_a_start_after_a_kill() {
    if !is_possible() {
        return;
    }
    let mut cluster = Cluster::start(ClusterOptions::nodes(1).faulty_disks()).await;
    cluster.create(NewTopic::new("topic").replicas(1)).await;
    let mut acknowledged = 0;
    for changes in 0.. {
        produce(&cluster, 5).await;
        acknowledged += 5;
        kill_with_a_record_in_the_page_cache(&mut cluster).await;
        let was_cut = is_cut_while_it_starts(&mut cluster, changes).await;
        cluster.start_node(1);
        let ready = cluster.wait_ready().await;
        assert!(ready.is_ok(), "cut after {changes} changes:\n{}", cluster.node(1).log());
        let found = count(&cluster).await;
        assert!((acknowledged..=acknowledged + 1).contains(&found), "cut after {changes} changes");
        acknowledged = found;
        if !was_cut {
            break;
        }
    }
}

/// What is acknowledged on disks that only claim to sync is lost with the power, and these tests would see it.
#[tokio::test]
async fn a_cut_bites_where_nothing_is_synced() {
    if !is_possible() {
        return;
    }
    let mut cluster = Cluster::start(ClusterOptions::nodes(3).faulty_disks()).await;
    cluster.create(NewTopic::new("topic")).await;
    produce(&cluster, 50).await;
    cluster.ids().iter().for_each(|id| cluster.faulty_disk(*id).settle());
    let before = count(&cluster).await;
    cluster.ids().iter().for_each(|id| cluster.faulty_disk(*id).trouble(Part::All, Trouble::Lie));
    produce(&cluster, 50).await;
    cluster.cut_power_and_lose_unsynced(&cluster.ids());
    for id in cluster.ids() {
        cluster.faulty_disk(id).heal();
        cluster.start_node(id);
    }
    cluster.wait_ready().await.unwrap();
    assert_eq!(count(&cluster).await, before, "what was acknowledged and not synced is lost");
}
