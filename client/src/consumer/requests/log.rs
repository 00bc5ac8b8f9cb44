//! Requests to the leaders of partitions: offsets by time, the ends of leader epochs, records.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::{BrokerId, FetchRequest, ListOffsetsRequest, OffsetForLeaderEpochRequest};
use trilog_protocol::ErrorCode;

use super::{ask, millis, text, topic_name, version};
use crate::Error;
use crate::consumer::config::ConsumerConfig;
use crate::consumer::fetch::readable::Aborted;
use crate::consumer::fetch::session::{SessionAnswer, SessionRequest};
use crate::consumer::ledger::Committable;
use crate::consumer::partition::{TopicPartition, by_topic};
use crate::wire::Connection;

/// A consumer is no replica.
const NO_REPLICA: BrokerId = BrokerId(-1);
/// Stands for an epoch that is not known.
const NO_EPOCH: i32 = -1;
/// ListOffsets: the end of the log.
pub(in crate::consumer) const END: i64 = -1;
/// ListOffsets: its beginning.
pub(in crate::consumer) const BEGINNING: i64 = -2;

/// What each partition was answered.
pub(in crate::consumer) type PerPartition<T> = BTreeMap<TopicPartition, Result<T, ErrorCode>>;

/// What is asked of one partition in a Fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::consumer) struct Asked {
    pub(in crate::consumer) offset: i64,
    pub(in crate::consumer) leader_epoch: Option<i32>,
    pub(in crate::consumer) last_epoch: Option<i32>,
}

/// What a broker answered for one partition in a Fetch.
#[derive(Clone, Debug)]
pub(in crate::consumer) struct FetchedPartition {
    pub(in crate::consumer) records: Bytes,
    pub(in crate::consumer) high_watermark: i64,
    /// Where the log differs from what was read (Fetch 12).
    pub(in crate::consumer) diverging: Option<Committable>,
    pub(in crate::consumer) aborted: Vec<Aborted>,
}

/// A Fetch's answer.
#[derive(Debug)]
pub(in crate::consumer) struct Fetched {
    pub(in crate::consumer) session: SessionAnswer,
    pub(in crate::consumer) partitions: PerPartition<FetchedPartition>,
}

/// The offset of each partition's first record of a time or later; [`END`] and [`BEGINNING`] stand for themselves. None if there
/// is no such record.
pub(in crate::consumer) async fn offsets(
    connection: &Connection,
    times: &BTreeMap<TopicPartition, i64>,
    read_committed: bool,
) -> Result<PerPartition<Option<Committable>>, Error> {
    let version = version::<ListOffsetsRequest>(connection, 7)?;
    let mut topics = BTreeMap::<&str, Vec<ListOffsetsPartition>>::new();
    for (TopicPartition { topic, partition }, time) in times {
        let row = ListOffsetsPartition::default()
            .with_partition_index(*partition)
            .with_current_leader_epoch(NO_EPOCH)
            .with_timestamp(*time);
        topics.entry(topic).or_default().push(row);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        ListOffsetsTopic::default().with_name(topic_name(topic)).with_partitions(partitions)
    });
    let request = ListOffsetsRequest::default()
        .with_replica_id(NO_REPLICA)
        .with_isolation_level(isolation(read_committed && version >= 2))
        .with_topics(topics.collect());
    let answer = connection.request_at_version(request, version).await?;
    let rows = answer.topics.into_iter().flat_map(|topic| {
        let name: Arc<str> = topic.name.as_str().into();
        topic.partitions.into_iter().map(move |row| {
            let found = (row.offset >= 0)
                .then(|| Committable { offset: row.offset, leader_epoch: known(row.leader_epoch) });
            let place = TopicPartition { topic: name.clone(), partition: row.partition_index };
            (place, ErrorCode(row.error_code).check().map(|()| found))
        })
    });
    Ok(rows.collect())
}

/// Where leader epochs end: for each partition the epoch asked for, with the epoch of the leader that is asked.
pub(in crate::consumer) async fn ends_of_epochs(
    connection: &Connection,
    epochs: &BTreeMap<TopicPartition, (i32, Option<i32>)>,
) -> Result<PerPartition<Option<Committable>>, Error> {
    let mut topics = BTreeMap::<&str, Vec<OffsetForLeaderPartition>>::new();
    for (TopicPartition { topic, partition }, (epoch, leader_epoch)) in epochs {
        let row = OffsetForLeaderPartition::default()
            .with_partition(*partition)
            .with_current_leader_epoch(leader_epoch.unwrap_or(NO_EPOCH))
            .with_leader_epoch(*epoch);
        topics.entry(topic).or_default().push(row);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        OffsetForLeaderTopic::default().with_topic(topic_name(topic)).with_partitions(partitions)
    });
    let request =
        OffsetForLeaderEpochRequest::default().with_replica_id(NO_REPLICA).with_topics(topics.collect());
    let answer = ask(connection, request, i16::MAX).await?;
    let rows = answer.topics.into_iter().flat_map(|topic| {
        let name: Arc<str> = topic.topic.as_str().into();
        topic.partitions.into_iter().map(move |row| {
            let found = (row.end_offset >= 0)
                .then(|| Committable { offset: row.end_offset, leader_epoch: known(row.leader_epoch) });
            let place = TopicPartition { topic: name.clone(), partition: row.partition };
            (place, ErrorCode(row.error_code).check().map(|()| found))
        })
    });
    Ok(rows.collect())
}

/// Fetches records, and has the broker wait for them at most `max_wait`. `max_bytes` is what the answer may take; a first batch
/// that is larger is sent all the same.
pub(in crate::consumer) async fn fetch(
    connection: &Connection,
    config: &ConsumerConfig,
    session: SessionRequest<TopicPartition, Asked>,
    max_bytes: usize,
    max_wait: Duration,
) -> Result<Fetched, Error> {
    // From version 13 on topics have no names.
    let version = version::<FetchRequest>(connection, 12)?;
    let mut topics = BTreeMap::<&str, Vec<FetchPartition>>::new();
    for (TopicPartition { topic, partition }, asked) in &session.fetch {
        let mut row = FetchPartition::default()
            .with_partition(*partition)
            .with_fetch_offset(asked.offset)
            .with_partition_max_bytes(int32(config.partition_max_bytes));
        if version >= 9 {
            row.current_leader_epoch = asked.leader_epoch.unwrap_or(NO_EPOCH);
        }
        if version >= 12 {
            row.last_fetched_epoch = asked.last_epoch.unwrap_or(NO_EPOCH);
        }
        topics.entry(topic).or_default().push(row);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        FetchTopic::default().with_topic(topic_name(topic)).with_partitions(partitions)
    });
    let mut request = FetchRequest::default()
        .with_replica_id(NO_REPLICA)
        .with_max_wait_ms(millis(max_wait))
        .with_min_bytes(int32(config.fetch_min_bytes))
        .with_max_bytes(int32(max_bytes))
        .with_isolation_level(isolation(config.read_committed))
        .with_topics(topics.collect());
    // Older brokers know no sessions: there, everything is named each time, as nothing else has an epoch.
    if version >= 7 {
        request.session_id = session.session_id;
        request.session_epoch = session.session_epoch;
        request.forgotten_topics_data = forgotten(&session.forget);
    }
    if version >= 11 {
        request.rack_id = text(config.rack.as_deref().unwrap_or_default());
    }
    let answer = connection.request_at_version(request, version).await?;
    let session = match ErrorCode(answer.error_code) {
        ErrorCode::NONE => SessionAnswer::Ok(answer.session_id),
        ErrorCode::FETCH_SESSION_ID_NOT_FOUND => SessionAnswer::NotFound,
        ErrorCode::INVALID_FETCH_SESSION_EPOCH => SessionAnswer::Failed,
        code => return Err(Error::code(code)),
    };
    let rows = answer.responses.into_iter().flat_map(|topic| {
        let name: Arc<str> = topic.topic.as_str().into();
        topic.partitions.into_iter().map(move |row| {
            (TopicPartition { topic: name.clone(), partition: row.partition_index }, fetched(row))
        })
    });
    Ok(Fetched { session, partitions: rows.collect() })
}

fn fetched(row: PartitionData) -> Result<FetchedPartition, ErrorCode> {
    ErrorCode(row.error_code).check()?;
    let diverging = (row.diverging_epoch.end_offset >= 0).then(|| Committable {
        offset: row.diverging_epoch.end_offset,
        leader_epoch: known(row.diverging_epoch.epoch),
    });
    let aborted = row.aborted_transactions.into_iter().flatten().map(|transaction| Aborted {
        producer_id: transaction.producer_id.0,
        first_offset: transaction.first_offset,
    });
    Ok(FetchedPartition {
        records: row.records.unwrap_or_default(),
        high_watermark: row.high_watermark,
        diverging,
        aborted: aborted.collect(),
    })
}

fn forgotten(partitions: &[TopicPartition]) -> Vec<ForgottenTopic> {
    let topic = |(topic, partitions): (String, Vec<i32>)| {
        ForgottenTopic::default().with_topic(topic_name(&topic)).with_partitions(partitions)
    };
    by_topic(partitions).into_iter().map(topic).collect()
}

fn known(epoch: i32) -> Option<i32> {
    (epoch >= 0).then_some(epoch)
}

fn isolation(read_committed: bool) -> i8 {
    i8::from(read_committed)
}

fn int32(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}
