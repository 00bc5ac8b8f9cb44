//! SASL on a connection: at its begin, and anew before its session ends (KIP-368).
//!
//! [`Conversation`] says what to send; here are the socket and the clock. While a client authenticates anew, the broker takes no other
//! request on the connection. So the requests that were queued before leave first, and those that come later wait: none fails.

use std::borrow::Cow;
use std::sync::{Arc, Once, Weak};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::StrBytes;
use tokio::task::{AbortHandle, spawn_blocking};
use tokio::time::{Instant, sleep, timeout};
use trilog_protocol::ErrorCode;

use crate::config::bounded;
use crate::security::{Conversation, Credentials, SaslError, Step, Token, shortened};
use crate::wire::connection::Shared;
use crate::wire::error::{ClientError, CloseReason, ConnectError};

/// The version of SaslHandshake behind which SaslAuthenticate follows. Before it, what follows has no header.
const HANDSHAKE_VERSION: i16 = 1;

/// When a client authenticates anew, as a part of its session: like Java's, so that many clients do not come at once.
const RENEW_FROM: f64 = 0.85;
const RENEW_TO: f64 = 0.95;

/// A broker takes no second authentication within a second of the first.
const SOONEST: Duration = Duration::from_millis(1100);

/// How long until a token provider that has failed is asked again, while the session lasts.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Random bytes of a nonce.
const NONCE: usize = 24;

/// Why a client is not authenticated.
#[derive(Debug)]
enum Denied {
    /// One side does not accept the other.
    Refused(String),
    /// There is no token.
    Token(String),
    /// The exchange did not come to its end.
    Lost(ClientError),
}

impl From<SaslError> for Denied {
    fn from(error: SaslError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<ClientError> for Denied {
    fn from(error: ClientError) -> Self {
        Self::Lost(error)
    }
}

/// Says once that passwords are sent without encryption.
pub(super) fn warn_of_plain(credentials: &Credentials, is_tls: bool) {
    static SAID: Once = Once::new();
    if matches!(credentials, Credentials::Plain(_)) && !is_tls {
        SAID.call_once(|| {
            tracing::warn!("SASL_PLAINTEXT with PLAIN: the password is sent without encryption")
        });
    }
}

/// Authenticates a new connection. Returns how long its session lasts, if it has an end.
pub(super) async fn first(
    shared: &Shared,
    credentials: &Credentials,
) -> Result<Option<Duration>, ConnectError> {
    let address = shared.address.clone();
    let limit = shared.link.request_timeout;
    let exchange = async {
        let token = token(credentials).await?;
        converse(shared, credentials, token).await
    };
    match timeout(limit, exchange).await {
        Ok(Ok(lifetime)) => Ok(lifetime),
        Ok(Err(Denied::Refused(cause))) => Err(ConnectError::Authentication { address, cause }),
        Ok(Err(Denied::Token(cause))) => Err(ConnectError::Token { address, cause }),
        Ok(Err(Denied::Lost(source))) => Err(match source {
            ClientError::Closed { reason: CloseReason::Refused { cause }, .. } => {
                ConnectError::Authentication { address, cause }
            }
            source => ConnectError::Handshake { address, source },
        }),
        Err(_) => Err(ConnectError::Timeout { address, timeout: limit }),
    }
}

async fn token(credentials: &Credentials) -> Result<Option<Token>, Denied> {
    match credentials.tokens() {
        Some(provider) => match provider.token().await {
            Ok(token) => Ok(Some(token)),
            Err(error) => Err(Denied::Token(error.to_string())),
        },
        None => Ok(None),
    }
}

/// The whole exchange. Nothing else may be sent meanwhile.
async fn converse(
    shared: &Shared,
    credentials: &Credentials,
    token: Option<Token>,
) -> Result<Option<Duration>, Denied> {
    shake_hands(shared, credentials.mechanism()).await?;
    let (mut conversation, mut message) = Conversation::begin(credentials, token.as_ref(), nonce()?)?;
    let version = shared.versions.negotiate::<SaslAuthenticateRequest>()?;
    loop {
        let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(message));
        let answer = shared.link.ask(&request, version).await?;
        let code = ErrorCode(answer.error_code);
        if code != ErrorCode::NONE {
            let reason = answer.error_message.as_deref().filter(|reason| !reason.is_empty());
            let reason = reason.map_or_else(|| code.to_string(), shortened);
            return Err(Denied::Refused(format!("{reason} ({})", credentials.mechanism())));
        }
        let (next, step) = answered(conversation, answer.auth_bytes).await?;
        match step? {
            Step::Done => return Ok(lifetime(answer.session_lifetime_ms)),
            Step::Send(bytes) => (conversation, message) = (next, bytes),
        }
    }
}

/// Names the mechanism.
async fn shake_hands(shared: &Shared, mechanism: &'static str) -> Result<(), Denied> {
    let without = "security.protocol is PLAINTEXT or SSL there";
    if shared.versions.check::<SaslHandshakeRequest>(HANDSHAKE_VERSION).is_err() {
        return Err(Denied::Refused(format!("it does not serve SASL: {without}")));
    }
    let request = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
    let answer = shared.link.ask(&request, HANDSHAKE_VERSION).await?;
    match ErrorCode(answer.error_code) {
        ErrorCode::NONE => Ok(()),
        ErrorCode::UNSUPPORTED_SASL_MECHANISM => {
            let offered: Vec<_> = answer.mechanisms.iter().map(|offered| offered.as_str()).collect();
            let offered = shortened(&offered.join(", "));
            Err(Denied::Refused(format!(
                "it does not take the mechanism {mechanism}: set sasl.mechanism to one of {offered}"
            )))
        }
        ErrorCode::ILLEGAL_SASL_STATE => {
            Err(Denied::Refused(format!("this listener takes no SASL: {without}")))
        }
        code => Err(Denied::Refused(code.to_string())),
    }
}

/// Has the machine answer, on a thread that may block if that takes long.
async fn answered(
    mut conversation: Conversation,
    message: Bytes,
) -> Result<(Conversation, Result<Step, SaslError>), Denied> {
    if !conversation.is_slow() {
        let step = conversation.answer(&message);
        return Ok((conversation, step));
    }
    let worked = spawn_blocking(move || {
        let step = conversation.answer(&message);
        (conversation, step)
    });
    // It does not panic, and is dropped only with the runtime.
    worked.await.map_err(|_| SaslError::Malformed(Cow::Borrowed("the runtime ends")).into())
}

/// Random bytes, printable.
fn nonce() -> Result<String, Denied> {
    let mut bytes = [0; NONCE];
    getrandom::fill(&mut bytes)
        .map_err(|error| Denied::Token(format!("the system gives no randomness: {error}")))?;
    Ok(STANDARD.encode(bytes))
}

/// How long a session lasts; none if it has no end.
fn lifetime(milliseconds: i64) -> Option<Duration> {
    let milliseconds = u64::try_from(milliseconds).ok().filter(|milliseconds| *milliseconds > 0)?;
    Some(bounded(Duration::from_millis(milliseconds)))
}

/// How long to wait before a session is renewed. `random` lies in `0.0..1.0`.
fn due(lifetime: Duration, random: f64) -> Duration {
    let part = RENEW_FROM + (RENEW_TO - RENEW_FROM) * random.clamp(0.0, 1.0);
    lifetime.mul_f64(part).max(SOONEST)
}

/// The task that authenticates a connection anew. Dropped with the connection's last handle, it ends.
#[derive(Debug)]
pub(super) struct Renewal(AbortHandle);

impl Drop for Renewal {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Renewal {
    pub(super) fn start(shared: &Arc<Shared>, credentials: Credentials, lifetime: Duration) -> Self {
        Self(tokio::spawn(renew(Arc::downgrade(shared), credentials, lifetime)).abort_handle())
    }
}

/// Authenticates anew, as long as a handle to the connection exists.
async fn renew(connection: Weak<Shared>, credentials: Credentials, mut lifetime: Duration) {
    let mut begun = Instant::now();
    loop {
        sleep(due(lifetime, fastrand::f64())).await;
        let token = loop {
            match token(&credentials).await {
                Ok(token) => break token,
                Err(_) if begun.elapsed() + ASK_AGAIN < lifetime => sleep(ASK_AGAIN).await,
                Err(denied) => return end(&connection, denied),
            }
        };
        let Some(shared) = connection.upgrade() else { return };
        let alone = shared.link.alone().await;
        let now = Instant::now();
        match timeout(shared.link.request_timeout, converse(&shared, &credentials, token)).await {
            Ok(Ok(Some(next))) => (begun, lifetime) = (now, next),
            Ok(Ok(None)) => return,
            Ok(Err(denied)) => return end(&connection, denied),
            // Where the exchange stands is not known: nothing can be sent any more.
            Err(_) => return shared.link.pipeline.close(),
        }
        drop(alone);
        tracing::debug!(address = shared.address, ?lifetime, "authenticated anew");
    }
}

/// Ends a connection whose session cannot go on.
fn end(connection: &Weak<Shared>, denied: Denied) {
    let Some(shared) = connection.upgrade() else { return };
    match denied {
        Denied::Refused(cause) => {
            let cause = format!("{}: {cause}", shared.address);
            shared.link.pipeline.refuse(CloseReason::Refused { cause });
        }
        Denied::Token(cause) => {
            tracing::warn!(address = shared.address, cause, "no token: the session cannot go on");
            shared.link.pipeline.close();
        }
        Denied::Lost(_) => shared.link.pipeline.close(),
    }
}

#[cfg(test)]
mod tests;
