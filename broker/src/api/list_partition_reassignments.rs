//! ListPartitionReassignments (46), version 0: partitions whose replicas are being moved (KIP-455).
//!
//! Replicas cannot be moved yet, so the list is empty. As in Kafka, that is the answer for topics that do not exist, too.

use std::sync::Arc;

use kafka_protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use crate::connection::Reply;

/// See the module.
pub(super) struct ListPartitionReassignments;

impl Handler for ListPartitionReassignments {
    type Request = ListPartitionReassignmentsRequest;
    const SERVED: Versions = Versions::new(0, 0);

    fn handle(_: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        call.context.now(&ListPartitionReassignmentsResponse::default())
    }
}
