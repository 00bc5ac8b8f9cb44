//! TLS, before the first request.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::security::{Connector, explain};
use crate::wire::error::ConnectError;
use crate::wire::stream::{Peer, Stream};

/// The host of `host:port`, without the brackets of an IPv6 address.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Opens TLS on a socket, within `limit`.
pub(super) async fn open(
    socket: TcpStream,
    address: &str,
    connector: &Connector,
    limit: Duration,
) -> Result<Stream, ConnectError> {
    let failed = |cause| ConnectError::Tls { address: address.to_owned(), cause };
    let host = host(address);
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|_| failed(format!("{host:?} cannot be the name in a certificate")))?;
    let silent = || {
        failed(format!(
            "it does not answer within {limit:?}: it may not speak TLS there, and security.protocol would be PLAINTEXT or SASL_PLAINTEXT"
        ))
    };
    let opened = timeout(limit, connector.tls.connect(name, socket)).await.map_err(|_| silent())?;
    match opened {
        Ok(stream) => {
            let peer = Peer { host: host.to_owned(), has_identity: connector.has_identity };
            Ok(Stream::Tls(Box::new(stream), peer))
        }
        Err(error) => Err(match explain(&error, host, connector.has_identity) {
            Some(failure) if failure.is_refusal => {
                ConnectError::Authentication { address: address.to_owned(), cause: failure.cause }
            }
            Some(failure) => failed(failure.cause),
            None => failed(format!(
                "it ends the connection during the handshake ({}): if it speaks no TLS there, security.protocol is PLAINTEXT or SASL_PLAINTEXT",
                error.kind()
            )),
        }),
    }
}

#[cfg(test)]
mod tests;
