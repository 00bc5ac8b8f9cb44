//! ElectLeaders (43), versions 0-2: leaderships go to where an administrator wants them (KIP-460).
//!
//! A preferred election hands the leadership to the first replica of a partition, if that is alive and has everything: else
//! PREFERRED_LEADER_NOT_AVAILABLE. Any node takes the request, and asks the partitions' leaders, all at once. The answer comes once
//! the new leaders are known, or after the request's timeout, a minute at most. Nodes do the same by themselves two seconds after a preferred replica is
//! back.
//!
//! An unclean election makes a replica lead that lacks acknowledged records. Raft has none, so that it finds nobody:
//! ELIGIBLE_LEADERS_NOT_AVAILABLE, or ELECTION_NOT_NEEDED where there is a leader.
//!
//! No message repeats the topic's name: a request may name very many partitions of one topic.
//!
//! As in Kafka a request for all partitions is answered without those that need no election.
//!
//! * v1: the kind of election, and an error for all. v2: flexible.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::task::JoinSet;
use tokio::time::Instant;
use trilog_cluster::controller::{Handover, MetadataImage, Partition, PartitionView};
use trilog_cluster::ids::{NodeId, PartitionIndex, RaftGroupId};

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::distinct::{Counts, asked_topic, keep_one};
use super::item_error::{ItemError, parts};
use crate::connection::Reply;

/// See the module.
pub(super) struct ElectLeaders;

/// Kafka's numbers for kinds of elections.
const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

/// The least time that leaders have to answer. Kafka's controller decides at once and ignores the timeout.
const LEAST_PATIENCE: Duration = Duration::from_secs(2);

/// The most time that leaders have to answer: a longer timeout is cut to it.
const MOST_PATIENCE: Duration = Duration::from_secs(60);

/// What a partition takes in an answer that is built and encoded, in bytes.
const PARTITION_BYTES: usize = 256;

impl Handler for ElectLeaders {
    type Request = ElectLeadersRequest;
    const SERVED: Versions = Versions::new(0, 2);

    fn answer_bytes(broker: &Broker, request: &Self::Request, _: i16) -> usize {
        let partitions = match &request.topic_partitions {
            Some(topics) => topics.iter().map(|topic| topic.partitions.len()).sum(),
            None => broker.image().partition_count(),
        };
        partitions * PARTITION_BYTES
    }

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { mut request, context } = call;
        if let Some(topics) = &mut request.topic_partitions {
            keep_one(topics, Counts::First);
        }
        if ![PREFERRED, UNCLEAN].contains(&request.election_type) {
            let refused = refused(request.topic_partitions.unwrap_or_default());
            return context.now(&refused.with_error_code(ResponseError::InvalidRequest.code()));
        }
        let deadline = Instant::now() + patience(request.timeout_ms);
        let broker = Arc::clone(broker);
        context.later(async move {
            let image = broker.image();
            let tells_all = request.topic_partitions.is_some();
            let mut elections = elections(&broker, &image, request.election_type, request.topic_partitions);
            elect(&broker, &mut elections, deadline).await;
            respond(elections, tells_all)
        })
    }
}

asked_topic!(TopicPartitions: topic, partitions of i32, |partition| *partition);

/// The time that leaders have to answer, from the client's timeout in milliseconds.
fn patience(timeout_ms: i32) -> Duration {
    let stated = u64::try_from(timeout_ms).map_or(Duration::ZERO, Duration::from_millis);
    stated.clamp(LEAST_PATIENCE, MOST_PATIENCE)
}

/// A partition whose leader may change.
struct Election {
    topic: TopicName,
    index: i32,
    outcome: Outcome,
}

enum Outcome {
    /// Decided.
    Done(Result<(), ItemError>),
    /// `leader` is to hand the leadership of `group` to `preferred`.
    Open { group: RaftGroupId, leader: NodeId, preferred: NodeId },
}

/// Refuses each named partition, as Kafka does, because the kind of election is unknown.
fn refused(topics: Vec<TopicPartitions>) -> ElectLeadersResponse {
    let election = |topic: &TopicName, index| Election {
        topic: topic.clone(),
        index,
        outcome: Outcome::Done(Err(ItemError::bare(ResponseError::InvalidRequest))),
    };
    let elections = topics.iter().flat_map(|TopicPartitions { topic, partitions, .. }| {
        partitions.iter().map(|index| election(topic, *index))
    });
    respond(elections.collect(), true)
}

fn elections(
    broker: &Broker,
    image: &MetadataImage,
    kind: i8,
    asked: Option<Vec<TopicPartitions>>,
) -> Vec<Election> {
    let Some(topics) = asked else {
        let election = |PartitionView { topic, index, partition }: PartitionView<'_>| Election {
            topic: TopicName(StrBytes::from_string(topic.name.to_string())),
            index: index.0,
            outcome: outcome(broker, kind, partition),
        };
        return image.partitions().map(election).collect();
    };
    let mut elections = Vec::new();
    for TopicPartitions { topic, partitions, .. } in topics {
        let known = image.topic(&topic);
        for index in partitions {
            let partition = known.map(|known| known.partition(PartitionIndex(index)));
            let outcome = match partition {
                Some(Some(partition)) => outcome(broker, kind, partition),
                Some(None) => Outcome::Done(Err(unknown("The topic has no such partition."))),
                None => Outcome::Done(Err(unknown("There is no such topic."))),
            };
            elections.push(Election { topic: topic.clone(), index, outcome });
        }
    }
    elections
}

/// What can be said of a partition before anybody is asked.
fn outcome(broker: &Broker, kind: i8, partition: &Partition) -> Outcome {
    let leader = broker.node.acting_leadership(partition.group).map(|known| known.leader);
    let preferred = partition.replicas.first().copied();
    match (kind, leader, preferred) {
        (UNCLEAN, Some(_), _) => Outcome::Done(Err(not_needed())),
        (UNCLEAN, None, _) => Outcome::Done(Err(no_unclean())),
        (_, Some(leader), Some(preferred)) if leader == preferred => Outcome::Done(Err(not_needed())),
        (_, Some(leader), Some(preferred)) if broker.node.is_live(preferred) => {
            Outcome::Open { group: partition.group, leader, preferred }
        }
        _ => Outcome::Done(Err(unavailable())),
    }
}

const fn unknown(what: &'static str) -> ItemError {
    ItemError::fixed(ResponseError::UnknownTopicOrPartition, what)
}

const fn not_needed() -> ItemError {
    ItemError::bare(ResponseError::ElectionNotNeeded)
}

const fn unavailable() -> ItemError {
    ItemError::fixed(ResponseError::PreferredLeaderNotAvailable, "The preferred leader was not available.")
}

const fn no_unclean() -> ItemError {
    let why =
        "No replica that may lack acknowledged records ever leads: a majority of the replicas has to be up.";
    ItemError::fixed(ResponseError::EligibleLeadersNotAvailable, why)
}

/// Has the leaders hand over, and waits for the new ones.
async fn elect(broker: &Arc<Broker>, elections: &mut [Election], deadline: Instant) {
    let left = || deadline.saturating_duration_since(Instant::now());
    let mut by_leader: BTreeMap<NodeId, Vec<RaftGroupId>> = BTreeMap::new();
    for election in elections.iter() {
        if let Outcome::Open { group, leader, .. } = election.outcome {
            by_leader.entry(leader).or_default().push(group);
        }
    }
    let handovers = hand_over(broker, by_leader, left()).await;
    let is_led =
        |group, preferred| broker.node.leadership(group).is_some_and(|known| known.leader == preferred);
    let under_way: Vec<_> = elections
        .iter()
        .filter_map(|election| match election.outcome {
            Outcome::Open { group, preferred, .. } => Some((group, preferred)),
            Outcome::Done(_) => None,
        })
        .filter(|(group, _)| handovers.get(group) == Some(&Handover::UnderWay))
        .collect();
    let all_led = || under_way.iter().all(|(group, preferred)| is_led(*group, *preferred));
    let _ = broker.node.await_published(left(), all_led).await;
    for election in elections {
        if let Outcome::Open { group, preferred, .. } = election.outcome {
            let handover = handovers.get(&group).copied();
            election.outcome = Outcome::Done(concluded(handover, is_led(group, preferred)));
        }
    }
}

/// Asks all leaders at once, and returns what those answer that answer within `patience`.
async fn hand_over(
    broker: &Arc<Broker>,
    by_leader: BTreeMap<NodeId, Vec<RaftGroupId>>,
    patience: Duration,
) -> BTreeMap<RaftGroupId, Handover> {
    let mut asked = JoinSet::new();
    for (leader, groups) in by_leader {
        let broker = Arc::clone(broker);
        asked.spawn(async move {
            let outcomes = broker.node.hand_to_preferred(leader, &groups, patience).await;
            groups.into_iter().zip(outcomes.unwrap_or_default()).collect::<Vec<_>>()
        });
    }
    asked.join_all().await.into_iter().flatten().collect()
}

/// What came of an election, given the leader's answer and whether the preferred replica leads by now.
fn concluded(handover: Option<Handover>, is_led: bool) -> Result<(), ItemError> {
    match handover {
        Some(Handover::NotNeeded) => Err(not_needed()),
        _ if is_led => Ok(()),
        Some(Handover::Unavailable | Handover::NotLeader) => Err(unavailable()),
        Some(Handover::UnderWay) | None => Err(ItemError::bare(ResponseError::RequestTimedOut)),
    }
}

fn respond(elections: Vec<Election>, tells_all: bool) -> ElectLeadersResponse {
    let mut topics: Vec<ReplicaElectionResult> = Vec::new();
    for Election { topic, index, outcome } in elections {
        let Outcome::Done(outcome) = outcome else { continue };
        let (error_code, message) = parts(&outcome);
        if !tells_all && error_code == ResponseError::ElectionNotNeeded.code() {
            continue;
        }
        let partition = PartitionResult::default()
            .with_partition_id(index)
            .with_error_code(error_code)
            .with_error_message(message);
        match topics.last_mut() {
            Some(last) if last.topic == topic => last.partition_result.push(partition),
            _ => topics.push(
                ReplicaElectionResult::default().with_topic(topic).with_partition_result(vec![partition]),
            ),
        }
    }
    ElectLeadersResponse::default().with_replica_election_results(topics)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;

    use super::*;

    fn done(topic: &'static str, index: i32, outcome: Result<(), ItemError>) -> Election {
        let topic = TopicName(StrBytes::from_static_str(topic));
        Election { topic, index, outcome: Outcome::Done(outcome) }
    }

    #[test]
    fn what_needs_no_election_is_told_only_where_it_was_named() {
        let elections =
            || vec![done("a", 0, Ok(())), done("a", 1, Err(not_needed())), done("b", 0, Err(unavailable()))];
        let told = |tells_all| -> Vec<_> {
            let topics = respond(elections(), tells_all).replica_election_results;
            let partitions = topics.iter().flat_map(|topic| {
                topic
                    .partition_result
                    .iter()
                    .map(|row| (topic.topic.to_string(), row.partition_id, row.error_code))
            });
            partitions.collect()
        };
        assert_eq!(told(true), [("a".into(), 0, 0), ("a".into(), 1, 84), ("b".into(), 0, 80)]);
        assert_eq!(told(false), [("a".into(), 0, 0), ("b".into(), 0, 80)]);
    }

    #[test]
    fn the_leaders_answer_decides_until_the_preferred_replica_leads() {
        let code = |handover, is_led| parts(&concluded(handover, is_led)).0;
        assert_eq!(code(None, true), 0, "an answer may get lost");
        assert_eq!(code(None, false), 7);
        assert_eq!(code(Some(Handover::UnderWay), false), 7);
        assert_eq!(code(Some(Handover::Unavailable), false), 80);
        assert_eq!(code(Some(Handover::Unavailable), true), 0, "another request was faster");
        assert_eq!([true, false].map(|is_led| code(Some(Handover::NotNeeded), is_led)), [84, 84]);
    }

    #[test]
    fn the_clients_timeout_has_bounds() {
        assert_eq!([-1, 0, 5_000, i32::MAX].map(|ms| patience(ms).as_secs()), [2, 2, 5, 60]);
    }

    #[test]
    fn a_partition_takes_what_is_claimed_for_it_whatever_its_topic_is_called() {
        let topic = TopicName(StrBytes::from_string("x".repeat(32_000)));
        let elections = (0..1_000).map(|index| {
            let outcome = Outcome::Done(Err(unknown("There is no such topic.")));
            Election { topic: topic.clone(), index, outcome }
        });
        let encoded = respond(elections.collect(), true).compute_size(2).unwrap();
        assert!(encoded < topic.len() + 1_000 * PARTITION_BYTES / 2, "{encoded}");
    }

    #[test]
    fn every_version_can_carry_it() {
        for version in ElectLeaders::SERVED.min..=ElectLeaders::SERVED.max {
            let response = respond(vec![done("a", 0, Err(no_unclean()))], true);
            response.encode(&mut BytesMut::new(), version).unwrap();
        }
    }
}
