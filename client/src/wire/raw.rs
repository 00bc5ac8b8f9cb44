//! A socket without manners.
//!
//! Tests of a broker must be able to say what no correct client says: a negative length, half a frame, a version that
//! does not exist. A [`RawConnection`] sends exactly the bytes it is given, does no handshake, and shows what comes
//! back frame by frame.

use std::io;

use bytes::{Bytes, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wire::frame::{FrameError, take_frame};

/// The largest frame a raw connection reads, in bytes.
const MAX_FRAME: usize = 100 << 20;

/// What a broker did instead of sending a frame.
#[derive(Debug, Error)]
pub enum RawError {
    /// Reading failed; a reset by the broker is one of these.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A frame outside the bounds.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The stream ended within a frame.
    #[error("the stream ends {count} bytes into a frame")]
    Truncated {
        /// The bytes that did come, the length prefix included.
        count: usize,
    },
}

/// A plain TCP connection that speaks in frames only if asked to.
#[derive(Debug)]
pub struct RawConnection {
    stream: TcpStream,
    incoming: BytesMut,
}

impl RawConnection {
    /// Dials `address` (`host:port`).
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub async fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, incoming: BytesMut::new() })
    }

    /// Sends bytes as they are. [`encode_request`] makes a correct frame to start from.
    ///
    /// # Errors
    /// Whatever the operating system says, a reset by the broker among it.
    ///
    /// [`encode_request`]: crate::wire::frame::encode_request
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Sends bytes as one frame: behind a prefix that states their length.
    ///
    /// # Errors
    /// As [`RawConnection::send_bytes`]; `InvalidInput` above 2 GiB.
    pub async fn send_frame(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length =
            i32::try_from(bytes.len()).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
        self.stream.write_all(&length.to_be_bytes()).await?;
        self.stream.write_all(bytes).await
    }

    /// Says that nothing more will be sent, while answers may still come.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub async fn finish_sending(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// The next frame without its length prefix, `None` when the broker has closed the connection between two frames.
    ///
    /// # Errors
    /// [`RawError`] if the connection ended otherwise.
    pub async fn read_frame(&mut self) -> Result<Option<Bytes>, RawError> {
        loop {
            if let Some(frame) = take_frame(&mut self.incoming, MAX_FRAME)? {
                return Ok(Some(frame));
            }
            if self.stream.read_buf(&mut self.incoming).await? == 0 {
                return match self.incoming.len() {
                    0 => Ok(None),
                    count => Err(RawError::Truncated { count }),
                };
            }
        }
    }
}
