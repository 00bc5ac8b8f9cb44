//! The consumer protocol (KIP-848): the coordinator assigns, and only members whose assignment changes are disturbed.

use std::collections::BTreeSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest};
use trilog_tests::admin::NewTopic;
use trilog_tests::cluster::{Cluster, ClusterOptions, SharedCluster, shared};
use trilog_tests::group::Group;
use trilog_tests::group::consumer::{ConsumerMember, JOINS, LEAVES, LEAVES_FOR_A_WHILE, settle};
use trilog_tests::group::offsets::Commit;
use trilog_tests::requests::{error, group_id, only, served};
use trilog_tests::waiting::wait_until;
use uuid::Uuid;

/// A group and a topic of the same name.
async fn new(cluster: &SharedCluster, name: &str, partitions: i32) -> (Group, Uuid) {
    let topic = cluster.create(NewTopic::new(name).partitions(partitions)).await;
    cluster.wait_shown(name).await;
    (cluster.group(name).await, topic)
}

/// A settled group of one more member.
async fn admit(members: &mut Vec<ConsumerMember>, member: ConsumerMember, counts: &[usize]) {
    members.push(member);
    settle(members, counts).await;
}

#[tokio::test]
async fn members_join_reconcile_and_leave() {
    let cluster = shared().await;
    let (group, topic) = new(&cluster, "consumer-life", 6).await;
    let mut members = Vec::new();
    admit(&mut members, ConsumerMember::new(&group, &["consumer-life"]).await, &[6]).await;
    assert_eq!(members[0].owned_of(topic), [0, 1, 2, 3, 4, 5]);
    let alone = members[0].epoch;
    admit(&mut members, ConsumerMember::new(&group, &["consumer-life"]).await, &[3, 3]).await;
    assert!(members[0].epoch > alone);
    admit(&mut members, ConsumerMember::new(&group, &["consumer-life"]).await, &[2, 2, 2]).await;
    members.remove(0).leave(LEAVES).await;
    settle(&mut members, &[3, 3]).await;
    members.remove(0).leave(LEAVES).await;
    settle(&mut members, &[6]).await;
    members.remove(0).leave(LEAVES).await;
    assert_eq!(&*group.describe_consumer().await.group_state, "Empty");
}

#[tokio::test]
async fn a_partition_is_given_on_only_when_it_was_given_up() {
    let cluster = shared().await;
    let (group, topic) = new(&cluster, "consumer-handover", 2).await;
    let mut old = ConsumerMember::new(&group, &["consumer-handover"]).await;
    settle(std::slice::from_mut(&mut old), &[2]).await;
    let mut new = ConsumerMember::new(&group, &["consumer-handover"]).await;
    new.heartbeat().await;
    let keeps = wait_until("the old member is told to give one up", async || {
        let answer = old.try_heartbeat().await.unwrap();
        assert_eq!(error(answer.error_code), None);
        let told = &answer.assignment?.topic_partitions;
        (told.len() == 1 && told[0].partitions.len() == 1).then(|| told[0].partitions[0])
    })
    .await;
    // It was told, and has not said that it did it: it owns both, however often the new one asks.
    for _ in 0..10 {
        new.heartbeat().await;
        assert_eq!(new.count(), 0, "the partition is still owned");
    }
    let mut members = [old, new];
    settle(&mut members, &[1, 1]).await;
    assert_eq!(members[0].owned_of(topic), [keeps]);
}

#[tokio::test]
async fn only_those_whose_part_changes_are_told() {
    let cluster = shared().await;
    let (group, topic) = new(&cluster, "consumer-undisturbed", 3).await;
    let mut members = Vec::new();
    for count in 1..=3 {
        let member = ConsumerMember::new(&group, &["consumer-undisturbed"]).await.assignor("uniform");
        let counts = [vec![3], vec![1, 2], vec![1, 1, 1]];
        admit(&mut members, member, &counts[count - 1]).await;
    }
    let before = [0, 1].map(|index: usize| members[index].owned_of(topic));
    members.pop().unwrap().leave(LEAVES).await;
    settle(&mut members, &[1, 2]).await;
    for (member, before) in members.iter().zip(&before) {
        let now = member.owned_of(topic);
        assert!(before.iter().all(|partition| now.contains(partition)), "{now:?} after {before:?}");
    }
}

#[tokio::test]
async fn both_versions_are_served() {
    let cluster = shared().await;
    let (group, topic) = new(&cluster, "consumer-versions", 2).await;
    for version in served::<ConsumerGroupHeartbeatRequest>(&group.connection) {
        let mut member = ConsumerMember::new(&group, &["consumer-versions"]).await;
        if version == 0 {
            // It is given an id.
            member.id = String::new();
        }
        let answer = group.connection.request_at_version(member.request(), version).await.unwrap();
        assert_eq!(error(answer.error_code), None, "version {version}: {:?}", answer.error_message);
        let id = answer.member_id.as_deref().expect("its id is told").to_owned();
        assert!(!id.is_empty() && (version == 0 || id == member.id), "version {version}");
        assert!(answer.member_epoch > 0 && answer.heartbeat_interval_ms > 0, "version {version}");
        member.obey(&answer);
        settle(std::slice::from_mut(&mut member), &[2]).await;
        assert_eq!(member.owned_of(topic), [0, 1]);
        member.leave(LEAVES).await;
    }
}

#[tokio::test]
async fn range_gives_the_same_numbers_of_all_topics_to_one_member() {
    let cluster = shared().await;
    let one = cluster.create(NewTopic::new("co-partitioned-1").partitions(6)).await;
    let two = cluster.create(NewTopic::new("co-partitioned-2").partitions(6)).await;
    for topic in ["co-partitioned-1", "co-partitioned-2"] {
        cluster.wait_shown(topic).await;
    }
    let group = cluster.group("co-partitioned").await;
    let mut members = Vec::new();
    for counts in [vec![12], vec![6, 6], vec![4, 4, 4]] {
        let member = ConsumerMember::new(&group, &["co-partitioned-1", "co-partitioned-2"]).await;
        admit(&mut members, member.assignor("range"), &counts).await;
        for member in &members {
            assert_eq!(member.owned_of(one), member.owned_of(two));
            assert!(member.owned_of(one).windows(2).all(|pair| pair[0] + 1 == pair[1]), "{member:?}");
        }
    }
    assert_eq!(&*group.describe_consumer().await.assignor_name, "range");
}

#[tokio::test]
async fn uniform_gives_everybody_as_many() {
    let cluster = shared().await;
    for (topic, partitions) in [("uniform-1", 5), ("uniform-2", 1), ("uniform-3", 1)] {
        cluster.create(NewTopic::new(topic).partitions(partitions)).await;
        cluster.wait_shown(topic).await;
    }
    let group = cluster.group("uniform").await;
    let mut members = Vec::new();
    for counts in [vec![7], vec![3, 4], vec![2, 2, 3]] {
        let member = ConsumerMember::new(&group, &["uniform-1", "uniform-2", "uniform-3"]).await;
        admit(&mut members, member, &counts).await;
    }
    assert_eq!(&*group.describe_consumer().await.assignor_name, "uniform");
}

#[tokio::test]
async fn subscriptions_differ_and_change() {
    let cluster = shared().await;
    let (group, both) = new(&cluster, "subscribed-both", 2).await;
    let one = cluster.create(NewTopic::new("subscribed-one").partitions(2)).await;
    cluster.wait_shown("subscribed-one").await;
    let mut members = [
        ConsumerMember::new(&group, &["subscribed-both"]).await,
        ConsumerMember::new(&group, &["subscribed-both", "subscribed-one"]).await,
    ];
    settle(&mut members, &[2, 2]).await;
    assert_eq!(members[0].owned_of(both), [0, 1], "the other topic keeps the second member busy enough");
    assert_eq!(members[1].owned_of(one), [0, 1]);
    members[1].topics = vec!["subscribed-both".to_owned(), "subscribed-missing".to_owned()];
    settle(&mut members, &[1, 1]).await;
    assert!(members.iter().all(|member| member.owned_of(one).is_empty()));
    members[0].topics.clear();
    settle(&mut members, &[0, 2]).await;
}

#[tokio::test]
async fn a_static_member_comes_back_to_what_it_had() {
    let cluster = shared().await;
    let (group, topic) = new(&cluster, "consumer-static", 4).await;
    let mut members = [
        ConsumerMember::new(&group, &["consumer-static"]).await.named("one"),
        ConsumerMember::new(&group, &["consumer-static"]).await.named("two"),
    ];
    settle(&mut members, &[2, 2]).await;
    let had = members[1].owned_of(topic);
    members[1].leave(LEAVES_FOR_A_WHILE).await;
    for _ in 0..10 {
        members[0].heartbeat().await;
        assert_eq!(members[0].count(), 2, "nobody is given what waits for its owner");
    }
    let epoch = members[0].epoch;
    members[1] = ConsumerMember::new(&group, &["consumer-static"]).await.named("two");
    settle(&mut members, &[2, 2]).await;
    assert_eq!(members[1].owned_of(topic), had);
    assert_eq!(members[0].epoch, epoch, "the other did not notice");
}

#[tokio::test]
async fn a_member_that_gives_nothing_up_is_put_out() {
    let cluster = shared().await;
    let (group, _) = new(&cluster, "consumer-stubborn", 2).await;
    let mut stubborn = ConsumerMember::new(&group, &["consumer-stubborn"]).await;
    stubborn.rebalance_timeout_ms = 1000;
    settle(std::slice::from_mut(&mut stubborn), &[2]).await;
    let mut other = ConsumerMember::new(&group, &["consumer-stubborn"]).await;
    wait_until("the other one has it all", async || {
        // It lives and says so, and owns both partitions, whatever it is told.
        let answer = stubborn.try_heartbeat().await.unwrap();
        let put_out = error(answer.error_code);
        assert!(matches!(put_out, None | Some(ResponseError::UnknownMemberId)), "{put_out:?}");
        other.heartbeat().await;
        (put_out.is_some() && other.count() == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_member_that_falls_silent_is_put_out() {
    let settings = ClusterOptions::nodes(3)
        .set("group.consumer.min.heartbeat.interval.ms", "100")
        .set("group.consumer.heartbeat.interval.ms", "100")
        .set("group.consumer.min.session.timeout.ms", "1000")
        .set("group.consumer.session.timeout.ms", "1000");
    let cluster = Cluster::start(settings).await;
    cluster.create(NewTopic::new("consumer-silent").partitions(2)).await;
    cluster.wait_shown("consumer-silent").await;
    let group = cluster.group("consumer-silent").await;
    let mut members = [
        ConsumerMember::new(&group, &["consumer-silent"]).await,
        ConsumerMember::new(&group, &["consumer-silent"]).await.named("static"),
    ];
    settle(&mut members, &[1, 1]).await;
    settle(&mut members[..1], &[2]).await;
    let answer = members[1].try_heartbeat().await.unwrap();
    assert_eq!(error(answer.error_code), Some(ResponseError::UnknownMemberId));
}

#[tokio::test]
async fn a_group_is_described_as_it_is() {
    let cluster = shared().await;
    let (group, topic) = new(&cluster, "consumer-described", 3).await;
    let mut member = ConsumerMember::new(&group, &["consumer-described"]).await.named("static");
    settle(std::slice::from_mut(&mut member), &[3]).await;
    for version in served::<ConsumerGroupDescribeRequest>(&group.connection) {
        let ids = vec![group_id("consumer-described"), group_id("consumer-described-missing")];
        let request = ConsumerGroupDescribeRequest::default().with_group_ids(ids);
        let answer = group.connection.request_at_version(request, version).await.unwrap();
        let [told, missing] = <[_; 2]>::try_from(answer.groups).unwrap();
        assert!(error(missing.error_code).is_some(), "version {version}");
        assert_eq!(error(told.error_code), None, "version {version}");
        assert_eq!((&*told.group_state, &*told.assignor_name), ("Stable", "uniform"));
        assert_eq!((told.group_epoch, told.assignment_epoch), (member.epoch, member.epoch));
        let row = only(told.members);
        assert_eq!((&*row.member_id, row.member_epoch), (member.id.as_str(), member.epoch));
        assert_eq!(row.instance_id.as_deref(), Some("static"));
        assert_eq!((&*row.client_id, &*row.client_host), ("trilog-tests", "/127.0.0.1"));
        assert_eq!(
            row.subscribed_topic_names.iter().map(|name| &***name).collect::<Vec<_>>(),
            ["consumer-described"]
        );
        for assignment in [&row.assignment, &row.target_assignment] {
            let [told] = assignment.topic_partitions.as_slice() else { panic!("{assignment:?}") };
            assert_eq!((told.topic_id, &**told.topic_name), (topic, "consumer-described"));
            assert_eq!(told.partitions.iter().copied().collect::<BTreeSet<_>>(), [0, 1, 2].into());
        }
        assert_eq!(row.member_type, if version >= 1 { 1 } else { -1 }, "a consumer");
    }
}

#[tokio::test]
async fn offsets_are_committed_with_the_members_epoch() {
    let cluster = shared().await;
    let (group, _) = new(&cluster, "consumer-offsets", 1).await;
    let mut member = ConsumerMember::new(&group, &["consumer-offsets"]).await;
    settle(std::slice::from_mut(&mut member), &[1]).await;
    let commit = Commit::outside("consumer-offsets", 0, 42);
    assert_eq!(group.commit(&commit.clone().by(&member.id, member.epoch)).await, None);
    assert_eq!(group.offset("consumer-offsets", 0).await, 42);
    member.leave(LEAVES).await;
    assert_eq!(group.offset("consumer-offsets", 0).await, 42, "they outlive the member");
    assert_eq!(group.commit(&Commit::outside("consumer-offsets", 0, 1)).await, None, "nobody is disturbed");
    member.epoch = JOINS;
    settle(std::slice::from_mut(&mut member), &[1]).await;
    assert_eq!(group.offset("consumer-offsets", 0).await, 1);
}
