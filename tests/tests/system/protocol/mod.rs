//! Every API in every version, as clients need it. Nearly all of these share one cluster, and they break nothing.

mod administration;
mod delete_records;
mod describe_cluster;
mod describe_configs;
mod dynamic_configs;
mod fetch;
mod fetch_limits;
mod fetch_sessions;
mod idempotence;
mod leader_epochs;
mod list_offsets;
mod long_poll;
mod metadata;
mod produce;
mod topic_configs;
mod topics;
mod versions;
