use proptest::prelude::*;

use super::*;
use crate::testing::{BatchBuilder, Packing, TestRecord, header_of, put_varint};

/// Walks a whole batch and returns the records' timestamp deltas.
fn walk_all(batch: &[u8]) -> Result<Vec<i64>, WalkError> {
    let mut deltas = Vec::new();
    walk_records(&header_of(batch), batch, |record| {
        deltas.push(record.timestamp_delta);
        ControlFlow::Continue(())
    })?;
    Ok(deltas)
}

fn any_bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop::option::of(prop::collection::vec(any::<u8>(), 0..300))
}

fn any_record() -> impl Strategy<Value = TestRecord> {
    let header = (prop::collection::vec(any::<u8>(), 0..10), any_bytes());
    (any::<i64>(), any_bytes(), any_bytes(), prop::collection::vec(header, 0..4)).prop_map(
        |(timestamp_delta, key, value, headers)| TestRecord { timestamp_delta, key, value, headers },
    )
}

fn any_packing() -> impl Strategy<Value = Packing> {
    prop::sample::select(Packing::ALL.to_vec())
}

proptest! {
    #[test]
    fn every_record_is_walked_in_every_codec(records in prop::collection::vec(any_record(), 1..30)) {
        let expected: Vec<_> = records.iter().map(|record| record.timestamp_delta).collect();
        let plain: Vec<u8> = (0..).zip(&records).flat_map(|(delta, record)| record.encode(delta)).collect();
        for packing in Packing::ALL {
            let batch = BatchBuilder::of_plain(plain.clone(), records.len()).packing(packing).build();
            prop_assert_eq!(walk_all(&batch).unwrap(), expected.clone(), "{:?}", packing);
        }
    }

    #[test]
    fn no_rubbish_makes_a_walk_panic(packing in any_packing(), rubbish in prop::collection::vec(any::<u8>(), 0..300)) {
        let batch = BatchBuilder::of_count(3).packing(packing).build_around(&rubbish);
        let _ = walk_all(&batch);
    }

    #[test]
    fn a_damaged_byte_never_makes_a_walk_panic(
        packing in any_packing(),
        records in prop::collection::vec(any_record(), 1..10),
        at in any::<prop::sample::Index>(),
        byte: u8,
    ) {
        let plain: Vec<u8> = (0..).zip(&records).flat_map(|(delta, record)| record.encode(delta)).collect();
        let mut packed = packing.pack(&plain);
        let at = at.index(packed.len());
        packed[at] = byte;
        let _ = walk_all(&BatchBuilder::of_plain(plain, records.len()).packing(packing).build_around(&packed));
    }

    #[test]
    fn a_cut_never_passes(
        packing in any_packing(),
        records in prop::collection::vec(any_record(), 1..10),
        at in any::<prop::sample::Index>(),
    ) {
        let plain: Vec<u8> = (0..).zip(&records).flat_map(|(delta, record)| record.encode(delta)).collect();
        let packed = packing.pack(&plain);
        let cut = &packed[..at.index(packed.len())];
        let batch = BatchBuilder::of_plain(plain, records.len()).packing(packing).build_around(cut);
        prop_assert!(walk_all(&batch).is_err());
    }

    #[test]
    fn varints_survive(number: i64, small: i32) {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, number);
        put_varint(&mut bytes, i64::from(small));
        let mut source = SliceSource::new(&bytes);
        prop_assert_eq!(varint::read_i64(&mut source).unwrap(), number);
        prop_assert_eq!(varint::read_i32(&mut source).unwrap(), small);
        prop_assert!(source.expect_end().is_ok());
    }
}

#[test]
fn overlong_varints_are_refused() {
    let too_wide_for_32_bits = [0xff, 0xff, 0xff, 0xff, 0x1f];
    assert!(matches!(
        varint::read_i32(&mut SliceSource::new(&too_wide_for_32_bits)),
        Err(WalkError::VarintTooLong)
    ));
    let endless = [0x80; 20];
    assert!(matches!(varint::read_i64(&mut SliceSource::new(&endless)), Err(WalkError::VarintTooLong)));
}

/// Walks one record of which `edit` changed the encoding.
fn walk_edited(edit: impl FnOnce(&mut Vec<u8>)) -> WalkError {
    let record = TestRecord {
        key: Some(b"key".to_vec()),
        headers: vec![(b"h".to_vec(), None)],
        ..TestRecord::of_value("value")
    };
    let mut plain = record.encode(0);
    edit(&mut plain);
    walk_all(&BatchBuilder::of_plain(plain, 1).build()).unwrap_err()
}

/// Where the fields of the record in `walk_edited` stand.
mod at {
    pub(super) const LENGTH: usize = 0;
    pub(super) const OFFSET_DELTA: usize = 3;
    pub(super) const KEY_LENGTH: usize = 4;
    pub(super) const HEADER_COUNT: usize = 14;
    pub(super) const HEADER_KEY_LENGTH: usize = 15;
}

#[test]
fn records_that_do_not_add_up_are_refused() {
    assert!(matches!(walk_edited(|record| record[at::LENGTH] += 2), WalkError::LengthMismatch));
    assert!(matches!(walk_edited(|record| record[at::LENGTH] -= 2), WalkError::LengthMismatch));
    assert!(matches!(walk_edited(|record| record[at::LENGTH] = 1), WalkError::InvalidLength(-1)));
    assert!(matches!(
        walk_edited(|record| record[at::OFFSET_DELTA] = 2),
        WalkError::OffsetDelta { expected: 0, found: 1 }
    ));
    assert!(matches!(walk_edited(|record| record[at::KEY_LENGTH] = 3), WalkError::InvalidLength(-2)));
    assert!(matches!(walk_edited(|record| record[at::KEY_LENGTH] = 100), WalkError::FieldTooLong));
    assert!(matches!(walk_edited(|record| record[at::HEADER_COUNT] = 1), WalkError::InvalidLength(-1)));
    assert!(matches!(walk_edited(|record| record[at::HEADER_KEY_LENGTH] = 1), WalkError::InvalidLength(-1)));
    assert!(matches!(walk_edited(|record| record.push(0)), WalkError::TrailingData));
    assert!(matches!(walk_edited(|record| record.truncate(9)), WalkError::Truncated));
}

#[test]
fn data_behind_the_compressed_records_is_refused() {
    for packing in Packing::ALL {
        let batch = BatchBuilder::of_count(3).packing(packing);
        let packed = batch.build()[HEADER_LEN..].to_vec();
        let error = walk_all(&batch.build_around(&[&packed[..], &[0; 5]].concat())).unwrap_err();
        assert!(
            matches!(error, WalkError::TrailingData | WalkError::Decompression(_)),
            "{packing:?}: {error}"
        );
    }
}

#[test]
fn one_more_compressed_record_than_stated_is_refused() {
    for packing in Packing::ALL {
        let mut batch = BatchBuilder::of_count(3).packing(packing);
        batch.record_count = 2;
        assert!(matches!(walk_all(&batch.build()), Err(WalkError::TrailingData)), "{packing:?}");
        batch.record_count = 4;
        assert!(matches!(walk_all(&batch.build()), Err(WalkError::Truncated)), "{packing:?}");
    }
}

#[test]
fn a_small_batch_that_decompresses_without_end_is_stopped() {
    let length = MAX_DECOMPRESSED_BYTES + (64 << 10);
    let mut plain = Vec::new();
    put_varint(&mut plain, i64::try_from(length).unwrap());
    plain.extend([0, 0, 0, 1]);
    put_varint(&mut plain, i64::try_from(length).unwrap() - 20);
    plain.resize(usize::try_from(length).unwrap(), 0);
    for packing in [Packing::Gzip, Packing::Zstd, Packing::Lz4, Packing::SnappyXerial] {
        let batch = BatchBuilder::of_plain(plain.clone(), 1).packing(packing).build();
        assert!(matches!(walk_all(&batch), Err(WalkError::DecompressedTooLarge)), "{packing:?}");
    }
}

#[test]
fn a_snappy_block_cannot_claim_more_than_it_can_hold() {
    // A raw block that states a length of 4 GiB less one.
    let claim = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
    let batch = BatchBuilder::of_count(1).packing(Packing::SnappyRaw).build_around(&claim);
    let error = walk_all(&batch).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the records cannot be decompressed: a block states a length that it cannot have"
    );
}

#[test]
fn the_densest_snappy_block_passes() {
    let record = TestRecord::of_value(vec![b'a'; 1 << 20]);
    let batch = BatchBuilder::of_records(&[record]).packing(Packing::SnappyRaw).build();
    assert!(batch.len() < 60_000);
    assert_eq!(walk_all(&batch).unwrap(), [0]);
}

#[test]
fn a_frame_of_dependent_lz4_blocks_is_refused() {
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(
        lz4_flex::frame::FrameInfo::new().block_mode(lz4_flex::frame::BlockMode::Linked),
        Vec::new(),
    );
    std::io::Write::write_all(&mut encoder, &TestRecord::of_value("v").encode(0)).unwrap();
    let packed = encoder.finish().unwrap();
    let batch = BatchBuilder::of_count(1).packing(Packing::Lz4).build_around(&packed);
    assert!(matches!(walk_all(&batch), Err(WalkError::Decompression(_))));
}

#[test]
fn a_walk_stops_where_the_visitor_breaks() {
    let mut records = vec![TestRecord::at(1), TestRecord::at(2)];
    records.push(TestRecord::at(3));
    let batch = BatchBuilder::of_records(&records).packing(Packing::Zstd).build();
    let mut seen = 0;
    walk_records(&header_of(&batch), &batch, |record| {
        seen += 1;
        if record.timestamp_delta == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    assert_eq!(seen, 2);
}
