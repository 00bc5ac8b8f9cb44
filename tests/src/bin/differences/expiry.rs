//! What goes by itself: groups and their offsets, and records, when their time is over. The suite `expiry` sets the times.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use trilog_tests::admin::NewTopic;
use trilog_tests::batch::{BatchBuilder, Record};
use trilog_tests::group::Group;
use trilog_tests::group::classic::{ClassicMember, form};
use trilog_tests::group::consumer::{ConsumerMember, LEAVES, settle};
use trilog_tests::group::embedded::subscription;
use trilog_tests::group::offsets::{Commit, committed};
use trilog_tests::partition::{EARLIEST, MAX_TIMESTAMP, Partition};
use trilog_tests::waiting::within;

use crate::groups::{offsets, state};
use crate::stage::Stage;
use crate::told;

/// Far above the minute that is the least that Kafka keeps offsets.
const PATIENCE: Duration = Duration::from_secs(180);

async fn gone(what: &str, group: &Group) {
    let waited = within(PATIENCE, async || group.listed(&[], &[]).await.is_none().then_some(())).await;
    assert!(waited.is_some(), "group {what} stays");
}

pub(crate) async fn of_groups(stage: Rc<Stage>) {
    let topic = stage.named("topic");
    stage.create(&topic, NewTopic::new(&topic).partitions(3).replicas(3)).await;
    let other = stage.named("other");
    stage.create(&other, NewTopic::new(&other).partitions(1).replicas(3)).await;

    // A group with a member: offsets of the member's topic stay, those of another topic go.
    let kept = stage.group(&stage.named("kept")).await;
    let metadata = subscription(&[&topic], &[]);
    let mut member = ClassicMember::new(&kept).await.protocols(&[("range", &metadata)]);
    member.session_timeout_ms = 1_000_000;
    form(std::slice::from_mut(&mut member)).await;
    for name in [&topic, &other] {
        let commit = Commit::outside(name, 0, 4).by(&member.id, member.generation);
        stage.note(format!("a member's commit for {name}"), told::refusal(kept.commit(&commit).await));
    }
    // The others are empty from here on.
    let made = stage.group(&stage.named("made")).await;
    stage.note("an administrator's commit", told::refusal(made.commit(&Commit::outside(&topic, 0, 1)).await));
    let left = stage.group(&stage.named("left")).await;
    let mut leaver = ClassicMember::new(&left).await;
    form(std::slice::from_mut(&mut leaver)).await;
    let commit = Commit::outside(&topic, 0, 2).by(&leaver.id, leaver.generation);
    stage.note("a commit before leaving", told::refusal(left.commit(&commit).await));
    leaver.leave().await;
    stage.note("the classic group is left", state(&left).await);
    let consumers = stage.group(&stage.named("consumers")).await;
    let mut members = [ConsumerMember::new(&consumers, &[&topic]).await];
    settle(&mut members, &[3]).await;
    let [consumer] = &mut members;
    let commit = Commit::outside(&topic, 0, 3).by(&consumer.id, consumer.epoch);
    stage.note("a consumer's commit", told::refusal(consumers.commit(&commit).await));
    consumer.leave(LEAVES).await;
    stage.note("the consumer group is left", state(&consumers).await);

    soon(&stage, &topic).await;
    for (what, group) in [("made", &made), ("left", &left), ("consumers", &consumers)] {
        gone(what, group).await;
        stage.note(format!("group {what} is gone"), state(group).await);
        stage.note(format!("offsets of group {what}"), offsets(group).await);
        stage.note(format!("group {what} deleted"), told::refusal(group.delete().await));
    }
    let waited = within(PATIENCE, async || (kept.offset(&other, 0).await == -1).then_some(())).await;
    assert!(waited.is_some(), "an offset of a topic that nobody subscribes to stays");
    stage.note("the group with a member", state(&kept).await);
    stage.note("its offsets", offsets(&kept).await);
}

/// Groups that go at the next look: without an offset, or with offsets that say so themselves.
async fn soon(stage: &Stage, topic: &str) {
    let emptied = stage.group(&stage.named("emptied")).await;
    emptied.commit(&Commit::outside(topic, 0, 1)).await;
    stage.note("the last offset deleted", told::refusal(emptied.delete_offset(topic, 0).await));
    gone("emptied", &emptied).await;
    stage.note("the group without offsets is gone", state(&emptied).await);

    for version in [2, 4] {
        let short = stage.group(&stage.named(&format!("short-{version}"))).await;
        let request = Commit::outside(topic, 1, 1).request(&short.name, version).with_retention_time_ms(1);
        let answer = short.connection.request_at_version(request, version).await;
        let outcome = committed(answer.expect("OffsetCommit is answered"));
        stage.note(format!("a commit for a millisecond, version {version}"), told::refusal(outcome));
        gone("short", &short).await;
        stage.note(format!("its group is gone, version {version}"), state(&short).await);
    }
    let joined = stage.group(&stage.named("joined")).await;
    let mut member = ClassicMember::new(&joined).await;
    form(std::slice::from_mut(&mut member)).await;
    member.leave().await;
    gone("joined", &joined).await;
    stage.note("the group that never had an offset is gone", state(&joined).await);
    let consumers = stage.group(&stage.named("joined-consumers")).await;
    let mut members = [ConsumerMember::new(&consumers, &[topic]).await];
    settle(&mut members, &[3]).await;
    members[0].leave(LEAVES).await;
    gone("joined-consumers", &consumers).await;
    stage.note("the consumer group that never had an offset is gone", state(&consumers).await);
}

fn keyed(timestamp: i64, value: &'static str) -> Bytes {
    let record = Record { key: Some(Bytes::from_static(b"key")), ..Record::new(timestamp, value) };
    BatchBuilder::new(vec![record]).build()
}

async fn empties(what: &str, partition: &Partition, end: i64) {
    let waited =
        within(PATIENCE, async || (partition.list_offset(EARLIEST).await.0 == end).then_some(())).await;
    assert!(waited.is_some(), "records {what} stay");
}

/// Records go by their own time. Those that have none are as old as their place in the log is.
pub(crate) async fn of_records(stage: Rc<Stage>) {
    let short = [("retention.ms", "1000"), ("message.timestamp.type", "CreateTime")];
    let timeless = stage.new_partition(&stage.named("timeless"), &short).await;
    let old = stage.new_partition(&stage.named("old"), &short).await;
    let unlimited = stage.new_partition(&stage.named("unlimited"), &[("retention.ms", "-1")]).await;
    let long = stage.new_partition(&stage.named("long"), &[("retention.ms", "3600000")]).await;
    let compacted = [("retention.ms", "1000"), ("cleanup.policy", "compact")];
    let compacted = stage.new_partition(&stage.named("compacted"), &compacted).await;
    for (what, partition, time) in [
        ("timeless", &timeless, -1),
        ("old", &old, 1),
        ("unlimited", &unlimited, 1),
        ("long", &long, -1),
        ("compacted", &compacted, 1),
    ] {
        for number in 1..=3 {
            stage.note(
                format!("{what}: record {number}"),
                told::produced(&partition.try_produce(keyed(time, "a")).await),
            );
        }
    }
    for (what, partition) in [("unlimited", &unlimited), ("long", &long), ("compacted", &compacted)] {
        stage.note(
            format!("{what}: the greatest time"),
            format!("{:?}", partition.list_offset(MAX_TIMESTAMP).await),
        );
    }
    empties("without a time", &timeless, 3).await;
    empties("of 1970", &old, 3).await;
    for (what, partition) in [
        ("timeless", &timeless),
        ("old", &old),
        ("unlimited", &unlimited),
        ("long", &long),
        ("compacted", &compacted),
    ] {
        let (earliest, end) = (partition.list_offset(EARLIEST).await.0, partition.end().await);
        stage.note(format!("{what}: what is left"), format!("{earliest} to {end}"));
    }
}
