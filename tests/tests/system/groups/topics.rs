//! What happens to groups when topics come, grow and go.

use kafka_protocol::messages::CreatePartitionsRequest;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use trilog_tests::admin::{NewTopic, delete_topic};
use trilog_tests::cluster::shared;
use trilog_tests::group::consumer::{ConsumerMember, beat_until, settle};
use trilog_tests::group::offsets::Commit;
use trilog_tests::requests::{error, only, topic_name};
use trilog_tests::waiting::wait_until;

#[tokio::test]
async fn offsets_go_with_their_topic() {
    let cluster = shared().await;
    for topic in ["offsets-go", "offsets-stay"] {
        cluster.new_partition(topic).await;
    }
    let mut groups = Vec::new();
    for number in 0..5 {
        let group = cluster.group(&format!("offsets-go-{number}")).await;
        for topic in ["offsets-go", "offsets-stay"] {
            assert_eq!(group.commit(&Commit::outside(topic, 0, number)).await, None);
        }
        groups.push(group);
    }
    assert_eq!(error(delete_topic(&cluster.connect_any().await, "offsets-go").await), None);
    for (number, group) in (0..).zip(&groups) {
        let wanted = [("offsets-stay".to_owned(), 0, number)];
        wait_until("the topic's offsets are gone", async || (group.offsets().await == wanted).then_some(()))
            .await;
    }
    // Another topic of that name begins without.
    wait_until("the name is free", async || {
        let answer = NewTopic::new("offsets-go").try_create(&cluster.connect_any().await).await;
        error(answer.error_code).is_none().then_some(())
    })
    .await;
    cluster.wait_shown("offsets-go").await;
    for group in &groups {
        assert_eq!(group.offset("offsets-go", 0).await, -1);
        assert_eq!(group.commit(&Commit::outside("offsets-go", 0, 77)).await, None);
        assert_eq!(group.offset("offsets-go", 0).await, 77);
    }
}

#[tokio::test]
async fn new_partitions_are_assigned() {
    let cluster = shared().await;
    let topic = cluster.create(NewTopic::new("group-grows").partitions(2)).await;
    cluster.wait_shown("group-grows").await;
    let group = cluster.group("group-grows").await;
    let mut members = [
        ConsumerMember::new(&group, &["group-grows"]).await,
        ConsumerMember::new(&group, &["group-grows"]).await,
    ];
    settle(&mut members, &[1, 1]).await;
    let grown = CreatePartitionsTopic::default().with_name(topic_name("group-grows")).with_count(6);
    let request = CreatePartitionsRequest::default()
        .with_timeout_ms(30_000)
        .with_topics(vec![grown.with_assignments(None)]);
    let answer = cluster.connect_any().await.request(request).await.unwrap();
    assert_eq!(error(only(answer.results).error_code), None);
    settle(&mut members, &[3, 3]).await;
    let mut all = members.iter().flat_map(|member| member.owned_of(topic)).collect::<Vec<_>>();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_topic_that_is_subscribed_to_before_it_exists_is_assigned_when_it_does() {
    let cluster = shared().await;
    let group = cluster.group("group-early").await;
    let mut members = [ConsumerMember::new(&group, &["group-early"]).await];
    settle(&mut members, &[0]).await;
    let topic = cluster.create(NewTopic::new("group-early").partitions(3)).await;
    settle(&mut members, &[3]).await;
    assert_eq!(members[0].owned_of(topic), [0, 1, 2]);
}

#[tokio::test]
async fn a_deleted_topic_is_taken_away() {
    let cluster = shared().await;
    for topic in ["group-keeps", "group-loses"] {
        cluster.create(NewTopic::new(topic).partitions(2)).await;
        cluster.wait_shown(topic).await;
    }
    let group = cluster.group("group-loses").await;
    let mut members = [ConsumerMember::new(&group, &["group-keeps", "group-loses"]).await];
    settle(&mut members, &[4]).await;
    assert_eq!(error(delete_topic(&cluster.connect_any().await, "group-loses").await), None);
    settle(&mut members, &[2]).await;
}

#[tokio::test]
async fn topics_that_match_a_pattern_are_assigned() {
    let cluster = shared().await;
    for topic in ["pattern-a1", "pattern-b1", "other-pattern-a1"] {
        cluster.create(NewTopic::new(topic).partitions(1)).await;
        cluster.wait_shown(topic).await;
    }
    let group = cluster.group("pattern").await;
    let mut members = [ConsumerMember::new(&group, &[]).await.regex("pattern-(a|c)[0-9]+")];
    settle(&mut members, &[1]).await;
    // The pattern is about the whole name, and about names to come.
    let later = cluster.create(NewTopic::new("pattern-c22").partitions(2)).await;
    beat_until("the new topic is assigned", &mut members, |members| members[0].owned_of(later) == [0, 1])
        .await;
    assert_eq!(members[0].count(), 3);
    // Another pattern, and none.
    members[0].regex = Some("pattern-b.*".to_owned());
    settle(&mut members, &[1]).await;
    members[0].regex = Some(String::new());
    settle(&mut members, &[0]).await;
}
