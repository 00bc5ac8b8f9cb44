//! OffsetFetch (9), versions 1-9: how far groups have consumed.
//!
//! A partition without a committed offset is answered -1, without an error. No topics (null) means all that
//! the group has an offset of.
//!
//! * v2: null topics, and an error of the whole group, which in v1 stands at every partition. v3: throttle time.
//! * v4: throttling is the client's to wait out. v5: leader epochs (KIP-320). v6: flexible.
//! * v7: `require_stable` (KIP-447): offsets in open transactions are waited for. There are none.
//! * v8: many groups at once (KIP-709). v9: the member that asks and its epoch (KIP-848).

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{GroupId, OffsetFetchRequest, OffsetFetchResponse, TopicName};
use trilog_cluster::coordinator::{
    FetchOffsets, FetchedOffset, FetchedTopic, GroupErrorCode, GroupRequest, GroupResponse, MemberId,
};
use trilog_cluster::ids::PartitionIndex;

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::distinct::{Counts, asked_topic, keep_one};
use super::group_coordinator::{ask, ask_each, group_id, response_error, text};
use crate::connection::Reply;

/// See the module.
pub(super) struct OffsetFetch;

/// From this version on an error can stand at the group.
const GROUP_ERROR_FROM: i16 = 2;
/// From this version on many groups are asked for at once.
const MANY_GROUPS_FROM: i16 = 8;
/// Stands for an offset, a leader epoch or a member epoch that there is not.
const NONE: i8 = -1;

impl Handler for OffsetFetch {
    type Request = OffsetFetchRequest;
    const SERVED: Versions = Versions::new(1, 9);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { mut request, context } = call;
        let version = context.version;
        drop_repeated(&mut request);
        if version >= MANY_GROUPS_FROM {
            let stable = request.require_stable;
            let wanted = request.groups.clone().into_iter();
            let asked = ask_each(
                broker,
                wanted.map(move |group| GroupRequest::FetchOffsets(of_group(&group, stable))),
            );
            return context.later(async move {
                let outcomes = asked.answers(pick).await.into_iter();
                let outcomes = outcomes.map(|outcome| outcome?.map_err(response_error));
                let groups = request.groups.into_iter().zip(outcomes);
                let groups = groups.map(|(asked, outcome)| answer_group(asked, outcome));
                OffsetFetchResponse::default().with_groups(groups.collect())
            });
        }
        let asked = ask(broker, GroupRequest::FetchOffsets(of_only_group(&request)));
        context.later(async move {
            match asked.outcome(pick).await {
                Ok(topics) => {
                    let topics = topics.into_iter().map(answer_topic);
                    OffsetFetchResponse::default().with_topics(topics.collect())
                }
                Err(error) => refused(request.topics.unwrap_or_default(), error, version),
            }
        })
    }
}

/// Leaves one mention of each group and partition. A group that is asked about more than once is asked about all that was
/// named.
fn drop_repeated(request: &mut OffsetFetchRequest) {
    if let Some(topics) = &mut request.topics {
        keep_one(topics, Counts::First);
    }
    let mut places: HashMap<GroupId, usize> = HashMap::new();
    let mut groups: Vec<OffsetFetchRequestGroup> = Vec::with_capacity(request.groups.len());
    for group in std::mem::take(&mut request.groups) {
        match places.entry(group.group_id.clone()) {
            Entry::Vacant(place) => {
                place.insert(groups.len());
                groups.push(group);
            }
            Entry::Occupied(place) => {
                let first = &mut groups[*place.get()].topics;
                // No topics stand for all of them.
                *first = first.take().zip(group.topics).map(|(first, more)| [first, more].concat());
            }
        }
    }
    for topics in groups.iter_mut().filter_map(|group| group.topics.as_mut()) {
        keep_one(topics, Counts::First);
    }
    request.groups = groups;
}

asked_topic!(OffsetFetchRequestTopic: name, partition_indexes of i32, |index| *index);
asked_topic!(OffsetFetchRequestTopics: name, partition_indexes of i32, |index| *index);

fn pick(response: GroupResponse) -> Option<Result<Vec<FetchedTopic>, GroupErrorCode>> {
    match response {
        GroupResponse::FetchOffsets(fetched) => Some(fetched),
        _ => None,
    }
}

/// What is asked of one of many groups.
fn of_group(asked: &OffsetFetchRequestGroup, require_stable: bool) -> FetchOffsets {
    let topics = |topics: &Vec<OffsetFetchRequestTopics>| {
        wanted(topics.iter().map(|topic| (&topic.name, &topic.partition_indexes)))
    };
    FetchOffsets {
        group: group_id(&asked.group_id),
        member: asked.member_id.as_deref().map(MemberId::from),
        epoch: asked.member_epoch,
        topics: asked.topics.as_ref().map(topics),
        require_stable,
    }
}

/// What is asked of the only group that the version has room for.
fn of_only_group(request: &OffsetFetchRequest) -> FetchOffsets {
    let topics = |topics: &Vec<OffsetFetchRequestTopic>| {
        wanted(topics.iter().map(|topic| (&topic.name, &topic.partition_indexes)))
    };
    FetchOffsets {
        group: group_id(&request.group_id),
        member: None,
        epoch: i32::from(NONE),
        topics: request.topics.as_ref().map(topics),
        require_stable: request.require_stable,
    }
}

/// The partitions that are wanted, by topic.
fn wanted<'a>(
    topics: impl Iterator<Item = (&'a TopicName, &'a Vec<i32>)>,
) -> BTreeMap<Arc<str>, Vec<PartitionIndex>> {
    let mut wanted: BTreeMap<Arc<str>, Vec<PartitionIndex>> = BTreeMap::new();
    for (name, indexes) in topics {
        wanted.entry(name.as_str().into()).or_default().extend(indexes.iter().copied().map(PartitionIndex));
    }
    wanted
}

fn answer_group(
    asked: OffsetFetchRequestGroup,
    outcome: Result<Vec<FetchedTopic>, ResponseError>,
) -> OffsetFetchResponseGroup {
    let answer = OffsetFetchResponseGroup::default().with_group_id(asked.group_id);
    match outcome {
        Ok(topics) => answer.with_topics(topics.into_iter().map(answer_topic_of_group).collect()),
        Err(error) => answer.with_error_code(error.code()),
    }
}

/// An offset as the wire has it: offset, leader epoch, metadata.
fn parts(committed: Option<FetchedOffset>) -> (i64, i32, String) {
    committed.map_or_else(
        || (NONE.into(), NONE.into(), String::new()),
        |FetchedOffset { offset, leader_epoch, metadata }| {
            (offset.0, leader_epoch.map_or(NONE.into(), |epoch| epoch.0), metadata)
        },
    )
}

fn answer_topic_of_group(fetched: FetchedTopic) -> OffsetFetchResponseTopics {
    let partitions = fetched.partitions.into_iter().map(|(index, committed)| {
        let (offset, epoch, metadata) = parts(committed);
        OffsetFetchResponsePartitions::default()
            .with_partition_index(index.0)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(epoch)
            .with_metadata(Some(metadata.into()))
    });
    let topic = OffsetFetchResponseTopics::default()
        .with_name(TopicName(text(&fetched.name)))
        .with_partitions(partitions.collect());
    #[cfg(debug_assertions)]
    let topic = crate::faults::committed(topic);
    topic
}

fn answer_topic(fetched: FetchedTopic) -> OffsetFetchResponseTopic {
    let partitions = fetched.partitions.into_iter().map(|(index, committed)| {
        let (offset, epoch, metadata) = parts(committed);
        OffsetFetchResponsePartition::default()
            .with_partition_index(index.0)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(epoch)
            .with_metadata(Some(metadata.into()))
    });
    OffsetFetchResponseTopic::default()
        .with_name(TopicName(text(&fetched.name)))
        .with_partitions(partitions.collect())
}

/// The answer about a group that cannot be told, where the version has room for one group only.
fn refused(asked: Vec<OffsetFetchRequestTopic>, error: ResponseError, version: i16) -> OffsetFetchResponse {
    if version >= GROUP_ERROR_FROM {
        return OffsetFetchResponse::default().with_error_code(error.code());
    }
    let topics = asked.into_iter().map(|topic| {
        let partitions = topic.partition_indexes.into_iter().map(|index| {
            OffsetFetchResponsePartition::default()
                .with_partition_index(index)
                .with_committed_offset(NONE.into())
                .with_error_code(error.code())
        });
        OffsetFetchResponseTopic::default().with_name(topic.name).with_partitions(partitions.collect())
    });
    OffsetFetchResponse::default().with_topics(topics.collect())
}

#[cfg(test)]
mod tests;
