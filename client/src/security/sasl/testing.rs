//! The broker's side of SCRAM, for tests.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Hash;

const SALT: &[u8] = b"salt for all tests";
const ITERATIONS: u32 = 4096;

/// A broker that knows a password.
pub(crate) struct ScramServer {
    hash: Hash,
    salted: Vec<u8>,
    /// What was said so far, as it is signed.
    exchange: String,
}

impl ScramServer {
    pub(crate) fn new(hash: Hash, password: &str) -> Self {
        Self { hash, salted: hash.salted(password, SALT, ITERATIONS), exchange: String::new() }
    }

    /// The answer to the client's first message.
    pub(crate) fn challenge(&mut self, first: &[u8]) -> Vec<u8> {
        let bare = std::str::from_utf8(first).unwrap().strip_prefix("n,,").unwrap();
        let nonce = bare.rsplit_once(",r=").unwrap().1;
        let challenge = format!("r={nonce}more,s={},i={ITERATIONS}", STANDARD.encode(SALT));
        self.exchange = format!("{bare},{challenge}");
        challenge.into_bytes()
    }

    /// Whether the client knows the password.
    pub(crate) fn accepts(&self, last: &[u8]) -> bool {
        let (without, proof) = std::str::from_utf8(last).unwrap().rsplit_once(",p=").unwrap();
        let client_key = self.hash.mac(&self.salted, b"Client Key");
        let stored = self.hash.digest(&client_key);
        let signature = self.hash.mac(&stored, format!("{},{without}", self.exchange).as_bytes());
        let proof = STANDARD.decode(proof).unwrap();
        proof.iter().zip(signature).map(|(byte, mask)| byte ^ mask).eq(client_key)
    }

    /// The proof that the broker knows it, too.
    pub(crate) fn signature(&self, last: &[u8]) -> Vec<u8> {
        let last = std::str::from_utf8(last).unwrap();
        let without = last.rsplit_once(",p=").map_or(last, |(without, _)| without);
        let server_key = self.hash.mac(&self.salted, b"Server Key");
        let signature = self.hash.mac(&server_key, format!("{},{without}", self.exchange).as_bytes());
        format!("v={}", STANDARD.encode(signature)).into_bytes()
    }
}
