//! The bundled administration client: what it asks for happens, and each item has its own outcome.

use std::collections::BTreeMap;
use std::time::Duration;

use trilog_client::admin::{
    Admin, AdminConfig, Change, ConfigChange, ConfigResource, GroupFilter, Isolation, ListedOffset,
    NewPartitions, NewTopic, OffsetSpec, PlannedReset, ResetTo, Results, TopicRef,
};
use trilog_client::consumer::{CommitOffset, Consumer, ConsumerConfig, GroupProtocol, ResetPolicy};
use trilog_client::{Error, ErrorCode, Producer, ProducerConfig, Record, TopicPartition};
use trilog_tests::cluster::{Cluster, ClusterOptions, shared};
use trilog_tests::waiting::wait_until;

fn admin(bootstrap: &str) -> Admin {
    Admin::new(AdminConfig::new(bootstrap).unwrap()).unwrap()
}

/// The code of the only outcome, which is an error.
fn refused<K: Ord, V: std::fmt::Debug>(results: Results<K, V>) -> ErrorCode {
    match results.into_values().next() {
        Some(Err(Error::Broker { code, .. })) => code,
        other => panic!("{other:?}"),
    }
}

fn done<K: Ord + std::fmt::Debug, V: std::fmt::Debug>(results: Results<K, V>) -> BTreeMap<K, V> {
    results.into_iter().map(|(key, outcome)| (key, outcome.unwrap())).collect()
}

/// Creates a topic of one partition a number with this many records each, timestamps 1,000 apart.
async fn filled(bootstrap: &str, topic: &str, partitions: i32, records: i64) {
    let client = admin(bootstrap);
    let created = client.create_topics([NewTopic::new(topic).partitions(partitions)], Change::Apply);
    assert_eq!(done(created.await)[topic].partitions, partitions);
    let producer = Producer::new(ProducerConfig::new(bootstrap).unwrap()).unwrap();
    for partition in 0..partitions {
        for at in 0..records {
            let record = Record::to(topic).partition(partition).timestamp(1000 + at * 1000).value("v");
            producer.send(record).await.unwrap().await.unwrap();
        }
    }
    producer.close().await;
}

#[tokio::test]
async fn topics_are_created_described_enlarged_and_deleted() {
    let cluster = shared().await;
    let admin = admin(&cluster.bootstrap());
    let topic = || NewTopic::new("admin-topic").partitions(2).replicas(3).config("retention.ms", "3600000");

    done(admin.create_topics([topic()], Change::ValidateOnly).await);
    let missing = refused(admin.describe_topics(["admin-topic"]).await);
    assert_eq!(missing, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "it was only checked");
    let both = [topic(), NewTopic::new("admin topic with blanks")];
    let mut outcomes = admin.create_topics(both, Change::Apply).await;
    let created = outcomes.remove("admin-topic").unwrap().unwrap();
    assert_eq!((created.partitions, created.replicas), (2, 3));
    assert_eq!(refused(outcomes), ErrorCode::INVALID_TOPIC_EXCEPTION, "the other one is not touched by it");
    assert_eq!(refused(admin.create_topics([topic()], Change::Apply).await), ErrorCode::TOPIC_ALREADY_EXISTS);

    let id = created.id.unwrap();
    let by_id = done(admin.describe_topics([id]).await).remove(&TopicRef::Id(id)).unwrap();
    assert_eq!((by_id.name.as_str(), by_id.partitions.len()), ("admin-topic", 2));
    assert!(by_id.partitions.iter().all(|partition| partition.replicas.len() == 3));
    let listed = admin.list_topics().await.unwrap();
    assert!(listed.iter().any(|topic| topic.name == "admin-topic" && topic.id == Some(id)));

    done(admin.create_partitions([NewPartitions::total("admin-topic", 4)], Change::Apply).await);
    wait_until("four partitions are known", async || {
        let found = done(admin.describe_topics(["admin-topic"]).await);
        found.into_values().next().filter(|topic| topic.partitions.len() == 4)
    })
    .await;
    let fewer = admin.create_partitions([NewPartitions::total("admin-topic", 3)], Change::Apply).await;
    assert_eq!(refused(fewer), ErrorCode::INVALID_PARTITIONS);

    done(admin.delete_topics([id]).await);
    assert_eq!(refused(admin.delete_topics(["admin-topic"]).await), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[tokio::test]
async fn configurations_of_topics_and_brokers_are_described_and_altered() {
    let cluster = shared().await;
    let admin = admin(&cluster.bootstrap());
    done(admin.create_topics([NewTopic::new("admin-config").partitions(1)], Change::Apply).await);
    let topic = ConfigResource::Topic("admin-config".to_owned());
    let value = async |name: &str| {
        let mut found = done(admin.describe_configs([topic.clone()]).await);
        let entries = found.remove(&topic).unwrap();
        entries.into_iter().find(|entry| entry.name == name).unwrap()
    };
    let alter = async |change, mode| admin.alter_configs([(topic.clone(), vec![change])], mode).await;

    assert!(!value("retention.ms").await.source.is_own());
    done(alter(ConfigChange::set("retention.ms", "7200000"), Change::ValidateOnly).await);
    assert!(!value("retention.ms").await.source.is_own(), "it was only checked");
    done(alter(ConfigChange::set("retention.ms", "7200000"), Change::Apply).await);
    wait_until("the value is known", async || {
        let entry = value("retention.ms").await;
        (entry.value.as_deref() == Some("7200000") && entry.source.is_own()).then_some(())
    })
    .await;
    done(alter(ConfigChange::delete("retention.ms"), Change::Apply).await);
    wait_until("the default is back", async || (!value("retention.ms").await.source.is_own()).then_some(()))
        .await;
    let wrong = alter(ConfigChange::set("retention.ms", "soon"), Change::Apply).await;
    assert_eq!(refused(wrong), ErrorCode::INVALID_CONFIG);

    let brokers = admin.describe_cluster().await.unwrap().brokers;
    let of_each = brokers.iter().map(|broker| ConfigResource::Broker(Some(broker.id)));
    let of_each = done(admin.describe_configs(of_each).await);
    assert_eq!(of_each.len(), 3);
    assert!(of_each.values().all(|entries| !entries.is_empty()), "each was asked for its own");
    let nobody = admin.describe_configs([ConfigResource::Broker(Some(99))]).await;
    assert_eq!(refused(nobody), ErrorCode::BROKER_ID_NOT_REGISTERED);
}

#[tokio::test]
async fn offsets_are_listed_by_end_and_time_and_records_deleted() {
    let cluster = shared().await;
    let bootstrap = cluster.bootstrap();
    filled(&bootstrap, "admin-offsets", 3, 5).await;
    let admin = admin(&bootstrap);
    let place = |partition| TopicPartition::new("admin-offsets", partition);
    let listed = async |spec| {
        let specs = (0..3).map(|partition| (place(partition), spec));
        let found = done(admin.list_offsets(specs, Isolation::ReadUncommitted).await);
        let offset = |found: Option<ListedOffset>| found.map(|found| found.offset);
        found.into_values().map(offset).collect::<Vec<_>>()
    };
    assert_eq!(listed(OffsetSpec::Earliest).await, [Some(0); 3]);
    assert_eq!(listed(OffsetSpec::Latest).await, [Some(5); 3]);
    assert_eq!(listed(OffsetSpec::Time(2500)).await, [Some(2); 3]);
    assert_eq!(listed(OffsetSpec::MaxTimestamp).await, [Some(4); 3]);
    assert_eq!(listed(OffsetSpec::Time(i64::MAX)).await, [None; 3]);

    let before = [(place(0), Some(2)), (place(1), None), (place(2), Some(99)), (place(7), Some(1))];
    let mut outcomes = admin.delete_records(before).await;
    let missing = outcomes.remove(&place(7)).unwrap().unwrap_err();
    assert!(missing.to_string().contains("UNKNOWN_TOPIC_OR_PARTITION"), "{missing}");
    assert_eq!(outcomes.remove(&place(0)).unwrap().unwrap(), 2);
    assert_eq!(outcomes.remove(&place(1)).unwrap().unwrap(), 5);
    assert_eq!(refused(outcomes), ErrorCode::OFFSET_OUT_OF_RANGE);
    assert_eq!(listed(OffsetSpec::Earliest).await, [Some(2), Some(5), Some(0)]);
}

#[tokio::test]
async fn groups_of_both_protocols_are_listed_described_reset_and_deleted() {
    let cluster = shared().await;
    let bootstrap = cluster.bootstrap();
    filled(&bootstrap, "admin-groups", 2, 4).await;
    let admin = admin(&bootstrap);
    for (group, protocol, kind) in [
        ("admin-group-classic", GroupProtocol::Classic, "classic"),
        ("admin-group-consumer", GroupProtocol::Consumer, "consumer"),
    ] {
        let config = ConsumerConfig::new(&bootstrap).unwrap().group(group).protocol(protocol);
        let config = config.reset(ResetPolicy::Earliest).auto_commit(None);
        let mut consumer = Consumer::new(config).unwrap();
        consumer.subscribe(["admin-groups"]).unwrap();
        let mut read = 0;
        while read < 8 {
            read += consumer.poll().await.unwrap().records.len();
        }
        consumer.commit().await.unwrap();

        let listed = admin.list_groups(&GroupFilter::default()).await.unwrap();
        assert!(listed.failures.is_empty());
        let listing = listed.groups.iter().find(|listed| listed.group == group).unwrap();
        assert_eq!((listing.kind.as_str(), listing.state.as_str()), (kind, "Stable"));
        let filter = GroupFilter { states: vec!["Empty".to_owned()], types: Vec::new() };
        let empty = admin.list_groups(&filter).await.unwrap().groups;
        assert!(empty.iter().all(|listed| listed.group != group));

        let described = done(admin.describe_groups([group]).await).remove(group).unwrap();
        assert_eq!((described.kind.as_str(), described.members.len()), (kind, 1));
        let member = &described.members[0];
        assert_eq!(member.topics, ["admin-groups"]);
        let mut assigned = member.assignment.clone();
        assigned.sort_unstable();
        assert_eq!(
            assigned,
            [TopicPartition::new("admin-groups", 0), TopicPartition::new("admin-groups", 1)]
        );

        let to = [(TopicPartition::new("admin-groups", 0), CommitOffset::at(1))];
        let busy = admin.alter_group_offsets(group, to.into()).await;
        assert_eq!(refused(busy), ErrorCode::UNKNOWN_MEMBER_ID, "{group}");
        assert_eq!(refused(admin.delete_groups([group]).await), ErrorCode::NON_EMPTY_GROUP);
        consumer.close().await.unwrap();
        reset_and_delete(&admin, group).await;
    }
}

/// Resets the offsets of a group without members, and deletes it.
async fn reset_and_delete(admin: &Admin, group: &str) {
    let places = [TopicPartition::new("admin-groups", 0), TopicPartition::new("admin-groups", 1)];
    let committed = async || {
        let mut found = done(admin.list_group_offsets([group]).await);
        let offsets = done(found.remove(group).unwrap());
        offsets.into_values().map(|commit| commit.offset).collect::<Vec<_>>()
    };
    assert_eq!(committed().await, [4, 4]);
    let plan = done(admin.plan_reset(group, places.clone(), ResetTo::Shift(-1)).await);
    assert_eq!(plan[&places[0]], PlannedReset { from: Some(4), to: 3 });
    assert_eq!(committed().await, [4, 4], "a plan changes nothing");
    done(admin.reset_group_offsets(group, &plan).await);
    assert_eq!(committed().await, [3, 3]);
    for (to, wanted) in [(ResetTo::Earliest, 0), (ResetTo::Time(2500), 2), (ResetTo::Latest, 4)] {
        let plan = done(admin.plan_reset(group, places.clone(), to).await);
        assert!(plan.values().all(|planned| planned.to == wanted), "{to:?}: {plan:?}");
    }
    done(admin.delete_group_offsets(group, [places[0].clone()]).await);
    assert_eq!(committed().await, [3]);
    done(admin.delete_groups([group]).await);
    assert_eq!(refused(admin.describe_groups([group]).await), ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(refused(admin.delete_groups([group]).await), ErrorCode::GROUP_ID_NOT_FOUND);
}

#[tokio::test]
async fn a_node_that_dies_costs_a_call_no_more_than_the_gap() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    let bootstrap = cluster.bootstrap();
    filled(&bootstrap, "admin-killed", 6, 1).await;
    let admin = admin(&bootstrap);
    let described =
        async || done(admin.describe_topics(["admin-killed"]).await).into_values().next().unwrap();
    let victim = described().await.partitions[0].leader.unwrap();
    cluster.kill(victim);

    let places = (0..6).map(|partition| (TopicPartition::new("admin-killed", partition), OffsetSpec::Latest));
    let ends = done(admin.list_offsets(places, Isolation::ReadUncommitted).await);
    assert!(ends.values().all(|end| end.is_some_and(|end| end.offset == 1)), "{ends:?}");
    done(admin.create_topics([NewTopic::new("admin-killed-2").partitions(3)], Change::Apply).await);
    let cluster_now = admin.describe_cluster().await.unwrap();
    assert!(cluster_now.controller != Some(victim));
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_told_in_time() {
    let config = AdminConfig::new("127.0.0.1:1").unwrap().api_timeout(Duration::from_secs(2));
    let admin = Admin::new(config).unwrap();
    let error = admin.list_topics().await.unwrap_err();
    assert!(
        matches!(error, Error::Unreachable { .. }) && error.to_string().contains("127.0.0.1:1"),
        "{error}"
    );
    let outcome = admin.delete_topics(["t"]).await.into_values().next().unwrap();
    assert!(matches!(outcome, Err(Error::Unreachable { .. })), "it was never sent: {outcome:?}");
    assert!(admin.ready(Duration::from_millis(200)).await.is_err());
}
