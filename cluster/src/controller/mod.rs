//! The cluster's metadata as a pure machine: which brokers, topics, partitions and settings there are.
//!
//! The controller is Raft group 0, of which every node is a member. What happens to a request is always the same:
//!
//! 1. **Decide.** The leader's [`decide`] looks at a [`MetadataImage`] and a [`ControllerRequest`] and yields a
//!    [`Decision`]: the [`ControllerRecord`]s that carry the request out, and the response.
//! 2. **Record.** The records of one decision are one Raft entry ([`encode_entry`]), so they happen together or not
//!    at all. The response is held back until that entry is committed.
//! 3. **Replay.** Every node applies the committed entry to its own image ([`MetadataImage::replay`]). Applying
//!    never refuses and draws no conclusions of its own: ids, replicas and group numbers stand in the record. So
//!    all images are equal at equal log positions, and replaying any part of the log once more changes nothing.
//!
//! Nothing in here has a clock, a socket, a task or a source of randomness: topic ids and the set of live nodes come
//! in with the [`DecisionContext`].
//!
//! **What the caller must keep to.** A leader that decides a request while earlier entries of its own are not yet
//! applied has to decide on an image that already contains them: clone the image (a handful of reference counts),
//! replay the proposed records on the clone, and throw the clone away when leadership is lost. Decided on a stale
//! image, two requests could claim one name; replay would then keep the first topic, but the second client would
//! have been told of a success.
//!
//! Left out on purpose: leaders, epochs and in-sync replicas. Those belong to each partition's own Raft group and
//! change far more often than anything kept here. Whether a node is alive is not kept either, for the same reason.

pub mod configs;
mod decide;
mod errors;
mod image;
mod limits;
mod placement;
mod quorum;
mod records;
mod request_size;
mod requests;
mod topic;
pub mod topic_name;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod properties;

pub use crate::encoding::DecodeError;
pub use decide::{Decision, DecisionContext, decide};
pub use errors::{ControllerError, ErrorCode};
pub use image::{MetadataImage, PartitionView};
pub use limits::{
    MAX_ENTRY_BYTES, MAX_GROUPS_WITH_CONFIGS, MAX_PARTITIONS_PER_CLUSTER, MAX_PARTITIONS_PER_REQUEST,
    MAX_PARTITIONS_PER_TOPIC, MAX_TOPIC_CONFIG_BYTES, PRODUCER_ID_BLOCK,
};
pub use quorum::{Handover, Quorum, Voter};
pub use records::{Broker, ControllerRecord, Listener, PartitionRecord, decode_entry, encode_entry};
pub use request_size::MAX_REQUEST_BYTES;
pub use requests::{
    AlterConfigs, AlterTopicConfigs, Assignment, ConfigAlteration, ConfigChange, ConfigEntry,
    ConfigOperation, ConfigResource, ControllerRequest, ControllerResponse, CreatePartitions, CreateTopics,
    CreatedTopic, DeleteTopics, ItemResult, NewPartitions, NewTopic, ProducerIdBlock, ResourceAlteration,
    TopicAlteration, TopicGrowth, TopicRef,
};
pub use topic::{Partition, Topic};
