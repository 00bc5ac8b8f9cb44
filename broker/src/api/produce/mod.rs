//! Produce (0), versions 3-13: records into partitions.
//!
//! Each partition's record set is checked, put in line behind the ones before it, and answered when it is
//! committed: stored by a majority of the partition's replicas. That holds for `acks=1` as well as for
//! `acks=all`, as a leader alone can promise nothing; `acks=all` also demands `min.insync.replicas` in-sync
//! replicas. With `acks=0` there is no answer. If such a request fails, at once or when its turn in the log has come, the
//! connection is closed, as in Kafka: it makes the client refresh its metadata.
//!
//! A request's memory is held until all of its record sets are decided, also when there is no answer, when that was
//! REQUEST_TIMED_OUT, and when the client has left: they wait in queues that nothing else bounds. A connection whose requests
//! hold as much as they may is not read. Where a leader is deposed, what is in its log is held no longer: without a majority it would
//! stay undecided, and keep the memory from other partitions.
//!
//! The order of record sets in a partition is that of the requests on a connection: checking and queueing are
//! done before a request's turn ends, and only the wait is left for later.
//!
//! What is not committed when the request's timeout is over (30 s at least with `acks=1`, to which Kafka applies none), and what was in flight when this node lost the
//! partition, is answered REQUEST_TIMED_OUT: it may be committed yet, or not. Producers send it again, and an
//! idempotent one is recognised.
//!
//! A partition that has just lost its leader is about to elect another. A record set for it that is refused for
//! that is answered when the election is over, with the new leader (v10).
//!
//! The cluster's own topics are not written by clients: INVALID_TOPIC_EXCEPTION.
//!
//! * v0-2 are listed and not served, as in Apache Kafka: nobody sends them any more, but librdkafka up to 2.11
//!   takes their absence for a broker that cannot read compressed batches (KAFKA-18659).
//! * v3: record batches (magic 2), transactional id. v4: KAFKA_STORAGE_ERROR exists. v5: log start offset.
//! * v7: zstd (KIP-110). v8: an error message, and which records a batch is refused for (KIP-467). v9: flexible.
//! * v10: the new leader comes with NOT_LEADER_OR_FOLLOWER (KIP-951). v11: an error for transactions
//!   (KIP-890).
//! * v12: transactions add their partitions by writing to them (KIP-890); of no meaning to other producers, and transactional
//!   batches are refused in every version. v13: topics by id (KIP-516); an id that is not known is answered UNKNOWN_TOPIC_ID.

mod answer;
mod intake;

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::produce_request::TopicProduceData;
use kafka_protocol::messages::{ProduceRequest, TopicName};
use tokio::time::Instant;
use trilog_cluster::controller::MetadataImage;
use trilog_cluster::ids::{RaftGroupId, TopicId};
use trilog_cluster::node::{AppendError, Leadership};
use uuid::Uuid;

use self::answer::{Outcome, PartitionOutcome, Refusal, TopicOutcomes};
use self::intake::{Intake, Pending};
use super::broker::Broker;
use super::call::{Call, CallContext, Handler, Versions};
use super::item_error::ItemError;
use super::metadata::ELECTION_TIMEOUT;
use crate::connection::{Answer, CloseReason, Reply};

/// See the module.
pub(super) struct Produce;

/// From this version on topics are named by id.
const BY_ID_FROM: i16 = 13;

/// The least time that a commit has with `acks=1`. A shorter timeout of the request does not count.
const LEAST_FOR_ACKS_LEADER: Duration = Duration::from_secs(30);

/// How many acknowledgements a producer can ask for.
const ACKS_NONE: i16 = 0;
const ACKS_LEADER: i16 = 1;
const ACKS_ALL: i16 = -1;

impl Handler for Produce {
    type Request = ProduceRequest;
    const SERVED: Versions = Versions::new(3, 13);
    const LISTED_FROM: i16 = 0;

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        #[cfg(debug_assertions)]
        let mut call = call;
        #[cfg(debug_assertions)]
        if let Some(wait) = crate::faults::held_back(&mut call.request) {
            return late(Arc::clone(broker), call, wait);
        }
        let Call { request, context } = call;
        let acks = request.acks;
        let deadline = Instant::now() + patience(acks, request.timeout_ms);
        #[cfg(debug_assertions)]
        let is_refused = crate::faults::is_refused(&request);
        let topics = take_in(broker, request, &context);
        context.release_share();
        if acks == ACKS_NONE {
            return unanswered(topics, deadline);
        }
        let broker = Arc::clone(broker);
        #[cfg(debug_assertions)]
        if is_refused {
            return Reply::later(async move { refused(&broker, topics, deadline, &context).await });
        }
        Reply::later(async move { answered(&broker, topics, deadline, &context).await })
    }
}

/// How long the commit is waited for. The timeout is of `acks=all` alone: with `acks=1` Kafka's answer comes with the append, and a
/// batch that is on its way must not be called late.
fn patience(acks: i16, timeout_ms: i32) -> Duration {
    let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
    if acks == ACKS_LEADER { timeout.max(LEAST_FOR_ACKS_LEADER) } else { timeout }
}

/// Stage two: the answer, once everything is committed that will be in time.
async fn answered(
    broker: &Broker,
    topics: Vec<TopicPending>,
    deadline: Instant,
    context: &CallContext,
) -> Answer {
    let outcomes = await_commits(broker, topics, deadline).await;
    let image = broker.image();
    let endpoints = broker.endpoints(&image, context.listener());
    context.answer(&answer::response(outcomes, &endpoints, context.version))
}

/// The answer that refuses what is committed.
#[cfg(debug_assertions)]
async fn refused(
    broker: &Broker,
    topics: Vec<TopicPending>,
    deadline: Instant,
    context: &CallContext,
) -> Answer {
    let mut outcomes = await_commits(broker, topics, deadline).await;
    for partition in outcomes.iter_mut().flat_map(|topic| &mut topic.partitions) {
        partition.outcome = Err(ItemError::bare(ResponseError::NotEnoughReplicas).into());
    }
    let image = broker.image();
    context.answer(&answer::response(
        outcomes,
        &broker.endpoints(&image, context.listener()),
        context.version,
    ))
}

/// The answer to a request whose turn comes when others have had theirs.
#[cfg(debug_assertions)]
fn late(broker: Arc<Broker>, call: Call<ProduceRequest>, wait: Duration) -> Reply {
    let Call { request, context } = call;
    let deadline = Instant::now() + patience(request.acks, request.timeout_ms);
    Reply::later(async move {
        tokio::time::sleep(wait).await;
        let topics = take_in(&broker, request, &context);
        answered(&broker, topics, deadline, &context).await
    })
}

/// A topic's record sets, each refused or on its way into the log.
struct TopicPending {
    name: TopicName,
    id: Uuid,
    partitions: Vec<(i32, Pending)>,
}

/// Stage one: checks every record set and puts it in line.
fn take_in(broker: &Broker, request: ProduceRequest, context: &CallContext) -> Vec<TopicPending> {
    let image = broker.image();
    let known_acks = matches!(request.acks, ACKS_NONE | ACKS_LEADER | ACKS_ALL);
    let intake = known_acks.then(|| Intake::new(broker, request.acks == ACKS_ALL, context));
    let topics = request.topic_data.into_iter();
    topics.map(|topic| take_in_topic(&image, intake.as_ref(), topic, context.version)).collect()
}

fn take_in_topic(
    image: &MetadataImage,
    intake: Option<&Intake<'_>>,
    data: TopicProduceData,
    version: i16,
) -> TopicPending {
    let (topic, unknown) = if version >= BY_ID_FROM {
        (image.topic_by_id(TopicId(data.topic_id)), ResponseError::UnknownTopicId)
    } else {
        (image.topic(&data.name), ResponseError::UnknownTopicOrPartition)
    };
    let topic = topic.and_then(|topic| Some(intake?.topic(image, topic)));
    let partitions = data.partition_data.into_iter().map(|partition| {
        let pending = match (&topic, intake) {
            (_, None) => refused_as(ResponseError::InvalidRequiredAcks),
            (None, _) => refused_as(unknown),
            (Some(topic), _) => topic.take_in(partition.index, partition.records),
        };
        (partition.index, pending)
    });
    TopicPending { partitions: partitions.collect(), name: data.name, id: data.topic_id }
}

fn refused_as(error: ResponseError) -> Pending {
    Pending::Refused(ItemError::bare(error).into(), None)
}

/// The end of a request without acknowledgement: nothing, or a closed connection. What is not decided by the deadline is
/// not waited for any longer.
fn unanswered(topics: Vec<TopicPending>, deadline: Instant) -> Reply {
    let mut appends = Vec::new();
    for (_, pending) in topics.into_iter().flat_map(|topic| topic.partitions) {
        match pending {
            Pending::Refused(refusal, _) => {
                return CloseReason::UnansweredProduceFailed(refusal.error.error).into();
            }
            Pending::Appending(_, append) => appends.push(append),
        }
    }
    Reply::unanswered(async move {
        for append in appends {
            match tokio::time::timeout_at(deadline, append).await {
                // Nobody knows of a failure.
                Ok(Ok(_) | Err(AppendError::Unknown)) | Err(_) => {}
                Ok(Err(error)) => {
                    return Err(CloseReason::UnansweredProduceFailed(ItemError::from(error).error));
                }
            }
        }
        Ok(())
    })
}

/// Stage two: waits for the commits. All are under way at once, so waiting for one after the other costs
/// nothing.
async fn await_commits(broker: &Broker, topics: Vec<TopicPending>, deadline: Instant) -> Vec<TopicOutcomes> {
    let mut outcomes = Vec::with_capacity(topics.len());
    for TopicPending { name, id, partitions } in topics {
        let mut answered = Vec::with_capacity(partitions.len());
        for (index, pending) in partitions {
            let (group, outcome): (_, Outcome) = match pending {
                Pending::Refused(refusal, group) => (group, Err(refusal)),
                Pending::Appending(group, append) => match tokio::time::timeout_at(deadline, append).await {
                    Ok(appended) => (Some(group), appended.map_err(|error| ItemError::from(error).into())),
                    Err(_) => (Some(group), Err(ItemError::bare(ResponseError::RequestTimedOut).into())),
                },
            };
            let moved = outcome.as_ref().is_err_and(Refusal::is_moved);
            let leadership = match group.filter(|_| moved) {
                Some(group) => next_leader(broker, group).await,
                None => None,
            };
            answered.push(PartitionOutcome { index, outcome, leadership });
        }
        outcomes.push(TopicOutcomes { name, id, partitions: answered });
    }
    outcomes
}

/// Who leads a partition instead of this node. While it is being elected, that is waited for: told of nobody, a producer
/// would wait for longer than an election takes before it asks again.
async fn next_leader(broker: &Broker, group: RaftGroupId) -> Option<Leadership> {
    let electing =
        || broker.image().partition_of(group).is_some_and(|view| broker.node.is_electing(view.partition));
    broker.node.await_published(ELECTION_TIMEOUT, || !electing()).await;
    broker.node.leadership(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_timeout_is_for_acks_all() {
        for (acks, timeout_ms, expected_ms) in
            [(-1, 0, 0), (-1, -5, 0), (-1, 40_000, 40_000), (1, 0, 30_000), (1, 40_000, 40_000)]
        {
            assert_eq!(patience(acks, timeout_ms), Duration::from_millis(expected_ms), "{acks} {timeout_ms}");
        }
    }
}
