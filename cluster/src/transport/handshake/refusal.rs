//! Why a handshake fails, in words that name the flag to look at.

use std::io;

use thiserror::Error;

use super::HANDSHAKE_TIMEOUT;
use crate::transport::membership::Members;

/// Why an acceptor refuses a dialler. The number is what goes over the wire: append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
#[repr(u8)]
pub(in crate::transport) enum Refusal {
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
    /// The acceptor has a secret.
    #[error(
        "the node that dials was started without --cluster-secret-file, and the other one with it; give both the same file"
    )]
    DiallerWithoutSecret = 9,
    /// The dialler has a secret.
    #[error(
        "the node that dials was started with --cluster-secret-file, and the other one without it; give both the same file"
    )]
    AcceptorWithoutSecret = 10,
    /// The dialler's proof is not one by the acceptor's secret.
    #[error("the secrets of the two nodes differ; give both the same --cluster-secret-file")]
    OtherSecret = 11,
    /// Anybody could have dialled.
    #[error(
        "without --cluster-secret-file a node takes peers from this machine's loopback address alone; make a secret with \
         openssl rand -base64 32 > FILE, and give every node the same file"
    )]
    SecretNeeded = 12,
}

impl Refusal {
    pub(in crate::transport) const ALL: [Self; 12] = [
        Self::Version,
        Self::Cluster,
        Self::Node,
        Self::UnknownPeer,
        Self::DuplicateId,
        Self::SecondStore,
        Self::Retired,
        Self::OtherMembers,
        Self::DiallerWithoutSecret,
        Self::AcceptorWithoutSecret,
        Self::OtherSecret,
        Self::SecretNeeded,
    ];

    /// What goes over the wire.
    pub(super) const fn code(self) -> u8 {
        self as u8
    }

    /// Whether it helps to see what both sides were told of the cluster's nodes.
    pub(super) const fn is_about_members(self) -> bool {
        matches!(self, Self::Node | Self::UnknownPeer | Self::OtherMembers)
    }

    /// Whether it is said before the two sides know whether they have one secret, so that no proof comes with it.
    pub(super) const fn is_unproven(self) -> bool {
        matches!(
            self,
            Self::Version
                | Self::DiallerWithoutSecret
                | Self::AcceptorWithoutSecret
                | Self::OtherSecret
                | Self::SecretNeeded
        )
    }
}

/// Why a handshake failed.
#[derive(Debug, Error)]
pub(in crate::transport) enum HandshakeError {
    /// The acceptor said no: to us, or, on the accepting side, we did. With it comes what the other side was told.
    #[error("{0}{told}", told = told(.1))]
    Refused(Refusal, Members),
    /// The other side is no node of any version.
    #[error("the other side does not speak trilog's peer protocol; look at --peers and --peer-listener")]
    Foreign,
    /// The acceptor answers without having the secret: it is no node of this cluster.
    #[error(
        "the other side does not have the cluster's secret (--cluster-secret-file); what listens at this address?"
    )]
    Unproven,
    /// The kernel has no randomness for this side's nonce.
    #[error("there is no randomness for the handshake: {0}")]
    NoRandomness(getrandom::Error),
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
