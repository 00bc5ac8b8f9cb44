//! CreatePartitions: topics get more partitions (KIP-195). Never fewer: a partition's data has nowhere to go.
//!
//! The cluster's own topics keep the partitions they have: with another number of them every group would have another
//! coordinator, which knows nothing of it.

use std::collections::BTreeSet;

use super::draft::Draft;
use super::{
    ControllerError, Decision, DecisionContext, ErrorCode, assignment, check_room, repeated, unknown_topic,
};
use crate::controller::image::MetadataImage;
use crate::controller::records::ControllerRecord;
use crate::controller::requests::{
    ControllerResponse, CreatePartitions, ItemResult, NewPartitions, TopicGrowth,
};
use crate::controller::topic::Topic;
use crate::controller::topic_name;
use crate::ids::{NodeId, PartitionIndex};

#[cfg(test)]
mod tests;

pub(super) fn decide(
    image: &MetadataImage,
    request: &CreatePartitions,
    context: &DecisionContext<'_>,
) -> Decision {
    let mut draft = Draft::new(image, context);
    let repeated = repeated(request.topics.iter().map(|topic| &topic.name));
    let mut results = Vec::with_capacity(request.topics.len());
    for growth in &request.topics {
        let outcome = grow(&mut draft, growth, &repeated, context);
        results.push(ItemResult { item: growth.name.clone(), outcome });
    }
    Decision {
        records: draft.into_records(request.validate_only),
        response: ControllerResponse::CreatePartitions(results),
    }
}

fn grow(
    draft: &mut Draft,
    growth: &TopicGrowth,
    repeated: &BTreeSet<&String>,
    context: &DecisionContext<'_>,
) -> Result<NewPartitions, ControllerError> {
    if repeated.contains(&growth.name) {
        return Err(ControllerError::new(ErrorCode::InvalidRequest, "Duplicate topic name."));
    }
    let topic = draft.image.topic(&growth.name).cloned().ok_or_else(unknown_topic)?;
    if topic_name::is_internal(&topic.name) {
        return Err(ControllerError::new(
            ErrorCode::InvalidRequest,
            format!("The internal topic {} keeps the number of partitions that it has.", topic.name),
        ));
    }
    let present = topic.partitions.len();
    let wanted = check_count(growth, present)?;
    check_room(context)?;
    draft.check_limits(present, wanted - present)?;
    let placed = match &growth.assignments {
        Some(assignments) => assign(draft, &topic, assignments, wanted - present, context)?,
        None => {
            let factor = topic.replication_factor();
            draft.check_factor(factor)?;
            draft.placer.place(&topic.partitions, wanted - present, factor)
        }
    };
    let partitions = draft.partition_records(placed);
    draft.push(ControllerRecord::PartitionsAdded { id: topic.id, first: index(present), partitions });
    Ok(NewPartitions { id: topic.id, partitions: wanted })
}

/// The number of partitions wanted, which is more than there are.
fn check_count(growth: &TopicGrowth, present: usize) -> Result<usize, ControllerError> {
    let refuse = |message| Err(ControllerError::new(ErrorCode::InvalidPartitions, message));
    match usize::try_from(growth.count) {
        Ok(wanted) if wanted > present => Ok(wanted),
        Ok(wanted) if wanted == present => refuse(format!("Topic already has {present} partition(s).")),
        _ => refuse(format!(
            "The topic {} currently has {present} partition(s); {} would not be an increase.",
            growth.name, growth.count
        )),
    }
}

fn assign(
    draft: &mut Draft,
    topic: &Topic,
    assignments: &[Vec<i32>],
    additional: usize,
    context: &DecisionContext<'_>,
) -> Result<Vec<Vec<NodeId>>, ControllerError> {
    if assignments.len() != additional {
        return Err(ControllerError::new(
            ErrorCode::InvalidReplicaAssignment,
            format!(
                "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
                assignments.len()
            ),
        ));
    }
    let factor = Some(topic.replication_factor());
    let first = index(topic.partitions.len()).0;
    let placed = (first..)
        .zip(assignments)
        .map(|(partition, replicas)| {
            assignment::of_partition(&draft.image, partition, replicas, factor, context)
        })
        .collect::<Result<Vec<_>, _>>()?;
    for replicas in &placed {
        draft.placer.placed(replicas);
    }
    Ok(placed)
}

fn index(partition: usize) -> PartitionIndex {
    PartitionIndex(i32::try_from(partition).expect("a topic's partitions are bounded far below 2^31"))
}
