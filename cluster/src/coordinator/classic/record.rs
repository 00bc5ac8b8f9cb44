//! What is replicated of a classic group, and the record that replicates it.
//!
//! A group is written down whole, each time a rebalance has ended, a static member has come back under another id, or
//! the last member has gone. That is rare beside heartbeats and commits, and a record that holds everything needs
//! nothing from before. Members are shared with the live group, so a record costs reference counts until it is encoded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::coordinator::ids::{Generation, InstanceId, MemberId};
use crate::coordinator::request::JoinProtocol;
use crate::coordinator::state::Membership;
use crate::encoding::blob;

/// A classic group as its last completed rebalance left it: enough for another coordinator to go on with the same
/// generation, members and assignments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClassicGroup {
    /// How many rebalances there have been. Kept when the last member leaves, so that it never goes back.
    pub(crate) generation: Generation,
    /// The kind of protocols that the members speak, `consumer` for consumers. None before the first member.
    pub(crate) protocol_type: Option<String>,
    /// The protocol that the members' votes chose. None without members, and of a group that was one of the consumer
    /// protocol until its first rebalance has ended.
    pub(crate) protocol: Option<String>,
    /// The member that assigns. None without members.
    pub(crate) leader: Option<MemberId>,
    /// Everybody in the group.
    pub(crate) members: BTreeMap<MemberId, Arc<ClassicMember>>,
}

/// A member of a classic group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClassicMember {
    /// Its static name, if it has one (KIP-345).
    pub(crate) instance: Option<InstanceId>,
    /// How the client calls itself.
    pub(crate) client_id: String,
    /// Where it connects from, as `/address`.
    pub(crate) client_host: String,
    /// After how long without a word it is gone.
    pub(crate) session_timeout: Duration,
    /// How long it may take to join a rebalance.
    pub(crate) rebalance_timeout: Duration,
    /// The protocols that it supports, the best first, each name once.
    pub(crate) protocols: Vec<SupportedProtocol>,
    /// Its part in the current generation, as the leader gave it. Empty while there is none.
    #[serde(with = "blob")]
    pub(crate) assignment: Bytes,
}

/// A protocol that a member supports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SupportedProtocol {
    /// The assignor's name.
    pub(crate) name: String,
    /// What the member tells the group's leader about itself.
    #[serde(with = "blob")]
    pub(crate) metadata: Bytes,
}

/// A change of a classic group. Variants are numbered by their order on disk: new ones go to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ClassicRecord {
    /// The group is this from here on.
    Group(ClassicGroup),
}

impl ClassicMember {
    /// What the member says about itself in `protocol`. Empty if it does not support it.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        let supported = self.protocols.iter().find(|supported| supported.name == protocol);
        supported.map(|supported| supported.metadata.clone()).unwrap_or_default()
    }

    /// How many bytes the member brings into a record of its group, apart from what each member does.
    pub(super) fn size(&self) -> usize {
        let protocols = self.protocols.iter().map(|protocol| protocol.name.len() + protocol.metadata.len());
        self.client_id.len() + protocols.sum::<usize>()
    }

    /// Whether a request states just the protocols that the member has stated before.
    pub(super) fn supports_just(&self, protocols: &[JoinProtocol]) -> bool {
        self.protocols == SupportedProtocol::all_of(protocols)
    }
}

impl SupportedProtocol {
    /// The protocols of a request, as they are kept: copied out of its frame, and each name once.
    pub(in crate::coordinator) fn all_of(protocols: &[JoinProtocol]) -> Vec<Self> {
        let mut names = BTreeSet::new();
        let first = protocols.iter().filter(|protocol| names.insert(&protocol.name));
        let kept = |JoinProtocol { name, metadata }: &JoinProtocol| Self {
            name: name.clone(),
            metadata: Bytes::copy_from_slice(metadata),
        };
        first.map(kept).collect()
    }
}

impl Membership {
    /// Applies a record of a classic group, whatever the group was before.
    pub(in crate::coordinator) fn replay_classic(&mut self, record: &ClassicRecord) {
        match record {
            ClassicRecord::Group(group) => *self = Self::Classic(group.clone()),
        }
    }
}
