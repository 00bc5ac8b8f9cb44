use proptest::prelude::*;

use super::*;
use crate::partition::testing::{BatchBuilder, Packing, TestRecord, header_of};

/// Batches of two records each, from offset 10 on.
fn payload(count: i64) -> (Bytes, usize) {
    let batches: Vec<_> =
        (0..count).map(|i| BatchBuilder::of_count(2).base_offset(10 + i * 2).build()).collect();
    (Bytes::from(batches.concat()), batches[0].len())
}

fn slice(payload: &Bytes, start: i64, max_bytes: usize, at_least_one: bool) -> (usize, i64, bool) {
    let slice = slice_for_fetch(payload, Offset(start), max_bytes, at_least_one).unwrap();
    (slice.bytes.len(), slice.next_offset.0, slice.limit_reached)
}

#[test]
fn an_offset_within_a_batch_gets_the_whole_batch() {
    let (payload, len) = payload(3);
    let from_middle = slice_for_fetch(&payload, Offset(13), usize::MAX, false).unwrap();
    assert_eq!(header_of(&from_middle.bytes).base_offset, Offset(12));
    assert_eq!(slice(&payload, 13, usize::MAX, false), (2 * len, 16, false));
    assert_eq!(slice(&payload, 10, usize::MAX, false), (3 * len, 16, false));
    assert_eq!(slice(&payload, 0, usize::MAX, false), (3 * len, 16, false));
}

#[test]
fn the_budget_is_kept_in_whole_batches() {
    let (payload, len) = payload(3);
    assert_eq!(slice(&payload, 10, 2 * len, false), (2 * len, 14, true));
    assert_eq!(slice(&payload, 10, 2 * len - 1, false), (len, 12, true));
    assert_eq!(slice(&payload, 12, 2 * len, true), (2 * len, 16, false));
}

#[test]
fn the_first_batch_may_exceed_the_budget_when_it_must() {
    let (payload, len) = payload(2);
    assert_eq!(slice(&payload, 10, 1, false), (0, 10, true));
    assert_eq!(slice(&payload, 10, 0, true), (len, 12, true));
}

#[test]
fn behind_the_payload_there_is_nothing() {
    let (payload, _) = payload(2);
    assert_eq!(slice(&payload, 14, 100, true), (0, 14, false));
    assert_eq!(slice(&Bytes::new(), 14, 100, true), (0, 14, false));
}

fn found(payload: &Bytes, from: i64, timestamp: i64) -> Option<(i64, i64)> {
    let found = offset_for_timestamp(payload, Offset(from), TimestampMs(timestamp)).unwrap();
    found.map(|found| (found.offset.0, found.timestamp.0))
}

/// Two batches: timestamps 100, 130, 120 at offsets 5, 6, 7, and 110, 150, 150 at 8, 9, 10.
fn timed_payload(packing: Packing) -> Bytes {
    let one = [TestRecord::at(0), TestRecord::at(30), TestRecord::at(20)];
    let two = [TestRecord::at(0), TestRecord::at(40), TestRecord::at(40)];
    let batch = |records, base_offset, timestamp| {
        let batch = BatchBuilder::of_records(records).base_offset(base_offset).leader_epoch(4);
        batch.timestamp(timestamp).packing(packing).build()
    };
    Bytes::from([batch(&one, 5, 100), batch(&two, 8, 110)].concat())
}

#[test]
fn the_first_record_at_or_after_a_timestamp_is_found_in_every_codec() {
    for packing in Packing::ALL {
        let payload = timed_payload(packing);
        assert_eq!(found(&payload, 0, 0), Some((5, 100)));
        assert_eq!(found(&payload, 0, 101), Some((6, 130)));
        assert_eq!(found(&payload, 0, 131), Some((9, 150)));
        assert_eq!(found(&payload, 0, 151), None);
        assert_eq!(found(&payload, 7, 101), Some((7, 120)));
        assert_eq!(found(&payload, 7, 125), Some((9, 150)));
        assert_eq!(found(&payload, 11, 0), None);
    }
}

#[test]
fn the_greatest_timestamp_is_that_of_its_first_record() {
    for packing in Packing::ALL {
        let greatest = offset_of_max_timestamp(&timed_payload(packing), Offset(0)).unwrap().unwrap();
        let expected = TimestampedOffset {
            offset: Offset(9),
            timestamp: TimestampMs(150),
            leader_epoch: LeaderEpoch(4),
        };
        assert_eq!(greatest, expected);
    }
    let none = Bytes::from(BatchBuilder::of_count(2).timestamp(-1).build());
    assert_eq!(offset_of_max_timestamp(&none, Offset(0)).unwrap(), None);
}

#[test]
fn what_lies_before_the_beginning_has_no_greatest_timestamp() {
    let two = [TestRecord::at(50), TestRecord::at(0), TestRecord::at(20), TestRecord::at(20)];
    let batch = BatchBuilder::of_records(&two).timestamp(100).build();
    let later = BatchBuilder::of_records(&[TestRecord::at(0)]).base_offset(4).timestamp(110).build();
    let payload = Bytes::from([batch, later].concat());
    let greatest = |from| {
        let found = offset_of_max_timestamp(&payload, Offset(from)).unwrap();
        found.map(|found| (found.offset.0, found.timestamp.0))
    };
    assert_eq!(greatest(0), Some((0, 150)));
    assert_eq!(greatest(1), Some((2, 120)));
    assert_eq!(greatest(3), Some((3, 120)));
    assert_eq!(greatest(4), Some((4, 110)));
    assert_eq!(greatest(5), None);
}

#[test]
fn with_append_time_every_record_has_the_time_of_its_batch() {
    let batch = BatchBuilder::of_records(&[TestRecord::at(0), TestRecord::at(900)]);
    let payload =
        Bytes::from(batch.base_offset(3).timestamp(100).attributes(0x08).max_timestamp(500).build());
    assert_eq!(found(&payload, 0, 400), Some((3, 500)));
    assert_eq!(found(&payload, 4, 400), Some((4, 500)));
    assert_eq!(found(&payload, 0, 501), None);
    assert_eq!(offset_of_max_timestamp(&payload, Offset(0)).unwrap().unwrap().offset, Offset(3));
    assert_eq!(offset_of_max_timestamp(&payload, Offset(4)).unwrap().unwrap().offset, Offset(4));
}

proptest! {
    #[test]
    fn following_the_slices_yields_every_batch_once(
        counts in prop::collection::vec(1..5_u32, 1..12), start_at in any::<prop::sample::Index>(), max_bytes in 0..900_usize
    ) {
        let mut end = 0;
        let mut encoded = Vec::new();
        for count in counts {
            encoded.extend(BatchBuilder::of_count(count).base_offset(end).build());
            end += i64::from(count);
        }
        let payload = Bytes::from(encoded);
        let start = i64::try_from(start_at.index(usize::try_from(end).unwrap())).unwrap();
        let mut next = Offset(start);
        let mut read = Vec::new();
        while next < Offset(end) {
            let slice = slice_for_fetch(&payload, next, max_bytes, true).unwrap();
            prop_assert!(slice.next_offset > next, "a fetch gets on");
            read.extend_from_slice(&slice.bytes);
            next = slice.next_offset;
        }
        prop_assert!(payload.ends_with(&read));
        let first = header_of(&read);
        prop_assert!(first.base_offset <= Offset(start) && first.last_offset() >= Offset(start));
    }
}
