//! SCRAM (RFC 5802, RFC 7677), the client's side: both prove that they know the password, and neither sends it.
//!
//! ```text
//! client  n,,n=USER,r=NONCE
//! broker  r=NONCE+MORE,s=SALT,i=ITERATIONS
//! client  c=biws,r=NONCE+MORE,p=PROOF
//! broker  v=SIGNATURE
//! ```
//!
//! As in Kafka, the password counts as the bytes of its UTF-8: it is not normalized (no SASLprep), and there is no channel binding.
//!
//! What a broker sends is not trusted: it names a number of iterations that the client works through, so that number has a bound, and
//! one below which a password could be guessed from what the client answers.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256, Sha512};

use super::conversation::{SaslError, Step};
use crate::security::jaas::Account;

/// Fewer iterations than RFC 7677 and Kafka allow would help to guess the password.
const MIN_ITERATIONS: u32 = 4096;

/// More iterations cost a client seconds a connection. Kafka's own limit is 16,384.
const MAX_ITERATIONS: u32 = 600_000;

/// The longest salt, in bytes. Kafka's have about 26.
const MAX_SALT: usize = 1024;

/// The header before the client's first words: no channel binding, no other user to act for.
const GS2_HEADER: &str = "n,,";

/// The same header as the client's last message repeats it, in base64.
const CHANNEL: &str = "c=biws";

/// What is hashed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha512,
}

impl Hash {
    /// PBKDF2: the salted password. Takes about a microsecond an iteration.
    pub(super) fn salted(self, password: &str, salt: &[u8], iterations: u32) -> Vec<u8> {
        let mut salted = vec![0; self.length()];
        match self {
            Self::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, iterations, &mut salted),
            Self::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(password.as_bytes(), salt, iterations, &mut salted),
        }
        salted
    }

    const fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    pub(super) fn mac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => keyed::<Hmac<Sha256>>(key, message).finalize().into_bytes().to_vec(),
            Self::Sha512 => keyed::<Hmac<Sha512>>(key, message).finalize().into_bytes().to_vec(),
        }
    }

    /// Whether this is the code of a message, compared in constant time.
    fn is_mac(self, key: &[u8], message: &[u8], code: &[u8]) -> bool {
        match self {
            Self::Sha256 => keyed::<Hmac<Sha256>>(key, message).verify_slice(code).is_ok(),
            Self::Sha512 => keyed::<Hmac<Sha512>>(key, message).verify_slice(code).is_ok(),
        }
    }

    pub(super) fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

fn keyed<M: Mac + hmac::digest::KeyInit>(key: &[u8], message: &[u8]) -> M {
    let mac = <M as Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.chain_update(message)
}

/// A client that proves itself.
#[derive(Debug)]
pub(crate) struct Scram {
    hash: Hash,
    account: Account,
    nonce: String,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The first message has left.
    First,
    /// The proof has left.
    Proved { server_key: Vec<u8>, exchange: String },
    /// The broker has proved itself, or failed to.
    Over,
}

impl Scram {
    /// `nonce` is printable, has no comma, and was never used before.
    pub(super) const fn new(hash: Hash, account: Account, nonce: String) -> Self {
        Self { hash, account, nonce, state: State::First }
    }

    /// The first message.
    pub(super) fn first(&self) -> Vec<u8> {
        format!("{GS2_HEADER}{}", self.bare()).into_bytes()
    }

    /// The part of the first message that is signed.
    fn bare(&self) -> String {
        let name = self.account.username.replace('=', "=3D").replace(',', "=2C");
        format!("n={name},r={}", self.nonce)
    }

    /// What follows the broker's message. After the first one, this works through the iterations: up to a second.
    pub(super) fn answer(&mut self, message: &[u8]) -> Result<Step, SaslError> {
        let message = std::str::from_utf8(message).map_err(|_| malformed("it is no text"))?;
        if let Some(reason) = message.strip_prefix("e=") {
            return Err(SaslError::Refused(reason.to_owned()));
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::First => self.prove(message),
            State::Proved { server_key, exchange } => self.verify(message, &server_key, &exchange),
            State::Over => Err(malformed("the exchange is over")),
        }
    }

    fn prove(&mut self, message: &str) -> Result<Step, SaslError> {
        let challenge = Challenge::parse(message, &self.nonce)?;
        let salted = self.hash.salted(self.account.password.reveal(), &challenge.salt, challenge.iterations);
        let client_key = self.hash.mac(&salted, b"Client Key");
        let server_key = self.hash.mac(&salted, b"Server Key");
        let last = format!("{CHANNEL},r={}", challenge.nonce);
        let exchange = format!("{},{message},{last}", self.bare());
        let signature = self.hash.mac(&self.hash.digest(&client_key), exchange.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(key, mask)| key ^ mask).collect();
        self.state = State::Proved { server_key, exchange };
        Ok(Step::Send(format!("{last},p={}", STANDARD.encode(proof)).into_bytes()))
    }

    fn verify(&self, message: &str, server_key: &[u8], exchange: &str) -> Result<Step, SaslError> {
        let signature = attribute(message.split(',').next(), "v=")?;
        let signature = STANDARD.decode(signature).map_err(|_| malformed("the signature is not base64"))?;
        if self.hash.is_mac(server_key, exchange.as_bytes(), &signature) {
            Ok(Step::Done)
        } else {
            Err(SaslError::NotTheBroker)
        }
    }
}

/// The broker's first message.
struct Challenge<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: u32,
}

impl<'a> Challenge<'a> {
    fn parse(message: &'a str, ours: &str) -> Result<Self, SaslError> {
        let mut attributes = message.split(',');
        let nonce = attribute(attributes.next(), "r=")?;
        if !nonce.starts_with(ours) || nonce.len() == ours.len() {
            return Err(malformed("its nonce does not continue the client's"));
        }
        let salt = attribute(attributes.next(), "s=")?;
        let salt = STANDARD.decode(salt).ok().filter(|salt| (1..=MAX_SALT).contains(&salt.len()));
        let salt = salt.ok_or_else(|| malformed("its salt makes no sense"))?;
        let iterations = attribute(attributes.next(), "i=")?;
        let iterations: u32 = iterations.parse().map_err(|_| malformed("its iterations are no number"))?;
        if !(MIN_ITERATIONS..=MAX_ITERATIONS).contains(&iterations) {
            return Err(SaslError::Iterations {
                asked: iterations,
                least: MIN_ITERATIONS,
                most: MAX_ITERATIONS,
            });
        }
        Ok(Self { nonce, salt, iterations })
    }
}

/// The value of an attribute that has to come next.
fn attribute<'a>(found: Option<&'a str>, name: &'static str) -> Result<&'a str, SaslError> {
    let missing = || SaslError::Malformed(Cow::Owned(format!("{name} is not where it belongs")));
    found.and_then(|found| found.strip_prefix(name)).ok_or_else(missing)
}

const fn malformed(cause: &'static str) -> SaslError {
    SaslError::Malformed(Cow::Borrowed(cause))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::ScramServer;
    use super::*;
    use crate::security::secret::Secret;

    fn account(username: &str, password: &str) -> Account {
        Account { username: username.to_owned(), password: Secret::new(password) }
    }

    fn sent(step: Result<Step, SaslError>) -> String {
        let Ok(Step::Send(bytes)) = step else { panic!("{step:?}") };
        String::from_utf8(bytes).unwrap()
    }

    /// Plays an exchange whose broker's messages are known, and gives the client's last one.
    fn replayed(hash: Hash, user: (&str, &str), nonce: &str, first: &str, last: &str) -> String {
        let mut client = Scram::new(hash, account(user.0, user.1), nonce.to_owned());
        let proof = sent(client.answer(first.as_bytes()));
        assert!(matches!(client.answer(last.as_bytes()), Ok(Step::Done)), "the signature is right");
        proof
    }

    #[test]
    fn the_exchange_of_rfc_7677_is_spoken() {
        let user = ("user", "pencil");
        let nonce = "rOprNGfwEbeRWgbNEkqO";
        let client = Scram::new(Hash::Sha256, account(user.0, user.1), nonce.to_owned());
        assert_eq!(client.first(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let last = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        let proof = replayed(Hash::Sha256, user, nonce, first, last);
        assert_eq!(
            proof,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
    }

    /// What Kafka's own classes say (kafka-clients 4.3.0), with signs of the protocol in the name and a password beyond ASCII.
    #[test]
    fn the_exchanges_of_java_are_spoken() {
        let user = ("al=ice,b", "pässwörd €");
        let nonce = "clientnonce1234567890";
        let first = "r=clientnonce1234567890servernonce098,s=MDEyMzQ1Njc4OWFiY2RlZlNBTFQ=,i=8192";
        let short =
            replayed(Hash::Sha256, user, nonce, first, "v=s6GxDKp5+iauNuLhenOydsfca5jZbVk8nQY6OW4RbyU=");
        let expected =
            "c=biws,r=clientnonce1234567890servernonce098,p=Z5CMAffXrMAho4I5tCxYWrZE0wUvUY3Ils0tYvYFNaE=";
        assert_eq!(short, expected);
        let last =
            "v=gUkzwNLJ/QZYj9baDcbnBoPwlA8lR6CpkW+mwwUZ2wXL4Pjyac82iu8U22MY3Ph74AOpSk2LIQ/Yk6TXgNqhAw==";
        let long = replayed(Hash::Sha512, user, nonce, first, last);
        let expected = "c=biws,r=clientnonce1234567890servernonce098,\
                        p=NjXTWo4upue6q5OTBeWlawI1fXzVRLQ6y9Yt4lGYtHLWEPRqgd/QoGVEOqrxvGJwgdASZLAbwnagZJsReNLTbg==";
        assert_eq!(long, expected);
    }

    #[test]
    fn signs_of_the_protocol_in_a_name_are_escaped() {
        let client = Scram::new(Hash::Sha256, account("a=b,c", "p"), "N".to_owned());
        assert_eq!(client.first(), b"n,,n=a=3Db=2Cc,r=N");
    }

    #[test]
    fn a_broker_that_lies_is_refused() {
        let refused = |message: &str| {
            let mut client = Scram::new(Hash::Sha256, account("u", "hush"), "NONCE".to_owned());
            let error = client.answer(message.as_bytes()).unwrap_err().to_string();
            assert!(!error.contains("hush"), "{error}");
            error
        };
        assert!(refused("r=NONCE,s=QSXCR,i=4096").contains("nonce"));
        assert!(refused("r=other+more,s=QSXC,i=4096").contains("nonce"));
        assert!(refused("r=NONCE1,s=,i=4096").contains("salt"));
        assert!(refused("r=NONCE1,s=***,i=4096").contains("salt"));
        assert!(refused("r=NONCE1,s=QSXC,i=4095").contains("4095 iterations"));
        assert!(refused("r=NONCE1,s=QSXC,i=600001").contains("600001 iterations"));
        assert!(refused("r=NONCE1,s=QSXC,i=4294967295").contains("4294967295 iterations"));
        assert!(refused("r=NONCE1,s=QSXC,i=99999999999").contains("no number"));
        assert!(refused("r=NONCE1,s=QSXC,i=-1").contains("no number"));
        assert!(refused("m=x,r=NONCE1,s=QSXC,i=4096").contains("r= is not where"));
        assert!(refused("e=unknown-user").contains("unknown-user"));
        assert!(refused("").contains("r= is not where"));
        let long = format!("r=NONCE1,s={},i=4096", STANDARD.encode([7; MAX_SALT + 1]));
        assert!(refused(&long).contains("salt"));
    }

    #[test]
    fn a_broker_that_does_not_know_the_password_is_found_out() {
        let mut client = Scram::new(Hash::Sha512, account("u", "right"), "N".to_owned());
        let mut server = ScramServer::new(Hash::Sha512, "wrong");
        let challenge = server.challenge(&client.first());
        sent(client.answer(&challenge));
        let signature = server.signature(b"not the client's messages");
        assert!(matches!(client.answer(&signature), Err(SaslError::NotTheBroker)));
        assert!(client.answer(&signature).is_err(), "it is over");
    }

    #[test]
    fn an_empty_end_is_no_proof() {
        let mut client = Scram::new(Hash::Sha256, account("u", "p"), "N".to_owned());
        let challenge = ScramServer::new(Hash::Sha256, "p").challenge(&client.first());
        sent(client.answer(&challenge));
        assert!(client.answer(b"").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn both_sides_agree_on_any_name_and_password(
            name in "\\PC{1,12}", password in any::<String>(), is_long in any::<bool>(), nonce in "[!-+.-~]{1,30}",
        ) {
            let hash = if is_long { Hash::Sha512 } else { Hash::Sha256 };
            let mut client = Scram::new(hash, account(&name, &password), nonce);
            let mut server = ScramServer::new(hash, &password);
            let challenge = server.challenge(&client.first());
            let proof = sent(client.answer(&challenge));
            prop_assert!(server.accepts(proof.as_bytes()));
            let end = client.answer(&server.signature(proof.as_bytes()));
            prop_assert!(matches!(end, Ok(Step::Done)));
        }
    }

    proptest! {
        #[test]
        fn no_message_makes_it_panic(messages in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            "[rsivem]=[A-Za-z0-9+/=,]{0,30}".prop_map(String::into_bytes),
            "r=N[a-z]{0,3},s=[A-Za-z0-9]{0,4}={0,2},i=[0-9]{0,3}".prop_map(String::into_bytes),
        ], 0..4)) {
            let mut client = Scram::new(Hash::Sha256, account("u", "p"), "N".to_owned());
            for message in messages {
                let _ = client.answer(&message);
            }
        }
    }
}
