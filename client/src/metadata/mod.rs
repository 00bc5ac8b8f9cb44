//! What a client knows of a cluster: its brokers, and the leaders of the partitions that it uses.
//!
//! Everything here is pure: answers and the time go in, and an immutable [`Snapshot`] comes out, which readers share.
//! [`Cache`] keeps the knowledge, [`Demand`] decides which topics to ask for and when.
//!
//! Invariants:
//! 1. The leader epoch that is known of a partition never goes down while its topic stays the same one: an answer of a
//!    broker that lags does not bring a deposed leader back.
//! 2. A topic that was deleted and made again, which its id tells, starts anew.

mod cache;
mod demand;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use trilog_protocol::ErrorCode;
use uuid::Uuid;

pub(crate) use self::cache::{Answer, Cache, LeaderHint, TopicAnswer};
pub(crate) use self::demand::{Demand, Pace, REFUSED};
use crate::Error;
use crate::config::Address;

/// The id of a broker.
pub(crate) type NodeId = i32;

/// The leader epoch of a partition whose broker does not tell it: older than every other.
pub(crate) const UNKNOWN_EPOCH: i32 = -1;

/// What is known at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// Where the brokers listen.
    pub(crate) brokers: BTreeMap<NodeId, Address>,
    /// The topics that were asked for.
    pub(crate) topics: HashMap<Arc<str>, Topic>,
    /// Why brokers do not accept who this client is, if the last attempt to ask them ended so.
    pub(crate) refusal: Option<Error>,
}

/// A topic, as the last answers told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Topic {
    /// Its id; nil from brokers that know none.
    pub(crate) id: Uuid,
    /// Its partitions by number; none while the topic is unknown.
    pub(crate) partitions: Vec<Partition>,
    /// Why the last answer told nothing of it.
    pub(crate) error: Option<ErrorCode>,
}

/// A partition's leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    /// Who leads, if anybody does.
    pub(crate) leader: Option<NodeId>,
    /// In which epoch, or [`UNKNOWN_EPOCH`].
    pub(crate) leader_epoch: i32,
}

impl Snapshot {
    /// What a topic's error means: the brokers' reason, if they do not accept this client.
    pub(crate) fn reason(&self, code: ErrorCode) -> Error {
        match &self.refusal {
            Some(refusal) if code == ErrorCode::SASL_AUTHENTICATION_FAILED => refusal.clone(),
            _ => Error::code(code),
        }
    }

    /// Whether brokers have said that there is no such topic (any more).
    pub(crate) fn lacks(&self, topic: &str) -> bool {
        let gone = Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        self.topics.get(topic).is_some_and(|known| known.error == gone)
    }

    /// The leader of a partition, if it is known and listens somewhere.
    pub(crate) fn leader(&self, topic: &str, partition: i32) -> Option<NodeId> {
        let at = usize::try_from(partition).ok()?;
        let leader = self.topics.get(topic)?.partitions.get(at)?.leader?;
        self.brokers.contains_key(&leader).then_some(leader)
    }
}
