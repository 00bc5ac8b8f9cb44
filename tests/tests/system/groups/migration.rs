//! Groups and members of different protocols: refused where that cannot be, converted where it can.

use kafka_protocol::ResponseError;
use trilog_tests::admin::NewTopic;
use trilog_tests::cluster::shared;
use trilog_tests::group::Group;
use trilog_tests::group::classic::{ClassicMember, form};
use trilog_tests::group::consumer::{ConsumerMember, LEAVES, settle};
use trilog_tests::group::embedded::{assignment, read_assignment, subscription};
use trilog_tests::group::librdkafka::Place;
use trilog_tests::group::offsets::Commit;
use trilog_tests::requests::error;
use trilog_tests::waiting::wait_until;
use uuid::Uuid;

#[tokio::test]
async fn a_consumer_cannot_join_what_is_no_group_of_consumers() {
    let cluster = shared().await;
    cluster.new_partition("migration-connect").await;
    let group = cluster.group("migration-connect").await;
    let mut worker = ClassicMember::new(&group).await.kind("connect");
    form(std::slice::from_mut(&mut worker)).await;
    let consumer = ConsumerMember::new(&group, &["migration-connect"]).await;
    let answer = consumer.try_heartbeat().await.unwrap();
    assert_eq!(error(answer.error_code), Some(ResponseError::GroupIdNotFound));
    assert_eq!(worker.heartbeat().await, None, "nobody is disturbed");
    let told = group.describe_consumer().await;
    assert_eq!(error(told.error_code), Some(ResponseError::GroupIdNotFound));
}

/// Apache Kafka never answers such a JoinGroup.
#[tokio::test]
async fn a_subscription_that_is_none_is_its_groups_business() {
    let cluster = shared().await;
    cluster.new_partition("migration-garbage").await;
    let all: [&[u8]; 6] =
        [b"", b"\x00", b"all topics", b"\x00\x03\x7f\xff\xff\xff", b"\x00\x00\xff\xff\xff\xff", &[0xff; 300]];
    for (number, garbage) in (0..).zip(all) {
        let group = cluster.group(&format!("migration-garbage-{number}")).await;
        let new = async || ClassicMember::new(&group).await.protocols(&[("range", garbage)]);
        let mut members = [new().await, new().await];
        form(&mut members).await;
        let commit = Commit::outside("migration-garbage", 0, number);
        assert_eq!(group.commit(&commit.by(&members[1].id, members[1].generation)).await, None);
        assert_eq!(group.describe().await.members[0].member_metadata, garbage);
        // Nobody who is to assign for it could.
        let consumer = ConsumerMember::new(&group, &["migration-garbage"]).await;
        let answer = consumer.try_heartbeat().await.unwrap();
        assert_eq!(error(answer.error_code), Some(ResponseError::GroupIdNotFound), "{garbage:?}");
        assert_eq!(members[0].heartbeat().await, None, "{garbage:?}: nobody is disturbed");
    }
    cluster.assert_alive();
}

#[tokio::test]
async fn a_classic_member_that_makes_no_sense_cannot_join_consumers() {
    let cluster = shared().await;
    cluster.new_partition("migration-refused").await;
    let group = cluster.group("migration-refused").await;
    let mut consumer = ConsumerMember::new(&group, &["migration-refused"]).await;
    settle(std::slice::from_mut(&mut consumer), &[1]).await;
    let mut worker = ClassicMember::new(&group).await.kind("connect");
    let code = error(worker.try_join().await.error_code);
    assert_eq!(code, Some(ResponseError::InconsistentGroupProtocol));
    worker.id = "stranger".to_owned();
    assert_eq!(worker.heartbeat().await, Some(ResponseError::UnknownMemberId));
    let answer = worker.try_sync(&[]).await;
    assert_eq!(error(answer.error_code), Some(ResponseError::UnknownMemberId));
    let told = group.describe().await;
    assert_eq!(error(told.error_code), Some(ResponseError::GroupIdNotFound));
    assert_eq!(&*told.group_state, "Dead");
    consumer.heartbeat().await;
}

#[tokio::test]
async fn an_empty_group_changes_its_protocol_and_keeps_its_offsets() {
    let cluster = shared().await;
    cluster.new_partition("migration-empty").await;
    let group = cluster.group("migration-empty").await;
    for round in 1..=2 {
        let mut classic = ClassicMember::new(&group).await;
        form(std::slice::from_mut(&mut classic)).await;
        assert_eq!(&*group.listed(&[], &[]).await.unwrap().group_type, "classic");
        let commit = Commit::outside("migration-empty", 0, round * 10);
        assert_eq!(group.commit(&commit.by(&classic.id, classic.generation)).await, None);
        assert_eq!(classic.leave().await, None);

        let mut consumer = ConsumerMember::new(&group, &["migration-empty"]).await;
        settle(std::slice::from_mut(&mut consumer), &[1]).await;
        assert_eq!(&*group.listed(&[], &[]).await.unwrap().group_type, "consumer");
        assert_eq!(group.offset("migration-empty", 0).await, round * 10);
        let commit = Commit::outside("migration-empty", 0, round * 10 + 1);
        assert_eq!(group.commit(&commit.by(&consumer.id, consumer.epoch)).await, None);
        consumer.leave(LEAVES).await;
        assert_eq!(group.offset("migration-empty", 0).await, round * 10 + 1);
    }
}

/// A classic member as a real client would be: it tells what it wants and owns, and reads its assignment.
struct Client {
    member: ClassicMember,
    topic: &'static str,
    owned: Vec<Place>,
}

impl Client {
    async fn new(group: &Group, topic: &'static str) -> Self {
        let mut client = Self { member: ClassicMember::new(group).await, topic, owned: Vec::new() };
        client.tell();
        client
    }

    fn tell(&mut self) {
        let said = subscription(&[self.topic], &self.owned);
        self.member.protocols = vec![("cooperative-sticky".to_owned(), said)];
    }

    /// One heartbeat; joins again and takes a new part if it is told to.
    async fn beat(&mut self) {
        match self.member.heartbeat().await {
            None => {}
            Some(ResponseError::RebalanceInProgress) => {
                self.tell();
                let joined = self.member.join().await;
                // In a group that the coordinator assigns nobody else is to.
                assert!(joined.members.len() <= 1, "{joined:?}");
                let answer = self.member.try_sync(&[]).await;
                assert_eq!(error(answer.error_code), None);
                self.owned = read_assignment(&answer.assignment);
            }
            Some(other) => panic!("{other:?} upon a heartbeat"),
        }
    }
}

fn places(topic: &str, id: Uuid, member: &ConsumerMember) -> Vec<Place> {
    member.owned_of(id).into_iter().map(|partition| (topic.to_owned(), partition)).collect()
}

#[tokio::test]
async fn a_live_group_is_upgraded_and_goes_back() {
    const TOPIC: &str = "migration-live";
    let cluster = shared().await;
    let id = cluster.create(NewTopic::new(TOPIC).partitions(4)).await;
    cluster.wait_shown(TOPIC).await;
    let group = cluster.group(TOPIC).await;
    let mut client = Client::new(&group, TOPIC).await;
    let joined = client.member.join().await;
    assert_eq!(joined.members.len(), 1);
    // It assigns itself everything, as the leader of a group of one does.
    let all = (0..4).map(|partition| (TOPIC.to_owned(), partition)).collect::<Vec<_>>();
    let part = assignment(&all);
    let answer = client.member.try_sync(&[(client.member.id.clone(), part)]).await;
    client.owned = read_assignment(&answer.assignment);
    assert_eq!(client.owned, all);
    let commit = Commit::outside(TOPIC, 0, 7).by(&client.member.id, client.member.generation);
    assert_eq!(group.commit(&commit).await, None);

    let mut consumer = ConsumerMember::new(&group, &[TOPIC]).await;
    wait_until("both own two partitions", async || {
        consumer.heartbeat().await;
        client.beat().await;
        let mut owned = [client.owned.clone(), places(TOPIC, id, &consumer)].concat();
        owned.sort();
        let unique = owned.windows(2).all(|pair| pair[0] != pair[1]);
        assert!(unique, "no partition has two owners: {owned:?}");
        (client.owned.len() == 2 && owned == all).then_some(())
    })
    .await;
    assert_eq!(&*group.listed(&[], &[]).await.unwrap().group_type, "consumer");
    let members = group.describe_consumer().await.members;
    let kinds = members.iter().map(|row| (row.member_id.to_string(), row.member_type));
    let wanted = [(client.member.id.clone(), 0), (consumer.id.clone(), 1)];
    assert!(wanted.iter().all(|row| kinds.clone().any(|told| told == *row)), "{members:?}");
    let commit = Commit::outside(TOPIC, 0, 8).by(&client.member.id, client.member.generation);
    assert_eq!(group.commit(&commit).await, None);

    // The last one that speaks the new protocol leaves, and those that are left are a classic group again.
    consumer.leave(LEAVES).await;
    client.member.hears_of_rebalance().await;
    client.tell();
    let joined = client.member.join().await;
    assert_eq!(joined.members.len(), 1, "it leads, and is to assign again");
    assert!(client.member.leads());
    assert_eq!(&*group.listed(&[], &[]).await.unwrap().group_type, "classic");
    let answer = client.member.try_sync(&[(client.member.id.clone(), assignment(&all))]).await;
    assert_eq!(read_assignment(&answer.assignment), all);
    assert_eq!(group.offset(TOPIC, 0).await, 8);
}
