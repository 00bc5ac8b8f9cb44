//! The response to a produce request, from what came of each record set.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{ProduceResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use trilog_cluster::ids::NodeId;
use trilog_cluster::node::{Appended, Leadership};
use trilog_cluster::partition::record_check::RecordFault;
use uuid::Uuid;

use super::super::endpoints::{Endpoint, Endpoints, broker_id};
use super::super::item_error::ItemError;

/// From this version on a response says in words what was wrong, and with which records (KIP-467).
const MESSAGES_FROM: i16 = 8;
/// From this version on a response says who leads a partition that this node does not (KIP-951).
const LEADERS_FROM: i16 = 10;

/// What came of a record set: where it is in the log, or why it is not.
pub(super) type Outcome = Result<Appended, Refusal>;

/// Why a record set is not in the log.
pub(super) struct Refusal {
    /// What the whole batch is answered.
    pub(super) error: ItemError,
    /// The records that it is refused for, if it is for single ones. A producer may send the others again without them.
    pub(super) records: Vec<RecordFault>,
}

impl Refusal {
    /// Whether another node leads the partition.
    pub(super) fn is_moved(&self) -> bool {
        self.error.error == ResponseError::NotLeaderOrFollower
    }
}

impl From<ItemError> for Refusal {
    fn from(error: ItemError) -> Self {
        Self { error, records: Vec::new() }
    }
}

/// What came of a partition's record set.
pub(super) struct PartitionOutcome {
    /// The partition's index.
    pub(super) index: i32,
    /// What came of it.
    pub(super) outcome: Outcome,
    /// Who leads the partition, if it was refused because this node does not and the leader is known.
    pub(super) leadership: Option<Leadership>,
}

/// What came of a topic's record sets.
pub(super) struct TopicOutcomes {
    /// The topic's name as the producer gave it; empty where it gave an id.
    pub(super) name: TopicName,
    /// The topic's id as the producer gave it; zero where it gave a name.
    pub(super) id: Uuid,
    /// One outcome a record set.
    pub(super) partitions: Vec<PartitionOutcome>,
}

/// The response in `version`, for a client that sees the nodes at `endpoints`.
pub(super) fn response(topics: Vec<TopicOutcomes>, endpoints: &Endpoints, version: i16) -> ProduceResponse {
    let mut leaders = BTreeMap::new();
    let mut responses = Vec::with_capacity(topics.len());
    for TopicOutcomes { name, id, mut partitions } in topics {
        for partition in &mut partitions {
            // A leader whose address cannot be told is no help.
            let endpoint = partition
                .leadership
                .as_ref()
                .and_then(|known| Some((known.leader, endpoints.get(known.leader)?)));
            match endpoint.filter(|_| version >= LEADERS_FROM) {
                Some((leader, endpoint)) => leaders.insert(leader, endpoint).is_some(),
                None => partition.leadership.take().is_some(),
            };
        }
        let partitions = partitions.into_iter().map(|partition| partition_response(partition, version));
        let topic = TopicProduceResponse::default().with_name(name).with_topic_id(id);
        responses.push(topic.with_partition_responses(partitions.collect()));
    }
    ProduceResponse::default().with_responses(responses).with_node_endpoints(node_endpoints(leaders))
}

fn node_endpoints(leaders: BTreeMap<NodeId, &Endpoint>) -> Vec<NodeEndpoint> {
    let endpoint = |Endpoint { node, host, port, rack }: &Endpoint| {
        NodeEndpoint::default()
            .with_node_id(*node)
            .with_host(host.clone())
            .with_port(*port)
            .with_rack(rack.clone())
    };
    leaders.into_values().map(endpoint).collect()
}

fn partition_response(partition: PartitionOutcome, version: i16) -> PartitionProduceResponse {
    let PartitionOutcome { index, outcome, leadership } = partition;
    let response = PartitionProduceResponse::default().with_index(index);
    let response = match leadership {
        Some(known) => response.with_current_leader(
            LeaderIdAndEpoch::default()
                .with_leader_id(broker_id(known.leader))
                .with_leader_epoch(known.epoch.0),
        ),
        None => response,
    };
    match outcome {
        Ok(Appended { base_offset, log_append_time, log_start_offset }) => response
            .with_base_offset(base_offset.0)
            .with_log_append_time_ms(log_append_time.map_or(-1, |time| time.0))
            .with_log_start_offset(log_start_offset.0),
        Err(refusal) => refused(response, refusal, version),
    }
}

fn refused(response: PartitionProduceResponse, refusal: Refusal, version: i16) -> PartitionProduceResponse {
    let Refusal { error: ItemError { error, message }, records } = refusal;
    let response = response
        .with_error_code(error.code())
        .with_base_offset(-1)
        .with_log_append_time_ms(-1)
        .with_log_start_offset(-1);
    if version < MESSAGES_FROM {
        return response;
    }
    response.with_error_message(message).with_record_errors(records.into_iter().map(record_error).collect())
}

fn record_error(fault: RecordFault) -> BatchIndexAndErrorMessage {
    BatchIndexAndErrorMessage::default()
        .with_batch_index(i32::try_from(fault.index).unwrap_or(i32::MAX))
        .with_batch_index_error_message(Some(StrBytes::from_string(fault.reason.to_string())))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::messages::BrokerId;
    use kafka_protocol::protocol::Encodable;
    use trilog_cluster::controller::{Broker, ControllerRecord, Listener, MetadataImage};
    use trilog_cluster::ids::{LeaderEpoch, Offset, TimestampMs};
    use trilog_cluster::partition::record_check::RecordReason;

    use super::*;

    fn endpoints() -> Endpoints {
        let mut image = MetadataImage::default();
        image.replay(&ControllerRecord::BrokerRegistered(Broker {
            node: NodeId(2),
            incarnation: Uuid::nil(),
            listeners: vec![Listener { name: "PLAINTEXT".into(), host: "n2".into(), port: 9092 }],
            rack: None,
        }));
        Endpoints::new(&image, "PLAINTEXT", |_| true)
    }

    fn outcomes(leader: u32, version: i16) -> Vec<TopicOutcomes> {
        let appended = Appended {
            base_offset: Offset(7),
            log_append_time: Some(TimestampMs(9)),
            log_start_offset: Offset(1),
        };
        let moved = ItemError::new(ResponseError::NotLeaderOrFollower, "moved").into();
        let records = vec![RecordFault { index: 4, reason: RecordReason::NoKey }];
        let keyless = Refusal { error: ItemError::bare(ResponseError::InvalidRecord), records };
        let leadership = Leadership { leader: NodeId(leader), epoch: LeaderEpoch(5), isr: [].into() };
        let partitions = vec![
            PartitionOutcome { index: 0, outcome: Ok(appended), leadership: None },
            PartitionOutcome { index: 1, outcome: Err(moved), leadership: Some(leadership) },
            PartitionOutcome { index: 2, outcome: Err(keyless), leadership: None },
        ];
        let (name, id) = match version {
            13.. => (TopicName::default(), Uuid::from_u128(7)),
            _ => (TopicName(StrBytes::from_static_str("t")), Uuid::nil()),
        };
        vec![TopicOutcomes { name, id, partitions }]
    }

    #[test]
    fn every_version_can_carry_success_and_failure() {
        for version in 3..=13 {
            let response = response(outcomes(2, version), &endpoints(), version);
            let partitions = &response.responses[0].partition_responses;
            assert_eq!((partitions[0].base_offset, partitions[0].log_append_time_ms), (7, 9));
            assert_eq!((partitions[1].error_code, partitions[1].base_offset), (6, -1));
            let told: Vec<_> = partitions[2].record_errors.iter().map(|record| record.batch_index).collect();
            assert_eq!((partitions[2].error_code, told), (87, if version < 8 { vec![] } else { vec![4] }));
            response.encode(&mut BytesMut::new(), version).unwrap();
        }
    }

    #[test]
    fn a_new_leader_is_told_with_its_address() {
        let told = response(outcomes(2, 10), &endpoints(), 10);
        assert_eq!(told.node_endpoints[0].host.as_str(), "n2");
        let leader = &told.responses[0].partition_responses[1].current_leader;
        assert_eq!((leader.leader_id, leader.leader_epoch), (BrokerId(2), 5));
        for silent in [response(outcomes(2, 9), &endpoints(), 9), response(outcomes(3, 10), &endpoints(), 10)]
        {
            assert!(silent.node_endpoints.is_empty());
            assert_eq!(
                silent.responses[0].partition_responses[1].current_leader,
                LeaderIdAndEpoch::default()
            );
        }
    }
}
