//! What the consumer protocol (KIP-848) refuses, and how.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, OffsetCommitRequest};
use trilog_tests::admin::NewTopic;
use trilog_tests::cluster::{SharedCluster, shared};
use trilog_tests::group::Group;
use trilog_tests::group::consumer::{ConsumerMember, LEAVES, beat_until, settle};
use trilog_tests::group::offsets::{Commit, committed};
use trilog_tests::requests::{error, group_id, served, text};

/// A settled group of one member, and a topic of the same name with two partitions.
async fn alone(cluster: &SharedCluster, name: &str) -> (Group, ConsumerMember) {
    cluster.create(NewTopic::new(name).partitions(2)).await;
    cluster.wait_shown(name).await;
    let group = cluster.group(name).await;
    let mut member = ConsumerMember::new(&group, &[name]).await;
    settle(std::slice::from_mut(&mut member), &[2]).await;
    (group, member)
}

/// The error of a heartbeat, which must come with a sentence.
async fn refusal(group: &Group, request: ConsumerGroupHeartbeatRequest) -> ResponseError {
    let answer = group.connection.request(request.clone()).await.unwrap();
    let code = error(answer.error_code).unwrap_or_else(|| panic!("{request:?} ought to be refused"));
    assert!(answer.error_message.is_some_and(|message| !message.is_empty()), "{code:?}: a reason is told");
    code
}

#[tokio::test]
async fn members_and_groups_that_nobody_knows() {
    let cluster = shared().await;
    let (group, member) = alone(&cluster, "consumer-unknown").await;
    let request = member.request().with_member_id(text("stranger"));
    assert_eq!(refusal(&group, request).await, ResponseError::UnknownMemberId);
    let request = member.request().with_member_id(text("stranger")).with_member_epoch(LEAVES);
    assert_eq!(refusal(&group, request).await, ResponseError::UnknownMemberId);
    let nowhere = cluster.group("consumer-unknown-group").await;
    let request = ConsumerMember { group: nowhere.name.clone(), ..member.clone() }.request();
    assert_eq!(refusal(&nowhere, request).await, ResponseError::GroupIdNotFound);
}

#[tokio::test]
async fn epochs_that_the_member_is_not_in() {
    let cluster = shared().await;
    let (group, mut member) = alone(&cluster, "consumer-epochs").await;
    let first = member.request();
    for topics in [["consumer-epochs", "consumer-epochs-missing"].as_slice(), &["consumer-epochs"]] {
        let before = member.epoch;
        member.topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        beat_until("a change is an epoch of its own", std::slice::from_mut(&mut member), |members| {
            members[0].epoch > before && members[0].count() == 2
        })
        .await;
    }
    let ahead = member.request().with_member_epoch(member.epoch + 1);
    for request in [ahead, first] {
        assert_eq!(refusal(&group, request).await, ResponseError::FencedMemberEpoch);
    }
    // Nobody is put out for what somebody says in its name.
    member.heartbeat().await;
}

#[tokio::test]
async fn requests_that_contradict_themselves() {
    let cluster = shared().await;
    let (group, member) = alone(&cluster, "consumer-invalid").await;
    let mut new = ConsumerMember::new(&group, &["consumer-invalid"]).await;
    let joins = new.request();
    new.owned = member.owned.clone();
    for (what, request) in [
        ("no member id", joins.clone().with_member_id(text(""))),
        ("no group", joins.clone().with_group_id(group_id(""))),
        ("no rebalance timeout", joins.clone().with_rebalance_timeout_ms(-1)),
        ("no subscription", joins.clone().with_subscribed_topic_names(None)),
        ("owns partitions already", new.request()),
        ("owned partitions untold", joins.clone().with_topic_partitions(None)),
        ("an empty name", joins.clone().with_instance_id(Some(text("")))),
        ("an epoch that means nothing", joins.clone().with_member_epoch(-3)),
        ("a name is needed to come back", joins.clone().with_member_epoch(-2)),
    ] {
        assert_eq!(refusal(&group, request).await, ResponseError::InvalidRequest, "{what}");
    }
    let request = joins.clone().with_server_assignor(Some(text("own")));
    assert_eq!(refusal(&group, request).await, ResponseError::UnsupportedAssignor);
    let request = joins.with_subscribed_topic_regex(Some(text("(")));
    assert_eq!(refusal(&group, request).await, ResponseError::InvalidRegularExpression);
    assert_eq!(group.describe_consumer().await.members.len(), 1, "nobody was let in");
}

#[tokio::test]
async fn a_name_that_somebody_holds() {
    let cluster = shared().await;
    let (group, _) = alone(&cluster, "consumer-held").await;
    let mut first = ConsumerMember::new(&group, &["consumer-held"]).await.named("held");
    first.heartbeat().await;
    let second = ConsumerMember::new(&group, &["consumer-held"]).await.named("held");
    assert_eq!(refusal(&group, second.request()).await, ResponseError::UnreleasedInstanceId);
    let mut confused = second.clone();
    confused.epoch = first.epoch;
    assert_eq!(refusal(&group, confused.request()).await, ResponseError::FencedInstanceId);
    confused.instance = Some("unheard of".to_owned());
    assert_eq!(refusal(&group, confused.request()).await, ResponseError::UnknownMemberId);
}

#[tokio::test]
async fn commits_of_others() {
    let cluster = shared().await;
    let (group, member) = alone(&cluster, "consumer-commits").await;
    let commit = Commit::outside("consumer-commits", 0, 1);
    let unknown = Some(ResponseError::UnknownMemberId);
    assert_eq!(group.commit(&commit).await, unknown, "a group with members takes nothing from outside");
    assert_eq!(group.commit(&commit.clone().by("stranger", member.epoch)).await, unknown);
    let ahead = commit.clone().by(&member.id, member.epoch + 1);
    for version in served::<OffsetCommitRequest>(&group.connection) {
        let request = ahead.request(&group.name, version);
        let answer = group.connection.request_at_version(request, version).await.unwrap();
        // Only from version 9 on there is a word for it.
        let wanted = match version {
            9.. => ResponseError::StaleMemberEpoch,
            _ => ResponseError::UnsupportedVersion,
        };
        assert_eq!(committed(answer), Some(wanted), "version {version}");
    }
    assert_eq!(group.offsets().await, []);
}
