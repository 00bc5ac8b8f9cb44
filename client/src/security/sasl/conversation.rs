//! What is said until the broker knows who the client is: a pure machine for each mechanism.

use std::borrow::Cow;

use thiserror::Error;

use super::scram::Scram;
use super::{Credentials, Token};

/// The longest message of a broker that is looked at, in bytes.
const LONGEST: usize = 64 << 10;

/// How much of a broker's reason is shown, in characters.
const REASON: usize = 300;

/// What ends a conversation before the broker has accepted the client.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum SaslError {
    /// What the broker says is not the mechanism.
    #[error("the broker's words make no sense: {0}")]
    Malformed(Cow<'static, str>),
    /// It would help to guess the password, or take too long.
    #[error("the broker asks for {asked} iterations of SCRAM, and {least} to {most} are accepted")]
    Iterations { asked: u32, least: u32, most: u32 },
    /// The broker has not proved that it knows the password.
    #[error("the broker does not know the password either: its signature is wrong")]
    NotTheBroker,
    /// The mechanism itself says that the broker refuses.
    #[error("{}", shortened(.0))]
    Refused(String),
    /// The token cannot be sent.
    #[error("the token cannot be sent: {0}")]
    Token(&'static str),
}

/// A broker's text, as much of it as an error shows.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(REASON).collect()
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// These bytes go to the broker, which answers.
    Send(Vec<u8>),
    /// Both sides are content.
    Done,
}

/// A conversation after its first message.
#[derive(Debug)]
pub(crate) enum Conversation {
    Plain,
    Scram(Box<Scram>),
    OauthBearer {
        /// The broker's reason to refuse, once it has told one.
        refusal: Option<String>,
    },
}

impl Conversation {
    /// Begins one, and gives its first message. `nonce` is random and printable; the mechanism with tokens needs `token`.
    pub(crate) fn begin(
        credentials: &Credentials,
        token: Option<&Token>,
        nonce: String,
    ) -> Result<(Self, Vec<u8>), SaslError> {
        match credentials {
            Credentials::Plain(account) => {
                let message = format!("\0{}\0{}", account.username, account.password.reveal());
                Ok((Self::Plain, message.into_bytes()))
            }
            Credentials::Scram(hash, account) => {
                let client = Scram::new(*hash, account.clone(), nonce);
                let first = client.first();
                Ok((Self::Scram(Box::new(client)), first))
            }
            Credentials::OauthBearer(_) => {
                let token = token.ok_or(SaslError::Token("there is none"))?;
                Ok((Self::OauthBearer { refusal: None }, token.message()?))
            }
        }
    }

    /// Whether an answer takes so long to find that other tasks would notice.
    pub(crate) const fn is_slow(&self) -> bool {
        matches!(self, Self::Scram(_))
    }

    /// What follows a message of the broker.
    pub(crate) fn answer(&mut self, message: &[u8]) -> Result<Step, SaslError> {
        if message.len() > LONGEST {
            return Err(SaslError::Malformed(Cow::Borrowed("they are too long")));
        }
        match self {
            Self::Plain if message.is_empty() => Ok(Step::Done),
            Self::Plain => Err(SaslError::Malformed(Cow::Borrowed("PLAIN has no question"))),
            Self::Scram(client) => client.answer(message),
            Self::OauthBearer { refusal } => match refusal.take() {
                // Whatever it says now, it has refused.
                Some(reason) => Err(SaslError::Refused(reason)),
                None if message.is_empty() => Ok(Step::Done),
                None => {
                    *refusal = Some(String::from_utf8_lossy(message).into_owned());
                    // RFC 7628, 3.2.3: the client acknowledges, and the broker ends the conversation.
                    Ok(Step::Send(vec![1]))
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::{Sasl, Security};

    fn begun(sasl: Sasl, token: Option<&Token>) -> (Conversation, Vec<u8>) {
        let prepared = Security::sasl_plaintext(sasl).prepare().unwrap();
        Conversation::begin(&prepared.sasl.unwrap(), token, "N".to_owned()).unwrap()
    }

    #[test]
    fn plain_sends_name_and_password_and_expects_nothing() {
        let (mut plain, first) = begun(Sasl::plain("alice", "secret"), None);
        assert_eq!(first, b"\0alice\0secret");
        assert_eq!(plain.answer(b""), Ok(Step::Done));
        assert!(plain.answer(b"and now?").is_err());
    }

    #[test]
    fn a_refused_token_is_acknowledged_and_told() {
        let token = Token::new("abc.def.").extension("tenant", "7");
        let provider = || async { Ok(Token::new("unused")) };
        let (mut bearer, first) = begun(Sasl::oauth_bearer(provider), Some(&token));
        assert_eq!(first, b"n,,\x01auth=Bearer abc.def.\x01tenant=7\x01\x01");
        assert_eq!(bearer.answer(br#"{"status":"invalid_token"}"#), Ok(Step::Send(vec![1])));
        let error = bearer.answer(b"").unwrap_err().to_string();
        assert!(error.contains("invalid_token"), "{error}");
        let (mut bearer, _) = begun(Sasl::oauth_bearer(provider), Some(&token));
        assert_eq!(bearer.answer(b""), Ok(Step::Done));
    }

    #[test]
    fn endless_questions_come_to_an_end() {
        let token = Token::new("t");
        let bearer = Sasl::oauth_bearer(|| async { Ok(Token::new("unused")) });
        for sasl in [Sasl::plain("u", "p"), Sasl::scram_sha_256("u", "p"), bearer] {
            let (mut conversation, _) = begun(sasl, Some(&token));
            let asked = (0..10).take_while(|_| conversation.answer(b"go on").is_ok()).count();
            assert!(asked <= 1, "{conversation:?} was asked {asked} times");
        }
    }

    #[test]
    fn a_long_message_is_not_looked_at() {
        let (mut plain, _) = begun(Sasl::plain("u", "p"), None);
        assert!(plain.answer(&vec![b'x'; LONGEST + 1]).unwrap_err().to_string().contains("too long"));
    }
}
