//! TLS against a broker in this process, whose certificates are made for each test.

use bytes::Bytes;
use kafka_protocol::messages::{ApiKey, MetadataRequest, ProduceRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::*;
use crate::Error;
use crate::security::tls::testing::Authority;
use crate::security::{Security, Tls};
use crate::wire::testing::{Peer, acceptor, listen, listen_by_tls, listing};
use crate::wire::{Connection, ConnectionOptions};

fn options(tls: Tls) -> ConnectionOptions {
    let security = Security::ssl(tls).prepare().unwrap();
    ConnectionOptions { security, connect_timeout: Duration::from_secs(5), ..ConnectionOptions::default() }
}

/// What a client that trusts `authority` finds at a broker of this identity.
async fn met(authority: &Authority, identity: &(String, String)) -> Result<Connection, ConnectError> {
    let address = listen_by_tls(acceptor(identity, None)).await;
    let tls = Tls::new().trust_pem(authority.certificate());
    Connection::connect(&address, &options(tls)).await
}

/// Why the client does not accept the broker, or the broker the client: both are told as what no retry mends.
fn refused<T>(outcome: Result<T, ConnectError>) -> String {
    let Err(error @ ConnectError::Authentication { .. }) = outcome else {
        panic!("{:?}", outcome.err());
    };
    let error = Error::from(error);
    assert_eq!(error.class(), crate::ErrorClass::Fatal);
    error.to_string()
}

#[test]
fn an_address_has_a_host() {
    assert_eq!(host("broker:9092"), "broker");
    assert_eq!(host("[::1]:9092"), "::1");
    assert_eq!(host("127.0.0.1:1"), "127.0.0.1");
}

#[tokio::test]
async fn requests_are_answered_within_tls() {
    let authority = Authority::new("a");
    let connection = met(&authority, &authority.broker(&["127.0.0.1"])).await.unwrap();
    for _ in 0..3 {
        connection.request(MetadataRequest::default()).await.unwrap();
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_unless_the_name_is_left_unchecked() {
    let authority = Authority::new("a");
    let identity = authority.broker(&["broker.example.org"]);
    let error = refused(met(&authority, &identity).await);
    assert!(error.contains("is for broker.example.org and not for 127.0.0.1"), "{error}");
    assert!(error.contains("ssl.endpoint.identification.algorithm"), "{error}");
    let address = listen_by_tls(acceptor(&identity, None)).await;
    let unchecked = Tls::new().trust_pem(authority.certificate()).without_name_check();
    Connection::connect(&address, &options(unchecked)).await.unwrap();
}

#[tokio::test]
async fn whatever_else_is_wrong_is_refused_with_and_without_a_check_of_the_name() {
    let (authority, stranger) = (Authority::new("a"), Authority::new("b"));
    for checks_name in [true, false] {
        for (identity, said) in [
            (stranger.broker(&["127.0.0.1"]), "ssl.ca.location"),
            (authority.expired(&["127.0.0.1"]), "has expired"),
            (authority.client("me"), "serverAuth"),
        ] {
            let address = listen_by_tls(acceptor(&identity, None)).await;
            let tls = Tls::new().trust_pem(authority.certificate());
            let tls = if checks_name { tls } else { tls.without_name_check() };
            let error = refused(Connection::connect(&address, &options(tls)).await);
            assert!(error.contains(said), "{error}");
        }
    }
}

#[tokio::test]
async fn an_authority_s_own_certificate_is_none_of_a_broker() {
    let authority = Authority::new("a");
    let error = refused(met(&authority, &authority.itself()).await);
    assert!(error.contains("CA:FALSE"), "{error}");
}

#[tokio::test]
async fn a_broker_that_requires_a_certificate_gets_the_client_s() {
    let (authority, stranger) = (Authority::new("a"), Authority::new("b"));
    let acceptor = acceptor(&authority.broker(&["127.0.0.1"]), Some(&authority.certificate()));
    let address = listen_by_tls(acceptor).await;
    let tls = || Tls::new().trust_pem(authority.certificate());
    let connect = async |tls| Connection::connect(&address, &options(tls)).await;
    let (chain, key) = authority.client("me");
    connect(tls().identity_pem(chain, key)).await.unwrap();
    let absent = refused(connect(tls()).await);
    assert!(absent.contains("requires a client certificate: set ssl.certificate.location"), "{absent}");
    let (chain, key) = stranger.client("me");
    let wrong = refused(connect(tls().identity_pem(chain, key)).await);
    assert!(wrong.contains("does not accept this client's certificate"), "{wrong}");
}

#[tokio::test]
async fn a_broker_without_tls_is_told_of_in_a_sentence() {
    let authority = Authority::new("a");
    let failure = async |address: String| {
        let options = ConnectionOptions {
            connect_timeout: Duration::from_millis(500),
            ..options(Tls::new().trust_pem(authority.certificate()))
        };
        let error = Connection::connect(&address, &options).await.unwrap_err();
        assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
        let error = Error::from(error);
        assert_eq!(error.class(), crate::ErrorClass::Retriable);
        error.to_string()
    };
    let closes = failure(listen(|_| async {}).await).await;
    assert!(closes.contains("security.protocol is PLAINTEXT or SASL_PLAINTEXT"), "{closes}");
    let talks = listen(|mut socket| async move {
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _ = socket.read_to_end(&mut Vec::new()).await;
    });
    let talks = failure(talks.await).await;
    assert!(talks.contains("set security.protocol to PLAINTEXT"), "{talks}");
    let silent = listen(|mut socket| async move {
        let _ = socket.read_to_end(&mut Vec::new()).await;
    });
    let silent = failure(silent.await).await;
    assert!(silent.contains("it does not answer within 500ms"), "{silent}");
}

#[tokio::test]
async fn a_client_without_tls_at_a_broker_with_it_is_told_what_to_set() {
    let identity = Authority::new("a").broker(&["127.0.0.1"]);
    let address = listen_by_tls(acceptor(&identity, None)).await;
    let error = Connection::connect(&address, &ConnectionOptions::default()).await.unwrap_err().to_string();
    assert!(
        error.contains("set security.protocol to SSL or SASL_SSL") || error.contains("security.protocol=SSL"),
        "{error}"
    );
    let closes = listen(|_| async {}).await;
    let error = Connection::connect(&closes, &ConnectionOptions::default()).await.unwrap_err().to_string();
    assert!(error.contains("security.protocol=SSL or SASL_SSL"), "{error}");
}

#[tokio::test]
async fn a_request_larger_than_all_buffers_arrives_whole_and_is_written_only_then() {
    const PIECE: usize = 1 << 20;
    const PIECES: usize = 16;
    let authority = Authority::new("a");
    let acceptor = acceptor(&authority.broker(&["127.0.0.1"]), None);
    let (go, mut may_read) = tokio::sync::mpsc::channel::<()>(1);
    let (told, mut arrived) = tokio::sync::mpsc::channel(1);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut peer = Peer::over(acceptor.accept(listener.accept().await.unwrap().0).await.unwrap());
        let first = peer.asked().await.unwrap();
        peer.answer(&first, &listing(&[0, 3, 18])).await;
        may_read.recv().await;
        // The length, the header and the body.
        let length = peer.stream.read_u32().await.unwrap();
        let mut rest = vec![0; usize::try_from(length).unwrap()];
        peer.stream.read_exact(&mut rest).await.unwrap();
        told.send(rest).await.unwrap();
    });
    let tls = Tls::new().trust_pem(authority.certificate());
    let connection = Connection::connect(&address, &options(tls)).await.unwrap();
    let pieces: Vec<_> = (0..PIECES).map(|at| Bytes::from(vec![u8::try_from(at).unwrap(); PIECE])).collect();
    let version = connection.versions().negotiate::<ProduceRequest>().unwrap();
    let pending = connection.send_pieces_without_reply_at::<ProduceRequest>(pieces, version).await.unwrap();
    let mut written = Box::pin(pending.written());
    let early = timeout(Duration::from_millis(100), &mut written).await;
    assert!(early.is_err(), "it is not read, and no buffer holds it");
    go.send(()).await.unwrap();
    written.await.unwrap();
    let rest = arrived.recv().await.unwrap();
    let body = &rest[rest.len() - PIECES * PIECE..];
    assert!(body.chunks(PIECE).zip(0_u8..).all(|(piece, at)| piece.iter().all(|byte| *byte == at)));
    assert_eq!(ApiKey::try_from(i16::from_be_bytes([rest[0], rest[1]])), Ok(ApiKey::Produce));
}
