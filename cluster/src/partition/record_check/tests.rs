use proptest::prelude::*;

use super::*;
use crate::ids::ProducerEpoch;
use crate::partition::testing::{BatchBuilder, Packing, TestRecord};

const LIMITS: RecordLimits = RecordLimits::of_size(1 << 20);

fn check(batch: &BatchBuilder) -> Result<CheckedBatch, RecordError> {
    check_record_set(Bytes::from(batch.build()), &LIMITS)
}

fn invalid(batch: &BatchBuilder) -> InvalidReason {
    match check(batch) {
        Err(RecordError::InvalidRecord(reason)) => reason,
        other => panic!("expected an invalid record, got {other:?}"),
    }
}

#[test]
fn a_sound_batch_passes_untouched_in_every_codec() {
    for packing in Packing::ALL {
        let bytes = Bytes::from(BatchBuilder::of_count(10).producer(5, 0, 100).packing(packing).build());
        let checked = check_record_set(bytes.clone(), &LIMITS).unwrap();
        assert_eq!(checked.bytes(), &bytes);
        assert_eq!(checked.header().attributes.codec(), Ok(packing.codec()));
    }
}

#[test]
fn a_record_set_is_exactly_one_batch() {
    let nothing = check_record_set(Bytes::new(), &LIMITS);
    assert!(matches!(nothing, Err(RecordError::InvalidRecord(InvalidReason::NoBatch))));
    let batch = BatchBuilder::of_count(1).build();
    let two = check_record_set(Bytes::from([batch.clone(), batch].concat()), &LIMITS);
    assert!(matches!(two, Err(RecordError::InvalidRecord(InvalidReason::MoreThanOneBatch))));
}

#[test]
fn a_batch_that_is_cut_off_is_unreadable() {
    let batch = BatchBuilder::of_count(4).build();
    for length in 1..batch.len() {
        let cut = check_record_set(Bytes::copy_from_slice(&batch[..length]), &LIMITS);
        assert!(matches!(cut, Err(RecordError::Unreadable(Unreadable::CutOff(_)))), "{length}: {cut:?}");
    }
}

#[test]
fn any_flipped_bit_behind_the_crc_is_found() {
    let batch = BatchBuilder::of_count(2).build();
    for at in 17..batch.len() {
        let mut damaged = batch.clone();
        damaged[at] ^= 0x04;
        let found = check_record_set(Bytes::from(damaged), &LIMITS);
        let refused = matches!(
            found,
            Err(RecordError::CorruptMessage(Corruption::Crc { .. })
                | RecordError::InvalidRecord(InvalidReason::Offsets(_)))
        );
        assert!(refused, "{at}: {found:?}");
    }
}

#[test]
fn old_formats_are_invalid_and_unknown_ones_corrupt() {
    for (magic, old) in [(0, true), (1, true), (3, false), (-1, false)] {
        let mut batch = BatchBuilder::of_count(1);
        batch.magic = magic;
        match check(&batch).unwrap_err() {
            RecordError::InvalidRecord(reason) => assert!(old && reason == InvalidReason::Format(magic)),
            RecordError::CorruptMessage(_) => assert!(!old),
            other => panic!("{other}"),
        }
    }
}

fn faults(records: &[TestRecord], packing: Packing, limits: &RecordLimits) -> Option<RecordFaults> {
    let batch = BatchBuilder::of_records(records).timestamp(1500).packing(packing).build();
    match check_record_set(Bytes::from(batch), limits) {
        Ok(_) => None,
        Err(RecordError::Records(faults)) => Some(faults),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_compacted_topic_takes_only_records_with_keys() {
    let keyed = TestRecord { key: Some(b"k".to_vec()), ..TestRecord::at(0) };
    let empty = TestRecord { key: Some(Vec::new()), ..TestRecord::at(0) };
    let keyless = TestRecord::at(0);
    let limits = RecordLimits { keys_required: true, ..LIMITS };
    for packing in Packing::ALL {
        assert!(faults(&[keyed.clone(), empty.clone()], packing, &limits).is_none());
        assert!(faults(std::slice::from_ref(&keyless), packing, &LIMITS).is_none());
        let records = [&keyless, &keyed, &keyless, &empty].map(Clone::clone);
        let named = faults(&records, packing, &limits).unwrap();
        assert!(!named.have_timestamp());
        let fault = |index| RecordFault { index, reason: RecordReason::NoKey };
        assert_eq!(named.into_vec(), [fault(0), fault(2)], "{packing:?}");
    }
}

#[test]
fn as_many_refused_records_are_named_as_there_is_room_for_and_always_one() {
    let keyless = vec![TestRecord::at(0); 5];
    for (max_faults, named) in [(0, 1), (1, 1), (3, 3), (9, 5)] {
        let limits = RecordLimits { keys_required: true, max_faults, ..LIMITS };
        assert_eq!(faults(&keyless, Packing::Gzip, &limits).unwrap().into_vec().len(), named);
    }
}

#[test]
fn a_timestamp_among_the_faults_decides_the_code() {
    let limits = RecordLimits { keys_required: true, latest_timestamp: TimestampMs(1500), ..LIMITS };
    let late = TestRecord { key: Some(b"k".to_vec()), ..TestRecord::at(1) };
    let named = faults(&[TestRecord::at(0), late], Packing::Plain, &limits).unwrap();
    assert!(named.have_timestamp());
    assert_eq!(named.into_vec().len(), 2);
}

#[test]
fn a_batch_above_the_limit_is_too_large() {
    let bytes = Bytes::from(BatchBuilder::of_count(1).build());
    assert!(check_record_set(bytes.clone(), &RecordLimits::of_size(bytes.len())).is_ok());
    let above = check_record_set(bytes.clone(), &RecordLimits::of_size(bytes.len() - 1));
    assert!(matches!(above, Err(RecordError::MessageTooLarge(SizeLimit::Batch { .. }))));
}

#[test]
fn the_header_must_count_as_producers_count() {
    let batch = BatchBuilder::of_count(3);
    assert_eq!(invalid(&batch.clone().base_offset(5)), InvalidReason::BaseOffset(Offset(5)));
    for (record_count, last_offset_delta) in [(3, 3), (2, 2), (0, 0), (-1, 0), (0, i32::MAX)] {
        let mut batch = batch.clone();
        (batch.record_count, batch.last_offset_delta) = (record_count, last_offset_delta);
        assert!(matches!(invalid(&batch), InvalidReason::RecordCount { .. }));
    }
    let mut backwards = batch;
    backwards.last_offset_delta = -1;
    assert!(matches!(invalid(&backwards), InvalidReason::Offsets(_)));
}

#[test]
fn a_count_that_the_records_do_not_bear_out_is_refused() {
    let mut batch = BatchBuilder::of_count(3);
    (batch.record_count, batch.last_offset_delta) = (i32::MAX, i32::MAX - 1);
    assert!(matches!(check(&batch), Err(RecordError::Unreadable(Unreadable::Records(WalkError::Truncated)))));
}

#[test]
fn codecs_are_known_and_allowed() {
    let unknown = check(&BatchBuilder::of_count(1).attributes(6));
    assert!(matches!(unknown, Err(RecordError::UnsupportedCompressionType(6))));
    let zstd = Bytes::from(BatchBuilder::of_count(1).packing(Packing::Zstd).build());
    let old_request = RecordLimits { zstd_allowed: false, ..LIMITS };
    assert!(matches!(check_record_set(zstd, &old_request), Err(RecordError::UnsupportedCompressionType(4))));
}

#[test]
fn compressed_rubbish_is_unreadable() {
    for packing in &Packing::ALL[1..] {
        let batch = BatchBuilder::of_count(1).packing(*packing).build_around(b"this was never compressed");
        let found = check_record_set(Bytes::from(batch), &LIMITS);
        assert!(
            matches!(found, Err(RecordError::Unreadable(Unreadable::Records(_)))),
            "{packing:?}: {found:?}"
        );
    }
}

#[test]
fn what_only_brokers_may_write_is_refused() {
    assert_eq!(invalid(&BatchBuilder::of_count(1).attributes(0x20)), InvalidReason::ControlBatch);
    let transactional = check(&BatchBuilder::of_count(1).producer(1, 0, 0).attributes(0x10));
    assert!(matches!(transactional, Err(RecordError::InvalidTxnState)));
    let append_time = check(&BatchBuilder::of_count(1).attributes(0x08));
    assert!(matches!(append_time, Err(RecordError::InvalidTimestamp(TimestampReason::LogAppendTime))));
}

#[test]
fn an_idempotent_producer_numbers_its_batches() {
    for (epoch, base_sequence) in [(0, -1), (-1, 0)] {
        let reason = invalid(&BatchBuilder::of_count(1).producer(1, epoch, base_sequence));
        assert_eq!(reason, InvalidReason::Sequence { base_sequence, epoch: ProducerEpoch(epoch) });
    }
}

#[test]
fn timestamps_are_held_against_the_range() {
    let limits =
        RecordLimits { earliest_timestamp: TimestampMs(1000), latest_timestamp: TimestampMs(2000), ..LIMITS };
    let of = |deltas: &[i64]| {
        let records: Vec<_> = deltas.iter().map(|delta| TestRecord::at(*delta)).collect();
        check_record_set(Bytes::from(BatchBuilder::of_records(&records).timestamp(1500).build()), &limits)
    };
    let refused = |checked| match checked {
        Err(RecordError::Records(faults)) => {
            let faults = faults.into_vec();
            assert_eq!((faults.len(), faults[0].index), (1, 1));
            faults[0].reason
        }
        other => panic!("expected a refused record, got {other:?}"),
    };
    assert_eq!(of(&[0, 500, -500]).unwrap().max_timestamp(), TimestampMs(2000));
    for outside in [501, -501] {
        let reason = refused(of(&[0, outside]));
        assert!(matches!(reason, RecordReason::Timestamp(TimestampReason::OutOfRange { .. })), "{reason}");
    }
    assert_eq!(refused(of(&[0, i64::MAX])), RecordReason::Timestamp(TimestampReason::Overflow));
}

#[test]
fn a_record_without_timestamp_is_in_any_range() {
    let limits =
        RecordLimits { earliest_timestamp: TimestampMs(1000), latest_timestamp: TimestampMs(2000), ..LIMITS };
    let bytes = Bytes::from(BatchBuilder::of_count(2).timestamp(-1).build());
    assert_eq!(check_record_set(bytes, &limits).unwrap().max_timestamp(), TimestampMs(-1));
}

#[test]
fn the_records_tell_the_greatest_timestamp_whatever_the_header_says() {
    let batch =
        BatchBuilder::of_records(&[TestRecord::at(7), TestRecord::at(3)]).timestamp(100).max_timestamp(0);
    assert_eq!(check(&batch).unwrap().max_timestamp(), TimestampMs(107));
}

proptest! {
    #[test]
    fn no_bytes_make_the_check_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = check_record_set(Bytes::from(bytes), &LIMITS);
    }

    #[test]
    fn no_edit_with_a_right_crc_makes_the_check_panic(
        packing in prop::sample::select(Packing::ALL.to_vec()),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut batch = BatchBuilder::of_count(5).packing(packing).build();
        for (at, byte) in edits {
            // The length stays, so that the edits get past the first check.
            let at = 21 + at.index(batch.len() - 21);
            batch[at] = byte;
        }
        let crc = crc_of(&batch);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        if let Ok(checked) = check_record_set(Bytes::from(batch), &LIMITS) {
            prop_assert!(checked.header().record_count > 0);
        }
    }
}
