//! DeleteRecords, epochs of leaders, and Fetch.

use std::rc::Rc;

use kafka_protocol::messages::delete_records_request::DeleteRecordsPartition;
use kafka_protocol::messages::{
    DeleteRecordsRequest, FetchRequest, ListOffsetsRequest, OffsetForLeaderEpochRequest,
};
use trilog_tests::admin::NewTopic;
use trilog_tests::batch::{Batch, BatchBuilder, Codec, Record, values};
use trilog_tests::partition::{EARLIEST, LATEST, Partition};
use trilog_tests::requests::{
    FetchPlan, Target, epoch_ended, fetched, listed_offset, only, records_deleted, served,
};

use crate::stage::{Stage, asked};
use crate::told;

fn deleted(index: i32, error: i16, low_watermark: i64) -> String {
    format!("partition {index}: {}, {low_watermark}", told::code(error))
}

/// What DeleteRecords says of one partition below an offset.
async fn delete(partition: &Partition, before: i64, timeout_ms: i32) -> String {
    let request = partition.target.delete_records(before).with_timeout_ms(timeout_ms);
    let row = records_deleted(asked(&partition.connection, request).await);
    deleted(row.partition_index, row.error_code, row.low_watermark)
}

/// Timeouts that are over at once, offsets that are none, partitions that nobody or somebody else leads.
pub(crate) async fn delete_records(stage: Rc<Stage>) {
    let topic = stage.named("topic");
    let partition = stage.new_partition(&topic, &[]).await;
    for _ in 0..12 {
        partition.produce(values(1, &["a"])).await;
    }
    stage.note("above the high watermark", delete(&partition, 13, 20_000).await);
    for before in [-2, -3, i64::MIN, i64::MAX] {
        stage.note(format!("below {before}"), delete(&partition, before, 20_000).await);
    }
    stage.note("below 3", delete(&partition, 3, 20_000).await);
    stage.note("below 1, which is deleted already", delete(&partition, 1, 20_000).await);
    stage.note("the earliest", partition.list_offset(EARLIEST).await.0);
    let row =
        |index, offset| DeleteRecordsPartition::default().with_partition_index(index).with_offset(offset);
    let mut request = partition.target.delete_records(0);
    request.topics[0].partitions = vec![row(0, 4), row(7, 4), row(-1, 4), row(0, 5)];
    note_all(&stage, "one partition twice, and two that do not exist", &partition, request).await;
    let mut request = partition.target.delete_records(6);
    request.topics.push(request.topics[0].clone());
    request.topics[1].partitions = vec![row(0, 7)];
    note_all(&stage, "one topic twice", &partition, request).await;
    note_all(&stage, "no topic", &partition, DeleteRecordsRequest::default()).await;
    let mut request = partition.target.delete_records(0);
    request.topics[0].partitions = Vec::new();
    note_all(&stage, "no partition", &partition, request).await;
    for name in [
        stage.named("none"),
        "__consumer_offsets".to_owned(),
        String::new(),
        "a/b".to_owned(),
        ".".to_owned(),
    ] {
        let target = Target { topic: name.clone(), ..partition.target.clone() };
        let request = target.delete_records(0);
        note_all(&stage, &format!("topic {name:?}"), &partition, request).await;
    }
    let compacted = stage.new_partition(&stage.named("compacted"), &[("cleanup.policy", "compact")]).await;
    stage.note("a compacted topic", delete(&compacted, 0, 20_000).await);
    let other = stage.elsewhere(&partition).await;
    stage.note("a node that does not lead", delete(&other, 7, 20_000).await);
    for version in served::<DeleteRecordsRequest>(&partition.connection) {
        let request = partition.target.delete_records(8);
        let answer = partition.connection.request_at_version(request, version).await;
        let row = records_deleted(answer.expect("DeleteRecords is answered"));
        let told = deleted(row.partition_index, row.error_code, row.low_watermark);
        stage.note(format!("below 8 in version {version}"), told);
    }
    stage.note("everything", delete(&partition, -1, 20_000).await);
    stage.note("the end", partition.end().await);
    at_once(&stage).await;
}

async fn note_all(stage: &Stage, what: &str, partition: &Partition, request: DeleteRecordsRequest) {
    let answer = asked(&partition.connection, request).await;
    let topics = answer.topics.into_iter().map(|topic| {
        let mut rows = topic.partitions;
        rows.sort_by_key(|row| row.partition_index);
        let rows = rows.iter().map(|row| deleted(row.partition_index, row.error_code, row.low_watermark));
        format!("{:?}: {}", topic.name.as_str(), told::list(rows))
    });
    stage.note(what, told::sorted(topics));
}

/// With a timeout of nothing. A partition of one replica, as otherwise the followers of Kafka's leader have to hear of it first.
async fn at_once(stage: &Stage) {
    let topic = stage.named("at-once");
    stage.create(&topic, NewTopic::new(&topic).partitions(1).replicas(1)).await;
    let partition = stage.partition(&topic, 0).await;
    for (timeout, before) in [(0, 1), (-1, 2), (i32::MIN, 3), (0, 4)] {
        partition.produce(values(1, &["a"])).await;
        stage.note(format!("below {before} within {timeout} ms"), delete(&partition, before, timeout).await);
    }
}

/// The epoch that a client believes the leader to have. Kafka's first one is 0, so there is none before it.
pub(crate) async fn leader_epochs(stage: Rc<Stage>) {
    let led = stage.new_partition(&stage.named("topic"), &[]).await;
    led.produce(values(1, &["a"])).await;
    let epoch = led.try_list_offset(LATEST).await.leader_epoch;
    let other = stage.elsewhere(&led).await;
    let missing = Partition { target: Target { partition: 5, ..led.target.clone() }, ..led.clone() };
    for (node, partition) in [("the leader", &led), ("another node", &other), ("no partition", &missing)] {
        for (what, epoch) in [("none", -1), ("below -1", -2), ("right", epoch), ("newer", epoch + 1)] {
            let mut request = partition.target.list_offsets(LATEST);
            request.topics[0].partitions[0].current_leader_epoch = epoch;
            let row = listed_offset(asked::<ListOffsetsRequest>(&partition.connection, request).await);
            stage.note(
                format!("ListOffsets, {node}, epoch {what}"),
                format!("{}, {}", told::code(row.error_code), row.offset),
            );
            let mut request = partition.target.epoch_end(0);
            request.topics[0].partitions[0].current_leader_epoch = epoch;
            let row = epoch_ended(asked::<OffsetForLeaderEpochRequest>(&partition.connection, request).await);
            stage.note(format!("OffsetForLeaderEpoch, {node}, epoch {what}"), told::code(row.error_code));
            // From version 11 on any replica of Kafka's answers consumers.
            let plan = FetchPlan { leader_epoch: epoch, ..FetchPlan::from(0) };
            for version in [9, 10] {
                let answer = partition
                    .connection
                    .request_at_version(partition.target.fetch(version, plan), version)
                    .await;
                let row = fetched(answer.expect("Fetch is answered"));
                stage.note(format!("Fetch {version}, {node}, epoch {what}"), told::code(row.error_code));
            }
        }
    }
    for asked_epoch in [-1, epoch, epoch + 1, i32::MAX] {
        let row = epoch_ended(asked(&led.connection, led.target.epoch_end(asked_epoch)).await);
        let is_own = row.leader_epoch == epoch;
        let question = match asked_epoch - epoch {
            0 => "its own",
            1 => "the next one",
            _ if asked_epoch < 0 => "none",
            _ => "the largest",
        };
        let answer = if is_own { "its own".to_owned() } else { row.leader_epoch.to_string() };
        stage.note(
            format!("the end of epoch: {question}"),
            format!("{}, epoch {answer}, {}", told::code(row.error_code), row.end_offset),
        );
    }
}

fn bytes_of(batches: &[Batch]) -> String {
    told::list(
        batches.iter().map(|batch| format!("{:?} of {} records", batch.codec(), batch.records().len())),
    )
}

/// Fetch in all versions: batches of each codec, offsets that are none, limits that are none.
pub(crate) async fn fetch(stage: Rc<Stage>) {
    let partition = stage.new_partition(&stage.named("topic"), &[]).await;
    for codec in Codec::ALL {
        let records = vec![Record::new(1, "a"), Record::new(1, "b")];
        partition.produce(BatchBuilder::new(records).codec(codec).build()).await;
    }
    for version in served::<FetchRequest>(&partition.connection) {
        let request = partition.target.fetch(version, FetchPlan::from(0));
        let answer = partition.connection.request_at_version(request, version).await;
        let row = fetched(answer.expect("Fetch is answered"));
        let batches = Batch::split(&row.records.expect("records are never null"));
        stage.note(
            format!("all, version {version}"),
            format!("{}, {}", told::code(row.error_code), bytes_of(&batches)),
        );
    }
    let small = FetchPlan { max_bytes: 0, partition_max_bytes: 0, ..FetchPlan::from(3) };
    let plans = [
        ("the middle of a batch", FetchPlan::from(3)),
        ("the end", FetchPlan::from(10)),
        ("behind the end", FetchPlan::from(11)),
        ("a negative offset", FetchPlan::from(-1)),
        ("the least offset", FetchPlan::from(i64::MIN)),
        ("the largest offset", FetchPlan::from(i64::MAX)),
        ("no bytes", small),
        ("negative bytes", FetchPlan { max_bytes: -1, partition_max_bytes: -1, ..small }),
        (
            "a negative wait and negative bytes to wait for",
            FetchPlan { max_wait_ms: -1, min_bytes: -1, ..FetchPlan::from(3) },
        ),
    ];
    for (what, plan) in plans {
        let row = partition.try_fetch(plan).await;
        let batches = Batch::split(&row.records.unwrap_or_default());
        stage.note(
            what,
            format!(
                "{}, high watermark {}, [{}]",
                told::code(row.error_code),
                row.high_watermark,
                bytes_of(&batches)
            ),
        );
    }
    let unknown =
        Target { id: uuid::Uuid::from_u128(7), topic: stage.named("none"), ..partition.target.clone() };
    let missing = Target { partition: 9, ..partition.target.clone() };
    for (what, target) in [("no topic", unknown), ("no partition", missing)] {
        for version in [4, 12, 13] {
            let request = target.fetch(version, FetchPlan::from(0));
            let answer =
                partition.connection.request_at_version(request, version).await.expect("Fetch is answered");
            let row = only(only(answer.responses).partitions);
            stage.note(
                format!("{what}, version {version}"),
                format!("{}, {}", told::code(answer.error_code), told::code(row.error_code)),
            );
        }
    }
}
