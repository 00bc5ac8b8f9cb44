//! FindCoordinator (10), version 0: which node coordinates a consumer group. None does: there are no groups
//! yet.
//!
//! It is listed because librdkafka up to 2.x takes its absence for a broker that cannot read LZ4, and sends
//! such batches uncompressed. The answer is COORDINATOR_NOT_AVAILABLE: librdkafka looks for a coordinator
//! whenever a consumer has a group id, even one that assigns itself partitions, and any other error would be
//! handed to the application that has no use for a coordinator. A consumer that subscribes waits. Version 1,
//! with which producers look for the coordinator of transactions, is not listed, so that they give up by
//! themselves.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use crate::connection::Reply;

/// See the module.
pub(super) struct FindCoordinator;

impl Handler for FindCoordinator {
    type Request = FindCoordinatorRequest;
    const SERVED: Versions = Versions::new(0, 0);

    fn handle(_: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        call.context.now(&none())
    }
}

fn none() -> FindCoordinatorResponse {
    FindCoordinatorResponse::default()
        .with_error_code(ResponseError::CoordinatorNotAvailable.code())
        .with_node_id(BrokerId(-1))
        .with_port(-1)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;

    use super::*;

    #[test]
    fn the_answer_can_be_sent() {
        none().encode(&mut BytesMut::new(), 0).unwrap();
    }
}
