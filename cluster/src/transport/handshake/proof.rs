//! How each side of a connection proves that it has the cluster's secret, without saying it.
//!
//! ```text
//! proof of the dialler:   HMAC-SHA-256(secret, "trilog peer dialler"  | SHA-256(hello | challenge))
//! proof of the acceptor:  HMAC-SHA-256(secret, "trilog peer acceptor" | SHA-256(hello | challenge) | answer)
//! ```
//!
//! The hello has the dialler's nonce, both node ids, the dialler's store and the cluster id; the challenge has the acceptor's
//! nonce and store. So a proof is worth something on this connection alone: one that was overheard fits no other nonce,
//! and one that a node gave as the dialler is none of an acceptor. The dialler proves first: a stranger that dials gets
//! nothing on which guesses at the secret could be tried.

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::secret::ClusterSecret;

/// The bytes of a proof.
pub(super) const PROOF_LEN: usize = 32;
/// The bytes of a nonce.
pub(super) const NONCE_LEN: usize = 32;

/// A number that was never used before.
pub(super) type Nonce = [u8; NONCE_LEN];
/// See the module's documentation.
pub(super) type Proof = [u8; PROOF_LEN];

/// Where a proof would stand if there were one.
pub(super) const NO_PROOF: Proof = [0; PROOF_LEN];

const DIALLER: &[u8] = b"trilog peer dialler";
const ACCEPTOR: &[u8] = b"trilog peer acceptor";

/// # Errors
///
/// The kernel has no randomness.
pub(super) fn nonce() -> Result<Nonce, getrandom::Error> {
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce)?;
    Ok(nonce)
}

/// What both sides have said before they prove anything, and the secret by which they do.
pub(super) struct Exchange<'a> {
    secret: &'a ClusterSecret,
    said: [u8; 32],
}

impl<'a> Exchange<'a> {
    /// Of a hello and the challenge that answered it, whole.
    pub(super) fn new(secret: &'a ClusterSecret, hello: &[u8], challenge: &[u8]) -> Self {
        let said = Sha256::new().chain_update(hello).chain_update(challenge).finalize();
        Self { secret, said: said.into() }
    }

    pub(super) fn dialler_proof(&self) -> Proof {
        self.mac(DIALLER, &[]).finalize().into_bytes().into()
    }

    pub(super) fn is_dialler_proof(&self, proof: &Proof) -> bool {
        self.mac(DIALLER, &[]).verify(proof.into()).is_ok()
    }

    /// That the acceptor says this answer.
    pub(super) fn acceptor_proof(&self, answer: &[u8]) -> Proof {
        self.mac(ACCEPTOR, answer).finalize().into_bytes().into()
    }

    pub(super) fn is_acceptor_proof(&self, answer: &[u8], proof: &Proof) -> bool {
        self.mac(ACCEPTOR, answer).verify(proof.into()).is_ok()
    }

    fn mac(&self, role: &[u8], answer: &[u8]) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).expect("a key has any length");
        mac.chain_update(role).chain_update(self.said).chain_update(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_worth_something_in_one_exchange_and_one_role() {
        let (secret, other) = (ClusterSecret::from_bytes(&[1; 32]), ClusterSecret::from_bytes(&[2; 32]));
        let exchange = Exchange::new(&secret, b"hello", b"challenge");
        let (dialler, acceptor) = (exchange.dialler_proof(), exchange.acceptor_proof(b""));
        assert!(exchange.is_dialler_proof(&dialler) && exchange.is_acceptor_proof(b"", &acceptor));
        assert!(!exchange.is_dialler_proof(&acceptor) && !exchange.is_acceptor_proof(b"", &dialler));
        assert!(!exchange.is_acceptor_proof(b"another answer", &acceptor));
        for another in [
            Exchange::new(&other, b"hello", b"challenge"),
            Exchange::new(&secret, b"another", b"challenge"),
            Exchange::new(&secret, b"hello", b"another"),
        ] {
            assert!(!another.is_dialler_proof(&dialler) && !another.is_acceptor_proof(b"", &acceptor));
        }
        assert!(!exchange.is_dialler_proof(&NO_PROOF) && !exchange.is_acceptor_proof(b"", &NO_PROOF));
        assert_ne!(nonce().unwrap(), nonce().unwrap());
    }

    /// Computed with Python's hmac and hashlib.
    #[test]
    fn proofs_are_those_of_the_documentation() {
        let secret = ClusterSecret::from_bytes(b"0123456789abcdef0123456789abcdef");
        let exchange = Exchange::new(&secret, b"hello", b"challenge");
        let hex = |proof: Proof| proof.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(
            hex(exchange.dialler_proof()),
            "d882856ec03dbae0ad737d484798e581987053716b8d617201ca3e7b485bcb9d"
        );
        assert_eq!(
            hex(exchange.acceptor_proof(b"answer")),
            "a6fee060827130482d2171db084f0492d8360e74754340ff4a0fca60a4237bea"
        );
    }
}
