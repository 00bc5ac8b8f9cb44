use proptest::prelude::*;

use super::*;
use crate::ids::Offset;
use crate::testing::{BatchBuilder, Packing, TestRecord, header_of};

const MAX: usize = 1 << 20;

fn decode(batch: Vec<u8>) -> Result<Vec<Record>, RecordsError> {
    let batch = Bytes::from(batch);
    let records = decode_records(&header_of(&batch), &batch, MAX)?;
    records.map(|record| record.map_err(RecordsError::from)).collect()
}

fn any_bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop::option::of(prop::collection::vec(any::<u8>(), 0..40))
}

fn any_record() -> impl Strategy<Value = TestRecord> {
    let header = (prop::collection::vec(any::<u8>(), 0..10), any_bytes());
    (0..1000_i64, any_bytes(), any_bytes(), prop::collection::vec(header, 0..4)).prop_map(
        |(timestamp_delta, key, value, headers)| TestRecord { timestamp_delta, key, value, headers },
    )
}

/// What a test record is to a consumer.
fn expected(record: &TestRecord, offset: i64, base_timestamp: i64) -> Record {
    let bytes = |bytes: &Option<Vec<u8>>| bytes.clone().map(Bytes::from);
    Record {
        offset: Offset(offset),
        timestamp: TimestampMs(base_timestamp + record.timestamp_delta),
        key: bytes(&record.key),
        value: bytes(&record.value),
        headers: record
            .headers
            .iter()
            .map(|(key, value)| Header { key: key.clone().into(), value: bytes(value) })
            .collect(),
    }
}

proptest! {
    #[test]
    fn every_record_is_decoded_in_every_dialect(records in prop::collection::vec(any_record(), 1..20)) {
        let expected: Vec<_> = (70..).zip(&records).map(|(offset, record)| expected(record, offset, 5000)).collect();
        for packing in Packing::ALL {
            let batch = BatchBuilder::of_records(&records).base_offset(70).timestamp(5000).packing(packing);
            prop_assert_eq!(decode(batch.build()).unwrap(), expected.clone(), "{:?}", packing);
        }
    }

    #[test]
    fn a_damaged_byte_does_no_harm(
        records in prop::collection::vec(any_record(), 1..6),
        at in any::<prop::sample::Index>(),
        byte: u8,
        packing in prop::sample::select(Packing::ALL.to_vec()),
    ) {
        let plain: Vec<u8> = (0..).zip(&records).flat_map(|(delta, record)| record.encode(delta)).collect();
        let mut packed = packing.pack(&plain);
        let at = at.index(packed.len());
        packed[at] = byte;
        let batch = BatchBuilder::of_plain(plain, records.len()).packing(packing).build_around(&packed);
        if let Ok(decoded) = decode(batch) {
            prop_assert_eq!(decoded.len(), records.len());
        }
    }

    #[test]
    fn what_the_walk_accepts_is_decoded(rubbish in prop::collection::vec(any::<u8>(), 0..60), count in 0..3_usize) {
        let batch = BatchBuilder::of_plain(rubbish, count);
        let batch = batch.build();
        if BatchHeader::parse(&batch).is_ok() {
            let walked = super::super::walk_records(&header_of(&batch), &batch, |_| std::ops::ControlFlow::Continue(()));
            prop_assert_eq!(decode(batch).is_ok(), walked.is_ok());
        }
    }
}

#[test]
fn null_differs_from_empty() {
    let null = TestRecord::default();
    let empty = TestRecord {
        key: Some(Vec::new()),
        value: Some(Vec::new()),
        headers: vec![(b"n".to_vec(), None), (b"e".to_vec(), Some(Vec::new()))],
        ..TestRecord::default()
    };
    let decoded = decode(BatchBuilder::of_records(&[null, empty]).build()).unwrap();
    assert_eq!((&decoded[0].key, &decoded[0].value), (&None, &None));
    assert_eq!((decoded[1].key.as_deref(), decoded[1].value.as_deref()), (Some(&b""[..]), Some(&b""[..])));
    assert_eq!(decoded[1].headers, [Header::null("n"), Header::new("e", "")]);
}

#[test]
fn keys_and_values_are_slices_of_an_uncompressed_batch() {
    let batch = Bytes::from(BatchBuilder::of_count(1).build());
    let record = decode_records(&header_of(&batch), &batch, MAX).unwrap().next().unwrap().unwrap();
    let value = record.value.unwrap();
    assert!(batch.as_ptr_range().contains(&value.as_ptr()));
}

#[test]
fn the_time_of_appending_replaces_the_records_own() {
    let batch = BatchBuilder::of_records(&[TestRecord::at(5)]).attributes(0x08).max_timestamp(777);
    assert_eq!(decode(batch.build()).unwrap()[0].timestamp, TimestampMs(777));
}

/// Two records with these offset deltas in a batch that reaches to delta 9.
fn with_deltas(first: i64, second: i64) -> Result<Vec<i64>, RecordsError> {
    let record = TestRecord::of_value("v");
    let plain = [record.encode(first), record.encode(second)].concat();
    let mut batch = BatchBuilder::of_plain(plain, 2);
    batch.last_offset_delta = 9;
    Ok(decode(batch.build())?.iter().map(|record| record.offset.0).collect())
}

#[test]
fn a_compacted_batch_may_have_gaps_but_ascends() {
    assert_eq!(with_deltas(2, 9).unwrap(), [2, 9]);
    for (first, second) in [(2, 2), (2, 1), (-1, 0), (2, 10)] {
        let error = with_deltas(first, second).unwrap_err();
        assert!(
            matches!(error, RecordsError::Record(WalkError::OffsetDelta { .. })),
            "{first} {second}: {error}"
        );
    }
}

#[test]
fn a_batch_that_lost_all_its_records_is_empty() {
    let mut batch = BatchBuilder::of_plain(Vec::new(), 0);
    batch.last_offset_delta = 4;
    assert_eq!(decode(batch.build()).unwrap(), []);
}

#[test]
fn the_iterator_ends_after_an_error() {
    let plain = [TestRecord::of_value("v").encode(0), vec![0x7e; 3]].concat();
    let batch = Bytes::from(BatchBuilder::of_plain(plain, 3).build());
    let mut records = decode_records(&header_of(&batch), &batch, MAX).unwrap();
    assert!(records.next().unwrap().is_ok());
    assert!(records.next().unwrap().is_err());
    assert!(records.next().is_none());
}

#[test]
fn a_bomb_costs_no_more_than_the_bound() {
    let record = TestRecord::of_value(vec![0; MAX]);
    for packing in [Packing::Gzip, Packing::SnappyRaw, Packing::SnappyXerial, Packing::Lz4, Packing::Zstd] {
        let error = decode(BatchBuilder::of_records(std::slice::from_ref(&record)).packing(packing).build())
            .unwrap_err();
        assert!(
            matches!(error, RecordsError::Compression(DecompressError::TooLarge { max: MAX })),
            "{packing:?}"
        );
    }
}

#[test]
fn more_headers_than_bytes_take_no_memory() {
    // Attributes, timestamp and offset deltas, null key, null value, then 2^30 headers.
    let body = [0, 0, 0, 1, 1, 0x80, 0x80, 0x80, 0x80, 0x08];
    let plain = [&[20][..], &body].concat();
    let error = decode(BatchBuilder::of_plain(plain, 1).build()).unwrap_err();
    assert!(matches!(error, RecordsError::Record(WalkError::FieldTooLong)));
}
