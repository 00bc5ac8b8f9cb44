use std::collections::BTreeSet;
use std::time::Duration;

use uuid::Uuid;

use super::testing::{Client, GROUP, Stage};
use crate::coordinator::request::{
    CommitOffsets, CommitPartition, CommitTopic, GroupRequest, JoinGroup, JoinProtocol,
};
use crate::coordinator::{AssignorName, GroupErrorCode, GroupSettings, MemberEpoch};
use crate::ids::{Offset, PartitionIndex, Ticket};
use trilog_protocol::consumer_protocol::Subscription;

fn stage(topics: &[(&str, i32)]) -> Stage {
    Stage::new(GroupSettings::default(), topics)
}

/// Heartbeats of everybody until nobody hears anything new. How many rounds that took.
fn settle(stage: &mut Stage, clients: &mut [Client]) -> usize {
    for round in 1..=20 {
        let mut quiet = true;
        for client in clients.iter_mut() {
            let before = client.epoch;
            let answer = stage.heartbeat(client).unwrap();
            quiet &= answer.assignment.is_none() && !client.has_news && client.epoch == before;
        }
        if quiet && stage.describe().state == "Stable" {
            return round;
        }
    }
    panic!("the group does not settle: {:?}", stage.describe());
}

#[test]
fn a_heartbeat_that_changes_nothing_writes_nothing() {
    let mut stage = stage(&[("t", 6)]);
    let mut clients = [Client::new("a", &["t"]), Client::new("b", &["t"])];
    settle(&mut stage, &mut clients);
    let written = stage.written.len();
    for client in &mut clients {
        assert_eq!(stage.heartbeat(client).unwrap().assignment, None);
    }
    assert_eq!(stage.written.len(), written);
}

#[test]
fn a_new_member_takes_from_the_others_only_what_it_gets() {
    let mut stage = stage(&[("t", 6)]);
    let mut clients = vec![Client::new("a", &["t"]), Client::new("b", &["t"])];
    settle(&mut stage, &mut clients);
    let before: Vec<_> = clients.iter().map(|client| client.owned.clone()).collect();
    clients.push(Client::new("c", &["t"]));
    settle(&mut stage, &mut clients);
    for (client, before) in clients.iter().zip(before) {
        assert_eq!(client.owned.len(), 2);
        assert!(client.owned.is_subset(&before));
    }
}

#[test]
fn a_hundred_members_settle_in_few_heartbeats() {
    let mut stage = stage(&[("t", 300)]);
    let mut clients: Vec<Client> =
        (0..100).map(|number| Client::new(&format!("m{number}"), &["t"])).collect();
    assert!(settle(&mut stage, &mut clients) <= 6);
    assert!(clients.iter().all(|client| client.owned.len() == 3));
}

/// Plays clients that heartbeat when they are asked to, and at once when they have given something up or taken it. How
/// long it takes, from the first heartbeat of the next round, until nobody hears anything new.
fn time_to_settle(stage: &mut Stage, clients: &mut [Client], starts_apart: Duration) -> Duration {
    let beginning = stage.now;
    let mut agenda: BTreeSet<(Duration, usize)> = (0..clients.len())
        .map(|number| (beginning + starts_apart * number.try_into().unwrap(), number))
        .collect();
    let mut last_news = beginning;
    while let Some((at, number)) = agenda.pop_first()
        && at < last_news + Duration::from_secs(30)
    {
        stage.advance(at - stage.now);
        let before = clients[number].epoch;
        let answer = stage.heartbeat(&mut clients[number]).unwrap();
        if answer.assignment.is_some() || answer.epoch != before {
            last_news = at;
        }
        let interval = Duration::from_millis(answer.heartbeat_interval_ms.unsigned_abs().into());
        let next = if clients[number].has_news { Duration::from_millis(10) } else { interval };
        agenda.insert((at + next, number));
    }
    last_news - beginning
}

#[test]
fn a_fleet_is_settled_a_moment_after_the_last_one_has_joined() {
    let mut stage = stage(&[("t", 300)]);
    let mut clients: Vec<Client> =
        (0..100).map(|number| Client::new(&format!("m{number}"), &["t"])).collect();
    let took = time_to_settle(&mut stage, &mut clients, Duration::from_millis(10));
    assert!(took < Duration::from_secs(3), "{took:?}");
    let mut leaver = clients.pop().unwrap();
    leaver.epoch = MemberEpoch::LEAVE;
    stage.send(leaver.request()).unwrap();
    let took = time_to_settle(&mut stage, &mut clients, Duration::from_millis(50));
    assert!(took < Duration::from_secs(6), "{took:?}");
}

#[test]
fn members_of_a_group_that_moves_come_back_sooner() {
    let mut stage = stage(&[("t", 6)]);
    let mut clients = [Client::new("a", &["t"]), Client::new("b", &["t"])];
    assert_eq!(stage.heartbeat(&mut clients[0]).unwrap().heartbeat_interval_ms, 500);
    settle(&mut stage, &mut clients);
    stage.advance(Duration::from_secs(5));
    assert_eq!(stage.heartbeat(&mut clients[1]).unwrap().heartbeat_interval_ms, 5_000);
}

#[test]
fn a_lost_answer_is_forgiven_once_and_a_stranger_is_not() {
    let mut stage = stage(&[("t", 2)]);
    let mut a = Client::new("a", &["t"]);
    let mut b = Client::new("b", &["t"]);
    stage.heartbeat(&mut a).unwrap();
    stage.heartbeat(&mut b).unwrap();
    stage.heartbeat(&mut a).unwrap();
    // It has given up one partition, and the answer that says so moves its epoch on. It gets lost.
    let lost = a.clone();
    stage.heartbeat(&mut a).unwrap();
    assert!(a.epoch > lost.epoch);
    assert!(stage.send(lost.request()).is_ok());

    let mut greedy = lost;
    greedy.owned.insert((stage.image.topic("t").unwrap().id, PartitionIndex(9)));
    greedy.has_news = true;
    assert_eq!(stage.refused(greedy.request()), GroupErrorCode::FencedMemberEpoch);
    let ahead = Client { epoch: MemberEpoch(a.epoch.0 + 1), ..a.clone() };
    assert_eq!(stage.refused(ahead.request()), GroupErrorCode::FencedMemberEpoch);
    let stranger = Client { id: "stranger".into(), ..a };
    assert_eq!(stage.refused(stranger.request()), GroupErrorCode::UnknownMemberId);
}

#[test]
fn an_assignment_whose_answer_was_lost_is_told_again_until_it_is_confirmed() {
    let mut stage = stage(&[("t", 2)]);
    let mut clients = [Client::new("a", &["t"]), Client::new("b", &["t"])];
    stage.heartbeat(&mut clients[0]).unwrap();
    stage.heartbeat(&mut clients[1]).unwrap();
    stage.heartbeat(&mut clients[0]).unwrap();
    stage.heartbeat(&mut clients[0]).unwrap();
    // What the first one gave up is free. The second one is told, and does not hear it.
    let lost = stage.send(clients[1].request()).unwrap();
    assert!(lost.assignment.is_some());

    // The same request again is answered as one that changes nothing while the group may still be at it.
    assert_eq!(stage.send(clients[1].request()).unwrap().assignment, None);
    stage.advance(Duration::from_secs(5));
    assert_eq!(stage.send(clients[1].request()).unwrap().assignment, lost.assignment);
    assert_eq!(stage.heartbeat(&mut clients[1]).unwrap().assignment, lost.assignment);
    settle(&mut stage, &mut clients);
    stage.advance(Duration::from_secs(5));
    for client in &mut clients {
        assert_eq!(client.owned.len(), 1);
        assert_eq!(stage.heartbeat(client).unwrap().assignment, None, "it has said that it knows");
    }
}

#[test]
fn an_assignment_whose_answer_was_lost_with_the_coordinator_is_told_by_the_next_one() {
    let mut stage = stage(&[("t", 2)]);
    let mut a = Client::new("a", &["t"]);
    let mut b = Client::new("b", &["t"]);
    stage.heartbeat(&mut a).unwrap();
    stage.heartbeat(&mut b).unwrap();
    stage.heartbeat(&mut a).unwrap();
    stage.heartbeat(&mut a).unwrap();
    let lost = stage.send(b.request()).unwrap();
    assert!(lost.assignment.is_some() && lost.epoch == b.epoch);
    assert_eq!(stage.describe().state, "Stable");

    stage.fail_over();
    assert_eq!(stage.heartbeat(&mut a).unwrap().assignment, None, "it has said what it owns");
    assert_eq!(stage.heartbeat(&mut b).unwrap().assignment, lost.assignment);
    stage.heartbeat(&mut b).unwrap();
    stage.fail_over();
    assert_eq!(stage.heartbeat(&mut b).unwrap().assignment, None);
}

#[test]
fn whoever_is_silent_is_gone_and_its_partitions_go_to_the_others() {
    let mut stage = stage(&[("t", 2)]);
    let mut a = Client::new("a", &["t"]);
    let mut b = Client::new("b", &["t"]);
    settle(&mut stage, &mut [a.clone(), b.clone()]);
    a.epoch = MemberEpoch::JOIN;
    b.epoch = MemberEpoch::JOIN;
    stage.heartbeat(&mut b).unwrap();
    stage.advance(Duration::from_secs(30));
    stage.heartbeat(&mut a).unwrap();
    stage.advance(Duration::from_secs(15));
    assert_eq!(stage.describe().members.len(), 1);
    settle(&mut stage, std::slice::from_mut(&mut a));
    assert_eq!(a.owned.len(), 2);
    assert_eq!(stage.refused(b.request()), GroupErrorCode::UnknownMemberId);
}

#[test]
fn whoever_does_not_give_up_in_time_is_gone() {
    let mut stage = stage(&[("t", 2)]);
    let mut a = Client::new("a", &["t"]);
    let mut b = Client::new("b", &["t"]);
    stage.heartbeat(&mut a).unwrap();
    stage.heartbeat(&mut b).unwrap();
    // It hears that it has to give up one partition, and goes on owning both.
    let deaf = a.clone();
    assert_eq!(stage.heartbeat(&mut a).unwrap().assignment.unwrap()[0].partitions.len(), 1);
    for _ in 0..5 {
        stage.advance(Duration::from_secs(12));
        let _ = stage.send(deaf.request());
        stage.heartbeat(&mut b).unwrap();
    }
    assert_eq!(stage.describe().members.len(), 1);
    assert_eq!(stage.refused(deaf.request()), GroupErrorCode::UnknownMemberId);
}

#[test]
fn an_image_that_lags_takes_nothing_away() {
    let mut stage = stage(&[]);
    let behind = stage.image.clone();
    stage.create_topic("t", 2);
    let smaller = stage.image.clone();
    stage.add_partitions("t", 2);
    let ahead = stage.image.clone();
    let mut clients = [Client { pattern: Some("t.*".into()), ..Client::new("a", &["t"]) }];
    settle(&mut stage, &mut clients);
    let epoch = clients[0].epoch;
    for image in [behind, smaller, ahead] {
        stage.image = image;
        stage.fail_over();
        assert_eq!(stage.heartbeat(&mut clients[0]).unwrap().assignment, None);
        assert_eq!(clients[0].epoch, epoch);
    }
    stage.delete_topic("t");
    settle(&mut stage, &mut clients);
    assert!(clients[0].owned.is_empty());
}

#[test]
fn members_vote_for_the_assignor() {
    let mut stage = stage(&[("t", 2)]);
    let voting = |name: &str, assignor| Client { assignor, ..Client::new(name, &["t"]) };
    let mut clients = vec![voting("a", None), voting("b", Some(AssignorName::Range))];
    assert_eq!(stage.describe().assignor, "uniform");
    settle(&mut stage, &mut clients);
    assert_eq!(stage.describe().assignor, "range");
    clients.push(voting("c", Some(AssignorName::Uniform)));
    settle(&mut stage, &mut clients);
    assert_eq!(
        stage.describe().assignor,
        "uniform",
        "the earlier one in the settings, where votes are equal"
    );
}

#[test]
fn a_commit_an_epoch_behind_counts_for_what_was_owned_then() {
    let mut stage = stage(&[("t", 2)]);
    let mut a = Client::new("a", &["t"]);
    let mut b = Client::new("b", &["t"]);
    settle(&mut stage, std::slice::from_mut(&mut a));
    let before = a.epoch;
    let mut clients = [a, b.clone()];
    settle(&mut stage, &mut clients);
    let [a, settled] = clients;
    b = settled;
    let commit = |client: &Client, epoch: MemberEpoch| CommitOffsets {
        group: GROUP.into(),
        member: client.id.as_str().into(),
        epoch: epoch.0,
        instance: None,
        retention_ms: None,
        knows_epochs: true,
        topics: vec![CommitTopic {
            name: "t".into(),
            partitions: client.owned.iter().map(|&(_, index)| partition(index)).collect(),
        }],
    };
    let check = |request| stage.coordinator.check_consumer_commit(&request);
    assert_eq!(check(commit(&a, a.epoch)), Ok(()));
    assert_eq!(check(commit(&a, before)), Ok(()));
    assert_eq!(check(commit(&b, before)), Err(GroupErrorCode::StaleMemberEpoch));
    assert_eq!(check(commit(&a, MemberEpoch(a.epoch.0 + 1))), Err(GroupErrorCode::StaleMemberEpoch));
    let old_client = CommitOffsets { knows_epochs: false, ..commit(&a, a.epoch) };
    assert_eq!(check(old_client), Err(GroupErrorCode::UnsupportedVersion));
    let owned: BTreeSet<_> = a.owned.union(&b.owned).collect();
    assert_eq!(owned.len(), 2);
}

/// A classic consumer's request to join.
fn classic_join(protocols: Vec<JoinProtocol>) -> GroupRequest {
    GroupRequest::Join(JoinGroup {
        group: GROUP.into(),
        member: "".into(),
        instance: None,
        client_id: "classic".into(),
        client_host: "/127.0.0.1".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".into(),
        protocols,
        requires_member_id: false,
        supports_skip_assignment: true,
        fresh: Uuid::from_u128(1),
    })
}

#[test]
fn whoever_is_refused_for_want_of_room_leaves_the_group_as_it_is() {
    let mut stage = stage(&[("t", 2)]);
    stage.coordinator.limits.deadlines = 0;
    let newcomer = Client::new("a", &["t"]);
    assert_eq!(stage.refused(newcomer.request()), GroupErrorCode::GroupMaxSizeReached);
    assert!(stage.written.is_empty(), "no group has come into being");

    stage = self::stage(&[("t", 2)]);
    let subscription =
        Subscription { topics: vec!["t".into()], owned: Vec::new(), generation: None, rack: None };
    let metadata = subscription.encode(3, None).into();
    stage.handle(Ticket(0), classic_join(vec![JoinProtocol { name: "range".into(), metadata }]));
    stage.coordinator.limits.deadlines = 0;
    assert_eq!(stage.refused(newcomer.request()), GroupErrorCode::GroupMaxSizeReached);
    assert!(stage.written.is_empty() && stage.coordinator.classic.contains_key(&GROUP.into()));

    stage = self::stage(&[("t", 2)]);
    let mut last = newcomer;
    stage.heartbeat(&mut last).unwrap();
    stage.send(Client { epoch: MemberEpoch::LEAVE, ..last }.request()).unwrap();
    let written = stage.written.len();
    stage.handle(Ticket(1), classic_join(Vec::new()));
    assert_eq!(stage.written.len(), written, "an empty consumer group stays one");
}

fn partition(index: PartitionIndex) -> CommitPartition {
    CommitPartition { index, offset: Offset(1), leader_epoch: None, metadata: String::new() }
}
