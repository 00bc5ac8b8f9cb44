//! The mechanisms, with Kafka's own classes on the other side.

use trilog_client::security::{Sasl, Security, Token};

use crate::stage::{Listener, PLAIN_SECRET, SCRAM_SECRET, refusals, round_trip};
use crate::tls::{told, trusting};

/// A token without a signature, with this user and 10 minutes to live.
pub(crate) fn unsecured(user: &str) -> Token {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let claims = format!(r#"{{"sub":"{user}","iat":{now},"exp":{}}}"#, now + 600);
    Token::new(format!("{}.{}.", base64(br#"{"alg":"none"}"#), base64(claims.as_bytes())))
}

/// Base64 for URLs, without padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte))
            << (8 * (3 - chunk.len()));
        text.extend((0..=chunk.len()).map(|at| char::from(ALPHABET[bits >> (18 - 6 * at) & 63])));
    }
    text
}

fn all() -> [(&'static str, Sasl); 4] {
    [
        ("plain", Sasl::plain("alice", PLAIN_SECRET)),
        ("scram-256", Sasl::scram_sha_256("al=i,ce", SCRAM_SECRET)),
        ("scram-512", Sasl::scram_sha_512("al=i,ce", SCRAM_SECRET)),
        ("bearer", Sasl::oauth_bearer(|| async { Ok(unsecured("alice")) })),
    ]
}

/// Producer, consumer and admin client by each mechanism, with TLS and without.
pub(crate) async fn mechanisms() {
    for (name, sasl) in all() {
        let plain = Security::sasl_plaintext(sasl.clone());
        round_trip(&format!("{name}-plaintext"), Listener::Sasl, &plain).await;
        round_trip(&format!("{name}-tls"), Listener::SaslTls, &Security::sasl_ssl(trusting(), sasl)).await;
    }
}

/// Every client is told Kafka's reason, as an error that no retry mends, and does not wait for its timeouts.
pub(crate) async fn wrong_password() {
    for (sasl, reason) in [
        (Sasl::plain("alice", "wrong"), "Authentication failed"),
        (Sasl::plain("nobody", PLAIN_SECRET), "Authentication failed"),
        (Sasl::scram_sha_256("al=i,ce", "wrong"), "Authentication failed"),
        (Sasl::scram_sha_512("nobody", SCRAM_SECRET), "Authentication failed"),
        (Sasl::oauth_bearer(|| async { Ok(Token::new("no.token.at-all")) }), "invalid_token"),
    ] {
        for (listener, security) in [
            (Listener::Sasl, Security::sasl_plaintext(sasl.clone())),
            (Listener::SaslTls, Security::sasl_ssl(trusting(), sasl.clone())),
        ] {
            let errors = refusals(listener, &security).await;
            assert!(errors.iter().all(|error| !error.to_string().contains("wrong")), "{errors:?}");
            told(errors, reason);
        }
    }
}
