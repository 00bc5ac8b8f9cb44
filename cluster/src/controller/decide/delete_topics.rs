//! DeleteTopics: topics go, by name or by id, and with them their settings and, on every node, their data.
//!
//! A topic may be named once in a request, in whichever way. What the request says twice is refused, not done once.
//!
//! The cluster's own topics stay. Kafka would delete `__consumer_offsets` like any other topic, and every group's offsets
//! with it.

use std::collections::BTreeSet;

use super::{ControllerError, Decision, DecisionContext, ErrorCode, repeated, unknown_topic};
use crate::controller::image::MetadataImage;
use crate::controller::records::ControllerRecord;
use crate::controller::requests::{ControllerResponse, DeleteTopics, ItemResult, TopicRef};
use crate::controller::topic::Topic;
use crate::controller::topic_name;
use crate::ids::TopicId;

#[cfg(test)]
mod tests;

pub(super) fn decide(
    image: &MetadataImage,
    request: &DeleteTopics,
    context: &DecisionContext<'_>,
) -> Decision {
    let repeated = repeated(&request.topics);
    let mut doomed = BTreeSet::new();
    let mut records = Vec::new();
    let mut results = Vec::with_capacity(request.topics.len());
    for item in &request.topics {
        let outcome = check(image, item, &repeated, context).and_then(|topic| {
            if !doomed.insert(topic.id) {
                return Err(ControllerError::new(
                    ErrorCode::InvalidRequest,
                    "The provided topic name maps to an ID that was already supplied.",
                ));
            }
            records.push(ControllerRecord::TopicDeleted { id: topic.id });
            Ok(match item {
                TopicRef::Name(_) => TopicRef::Id(topic.id),
                TopicRef::Id(_) => TopicRef::Name(topic.name.to_string()),
            })
        });
        results.push(ItemResult { item: item.clone(), outcome });
    }
    Decision { records, response: ControllerResponse::DeleteTopics(results) }
}

fn check<'a>(
    image: &'a MetadataImage,
    item: &TopicRef,
    repeated: &BTreeSet<&TopicRef>,
    context: &DecisionContext<'_>,
) -> Result<&'a Topic, ControllerError> {
    if !context.defaults.delete_topic_enable {
        return Err(ControllerError::new(ErrorCode::TopicDeletionDisabled, "Topic deletion is disabled."));
    }
    if repeated.contains(item) {
        let what = if matches!(item, TopicRef::Name(_)) { "name" } else { "id" };
        return Err(ControllerError::new(ErrorCode::InvalidRequest, format!("Duplicate topic {what}.")));
    }
    let topic = match item {
        TopicRef::Name(name) => image.topic(name).map(AsRef::as_ref).ok_or_else(unknown_topic),
        TopicRef::Id(TopicId(id)) if id.is_nil() => Err(ControllerError::new(
            ErrorCode::InvalidRequest,
            "Attempt to find topic with an all-zero topic id.",
        )),
        TopicRef::Id(id) => image.topic_by_id(*id).map(AsRef::as_ref).ok_or_else(|| {
            ControllerError::new(ErrorCode::UnknownTopicId, "This server does not host this topic ID.")
        }),
    }?;
    if topic_name::is_internal(&topic.name) {
        return Err(ControllerError::new(
            ErrorCode::InvalidRequest,
            format!("The internal topic {} cannot be deleted.", topic.name),
        ));
    }
    Ok(topic)
}
