//! The handshake: who speaks to whom, settled before the first frame.
//!
//! ```text
//! dialler:   "TRLG" | version u16 | length u16 | from u32 | to u32 | store, 16 bytes | length u8 | cluster id | members
//! acceptor:  "TRLG" | version u16 | verdict u8 | length u16 | members
//! ```
//!
//! A verdict is 0 for accepted, 255 for accepted and known under another store before, and else the reason of the refusal.
//! [Members] go to the end, as text; an acceptor tells its own to nodes of its own cluster alone.
//!
//! Magic, version, length and verdict keep their places in every version, so that two releases can tell each other that
//! they do not match. A mistake in the flags of either side (a node started with another cluster's data, two nodes with one id,
//! an address that belongs to another node) ends here with a reason that names the flag, and not in a Raft group that
//! counts one vote twice.
//!
//! The dialler's [store](StoreId) tells the acceptor whether it is the node that it [knows](crate::acquaintances), and the
//! answer tells the dialler. This is how a node whose disk was lost learns of it.
//!
//! Whoever does not begin with the magic is cut off without an answer. Both sides give each other two seconds.

use std::io;
use std::time::Duration;

use bytes::{Buf, BufMut};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::membership::{MAX_MEMBERS_LEN, Members};
use crate::acquaintances::Recognition;
use crate::ids::{NodeId, StoreId};

/// The most bytes a cluster id has.
pub const MAX_CLUSTER_ID_LEN: usize = 255;

/// The version of all that travels between nodes: handshake, frames and their bodies. No version reads another's.
const PROTOCOL_VERSION: u16 = 3;

const MAGIC: [u8; 4] = *b"TRLG";
/// Magic, version and length.
const PREFACE_LEN: usize = 8;
/// `from`, `to`, the store, and the length of the cluster id.
const FIXED_LEN: usize = 25;
/// The longest rest of a hello.
const MAX_REST_LEN: usize = FIXED_LEN + MAX_CLUSTER_ID_LEN + MAX_MEMBERS_LEN;
/// An answer's magic, version and verdict, which is all of it in other versions.
const VERDICT_LEN: usize = 7;
const ACCEPTED: u8 = 0;
const ACCEPTED_SUCCESSOR: u8 = 255;

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
}

/// Why an acceptor refuses a dialler. The number is what goes over the wire: append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[repr(u8)]
pub(super) enum Refusal {
    /// The two releases do not understand each other.
    #[error("the protocol versions differ; run the same release of trilog on every node")]
    Version = 1,
    /// The dialler belongs to another cluster.
    #[error("the cluster ids differ; look at --cluster-id on both nodes")]
    Cluster = 2,
    /// The dialler wants another node than the one that listens at the address.
    #[error(
        "another node listens at this address; look at --peers of the one that dials, --node-id of the other"
    )]
    Node = 3,
    /// The dialler is not in the acceptor's list.
    #[error(
        "the node that dials is not a peer of the other; look at its --node-id and at --peers of the other"
    )]
    UnknownPeer = 4,
    /// Both nodes say that they are the same one.
    #[error("both nodes have the same id; look at --node-id on both")]
    DuplicateId = 5,
    /// The node is connected from another store at this moment.
    #[error(
        "a node with this id and another data directory is running already; look at --node-id and --data-dir of both"
    )]
    SecondStore = 6,
    /// The node has another store since.
    #[error(
        "another data directory has taken the place of this node's: what is in this one is out of date; look at \
         --data-dir, or empty it and let the node catch up"
    )]
    Retired = 7,
    /// The two nodes were told of different nodes.
    #[error(
        "the two nodes were given different nodes as --peers; give both the same list, that of all nodes the cluster was \
         made with"
    )]
    OtherMembers = 8,
}

impl Refusal {
    const ALL: [Self; 8] = [
        Self::Version,
        Self::Cluster,
        Self::Node,
        Self::UnknownPeer,
        Self::DuplicateId,
        Self::SecondStore,
        Self::Retired,
        Self::OtherMembers,
    ];

    /// What goes over the wire.
    const fn code(self) -> u8 {
        self as u8
    }

    /// Whether it helps to see what both sides were told of the cluster's nodes.
    const fn is_about_members(self) -> bool {
        matches!(self, Self::Node | Self::UnknownPeer | Self::OtherMembers)
    }
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

/// Why a handshake failed.
#[derive(Debug, Error)]
pub(super) enum HandshakeError {
    /// The acceptor said no: to us, or, on the accepting side, we did. With it comes what the other side was told.
    #[error("{0}{told}", told = told(.1))]
    Refused(Refusal, Members),
    /// The other side is no node of any version.
    #[error("the other side does not speak trilog's peer protocol; look at --peers and --peer-listener")]
    Foreign,
    /// The other side was silent.
    #[error("the other side did not finish the handshake within {} s", HANDSHAKE_TIMEOUT.as_secs())]
    TimedOut,
    /// The acceptor cannot write down whom it met.
    #[error("who dials could not be written down")]
    NotRemembered,
    /// The connection broke.
    #[error("the connection broke during the handshake: {0}")]
    Io(#[from] io::Error),
}

/// What the other side was told of the cluster's nodes, if that may be what is wrong.
fn told(theirs: &Members) -> String {
    if theirs.is_empty() { String::new() } else { format!(" (the other one was given {theirs})") }
}

/// What the dialler says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hello {
    version: u16,
    from: NodeId,
    to: NodeId,
    store: StoreId,
    cluster_id: Vec<u8>,
    members: Members,
}

impl Identity {
    /// # Panics
    ///
    /// On a cluster id above [`MAX_CLUSTER_ID_LEN`].
    pub(super) fn new(cluster_id: String, node: NodeId, store: StoreId, members: Members) -> Self {
        assert!(
            cluster_id.len() <= MAX_CLUSTER_ID_LEN,
            "a cluster id has at most {MAX_CLUSTER_ID_LEN} bytes"
        );
        assert!(members.contains(node), "a node is one of its cluster");
        Self { cluster_id, node, store, members }
    }

    /// The nodes of the cluster, as this one was told.
    pub(super) const fn members(&self) -> &Members {
        &self.members
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
        let cluster_id = self.cluster_id.clone().into_bytes();
        let (from, to, store) = (self.node, peer, self.store);
        let members = self.members.clone();
        let hello = Hello { version: PROTOCOL_VERSION, from, to, store, cluster_id, members };
        let exchange = async {
            stream.write_all(&hello.encode()).await?;
            read_answer(stream).await
        };
        timeout(HANDSHAKE_TIMEOUT, exchange).await.unwrap_or(Err(HandshakeError::TimedOut))
    }

    /// The acceptor's half. Returns who dialled. `meet` says as what it is recognized by its store.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`]: the connection is to be closed. Who dialled is told if it said so.
    pub(super) async fn accept<S, M>(
        &self,
        stream: &mut S,
        meet: impl FnOnce(NodeId, StoreId) -> M,
    ) -> Result<Dialler, (Option<NodeId>, HandshakeError)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        M: Future<Output = Result<Recognition, HandshakeError>>,
    {
        let mut claimed = None;
        let exchange = async {
            let hello = read_hello(stream).await?;
            claimed = Some(hello.from);
            let judged = match self.judge(&hello) {
                Ok(()) => meet(hello.from, hello.store).await,
                Err(refusal) => Err(HandshakeError::Refused(refusal, Members::default())),
            };
            match judged {
                Ok(recognition) => {
                    stream.write_all(&encode_answer(Ok(recognition), &self.members)).await?;
                    Ok(Dialler { node: hello.from, store: hello.store, members: hello.members })
                }
                Err(HandshakeError::Refused(refusal, _)) => {
                    let (ours, theirs) = if refusal.is_about_members() {
                        (self.members.clone(), hello.members)
                    } else {
                        (Members::default(), Members::default())
                    };
                    stream.write_all(&encode_answer(Err(refusal), &ours)).await?;
                    Err(HandshakeError::Refused(refusal, theirs))
                }
                Err(error) => Err(error),
            }
        };
        let outcome = timeout(HANDSHAKE_TIMEOUT, exchange).await.unwrap_or(Err(HandshakeError::TimedOut));
        outcome.map_err(|error| (claimed, error))
    }

    /// Whether a dialler may send to this node.
    fn judge(&self, hello: &Hello) -> Result<(), Refusal> {
        if hello.version != PROTOCOL_VERSION {
            Err(Refusal::Version)
        } else if hello.cluster_id != self.cluster_id.as_bytes() {
            Err(Refusal::Cluster)
        } else if hello.from == self.node {
            Err(Refusal::DuplicateId)
        } else if hello.to != self.node {
            Err(Refusal::Node)
        } else if !self.members.contains(hello.from) {
            Err(Refusal::UnknownPeer)
        } else if !self.members.has_nodes_of(&hello.members) {
            Err(Refusal::OtherMembers)
        } else {
            Ok(())
        }
    }
}

impl Hello {
    fn encode(&self) -> Vec<u8> {
        let members = self.members.to_string();
        let rest = FIXED_LEN + self.cluster_id.len() + members.len();
        let mut bytes = Vec::with_capacity(PREFACE_LEN + rest);
        bytes.put_slice(&MAGIC);
        bytes.put_u16(self.version);
        bytes.put_u16(u16::try_from(rest).expect("cluster id and members are bounded"));
        bytes.put_u32(self.from.0);
        bytes.put_u32(self.to.0);
        bytes.put_slice(&self.store.0);
        bytes.put_u8(u8::try_from(self.cluster_id.len()).expect("a cluster id is short"));
        bytes.put_slice(&self.cluster_id);
        bytes.put_slice(members.as_bytes());
        bytes
    }
}

/// Reads at most as much as the longest hello has: silence and rubbish cost some kilobytes.
async fn read_hello<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Hello, HandshakeError> {
    let mut preface = [0; PREFACE_LEN];
    stream.read_exact(&mut preface).await?;
    let mut fields = &preface[..];
    let version = take_magic_and_version(&mut fields)?;
    let length = usize::from(fields.get_u16());
    // Another version's hello may be built otherwise, yet it is read to its end: to close a connection with unread
    // bytes resets it, and the refusal might be lost on the way.
    if length > MAX_REST_LEN {
        return Err(HandshakeError::Foreign);
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    decode_hello(version, &rest).ok_or(HandshakeError::Foreign)
}

/// Another version's hello may be shorter than one of this version: then what is missing is told as nothing.
fn decode_hello(version: u16, mut rest: &[u8]) -> Option<Hello> {
    let mut store = StoreId::default();
    if version != PROTOCOL_VERSION {
        let (from, to) = (NodeId(rest.try_get_u32().ok()?), NodeId(0));
        return Some(Hello { version, from, to, store, cluster_id: Vec::new(), members: Members::default() });
    }
    let (from, to) = (NodeId(rest.try_get_u32().ok()?), NodeId(rest.try_get_u32().ok()?));
    rest.try_copy_to_slice(&mut store.0).ok()?;
    let length = usize::from(rest.try_get_u8().ok()?);
    let (cluster_id, members) = rest.split_at_checked(length)?;
    let members = Members::decode(members)?;
    Some(Hello { version, from, to, store, cluster_id: cluster_id.to_vec(), members })
}

fn encode_answer(judged: Result<Recognition, Refusal>, members: &Members) -> Vec<u8> {
    let members = members.to_string();
    let mut answer = Vec::with_capacity(VERDICT_LEN + 2 + members.len());
    answer.put_slice(&MAGIC);
    answer.put_u16(PROTOCOL_VERSION);
    answer.put_u8(match judged {
        Ok(Recognition::First) => ACCEPTED,
        Ok(Recognition::Successor) => ACCEPTED_SUCCESSOR,
        Err(refusal) => refusal.code(),
    });
    answer.put_u16(u16::try_from(members.len()).expect("members are bounded"));
    answer.put_slice(members.as_bytes());
    answer
}

/// Reads an answer: of another version, no more than its verdict.
async fn read_answer<S: AsyncRead + Unpin>(stream: &mut S) -> Result<(Recognition, Members), HandshakeError> {
    let mut verdict = [0; VERDICT_LEN];
    stream.read_exact(&mut verdict).await?;
    let mut fields = &verdict[..];
    if take_magic_and_version(&mut fields)? != PROTOCOL_VERSION {
        return Err(HandshakeError::Refused(Refusal::Version, Members::default()));
    }
    let length = usize::from(stream.read_u16().await?);
    if length > MAX_MEMBERS_LEN {
        return Err(HandshakeError::Foreign);
    }
    let mut members = vec![0; length];
    stream.read_exact(&mut members).await?;
    let members = Members::decode(&members).ok_or(HandshakeError::Foreign)?;
    match fields.get_u8() {
        ACCEPTED => Ok((Recognition::First, members)),
        ACCEPTED_SUCCESSOR => Ok((Recognition::Successor, members)),
        code => {
            let refusal = Refusal::ALL.into_iter().find(|refusal| refusal.code() == code);
            Err(refusal.map_or(HandshakeError::Foreign, |refusal| HandshakeError::Refused(refusal, members)))
        }
    }
}

fn take_magic_and_version(fields: &mut &[u8]) -> Result<u16, HandshakeError> {
    let mut magic = [0; MAGIC.len()];
    fields.copy_to_slice(&mut magic);
    if magic == MAGIC { Ok(fields.get_u16()) } else { Err(HandshakeError::Foreign) }
}

#[cfg(test)]
mod tests;
