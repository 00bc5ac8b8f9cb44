//! The response to a fetch, as slices: record batches stand in it as they came from the log, uncopied.
//!
//! kafka-protocol encodes into one buffer. So each message is encoded by it with its list or its records
//! empty, as the message's last field, and what belongs there is put in afterwards: field by field the crate
//! knows the format, and only where the gaps are is known here. A test holds the outcome against the crate's
//! own reading in every version.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::FetchResponse;
use kafka_protocol::messages::fetch_response::{
    EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use kafka_protocol::protocol::Encodable;
use trilog_cluster::ids::{NodeId, RaftGroupId};
use trilog_cluster::node::Leadership;

use super::super::endpoints::{Endpoint, Endpoints, broker_id};
use super::partition::{NO_OFFSET, PartitionFetch, Reading};
use super::pass::TopicFetch;

/// From this version on messages are flexible: compact lengths, tagged fields.
const FLEXIBLE_FROM: i16 = 12;
/// From this version on a response has an error and a session of its own.
const SESSION_FROM: i16 = 7;
/// From this version on a response says who leads a partition that this node does not (KIP-951).
const LEADERS_FROM: i16 = 16;

/// Batches below this size, in bytes, are copied after all: a slice of its own costs more.
const COPIED_BATCH: usize = 2 << 10;

/// What the client wants the response to be like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// The response's version.
    pub(super) version: i16,
    /// Whether aborted transactions are listed. There are none, but who asks is not told null.
    pub(super) aborted_transactions: bool,
    /// The session, 0 for none.
    pub(super) session_id: i32,
}

/// The response's body. `leadership` is what this node knows of a group.
pub(super) fn body(
    topics: Vec<TopicFetch>,
    form: Form,
    leadership: impl Fn(RaftGroupId) -> Option<Leadership>,
    endpoints: &Endpoints,
) -> Vec<Bytes> {
    let mut leaders = Leaders { form, leadership, endpoints, named: BTreeMap::new() };
    let partitions: Vec<Vec<Partition>> = topics
        .iter()
        .map(|topic| topic.partitions.iter().map(|fetch| partition(fetch, form, leaders.of(fetch))).collect())
        .collect();
    let mut body = Body::new(form.version);
    let rest = body.open(&leaders.into_response(), topics.len());
    for (topic, partitions) in topics.into_iter().zip(partitions) {
        body.put_topic(topic, partitions);
    }
    body.head.put(rest);
    body.into_parts()
}

/// A partition's part of the response: the message without its records, and the records.
type Partition = (PartitionData, Vec<Bytes>);

fn partition(fetch: &PartitionFetch, form: Form, leader: Option<LeaderIdAndEpoch>) -> Partition {
    let data = PartitionData::default()
        .with_partition_index(fetch.index)
        .with_aborted_transactions(form.aborted_transactions.then(Vec::new))
        .with_records(Some(Bytes::new()));
    match &fetch.outcome {
        Ok(reading) => read(data, reading),
        Err(error) => {
            let data = data
                .with_error_code(error.code())
                .with_high_watermark(NO_OFFSET)
                .with_last_stable_offset(NO_OFFSET)
                .with_log_start_offset(NO_OFFSET)
                .with_current_leader(leader.unwrap_or_default());
            (data, Vec::new())
        }
    }
}

fn read(data: PartitionData, reading: &Reading) -> Partition {
    let mut data = data
        .with_high_watermark(reading.high_watermark.0)
        .with_last_stable_offset(reading.high_watermark.0)
        .with_log_start_offset(reading.log_start_offset.0);
    if let Some((epoch, end)) = reading.diverging {
        assert!(reading.batches.is_empty(), "a log that diverges is not read");
        data =
            data.with_diverging_epoch(EpochEndOffset::default().with_epoch(epoch.0).with_end_offset(end.0));
    }
    (data, reading.batches.clone())
}

/// Whom to name instead of this node.
struct Leaders<'a, L> {
    form: Form,
    leadership: L,
    endpoints: &'a Endpoints,
    named: BTreeMap<NodeId, &'a Endpoint>,
}

impl<L: Fn(RaftGroupId) -> Option<Leadership>> Leaders<'_, L> {
    /// The leader of a partition that was refused because this node does not lead it, or not as the client
    /// believes.
    fn of(&mut self, fetch: &PartitionFetch) -> Option<LeaderIdAndEpoch> {
        let moved = matches!(
            fetch.outcome,
            Err(ResponseError::NotLeaderOrFollower | ResponseError::FencedLeaderEpoch)
        );
        let told = moved && self.form.version >= LEADERS_FROM;
        let known = (self.leadership)(fetch.group.filter(|_| told)?)?;
        self.named.insert(known.leader, self.endpoints.get(known.leader)?);
        let leader = broker_id(known.leader);
        Some(LeaderIdAndEpoch::default().with_leader_id(leader).with_leader_epoch(known.epoch.0))
    }

    /// The response without its topics.
    fn into_response(self) -> FetchResponse {
        let endpoints = self.named.into_values().map(|Endpoint { node, host, port, rack }| {
            NodeEndpoint::default()
                .with_node_id(*node)
                .with_host(host.clone())
                .with_port(*port)
                .with_rack(rack.clone())
        });
        FetchResponse::default()
            .with_session_id(self.form.session_id)
            .with_node_endpoints(endpoints.collect())
    }
}

/// A body in the making: finished slices, and the bytes after the last one.
struct Body {
    version: i16,
    parts: Vec<Bytes>,
    head: BytesMut,
}

impl Body {
    fn new(version: i16) -> Self {
        Self { version, parts: Vec::new(), head: BytesMut::new() }
    }

    const fn is_flexible(&self) -> bool {
        self.version >= FLEXIBLE_FROM
    }

    fn encode<M: Encodable>(&mut self, message: &M) {
        let encoded = message.encode(&mut self.head, self.version);
        encoded.expect("no field is set that the version lacks, as a test shows for every version");
    }

    /// Puts the response's fields up to its topics, of which there are so many, and returns what follows
    /// them.
    fn open(&mut self, response: &FetchResponse, topics: usize) -> BytesMut {
        // Throttle time; error code and session id.
        let fields = if self.version >= SESSION_FROM { 10 } else { 4 };
        self.encode(response);
        let rest = self.head.split_off(fields + self.empty_list().len());
        assert_eq!(self.head[fields..], *self.empty_list(), "the topics' place");
        self.head.truncate(fields);
        self.put_length(topics);
        rest
    }

    fn put_topic(&mut self, topic: TopicFetch, partitions: Vec<Partition>) {
        self.encode(
            &FetchableTopicResponse::default().with_topic(topic.key.name()).with_topic_id(topic.key.id()),
        );
        self.take_back_empty();
        self.put_length(partitions.len());
        for (data, records) in partitions {
            self.encode(&data);
            if !records.is_empty() {
                self.take_back_empty();
                self.put_records(records);
                self.put_no_tags();
            }
        }
        self.put_no_tags();
    }

    fn put_records(&mut self, records: Vec<Bytes>) {
        #[cfg(debug_assertions)]
        let records = crate::faults::fetched(records);
        self.put_length(records.iter().map(Bytes::len).sum());
        for slice in records {
            if slice.len() < COPIED_BATCH {
                self.head.put(slice);
            } else {
                self.parts.push(self.head.split().freeze());
                self.parts.push(slice);
            }
        }
    }

    /// How an empty list, or an empty byte string, is encoded.
    const fn empty_list(&self) -> &'static [u8] {
        if self.is_flexible() { &[1] } else { &[0; 4] }
    }

    /// Takes the empty last field of the message just encoded back, and with it the count of no tagged
    /// fields.
    fn take_back_empty(&mut self) {
        let no_tags: &[u8] = if self.is_flexible() { &[0] } else { &[] };
        let empty = [self.empty_list(), no_tags].concat();
        assert!(self.head.ends_with(&empty), "the message ends with an empty field and no tagged ones");
        self.head.truncate(self.head.len() - empty.len());
    }

    /// Puts the length of a list or a byte string.
    fn put_length(&mut self, length: usize) {
        if self.is_flexible() {
            self.put_varint(length + 1);
        } else {
            self.head.put_i32(i32::try_from(length).expect("a response is shorter than 2 GiB"));
        }
    }

    fn put_varint(&mut self, mut number: usize) {
        while number >= 0x80 {
            #[expect(clippy::cast_possible_truncation, reason = "the low seven bits are what is wanted")]
            self.head.put_u8(number as u8 | 0x80);
            number >>= 7;
        }
        self.head.put_u8(u8::try_from(number).expect("what is left is below 128"));
    }

    /// Ends a message that has no tagged fields.
    fn put_no_tags(&mut self) {
        if self.is_flexible() {
            self.head.put_u8(0);
        }
    }

    fn into_parts(mut self) -> Vec<Bytes> {
        self.parts.push(self.head.freeze());
        self.parts
    }
}

#[cfg(test)]
mod tests;
