//! The handshake: who speaks to whom, settled before the first frame.
//!
//! ```text
//! dialler:   "TRLG" | version u16 | length u16 | from u32 | to u32 | store, 16 bytes | proves u8 | nonce, 32 bytes
//!                   | length u8 | cluster id | members
//! acceptor:  "TRLG" | version u16 | 254 | nonce, 32 bytes | store, 16 bytes       if both have a secret
//! dialler:   proof, 32 bytes                                                      then, too
//! acceptor:  "TRLG" | version u16 | verdict u8 | length u16 | members | proof, 32 bytes
//! ```
//!
//! A verdict is 0 for accepted, 255 for accepted and known under another store before, and else the reason of the refusal.
//! [Members] go to the end of a hello, as text; an acceptor tells its own to nodes of its own cluster alone.
//!
//! Magic, version, length and verdict keep their places in every version, so that two releases can tell each other that
//! they do not match. A mistake in the flags of either side (a node started with another cluster's data, two nodes with one id,
//! an address that belongs to another node) ends here with a reason that names the flag, and not in a Raft group that
//! counts one vote twice.
//!
//! Both sides [prove](proof) that they have the cluster's [secret](ClusterSecret), over fresh nonces and all that they have said.
//! Nothing that the dialler says is looked at before, and it learns nothing but whether a secret is needed. Nodes without
//! one take peers from their own machine alone. What the proofs are not: protection from somebody who can change what
//! travels between two nodes. Such a one lets them shake hands and then speaks in their place; that takes encryption.
//!
//! The dialler's [store](StoreId) tells the acceptor whether it is the node that it [knows](crate::acquaintances), and the
//! answer tells the dialler. This is how a node whose disk was lost learns of it.
//!
//! Whoever does not begin with the magic is cut off without an answer. Both sides give each other two seconds.

mod message;
mod proof;
mod refusal;

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use self::message::{Answer, Hello, Reply, encode_answer, encode_challenge, read_hello, read_reply};
use self::proof::{Exchange, NO_PROOF, NONCE_LEN, nonce};
pub(super) use self::refusal::{HandshakeError, Refusal};
use super::membership::Members;
use crate::acquaintances::Recognition;
use crate::ids::{NodeId, StoreId};
use crate::secret::ClusterSecret;

/// The most bytes a cluster id has.
pub const MAX_CLUSTER_ID_LEN: usize = 255;

/// The version of all that travels between nodes: handshake, frames and their bodies. No version reads another's.
const PROTOCOL_VERSION: u16 = 5;

/// How long a handshake may take. A healthy peer needs a millisecond, and a stopped process holds a connection that the
/// kernel accepted for it no longer than this.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(2);

/// What a node says of itself and demands of others.
#[derive(Debug)]
pub(super) struct Identity {
    cluster_id: String,
    node: NodeId,
    store: StoreId,
    members: Members,
    /// Without one, a node takes peers from its own machine alone.
    secret: Option<ClusterSecret>,
}

/// Who has dialled.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dialler {
    pub(super) node: NodeId,
    /// The store that it has.
    pub(super) store: StoreId,
    /// What it was told of the cluster's nodes.
    pub(super) members: Members,
}

impl Identity {
    /// # Panics
    ///
    /// On a cluster id above [`MAX_CLUSTER_ID_LEN`].
    pub(super) fn new(
        cluster_id: String,
        node: NodeId,
        store: StoreId,
        members: Members,
        secret: Option<ClusterSecret>,
    ) -> Self {
        assert!(
            cluster_id.len() <= MAX_CLUSTER_ID_LEN,
            "a cluster id has at most {MAX_CLUSTER_ID_LEN} bytes"
        );
        assert!(members.contains(node), "a node is one of its cluster");
        Self { cluster_id, node, store, members, secret }
    }

    /// The nodes of the cluster, as this one was told.
    pub(super) const fn members(&self) -> &Members {
        &self.members
    }

    /// Whether this node can tell its peers from strangers.
    pub(super) const fn has_secret(&self) -> bool {
        self.secret.is_some()
    }

    /// The dialler's half, on a connection to `peer`'s address. Returns as what this node is recognized there, and what
    /// the peer was told of the cluster's nodes.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`]: the connection is of no use.
    pub(super) async fn dial<S>(
        &self,
        stream: &mut S,
        peer: NodeId,
    ) -> Result<(Recognition, Members), HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let hello = Hello {
            version: PROTOCOL_VERSION,
            from: self.node,
            to: peer,
            store: self.store,
            proves: self.has_secret(),
            nonce: if self.has_secret() { fresh_nonce()? } else { [0; NONCE_LEN] },
            cluster_id: self.cluster_id.clone().into_bytes(),
            members: self.members.clone(),
        };
        let exchange = async {
            let hello = hello.encode();
            stream.write_all(&hello).await?;
            let Answer { verdict, members, .. } = self.answer_to(&hello, stream).await?;
            verdict
                .map_err(|refusal| HandshakeError::Refused(refusal, members.clone()))
                .map(|recognition| (recognition, members))
        };
        timeout(HANDSHAKE_TIMEOUT, exchange).await.unwrap_or(Err(HandshakeError::TimedOut))
    }

    /// What the acceptor says in the end, which it has proved to say unless it says that nothing can be proved.
    async fn answer_to<S>(&self, hello: &[u8], stream: &mut S) -> Result<Answer, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let challenge = match (read_reply(stream).await?, &self.secret) {
            (Reply::Answer(answer), Some(_)) if !answer.verdict.is_err_and(Refusal::is_unproven) => {
                return Err(HandshakeError::Unproven);
            }
            (Reply::Answer(answer), _) => return Ok(answer),
            (Reply::Challenge(_), None) => return Err(HandshakeError::Foreign),
            (Reply::Challenge(challenge), Some(secret)) => Exchange::new(secret, hello, &challenge),
        };
        stream.write_all(&challenge.dialler_proof()).await?;
        let Reply::Answer(answer) = read_reply(stream).await? else { return Err(HandshakeError::Foreign) };
        let is_proven = challenge.is_acceptor_proof(&answer.said, &answer.proof);
        if is_proven || answer.verdict.is_err_and(Refusal::is_unproven) {
            Ok(answer)
        } else {
            Err(HandshakeError::Unproven)
        }
    }

    /// The acceptor's half. Returns who dialled. `meet` says as what it is recognized by its store.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`]: the connection is to be closed. Who dialled is told if it said so, be it true or not.
    pub(super) async fn accept<S, M>(
        &self,
        stream: &mut S,
        from_loopback: bool,
        meet: impl FnOnce(NodeId, StoreId) -> M,
    ) -> Result<Dialler, (Option<NodeId>, HandshakeError)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        M: Future<Output = Result<Recognition, HandshakeError>>,
    {
        let mut claimed = None;
        let exchange = async {
            let (hello, said) = read_hello(stream).await?;
            claimed = Some(hello.from);
            let mut proven = None;
            let judged = match self.challenge(stream, &hello, &said, from_loopback).await {
                Ok(exchange) => {
                    proven = exchange;
                    self.judge(&hello)
                }
                Err(error) => Err(error),
            };
            let judged = match judged {
                Ok(()) => meet(hello.from, hello.store).await,
                Err(error) => Err(error),
            };
            let (verdict, ours, theirs) = match judged {
                Ok(recognition) => (Ok(recognition), self.members.clone(), hello.members),
                Err(HandshakeError::Refused(refusal, _)) if refusal.is_about_members() => {
                    (Err(refusal), self.members.clone(), hello.members)
                }
                Err(HandshakeError::Refused(refusal, _)) => {
                    (Err(refusal), Members::default(), Members::default())
                }
                Err(error) => return Err(error),
            };
            let mut answer = encode_answer(verdict, &ours);
            let proof = proven.map_or(NO_PROOF, |exchange| exchange.acceptor_proof(&answer));
            answer.extend_from_slice(&proof);
            stream.write_all(&answer).await?;
            match verdict {
                Ok(_) => Ok(Dialler { node: hello.from, store: hello.store, members: theirs }),
                Err(refusal) => Err(HandshakeError::Refused(refusal, theirs)),
            }
        };
        let outcome = timeout(HANDSHAKE_TIMEOUT, exchange).await.unwrap_or(Err(HandshakeError::TimedOut));
        outcome.map_err(|error| (claimed, error))
    }

    /// Has the dialler prove that it has the secret. Returns what this side proves its answer by; nothing where both do without.
    async fn challenge<S>(
        &self,
        stream: &mut S,
        hello: &Hello,
        said: &[u8],
        from_loopback: bool,
    ) -> Result<Option<Exchange<'_>>, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let secret = match (&self.secret, hello.proves) {
            _ if hello.version != PROTOCOL_VERSION => return Err(refused(Refusal::Version)),
            (Some(secret), true) => secret,
            (Some(_), false) => return Err(refused(Refusal::DiallerWithoutSecret)),
            (None, true) => return Err(refused(Refusal::AcceptorWithoutSecret)),
            (None, false) if from_loopback => return Ok(None),
            (None, false) => return Err(refused(Refusal::SecretNeeded)),
        };
        let challenge = encode_challenge(&fresh_nonce()?, self.store);
        stream.write_all(&challenge).await?;
        let mut proof = NO_PROOF;
        stream.read_exact(&mut proof).await?;
        let exchange = Exchange::new(secret, said, &challenge);
        if exchange.is_dialler_proof(&proof) {
            Ok(Some(exchange))
        } else {
            Err(refused(Refusal::OtherSecret))
        }
    }

    /// Whether a dialler may send to this node.
    fn judge(&self, hello: &Hello) -> Result<(), HandshakeError> {
        let refusal = if hello.cluster_id != self.cluster_id.as_bytes() {
            Refusal::Cluster
        } else if hello.from == self.node {
            Refusal::DuplicateId
        } else if hello.to != self.node {
            Refusal::Node
        } else if !self.members.contains(hello.from) {
            Refusal::UnknownPeer
        } else if !self.members.has_nodes_of(&hello.members) {
            Refusal::OtherMembers
        } else {
            return Ok(());
        };
        Err(refused(refusal))
    }
}

/// A refusal that tells nothing of the nodes yet.
pub(super) fn refused(refusal: Refusal) -> HandshakeError {
    HandshakeError::Refused(refusal, Members::default())
}

fn fresh_nonce() -> Result<proof::Nonce, HandshakeError> {
    nonce().map_err(HandshakeError::NoRandomness)
}

#[cfg(test)]
mod tests;
