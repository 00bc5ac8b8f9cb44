use proptest::prelude::*;

use super::*;
use crate::testing::Packing;

const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

proptest! {
    #[test]
    fn what_is_compressed_comes_back(plain in prop::collection::vec(0..4_u8, 0..5000)) {
        for codec in CODECS {
            let compressed = Compression::of(codec).compress(&plain).unwrap();
            prop_assert_eq!(decompress(codec, &compressed, plain.len()).unwrap(), plain.clone(), "{}", codec);
        }
    }

    #[test]
    fn every_dialect_is_read(plain in prop::collection::vec(any::<u8>(), 0..5000)) {
        for packing in Packing::ALL {
            let packed = packing.pack(&plain);
            prop_assert_eq!(&decompress(packing.codec(), &packed, plain.len()).unwrap(), &plain);
        }
    }

    #[test]
    fn no_rubbish_does_harm(rubbish in prop::collection::vec(any::<u8>(), 0..300), codec in 0..5_usize) {
        if let Ok(plain) = decompress(CODECS[codec], &rubbish, 1000) {
            prop_assert!(plain.len() <= 1000);
        }
    }
}

#[test]
fn one_byte_more_than_the_bound_is_refused() {
    let plain = vec![7; 100_000];
    for packing in Packing::ALL {
        let packed = packing.pack(&plain);
        assert!(decompress(packing.codec(), &packed, plain.len()).is_ok(), "{packing:?}");
        let refused = decompress(packing.codec(), &packed, plain.len() - 1);
        assert!(matches!(refused, Err(DecompressError::TooLarge { max: 99_999 })), "{packing:?}");
    }
}

#[test]
fn a_snappy_block_is_held_against_the_bound_before_it_is_decompressed() {
    // A length of 1000, which 50 bytes may have, and no element that exists.
    let raw = [&[0xe8, 0x07][..], &[0xff; 50]].concat();
    let header = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
    let framed = [&header[..], &52_u32.to_be_bytes(), &raw].concat();
    for block in [raw, framed] {
        let beyond = decompress(Codec::Snappy, &block, 999);
        assert!(matches!(beyond, Err(DecompressError::TooLarge { max: 999 })), "{beyond:?}");
        let within = decompress(Codec::Snappy, &block, 1000);
        assert!(matches!(within, Err(DecompressError::Damaged(_))), "{within:?}");
    }
}

#[test]
fn a_cut_or_something_behind_is_refused() {
    for packing in Packing::ALL.into_iter().filter(|packing| packing.codec() != Codec::None) {
        let packed = packing.pack(&[7; 1000]);
        assert!(decompress(packing.codec(), &packed[..packed.len() - 1], 2000).is_err(), "{packing:?}");
        assert!(decompress(packing.codec(), &[&packed[..], b"more"].concat(), 2000).is_err(), "{packing:?}");
    }
}

#[test]
fn levels_are_checked_against_the_codec() {
    assert!(Compression::with_level(Codec::Zstd, 19).is_ok());
    assert!(Compression::with_level(Codec::Lz4, 17).is_ok());
    assert_eq!(
        Compression::with_level(Codec::Gzip, 10).unwrap_err().to_string(),
        "gzip has no compression level 10, only 1 to 9"
    );
    assert_eq!(
        Compression::with_level(Codec::Snappy, 1).unwrap_err().to_string(),
        "snappy has no compression level"
    );
    let numbers = (0..20_000_u64).map(|number| (number * number % 7919).to_string());
    let plain = numbers.collect::<Vec<_>>().join(" ").into_bytes();
    for (codec, strongest) in [(Codec::Gzip, 9), (Codec::Zstd, 19)] {
        let length = |level| Compression::with_level(codec, level).unwrap().compress(&plain).unwrap().len();
        assert!(length(strongest) < length(1), "{codec}");
    }
}

#[test]
fn every_codec_has_its_name() {
    for codec in CODECS {
        assert_eq!(codec.name().parse(), Ok(codec));
    }
    assert_eq!("brotli".parse::<Codec>().unwrap_err().to_string(), "there is no codec \"brotli\"");
}
