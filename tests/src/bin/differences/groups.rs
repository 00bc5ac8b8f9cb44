//! Groups that an administrator makes by setting offsets, and requests about groups that are none.

use std::collections::BTreeMap;
use std::rc::Rc;

use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, DeleteGroupsRequest, DescribeGroupsRequest, ListGroupsRequest,
    OffsetDeleteRequest,
};
use trilog_client::wire::Connection;
use trilog_tests::admin::{NewTopic, delete_topic};
use trilog_tests::group::offsets::{Commit, committed};
use trilog_tests::group::{Group, find_coordinator};
use trilog_tests::requests::{group_id, only, served, text, topic_name};
use trilog_tests::waiting::wait_until;

use crate::stage::{Stage, asked};
use crate::told;

/// What ListGroups, DescribeGroups and ConsumerGroupDescribe tell of a group.
pub(crate) async fn state(group: &Group) -> String {
    let listed = group.listed(&[], &[]).await.map_or_else(
        || "not listed".to_owned(),
        |row| format!("listed {:?} {} {}", &*row.protocol_type, &*row.group_state, &*row.group_type),
    );
    let mut described = Vec::new();
    for version in [5, 6] {
        let request = DescribeGroupsRequest::default().with_groups(vec![group_id(&group.name)]);
        let answer = group.connection.request_at_version(request, version).await;
        let row = only(answer.expect("DescribeGroups is answered").groups);
        described.push(format!(
            "{} {} {:?} {:?} {} members",
            told::explained(row.error_code, row.error_message.as_ref()),
            &*row.group_state,
            &*row.protocol_type,
            &*row.protocol_data,
            row.members.len()
        ));
    }
    let row = group.describe_consumer().await;
    let consumer = format!(
        "{} {:?} {:?} {} members",
        told::explained(row.error_code, row.error_message.as_ref()),
        &*row.group_state,
        &*row.assignor_name,
        row.members.len()
    );
    format!("{listed}; {}; consumer: {consumer}", described.join("; "))
}

/// The group's offsets.
pub(crate) async fn offsets(group: &Group) -> String {
    let rows = group.offsets().await;
    told::list(rows.into_iter().map(|(_, partition, offset)| format!("{partition}={offset}")))
}

async fn both(group: &Group) -> String {
    format!("{}; offsets: [{}]", state(group).await, offsets(group).await)
}

pub(crate) async fn of_administrators(stage: Rc<Stage>) {
    let topic = stage.named("topic");
    stage.create(&topic, NewTopic::new(&topic).partitions(3).replicas(3)).await;
    let group = stage.group(&stage.named("made")).await;
    stage.note("at first", both(&group).await);
    for partition in [0, 1] {
        stage.note(
            format!("offset {partition} set"),
            told::refusal(group.commit(&Commit::outside(&topic, partition, 10)).await),
        );
    }
    stage.note("it is made", both(&group).await);
    for (partition, what) in
        [(0, "offset 0 deleted"), (0, "offset 0 deleted again"), (1, "the last offset deleted")]
    {
        stage.note(what, told::refusal(group.delete_offset(&topic, partition).await));
        stage.note(format!("then, {what}"), both(&group).await);
    }
    group.commit(&Commit::outside(&topic, 2, 5)).await;
    stage.note("set again", both(&group).await);
    stage.note("deleted", told::refusal(group.delete().await));
    stage.note("then", both(&group).await);
    stage.note("deleted again", told::refusal(group.delete().await));
    stage.note("an offset of no group deleted", told::refusal(group.delete_offset(&topic, 0).await));
    stage.note("nothing is made by that", both(&group).await);

    let gone = stage.named("gone");
    stage.create(&gone, NewTopic::new(&gone).partitions(1).replicas(3)).await;
    let group = stage.group(&stage.named("topic-gone")).await;
    group.commit(&Commit::outside(&gone, 0, 1)).await;
    stage.note(
        "a topic that has offsets deleted",
        told::code(delete_topic(&stage.connect(1).await, &gone).await),
    );
    wait_until("the offsets are gone", async || group.offsets().await.is_empty().then_some(())).await;
    stage.note("the group of those offsets", both(&group).await);

    refused_commits(&stage, &topic).await;
    bad_names(&stage, &topic).await;
    elsewhere(&stage, &topic).await;
    filters(&stage).await;
    lists(&stage, &topic).await;
}

/// Commits that are refused, and what they make.
async fn refused_commits(stage: &Stage, topic: &str) {
    let group = stage.group(&stage.named("refused")).await;
    let none = stage.named("none");
    let cases = [
        ("no topic", Commit::outside(&none, 0, 1)),
        ("no partition", Commit::outside(topic, 7, 1)),
        ("partition -1", Commit::outside(topic, -1, 1)),
        ("a topic without a name", Commit::outside("", 0, 1)),
        ("a topic that can have no such name", Commit::outside("a/b", 0, 1)),
        ("metadata too long", Commit::outside(topic, 0, 1).metadata(Some(&"x".repeat(4097)))),
        ("a member in no generation", Commit::outside(topic, 0, 1).by("member", -1)),
        ("a generation without a member", Commit::outside(topic, 0, 1).by("", 0)),
        ("generation -2", Commit::outside(topic, 0, 1).by("", -2)),
    ];
    for (what, commit) in cases {
        for version in [2, 8, 9] {
            let request = commit.request(&group.name, version);
            let answer = group.connection.request_at_version(request, version).await;
            let refusal = committed(answer.expect("OffsetCommit is answered"));
            stage.note(format!("{what}, OffsetCommit {version}"), told::refusal(refusal));
        }
        stage.note(format!("{what}, then"), both(&group).await);
    }
    // Kafka remembers the group of a refused commit for a while, without telling of it.
    for version in [2, 8, 9] {
        let group = stage.group(&stage.named(&format!("strange-{version}"))).await;
        let request = Commit::outside(topic, 0, 1).by("member", 1).request(&group.name, version);
        let answer = group.connection.request_at_version(request, version).await;
        let refusal = committed(answer.expect("OffsetCommit is answered"));
        stage.note(format!("a member of no group, OffsetCommit {version}"), told::refusal(refusal));
    }
    for (what, offset) in
        [("offset -1", -1), ("the least offset", i64::MIN), ("the largest offset", i64::MAX)]
    {
        let group = stage.group(&stage.named(&what.replace(' ', "-"))).await;
        stage.note(what, told::refusal(group.commit(&Commit::outside(topic, 0, offset)).await));
        stage.note(format!("{what}, then"), offsets(&group).await);
    }
}

/// Names that no group may have, and some that only look like it.
async fn bad_names(stage: &Stage, topic: &str) {
    let long = "x".repeat(30_000);
    for (what, name) in [("no name", ""), ("a blank", " "), ("signs", "/#?\u{0}"), ("30,000 letters", &long)]
    {
        let found =
            find_coordinator(&stage.connect(1).await, name).await.expect("FindCoordinator is answered");
        stage.note(format!("{what}: FindCoordinator"), told::code(found.error_code));
        let group = stage.group(name).await;
        stage.note(format!("{what}: at first"), state(&group).await);
        stage.note(
            format!("{what}: offset set"),
            told::refusal(group.commit(&Commit::outside(topic, 0, 1)).await),
        );
        stage.note(format!("{what}: offset deleted"), told::refusal(group.delete_offset(topic, 0).await));
        stage.note(format!("{what}: deleted"), told::refusal(group.delete().await));
    }
}

/// What a node says of groups that it does not coordinate.
async fn elsewhere(stage: &Stage, topic: &str) {
    let group = stage.group(&stage.named("made")).await;
    let other = stage.ids().find(|id| *id != group.node).expect("there are three nodes");
    let group = Group { connection: stage.connect(other).await, ..group };
    stage.note("a node that does not coordinate: the group", state(&group).await);
    stage.note("a node that does not coordinate: deletion", told::refusal(group.delete().await));
    let commit = Commit::outside(topic, 0, 1);
    stage.note("a node that does not coordinate: offset set", told::refusal(group.commit(&commit).await));
    let fetched = group.try_fetch_offsets(None).await.expect("OffsetFetch is answered");
    stage.note("a node that does not coordinate: offsets", told::code(fetched.error_code));
    stage.note(
        "a node that does not coordinate: offset deleted",
        told::refusal(group.delete_offset(topic, 0).await),
    );
}

/// Filters of ListGroups that are none.
async fn filters(stage: &Stage) {
    let connection = stage.connect(1).await;
    for (what, states, types) in [
        ("state Odd", vec!["Odd"], vec![]),
        ("no state", vec![""], vec![]),
        ("type odd", vec![], vec!["odd"]),
        ("no type", vec![], vec![""]),
        ("types that there are none of", vec![], vec!["share", "streams"]),
        ("states twice, in capitals", vec!["EMPTY", "empty"], vec!["CLASSIC", "Classic"]),
    ] {
        let texts = |list: Vec<&str>| list.into_iter().map(text).collect();
        let request =
            ListGroupsRequest::default().with_states_filter(texts(states)).with_types_filter(texts(types));
        let answer = asked(&connection, request).await;
        let own = answer.groups.iter().filter(|row| row.group_id.starts_with("no-group")).count();
        stage.note(
            format!("ListGroups of {what}"),
            format!("{}, {own} groups", told::code(answer.error_code)),
        );
    }
}

/// How many of a list have which answer.
fn counted(codes: impl IntoIterator<Item = i16>) -> String {
    let mut counts = BTreeMap::<String, usize>::new();
    for code in codes {
        *counts.entry(told::code(code)).or_default() += 1;
    }
    told::list(counts.into_iter().map(|(code, count)| format!("{count} {code}")))
}

/// Empty lists, names that are repeated, and long lists.
async fn lists(stage: &Stage, topic: &str) {
    let group = stage.group(&stage.named("listed")).await;
    let connection: &Connection = &group.connection;
    group.commit(&Commit::outside(topic, 0, 1)).await;
    let none = group_id(&group.name);
    for (what, count) in [("no name", 0), ("a name twice", 2), ("a name 5,000 times", 5_000)] {
        let names = vec![none.clone(); count];
        let answer = asked(connection, DescribeGroupsRequest::default().with_groups(names.clone())).await;
        stage.note(
            format!("DescribeGroups of {what}"),
            counted(answer.groups.iter().map(|row| row.error_code)),
        );
        let answer =
            asked(connection, ConsumerGroupDescribeRequest::default().with_group_ids(names.clone())).await;
        stage.note(
            format!("ConsumerGroupDescribe of {what}"),
            counted(answer.groups.iter().map(|row| row.error_code)),
        );
        group.commit(&Commit::outside(topic, 0, 1)).await;
        let answer = asked(connection, DeleteGroupsRequest::default().with_groups_names(names)).await;
        stage.note(
            format!("DeleteGroups of {what}"),
            counted(answer.results.iter().map(|row| row.error_code)),
        );
    }
    group.commit(&Commit::outside(topic, 0, 1)).await;
    for version in served::<OffsetDeleteRequest>(connection) {
        let row = |index| OffsetDeleteRequestPartition::default().with_partition_index(index);
        let rows = [0, 0, 7, -1].map(row).to_vec();
        let topics = [topic, "none", "", topic].map(|name| {
            OffsetDeleteRequestTopic::default().with_name(topic_name(name)).with_partitions(rows.clone())
        });
        let request =
            OffsetDeleteRequest::default().with_group_id(group_id(&group.name)).with_topics(topics.to_vec());
        let answer = connection.request_at_version(request, version).await.expect("OffsetDelete is answered");
        let rows = answer.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|row| {
                format!("{:?} {} {}", topic.name.as_str(), row.partition_index, told::code(row.error_code))
            })
        });
        let rows = told::sorted(rows);
        stage.note(
            format!("OffsetDelete {version} of repeated names"),
            format!("{}: {rows}", told::code(answer.error_code)),
        );
        let empty = OffsetDeleteRequest::default().with_group_id(group_id(&group.name));
        let answer = connection.request_at_version(empty, version).await.expect("OffsetDelete is answered");
        stage.note(format!("OffsetDelete {version} of nothing"), told::code(answer.error_code));
    }
}
