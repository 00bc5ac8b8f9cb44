//! AlterTopicConfigs: topics' settings change, one by one (KIP-339) or all at once.
//!
//! Checked is what a topic's settings come to, not only what changes. The record holds all of them, so that it means
//! the same whenever it is replayed.

use std::collections::BTreeSet;

use super::config_change::{changed, invalid_request};
use super::{
    ControllerError, Decision, DecisionContext, ErrorCode, check_config_bytes, repeated, unknown_topic,
};
use crate::controller::configs::{BrokerLayers, canonical_topic_configs, check_topic_configs, topic_config};
use crate::controller::image::MetadataImage;
use crate::controller::records::ControllerRecord;
use crate::controller::requests::{AlterTopicConfigs, ControllerResponse, ItemResult, TopicAlteration};
use crate::controller::topic::config_bytes;

#[cfg(test)]
mod tests;

pub(super) fn decide(
    image: &MetadataImage,
    request: &AlterTopicConfigs,
    context: &DecisionContext<'_>,
) -> Decision {
    let repeated = repeated(request.topics.iter().map(|topic| &topic.name));
    let mut records = Vec::new();
    let mut results = Vec::with_capacity(request.topics.len());
    let mut total = image.topic_config_bytes();
    for alteration in &request.topics {
        let outcome = alter(image, alteration, &repeated, &mut total, context);
        let outcome = outcome.map(|record| records.extend(record));
        results.push(ItemResult { item: alteration.name.clone(), outcome });
    }
    if request.validate_only {
        records.clear();
    }
    Decision { records, response: ControllerResponse::AlterTopicConfigs(results) }
}

/// The record that makes the change, or none where nothing changes. `total` is what the settings of all topics come to so far.
fn alter(
    image: &MetadataImage,
    alteration: &TopicAlteration,
    repeated: &BTreeSet<&String>,
    total: &mut usize,
    context: &DecisionContext<'_>,
) -> Result<Option<ControllerRecord>, ControllerError> {
    if repeated.contains(&alteration.name) {
        return Err(invalid_request("Each resource must appear at most once."));
    }
    let topic = image.topic(&alteration.name).ok_or_else(unknown_topic)?;
    let configs = changed(&topic.configs, &alteration.change, list_default)?;
    check_topic_configs(BrokerLayers::common(context.defaults, image.cluster_configs()), &configs)
        .map_err(|error| ControllerError::new(ErrorCode::InvalidConfig, error.to_string()))?;
    let configs = canonical_topic_configs(configs);
    let (before, bytes) = (topic.config_bytes(), config_bytes(&configs));
    check_config_bytes(*total, before, bytes)?;
    *total = *total - before + bytes;
    let changed = configs != topic.configs;
    Ok(changed.then_some(ControllerRecord::TopicConfigsSet { id: topic.id, configs }))
}

fn list_default(name: &str) -> Option<&'static str> {
    topic_config(name).filter(|config| config.domain.is_list()).map(|config| config.default)
}
