//! A cluster to decide on, for the tests of this room.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::configs::BrokerSettings;
use super::requests::{ControllerRequest, ControllerResponse, CreateTopics, NewTopic};
use super::{Broker, ControllerRecord, Decision, DecisionContext, Listener, MetadataImage, Quorum, decide};
use crate::ids::{NodeId, TopicId};

/// An image with everything around it that a decision needs.
pub(super) struct Cluster {
    pub(super) image: MetadataImage,
    pub(super) alive: BTreeSet<NodeId>,
    pub(super) has_room: bool,
    pub(super) settings: BrokerSettings,
    ids: u128,
}

pub(super) fn broker(node: u32) -> Broker {
    Broker {
        node: NodeId(node),
        incarnation: Uuid::from_u128(node.into()),
        listeners: vec![Listener { name: "PLAINTEXT".into(), host: "127.0.0.1".into(), port: 9092 }],
        rack: None,
    }
}

/// A topic of which everything is left open.
pub(super) fn topic(name: &str) -> NewTopic {
    NewTopic {
        name: name.into(),
        num_partitions: -1,
        replication_factor: -1,
        assignments: vec![],
        configs: vec![],
    }
}

pub(super) fn create(topics: Vec<NewTopic>) -> ControllerRequest {
    ControllerRequest::CreateTopics(CreateTopics { topics, validate_only: false })
}

impl Cluster {
    /// `nodes` registered nodes, all alive.
    pub(super) fn of(nodes: u32) -> Self {
        let mut image = MetadataImage::default();
        for node in 1..=nodes {
            image.replay(&ControllerRecord::BrokerRegistered(broker(node)));
        }
        let alive = (1..=nodes).map(NodeId).collect();
        Self { image, alive, has_room: true, settings: BrokerSettings::default(), ids: 100 }
    }

    /// Decides, without carrying it out.
    pub(super) fn decide(&mut self, request: &ControllerRequest) -> Decision {
        let ids = &mut self.ids;
        let mut new_topic_id = || {
            *ids += 1;
            TopicId(Uuid::from_u128(*ids))
        };
        let mut context = DecisionContext {
            alive: &self.alive,
            has_room: self.has_room,
            defaults: &self.settings,
            new_topic_id: &mut new_topic_id,
            quorum: &Quorum::default(),
        };
        decide(&self.image, request, &mut context)
    }

    /// Decides and carries it out.
    pub(super) fn handle(&mut self, request: &ControllerRequest) -> ControllerResponse {
        let decision = self.decide(request);
        for record in &decision.records {
            self.image.replay(record);
        }
        self.image.check_invariants();
        decision.response
    }

    /// Makes topics with the cluster's defaults.
    pub(super) fn with_topics(mut self, names: &[&str]) -> Self {
        let ControllerResponse::CreateTopics(results) =
            self.handle(&create(names.iter().map(|name| topic(name)).collect()))
        else {
            unreachable!("the response is of the request's kind")
        };
        assert!(results.iter().all(|result| result.outcome.is_ok()), "{results:?}");
        self
    }
}
