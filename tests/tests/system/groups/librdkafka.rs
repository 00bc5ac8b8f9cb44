//! Today's librdkafka, with every assignor it has: members join and leave, every record is consumed once and committed, and
//! a partition has one owner at a time.

use std::collections::BTreeMap;

use trilog_tests::admin::NewTopic;
use trilog_tests::batch::values;
use trilog_tests::cluster::{SharedCluster, shared};
use trilog_tests::group::librdkafka::{Event, Ledger, RealConsumer};
use trilog_tests::partition::Partition;
use trilog_tests::waiting::wait_until;

/// Partitions of each of the two topics.
const PARTITIONS: i32 = 6;

/// Partitions in all, which every number of members here divides.
const ALL: usize = 12;

/// What a group is like.
struct Scenario {
    name: &'static str,
    settings: Vec<(&'static str, &'static str)>,
    /// Whether members keep what they are to have again.
    incremental: bool,
    /// Whether the same partition of both topics goes to the same member.
    together: bool,
}

/// The stage of a scenario: two topics, and who is in the group.
struct Stage {
    scenario: Scenario,
    cluster: SharedCluster,
    topics: [String; 2],
    partitions: Vec<Partition>,
    written: usize,
    ledger: Ledger,
}

impl Stage {
    async fn new(scenario: Scenario) -> Self {
        let cluster = shared().await;
        let topics = ["one", "two"].map(|topic| format!("librdkafka-{}-{topic}", scenario.name));
        let mut partitions = Vec::new();
        for topic in &topics {
            cluster.create(NewTopic::new(topic).partitions(PARTITIONS)).await;
            for partition in 0..PARTITIONS {
                partitions.push(cluster.partition(topic, partition).await);
            }
        }
        Self { scenario, cluster, topics, partitions, written: 0, ledger: Ledger::default() }
    }

    fn start(&self, name: &str) -> RealConsumer {
        let topics = [self.topics[0].as_str(), self.topics[1].as_str()];
        let settings = &self.scenario.settings;
        let (bootstrap, group) = (self.cluster.bootstrap(), self.scenario.name);
        RealConsumer::start(&bootstrap, group, name, &topics, settings, &self.ledger)
    }

    /// Ten records into each partition.
    async fn write(&mut self) {
        for partition in &self.partitions {
            for _ in 0..10 {
                partition.produce(values(1, &["a"])).await;
            }
        }
        self.written += 10 * self.partitions.len();
    }

    /// Waits until these members own an equal share each, and until everything written is consumed, some of which was
    /// written while the group was on its way there.
    async fn settles(&mut self, members: &[&str]) {
        let share = ALL / members.len();
        let wanted = members.iter().map(|name| ((*name).to_owned(), share)).collect::<BTreeMap<_, _>>();
        self.write().await;
        wait_until(&format!("{}: {wanted:?} own partitions", self.scenario.name), async || {
            (self.ledger.owned() == wanted).then_some(())
        })
        .await;
        self.write().await;
        wait_until(&format!("{}: {} records are consumed", self.scenario.name, self.written), async || {
            (self.ledger.count() >= self.written).then_some(())
        })
        .await;
        assert_eq!(self.ledger.owned(), wanted, "nothing moves any more");
        if self.scenario.together {
            let owners = self.ledger.owners();
            for partition in 0..PARTITIONS {
                let [one, two] = self.topics.clone().map(|topic| owners[&(topic, partition)].clone());
                assert_eq!(one, two, "partition {partition} of both topics");
            }
        }
    }

    /// After everybody has left.
    async fn check(self) {
        let Self { scenario, cluster, topics, written, ledger, .. } = self;
        ledger.assert_one_owner();
        assert!(ledger.owned().is_empty(), "whoever leaves gives all up");
        let each = i64::try_from(written / ALL).unwrap();
        for (place, offsets) in ledger.consumed() {
            assert!(offsets.iter().copied().eq(0..each), "{place:?} once and in order: {offsets:?}");
        }
        let all =
            topics.iter().flat_map(|topic| (0..PARTITIONS).map(|partition| (topic.clone(), partition, each)));
        assert!(cluster.group(scenario.name).await.offsets().await.into_iter().eq(all), "all is committed");
        let events = ledger.events();
        assert!(!events.iter().any(|(_, event)| matches!(event, Event::Failed(_))), "{events:#?}");
        if scenario.incremental {
            // The first member gave up what others were to have, and kept the rest each time.
            let mut given_up = events.iter().filter_map(|(name, event)| match event {
                Event::Revoked(list) if name == "first" => Some(list.len()),
                _ => None,
            });
            assert!(given_up.all(|count| count < ALL), "{events:#?}");
        }
    }
}

/// One, two, three members; then one, none.
async fn members_come_and_go(scenario: Scenario) {
    let mut stage = Stage::new(scenario).await;
    let first = stage.start("first");
    stage.settles(&["first"]).await;
    let second = stage.start("second");
    stage.settles(&["first", "second"]).await;
    let third = stage.start("third");
    stage.settles(&["first", "second", "third"]).await;
    second.leave().await;
    first.leave().await;
    stage.settles(&["third"]).await;
    third.leave().await;
    stage.check().await;
}

fn classic(name: &'static str, assignor: &'static str) -> Scenario {
    // Those that are quick to hear of a rebalance.
    let settings = vec![
        ("partition.assignment.strategy", assignor),
        ("heartbeat.interval.ms", "100"),
        ("session.timeout.ms", "10000"),
    ];
    Scenario { name, settings, incremental: false, together: false }
}

#[tokio::test]
async fn range() {
    members_come_and_go(Scenario { together: true, ..classic("range", "range") }).await;
}

#[tokio::test]
async fn round_robin() {
    members_come_and_go(classic("roundrobin", "roundrobin")).await;
}

#[tokio::test]
async fn cooperative_sticky() {
    let scenario = classic("cooperative", "cooperative-sticky");
    members_come_and_go(Scenario { incremental: true, ..scenario }).await;
}

#[tokio::test]
async fn the_consumer_protocol_with_range() {
    let settings = vec![("group.protocol", "consumer"), ("group.remote.assignor", "range")];
    let scenario = Scenario { name: "consumer-range", settings, incremental: true, together: true };
    members_come_and_go(scenario).await;
}

#[tokio::test]
async fn the_consumer_protocol_with_uniform() {
    let settings = vec![("group.protocol", "consumer"), ("group.remote.assignor", "uniform")];
    let scenario = Scenario { name: "consumer-uniform", settings, incremental: true, together: false };
    members_come_and_go(scenario).await;
}
