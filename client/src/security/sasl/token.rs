//! Tokens of OAUTHBEARER (RFC 7628), and where they come from.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::pin::Pin;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::SaslError;
use crate::security::jaas::Claims;
use crate::security::secret::Secret;

/// What separates the parts of a first message.
const SEPARATOR: char = '\x01';

/// A token that names the client, and extensions of the first message (KIP-342). Debug output does not show the token.
#[derive(Clone, Debug)]
pub struct Token {
    value: Secret,
    extensions: BTreeMap<String, String>,
}

impl Token {
    /// A token as its server has issued it: printable ASCII without blanks.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self { value: Secret::new(value), extensions: BTreeMap::new() }
    }

    /// Adds an extension. Its name has letters only, and is not `auth`.
    #[must_use]
    pub fn extension(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extensions.insert(name.into(), value.into());
        self
    }

    /// The first message of the mechanism.
    pub(super) fn message(&self) -> Result<Vec<u8>, SaslError> {
        let value = self.value.reveal();
        if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SaslError::Token("it is empty, or has other characters than printable ASCII"));
        }
        let mut message = format!("n,,{SEPARATOR}auth=Bearer {value}{SEPARATOR}");
        for (name, value) in &self.extensions {
            let is_name =
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic()) && name != "auth";
            let is_value = value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n'));
            if !is_name || !is_value {
                return Err(SaslError::Token(
                    "an extension has a name or a value that the protocol does not allow",
                ));
            }
            message.push_str(name);
            message.push('=');
            message.push_str(value);
            message.push(SEPARATOR);
        }
        message.push(SEPARATOR);
        Ok(message.into_bytes())
    }
}

/// Why there is no token. It is told without the token, and the connection is tried again.
pub type TokenError = Box<dyn std::error::Error + Send + Sync>;

/// What a [`TokenProvider`] returns.
pub type TokenFuture = Pin<Box<dyn Future<Output = Result<Token, TokenError>> + Send>>;

/// Gives tokens. A closure that returns a future is one.
///
/// It is asked for each connection, and again before its session ends, at times from several tasks at once: one that asks a server keeps
/// the token while it is valid. What it awaits counts towards `request.timeout.ms`. Its future may be dropped at any await.
pub trait TokenProvider: Send + Sync + 'static {
    /// The token to use now.
    fn token(&self) -> TokenFuture;
}

impl<F, R> TokenProvider for F
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output = Result<Token, TokenError>> + Send + 'static,
{
    fn token(&self) -> TokenFuture {
        Box::pin(self())
    }
}

/// Makes tokens without a signature, as Kafka takes them in tests.
pub(super) struct Unsecured(pub(super) Claims);

impl TokenProvider for Unsecured {
    fn token(&self) -> TokenFuture {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let token = unsecured(&self.0, since.as_secs());
        Box::pin(std::future::ready(Ok(token)))
    }
}

/// A token of these claims, issued `now` (seconds since 1970).
fn unsecured(claims: &Claims, now: u64) -> Token {
    let mut json = format!("{{\"iat\":{now},\"exp\":{}", now.saturating_add(claims.lifetime));
    for (name, value) in &claims.texts {
        json.push_str(&format!(",{}:{}", quoted(name), quoted(value)));
    }
    for (name, value) in &claims.numbers {
        json.push_str(&format!(",{}:{value}", quoted(name)));
    }
    json.push('}');
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let mut token = Token::new(format!("{header}.{}.", URL_SAFE_NO_PAD.encode(json)));
    token.extensions.clone_from(&claims.extensions);
    token
}

/// A text of JSON.
fn quoted(text: &str) -> String {
    let mut json = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c.is_control() => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    // A text takes what is written to it.
                    let _ = write!(json, "\\u{unit:04x}");
                }
            }
            c => json.push(c),
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::jaas::Login;

    #[test]
    fn an_unsecured_token_claims_what_the_line_says() {
        let line = "OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"a\\\"b\" \
                    unsecuredLoginNumberClaim_n=7 unsecuredLoginLifetimeSeconds=60;";
        let Ok(Login::Unsecured(claims)) = Login::parse(line) else { panic!("it is such a line") };
        let message = unsecured(&claims, 1000).message().unwrap();
        let message = String::from_utf8(message).unwrap();
        let token = message.strip_prefix("n,,\x01auth=Bearer ").unwrap().strip_suffix("\x01\x01").unwrap();
        let parts: Vec<_> = token.split('.').collect();
        assert_eq!(URL_SAFE_NO_PAD.decode(parts[0]).unwrap(), br#"{"alg":"none"}"#);
        let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        assert_eq!(claims, r#"{"iat":1000,"exp":1060,"sub":"a\"b","n":7}"#);
        assert_eq!(parts[2], "", "it has no signature");
    }

    #[test]
    fn what_would_break_the_message_is_refused() {
        assert!(Token::new("").message().is_err());
        assert!(Token::new("a\x01b").message().is_err());
        assert!(Token::new("a b").message().is_err());
        assert!(Token::new("a").extension("auth", "x").message().is_err());
        assert!(Token::new("a").extension("x1", "x").message().is_err());
        assert!(Token::new("a").extension("x", "\x01").message().is_err());
        assert!(Token::new("a").extension("x", "y z").message().is_ok());
    }

    #[test]
    fn debug_output_hides_the_token() {
        assert!(!format!("{:?}", Token::new("abcdef")).contains("abcdef"));
    }

    #[test]
    fn texts_of_json_are_escaped() {
        assert_eq!(quoted("a\"\\\n\u{85}é"), r#""a\"\\\u000a\u0085é""#);
    }
}
