//! Replicas that a client assigns by hand: what must hold of them, here as in Kafka.

use std::collections::BTreeMap;

use super::{ControllerError, DecisionContext, ErrorCode};
use crate::controller::image::MetadataImage;
use crate::controller::requests::Assignment;
use crate::ids::NodeId;

/// The replicas of a new topic's partitions by index: given for every partition from 0 on without a gap, each with
/// as many replicas as the others.
pub(super) fn of_topic(
    image: &MetadataImage,
    assignments: &[Assignment],
    context: &DecisionContext<'_>,
) -> Result<Vec<Vec<NodeId>>, ControllerError> {
    let mut placed = BTreeMap::new();
    let mut factor = None;
    for Assignment { partition, replicas } in assignments {
        let nodes = of_partition(image, *partition, replicas, factor, context)?;
        factor = Some(nodes.len());
        if placed.insert(*partition, nodes).is_some() {
            return Err(refusal(format!(
                "Found multiple manual partition assignments for partition {partition}"
            )));
        }
    }
    if !placed.keys().copied().eq((0..).take(placed.len())) {
        return Err(refusal("partitions should be a consecutive 0-based integer sequence"));
    }
    Ok(placed.into_values().collect())
}

/// The replicas of one partition: known brokers, none twice, as many as `factor` where it is known already, and one
/// of them alive to lead.
pub(super) fn of_partition(
    image: &MetadataImage,
    partition: i32,
    replicas: &[i32],
    factor: Option<usize>,
    context: &DecisionContext<'_>,
) -> Result<Vec<NodeId>, ControllerError> {
    if replicas.is_empty() {
        return Err(refusal("The manual partition assignment includes an empty replica list."));
    }
    let mut nodes = Vec::with_capacity(replicas.len());
    for replica in replicas {
        let known = NodeId::of_number(*replica).filter(|node| image.broker(*node).is_some());
        let Some(node) = known else {
            return Err(refusal(format!(
                "The manual partition assignment includes broker {replica}, but no such broker is registered."
            )));
        };
        if nodes.contains(&node) {
            return Err(refusal(format!(
                "The manual partition assignment includes the broker {replica} more than once."
            )));
        }
        nodes.push(node);
    }
    if let Some(factor) = factor.filter(|factor| *factor != nodes.len()) {
        return Err(refusal(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is not consistent \
             with previous partitions, which have {factor} replica(s).",
            nodes.len()
        )));
    }
    if !nodes.iter().any(|node| context.alive.contains(node)) {
        return Err(refusal(format!(
            "All brokers specified in the manual partition assignment for partition {partition} are fenced or in \
             controlled shutdown."
        )));
    }
    Ok(nodes)
}

fn refusal(message: impl Into<String>) -> ControllerError {
    ControllerError::new(ErrorCode::InvalidReplicaAssignment, message)
}
