//! DeleteGroups (42), versions 0-2: groups without members go, offsets and all (KIP-229).
//!
//! * v1: throttling is the client's to wait out. v2: flexible.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse, GroupId};
use trilog_cluster::coordinator::{GroupRequest, GroupResponse};

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::distinct::keep_first;
use super::group_coordinator::{ask_each, error_code, group_id, response_error};
use crate::connection::Reply;

/// See the module.
pub(super) struct DeleteGroups;

impl Handler for DeleteGroups {
    type Request = DeleteGroupsRequest;
    const SERVED: Versions = Versions::new(0, 2);

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { mut request, context } = call;
        keep_first(&mut request.groups_names, GroupId::clone);
        let groups = request.groups_names.clone().into_iter();
        let asked = ask_each(broker, groups.map(|group| GroupRequest::Delete(group_id(&group))));
        context.later(async move {
            let deleted = asked.answers(|response| match response {
                GroupResponse::Delete(deleted) => Some(deleted.map_err(response_error)),
                _ => None,
            });
            let outcomes = deleted.await.into_iter().map(|outcome| outcome?);
            let groups = request.groups_names.into_iter().zip(outcomes);
            let results = groups.map(|(group, outcome)| result(group, &outcome));
            DeleteGroupsResponse::default().with_results(results.collect())
        })
    }
}

fn result(group: GroupId, outcome: &Result<(), ResponseError>) -> DeletableGroupResult {
    DeletableGroupResult::default().with_group_id(group).with_error_code(error_code(outcome))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;

    use super::super::group_coordinator::text;
    use super::*;

    #[test]
    fn every_version_can_carry_every_answer() {
        let results = [Ok(()), Err(ResponseError::NonEmptyGroup)]
            .map(|outcome| result(GroupId(text("g")), &outcome))
            .to_vec();
        assert_eq!(results.iter().map(|result| result.error_code).collect::<Vec<_>>(), [0, 68]);
        let response = DeleteGroupsResponse::default().with_results(results);
        for version in DeleteGroups::SERVED.min..=DeleteGroups::SERVED.max {
            response.encode(&mut BytesMut::new(), version).unwrap();
        }
    }
}
