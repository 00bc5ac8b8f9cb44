//! The Kafka APIs: one file an API key, each headed by the versions served, the behaviour, and what each
//! version changed.
//!
//! An API is a [`Handler`](call::Handler): it translates a request into the domain's terms, calls the domain,
//! and translates the answer back. [`table`] lists them all; requests are dispatched by that list and
//! ApiVersions is answered from it, so that what is advertised is what is served. An API that is not really
//! implemented is not in the list: clients look each key up and fall back when it is missing, but break over
//! one that only ever answers with errors.
//!
//! Four rules hold for all handlers:
//!
//! * What fixes a request's order stands before its `async move`, because [`Api::handle`] is called in the
//!   order of arrival. The answers may come in any order; the connection puts them right.
//! * An error that concerns a partition, a topic or a resource is data in the response. The connection is
//!   closed only for what cannot be answered.
//! * A client's record batches are never decoded and encoded again.
//! * What a request names more than once is answered once ([`distinct`]).

mod admin_deadline;
mod alter_configs;
mod alter_partition_reassignments;
mod api_versions;
mod authorized_operations;
mod auto_creation;
mod broker;
mod call;
mod config_alteration;
mod config_description;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_transactions;
mod describe_user_scram_credentials;
mod distinct;
mod elect_leaders;
mod endpoints;
mod error_codes;
mod fetch;
mod find_coordinator;
mod group_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod item_error;
mod join_group;
mod leave_group;
mod led_partition;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod metadata;
mod node_configs;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod partition_description;
mod produce;
mod producer_ids;
mod started;
mod sync_group;
mod table;
mod topic_settings;
mod transactions;
mod update_features;

use std::sync::Arc;

use trilog_cluster::node::Node;

use self::broker::Broker;
pub(crate) use self::started::Started;
use crate::connection::{Api, Reply, Request};
use crate::metrics::Metrics;

/// All APIs of one node, as connections call them.
pub(crate) struct KafkaApis {
    broker: Arc<Broker>,
}

impl KafkaApis {
    /// Serves clients of `node`, which was `started` so, and counts in `metrics` what they are answered.
    pub(crate) fn new(node: Node, started: Started, metrics: &Metrics) -> Self {
        let Metrics { errors, fetch_sessions, .. } = metrics;
        Self { broker: Arc::new(Broker::new(node, started, errors.clone(), fetch_sessions.clone())) }
    }
}

impl Api for KafkaApis {
    fn handle(&self, request: Request) -> Reply {
        table::dispatch(&self.broker, request)
    }
}

/// Key and versions of every API, for the documents.
#[cfg(test)]
pub(crate) fn served() -> impl Iterator<Item = (i16, i16, i16)> {
    table::served()
}

/// The constants that `docs/bounds.md` lists.
#[cfg(test)]
pub(crate) mod bounds {
    pub(crate) use super::auto_creation::{MAX_PARTITIONS, TOPICS_AT_ONCE, TOPICS_PER_SECOND};
    pub(crate) use super::call::MAX_ANSWER_BYTES;
    pub(crate) use super::describe_configs::MOST_DESCRIBED;
    pub(crate) use super::fetch::SESSION_BYTES;
}
