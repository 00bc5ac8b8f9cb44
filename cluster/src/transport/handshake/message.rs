//! What is said in a handshake, as bytes.

use bytes::{Buf, BufMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::proof::{NO_PROOF, NONCE_LEN, Nonce, Proof};
use super::{HandshakeError, MAX_CLUSTER_ID_LEN, PROTOCOL_VERSION, Refusal};
use crate::acquaintances::Recognition;
use crate::ids::{NodeId, StoreId};
use crate::transport::membership::{MAX_MEMBERS_LEN, Members};

pub(super) const MAGIC: [u8; 4] = *b"TRLG";
/// Magic, version and length.
const PREFACE_LEN: usize = 8;
/// `from`, `to`, the store, whether it proves, the nonce, and the length of the cluster id.
const FIXED_LEN: usize = 58;
/// The longest rest of a hello.
const MAX_REST_LEN: usize = FIXED_LEN + MAX_CLUSTER_ID_LEN + MAX_MEMBERS_LEN;
/// A reply's magic, version and verdict, which is all of it in other versions.
pub(super) const VERDICT_LEN: usize = 7;
/// What follows a challenge's verdict: nonce and store.
const CHALLENGE_LEN: usize = NONCE_LEN + 16;
const ACCEPTED: u8 = 0;
const CHALLENGE: u8 = 254;
const ACCEPTED_SUCCESSOR: u8 = 255;

/// What the dialler says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) version: u16,
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    pub(super) store: StoreId,
    /// Whether it has a secret, and is to be challenged.
    pub(super) proves: bool,
    pub(super) nonce: Nonce,
    pub(super) cluster_id: Vec<u8>,
    pub(super) members: Members,
}

impl Hello {
    pub(super) fn encode(&self) -> Vec<u8> {
        let members = self.members.to_string();
        let rest = FIXED_LEN + self.cluster_id.len() + members.len();
        let mut bytes = Vec::with_capacity(PREFACE_LEN + rest);
        bytes.put_slice(&MAGIC);
        bytes.put_u16(self.version);
        bytes.put_u16(u16::try_from(rest).expect("cluster id and members are bounded"));
        bytes.put_u32(self.from.0);
        bytes.put_u32(self.to.0);
        bytes.put_slice(&self.store.0);
        bytes.put_u8(self.proves.into());
        bytes.put_slice(&self.nonce);
        bytes.put_u8(u8::try_from(self.cluster_id.len()).expect("a cluster id is short"));
        bytes.put_slice(&self.cluster_id);
        bytes.put_slice(members.as_bytes());
        bytes
    }

    /// Another version's hello may be shorter than one of this version: then what is missing is told as nothing.
    fn decode(version: u16, mut rest: &[u8]) -> Option<Self> {
        let from = NodeId(rest.try_get_u32().ok()?);
        let (mut store, mut nonce) = (StoreId::default(), [0; NONCE_LEN]);
        if version != PROTOCOL_VERSION {
            let (to, cluster_id, members) = (NodeId(0), Vec::new(), Members::default());
            return Some(Self { version, from, to, store, proves: false, nonce, cluster_id, members });
        }
        let to = NodeId(rest.try_get_u32().ok()?);
        rest.try_copy_to_slice(&mut store.0).ok()?;
        let proves = match rest.try_get_u8().ok()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        rest.try_copy_to_slice(&mut nonce).ok()?;
        let length = usize::from(rest.try_get_u8().ok()?);
        let (cluster_id, members) = rest.split_at_checked(length)?;
        let (cluster_id, members) = (cluster_id.to_vec(), Members::decode(members)?);
        Some(Self { version, from, to, store, proves, nonce, cluster_id, members })
    }
}

/// Reads at most as much as the longest hello has: silence and rubbish cost some kilobytes. Returns its bytes, too.
pub(super) async fn read_hello<S: AsyncRead + Unpin>(
    stream: &mut S,
) -> Result<(Hello, Vec<u8>), HandshakeError> {
    let mut bytes = vec![0; PREFACE_LEN];
    stream.read_exact(&mut bytes).await?;
    let mut fields = &bytes[..];
    let version = take_magic_and_version(&mut fields)?;
    let length = usize::from(fields.get_u16());
    // Another version's hello may be built otherwise, yet it is read to its end: to close a connection with unread
    // bytes resets it, and the refusal might be lost on the way.
    if length > MAX_REST_LEN {
        return Err(HandshakeError::Foreign);
    }
    bytes.resize(PREFACE_LEN + length, 0);
    stream.read_exact(&mut bytes[PREFACE_LEN..]).await?;
    let hello = Hello::decode(version, &bytes[PREFACE_LEN..]).ok_or(HandshakeError::Foreign)?;
    Ok((hello, bytes))
}

/// What an acceptor says.
#[derive(Debug)]
pub(super) enum Reply {
    /// "Prove that you have the secret." All of its bytes.
    Challenge(Vec<u8>),
    Answer(Answer),
}

/// An acceptor's last word.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) verdict: Result<Recognition, Refusal>,
    pub(super) members: Members,
    /// All of it but the proof.
    pub(super) said: Vec<u8>,
    pub(super) proof: Proof,
}

pub(super) fn encode_challenge(nonce: &Nonce, store: StoreId) -> Vec<u8> {
    let mut challenge = reply(CHALLENGE);
    challenge.put_slice(nonce);
    challenge.put_slice(&store.0);
    challenge
}

/// An answer but for its proof.
pub(super) fn encode_answer(verdict: Result<Recognition, Refusal>, members: &Members) -> Vec<u8> {
    let members = members.to_string();
    let mut answer = reply(match verdict {
        Ok(Recognition::First) => ACCEPTED,
        Ok(Recognition::Successor) => ACCEPTED_SUCCESSOR,
        Err(refusal) => refusal.code(),
    });
    answer.put_u16(u16::try_from(members.len()).expect("members are bounded"));
    answer.put_slice(members.as_bytes());
    answer
}

fn reply(verdict: u8) -> Vec<u8> {
    let mut reply = MAGIC.to_vec();
    reply.put_u16(PROTOCOL_VERSION);
    reply.put_u8(verdict);
    reply
}

/// Reads what an acceptor says: of another version, no more than its verdict.
pub(super) async fn read_reply<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Reply, HandshakeError> {
    let mut said = vec![0; VERDICT_LEN];
    stream.read_exact(&mut said).await?;
    let mut fields = &said[..];
    if take_magic_and_version(&mut fields)? != PROTOCOL_VERSION {
        return Err(HandshakeError::Refused(Refusal::Version, Members::default()));
    }
    let verdict = match fields.get_u8() {
        CHALLENGE => {
            said.resize(VERDICT_LEN + CHALLENGE_LEN, 0);
            stream.read_exact(&mut said[VERDICT_LEN..]).await?;
            return Ok(Reply::Challenge(said));
        }
        ACCEPTED => Ok(Recognition::First),
        ACCEPTED_SUCCESSOR => Ok(Recognition::Successor),
        code => {
            let refusal = Refusal::ALL.into_iter().find(|refusal| refusal.code() == code);
            Err(refusal.ok_or(HandshakeError::Foreign)?)
        }
    };
    let length = stream.read_u16().await?;
    if usize::from(length) > MAX_MEMBERS_LEN {
        return Err(HandshakeError::Foreign);
    }
    said.put_u16(length);
    let from = said.len();
    said.resize(from + usize::from(length), 0);
    stream.read_exact(&mut said[from..]).await?;
    let members = Members::decode(&said[from..]).ok_or(HandshakeError::Foreign)?;
    let mut proof = NO_PROOF;
    stream.read_exact(&mut proof).await?;
    Ok(Reply::Answer(Answer { verdict, members, said, proof }))
}

fn take_magic_and_version(fields: &mut &[u8]) -> Result<u16, HandshakeError> {
    let mut magic = [0; MAGIC.len()];
    fields.copy_to_slice(&mut magic);
    if magic == MAGIC { Ok(fields.get_u16()) } else { Err(HandshakeError::Foreign) }
}
