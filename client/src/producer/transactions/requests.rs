//! Kafka's messages about transactions.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, FindCoordinatorRequest,
    InitProducerIdRequest, ProducerId, TransactionalId, TxnOffsetCommitRequest,
};
use tokio::time::timeout;
use trilog_protocol::ErrorCode;

use super::steps::{Answer, Call, Key, Step};
use super::{IdAndEpoch, Offsets, Place, Protocol};
use crate::Error;
use crate::cluster::{Cluster, address, on_node};
use crate::messages::{ask, group_id, millis, text, topic_name, version};
use crate::wire::Connection;

/// The feature that tells how brokers learn of a transaction's partitions.
const FEATURE: &str = "transaction.version";

/// The highest version of FindCoordinator that asks for one coordinator.
const FIND_ONE: i16 = 3;
/// From this version on, InitProducerId raises the epoch of a producer that has one (KIP-360).
const RAISES_EPOCH_FROM: i16 = 3;
/// The highest version of AddPartitionsToTxn for clients; later ones are for brokers.
const ADD_PARTITIONS: i16 = 3;
/// The highest versions of EndTxn and TxnOffsetCommit where transactions are explicit.
const EXPLICIT: i16 = 4;
/// From this version on, TxnOffsetCommit names the member (KIP-447).
const NAMES_MEMBER_FROM: i16 = 3;

/// What a producer's transactions are known by.
#[derive(Clone, Debug)]
pub(in crate::producer) struct Identity {
    /// `transactional.id`.
    pub(in crate::producer) id: Arc<str>,
    /// `transaction.timeout.ms`.
    pub(in crate::producer) timeout: Duration,
    /// How long a broker may take for an answer.
    pub(in crate::producer) patience: Duration,
}

/// Sends a request to the coordinator, or to any broker.
pub(in crate::producer) async fn perform(
    cluster: &Cluster,
    identity: &Identity,
    step: Step,
) -> Result<Answer, Error> {
    let Step { node, call } = step;
    if let Some(node) = node {
        let patience = identity.patience;
        return on_node(cluster, node, patience, async |connection| identity.send(connection, call).await)
            .await;
    }
    let Call::FindCoordinator(key) = call else {
        return Err(Error::Malformed { cause: "a request without a broker".to_owned() });
    };
    let limit = identity.patience;
    let asking = cluster.on_any(async |connection| identity.find_coordinator(connection, &key).await);
    let answer = timeout(limit, asking).await.unwrap_or_else(|_| {
        let cause = "no broker has named the coordinator".to_owned();
        Err(Error::Timeout { what: "FindCoordinator", limit, cause })
    });
    match answer {
        Ok((node, address)) => {
            // It may be newer than the metadata, or have moved.
            cluster.located(node, address);
            Ok(Answer::Coordinator(node))
        }
        Err(error) => {
            if !matches!(error, Error::Broker { .. }) {
                // None of the brokers that are known answers.
                cluster.ask_anew();
            }
            Err(error)
        }
    }
}

impl Identity {
    fn transactional_id(&self) -> TransactionalId {
        TransactionalId(text(&self.id))
    }

    async fn find_coordinator(
        &self,
        connection: &Connection,
        key: &Key,
    ) -> Result<(i32, crate::config::Address), Error> {
        let version = version::<FindCoordinatorRequest>(connection, FIND_ONE)?;
        let request = match key {
            Key::Transaction => FindCoordinatorRequest::default().with_key(text(&self.id)).with_key_type(1),
            Key::Group(group) => FindCoordinatorRequest::default().with_key(text(group)),
        };
        if version == 0 && *key == Key::Transaction {
            let cause = "FindCoordinator 0 finds no coordinator of transactions".to_owned();
            return Err(Error::Unsupported { cause });
        }
        let answer = connection.request_at_version(request, version).await?;
        let message = answer.error_message.map(|message| message.to_string()).filter(|text| !text.is_empty());
        let refused = |code| Error::Broker { code, message };
        ErrorCode(answer.error_code).check().map_err(refused)?;
        Ok((answer.node_id.0, address(&answer.host, answer.port)?))
    }

    async fn send(&self, connection: &Connection, call: Call) -> Result<Answer, Error> {
        let level = connection.versions().feature(FEATURE).unwrap_or(0);
        match call {
            Call::InitProducerId { producer } => {
                let producer = self.init(connection, producer).await?;
                Ok(Answer::Producer(producer, level))
            }
            Call::AddPartitions { producer, partitions } => {
                self.add_partitions(connection, producer, partitions).await
            }
            Call::AddOffsets { producer, group } => {
                let request = AddOffsetsToTxnRequest::default()
                    .with_transactional_id(self.transactional_id())
                    .with_producer_id(ProducerId(producer.id))
                    .with_producer_epoch(producer.epoch)
                    .with_group_id(group_id(&group));
                let answer = ask(connection, request, EXPLICIT).await?;
                ErrorCode(answer.error_code).check().map_err(Error::code)?;
                Ok(Answer::Added)
            }
            Call::CommitOffsets { producer, offsets, protocol } => {
                self.commit_offsets(connection, producer, &offsets, protocol).await
            }
            Call::EndTxn { producer, commits, protocol } => {
                let request = EndTxnRequest::default()
                    .with_transactional_id(self.transactional_id())
                    .with_producer_id(ProducerId(producer.id))
                    .with_producer_epoch(producer.epoch)
                    .with_committed(commits);
                let answer = ask(connection, request, protocol.cap()).await?;
                ErrorCode(answer.error_code).check().map_err(Error::code)?;
                let next = IdAndEpoch { id: answer.producer_id.0, epoch: answer.producer_epoch };
                Ok(Answer::Ended((next.id >= 0 && next.epoch >= 0).then_some(next), level))
            }
            Call::FindCoordinator(_) => {
                Err(Error::Malformed { cause: "any broker is asked for a coordinator".to_owned() })
            }
        }
    }

    async fn init(&self, connection: &Connection, producer: Option<IdAndEpoch>) -> Result<IdAndEpoch, Error> {
        let version = version::<InitProducerIdRequest>(connection, i16::MAX)?;
        if producer.is_some() && version < RAISES_EPOCH_FROM {
            let cause = format!("InitProducerId {version} does not raise a producer's epoch");
            return Err(Error::Unsupported { cause });
        }
        let mut request = InitProducerIdRequest::default()
            .with_transactional_id(Some(self.transactional_id()))
            .with_transaction_timeout_ms(millis(self.timeout))
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        if let Some(IdAndEpoch { id, epoch }) = producer {
            request = request.with_producer_id(ProducerId(id)).with_producer_epoch(epoch);
        }
        let answer = connection.request_at_version(request, version).await?;
        ErrorCode(answer.error_code).check().map_err(Error::code)?;
        let (id, epoch) = (answer.producer_id.0, answer.producer_epoch);
        if id < 0 || epoch < 0 {
            return Err(Error::Malformed { cause: format!("producer id {id} with epoch {epoch}") });
        }
        Ok(IdAndEpoch { id, epoch })
    }

    async fn add_partitions(
        &self,
        connection: &Connection,
        producer: IdAndEpoch,
        partitions: Vec<Place>,
    ) -> Result<Answer, Error> {
        let mut topics = BTreeMap::<&str, Vec<i32>>::new();
        for (topic, partition) in &partitions {
            topics.entry(topic).or_default().push(*partition);
        }
        let topics = topics.into_iter().map(|(topic, partitions)| {
            AddPartitionsToTxnTopic::default().with_name(topic_name(topic)).with_partitions(partitions)
        });
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(self.transactional_id())
            .with_v3_and_below_producer_id(ProducerId(producer.id))
            .with_v3_and_below_producer_epoch(producer.epoch)
            .with_v3_and_below_topics(topics.collect());
        let answer = ask(connection, request, ADD_PARTITIONS).await?;
        let mut codes = HashMap::new();
        for topic in &answer.results_by_topic_v3_and_below {
            for row in &topic.results_by_partition {
                codes.insert((topic.name.as_str(), row.partition_index), row.partition_error_code);
            }
        }
        Ok(each(partitions, &codes))
    }

    async fn commit_offsets(
        &self,
        connection: &Connection,
        producer: IdAndEpoch,
        offsets: &Offsets,
        protocol: Protocol,
    ) -> Result<Answer, Error> {
        let version = version::<TxnOffsetCommitRequest>(connection, protocol.cap())?;
        let answer = connection
            .request_at_version(self.txn_offset_commit(version, producer, offsets)?, version)
            .await?;
        let mut codes = HashMap::new();
        for topic in &answer.topics {
            for row in &topic.partitions {
                codes.insert((topic.name.as_str(), row.partition_index), row.error_code);
            }
        }
        let places = offsets.offsets.keys().map(|place| (Arc::clone(&place.topic), place.partition));
        Ok(each(places.collect(), &codes))
    }

    fn txn_offset_commit(
        &self,
        version: i16,
        producer: IdAndEpoch,
        offsets: &Offsets,
    ) -> Result<TxnOffsetCommitRequest, Error> {
        let group = &offsets.group;
        let mut topics = BTreeMap::<&str, Vec<TxnOffsetCommitRequestPartition>>::new();
        for (place, commit) in &offsets.offsets {
            let mut row = TxnOffsetCommitRequestPartition::default()
                .with_partition_index(place.partition)
                .with_committed_offset(commit.offset)
                .with_committed_metadata(Some(text(&commit.metadata)));
            if version >= 2 {
                row.committed_leader_epoch = commit.leader_epoch.unwrap_or(-1);
            }
            topics.entry(&place.topic).or_default().push(row);
        }
        let topics = topics.into_iter().map(|(topic, partitions)| {
            TxnOffsetCommitRequestTopic::default().with_name(topic_name(topic)).with_partitions(partitions)
        });
        let mut request = TxnOffsetCommitRequest::default()
            .with_transactional_id(self.transactional_id())
            .with_group_id(group_id(&group.group))
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(producer.epoch)
            .with_topics(topics.collect());
        if version >= NAMES_MEMBER_FROM {
            request = request
                .with_generation_id(group.generation)
                .with_member_id(text(&group.member_id))
                .with_group_instance_id(group.instance.as_deref().map(text));
        } else if group.is_member() {
            // Without the member's name, the group would take offsets from one that it has given up.
            let cause =
                format!("TxnOffsetCommit {version} does not tell the group which member sends offsets");
            return Err(Error::Unsupported { cause });
        }
        Ok(request)
    }
}

impl Protocol {
    /// The highest version of EndTxn and TxnOffsetCommit.
    const fn cap(self) -> i16 {
        match self {
            Self::Explicit => EXPLICIT,
            Self::Implicit => i16::MAX,
        }
    }
}

/// Each partition's code. One that the answer does not mention is to be asked about again.
fn each(places: Vec<Place>, codes: &HashMap<(&str, i32), i16>) -> Answer {
    let code = |place: Place| {
        let code = codes.get(&(&*place.0, place.1)).copied();
        (place, code.map_or(ErrorCode::OPERATION_NOT_ATTEMPTED, ErrorCode))
    };
    Answer::Parts(places.into_iter().map(code).collect())
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::{Encodable, Message};

    use super::*;
    use crate::consumer::{CommitOffset, GroupMetadata, TopicPartition};

    fn identity() -> Identity {
        Identity { id: "copy-1".into(), timeout: Duration::from_secs(60), patience: Duration::from_secs(30) }
    }

    fn offsets(group: GroupMetadata) -> Offsets {
        let commit = CommitOffset { offset: 5, leader_epoch: Some(3), metadata: "m".to_owned() };
        let offsets =
            [(TopicPartition::new("a", 1), commit), (TopicPartition::new("a", 2), CommitOffset::at(7))];
        Offsets { group, offsets: offsets.into() }
    }

    fn member() -> GroupMetadata {
        GroupMetadata {
            generation: 4,
            member_id: "m-1".to_owned(),
            instance: Some("i-1".to_owned()),
            ..GroupMetadata::of_group("g")
        }
    }

    #[test]
    fn offsets_can_be_written_in_every_version_that_tells_the_member() {
        let producer = IdAndEpoch { id: 7, epoch: 2 };
        for version in TxnOffsetCommitRequest::VERSIONS.min..=TxnOffsetCommitRequest::VERSIONS.max {
            let request = identity().txn_offset_commit(version, producer, &offsets(member()));
            if version < NAMES_MEMBER_FROM {
                let error = request.unwrap_err();
                assert!(matches!(error, Error::Unsupported { .. }), "{error}");
                let anybody = offsets(GroupMetadata::of_group("g"));
                let request = identity().txn_offset_commit(version, producer, &anybody).unwrap();
                request.encode(&mut BytesMut::new(), version).unwrap();
                continue;
            }
            let request = request.unwrap();
            request.encode(&mut BytesMut::new(), version).unwrap();
            assert_eq!((request.generation_id, request.member_id.as_str()), (4, "m-1"));
            assert_eq!(request.group_instance_id.as_deref(), Some("i-1"));
            assert_eq!((request.producer_id.0, request.producer_epoch), (7, 2));
            let rows = &request.topics[0].partitions;
            let told = (rows[0].committed_offset, rows[0].committed_leader_epoch);
            assert_eq!((told, rows[1].committed_leader_epoch), ((5, 3), -1));
        }
    }

    #[test]
    fn a_partition_that_an_answer_does_not_mention_is_asked_about_again() {
        let places = vec![("a".into(), 0), ("b".into(), 1)];
        let codes = HashMap::from([(("a", 0), 0), (("c", 1), 0)]);
        let Answer::Parts(codes) = each(places, &codes) else { panic!("a code each") };
        assert_eq!(codes[0].1, ErrorCode::NONE);
        assert_eq!(codes[1], (("b".into(), 1), ErrorCode::OPERATION_NOT_ATTEMPTED));
    }
}
