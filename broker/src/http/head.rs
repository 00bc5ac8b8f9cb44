//! The head of a request, read within bounds and checked for what must not be ambiguous, before hyper parses it.
//!
//! A request that tells its length twice (`Content-Length` two times, or beside `Transfer-Encoding`) is read in one way by one
//! server and in another way by the next one, which is how requests are smuggled past a proxy. RFC 9112 (6.1, 6.3) has a
//! server refuse them. hyper drops one of the two without a word, so they are refused here.

use std::io;

use hyper::StatusCode;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest head of a request, in bytes.
pub(crate) const MAX_HEAD_BYTES: usize = 16 << 10;

/// Why a head is not taken.
#[derive(Debug, Error)]
pub(super) enum HeadError {
    /// The client left, or its connection failed.
    #[error("the client left: {0}")]
    Left(#[from] io::Error),
    /// It does not end.
    #[error("the head of a request has at most {MAX_HEAD_BYTES} bytes")]
    TooLong,
    /// It tells a length twice.
    #[error("Content-Length and Transfer-Encoding exclude each other, and each may be there once")]
    LengthTwice,
    /// It has lines that continue the one before, which nobody sends any more.
    #[error("header lines must not be folded")]
    Folded,
}

impl HeadError {
    /// The status of the answer; none if nobody is there to read it.
    pub(super) const fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Left(_) => None,
            Self::TooLong => Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
            Self::LengthTwice | Self::Folded => Some(StatusCode::BAD_REQUEST),
        }
    }
}

/// Reads until a head is complete, and returns it with what came behind it.
///
/// # Errors
///
/// [`HeadError`].
pub(super) async fn read<R: AsyncRead + Unpin>(socket: &mut R) -> Result<Vec<u8>, HeadError> {
    let mut bytes = Vec::with_capacity(1 << 10);
    loop {
        if let Some(end) = end_of_head(&bytes) {
            check(&bytes[..end])?;
            return Ok(bytes);
        }
        if bytes.len() >= MAX_HEAD_BYTES {
            return Err(HeadError::TooLong);
        }
        let room = MAX_HEAD_BYTES - bytes.len();
        if (&mut *socket).take(room as u64).read_buf(&mut bytes).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}

/// Where the empty line ends that ends a head. Lines end with a line feed, most with a carriage return before it.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let feeds = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
    feeds.clone().zip(feeds.skip(1)).find_map(|(one, next)| {
        let between = &bytes[one + 1..next];
        (between.is_empty() || between == b"\r").then_some(next + 1)
    })
}

fn check(head: &[u8]) -> Result<(), HeadError> {
    let (mut lengths, mut encodings) = (0, 0);
    for line in head.split(|byte| *byte == b'\n').skip(1) {
        if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            return Err(HeadError::Folded);
        }
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            // A list of lengths is more than one.
            lengths += 1 + line.iter().filter(|byte| **byte == b',').count();
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            encodings += 1;
        }
    }
    if lengths + encodings > 1 { Err(HeadError::LengthTwice) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    async fn head(text: &str) -> Result<Vec<u8>, HeadError> {
        read(&mut text.as_bytes()).await
    }

    #[tokio::test]
    async fn a_head_comes_with_what_is_behind_it() {
        for text in
            ["GET / HTTP/1.1\r\nHost: a\r\n\r\nbody", "GET / HTTP/1.1\nHost: a\n\nbody", "GET /\r\n\r\n"]
        {
            assert_eq!(head(text).await.unwrap(), text.as_bytes());
        }
        for text in ["", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n"] {
            assert!(matches!(head(text).await, Err(HeadError::Left(_))), "{text:?}");
        }
        let long = "x".repeat(MAX_HEAD_BYTES);
        assert!(matches!(head(&long).await, Err(HeadError::TooLong)));
    }

    #[tokio::test]
    async fn a_length_is_told_once() {
        let put = |lines: &str| format!("PUT /log HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        for lines in ["Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n", ""] {
            assert!(head(&put(lines)).await.is_ok(), "{lines}");
        }
        for lines in [
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
            "Content-Length: 4\r\nContent-Length: 4\r\n",
            "Content-Length: 4, 4\r\n",
            "Content-Length : 4\r\ncontent-length:4\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        ] {
            assert!(matches!(head(&put(lines)).await, Err(HeadError::LengthTwice)), "{lines}");
        }
        assert!(matches!(head(&put("X: y\r\n Content-Length: 4\r\n")).await, Err(HeadError::Folded)));
    }
    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"\r\n :,cC"[..])], 0..200),
        ) {
            if let Some(end) = end_of_head(&bytes) {
                prop_assert!(end <= bytes.len());
                let _ = check(&bytes[..end]);
            }
            let _ = check(&bytes);
        }
    }
}
