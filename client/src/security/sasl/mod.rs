//! SASL: the mechanisms by which a client proves who it is.
//!
//! [`Conversation`] is a pure machine: bytes of the broker in, bytes of the client out. [`crate::wire`] has the socket and the clock.

mod conversation;
mod scram;
#[cfg(test)]
pub(crate) mod testing;
mod token;

use std::str::FromStr;
use std::sync::Arc;

pub(crate) use self::conversation::{Conversation, SaslError, Step, shortened};
pub(crate) use self::scram::Hash;
use self::token::Unsecured;
pub use self::token::{Token, TokenError, TokenFuture, TokenProvider};
use super::jaas::{Account, Login};
use super::secret::Secret;
use crate::ConfigError;

/// Who the client is, and how it proves that (`sasl.mechanism`).
///
/// ```
/// use trilog_client::security::{Sasl, Token};
///
/// let by_password = Sasl::scram_sha_512("alice", "her password");
/// let by_token = Sasl::oauth_bearer(|| async {
///     // Asked of a server, or read from a file that something keeps fresh.
///     Ok(Token::new("eyJhbGciOi…"))
/// });
/// ```
#[derive(Clone, Debug, Default)]
pub struct Sasl {
    pub(super) mechanism: Option<Mechanism>,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) login: Option<Login>,
    tokens: Option<Tokens>,
}

impl Sasl {
    /// `PLAIN`: the name and the password as they are. Only TLS keeps them from the network.
    #[must_use]
    pub fn plain(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::by_password(Mechanism::Plain, username.into(), password.into())
    }

    /// `SCRAM-SHA-256`: both sides prove that they know the password, and neither sends it.
    #[must_use]
    pub fn scram_sha_256(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::by_password(Mechanism::Scram(Hash::Sha256), username.into(), password.into())
    }

    /// `SCRAM-SHA-512`: as `SCRAM-SHA-256`, with the longer hash.
    #[must_use]
    pub fn scram_sha_512(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::by_password(Mechanism::Scram(Hash::Sha512), username.into(), password.into())
    }

    /// `OAUTHBEARER`: a token of a server that the broker trusts. The provider is asked for each connection, and again before its
    /// session ends.
    #[must_use]
    pub fn oauth_bearer(provider: impl TokenProvider) -> Self {
        let tokens = Some(Tokens(Arc::new(provider)));
        Self { mechanism: Some(Mechanism::OauthBearer), tokens, ..Self::default() }
    }

    fn by_password(mechanism: Mechanism, username: String, password: String) -> Self {
        Self {
            mechanism: Some(mechanism),
            username: Some(username),
            password: Some(Secret::new(password)),
            ..Self::default()
        }
    }

    /// Whether anything names a user.
    pub(super) const fn is_set(&self) -> bool {
        self.mechanism.is_some() || self.username.is_some() || self.login.is_some()
    }

    /// Checks that what is set fits together.
    pub(super) fn prepare(&self) -> Result<Credentials, ConfigError> {
        let mechanism = self.mechanism.ok_or(ConfigError::Missing("sasl.mechanism"))?;
        match mechanism {
            Mechanism::OauthBearer => self.tokens().map(Credentials::OauthBearer),
            Mechanism::Plain => {
                let account = self.account(|login| matches!(login, Login::Plain(_)))?;
                if account.username.contains('\0') || account.password.reveal().contains('\0') {
                    return Err(ConfigError::Conflict(
                        "with PLAIN, no name or password has a character of code 0",
                    ));
                }
                Ok(Credentials::Plain(account))
            }
            Mechanism::Scram(hash) => self
                .account(|login| matches!(login, Login::Scram(_)))
                .map(|account| Credentials::Scram(hash, account)),
        }
    }

    fn tokens(&self) -> Result<Tokens, ConfigError> {
        match (&self.tokens, &self.login) {
            (Some(tokens), _) => Ok(tokens.clone()),
            (None, Some(Login::Unsecured(claims))) => Ok(Tokens(Arc::new(Unsecured(claims.clone())))),
            (None, Some(_)) => Err(OTHER_MODULE),
            (None, None) => Err(ConfigError::Conflict(
                "OAUTHBEARER needs a token callback (Sasl::oauth_bearer), or sasl.jaas.config with the claims of an unsecured token",
            )),
        }
    }

    /// The name and the password: settings of their own win over Java's line.
    fn account(&self, fits: impl Fn(&Login) -> bool) -> Result<Account, ConfigError> {
        let of_line = match &self.login {
            Some(login) if !fits(login) => return Err(OTHER_MODULE),
            Some(Login::Plain(account) | Login::Scram(account)) => Some(account),
            _ => None,
        };
        let username = self.username.clone().or_else(|| of_line.map(|account| account.username.clone()));
        let password = self.password.clone().or_else(|| of_line.map(|account| account.password.clone()));
        Ok(Account {
            username: username
                .filter(|name| !name.is_empty())
                .ok_or(ConfigError::Missing("sasl.username"))?,
            password: password.ok_or(ConfigError::Missing("sasl.password"))?,
        })
    }
}

const OTHER_MODULE: ConfigError =
    ConfigError::Conflict("sasl.jaas.config has the login module of another mechanism than sasl.mechanism");

/// A mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    Plain,
    Scram(Hash),
    OauthBearer,
}

impl FromStr for Mechanism {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name.to_ascii_uppercase().as_str() {
            "PLAIN" => Ok(Self::Plain),
            "SCRAM-SHA-256" => Ok(Self::Scram(Hash::Sha256)),
            "SCRAM-SHA-512" => Ok(Self::Scram(Hash::Sha512)),
            "OAUTHBEARER" => Ok(Self::OauthBearer),
            _ => Err("PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER".to_owned()),
        }
    }
}

/// Who the client is, complete.
#[derive(Clone, Debug)]
pub(crate) enum Credentials {
    Plain(Account),
    Scram(Hash, Account),
    OauthBearer(Tokens),
}

impl Credentials {
    /// The mechanism, as the protocol names it.
    pub(crate) const fn mechanism(&self) -> &'static str {
        match self {
            Self::Plain(_) => "PLAIN",
            Self::Scram(Hash::Sha256, _) => "SCRAM-SHA-256",
            Self::Scram(Hash::Sha512, _) => "SCRAM-SHA-512",
            Self::OauthBearer(_) => "OAUTHBEARER",
        }
    }

    /// The provider of tokens, if the mechanism needs one.
    pub(crate) fn tokens(&self) -> Option<&dyn TokenProvider> {
        match self {
            Self::OauthBearer(tokens) => Some(&*tokens.0),
            Self::Plain(_) | Self::Scram(..) => None,
        }
    }
}

/// What gives tokens.
#[derive(Clone)]
pub(crate) struct Tokens(Arc<dyn TokenProvider>);

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenProvider")
    }
}
