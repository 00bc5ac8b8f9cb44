//! AlterTopicConfigs: topics' settings change, one by one (KIP-339) or all at once.
//!
//! Checked is what a topic's settings come to, not only what changes. The record holds all of them, so that it means
//! the same whenever it is replayed.

use std::collections::BTreeSet;

use super::{ControllerError, Decision, DecisionContext, ErrorCode, repeated, unknown_topic};
use crate::controller::configs::{Configs, check_topic_configs, list_value, topic_config};
use crate::controller::image::MetadataImage;
use crate::controller::records::ControllerRecord;
use crate::controller::requests::{
    AlterTopicConfigs, ConfigAlteration, ConfigChange, ConfigOperation, ControllerResponse, ItemResult,
    TopicAlteration, without_nulls,
};

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
    for alteration in &request.topics {
        let outcome = alter(image, alteration, &repeated, context).map(|record| records.extend(record));
        results.push(ItemResult { item: alteration.name.clone(), outcome });
    }
    if request.validate_only {
        records.clear();
    }
    Decision { records, response: ControllerResponse::AlterTopicConfigs(results) }
}

/// The record that makes the change, or none where nothing changes.
fn alter(
    image: &MetadataImage,
    alteration: &TopicAlteration,
    repeated: &BTreeSet<&String>,
    context: &DecisionContext<'_>,
) -> Result<Option<ControllerRecord>, ControllerError> {
    if repeated.contains(&alteration.name) {
        return Err(invalid_request("Each resource must appear at most once."));
    }
    let topic = image.topic(&alteration.name).ok_or_else(unknown_topic)?;
    let configs = match &alteration.change {
        ConfigChange::Incremental(changes) => incremental(&topic.configs, changes)?,
        ConfigChange::Replace(configs) => {
            check_repetition(configs.iter().map(|(name, _)| name))?;
            without_nulls(configs).map_err(|names| null_values(&names))?
        }
    };
    check_topic_configs(context.defaults, image.cluster_configs(), &configs)
        .map_err(|error| ControllerError::new(ErrorCode::InvalidConfig, error.to_string()))?;
    let changed = configs != topic.configs;
    Ok(changed.then_some(ControllerRecord::TopicConfigsSet { id: topic.id, configs }))
}

fn incremental(present: &Configs, changes: &[ConfigAlteration]) -> Result<Configs, ControllerError> {
    check_repetition(changes.iter().map(|change| &change.name))?;
    let needs_value =
        |change: &&ConfigAlteration| change.operation != ConfigOperation::Delete && change.value.is_none();
    let nulls: Vec<_> = changes.iter().filter(needs_value).map(|change| change.name.as_str()).collect();
    if !nulls.is_empty() {
        return Err(null_values(&nulls));
    }
    let mut configs = present.clone();
    for ConfigAlteration { name, operation, value } in changes {
        let value = value.as_deref().unwrap_or_default();
        let new = match operation {
            ConfigOperation::Delete => None,
            ConfigOperation::Set => Some(value.to_owned()),
            ConfigOperation::Append | ConfigOperation::Subtract => {
                Some(change_list(&configs, name, *operation, value)?)
            }
        };
        match new {
            Some(value) => configs.insert(name.clone(), value),
            None => configs.remove(name),
        };
    }
    Ok(configs)
}

/// A list with the parts of `value` added or taken off. A list that was not set starts as its default.
fn change_list(
    configs: &Configs,
    name: &str,
    operation: ConfigOperation,
    value: &str,
) -> Result<String, ControllerError> {
    let config = topic_config(name).filter(|config| config.domain.is_list()).ok_or_else(|| {
        let verb = if operation == ConfigOperation::Append { "APPEND" } else { "SUBTRACT" };
        let message = format!("Can't {verb} to key {name} because its type is not LIST.");
        ControllerError::new(ErrorCode::InvalidConfig, message)
    })?;
    let mut parts: Vec<_> = list_value(configs.get(name).map_or(config.default, String::as_str)).collect();
    for part in list_value(value) {
        if operation == ConfigOperation::Subtract {
            parts.retain(|present| *present != part);
        } else if !parts.contains(&part) {
            parts.push(part);
        }
    }
    Ok(parts.join(","))
}

fn check_repetition<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), ControllerError> {
    if repeated(names).is_empty() {
        Ok(())
    } else {
        Err(invalid_request("Error due to duplicate config keys"))
    }
}

fn null_values(names: &[&str]) -> ControllerError {
    invalid_request(format!("Null value not supported for : {}", names.join(",")))
}

fn invalid_request(message: impl Into<String>) -> ControllerError {
    ControllerError::new(ErrorCode::InvalidRequest, message)
}
