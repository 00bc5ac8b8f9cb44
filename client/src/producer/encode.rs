//! Produce requests, encoded around batches that are not copied: the types of `kafka-protocol` would copy each.

use bytes::{BufMut, Bytes, BytesMut};

use super::config::Acks;

/// The first version with compact lengths and tagged fields (KIP-482).
const FIRST_FLEXIBLE: i16 = 9;

/// One topic's batches, by partition.
pub(super) struct TopicBatches<'a> {
    pub(super) topic: &'a str,
    pub(super) batches: Vec<(i32, [Bytes; 2])>,
}

/// Writes what stands between the batches.
struct Encoder {
    is_flexible: bool,
    pieces: Vec<Bytes>,
    /// What follows the last piece.
    open: BytesMut,
}

/// The body of a Produce request in a version from 3 to 12, in pieces. `timeout_ms` is what the broker may take for its replicas.
pub(super) fn body(
    version: i16,
    transactional_id: Option<&str>,
    acks: Acks,
    timeout_ms: i32,
    topics: Vec<TopicBatches<'_>>,
) -> Vec<Bytes> {
    let is_flexible = version >= FIRST_FLEXIBLE;
    let mut encoder = Encoder { is_flexible, pieces: Vec::new(), open: BytesMut::new() };
    match transactional_id {
        Some(id) => encoder.string(id),
        None => encoder.no_string(),
    }
    encoder.open.put_i16(acks.number());
    encoder.open.put_i32(timeout_ms);
    encoder.length(topics.len());
    for TopicBatches { topic, batches } in topics {
        encoder.string(topic);
        encoder.length(batches.len());
        for (partition, batch) in batches {
            encoder.open.put_i32(partition);
            encoder.length(batch.iter().map(Bytes::len).sum());
            encoder.pieces(batch);
            encoder.no_tags();
        }
        encoder.no_tags();
    }
    encoder.no_tags();
    encoder.end()
}

impl Encoder {
    /// The length of an array or of bytes.
    fn length(&mut self, length: usize) {
        if self.is_flexible {
            self.varint(length + 1);
        } else {
            self.open.put_i32(i32::try_from(length).unwrap_or(i32::MAX));
        }
    }

    fn string(&mut self, text: &str) {
        if self.is_flexible {
            self.varint(text.len() + 1);
        } else {
            self.open.put_i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
        }
        self.open.put_slice(text.as_bytes());
    }

    fn no_string(&mut self) {
        if self.is_flexible {
            self.varint(0);
        } else {
            self.open.put_i16(-1);
        }
    }

    fn no_tags(&mut self) {
        if self.is_flexible {
            self.varint(0);
        }
    }

    /// Seven bits a byte, the lowest first.
    fn varint(&mut self, mut number: usize) {
        while number >= 0x80 {
            self.open.put_u8(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
            number >>= 7;
        }
        self.open.put_u8(u8::try_from(number).unwrap_or(0));
    }

    /// A batch's header, which is short, is copied; its records are not.
    fn pieces(&mut self, [header, records]: [Bytes; 2]) {
        self.open.put_slice(&header);
        let before = self.open.split().freeze();
        self.pieces.extend([before, records]);
    }

    fn end(mut self) -> Vec<Bytes> {
        self.pieces.push(self.open.freeze());
        self.pieces
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
    use kafka_protocol::messages::{ProduceRequest, TopicName, TransactionalId};
    use kafka_protocol::protocol::{Encodable, StrBytes};
    use proptest::prelude::*;

    use super::*;

    fn bytes() -> impl Strategy<Value = Bytes> {
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from)
    }

    proptest! {
        /// `kafka-protocol` writes the same bytes, in every version.
        #[test]
        fn a_request_is_what_another_encoder_writes(
            version in 3_i16..=12,
            transactional_id in prop::option::of("[a-z]{1,200}"),
            timeout_ms: i32,
            topics in prop::collection::vec(("[a-z]{1,200}", prop::collection::vec((any::<i32>(), bytes(), bytes()), 0..4)), 0..4),
        ) {
            let batches = |rows: &[(i32, Bytes, Bytes)]| {
                rows.iter().map(|(partition, header, records)| (*partition, [header.clone(), records.clone()])).collect()
            };
            let ours = topics.iter().map(|(topic, rows)| TopicBatches { topic, batches: batches(rows) }).collect();
            let ours = body(version, transactional_id.as_deref(), Acks::All, timeout_ms, ours).concat();
            let partition = |(partition, header, records): &(i32, Bytes, Bytes)| {
                let records = Bytes::from([&header[..], records].concat());
                PartitionProduceData::default().with_index(*partition).with_records(Some(records))
            };
            let theirs = topics.iter().map(|(topic, rows)| {
                let name = TopicName(StrBytes::from_string(topic.clone()));
                TopicProduceData::default().with_name(name).with_partition_data(rows.iter().map(partition).collect())
            });
            let transactional_id = transactional_id.map(|id| TransactionalId(StrBytes::from_string(id)));
            let request = ProduceRequest::default()
                .with_transactional_id(transactional_id)
                .with_acks(-1)
                .with_timeout_ms(timeout_ms)
                .with_topic_data(theirs.collect());
            let mut expected = BytesMut::new();
            request.encode(&mut expected, version).unwrap();
            prop_assert_eq!(&ours[..], &expected[..]);
        }
    }
}
