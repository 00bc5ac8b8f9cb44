//! Which broker a request goes to, and which items share a request: without a socket.

use std::collections::{BTreeMap, BTreeSet};

use trilog_protocol::ErrorCode;

use super::topics::{TopicDescription, TopicRef};
use super::{Results, TopicPartition};
use crate::Error;
use crate::metadata::NodeId;

/// Where the request about an item goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// To any broker: all of them know.
    Any,
    /// To the controller, or to any broker of a cluster that names none.
    Controller,
    /// To the partition's leader.
    Leader(TopicPartition),
    /// To the coordinator of a group or a transaction.
    Coordinator(Coordinated),
    /// To this broker.
    Broker(NodeId),
}

/// What has a coordinator.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Coordinated {
    Group(String),
    Transaction(String),
}

/// What has to be found out before requests can be sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// The topics whose leaders are asked for.
    pub(super) topics: BTreeSet<TopicRef>,
    pub(super) controller: bool,
    pub(super) coordinators: BTreeSet<Coordinated>,
}

impl Needs {
    pub(super) fn of<'a>(routes: impl IntoIterator<Item = &'a Route>) -> Self {
        let mut needs = Self::default();
        for route in routes {
            match route {
                Route::Any | Route::Broker(_) => {}
                Route::Controller => needs.controller = true,
                Route::Leader(place) => {
                    needs.topics.insert(TopicRef::Name(place.topic.to_string()));
                }
                Route::Coordinator(key) => {
                    needs.coordinators.insert(key.clone());
                }
            }
        }
        needs
    }
}

/// What was found out.
#[derive(Debug)]
pub(super) struct Places {
    /// The brokers that the cluster has.
    pub(super) brokers: BTreeSet<NodeId>,
    /// The controller, where one is named. The error is that of the request.
    pub(super) controller: Result<Option<NodeId>, Error>,
    pub(super) topics: Results<TopicRef, TopicDescription>,
    pub(super) coordinators: Results<Coordinated, NodeId>,
}

impl Places {
    /// The broker that a route leads to; None for any of them.
    pub(super) fn find(&self, route: &Route) -> Result<Option<NodeId>, Error> {
        match route {
            Route::Any => Ok(None),
            Route::Controller => {
                self.controller.clone().map(|node| node.filter(|node| self.brokers.contains(node)))
            }
            Route::Leader(place) => self.leader(place).map(Some),
            Route::Coordinator(key) => match self.coordinators.get(key) {
                Some(found) => found.clone().map(Some),
                None => Err(Error::code(ErrorCode::COORDINATOR_NOT_AVAILABLE)),
            },
            Route::Broker(node) if self.brokers.contains(node) => Ok(Some(*node)),
            Route::Broker(_) => Err(Error::code(ErrorCode::BROKER_ID_NOT_REGISTERED)),
        }
    }

    fn leader(&self, place: &TopicPartition) -> Result<NodeId, Error> {
        let topic = match self.topics.get(&TopicRef::Name(place.topic.to_string())) {
            Some(Ok(topic)) => topic,
            Some(Err(error)) => return Err(error.clone()),
            None => return Err(Error::code(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)),
        };
        let partition = topic.partitions.iter().find(|known| known.partition == place.partition);
        let partition = partition.ok_or_else(|| Error::code(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))?;
        let leader = partition.leader.filter(|leader| self.brokers.contains(leader));
        leader.ok_or_else(|| Error::code(ErrorCode::LEADER_NOT_AVAILABLE))
    }
}

/// The most items in one request. Brokers bound what a request may name, and what an answer takes.
pub(super) const BATCH: usize = 1000;

/// Items by the broker that is asked, in requests of at most [`BATCH`] items.
pub(super) fn batches<K>(
    located: impl IntoIterator<Item = (K, Option<NodeId>)>,
) -> BTreeMap<Option<NodeId>, Vec<Vec<K>>> {
    let mut by_node = BTreeMap::<_, Vec<Vec<K>>>::new();
    for (key, node) in located {
        let requests = by_node.entry(node).or_default();
        match requests.last_mut() {
            Some(last) if last.len() < BATCH => last.push(key),
            _ => requests.push(vec![key]),
        }
    }
    by_node
}

#[cfg(test)]
mod tests {
    use super::super::topics::PartitionDescription;
    use super::*;

    fn places() -> Places {
        let partition = |partition, leader| PartitionDescription { partition, leader, ..Default::default() };
        let topic = TopicDescription {
            name: "t".to_owned(),
            partitions: vec![partition(0, Some(1)), partition(1, None), partition(2, Some(9))],
            ..Default::default()
        };
        let missing = Err(Error::code(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
        Places {
            brokers: [1, 2].into(),
            controller: Ok(Some(2)),
            topics: [
                (TopicRef::Name("t".to_owned()), Ok(topic)),
                (TopicRef::Name("gone".to_owned()), missing),
            ]
            .into(),
            coordinators: [(Coordinated::Group("g".to_owned()), Ok(2))].into(),
        }
    }

    fn code(found: Result<Option<NodeId>, Error>) -> ErrorCode {
        match found {
            Err(Error::Broker { code, .. }) => code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_route_leads_to_the_broker_in_charge() {
        let places = places();
        let leader =
            |topic: &str, partition| places.find(&Route::Leader(TopicPartition::new(topic, partition)));
        assert_eq!(leader("t", 0).unwrap(), Some(1));
        assert_eq!(code(leader("t", 1)), ErrorCode::LEADER_NOT_AVAILABLE);
        assert_eq!(code(leader("t", 2)), ErrorCode::LEADER_NOT_AVAILABLE, "that broker is not there");
        assert_eq!(code(leader("t", 3)), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        assert_eq!(code(leader("gone", 0)), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let group = |name: &str| places.find(&Route::Coordinator(Coordinated::Group(name.to_owned())));
        assert_eq!(group("g").unwrap(), Some(2));
        assert_eq!(code(group("other")), ErrorCode::COORDINATOR_NOT_AVAILABLE);
        assert_eq!(places.find(&Route::Controller).unwrap(), Some(2));
        assert_eq!(code(places.find(&Route::Broker(7))), ErrorCode::BROKER_ID_NOT_REGISTERED);
    }

    #[test]
    fn a_controller_that_is_no_broker_is_asked_through_any() {
        let quorum_apart = Places { controller: Ok(Some(3000)), ..places() };
        assert_eq!(quorum_apart.find(&Route::Controller).unwrap(), None);
    }

    #[test]
    fn only_what_the_routes_need_is_asked_for() {
        let routes = [
            Route::Any,
            Route::Broker(1),
            Route::Leader(TopicPartition::new("t", 0)),
            Route::Leader(TopicPartition::new("t", 1)),
        ];
        let topics = [TopicRef::Name("t".to_owned())].into();
        assert_eq!(Needs::of(&routes), Needs { topics, ..Needs::default() });
    }

    #[test]
    fn a_request_names_a_bounded_number_of_items_of_one_broker() {
        let located = (0..2500).map(|item| (item, Some(item % 2)));
        let batches = batches(located);
        let sizes: Vec<_> = batches[&Some(0)].iter().map(Vec::len).collect();
        assert_eq!(sizes, [1000, 250]);
        assert!(batches[&Some(1)].iter().flatten().all(|item| item % 2 == 1));
    }
}
