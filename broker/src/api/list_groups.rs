//! ListGroups (16), versions 0-5: the groups that this node coordinates, of either protocol.
//!
//! Clients ask every node and put the answers together. A coordinator that moves away meanwhile is left to the
//! node that it moves to.
//!
//! * v1: throttle time. v2: throttling is the client's to wait out. v3: flexible.
//! * v4: states, and a filter by them (KIP-518). v5: types, and a filter by them (KIP-848).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_groups_response::ListedGroup as Listed;
use kafka_protocol::messages::{GroupId, ListGroupsRequest, ListGroupsResponse};
use kafka_protocol::protocol::StrBytes;
use trilog_cluster::coordinator::{GroupRequest, GroupResponse, ListGroups as Filter, ListedGroup};

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::group_coordinator::{Asked, ask_at, text};
use crate::connection::Reply;

/// See the module.
pub(super) struct ListGroups;

/// What a group takes in an answer that is built and encoded, in bytes.
const GROUP_BYTES: usize = 384;

/// The most names of a filter. There are fewer states and types, and every group is held against each name.
const MOST_NAMES: usize = 32;

impl Handler for ListGroups {
    type Request = ListGroupsRequest;
    const SERVED: Versions = Versions::new(0, 5);

    fn answer_bytes(broker: &Broker, _: &Self::Request, _: i16) -> usize {
        broker.listed_groups.load(Ordering::Relaxed) * GROUP_BYTES
    }

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { request, context } = call;
        let filter =
            Filter { states: distinct(&request.states_filter), types: distinct(&request.types_filter) };
        if filter.states.len() > MOST_NAMES || filter.types.len() > MOST_NAMES {
            return context.now(&answer(Err(ResponseError::InvalidRequest)));
        }
        let ask = |coordinator| ask_at(broker, coordinator, GroupRequest::List(filter.clone()));
        let asked: Vec<_> = broker.node.led_coordinators().into_iter().map(ask).collect();
        let broker = Arc::clone(broker);
        context.later(async move {
            let listed = list(asked).await;
            if let Ok(groups) = &listed {
                // The next answer is about as long.
                broker.listed_groups.fetch_max(groups.len(), Ordering::Relaxed);
            }
            answer(listed)
        })
    }
}

/// The names of a filter, each once. Their case does not matter.
fn distinct(filter: &[StrBytes]) -> Vec<String> {
    let names: BTreeSet<String> = filter.iter().map(|name| name.to_ascii_lowercase()).collect();
    names.into_iter().collect()
}

/// The groups of all coordinators.
async fn list(asked: Vec<Asked>) -> Result<Vec<ListedGroup>, ResponseError> {
    let mut groups = Vec::new();
    for coordinator in asked {
        let listed = coordinator.answer(|response| match response {
            GroupResponse::List(listed) => Some(listed),
            _ => None,
        });
        match listed.await {
            Ok(listed) => groups.extend(listed),
            Err(ResponseError::NotCoordinator) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(groups)
}

fn answer(outcome: Result<Vec<ListedGroup>, ResponseError>) -> ListGroupsResponse {
    match outcome {
        Ok(groups) => ListGroupsResponse::default().with_groups(groups.into_iter().map(listed).collect()),
        Err(error) => ListGroupsResponse::default().with_error_code(error.code()),
    }
}

fn listed(group: ListedGroup) -> Listed {
    Listed::default()
        .with_group_id(GroupId(text(group.group.as_str())))
        .with_protocol_type(group.protocol_type.into())
        .with_group_state(StrBytes::from_static_str(group.state))
        .with_group_type(StrBytes::from_static_str(group.group_type))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;

    use super::*;

    #[test]
    fn every_version_can_carry_every_answer() {
        let group = ListedGroup {
            group: "g".into(),
            protocol_type: "consumer".to_owned(),
            state: "Stable",
            group_type: "classic",
        };
        let listed = answer(Ok(vec![group]));
        assert_eq!((listed.error_code, listed.groups[0].group_id.as_str()), (0, "g"));
        let refused = answer(Err(ResponseError::CoordinatorNotAvailable));
        assert_eq!((refused.error_code, refused.groups.len()), (15, 0));
        for version in ListGroups::SERVED.min..=ListGroups::SERVED.max {
            listed.encode(&mut BytesMut::new(), version).unwrap();
            refused.encode(&mut BytesMut::new(), version).unwrap();
        }
    }
}
