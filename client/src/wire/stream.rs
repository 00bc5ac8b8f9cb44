//! A socket, with TLS or without.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_rustls::client::TlsStream;

use crate::security::explain;
use crate::wire::error::CloseReason;

/// A connection to a broker before the first request.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>, Peer),
}

/// The broker at the other end of TLS, for messages about failures.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    pub(crate) host: String,
    /// Whether this client has a certificate.
    pub(crate) has_identity: bool,
}

impl Stream {
    pub(crate) fn into_split(self) -> (Reader, Writer, Peer) {
        match self {
            Self::Plain(stream) => {
                let (reader, writer) = stream.into_split();
                (Reader::Plain(reader), Writer::Plain(writer), Peer::default())
            }
            Self::Tls(stream, peer) => {
                let (reader, writer) = split(*stream);
                (Reader::Tls(reader), Writer::Tls(writer), peer)
            }
        }
    }
}

impl Peer {
    /// Why a connection has ended that failed like this.
    pub(crate) fn reason(&self, error: &io::Error) -> CloseReason {
        match explain(error, &self.host, self.has_identity) {
            Some(failure) if failure.is_refusal => CloseReason::Refused { cause: failure.cause },
            Some(failure) => CloseReason::Tls { cause: failure.cause },
            // Brokers close without TLS's own farewell. Frames have lengths, so that none is taken for whole.
            None if error.kind() == io::ErrorKind::UnexpectedEof => CloseReason::ByBroker,
            None => CloseReason::Io(error.kind()),
        }
    }
}

/// The end that reads.
pub(crate) enum Reader {
    Plain(OwnedReadHalf),
    Tls(ReadHalf<TlsStream<TcpStream>>),
}

impl AsyncRead for Reader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(reader) => Pin::new(reader).poll_read(cx, to),
            Self::Tls(reader) => Pin::new(reader).poll_read(cx, to),
        }
    }
}

/// The end that writes.
pub(crate) enum Writer {
    Plain(OwnedWriteHalf),
    Tls(WriteHalf<TlsStream<TcpStream>>),
}

impl Writer {
    /// Whether what was written may still be with TLS, and needs a flush to reach the socket.
    pub(crate) const fn holds_back(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

impl AsyncWrite for Writer {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(writer) => Pin::new(writer).poll_write(cx, from),
            Self::Tls(writer) => Pin::new(writer).poll_write(cx, from),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(writer) => Pin::new(writer).poll_write_vectored(cx, from),
            Self::Tls(writer) => Pin::new(writer).poll_write_vectored(cx, from),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(writer) => writer.is_write_vectored(),
            Self::Tls(writer) => writer.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(writer) => Pin::new(writer).poll_flush(cx),
            Self::Tls(writer) => Pin::new(writer).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(writer) => Pin::new(writer).poll_shutdown(cx),
            Self::Tls(writer) => Pin::new(writer).poll_shutdown(cx),
        }
    }
}
