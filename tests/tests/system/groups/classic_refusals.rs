//! What the classic protocol refuses, and how.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::OffsetCommitRequest;
use trilog_tests::cluster::{SharedCluster, shared};
use trilog_tests::group::classic::{ClassicMember, form};
use trilog_tests::group::offsets::{Commit, committed};
use trilog_tests::requests::{error, served};

/// A member of a group of its own, which is settled.
async fn alone(cluster: &SharedCluster, name: &str) -> ClassicMember {
    let mut member = ClassicMember::new(&cluster.group(name).await).await;
    form(std::slice::from_mut(&mut member)).await;
    member
}

#[tokio::test]
async fn a_member_that_nobody_knows() {
    let cluster = shared().await;
    cluster.new_partition("unknown-member").await;
    let member = alone(&cluster, "unknown-member").await;
    let mut group = cluster.group("unknown-member").await;
    let unknown = Some(ResponseError::UnknownMemberId);
    // Neither in a group that is there, nor in one that is not.
    for name in ["unknown-member", "unknown-member-and-group"] {
        group = cluster.group(name).await;
        let mut stranger = ClassicMember::new(&group).await;
        stranger.id = "stranger".to_owned();
        stranger.generation = member.generation;
        assert_eq!(error(stranger.try_join().await.error_code), unknown, "{name}");
        assert_eq!(error(stranger.try_sync(&[]).await.error_code), unknown, "{name}");
        assert_eq!(stranger.heartbeat().await, unknown, "{name}");
        assert_eq!(stranger.leave().await, unknown, "{name}");
    }
    // Who says that there is a generation is told that there is none, or, where there is a word for it, no group.
    let commit = Commit::outside("unknown-member", 0, 1);
    for version in served::<OffsetCommitRequest>(&group.connection) {
        let request = commit.clone().by("stranger", 1).request(&group.name, version);
        let answer = group.connection.request_at_version(request, version).await.unwrap();
        let wanted = match version {
            9.. => ResponseError::GroupIdNotFound,
            _ => ResponseError::IllegalGeneration,
        };
        assert_eq!(committed(answer), Some(wanted), "version {version}");
    }
    let group = cluster.group("unknown-member").await;
    assert_eq!(group.commit(&commit.clone().by("stranger", member.generation)).await, unknown);
    assert_eq!(group.commit(&commit).await, unknown, "a group with members takes no offsets from outside");
    assert_eq!(group.offsets().await, []);
    assert_eq!(member.heartbeat().await, None, "the member is not touched");
}

#[tokio::test]
async fn another_generation() {
    let cluster = shared().await;
    cluster.new_partition("other-generation").await;
    let member = alone(&cluster, "other-generation").await;
    let group = cluster.group("other-generation").await;
    let illegal = Some(ResponseError::IllegalGeneration);
    for generation in [member.generation - 1, member.generation + 1, i32::MAX] {
        let mut confused = member.clone();
        confused.generation = generation;
        assert_eq!(error(confused.try_sync(&[]).await.error_code), illegal, "{generation}");
        assert_eq!(confused.heartbeat().await, illegal, "{generation}");
        let commit = Commit::outside("other-generation", 0, 1).by(&member.id, generation);
        assert_eq!(group.commit(&commit).await, illegal, "{generation}");
    }
    assert_eq!(member.heartbeat().await, None);
}

#[tokio::test]
async fn a_rebalance_is_told_whatever_one_asks() {
    let cluster = shared().await;
    let group = cluster.group("told-of-rebalance").await;
    let mut member = alone(&cluster, "told-of-rebalance").await;
    let mut newcomer = ClassicMember::new(&group).await;
    let joining = newcomer.start_join().await;
    member.hears_of_rebalance().await;
    let rebalance = Some(ResponseError::RebalanceInProgress);
    assert_eq!(error(member.try_sync(&[]).await.error_code), rebalance);
    assert_eq!(member.heartbeat().await, rebalance);
    member.join().await;
    newcomer.finish_join(joining).await;
    assert_eq!(newcomer.generation, member.generation);
}

#[tokio::test]
async fn sessions_outside_the_bounds() {
    let cluster = shared().await;
    let group = cluster.group("session-bounds").await;
    for timeout in [-1, 0, 499, 1_800_001, i32::MAX] {
        let mut member = ClassicMember::new(&group).await;
        member.session_timeout_ms = timeout;
        let code = error(member.try_join().await.error_code);
        assert_eq!(code, Some(ResponseError::InvalidSessionTimeout), "{timeout} ms");
    }
    for timeout in [500, 1_800_000] {
        let mut member = ClassicMember::new(&group).await;
        member.session_timeout_ms = timeout;
        member.join().await;
        assert_eq!(member.leave().await, None);
    }
}

#[tokio::test]
async fn protocols_that_do_not_go_together() {
    let cluster = shared().await;
    let inconsistent = Some(ResponseError::InconsistentGroupProtocol);
    let group = cluster.group("no-protocols").await;
    let mut member = ClassicMember::new(&group).await.protocols(&[]);
    assert_eq!(error(member.try_join().await.error_code), inconsistent, "none at all");
    member = ClassicMember::new(&group).await.kind("");
    assert_eq!(error(member.try_join().await.error_code), inconsistent, "of no type");

    let settled = alone(&cluster, "other-protocols").await;
    let group = cluster.group("other-protocols").await;
    let other = ClassicMember::new(&group).await.protocols(&[("sticky", b"")]);
    assert_eq!(error(other.try_join().await.error_code), inconsistent, "no protocol in common");
    let other = ClassicMember::new(&group).await.kind("connect");
    assert_eq!(error(other.try_join().await.error_code), inconsistent, "another type");

    let mut confused = settled.clone().kind("connect");
    assert_eq!(error(confused.try_sync(&[]).await.error_code), inconsistent);
    confused.clone_from(&settled);
    confused.protocol = "sticky".to_owned();
    assert_eq!(error(confused.try_sync(&[]).await.error_code), inconsistent);
    assert_eq!(settled.heartbeat().await, None, "the member is not touched");
}

#[tokio::test]
async fn a_followers_assignment_counts_for_nothing() {
    let cluster = shared().await;
    let group = cluster.group("forged").await;
    let mut members = [ClassicMember::new(&group).await, ClassicMember::new(&group).await];
    form(&mut members).await;
    let [leader, follower] = members;
    let part = follower.try_sync(&[]).await.assignment;
    let forged = [&leader, &follower].map(|member| (member.id.clone(), Bytes::from_static(b"forged")));
    let answer = follower.try_sync(&forged).await;
    assert_eq!((error(answer.error_code), &answer.assignment), (None, &part));
    assert_ne!(leader.try_sync(&[]).await.assignment, "forged");
    // Settled, not even the leader changes anything: that takes a rebalance.
    leader.try_sync(&forged).await;
    assert_eq!(follower.try_sync(&[]).await.assignment, part);
}

#[tokio::test]
async fn metadata_that_is_too_long() {
    let cluster = shared().await;
    cluster.new_partition("long-metadata").await;
    let group = cluster.group("long-metadata").await;
    let commit =
        |length: usize| Commit::outside("long-metadata", 0, 1).metadata(Some("x".repeat(length).as_str()));
    let refused = group.commit(&commit(4097)).await;
    assert_eq!(refused, Some(ResponseError::OffsetMetadataTooLarge));
    assert_eq!(group.offset("long-metadata", 0).await, -1);
    assert_eq!(group.commit(&commit(4096)).await, None);
    assert_eq!(group.offset("long-metadata", 0).await, 1);
}
