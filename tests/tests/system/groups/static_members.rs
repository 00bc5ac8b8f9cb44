//! Static members (KIP-345): a restart moves nothing, and there is one holder of a name.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::JoinGroupRequest;
use trilog_tests::cluster::{SharedCluster, shared};
use trilog_tests::group::Group;
use trilog_tests::group::classic::{ClassicMember, form, part_of, rebalance};
use trilog_tests::group::embedded::subscription;
use trilog_tests::group::offsets::Commit;
use trilog_tests::requests::{error, served};

/// The first version that tells static members by name.
const NAMED: i16 = 5;

/// A settled group of two static members, `one` who leads and `two`.
async fn two(cluster: &SharedCluster, name: &str, level: i16) -> (Group, [ClassicMember; 2]) {
    let group = cluster.group(name).await;
    let new = async |instance: &str| ClassicMember::new(&group).await.named(instance).level(level);
    let mut members = [new("one").await, new("two").await];
    form(&mut members).await;
    (group, members)
}

#[tokio::test]
async fn a_restart_moves_nothing_in_every_version() {
    let cluster = shared().await;
    let levels = served::<JoinGroupRequest>(&cluster.connect(1).await);
    for level in levels.filter(|level| *level >= NAMED) {
        let (group, [one, two]) = two(&cluster, &format!("static-v{level}"), level).await;
        let mut again = ClassicMember::new(&group).await.named("two").level(level);
        again.join().await;
        assert_eq!(again.generation, two.generation, "version {level}");
        assert_ne!(again.id, two.id, "version {level}");
        let part = again.try_sync(&[]).await.assignment;
        assert_eq!(part, part_of(&two.id, two.generation), "version {level}");
        assert_eq!(one.heartbeat().await, None, "version {level}: the other is not disturbed");
        assert_eq!(again.heartbeat().await, None, "version {level}");
        let names = group.describe().await.members;
        assert_eq!(names.len(), 2, "version {level}: {names:?}");
    }
}

#[tokio::test]
async fn a_leaders_restart_moves_nothing_either() {
    let cluster = shared().await;
    let levels = served::<JoinGroupRequest>(&cluster.connect(1).await);
    for level in levels.filter(|level| *level >= NAMED) {
        let (group, [one, two]) = two(&cluster, &format!("static-leader-v{level}"), level).await;
        assert!(one.leads());
        let again = ClassicMember::new(&group).await.named("one").level(level);
        let answer = again.try_join().await;
        assert_eq!(error(answer.error_code), None, "version {level}");
        assert_eq!(answer.generation_id, one.generation, "version {level}");
        if level >= 9 {
            // It leads and is told whom, yet is to leave the assignment as it is (KIP-814).
            assert_eq!(answer.leader, answer.member_id, "version {level}");
            assert_eq!((answer.skip_assignment, answer.members.len()), (true, 2), "version {level}");
        } else {
            // It must not take itself for the leader, who would assign.
            assert_ne!(answer.leader, answer.member_id, "version {level}");
            assert!(answer.members.is_empty(), "version {level}");
        }
        assert_eq!(two.heartbeat().await, None, "version {level}: the other is not disturbed");
    }
}

#[tokio::test]
async fn whoever_held_the_name_before_is_fenced() {
    let cluster = shared().await;
    cluster.new_partition("static-fenced").await;
    let (group, [_, old]) = two(&cluster, "static-fenced", i16::MAX).await;
    let mut new = ClassicMember::new(&group).await.named("two");
    new.join().await;
    let fenced = Some(ResponseError::FencedInstanceId);
    assert_eq!(old.heartbeat().await, fenced);
    assert_eq!(error(old.try_sync(&[]).await.error_code), fenced);
    assert_eq!(error(old.try_join().await.error_code), fenced);
    assert_eq!(old.leave().await, fenced);
    let commit = |member: &ClassicMember| {
        let commit = Commit::outside("static-fenced", 0, 7).by(&member.id, member.generation);
        Commit { instance: member.instance.clone(), ..commit }
    };
    assert_eq!(group.commit(&commit(&old)).await, fenced);
    assert_eq!(group.commit(&commit(&new)).await, None);
    assert_eq!(new.heartbeat().await, None);
}

#[tokio::test]
async fn a_joins_second_holder_takes_the_first_ones_place() {
    let cluster = shared().await;
    let (group, [mut one, two]) = two(&cluster, "static-joining", i16::MAX).await;
    // A third one makes them all join again, and `two` is started a second time while its first self waits.
    let mut three = ClassicMember::new(&group).await.named("three");
    let third = three.start_join().await;
    two.hears_of_rebalance().await;
    let first = two.clone().start_join().await;
    let mut second_two = ClassicMember::new(&group).await.named("two");
    let second = second_two.start_join().await;
    let refused = first.answer().await.unwrap();
    assert_eq!(error(refused.error_code), Some(ResponseError::FencedInstanceId));
    one.hears_of_rebalance().await;
    let leading = one.start_join().await;
    let joined = one.finish_join(leading).await;
    second_two.finish_join(second).await;
    three.finish_join(third).await;
    let mut names =
        joined.members.iter().map(|row| row.group_instance_id.as_deref().unwrap()).collect::<Vec<_>>();
    names.sort_unstable();
    assert_eq!(names, ["one", "three", "two"]);
}

/// A settled group of two that support `range` and `sticky` and subscribe to `old-topic`, and the second of them come back
/// with other protocols.
async fn comes_back(
    cluster: &SharedCluster,
    name: &str,
    protocols: &[(&str, &[u8])],
) -> ([ClassicMember; 2], ClassicMember) {
    let group = cluster.group(name).await;
    let old = subscription(&["old-topic"], &[]);
    let new = async |instance: &str| {
        let member = ClassicMember::new(&group).await.named(instance);
        member.protocols(&[("range", &old), ("sticky", &old)])
    };
    let mut members = [new("one").await, new("two").await];
    form(&mut members).await;
    (members, new("two").await.protocols(protocols))
}

#[tokio::test]
async fn owning_something_else_is_not_worth_a_rebalance() {
    let cluster = shared().await;
    // What a member tells differs each time it joins: there is in it what it owns.
    let said = subscription(&["old-topic"], &[("old-topic".to_owned(), 0)]);
    let protocols: [(&str, &[u8]); 2] = [("range", &said), ("sticky", &said)];
    let ([one, two], mut again) = comes_back(&cluster, "static-owning", &protocols).await;
    again.join().await;
    assert_eq!(again.generation, two.generation);
    assert_eq!(one.heartbeat().await, None);
}

#[tokio::test]
async fn another_protocol_is_worth_a_rebalance() {
    let cluster = shared().await;
    let said = subscription(&["old-topic"], &[]);
    let ([mut one, two], mut again) = comes_back(&cluster, "static-protocol", &[("sticky", &said)]).await;
    let joining = again.start_join().await;
    one.hears_of_rebalance().await;
    one.join().await;
    again.finish_join(joining).await;
    assert_eq!([one.generation, again.generation], [two.generation + 1; 2]);
    assert_eq!([one.protocol, again.protocol], ["sticky", "sticky"]);
}

/// Apache Kafka looks at the protocol alone, and leaves such a member without its new topics until something else happens.
#[tokio::test]
async fn other_topics_are_worth_a_rebalance() {
    let cluster = shared().await;
    let said = subscription(&["new-topic"], &[]);
    let protocols: [(&str, &[u8]); 2] = [("range", &said), ("sticky", &said)];
    let ([mut one, two], mut again) = comes_back(&cluster, "static-topics", &protocols).await;
    let joining = again.start_join().await;
    one.hears_of_rebalance().await;
    let joined = one.join().await;
    again.finish_join(joining).await;
    assert_eq!([one.generation, again.generation], [two.generation + 1; 2]);
    let told = joined.members.iter().find(|row| *row.member_id == *again.id).unwrap();
    assert_eq!(told.metadata, said);
}

#[tokio::test]
async fn an_administrator_puts_one_out_by_name() {
    let cluster = shared().await;
    let (group, [mut one, two]) = two(&cluster, "static-put-out", i16::MAX).await;
    let mut administrator = ClassicMember::new(&group).await.named("nobody");
    assert_eq!(administrator.leave().await, Some(ResponseError::UnknownMemberId));
    administrator.instance = Some("two".to_owned());
    assert_eq!(administrator.leave().await, None);
    assert_eq!(two.heartbeat().await, Some(ResponseError::UnknownMemberId));
    one.hears_of_rebalance().await;
    rebalance(std::slice::from_mut(&mut one)).await;
    assert_eq!(group.describe().await.members.len(), 1);
}

#[tokio::test]
async fn one_that_stays_away_is_put_out() {
    let cluster = shared().await;
    let group = cluster.group("static-away").await;
    let mut members =
        [ClassicMember::new(&group).await.named("stays"), ClassicMember::new(&group).await.named("goes")];
    members[1].session_timeout_ms = 1000;
    form(&mut members).await;
    members[0].hears_of_rebalance().await;
    rebalance(&mut members[..1]).await;
    let described = group.describe().await;
    assert_eq!(described.members.len(), 1);
    assert_eq!(described.members[0].group_instance_id.as_deref(), Some("stays"));
}
