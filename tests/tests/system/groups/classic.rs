//! The classic protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::{JoinGroupRequest, LeaveGroupRequest};
use trilog_tests::cluster::{SharedCluster, shared};
use trilog_tests::group::Group;
use trilog_tests::group::classic::{ClassicMember, form, part_of, rebalance};
use trilog_tests::group::embedded::{read_subscription, subscription};
use trilog_tests::group::offsets::Commit;
use trilog_tests::requests::{error, group_id, served, text};

/// A session that may run out in a test. Members that are to live heartbeat far more often.
const SHORT_MS: i32 = 1000;

async fn members<const N: usize>(group: &Group) -> [ClassicMember; N] {
    let mut members = Vec::new();
    for _ in 0..N {
        members.push(ClassicMember::new(group).await);
    }
    members.try_into().expect("as many as wanted")
}

async fn group_of<const N: usize>(cluster: &SharedCluster, name: &str) -> (Group, [ClassicMember; N]) {
    let group = cluster.group(name).await;
    let mut members = members(&group).await;
    form(&mut members).await;
    (group, members)
}

#[tokio::test]
async fn two_members_join_and_leave_in_every_version() {
    let cluster = shared().await;
    let levels = served::<JoinGroupRequest>(&cluster.connect(1).await);
    for level in levels {
        let group = cluster.group(&format!("classic-v{level}")).await;
        let mut members = members::<2>(&group).await.map(|member| member.level(level));
        form(&mut members).await;
        let generation = members[0].generation;
        for member in &members {
            assert_eq!(member.heartbeat().await, None, "version {level}");
        }
        assert_eq!(members[1].leave().await, None, "version {level}");
        members[0].hears_of_rebalance().await;
        rebalance(&mut members[..1]).await;
        assert!(members[0].generation > generation, "version {level}");
        assert_eq!(members[0].leave().await, None, "version {level}");
        group.wait_state("Empty").await;
    }
}

#[tokio::test]
async fn the_answer_tells_protocol_leader_and_members() {
    let cluster = shared().await;
    for level in served::<JoinGroupRequest>(&cluster.connect(1).await) {
        let group = cluster.group(&format!("told-v{level}")).await;
        let protocols: [(&str, &[u8]); 2] = [("sticky", b"all of it"), ("range", b"\x00\xff")];
        let new = ClassicMember::new(&group).await.level(level);
        let mut member = new.kind("connect").protocols(&protocols);
        let joined = member.join().await;
        assert_eq!(joined.protocol_name.as_deref(), Some("sticky"), "version {level}");
        assert_eq!(joined.protocol_type.as_deref(), (level >= 7).then_some("connect"), "version {level}");
        assert_eq!((joined.generation_id, joined.leader), (1, joined.member_id.clone()), "version {level}");
        assert_eq!(joined.members.len(), 1, "version {level}");
        assert_eq!(joined.members[0].member_id, joined.member_id, "version {level}");
        assert_eq!(joined.members[0].metadata, Bytes::from_static(b"all of it"), "version {level}");
        assert!(!joined.skip_assignment, "version {level}");
    }
}

#[tokio::test]
async fn a_member_is_given_an_id_and_comes_back_with_it() {
    let cluster = shared().await;
    for level in served::<JoinGroupRequest>(&cluster.connect(1).await) {
        let group = cluster.group(&format!("id-required-v{level}")).await;
        let mut member = ClassicMember::new(&group).await.level(level);
        let answer = member.try_join().await;
        if level < 4 {
            assert_eq!(error(answer.error_code), None, "version {level}");
        } else {
            assert_eq!(error(answer.error_code), Some(ResponseError::MemberIdRequired), "version {level}");
            member.id = answer.member_id.to_string();
            member.join().await;
        }
        assert!(answer.member_id.starts_with("trilog-tests-"), "it begins with the client's id");
    }
}

#[tokio::test]
async fn the_protocol_is_voted_for() {
    let cluster = shared().await;
    let group = cluster.group("vote").await;
    let [one, two, three] = members(&group).await.map(|member| member.kind("connect"));
    let mut members = [
        one.protocols(&[("sticky", b"s1"), ("range", b"r1"), ("own", b"")]),
        two.protocols(&[("range", b"r2"), ("sticky", b"s2")]),
        three.protocols(&[("own", b""), ("range", b"r3"), ("sticky", b"s3")]),
    ];
    form(&mut members).await;
    // All three support two of them; of these two prefer range.
    let described = group.describe().await;
    assert_eq!(&*described.protocol_data, "range");
    let mut told = described.members.iter().map(|row| row.member_metadata.clone()).collect::<Vec<_>>();
    told.sort();
    assert_eq!(told, ["r1", "r2", "r3"]);
}

#[tokio::test]
async fn followers_wait_for_what_the_leader_brings() {
    let cluster = shared().await;
    let group = cluster.group("waiting-to-sync").await;
    let [mut leader, mut follower] = members(&group).await;
    form(std::slice::from_mut(&mut leader)).await;
    let joining = follower.start_join().await;
    leader.hears_of_rebalance().await;
    let joined = leader.join().await;
    follower.finish_join(joining).await;
    assert!(leader.leads());
    // What a follower brings along is ignored.
    let forged = [(leader.id.clone(), Bytes::from_static(b"forged"))];
    let waits = follower.start_sync(&forged).await;
    assert_eq!(leader.heartbeat().await, None, "nobody is disturbed while the leader assigns");
    let part = leader.sync(&joined).await;
    assert_eq!(part, part_of(&leader.id, leader.generation));
    let part = waits.answer().await.unwrap().assignment;
    assert_eq!(part, part_of(&follower.id, follower.generation));
    let later = follower.try_sync(&forged).await;
    assert_eq!(later.assignment, part, "it can be asked for again");
    let later = leader.try_sync(&[]).await;
    assert_eq!(later.assignment, part_of(&leader.id, leader.generation), "by the leader too");
}

#[tokio::test]
async fn whoever_is_given_nothing_gets_nothing() {
    let cluster = shared().await;
    let group = cluster.group("idle").await;
    let [mut leader, mut idle] = members(&group).await;
    form(std::slice::from_mut(&mut leader)).await;
    let joining = idle.start_join().await;
    leader.hears_of_rebalance().await;
    leader.join().await;
    idle.finish_join(joining).await;
    let mine = [(leader.id.clone(), Bytes::from_static(b"everything"))];
    assert_eq!(leader.try_sync(&mine).await.assignment, "everything");
    let answer = idle.try_sync(&[]).await;
    assert_eq!((error(answer.error_code), answer.assignment.len()), (None, 0));
}

#[tokio::test]
async fn joining_again_disturbs_nobody_unless_something_has_changed() {
    let cluster = shared().await;
    let (_, [mut leader, mut follower]) = group_of(&cluster, "join-again").await;
    assert!(leader.leads());
    let generation = follower.generation;
    follower.join().await;
    assert_eq!(follower.generation, generation);
    assert_eq!(leader.heartbeat().await, None);
    follower.protocols[0].1 = subscription(&["something else"], &[]);
    let joining = follower.start_join().await;
    leader.hears_of_rebalance().await;
    let joined = leader.join().await;
    follower.finish_join(joining).await;
    assert!(follower.generation > generation);
    let told = joined.members.iter().find(|row| *row.member_id == *follower.id).unwrap();
    assert_eq!(read_subscription(&told.metadata), ["something else"]);
}

#[tokio::test]
async fn the_leader_joins_again_to_have_everybody_assigned_anew() {
    let cluster = shared().await;
    let (_, mut members) = group_of::<2>(&cluster, "leader-joins-again").await;
    let generation = members[0].generation;
    assert!(members[0].leads());
    let leading = members[0].start_join().await;
    members[1].hears_of_rebalance().await;
    let following = members[1].start_join().await;
    members[0].finish_join(leading).await;
    members[1].finish_join(following).await;
    assert!(members.iter().all(|member| member.generation == generation + 1));
}

#[tokio::test]
async fn a_member_that_falls_silent_is_put_out() {
    let cluster = shared().await;
    let group = cluster.group("silent").await;
    let mut members = members::<2>(&group).await;
    members[1].session_timeout_ms = SHORT_MS;
    form(&mut members).await;
    members[0].hears_of_rebalance().await;
    rebalance(&mut members[..1]).await;
    assert_eq!(members[1].heartbeat().await, Some(ResponseError::UnknownMemberId));
    let answer = members[1].try_join().await;
    assert_eq!(error(answer.error_code), Some(ResponseError::UnknownMemberId));
}

#[tokio::test]
async fn a_rebalance_goes_on_without_those_who_do_not_come() {
    let cluster = shared().await;
    let group = cluster.group("late").await;
    let [mut late, mut newcomer] = members(&group).await;
    // Everybody is given the time that the slowest of them wants.
    late.rebalance_timeout_ms = SHORT_MS;
    newcomer.rebalance_timeout_ms = SHORT_MS;
    form(std::slice::from_mut(&mut late)).await;
    let joining = newcomer.start_join().await;
    // It lives, and hears that it ought to join, and does not.
    late.hears_of_rebalance().await;
    let joined = newcomer.finish_join(joining).await;
    assert_eq!(joined.members.len(), 1);
    assert_eq!(late.heartbeat().await, Some(ResponseError::UnknownMemberId));
}

#[tokio::test]
async fn commits_follow_the_state_of_the_group() {
    let cluster = shared().await;
    cluster.new_partition("commits-by-state").await;
    let (group, [mut leader, mut follower]) = group_of(&cluster, "commits-by-state").await;
    let commit = |member: &ClassicMember, offset| {
        Commit::outside("commits-by-state", 0, offset).by(&member.id, member.generation)
    };
    assert_eq!(group.commit(&commit(&follower, 1)).await, None, "while all is settled");
    let leading = leader.start_join().await;
    follower.hears_of_rebalance().await;
    assert_eq!(group.commit(&commit(&follower, 2)).await, None, "while it may still join");
    let following = follower.start_join().await;
    let joined = leader.finish_join(leading).await;
    follower.finish_join(following).await;
    let refused = group.commit(&commit(&follower, 3)).await;
    assert_eq!(refused, Some(ResponseError::RebalanceInProgress), "while it has no part");
    leader.sync(&joined).await;
    assert_eq!(group.offset("commits-by-state", 0).await, 2);
    assert_eq!(group.commit(&commit(&follower, 4)).await, None);
    assert_eq!(group.offset("commits-by-state", 0).await, 4);
}

#[tokio::test]
async fn several_leave_at_once() {
    let cluster = shared().await;
    let (group, members) = group_of::<3>(&cluster, "leave-together").await;
    let identity = |id: &str| MemberIdentity::default().with_member_id(text(id));
    let leaving = [members[1].id.as_str(), "nobody", members[2].id.as_str()];
    let request = LeaveGroupRequest::default()
        .with_group_id(group_id("leave-together"))
        .with_members(leaving.iter().map(|id| identity(id)).collect());
    let answer = group.connection.request(request).await.unwrap();
    assert_eq!(error(answer.error_code), None);
    let told = answer.members.iter().map(|row| (&*row.member_id, error(row.error_code))).collect::<Vec<_>>();
    let unknown = Some(ResponseError::UnknownMemberId);
    assert_eq!(told, [(leaving[0], None), (leaving[1], unknown), (leaving[2], None)]);
    members[0].hears_of_rebalance().await;
    assert_eq!(group.describe().await.members.len(), 1);
}
