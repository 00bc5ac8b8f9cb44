//! The broker's end of connections, for tests of TLS and SASL.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, MetadataResponse, RequestHeader, ResponseHeader, SaslAuthenticateRequest,
    SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::wire::frame::take_frame;

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
    id: i32,
    body: Bytes,
}

/// The broker's end of a connection.
pub(crate) struct Peer<S> {
    pub(crate) stream: S,
    incoming: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, incoming: BytesMut::new() }
    }

    /// The next request, none once the client has closed.
    pub(crate) async fn asked(&mut self) -> Option<Asked> {
        loop {
            if let Some(mut frame) = take_frame(&mut self.incoming, 100 << 20).ok()? {
                let key = ApiKey::try_from(i16::from_be_bytes([frame[0], frame[1]])).unwrap();
                let version = i16::from_be_bytes([frame[2], frame[3]]);
                let header = RequestHeader::decode(&mut frame, key.request_header_version(version)).unwrap();
                return Some(Asked { key, version, id: header.correlation_id, body: frame });
            }
            if self.stream.read_buf(&mut self.incoming).await.ok()? == 0 {
                return None;
            }
        }
    }

    pub(crate) async fn answer<B: Encodable + HeaderVersion>(&mut self, to: &Asked, body: &B) {
        let mut frame = BytesMut::new();
        frame.put_u32(0);
        let header = ResponseHeader::default().with_correlation_id(to.id);
        header.encode(&mut frame, B::header_version(to.version)).unwrap();
        body.encode(&mut frame, to.version).unwrap();
        let length = u32::try_from(frame.len() - 4).unwrap();
        frame[..4].copy_from_slice(&length.to_be_bytes());
        // The client may have gone.
        let _ = self.stream.write_all(&frame).await;
        let _ = self.stream.flush().await;
    }

    /// Answers what is no matter of security. Returns whether it was that.
    pub(crate) async fn served(&mut self, asked: &Asked) -> bool {
        match asked.key {
            ApiKey::ApiVersions => self.answer(asked, &listing(&[3, 17, 18, 36])).await,
            ApiKey::Metadata => self.answer(asked, &MetadataResponse::default()).await,
            _ => return false,
        }
        true
    }

    /// Serves until the client has gone, without SASL.
    pub(crate) async fn serve(mut self) {
        while let Some(asked) = self.asked().await {
            assert!(self.served(&asked).await, "{asked:?}");
        }
    }
}

/// These APIs, each up to the version that tests speak.
pub(crate) fn listing(keys: &[i16]) -> ApiVersionsResponse {
    let rows = keys.iter().map(|key| {
        let max = match key {
            3 => 12,
            17 => 1,
            36 => 2,
            _ => 4,
        };
        ApiVersion::default().with_api_key(*key).with_min_version(0).with_max_version(max)
    });
    ApiVersionsResponse::default().with_api_keys(rows.collect())
}

/// The mechanism that a SaslHandshake names.
pub(crate) fn mechanism(asked: &Asked) -> String {
    let request = SaslHandshakeRequest::decode(&mut asked.body.clone(), asked.version).unwrap();
    request.mechanism.to_string()
}

/// The client's bytes.
pub(crate) fn said(asked: &Asked) -> Bytes {
    SaslAuthenticateRequest::decode(&mut asked.body.clone(), asked.version).unwrap().auth_bytes
}

pub(crate) fn offer(mechanisms: &[&'static str], code: i16) -> SaslHandshakeResponse {
    let offered = mechanisms.iter().map(|name| StrBytes::from_static_str(name)).collect();
    SaslHandshakeResponse::default().with_error_code(code).with_mechanisms(offered)
}

pub(crate) fn challenge(bytes: impl Into<Bytes>) -> SaslAuthenticateResponse {
    SaslAuthenticateResponse::default().with_auth_bytes(bytes.into())
}

pub(crate) fn denial(reason: &str) -> SaslAuthenticateResponse {
    let reason = StrBytes::from_string(reason.to_owned());
    SaslAuthenticateResponse::default().with_error_code(58).with_error_message(Some(reason))
}

/// A port of the loopback interface whose connections are each given to `serve`.
pub(crate) async fn listen<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// TLS with this certificate and key (PEM). With `clients`, only for those whose certificate that authority has signed.
pub(crate) fn acceptor(identity: &(String, String), clients: Option<&str>) -> TlsAcceptor {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let certificate = CertificateDer::from_pem_slice(identity.0.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.1.as_bytes()).unwrap();
    TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![certificate], key).unwrap()))
}

/// A broker that speaks TLS, and nothing of SASL.
pub(crate) async fn listen_by_tls(acceptor: TlsAcceptor) -> String {
    listen(move |socket| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(socket).await {
                Peer::over(stream).serve().await;
            }
        }
    })
    .await
}
