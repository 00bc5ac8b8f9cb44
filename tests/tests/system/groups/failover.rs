//! The coordinator's node goes: members go on in the same generation, nobody is rebalanced, no commit is lost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use tokio::sync::RwLock;
use trilog_client::wire::Connection;
use trilog_tests::admin::NewTopic;
use trilog_tests::batch::values;
use trilog_tests::cluster::{CONSUMER_OFFSETS, Cluster, ClusterOptions, connection_options};
use trilog_tests::group::classic::{ClassicMember, form, part_of};
use trilog_tests::group::consumer::{ConsumerMember, settle};
use trilog_tests::group::librdkafka::{Ledger, RealConsumer};
use trilog_tests::group::offsets::{Commit, committed, fetch_request, fetched_offsets};
use trilog_tests::group::{Group, find_coordinator};
use trilog_tests::requests::{error, only};
use trilog_tests::waiting::wait_until;

/// How a node goes.
#[derive(Debug, Clone, Copy)]
enum End {
    Killed,
    Stopped,
}

impl End {
    async fn befall(self, cluster: &mut Cluster, node: i32) {
        match self {
            Self::Killed => cluster.kill(node),
            Self::Stopped => cluster.stop(node).await,
        }
    }
}

async fn start(partitions: i32) -> Cluster {
    let settings = ClusterOptions::nodes(3)
        .set("group.initial.rebalance.delay.ms", "0")
        .set("group.consumer.min.heartbeat.interval.ms", "100")
        .set("group.consumer.heartbeat.interval.ms", "100");
    let cluster = Cluster::start(settings).await;
    cluster.create(NewTopic::new("failover").partitions(partitions)).await;
    cluster.wait_shown("failover").await;
    cluster
}

/// Two groups on one node, one of each protocol, and everything that they ought to remember.
struct Witness {
    classic: (Group, [ClassicMember; 2]),
    consumer: (Group, [ConsumerMember; 2]),
    /// The greatest offset that was acknowledged, the same in both groups.
    acknowledged: i64,
}

impl Witness {
    async fn new(cluster: &Cluster) -> Self {
        cluster.group("failover").await;
        let names = cluster.names_in_one_partition("failover", 2).await;
        let group = cluster.group(&names[0]).await;
        let mut classic =
            [ClassicMember::new(&group).await, ClassicMember::new(&group).await.named("static")];
        form(&mut classic).await;
        let other = cluster.group(&names[1]).await;
        assert_eq!(other.node, group.node);
        let mut consumer = [
            ConsumerMember::new(&other, &["failover"]).await,
            ConsumerMember::new(&other, &["failover"]).await,
        ];
        settle(&mut consumer, &[2, 2]).await;
        Self { classic: (group, classic), consumer: (other, consumer), acknowledged: 0 }
    }

    fn node(&self) -> i32 {
        self.classic.0.node
    }

    /// The next commit of each group, from its last member.
    fn commits(&self) -> [(&Group, Commit); 2] {
        let commit = Commit::outside("failover", 0, self.acknowledged + 1);
        let (classic, consumer) = (&self.classic.1[1], &self.consumer.1[1]);
        let mut of_classic = commit.clone().by(&classic.id, classic.generation);
        of_classic.instance.clone_from(&classic.instance);
        [(&self.classic.0, of_classic), (&self.consumer.0, commit.by(&consumer.id, consumer.epoch))]
    }

    async fn commit(&mut self, times: usize) {
        for _ in 0..times {
            for (group, commit) in self.commits() {
                assert_eq!(group.commit(&commit).await, None, "{}", group.name);
            }
            self.acknowledged += 1;
        }
    }

    /// Finds whoever coordinates the groups now and asserts that nothing has changed.
    async fn goes_on(&mut self, cluster: &Cluster) {
        for group in [&mut self.classic.0, &mut self.consumer.0] {
            *group = cluster.group(&group.name).await;
            assert_eq!(group.offset("failover", 0).await, self.acknowledged, "{}", group.name);
        }
        let address = self.classic.0.connection.address().to_owned();
        let connect = async || Connection::connect(&address, &connection_options()).await.unwrap();
        for member in &mut self.classic.1 {
            member.connection = connect().await;
            assert_eq!(member.heartbeat().await, None, "the generation is the same");
            let part = member.try_sync(&[]).await.assignment;
            assert_eq!(part, part_of(&member.id, member.generation));
        }
        for member in &mut self.consumer.1 {
            member.connection = connect().await;
            let before = (member.epoch, member.owned.clone());
            member.heartbeat().await;
            assert_eq!((member.epoch, member.owned.clone()), before, "epoch and assignment are the same");
        }
        assert_eq!(self.classic.0.describe().await.members.len(), 2);
        assert_eq!(self.consumer.0.describe_consumer().await.members.len(), 2);
        self.commit(20).await;
    }
}

#[tokio::test]
async fn generation_assignment_and_offsets_outlive_every_coordinator() {
    let mut cluster = start(4).await;
    let mut witness = Witness::new(&cluster).await;
    witness.commit(20).await;
    for end in [End::Killed, End::Stopped, End::Killed] {
        let node = witness.node();
        end.befall(&mut cluster, node).await;
        wait_until("another node coordinates", async || {
            let group = cluster.try_group("failover").await?;
            (group.node != node).then_some(())
        })
        .await;
        witness.goes_on(&cluster).await;
        // The node comes back, and gets its leaderships back.
        cluster.start_node(node);
        cluster.wait_ready().await.unwrap();
        wait_until("the node coordinates again", async || {
            let group = cluster.try_group("failover").await?;
            (group.node == node).then_some(())
        })
        .await;
        witness.goes_on(&cluster).await;
    }
    cluster.assert_alive();
}

#[tokio::test]
async fn all_nodes_may_be_killed() {
    let mut cluster = start(4).await;
    let mut witness = Witness::new(&cluster).await;
    for _ in 0..3 {
        witness.commit(20).await;
        for node in cluster.ids() {
            cluster.kill(node);
        }
        for node in cluster.ids() {
            cluster.start_node(node);
        }
        cluster.wait_ready().await.unwrap();
        // Leaders move back to their preferred nodes a while after a start, and a coordinator must not move while it is asked.
        cluster.wait_preferred(CONSUMER_OFFSETS).await;
        witness.goes_on(&cluster).await;
    }
    cluster.assert_alive();
}

/// Commits 1, 2, 3, … for a group without members, one after the other, to whoever coordinates it, until it is told to
/// stop. Tells the last one acknowledged; returns the last one sent.
async fn commit_on(
    cluster: &RwLock<Cluster>,
    name: &str,
    acknowledged: &AtomicI64,
    stop: &AtomicBool,
) -> i64 {
    let find = async || {
        wait_until("somebody coordinates", async || cluster.read().await.try_group(name).await).await
    };
    let (mut group, mut number) = (find().await, 0);
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        // Refused or without an answer, it is not sent again: what comes after it says more.
        if let Ok(None) = group.try_commit(&Commit::outside("failover", 0, number)).await {
            acknowledged.store(number, Ordering::Relaxed);
        } else {
            group = find().await;
        }
    }
    number
}

#[tokio::test]
async fn no_acknowledged_commit_is_lost_whenever_a_coordinator_goes() {
    let cluster = RwLock::new(start(1).await);
    let (acknowledged, stop) = (AtomicI64::new(0), AtomicBool::new(false));
    let adversary = async {
        for end in [End::Killed, End::Stopped, End::Killed] {
            let before = acknowledged.load(Ordering::Relaxed);
            wait_until("commits go on", async || {
                (acknowledged.load(Ordering::Relaxed) > before + 100).then_some(())
            })
            .await;
            let node = cluster.read().await.group("commits-on").await.node;
            end.befall(&mut *cluster.write().await, node).await;
            // Asked of whoever coordinates now: nothing that was acknowledged before is missing.
            let before = acknowledged.load(Ordering::Relaxed);
            let offset = cluster.read().await.group("commits-on").await.offset("failover", 0).await;
            assert!(offset >= before, "{offset} is kept, and {before} was acknowledged");
            wait_until("commits go on", async || {
                (acknowledged.load(Ordering::Relaxed) > before + 100).then_some(())
            })
            .await;
            cluster.write().await.start_node(node);
            cluster.read().await.wait_ready().await.unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    };
    let (sent, ()) = tokio::join!(commit_on(&cluster, "commits-on", &acknowledged, &stop), adversary);
    let cluster = cluster.into_inner();
    let offset = cluster.group("commits-on").await.offset("failover", 0).await;
    let acknowledged = acknowledged.into_inner();
    assert!((acknowledged..=sent).contains(&offset), "{offset}, of {acknowledged} and {sent}");
    cluster.assert_alive();
}

#[tokio::test]
async fn a_coordinator_that_slept_through_its_end_neither_commits_nor_tells_old_offsets() {
    let cluster = start(1).await;
    let old = cluster.group("asleep").await;
    assert_eq!(old.commit(&Commit::outside("failover", 0, 1)).await, None);
    // It is asked while it sleeps, and wakes up believing that it coordinates.
    cluster.pause(old.node);
    let lost = Commit::outside("failover", 0, 99).request("asleep", 9);
    let lost = old.connection.enqueue_at(lost, 9).await.unwrap();
    let stale = fetch_request("asleep", Some(("failover", &[0])), 9);
    let stale = old.connection.enqueue_at(stale, 9).await.unwrap();
    let awake = cluster.ids().into_iter().find(|node| *node != old.node).unwrap();
    let awake = cluster.connect(awake).await;
    let new = wait_until("another node coordinates", async || {
        let found = find_coordinator(&awake, "asleep").await.unwrap();
        if found.error_code != 0 || found.node_id.0 == old.node {
            return None;
        }
        let new = Group { connection: cluster.connect(found.node_id.0).await, ..old.clone() };
        new.commit(&Commit::outside("failover", 0, 2)).await.is_none().then_some(new)
    })
    .await;
    cluster.resume(old.node);
    let refused = committed(lost.answer().await.unwrap());
    assert!(refused.is_some(), "nobody agreed to it");
    let told = fetched_offsets(stale.answer().await.unwrap(), 9);
    if error(told.error_code).is_none() {
        let row = only(only(told.topics).partitions);
        assert_eq!((error(row.error_code), row.committed_offset), (None, 2), "not what was there before");
    }
    assert_eq!(new.offset("failover", 0).await, 2);
    cluster.assert_alive();
}

/// Two real consumers consume and commit while the coordinator's node goes and comes back, twice. Nobody hears of a
/// rebalance, everything is consumed once, and the coordinator's offsets never fall behind an acknowledged commit.
async fn real_consumers_do_not_notice(settings: &[(&str, &str)]) {
    let mut cluster = start(4).await;
    let ledger = Ledger::default();
    let bootstrap = cluster.bootstrap();
    let new =
        |name: &str| RealConsumer::start(&bootstrap, "failover", name, &["failover"], settings, &ledger);
    let consumers = [new("first"), new("second")];
    let both = BTreeMap::from([("first".to_owned(), 2), ("second".to_owned(), 2)]);
    wait_until("each owns two partitions", async || (ledger.owned() == both).then_some(())).await;
    let mut written = 0;
    go_on(&cluster, &ledger, &mut written).await;
    let events = ledger.events();
    for end in [End::Killed, End::Stopped] {
        let node = cluster.group("failover").await.node;
        end.befall(&mut cluster, node).await;
        go_on(&cluster, &ledger, &mut written).await;
        cluster.start_node(node);
        cluster.wait_ready().await.unwrap();
        wait_until("the node coordinates again", async || {
            let group = cluster.try_group("failover").await?;
            (group.node == node).then_some(())
        })
        .await;
        go_on(&cluster, &ledger, &mut written).await;
    }
    assert_eq!(ledger.events(), events, "nobody was rebalanced");
    for (place, offsets) in ledger.consumed() {
        assert!(offsets.iter().copied().eq(0..written), "{place:?} once and in order: {offsets:?}");
    }
    for consumer in consumers {
        consumer.leave().await;
    }
    ledger.assert_one_owner();
    cluster.assert_alive();
}

/// Writes to every partition and waits until all of it is consumed and its end committed.
async fn go_on(cluster: &Cluster, ledger: &Ledger, written: &mut i64) {
    for partition in 0..4 {
        let partition = cluster.partition("failover", partition).await;
        for _ in 0..20 {
            partition.produce(values(1, &["a"])).await;
        }
    }
    *written += 20;
    wait_until("everything is consumed and committed", async || {
        // What a consumer heard of before the coordinator is asked cannot be news to it.
        let acknowledged = ledger.committed();
        let offsets = cluster.try_group("failover").await?.offsets().await;
        for ((topic, partition), acknowledged) in acknowledged {
            let kept = offsets.iter().find(|row| (&row.0, row.1) == (&topic, partition)).map(|row| row.2);
            assert!(kept >= Some(acknowledged), "{partition}: {kept:?}, and {acknowledged} was acknowledged");
        }
        let consumed = ledger.count() >= usize::try_from(*written * 4).ok()?;
        let committed = offsets.len() == 4 && offsets.iter().all(|row| row.2 == *written);
        (consumed && committed).then_some(())
    })
    .await;
}

#[tokio::test]
async fn classic_consumers_do_not_notice() {
    real_consumers_do_not_notice(&[("heartbeat.interval.ms", "100"), ("session.timeout.ms", "10000")]).await;
}

#[tokio::test]
async fn consumers_of_the_consumer_protocol_do_not_notice() {
    real_consumers_do_not_notice(&[("group.protocol", "consumer")]).await;
}
