//! What batches are compressed with.

use std::io::{Read, Write};

use flate2::Compression;

/// A codec, by its number in a batch's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// 0: as they are.
    None,
    /// 1
    Gzip,
    /// 2, as one raw block.
    Snappy,
    /// 3, LZ4's frame format.
    Lz4,
    /// 4 (KIP-110)
    Zstd,
}

impl Codec {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The name clients give it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    pub(super) fn number(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    pub(super) fn compress(self, plain: &[u8]) -> Vec<u8> {
        match self {
            Self::None => plain.to_vec(),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(plain).expect("writing to memory works");
                encoder.finish().expect("writing to memory works")
            }
            Self::Snappy => snap::raw::Encoder::new().compress_vec(plain).expect("snappy compresses"),
            Self::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
                encoder.write_all(plain).expect("writing to memory works");
                encoder.finish().expect("writing to memory works")
            }
            Self::Zstd => zstd::encode_all(plain, 1).expect("zstd compresses"),
        }
    }

    pub(super) fn decompress(self, compressed: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        match self {
            Self::None => plain.extend_from_slice(compressed),
            Self::Gzip => {
                flate2::read::GzDecoder::new(compressed).read_to_end(&mut plain).expect("gzip");
            }
            Self::Snappy => plain = snap::raw::Decoder::new().decompress_vec(compressed).expect("snappy"),
            Self::Lz4 => {
                lz4_flex::frame::FrameDecoder::new(compressed).read_to_end(&mut plain).expect("lz4");
            }
            Self::Zstd => plain = zstd::decode_all(compressed).expect("zstd"),
        }
        plain
    }
}
