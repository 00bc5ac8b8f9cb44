//! Full disks: the node says so, takes nothing more in, and goes on when there is room. Nothing acknowledged is lost.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use trilog_tests::admin::{NewTopic, delete_topic};
use trilog_tests::batch::{BatchBuilder, Record, values};
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::complete::not_tested;
use trilog_tests::node::is_alive;
use trilog_tests::partition::{LATEST, Partition};
use trilog_tests::requests::error;
use trilog_tests::small_disk::SmallDisk;
use trilog_tests::waiting::wait_until;

/// The size of a disk, what is taken of it beforehand, and what a node keeps free, in mebibytes.
const DISK: u64 = 192;
const BALLAST: usize = 64;
const RESERVE: u64 = 40;

fn options() -> ClusterOptions {
    ClusterOptions::nodes(3).flag(&format!("--min-free-space={RESERVE}MiB"))
}

/// A quarter of a mebibyte that nothing can be gained on.
fn noise(seed: u64) -> Bytes {
    let mut noise = seed.wrapping_mul(2).wrapping_add(1);
    let mut value = Vec::with_capacity(1 << 18);
    while value.len() < 1 << 18 {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        value.extend_from_slice(&noise.to_be_bytes());
    }
    BatchBuilder::new(vec![Record::new(1, value)]).build()
}

/// A small disk, where this machine can have one.
fn small_disk() -> Option<SmallDisk> {
    let mounted = SmallDisk::mount(DISK);
    mounted.inspect_err(|why| not_tested("disks that fill up (are you root?)", why)).ok()
}

/// A small disk with ballast for each node, where this machine can have them.
fn small_disks() -> Option<Vec<SmallDisk>> {
    let disks = (0..3).map(|_| small_disk()).collect::<Option<Vec<_>>>()?;
    disks.iter().for_each(|disk| disk.take("ballast", BALLAST));
    Some(disks)
}

/// How often a node has said that it takes no more records in, and that it does again.
fn said(cluster: &Cluster, node: i32) -> (usize, usize) {
    let log = cluster.node(node).log();
    (log.matches("the disk is nearly full").count(), log.matches("the disk has room again").count())
}

/// Writes until `enough` says so, wherever the partition is led. Returns how many batches were acknowledged.
async fn write_until(
    cluster: &Cluster,
    topic: &str,
    mut enough: impl FnMut(Option<ResponseError>) -> bool,
) -> u64 {
    let mut acknowledged = 0;
    loop {
        let partition = led(cluster, topic).await;
        for _ in 0..8 {
            let answer = partition.try_produce(noise(acknowledged)).await;
            let refused = error(answer.error_code);
            acknowledged += u64::from(refused.is_none());
            if enough(refused) {
                return acknowledged;
            }
            if refused.is_some() {
                break;
            }
        }
    }
}

/// The topic's partition where it is led, preferred or not.
async fn led(cluster: &Cluster, topic: &str) -> Partition {
    wait_until("the partition is led", async || cluster.partition_as_led(topic, 0).await).await
}

/// Waits until all three replicas of the topic's partition are in sync, and the leader is the preferred one.
async fn wait_whole(cluster: &Cluster, topic: &str) {
    wait_until("the partition is whole and led as preferred", async || {
        let shown = cluster.partition_metadata(topic, 0).await?;
        (shown.isr_nodes.len() == 3 && Some(&shown.leader_id) == shown.replica_nodes.first()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_a_full_disk_leaves_the_work_to_the_others_and_comes_back() {
    let Some(disk) = small_disk() else { return };
    disk.take("ballast", BALLAST);
    let cluster = Cluster::start(options().data_dir(1, disk.data_dir())).await;
    let pid = cluster.node(1).pid();
    cluster.create(NewTopic::new("filled").assign(0, &[1, 2, 3])).await;

    // The leader's own disk fills up. Its leadership moves, and the acknowledgements go on.
    let mut acknowledged = write_until(&cluster, "filled", |_| said(&cluster, 1).0 == 1).await;
    wait_until("another node leads", async || (cluster.leader("filled", 0).await != 1).then_some(())).await;
    let mut more = 32;
    acknowledged += write_until(&cluster, "filled", |refused| {
        more -= i32::from(refused.is_none());
        more == 0
    })
    .await;

    // Somebody else takes all that is left. What the node still has to write fails, and it waits for room.
    disk.fill("rest");
    wait_until("the node waits for room", async || {
        cluster.node(1).log().contains("waiting for room").then_some(())
    })
    .await;
    assert!(is_alive(pid) && cluster.node(1).pid() == pid, "it is the same process");
    let health = wait_until("it says so by HTTP", async || cluster.node(1).get("/health/ready").await).await;
    assert!(health.status == 503 && health.body.contains("disk is full"), "{health:?}");
    led(&cluster, "filled").await.produce(values(1, &["while it waits"])).await;

    disk.give_back("rest");
    disk.give_back("ballast");
    wait_whole(&cluster, "filled").await;
    cluster.wait_ready().await.unwrap();
    let batches = cluster.partition("filled", 0).await.read_all().await;
    assert!(batches.len() as u64 > acknowledged, "{} of {acknowledged} are left", batches.len());
    cluster.assert_alive();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_disks_are_full_producers_are_told_and_deletions_go_through() {
    let Some(disks) = small_disks() else { return };
    let options =
        (1..).zip(&disks).fold(options(), |options, (id, disk)| options.data_dir(id, disk.data_dir()));
    let cluster = Cluster::start(options).await;
    cluster.create(NewTopic::new("filled")).await;
    cluster.create(NewTopic::new("goes")).await;
    let full = Some(ResponseError::KafkaStorageError);
    // A leader that is full before the others refuses, too, until one with room leads. It is over when two of the three have none.
    let is_full = |id: &i32| said(&cluster, *id).0 > said(&cluster, *id).1;
    let most_are_full = || cluster.ids().iter().filter(|id| is_full(id)).count() >= 2;
    let acknowledged = write_until(&cluster, "filled", |refused| refused == full && most_are_full()).await;

    // Everything can be read, nothing can be made, and what takes no room or gives some back can be done.
    let batches = wait_until("everything is read", async || {
        cluster.partition_as_led("filled", 0).await?.try_read_all().await.ok()
    })
    .await;
    assert_eq!(batches.len() as u64, acknowledged);
    wait_until("a new topic is refused", async || {
        let answer = NewTopic::new("new").try_create(&cluster.connect_any().await).await;
        (error(answer.error_code) == full).then_some(())
    })
    .await;
    assert_eq!(error(delete_topic(&cluster.connect_any().await, "goes").await), None);

    disks.iter().for_each(|disk| disk.give_back("ballast"));
    wait_until("records are taken in again", async || {
        let partition = led(&cluster, "filled").await;
        error(partition.try_produce(values(1, &["with room"])).await.error_code).is_none().then_some(())
    })
    .await;
    let batches = cluster.partition("filled", 0).await.read_all().await;
    assert!(batches.len() as u64 > acknowledged, "{} of {acknowledged} are left", batches.len());
    cluster.assert_alive();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_are_deleted_make_room_on_full_disks() {
    let Some(disks) = small_disks() else { return };
    let options =
        (1..).zip(&disks).fold(options(), |options, (id, disk)| options.data_dir(id, disk.data_dir()));
    let cluster = Cluster::start(options).await;
    cluster.create(NewTopic::new("filled").assign(0, &[1, 2, 3])).await;
    let full = Some(ResponseError::KafkaStorageError);
    write_until(&cluster, "filled", |refused| refused == full).await;

    // The leadership may still be on its way to somebody with room.
    let end = wait_until("all records are deleted", async || {
        let partition = cluster.partition_as_led("filled", 0).await?;
        let deleted = partition.try_delete_records(-1).await;
        let end = partition.try_list_offset(LATEST).await;
        let is_done = deleted.error_code == 0 && end.error_code == 0 && deleted.low_watermark == end.offset;
        is_done.then_some(end.offset)
    })
    .await;
    wait_until("every node has room again", async || {
        cluster.ids().iter().all(|id| said(&cluster, *id).0 == said(&cluster, *id).1).then_some(())
    })
    .await;
    wait_whole(&cluster, "filled").await;
    // Peers believe for a moment longer that they have none.
    let offset = wait_until("a record is taken in", async || {
        let answer =
            cluster.partition_as_led("filled", 0).await?.try_produce(values(1, &["with room"])).await;
        (answer.error_code == 0).then_some(answer.base_offset)
    })
    .await;
    assert_eq!(offset, end);
    assert_eq!(led(&cluster, "filled").await.read_values().await, ["with room"]);
    cluster.assert_alive();
}
