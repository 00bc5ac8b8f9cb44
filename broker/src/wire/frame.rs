//! The length prefix that stands before every request and response.

use thiserror::Error;

/// Bytes of the length prefix.
pub(crate) const PREFIX_BYTES: usize = 4;

/// The largest request taken unless configured otherwise: Kafka's default of `socket.request.max.bytes`, 100
/// MiB.
pub(crate) const DEFAULT_MAX_REQUEST_BYTES: usize = 104_857_600;

/// A length prefix that no frame can follow. The stream cannot be resynchronised, so the connection closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum FrameError {
    /// A negative length.
    #[error("frame of negative length {0}")]
    Negative(i32),
    /// A frame above `socket.request.max.bytes`. HTTP and TLS clients usually end here: their first bytes
    /// read as a huge length.
    #[error("frame of {length} bytes, above the limit of {limit}")]
    TooLarge {
        /// Bytes announced.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// Reads a length prefix: the number of bytes that follow it.
///
/// # Errors
///
/// [`FrameError`] when the length is negative or above `limit`.
pub(crate) fn content_length(prefix: [u8; PREFIX_BYTES], limit: usize) -> Result<usize, FrameError> {
    let length = i32::from_be_bytes(prefix);
    let length = usize::try_from(length).map_err(|_| FrameError::Negative(length))?;
    if length > limit {
        return Err(FrameError::TooLarge { length, limit });
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_included() {
        assert_eq!(content_length(100i32.to_be_bytes(), 100), Ok(100));
        assert_eq!(
            content_length(101i32.to_be_bytes(), 100),
            Err(FrameError::TooLarge { length: 101, limit: 100 })
        );
    }

    #[test]
    fn negative_lengths_and_other_protocols_are_refused() {
        assert_eq!(content_length((-1i32).to_be_bytes(), 100), Err(FrameError::Negative(-1)));
        assert_eq!(
            content_length(*b"GET ", DEFAULT_MAX_REQUEST_BYTES),
            Err(FrameError::TooLarge { length: 0x4745_5420, limit: DEFAULT_MAX_REQUEST_BYTES })
        );
    }
}
