//! Somebody with the cluster's secret who speaks as one of its nodes, and says anything.

use std::io;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cluster::{CLUSTER_ID, CLUSTER_SECRET};

/// The frames of the peers' protocol, one of each kind, as the cluster's own tests have them.
const FRAMES: &str = include_str!("../../../../cluster/src/transport/frame/version_5.txt");

/// The version of these frames.
const VERSION: u16 = 5;

/// How an acceptor's answer begins: magic, version, verdict.
const VERDICT_LEN: usize = 7;

/// What follows the verdict of a challenge: a nonce and the acceptor's store.
const CHALLENGE_LEN: usize = 48;

/// Verdicts of an acceptor, see `cluster/src/transport/handshake`.
const CHALLENGE: u8 = 254;
const ACCEPTED: [u8; 2] = [0, 255];

/// A node in whose name is spoken.
#[derive(Debug, Clone)]
pub(super) struct Speaker {
    /// Its id.
    pub(super) node: u32,
    /// Its store.
    pub(super) store: [u8; 16],
    /// All nodes with their addresses, as in `--peers`.
    pub(super) members: String,
}

/// The sound frames that others are made from, without their lengths.
pub(super) fn frames() -> Vec<Vec<u8>> {
    let hex = FRAMES.lines().filter_map(|line| line.split(' ').nth(1));
    let byte = |pair: &[u8]| {
        let digits = std::str::from_utf8(pair).expect("digits");
        u8::from_str_radix(digits, 16).expect("two digits of sixteen")
    };
    hex.map(|frame| frame.as_bytes().chunks(2).map(byte).collect()).collect()
}

impl Speaker {
    /// What it says first to node `to`.
    pub(super) fn hello(&self, to: u32) -> Vec<u8> {
        let mut rest =
            [&self.node.to_be_bytes()[..], &to.to_be_bytes(), &self.store, &[1], &[5; 32]].concat();
        rest.push(u8::try_from(CLUSTER_ID.len()).expect("a short name"));
        rest.extend_from_slice(CLUSTER_ID.as_bytes());
        rest.extend_from_slice(self.members.as_bytes());
        let length = u16::try_from(rest.len()).expect("a short hello");
        [&b"TRLG"[..], &VERSION.to_be_bytes(), &length.to_be_bytes(), &rest].concat()
    }

    /// A connection to node `to` that takes what comes for this node's frames. None if the node refuses.
    pub(super) async fn let_in(&self, to: u32, address: &str) -> io::Result<Option<TcpStream>> {
        let mut stream = TcpStream::connect(address).await?;
        let hello = self.hello(to);
        stream.write_all(&hello).await?;
        let Some(challenge) = challenged(&mut stream).await? else { return Ok(None) };
        let said = Sha256::new().chain_update(&hello).chain_update(&challenge).finalize();
        let mac = Hmac::<Sha256>::new_from_slice(CLUSTER_SECRET.as_bytes()).expect("a key has any length");
        let proof = mac.chain_update(b"trilog peer dialler").chain_update(said).finalize().into_bytes();
        stream.write_all(&proof).await?;
        let mut answer = [0; VERDICT_LEN + 2];
        stream.read_exact(&mut answer).await?;
        let members = usize::from(u16::from_be_bytes([answer[VERDICT_LEN], answer[VERDICT_LEN + 1]]));
        stream.read_exact(&mut vec![0; members + 32]).await?;
        Ok(ACCEPTED.contains(&answer[VERDICT_LEN - 1]).then_some(stream))
    }
}

/// The store of the node at this address, which it tells whoever has yet to prove the secret.
pub(super) async fn store_of(node: u32, address: &str, members: &str) -> io::Result<Option<[u8; 16]>> {
    let other = if node == 1 { 2 } else { 1 };
    let stranger = Speaker { node: other, store: [9; 16], members: members.to_owned() };
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&stranger.hello(node)).await?;
    let challenge = challenged(&mut stream).await?;
    Ok(challenge.and_then(|challenge| challenge.last_chunk::<16>().copied()))
}

/// The acceptor's challenge, whole. None if it says something else.
async fn challenged(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut challenge = vec![0; VERDICT_LEN];
    stream.read_exact(&mut challenge).await?;
    if challenge[VERDICT_LEN - 1] != CHALLENGE {
        return Ok(None);
    }
    challenge.resize(VERDICT_LEN + CHALLENGE_LEN, 0);
    stream.read_exact(&mut challenge[VERDICT_LEN..]).await?;
    Ok(Some(challenge))
}
