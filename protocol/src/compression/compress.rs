//! Compressing the records of a batch, as one piece.

use std::fmt;
use std::io::{self, Write};
use std::ops::RangeInclusive;

use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

use crate::batch::Codec;

/// A codec and how hard it tries. Made with a level that the codec has, or with its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    codec: Codec,
    level: i32,
}

/// A compression level that the codec does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidLevel {
    /// The codec.
    pub codec: Codec,
    /// The level that was asked for.
    pub level: i32,
    /// The levels that the codec has, if it has any.
    pub range: Option<RangeInclusive<i32>>,
}

impl fmt::Display for InvalidLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { codec, level, range } = self;
        match range {
            Some(range) => {
                write!(
                    f,
                    "{codec} has no compression level {level}, only {} to {}",
                    range.start(),
                    range.end()
                )
            }
            None => write!(f, "{codec} has no compression level"),
        }
    }
}

impl std::error::Error for InvalidLevel {}

impl Compression {
    /// No compression.
    pub const NONE: Self = Self { codec: Codec::None, level: 0 };

    /// A codec at the level that Kafka's Java client takes: 6 for gzip, 3 for zstd.
    #[must_use]
    pub const fn of(codec: Codec) -> Self {
        let level = match codec {
            Codec::None | Codec::Snappy => 0,
            Codec::Gzip => 6,
            Codec::Lz4 => 9,
            Codec::Zstd => 3,
        };
        Self { codec, level }
    }

    /// A codec at a level of `compression.<codec>.level` (KIP-390): gzip has 1 to 9, lz4 has 1 to 17, zstd has the levels of
    /// its library. The LZ4 encoder here knows one way to compress: a level is checked and changes nothing.
    ///
    /// # Errors
    ///
    /// [`InvalidLevel`] for any other.
    pub fn with_level(codec: Codec, level: i32) -> Result<Self, InvalidLevel> {
        let range = match codec {
            Codec::None | Codec::Snappy => None,
            Codec::Gzip => Some(1..=9),
            Codec::Lz4 => Some(1..=17),
            Codec::Zstd => Some(zstd::compression_level_range()),
        };
        if range.as_ref().is_some_and(|range| range.contains(&level)) {
            Ok(Self { codec, level })
        } else {
            Err(InvalidLevel { codec, level, range })
        }
    }

    /// The codec.
    #[must_use]
    pub const fn codec(self) -> Codec {
        self.codec
    }

    /// The compressed form of `plain`, in the dialect that every consumer reads: one gzip member, one raw Snappy block, one
    /// LZ4 frame of independent blocks of 64 KiB, one zstd frame.
    ///
    /// # Errors
    ///
    /// When the codec's library fails, as zstd's does without memory, and Snappy's beyond 4 GiB.
    pub fn compress(self, plain: &[u8]) -> io::Result<Vec<u8>> {
        match self.codec {
            Codec::None => Ok(plain.to_vec()),
            Codec::Gzip => {
                let level = flate2::Compression::new(self.level.unsigned_abs());
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(plain)?;
                encoder.finish()
            }
            Codec::Snappy => Ok(snap::raw::Encoder::new().compress_vec(plain)?),
            Codec::Lz4 => {
                let info = FrameInfo::new().block_mode(BlockMode::Independent).block_size(BlockSize::Max64KB);
                let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(plain)?;
                Ok(encoder.finish()?)
            }
            Codec::Zstd => zstd::bulk::compress(plain, self.level),
        }
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self::NONE
    }
}
