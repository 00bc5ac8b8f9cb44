//! Brokers that lie in SASL and TLS: each lie costs an error within the time for a request, and no memory to speak of.

use std::time::{Duration, Instant};

use kafka_protocol::messages::{ApiKey, MetadataRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::{MOST_MEMORY, most_memory};
use crate::security::sasl::Hash;
use crate::security::sasl::testing::ScramServer;
use crate::security::tls::testing::Authority;
use crate::security::{Sasl, Security, Tls, Token};
use crate::wire::testing::{Peer, challenge, denial, listen, listing, offer, said};
use crate::wire::{Connection, ConnectionOptions};

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// What an attempt may take altogether: a loaded machine is slow.
const ENOUGH: Duration = Duration::from_secs(30);

/// What a broker does once it is asked for SaslAuthenticate; `at` counts from 0.
#[derive(Clone, Copy, Debug)]
enum Lie {
    /// More rounds than anybody has time for.
    HugeCount,
    /// So few that the password could be guessed.
    SmallCount,
    /// The most that is accepted, and a wrong signature after it.
    GreatestCount,
    OtherNonce,
    WrongSignature,
    /// The end before the broker has proved itself.
    EarlyEnd,
    /// One question after the other.
    Endless,
    LongMessage,
    /// A frame that states to be longer than anybody has memory.
    LongFrame,
    LongReason,
    Garbage,
    Silence,
    Close,
}

const LIES: [Lie; 13] = [
    Lie::HugeCount,
    Lie::SmallCount,
    Lie::GreatestCount,
    Lie::OtherNonce,
    Lie::WrongSignature,
    Lie::EarlyEnd,
    Lie::Endless,
    Lie::LongMessage,
    Lie::LongFrame,
    Lie::LongReason,
    Lie::Garbage,
    Lie::Silence,
    Lie::Close,
];

async fn lying(lie: Lie, socket: TcpStream) {
    let mut peer = Peer::over(socket);
    let mut server = ScramServer::new(Hash::Sha256, "another password");
    let mut at = 0;
    while let Some(asked) = peer.asked().await {
        if asked.key == ApiKey::ApiVersions {
            peer.answer(&asked, &listing(&[3, 17, 18, 36])).await;
            continue;
        }
        if asked.key == ApiKey::SaslHandshake {
            peer.answer(&asked, &offer(&["ANY"], 0)).await;
            continue;
        }
        let said = said(&asked);
        let honest = if at == 0 && said.starts_with(b"n,,n=") { server.challenge(&said) } else { Vec::new() };
        let honest = String::from_utf8(honest).unwrap();
        let counted = |count: u64| honest.replace("i=4096", &format!("i={count}")).into_bytes();
        match lie {
            Lie::HugeCount => peer.answer(&asked, &challenge(counted(u64::from(u32::MAX)))).await,
            Lie::SmallCount => peer.answer(&asked, &challenge(counted(1))).await,
            Lie::GreatestCount if at == 0 => peer.answer(&asked, &challenge(counted(600_000))).await,
            Lie::OtherNonce => {
                peer.answer(&asked, &challenge(honest.replacen("r=", "r=x", 1).into_bytes())).await
            }
            Lie::WrongSignature if at == 0 => peer.answer(&asked, &challenge(honest.into_bytes())).await,
            Lie::GreatestCount | Lie::WrongSignature => {
                peer.answer(&asked, &challenge(server.signature(b"c=biws,r=N,p="))).await;
            }
            Lie::EarlyEnd => {
                peer.answer(&asked, &challenge(if at == 0 { honest.into_bytes() } else { Vec::new() })).await;
            }
            Lie::Endless => peer.answer(&asked, &challenge("and who are you really?")).await,
            Lie::LongMessage => peer.answer(&asked, &challenge(vec![b'r'; 900 << 10])).await,
            Lie::LongFrame => {
                let _ = peer.stream.write_all(&[0x05, 0xff, 0xff, 0xff, 1, 2, 3]).await;
            }
            Lie::LongReason => peer.answer(&asked, &denial(&"\u{7}no ".repeat(9000))).await,
            Lie::Garbage => {
                let _ = peer.stream.write_all(&[0, 0, 0, 9, 7, 7, 7, 7, 7, 7, 7, 7, 7]).await;
            }
            Lie::Silence => sleep(ENOUGH).await,
            Lie::Close => return,
        }
        at += 1;
        assert!(at < 100, "the client gives up");
    }
}

async fn connect(address: &str, security: Security) -> Result<Connection, String> {
    let options = ConnectionOptions {
        security: security.prepare().unwrap(),
        request_timeout: PATIENCE,
        connect_timeout: PATIENCE,
        ..ConnectionOptions::default()
    };
    let connected = timeout(ENOUGH, Connection::connect(address, &options)).await;
    connected.expect("an attempt comes to its end").map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_lies_in_sasl_costs_an_error() {
    for lie in LIES {
        let address = listen(move |socket| lying(lie, socket)).await;
        for sasl in [
            Sasl::scram_sha_256("alice", "hush"),
            Sasl::plain("alice", "hush"),
            Sasl::oauth_bearer(|| async { Ok(Token::new("hush")) }),
        ] {
            let mechanism = format!("{sasl:?}");
            match connect(&address, Security::sasl_plaintext(sasl)).await {
                // The mechanisms in which a broker proves nothing take an empty answer for a yes.
                Ok(_) => assert!(!mechanism.contains("Scram"), "{lie:?}"),
                Err(error) => {
                    assert!(!error.contains("hush"), "{error}");
                    assert!(error.len() < 1000, "{lie:?}: {} bytes", error.len());
                    assert!(!error.contains('\u{7}'), "{error}");
                }
            }
        }
    }
    // Other tests of the process count, too.
    assert!(most_memory().is_none_or(|most| most < MOST_MEMORY), "{:?} KiB", most_memory());
}

#[tokio::test]
async fn a_broker_that_lies_in_tls_costs_an_error() {
    let authority = Authority::new("a").certificate();
    let first: [&'static [u8]; 6] = [
        b"",
        // The begin of a record that never ends, and of one that is longer than allowed.
        &[22, 3, 3, 0x40, 0],
        &[22, 3, 3, 0xff, 0xff, 1, 2, 3],
        // A message of the handshake that states 16 MB.
        &[22, 3, 3, 0, 4, 2, 0xff, 0xff, 0xff],
        // An alert.
        &[21, 3, 3, 0, 2, 2, 80],
        b"\0\0\0\x05 no TLS",
    ];
    for bytes in first {
        for stays in [false, true] {
            let address = listen(move |mut socket: TcpStream| async move {
                let _ = socket.write_all(bytes).await;
                // Records of a handshake that never ends.
                while stays && socket.write_all(&[22, 3, 3, 0, 1, 2]).await.is_ok() {
                    sleep(Duration::from_millis(1)).await;
                }
                let _ = socket.read(&mut [0; 1000]).await;
            })
            .await;
            let started = Instant::now();
            let outcome = connect(&address, Security::ssl(Tls::new().trust_pem(&*authority))).await;
            let error = outcome.expect_err("it is no broker");
            assert!(error.contains("TLS") || error.contains("client certificate"), "{error}");
            assert!(started.elapsed() < ENOUGH, "{bytes:?}");
        }
    }
}

#[tokio::test]
async fn a_broker_that_is_silent_when_a_session_is_to_be_renewed_costs_the_connection() {
    let address = listen(|socket| async move {
        let mut peer = Peer::over(socket);
        for answers in 0..3 {
            let asked = peer.asked().await.unwrap();
            match answers {
                0 => peer.answer(&asked, &listing(&[3, 17, 18, 36])).await,
                1 => peer.answer(&asked, &offer(&["PLAIN"], 0)).await,
                _ => peer.answer(&asked, &challenge("").with_session_lifetime_ms(1)).await,
            }
        }
        while peer.asked().await.is_some() {}
    });
    let connection = connect(&address.await, Security::sasl_plaintext(Sasl::plain("u", "p"))).await.unwrap();
    timeout(ENOUGH, connection.wait_closed()).await.expect("it is closed");
    assert!(connection.request(MetadataRequest::default()).await.is_err());
}
