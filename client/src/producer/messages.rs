//! Produce and InitProducerId between Kafka's messages and this crate's types.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::produce_response::{LeaderIdAndEpoch, PartitionProduceResponse};
use kafka_protocol::messages::{InitProducerIdRequest, ProduceRequest, ProduceResponse, ProducerId};
use tokio::task::spawn_blocking;
use trilog_protocol::ErrorCode;
use trilog_protocol::compression::Compression;

use super::encode::{self, TopicBatches};
use super::lane::{PartReply, Terms};
use super::machine::{Outbound, Part};
use super::transactions::Protocol;
use crate::Error;
use crate::cluster::address;
use crate::config::Address;
use crate::metadata::{LeaderHint, NodeId};
use crate::metrics::Counter;
use crate::wire::{ClientError, Connection};

/// The highest version that names topics; from 13 on their ids stand for them.
const HIGHEST_BY_NAME: i16 = 12;
/// The highest version by which a partition does not join the producer's transaction (KIP-890).
const HIGHEST_EXPLICIT: i16 = 11;

/// Compressing more than this takes so long that it is left to a thread that may block.
const COMPRESS_IN_PLACE: usize = 128 << 10;

/// How batches are written.
#[derive(Clone, Debug)]
pub(super) struct Encoding {
    pub(super) compression: Compression,
    pub(super) bytes_sent: Arc<Counter>,
}

/// Topic and partition of each part, in order.
pub(super) type Addressees = Vec<(Arc<str>, i32)>;

/// What a broker says of one part.
#[derive(Clone, Debug)]
pub(super) enum PartOutcome {
    /// It is appended.
    Appended { base_offset: Option<i64>, append_time: Option<i64> },
    /// It is refused.
    Failed { code: ErrorCode, message: Option<String> },
    /// The answer does not mention it.
    Missing,
}

/// Who the parts of a request are for.
pub(super) fn addressees(parts: &[Part]) -> Addressees {
    parts.iter().map(|part| (Arc::clone(&part.topic), part.partition)).collect()
}

/// Writes and compresses the batches of a request. Returns its body in pieces, with the version to send it in.
///
/// # Errors
///
/// [`Error::Unsupported`] and [`Error::Unencodable`]: no further attempt would do better.
pub(super) async fn produce_request(
    request: Outbound,
    terms: &Terms,
    connection: &Connection,
) -> Result<(Vec<Bytes>, i16), Error> {
    let Outbound { parts, protocol, .. } = request;
    let highest = connection.versions().negotiate::<ProduceRequest>()?;
    let version = match protocol {
        Some(Protocol::Explicit) => highest.min(HIGHEST_EXPLICIT),
        Some(Protocol::Implicit) | None => highest.min(HIGHEST_BY_NAME),
    };
    let transactional_id = terms.transactional.as_ref().map(|transactional| &*transactional.id);
    connection.versions().check::<ProduceRequest>(version)?;
    let addressees = addressees(&parts);
    let mut topics: Vec<TopicBatches<'_>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (part, (topic, partition)) in parts.into_iter().zip(&addressees) {
        let batch = written(part, terms.encoding.compression).await?;
        terms.encoding.bytes_sent.add(batch.iter().map(|piece| piece.len() as u64).sum());
        let place = *places.entry(topic).or_insert_with(|| {
            topics.push(TopicBatches { topic, batches: Vec::new() });
            topics.len() - 1
        });
        topics[place].batches.push((*partition, batch));
    }
    let timeout_ms = i32::try_from(terms.timeout.as_millis()).unwrap_or(i32::MAX);
    Ok((encode::body(version, transactional_id, terms.acks, timeout_ms, topics), version))
}

async fn written(part: Part, compression: Compression) -> Result<[Bytes; 2], Error> {
    let is_long = part.content.uncompressed_len() > COMPRESS_IN_PLACE;
    let write = move || part.content.finish_in_pieces(compression, &part.origin);
    let written = if is_long && compression != Compression::NONE {
        let blocking = spawn_blocking(write).await;
        blocking.map_err(|error| Error::Unencodable { cause: error.to_string() })?
    } else {
        write()
    };
    written.map_err(|error| Error::Unencodable { cause: error.to_string() })
}

/// What an answer says of each part of its request.
pub(super) fn part_replies(response: ProduceResponse, asked: &[(Arc<str>, i32)]) -> Vec<PartReply> {
    let endpoints: HashMap<NodeId, Address> = response
        .node_endpoints
        .iter()
        .filter_map(|node| Some((node.node_id.0, address(&node.host, node.port).ok()?)))
        .collect();
    let mut replies: HashMap<(&str, i32), &PartitionProduceResponse> = HashMap::new();
    for topic in &response.responses {
        for reply in &topic.partition_responses {
            replies.insert((topic.name.0.as_str(), reply.index), reply);
        }
    }
    let part = |(topic, partition): &(Arc<str>, i32)| match replies.get(&(&**topic, *partition)) {
        Some(reply) => PartReply { outcome: outcome(reply), hint: hint(&reply.current_leader, &endpoints) },
        None => PartReply { outcome: PartOutcome::Missing, hint: None },
    };
    asked.iter().map(part).collect()
}

fn outcome(reply: &PartitionProduceResponse) -> PartOutcome {
    let known = |number: i64| (number >= 0).then_some(number);
    let code = ErrorCode(reply.error_code);
    if code == ErrorCode::NONE {
        let append_time = known(reply.log_append_time_ms);
        return PartOutcome::Appended { base_offset: known(reply.base_offset), append_time };
    }
    PartOutcome::Failed { code, message: reply.error_message.as_ref().map(ToString::to_string) }
}

fn hint(told: &LeaderIdAndEpoch, endpoints: &HashMap<NodeId, Address>) -> Option<LeaderHint> {
    let leader = told.leader_id.0;
    let address = endpoints.get(&leader).cloned();
    (leader >= 0).then_some(LeaderHint { leader, leader_epoch: told.leader_epoch, address })
}

/// Asks for a producer id.
pub(super) async fn producer_id(connection: &Connection) -> Result<(i64, i16), Error> {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(i32::MAX)
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1);
    let response = connection.request(request).await.map_err(|error: ClientError| Error::from(error))?;
    ErrorCode(response.error_code).check().map_err(Error::code)?;
    let (id, epoch) = (response.producer_id.0, response.producer_epoch);
    if id < 0 || epoch < 0 {
        return Err(Error::Malformed { cause: format!("producer id {id} with epoch {epoch}") });
    }
    Ok((id, epoch))
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::produce_response::{NodeEndpoint, TopicProduceResponse};
    use kafka_protocol::messages::{BrokerId, TopicName};
    use kafka_protocol::protocol::StrBytes;

    use super::*;

    fn asked() -> Addressees {
        vec![("a".into(), 0), ("b".into(), 1)]
    }

    fn response(topic: &'static str, replies: Vec<PartitionProduceResponse>) -> ProduceResponse {
        let name = TopicName(StrBytes::from_static_str(topic));
        let topic = TopicProduceResponse::default().with_name(name).with_partition_responses(replies);
        ProduceResponse::default().with_responses(vec![topic])
    }

    #[test]
    fn each_part_finds_its_reply_and_what_was_not_asked_is_ignored() {
        let reply = |index| PartitionProduceResponse::default().with_index(index).with_base_offset(7);
        let replies = part_replies(response("b", vec![reply(1), reply(9)]), &asked());
        assert!(matches!(replies[0].outcome, PartOutcome::Missing));
        let appended = &replies[1].outcome;
        assert!(matches!(appended, PartOutcome::Appended { base_offset: Some(7), append_time: None }));
    }

    #[test]
    fn a_refusal_names_the_next_leader_and_where_it_listens() {
        let leader = LeaderIdAndEpoch::default().with_leader_id(BrokerId(3)).with_leader_epoch(5);
        let reply = PartitionProduceResponse::default().with_error_code(6).with_current_leader(leader);
        let host = StrBytes::from_static_str("three");
        let endpoint = NodeEndpoint::default().with_node_id(BrokerId(3)).with_host(host).with_port(9);
        let told = response("a", vec![reply]).with_node_endpoints(vec![endpoint]);
        let reply = part_replies(told, &asked()).swap_remove(0);
        let address = Some(Address { host: "three".to_owned(), port: 9 });
        assert_eq!(reply.hint, Some(LeaderHint { leader: 3, leader_epoch: 5, address }));
    }
}
