//! Response frames into a socket, many in one system call.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::wire::ResponseFrame;

/// Slices handed to the kernel at once.
const SLICES_PER_WRITE: usize = 64;

/// Bytes taken over from the reply queue at once. A single frame may be larger.
const BATCH_BYTES: usize = 1 << 20;

/// Writes frames to one connection.
///
/// Invariant: no slice that waits is empty, so that a write of zero bytes always means a closed socket.
pub(super) struct FrameWriter<W> {
    socket: W,
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    /// Bytes of frames without a share of the node's memory, since nothing waited.
    small_bytes: usize,
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    /// A writer with nothing to write.
    pub(super) const fn new(socket: W) -> Self {
        Self { socket, waiting: VecDeque::new(), waiting_bytes: 0, small_bytes: 0 }
    }

    /// Whether everything is written.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether another frame should join those that wait.
    pub(super) const fn has_room(&self) -> bool {
        self.waiting_bytes < BATCH_BYTES
    }

    /// Bytes that wait.
    pub(super) const fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Bytes of small answers that wait, at the most.
    pub(super) const fn small_bytes(&self) -> usize {
        self.small_bytes
    }

    /// Adds a frame behind those that wait.
    pub(super) fn push(&mut self, frame: ResponseFrame) {
        self.waiting_bytes += frame.len();
        if !frame.is_covered() {
            self.small_bytes += frame.len();
        }
        self.waiting.extend(frame.into_parts());
    }

    /// Writes as much as the socket takes at once, waiting until it takes something. Cancel safe.
    ///
    /// # Errors
    ///
    /// The socket's error, or [`io::ErrorKind::WriteZero`] when it takes no more.
    pub(super) async fn write_some(&mut self) -> io::Result<()> {
        let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE];
        let mut filled = 0;
        for (slice, bytes) in slices.iter_mut().zip(&self.waiting) {
            *slice = IoSlice::new(bytes);
            filled += 1;
        }
        let written = self.socket.write_vectored(&slices[..filled]).await?;
        if written == 0 && filled > 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.advance(written);
        Ok(())
    }

    /// Drops what has been written.
    fn advance(&mut self, written: usize) {
        assert!(written <= self.waiting_bytes, "no more is written than waits");
        self.waiting_bytes -= written;
        let mut left = written;
        while let Some(first) = self.waiting.front_mut() {
            if first.len() > left {
                first.advance(left);
                break;
            }
            left -= first.len();
            self.waiting.pop_front();
        }
        if self.waiting.is_empty() {
            self.small_bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::ApiKey;
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn frames_of_many_slices_arrive_whole_and_in_order() {
        let (mut client, server) = tokio::io::duplex(1_000);
        let mut writer = FrameWriter::new(server);
        let mut expected = Vec::new();
        for correlation_id in 0..10u8 {
            let body = vec![Bytes::from(vec![correlation_id; 700]); 20];
            let frame = ResponseFrame::from_body(ApiKey::Metadata, 0, correlation_id.into(), body).unwrap();
            expected.extend(frame.clone().into_parts().concat());
            writer.push(frame);
        }
        let writing = async {
            while !writer.is_empty() {
                writer.write_some().await.unwrap();
            }
            drop(writer);
        };
        let mut received = Vec::new();
        let (_, read) = tokio::join!(writing, client.read_to_end(&mut received));
        read.unwrap();
        assert!(received == expected);
    }

    #[tokio::test]
    async fn a_socket_that_is_gone_is_an_error() {
        let (client, server) = tokio::io::duplex(1_000);
        drop(client);
        let mut writer = FrameWriter::new(server);
        writer.push(ResponseFrame::from_body(ApiKey::Metadata, 0, 1, []).unwrap());
        assert_eq!(writer.write_some().await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
