//! Groups with members: each state, what is told of it, and what members are refused.

use std::rc::Rc;

use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use trilog_tests::admin::NewTopic;
use trilog_tests::group::Group;
use trilog_tests::group::classic::{ClassicMember, form};
use trilog_tests::group::consumer::{ConsumerMember, LEAVES, LEAVES_FOR_A_WHILE, settle};
use trilog_tests::group::offsets::Commit;
use trilog_tests::requests::text;
use trilog_tests::waiting::wait_until;

use crate::configs::{GROUP, set, value_of};
use crate::groups::state;
use crate::stage::{Stage, asked};
use crate::told;

/// The shortest session that Kafka allows, in milliseconds.
const SHORT: i32 = 6_000;

pub(crate) async fn classic(stage: Rc<Stage>) {
    let topic = stage.named("topic");
    stage.new_partition(&topic, &[]).await;
    let group = stage.group(&stage.named("states")).await;
    let mut one = ClassicMember::new(&group).await;
    let given = one.try_join().await;
    stage.note("a join without an id", told::code(given.error_code));
    // A rebalance would wait for a member with this id.
    one.id = given.member_id.to_string();
    one.join().await;
    let mine = [(one.id.clone(), "all".into())];
    stage.note("it syncs", told::code(one.try_sync(&mine).await.error_code));
    stage.note("it is in", state(&group).await);
    group_of_members(&stage, &group, &topic).await;
    let mut two = ClassicMember::new(&group).await;
    let joining = two.start_join().await;
    group.wait_state("PreparingRebalance").await;
    stage.note("a second one joins", state(&group).await);
    stage.note("the first one's heartbeat", told::refusal(one.heartbeat().await));
    one.join().await;
    two.finish_join(joining).await;
    stage.note("both have joined", state(&group).await);
    let own = Commit::outside(&topic, 0, 3).by(&two.id, two.generation);
    stage.note("a commit before the assignment", told::refusal(group.commit(&own).await));
    stage.note("the second one leaves", told::refusal(two.leave().await));
    stage.note("it leaves again", told::refusal(two.leave().await));
    stage.note("one is left", state(&group).await);
    stage.note("the first one leaves", told::refusal(one.leave().await));
    stage.note("nobody is left", state(&group).await);
    stage.note("an offset set", told::refusal(group.commit(&Commit::outside(&topic, 0, 1)).await));
    stage.note("the last offset deleted", told::refusal(group.delete_offset(&topic, 0).await));
    stage.note("then", state(&group).await);
    stage.note("deleted", told::refusal(group.delete().await));
    stage.note("then it is gone", state(&group).await);

    let group = stage.group(&stage.named("silent")).await;
    let mut silent = ClassicMember::new(&group).await;
    silent.session_timeout_ms = SHORT;
    form(std::slice::from_mut(&mut silent)).await;
    group.wait_state("Empty").await;
    stage.note("a member that said nothing for its session", state(&group).await);
    stage.note("its heartbeat", told::refusal(silent.heartbeat().await));
    refused_members(&stage).await;
}

/// What administrators are refused while a group has members.
async fn group_of_members(stage: &Stage, group: &Group, topic: &str) {
    stage.note("with members: deleted", told::refusal(group.delete().await));
    stage.note("with members: offset set", told::refusal(group.commit(&Commit::outside(topic, 0, 1)).await));
    stage.note("with members: offset deleted", told::refusal(group.delete_offset(topic, 0).await));
    stage.note(
        "with members: offset of a topic of theirs deleted",
        told::refusal(group.delete_offset("some-topic", 0).await),
    );
}

/// Requests of members that are none.
async fn refused_members(stage: &Stage) {
    let group = stage.group(&stage.named("refused")).await;
    let mut settled = ClassicMember::new(&group).await;
    form(std::slice::from_mut(&mut settled)).await;
    for timeout in [-1, 0, SHORT - 1, 1_800_001, i32::MAX] {
        let mut member = ClassicMember::new(&group).await;
        member.session_timeout_ms = timeout;
        stage.note(format!("a session of {timeout} ms"), told::code(member.try_join().await.error_code));
    }
    let new = async || ClassicMember::new(&group).await;
    let cases = [
        ("no protocols", new().await.protocols(&[])),
        ("no kind of protocols", new().await.kind("")),
        ("other protocols", new().await.protocols(&[("sticky", b"")])),
        ("another kind of protocols", new().await.kind("connect")),
    ];
    for (what, member) in cases {
        stage.note(format!("joins with {what}"), told::code(member.try_join().await.error_code));
    }
    let mut stranger = ClassicMember::new(&group).await;
    stranger.id = "stranger".to_owned();
    stranger.generation = settled.generation;
    member_requests(stage, "a stranger", &stranger).await;
    for (what, generation) in [
        ("an older generation", settled.generation - 1),
        ("a newer generation", settled.generation + 1),
        ("generation -1", -1),
    ] {
        let mut confused = settled.clone();
        confused.generation = generation;
        stage.note(format!("{what}: heartbeat"), told::refusal(confused.heartbeat().await));
        stage.note(format!("{what}: sync"), told::code(confused.try_sync(&[]).await.error_code));
    }
    let nameless = stage.group("").await;
    let mut member = ClassicMember::new(&nameless).await;
    member_requests(stage, "a group without a name", &member).await;
    let none = stage.group(&stage.named("none")).await;
    member = ClassicMember::new(&none).await;
    member.id = "stranger".to_owned();
    member_requests(stage, "no group", &member).await;
    stage.note("no group, then", state(&none).await);
    let other = stage.ids().find(|id| *id != group.node).expect("there are three nodes");
    settled.connection = stage.connect(other).await;
    member_requests(stage, "a node that does not coordinate", &settled).await;
}

async fn member_requests(stage: &Stage, what: &str, member: &ClassicMember) {
    stage.note(format!("{what}: join"), told::code(member.try_join().await.error_code));
    stage.note(format!("{what}: sync"), told::code(member.try_sync(&[]).await.error_code));
    stage.note(format!("{what}: heartbeat"), told::refusal(member.heartbeat().await));
    stage.note(format!("{what}: leave"), told::refusal(member.leave().await));
}

fn heartbeat(answer: &ConsumerGroupHeartbeatResponse) -> String {
    told::explained(answer.error_code, answer.error_message.as_ref())
}

pub(crate) async fn consumer(stage: Rc<Stage>) {
    let topic = stage.named("topic");
    stage.create(&topic, NewTopic::new(&topic).partitions(3).replicas(3)).await;
    let group = stage.group(&stage.named("states")).await;
    let mut members = [ConsumerMember::new(&group, &[&topic]).await];
    settle(&mut members, &[3]).await;
    stage.note("one is in", state(&group).await);
    stage.note("with members: deleted", told::refusal(group.delete().await));
    stage.note("with members: offset set", told::refusal(group.commit(&Commit::outside(&topic, 0, 1)).await));
    stage.note(
        "with members: offset of a topic of theirs deleted",
        told::refusal(group.delete_offset(&topic, 0).await),
    );
    let [one] = &mut members;
    for (what, epoch) in [("an older epoch", one.epoch - 1), ("a newer epoch", one.epoch + 1)] {
        let own = Commit::outside(&topic, 0, 1).by(&one.id, epoch);
        stage.note(format!("{what}: a commit"), told::refusal(group.commit(&own).await));
    }
    let own = Commit::outside(&topic, 0, 1).by(&one.id, one.epoch);
    stage.note("a member's commit", told::refusal(group.commit(&own).await));
    let stranger = Commit::outside(&topic, 0, 1).by("stranger", one.epoch);
    stage.note("a stranger's commit", told::refusal(group.commit(&stranger).await));
    refused_heartbeats(&stage, &group, one).await;
    one.leave(LEAVES).await;
    stage.note("nobody is left", state(&group).await);
    stage.note("the last offset deleted", told::refusal(group.delete_offset(&topic, 0).await));
    stage.note("then", state(&group).await);
    stage.note("deleted", told::refusal(group.delete().await));
    stage.note("then it is gone", state(&group).await);
    silent_consumer(&stage, &topic).await;
}

/// Heartbeats that are refused. The group has one member, in its epoch.
async fn refused_heartbeats(stage: &Stage, group: &Group, settled: &mut ConsumerMember) {
    let request = settled.request();
    let joins = || {
        request
            .clone()
            .with_member_id(text("AAAAAAAAAAAAAAAAAAAAAA"))
            .with_member_epoch(0)
            .with_topic_partitions(Some(Vec::new()))
    };
    let cases: Vec<(&str, ConsumerGroupHeartbeatRequest)> = vec![
        ("no group", joins().with_group_id(text("").into())),
        ("a blank group", joins().with_group_id(text(" ").into())),
        ("no member", joins().with_member_id(text(""))),
        ("epoch -3", joins().with_member_epoch(-3)),
        ("a stranger's epoch", joins().with_member_epoch(1)),
        ("a stranger leaves", joins().with_member_epoch(LEAVES)),
        ("a stranger leaves for a while", joins().with_member_epoch(LEAVES_FOR_A_WHILE)),
        ("a name without letters", joins().with_instance_id(Some(text("")))),
        ("a rack without letters", joins().with_rack_id(Some(text("")))),
        ("no time to rebalance", joins().with_rebalance_timeout_ms(-1)),
        ("time 0 to rebalance", joins().with_rebalance_timeout_ms(0)),
        ("no topics at all", joins().with_subscribed_topic_names(None)),
        ("no topic", joins().with_subscribed_topic_names(Some(Vec::new()))),
        ("an expression that is none", joins().with_subscribed_topic_regex(Some(text("(")))),
        ("no assignor", joins().with_server_assignor(Some(text("")))),
        ("an unknown assignor", joins().with_server_assignor(Some(text("odd")))),
        (
            "partitions owned before the first epoch",
            request.clone().with_member_id(text("BBBBBBBBBBBBBBBBBBBBBA")).with_member_epoch(0),
        ),
        ("an epoch ahead", request.clone().with_member_epoch(settled.epoch + 1)),
        ("partitions that are not its own", {
            let mut owned = request.clone();
            if let Some(topics) = &mut owned.topic_partitions {
                topics[0].partitions = vec![0, 1, 2, 9, -1];
            }
            owned
        }),
    ];
    for (what, request) in cases {
        stage.note(format!("a heartbeat, {what}"), heartbeat(&asked(&group.connection, request).await));
    }
    // Two of these joins are good.
    let leaves = joins().with_member_epoch(LEAVES);
    stage.note("the one that joined leaves", heartbeat(&asked(&group.connection, leaves).await));
    // Kafka puts assignments off for a second.
    wait_until("the group is stable", async || {
        settled.heartbeat().await;
        (&*group.describe_consumer().await.group_state == "Stable").then_some(())
    })
    .await;
    stage.note("the group is as before", state(group).await);
}

/// A member that says nothing for its session is gone, and so is its group's last one.
async fn silent_consumer(stage: &Stage, topic: &str) {
    let name = stage.named("silent");
    stage.note(
        "a session of a second",
        set(&stage.connect(1).await, GROUP, &name, "consumer.session.timeout.ms", Some("1000")).await,
    );
    let group = stage.group(&name).await;
    wait_until("the coordinator knows the session", async || {
        let value = value_of(&group.connection, GROUP, &name, "consumer.session.timeout.ms").await;
        (value.as_deref() == Some("1000")).then_some(())
    })
    .await;
    let mut silent = [ConsumerMember::new(&group, &[topic]).await];
    settle(&mut silent, &[3]).await;
    wait_until("the silent member is gone", async || {
        (&*group.describe_consumer().await.group_state == "Empty").then_some(())
    })
    .await;
    stage.note("a member that said nothing for its session", state(&group).await);
    stage.note("its heartbeat", heartbeat(&asked(&group.connection, silent[0].request()).await));
}
