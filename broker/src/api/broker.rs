//! What the handlers of one node share.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use trilog_cluster::controller::configs::{BrokerSettings, TopicSettings};
use trilog_cluster::controller::{MetadataImage, Topic};
use trilog_cluster::node::Node;

use super::auto_creation::AutoCreation;
use super::endpoints::Endpoints;
use super::fetch::FetchSessions;
use super::producer_ids::ProducerIds;
use super::started::Started;
use super::topic_settings::TopicSettingsCache;
use super::transactions::Transactions;
use crate::metrics::{ErrorMetrics, FetchSessionMetrics};

/// A node as its APIs see it.
pub(super) struct Broker {
    /// The node itself.
    pub(super) node: Node,
    /// What it was started with.
    pub(super) started: Started,
    /// Producer ids to hand out.
    pub(super) producer_ids: ProducerIds,
    /// What topics may be made because clients ask for them.
    pub(super) auto_creation: AutoCreation,
    /// The topics' settings in force, parsed once.
    known_topic_settings: TopicSettingsCache,
    /// What consumers have named of their partitions.
    pub(super) fetch_sessions: FetchSessions,
    /// The refusals of transactions.
    pub(super) transactions: Transactions,
    /// The errors in answers, counted.
    pub(super) errors: ErrorMetrics,
    /// The most groups that this node has listed in an answer.
    pub(super) listed_groups: AtomicUsize,
}

impl Broker {
    /// The APIs' view of `node`, which was `started` so.
    pub(super) fn new(
        node: Node,
        started: Started,
        errors: ErrorMetrics,
        fetch_sessions: FetchSessionMetrics,
    ) -> Self {
        let slots = node.settings().max_incremental_fetch_session_cache_slots;
        Self {
            node,
            started,
            producer_ids: ProducerIds::default(),
            auto_creation: AutoCreation::default(),
            known_topic_settings: TopicSettingsCache::default(),
            fetch_sessions: FetchSessions::new(slots, fetch_sessions),
            transactions: Transactions::default(),
            errors,
            listed_groups: AtomicUsize::new(0),
        }
    }

    /// The cluster's metadata as this node knows it now. A handler takes it once, so that its answer is of
    /// one piece.
    pub(super) fn image(&self) -> Arc<MetadataImage> {
        self.node.image()
    }

    /// The settings in force for `topic` of `image` here.
    pub(super) fn topic_settings(&self, image: &MetadataImage, topic: &Arc<Topic>) -> Arc<TopicSettings> {
        self.known_topic_settings.get(image, topic, self.node.id(), self.settings())
    }

    /// What this node was started with.
    pub(super) fn settings(&self) -> &BrokerSettings {
        self.node.settings()
    }

    /// The live nodes as seen from the listener called `listener`.
    pub(super) fn endpoints(&self, image: &MetadataImage, listener: &str) -> Endpoints {
        Endpoints::new(image, listener, |node| self.node.is_live(node))
    }
}
