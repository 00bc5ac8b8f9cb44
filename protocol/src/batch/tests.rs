use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::testing::{BatchBuilder, header_of};

#[test]
fn every_field_is_read_from_its_place() {
    let batch = BatchBuilder::of_count(3)
        .base_offset(1 << 40)
        .leader_epoch(7)
        .attributes(0x08)
        .timestamp(111)
        .max_timestamp(222)
        .producer(9_000_000_000, 12, 345)
        .build();
    let header = header_of(&batch);
    assert_eq!(header.base_offset, Offset(1 << 40));
    assert_eq!(header.total_len(), batch.len());
    assert_eq!(header.partition_leader_epoch, LeaderEpoch(7));
    assert_eq!(header.crc, crc_of(&batch));
    assert_eq!(header.attributes.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(header.attributes.codec(), Ok(Codec::None));
    assert_eq!(header.last_offset(), Offset((1 << 40) + 2));
    assert_eq!((header.base_timestamp, header.max_timestamp), (TimestampMs(111), TimestampMs(222)));
    assert_eq!(header.producer_id, ProducerId(9_000_000_000));
    assert_eq!(header.producer_epoch, ProducerEpoch(12));
    assert_eq!((header.base_sequence, header.last_sequence()), (345, 347));
    assert_eq!(header.record_count, 3);
}

#[test]
fn attribute_bits_have_their_meanings() {
    assert_eq!(Attributes(0x04).codec(), Ok(Codec::Zstd));
    assert_eq!(Attributes(0x05).codec(), Err(UnknownCodec(5)));
    assert!(Attributes(0x10).is_transactional() && !Attributes(0x20).is_transactional());
    assert!(Attributes(0x20).is_control() && !Attributes(0x10).is_control());
}

#[test]
fn what_is_no_header_is_refused() {
    let good = BatchBuilder::of_count(1).build();
    assert_eq!(BatchHeader::parse(&good[..60]), Err(BatchError::Truncated { needed: 61, available: 60 }));
    assert_eq!(BatchHeader::parse(&[]), Err(BatchError::Truncated { needed: 61, available: 0 }));

    let mut old = good.clone();
    old[16] = 1;
    assert_eq!(BatchHeader::parse(&old[..30]), Err(BatchError::UnsupportedMagic(1)));

    let mut short = good;
    short[8..12].copy_from_slice(&48_i32.to_be_bytes());
    assert_eq!(BatchHeader::parse(&short), Err(BatchError::InvalidLength(48)));

    for base_offset in [-1, i64::MAX] {
        let batch = BatchBuilder::of_count(1).base_offset(base_offset).build();
        assert!(matches!(BatchHeader::parse(&batch), Err(BatchError::InvalidOffsets { .. })));
    }
}

#[test]
fn stamping_offset_and_epoch_leaves_the_crc_valid() {
    let mut batch = BatchBuilder::of_count(2).build();
    stamp_base_offset(&mut batch, Offset(77));
    stamp_leader_epoch(&mut batch, LeaderEpoch(5));
    let header = header_of(&batch);
    assert_eq!((header.base_offset, header.partition_leader_epoch), (Offset(77), LeaderEpoch(5)));
    assert_eq!(header.crc, crc_of(&batch));
}

#[test]
fn stamping_the_append_time_sets_type_timestamp_and_crc_only() {
    let original = BatchBuilder::of_count(2).attributes(0x10).build();
    let mut batch = original.clone();
    stamp_append_time(&mut batch, TimestampMs(999));
    let header = header_of(&batch);
    assert_eq!(header.attributes, Attributes(0x18));
    assert_eq!(header.max_timestamp, TimestampMs(999));
    assert_eq!(header.crc, crc_of(&batch));
    assert_eq!(batch[43..], original[43..]);
    assert_eq!(header.base_timestamp, header_of(&original).base_timestamp);
}

#[test]
fn batches_share_the_payload_and_end_at_damage() {
    let one = BatchBuilder::of_count(1).build();
    let two = BatchBuilder::of_count(2).base_offset(1).build();
    let payload = Bytes::from([one.clone(), two.clone()].concat());
    let all: Vec<_> = batches(&payload).map(Result::unwrap).collect();
    assert_eq!(all.len(), 2);
    assert_eq!((&all[0].1[..], &all[1].1[..]), (&one[..], &two[..]));
    assert_eq!(all[1].0.last_offset(), Offset(2));

    let cut = payload.slice(..payload.len() - 1);
    let mut cut = batches(&cut);
    assert!(cut.next().unwrap().is_ok());
    let truncated = BatchError::Truncated { needed: two.len(), available: two.len() - 1 };
    assert_eq!(cut.next(), Some(Err(truncated)));
    assert_eq!(cut.next(), None);
}

proptest! {
    #[test]
    fn no_bytes_make_parsing_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..100), sound_magic in any::<bool>()) {
        if let (true, Some(magic)) = (sound_magic, bytes.get_mut(16)) {
            *magic = 2;
        }
        if let Ok(header) = BatchHeader::parse(&bytes) {
            prop_assert!(header.total_len() >= HEADER_LEN);
            prop_assert!(header.next_offset() > header.base_offset);
        }
        let payload = Bytes::from(bytes);
        prop_assert!(batches(&payload).count() <= payload.len() / HEADER_LEN + 1);
    }

    #[test]
    fn what_is_stamped_is_read_back(offset in 0..i64::MAX >> 1, epoch: i32, time: i64, count in 1..5_u32) {
        let mut batch = BatchBuilder::of_count(count).build();
        let before = header_of(&batch);
        stamp_base_offset(&mut batch, Offset(offset));
        stamp_leader_epoch(&mut batch, LeaderEpoch(epoch));
        stamp_max_timestamp(&mut batch, TimestampMs(time));
        let expected = BatchHeader {
            base_offset: Offset(offset),
            partition_leader_epoch: LeaderEpoch(epoch),
            max_timestamp: TimestampMs(time),
            crc: crc_of(&batch),
            ..before
        };
        prop_assert_eq!(header_of(&batch), expected);
    }
}
