//! The four compression codecs behind one [`Read`], each with bounded memory.
//!
//! | codec | what it holds at most |
//! | --- | --- |
//! | gzip | a 32 KiB window |
//! | snappy | one block; a raw block is the whole batch, at most 22 times its compressed length, and no more than the caller takes |
//! | lz4 | two blocks, of up to 4 MiB each |
//! | zstd | its window, up to 128 MiB; the pages are touched only as far as data fills them |

use std::io::{self, Read};

use flate2::bufread::GzDecoder;

use super::lz4::Lz4Reader;
use super::snappy::SnappyReader;
use crate::batch::Codec;

/// Zstandard's own default bound, 2^27 bytes: what every level of every client stays within.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// A decompressor over the compressed records of one batch.
pub(crate) enum Decompressor<'a> {
    Gzip(GzDecoder<&'a [u8]>),
    Snappy(SnappyReader<'a>),
    Lz4(Lz4Reader<'a>),
    Zstd(Box<zstd::stream::read::Decoder<'static, &'a [u8]>>),
}

impl<'a> Decompressor<'a> {
    /// The decompressor of a codec, None for uncompressed records. `max` is how many bytes the caller takes: what a codec would
    /// hold beyond them is an error of [`io::ErrorKind::FileTooLarge`] while reading. The other codecs may give more.
    ///
    /// # Errors
    ///
    /// When LZ4 does not begin as a frame of independent blocks does, or when there is no memory for zstd's context. Other
    /// damage shows while reading.
    pub(crate) fn new(codec: Codec, compressed: &'a [u8], max: usize) -> io::Result<Option<Self>> {
        Ok(Some(match codec {
            Codec::None => return Ok(None),
            Codec::Gzip => Self::Gzip(GzDecoder::new(compressed)),
            Codec::Snappy => Self::Snappy(SnappyReader::new(compressed, max)),
            Codec::Lz4 => Self::Lz4(Lz4Reader::new(compressed)?),
            Codec::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(compressed)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Self::Zstd(Box::new(decoder))
            }
        }))
    }

    /// Whether, after a read returned 0, the compressed data was complete and nothing followed it.
    pub(crate) fn ended_cleanly(&self) -> bool {
        match self {
            Self::Gzip(decoder) => decoder.get_ref().is_empty(),
            Self::Snappy(reader) => reader.ended_cleanly(),
            Self::Lz4(reader) => reader.ended_cleanly(),
            Self::Zstd(decoder) => decoder.get_ref().is_empty(),
        }
    }
}

impl Read for Decompressor<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Snappy(reader) => reader.read(buffer),
            Self::Lz4(reader) => reader.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}
