//! SASL against a broker in this process.

use std::sync::atomic::{AtomicUsize, Ordering};

use kafka_protocol::messages::{ApiKey, MetadataRequest};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::*;
use crate::Error;
use crate::security::sasl::Hash;
use crate::security::sasl::testing::ScramServer;
use crate::security::{Sasl, Security};
use crate::wire::testing::{Asked, Peer, challenge, denial, listen, listing, mechanism, offer, said};
use crate::wire::{Connection, ConnectionOptions};

type Client = Peer<tokio::net::TcpStream>;

fn options(sasl: Sasl) -> ConnectionOptions {
    let security = Security::sasl_plaintext(sasl).prepare().unwrap();
    ConnectionOptions { security, request_timeout: Duration::from_secs(10), ..ConnectionOptions::default() }
}

async fn connect(address: &str, sasl: Sasl) -> Result<Connection, ConnectError> {
    Connection::connect(address, &options(sasl)).await
}

fn refused(outcome: Result<Connection, ConnectError>) -> String {
    let Err(error @ ConnectError::Authentication { .. }) = outcome else {
        panic!("{:?}", outcome.err());
    };
    let error = Error::from(error);
    assert_eq!(error.class(), crate::ErrorClass::Fatal);
    error.to_string()
}

/// The broker's part of one authentication, from the SaslHandshake that was read on. The user is `alice`, the password `right`.
async fn authenticate(peer: &mut Client, hello: Asked, lifetime: i64) -> bool {
    assert_eq!(hello.key, ApiKey::SaslHandshake);
    let name = mechanism(&hello);
    peer.answer(&hello, &offer(&["PLAIN"], 0)).await;
    let Some(first) = peer.asked().await else { return false };
    assert_eq!(first.key, ApiKey::SaslAuthenticate, "nothing else comes before the exchange is over");
    let accepted = challenge("").with_session_lifetime_ms(lifetime);
    let hash = match name.as_str() {
        "PLAIN" | "OAUTHBEARER" => {
            let right: [&[u8]; 2] = [b"\0alice\0right", b"n,,\x01auth=Bearer right\x01\x01"];
            let is_right = right.contains(&&said(&first)[..]);
            let answer = if is_right {
                accepted
            } else {
                denial("Authentication failed: Invalid username or password")
            };
            peer.answer(&first, &answer).await;
            return is_right;
        }
        "SCRAM-SHA-256" => Hash::Sha256,
        _ => Hash::Sha512,
    };
    let mut server = ScramServer::new(hash, "right");
    peer.answer(&first, &challenge(server.challenge(&said(&first)))).await;
    let Some(proof) = peer.asked().await else { return false };
    if server.accepts(&said(&proof)) {
        peer.answer(&proof, &accepted.with_auth_bytes(server.signature(&said(&proof)).into())).await;
        return true;
    }
    peer.answer(&proof, &denial("Authentication failed during authentication due to invalid credentials"))
        .await;
    false
}

/// Serves a connection whose sessions last so long; `times` counts authentications.
async fn serve(mut peer: Client, lifetime: i64, times: watch::Sender<u32>) {
    let first = peer.asked().await.unwrap();
    assert!(peer.served(&first).await);
    while let Some(asked) = peer.asked().await {
        if asked.key == ApiKey::SaslHandshake {
            if !authenticate(&mut peer, asked, lifetime).await {
                return;
            }
            times.send_modify(|times| *times += 1);
        } else {
            assert!(*times.borrow() > 0, "no request comes before");
            assert!(peer.served(&asked).await);
        }
    }
}

async fn broker(lifetime: i64) -> (String, watch::Receiver<u32>) {
    let (times, counted) = watch::channel(0);
    let address = listen(move |socket| serve(Peer::over(socket), lifetime, times.clone())).await;
    (address, counted)
}

fn token() -> Sasl {
    Sasl::oauth_bearer(|| async { Ok(Token::new("right")) })
}

#[test]
fn a_session_is_renewed_when_most_of_it_is_over() {
    let hour = Duration::from_secs(3600);
    assert_eq!(due(hour, 0.0), Duration::from_secs(3060));
    assert_eq!(due(hour, 1.0), Duration::from_secs(3420));
    assert_eq!(due(Duration::from_millis(500), 0.5), SOONEST, "brokers take none before");
}

#[test]
fn a_session_has_an_end_only_if_the_broker_says_so() {
    assert_eq!(lifetime(0), None);
    assert_eq!(lifetime(-1), None);
    assert_eq!(lifetime(5), Some(Duration::from_millis(5)));
    assert!(lifetime(i64::MAX).unwrap() < Duration::from_secs(1 << 32), "the end is within the clock");
}

#[tokio::test]
async fn each_mechanism_ends_with_a_connection_that_serves() {
    for sasl in [
        Sasl::plain("alice", "right"),
        Sasl::scram_sha_256("alice", "right"),
        Sasl::scram_sha_512("alice", "right"),
        token(),
    ] {
        let (address, _) = broker(0).await;
        let connection = connect(&address, sasl).await.unwrap();
        connection.request(MetadataRequest::default()).await.unwrap();
    }
}

#[tokio::test]
async fn the_broker_s_reason_is_told_and_the_password_is_not() {
    for sasl in [
        Sasl::plain("alice", "hush"),
        Sasl::scram_sha_256("alice", "hush"),
        Sasl::scram_sha_512("alice", "hush"),
        Sasl::oauth_bearer(|| async { Ok(Token::new("hush")) }),
    ] {
        let (address, _) = broker(0).await;
        let error = refused(connect(&address, sasl).await);
        assert!(error.contains("Authentication failed") && !error.contains("hush"), "{error}");
        assert!(error.contains(&address), "{error}");
    }
}

#[tokio::test]
async fn what_the_broker_does_not_take_is_told_with_what_it_does() {
    let answering = async |code: i16| {
        let serve = move |socket| async move {
            let mut peer = Peer::over(socket);
            while let Some(asked) = peer.asked().await {
                if !peer.served(&asked).await {
                    peer.answer(&asked, &offer(&["SCRAM-SHA-512", "OAUTHBEARER"], code)).await;
                }
            }
        };
        refused(connect(&listen(serve).await, Sasl::plain("a", "b")).await)
    };
    let other = answering(33).await;
    assert!(other.contains("set sasl.mechanism to one of SCRAM-SHA-512, OAUTHBEARER"), "{other}");
    let none = answering(34).await;
    assert!(none.contains("takes no SASL: security.protocol is PLAINTEXT or SSL there"), "{none}");
    let without = listen(|socket| async move {
        let mut peer = Peer::over(socket);
        let asked = peer.asked().await.unwrap();
        peer.answer(&asked, &listing(&[3, 18])).await;
        peer.asked().await;
    });
    let error = refused(connect(&without.await, Sasl::plain("a", "b")).await);
    assert!(error.contains("it does not serve SASL"), "{error}");
}

#[tokio::test]
async fn a_provider_without_a_token_is_no_refusal_by_the_broker() {
    let (address, _) = broker(0).await;
    let failing = Sasl::oauth_bearer(|| async { Err("the server of tokens is away".into()) });
    let error = connect(&address, failing).await.unwrap_err();
    assert!(matches!(error, ConnectError::Token { .. }), "{error}");
    let error = Error::from(error);
    assert_eq!(error.class(), crate::ErrorClass::Retriable);
    assert!(error.to_string().contains("the server of tokens is away"), "{error}");
    let asleep = Sasl::oauth_bearer(std::future::pending);
    let options = ConnectionOptions { request_timeout: Duration::from_millis(100), ..options(asleep) };
    assert!(matches!(Connection::connect(&address, &options).await, Err(ConnectError::Timeout { .. })));
}

#[tokio::test]
async fn a_session_is_renewed_under_load_and_no_request_fails() {
    let asked = Arc::new(AtomicUsize::new(0));
    let provider = {
        let asked = Arc::clone(&asked);
        move || {
            asked.fetch_add(1, Ordering::Relaxed);
            async { Ok(Token::new("right")) }
        }
    };
    for sasl in [Sasl::scram_sha_256("alice", "right"), Sasl::oauth_bearer(provider)] {
        let (address, mut times) = broker(1250).await;
        let connection = connect(&address, sasl).await.unwrap();
        let mut load = JoinSet::new();
        for _ in 0..8 {
            let (connection, times) = (connection.clone(), times.clone());
            load.spawn(async move {
                while *times.borrow() < 3 {
                    connection.request(MetadataRequest::default()).await.unwrap();
                }
            });
        }
        times.wait_for(|times| *times >= 3).await.unwrap();
        while let Some(ended) = load.join_next().await {
            ended.unwrap();
        }
        assert!(connection.closed().is_none(), "it is still the first connection");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 3, "a token for each authentication");
}

#[tokio::test]
async fn a_renewal_that_is_refused_ends_the_connection_with_the_reason() {
    let address = listen(|socket| async move {
        let mut peer = Peer::over(socket);
        let first = peer.asked().await.unwrap();
        assert!(peer.served(&first).await);
        let hello = peer.asked().await.unwrap();
        assert!(authenticate(&mut peer, hello, 1200).await);
        let hello = peer.asked().await.unwrap();
        peer.answer(&hello, &offer(&[], 0)).await;
        let again = peer.asked().await.unwrap();
        peer.answer(&again, &denial("the account is locked")).await;
        peer.asked().await;
    });
    let connection = connect(&address.await, Sasl::plain("alice", "right")).await.unwrap();
    let reason = connection.wait_closed().await;
    assert!(
        matches!(&reason, CloseReason::Refused { cause } if cause.contains("the account is locked")),
        "{reason}"
    );
    let lost = connection.request(MetadataRequest::default()).await.unwrap_err();
    assert!(matches!(Error::from(lost), Error::Authentication { .. }));
}

#[tokio::test]
async fn a_connection_without_handles_is_not_renewed() {
    let (address, mut times) = broker(1200).await;
    let connection = connect(&address, Sasl::plain("alice", "right")).await.unwrap();
    drop(connection);
    let renewed = timeout(Duration::from_millis(1500), times.wait_for(|times| *times > 1)).await;
    assert!(renewed.is_err() || renewed.unwrap().is_err());
}
