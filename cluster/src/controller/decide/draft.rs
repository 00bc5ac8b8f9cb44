//! The image as it becomes while one request is decided item by item.

use super::{ControllerError, DecisionContext, ErrorCode};
use crate::controller::image::MetadataImage;
use crate::controller::limits::{
    MAX_PARTITIONS_PER_CLUSTER, MAX_PARTITIONS_PER_REQUEST, MAX_PARTITIONS_PER_TOPIC,
};
use crate::controller::placement::Placer;
use crate::controller::records::{ControllerRecord, PartitionRecord};
use crate::ids::NodeId;

/// An image, the records that were decided on it, and what they leave of the request's allowance. Each record is
/// replayed on the image at once, so that the next item is decided on top of it.
pub(super) struct Draft {
    pub(super) image: MetadataImage,
    pub(super) placer: Placer,
    records: Vec<ControllerRecord>,
    new_partitions: usize,
}

impl Draft {
    pub(super) fn new(image: &MetadataImage, context: &DecisionContext<'_>) -> Self {
        Self {
            image: image.clone(),
            placer: Placer::new(image, context.alive),
            records: Vec::new(),
            new_partitions: 0,
        }
    }

    /// Takes a record into the draft.
    pub(super) fn push(&mut self, record: ControllerRecord) {
        self.image.replay(&record);
        self.records.push(record);
    }

    /// The records decided on, or none when the request only asked what would happen.
    pub(super) fn into_records(self, validate_only: bool) -> Vec<ControllerRecord> {
        if validate_only { Vec::new() } else { self.records }
    }

    /// Gives partitions their Raft groups, the next free ones in order.
    pub(super) fn partition_records(&mut self, placed: Vec<Vec<NodeId>>) -> Vec<PartitionRecord> {
        self.new_partitions += placed.len();
        let groups = self.image.next_group().0..;
        groups.zip(placed).map(|(group, replicas)| PartitionRecord { group, replicas }).collect()
    }

    /// Whether there are nodes for `factor` replicas of a partition, and one to lead it.
    pub(super) fn check_factor(&self, factor: usize) -> Result<(), ControllerError> {
        let refuse = |why: String| {
            let message = format!("Unable to replicate the partition {factor} time(s): {why}");
            Err(ControllerError::new(ErrorCode::InvalidReplicationFactor, message))
        };
        let nodes = self.placer.nodes();
        if factor > nodes || nodes == 0 {
            return refuse(format!(
                "The target replication factor of {factor} cannot be reached because only {nodes} broker(s) are \
                 registered."
            ));
        }
        if self.placer.alive() == 0 {
            return refuse("All brokers are currently fenced.".into());
        }
        Ok(())
    }

    /// Whether a topic that has `existing` partitions may have `additional` more.
    pub(super) fn check_limits(&self, existing: usize, additional: usize) -> Result<(), ControllerError> {
        let wanted = existing.saturating_add(additional);
        if wanted > MAX_PARTITIONS_PER_TOPIC {
            // Not INVALID_PARTITIONS: clients that show no message say "below 1" for it.
            return Err(ControllerError::new(
                ErrorCode::PolicyViolation,
                format!("A topic may have at most {MAX_PARTITIONS_PER_TOPIC} partitions, and not {wanted}."),
            ));
        }
        if self.new_partitions + additional > MAX_PARTITIONS_PER_REQUEST {
            return Err(ControllerError::new(
                ErrorCode::PolicyViolation,
                format!(
                    "Excessively large number of partitions per request: at most {MAX_PARTITIONS_PER_REQUEST} \
                     are allowed."
                ),
            ));
        }
        if self.image.partition_count() + additional > MAX_PARTITIONS_PER_CLUSTER {
            return Err(ControllerError::new(
                ErrorCode::PolicyViolation,
                format!("The cluster may have at most {MAX_PARTITIONS_PER_CLUSTER} partitions in all."),
            ));
        }
        Ok(())
    }
}
