//! The five codecs of record batches: how strongly a writer compresses, and how far a reader decompresses.

mod compress;
mod decompress;
mod lz4;
mod snappy;
#[cfg(test)]
mod tests;

use std::io::{ErrorKind, Read};

pub use self::compress::{Compression, InvalidLevel};
pub(crate) use self::decompress::Decompressor;
use crate::batch::Codec;

/// Why compressed bytes cannot be decompressed.
#[derive(Debug, thiserror::Error)]
pub enum DecompressError {
    /// The bytes are not what the codec writes.
    #[error("the records cannot be decompressed: {0}")]
    Damaged(#[from] std::io::Error),
    /// The compressed stream ends too soon, or something follows it.
    #[error("the compressed records do not end where they should")]
    Ending,
    /// They decompress to more than the caller takes.
    #[error("the records decompress to more than {max} bytes")]
    TooLarge {
        /// The caller's bound, in bytes.
        max: usize,
    },
}

/// Decompresses the records of one batch, of at most `max` bytes.
///
/// The result grows as data comes out, never by what the data claims: the memory taken is at most twice what was really
/// decompressed, and what the codec needs (`decompress` lists it).
///
/// # Errors
///
/// As [`DecompressError`] says.
pub fn decompress(codec: Codec, compressed: &[u8], max: usize) -> Result<Vec<u8>, DecompressError> {
    let Some(mut decompressor) = Decompressor::new(codec, compressed, max)? else {
        return if compressed.len() > max {
            Err(DecompressError::TooLarge { max })
        } else {
            Ok(compressed.to_vec())
        };
    };
    let mut plain = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    let read = decompressor.by_ref().take(limit).read_to_end(&mut plain);
    read.map_err(|error| match error.kind() {
        ErrorKind::FileTooLarge => DecompressError::TooLarge { max },
        _ => error.into(),
    })?;
    if plain.len() > max {
        return Err(DecompressError::TooLarge { max });
    }
    if decompressor.ended_cleanly() { Ok(plain) } else { Err(DecompressError::Ending) }
}
