//! AlterConfigs: settings of all nodes, of one, or of a group change while the cluster runs.
//!
//! As with topics, what the settings come to is checked, and the record holds all of them.

use std::collections::BTreeSet;

use super::config_change::{changed, invalid_request};
use super::{ControllerError, Decision, DecisionContext, ErrorCode, repeated};
use crate::controller::configs::{
    Configs, DynamicConfigError, canonical_broker_configs, canonical_group_configs, check_dynamic_configs,
    check_group_configs, dynamic_list_default,
};
use crate::controller::image::MetadataImage;
use crate::controller::limits::{MAX_GROUP_NAME, MAX_GROUPS_PER_REQUEST, MAX_GROUPS_WITH_CONFIGS};
use crate::controller::records::ControllerRecord;
use crate::controller::requests::{
    AlterConfigs, ConfigChange, ConfigResource, ControllerResponse, ItemResult,
};

#[cfg(test)]
mod tests;

pub(super) fn decide(
    image: &MetadataImage,
    request: &AlterConfigs,
    context: &DecisionContext<'_>,
) -> Decision {
    let repeated = repeated(request.resources.iter().map(|alteration| &alteration.resource));
    // Decided one on top of the other, as the bound on groups counts.
    let mut image = image.clone();
    let mut records = Vec::new();
    let mut results = Vec::with_capacity(request.resources.len());
    let mut groups = 0;
    for alteration in &request.resources {
        groups += usize::from(matches!(alteration.resource, ConfigResource::Group(_)));
        let outcome = if groups > MAX_GROUPS_PER_REQUEST {
            Err(too_many_groups())
        } else {
            alter(&image, &alteration.resource, &alteration.change, &repeated, context)
        };
        let outcome = outcome.map(|record| {
            if let Some(record) = record {
                image.replay(&record);
                records.push(record);
            }
        });
        results.push(ItemResult { item: alteration.resource.clone(), outcome });
    }
    if request.validate_only {
        records.clear();
    }
    Decision { records, response: ControllerResponse::AlterConfigs(results) }
}

fn too_many_groups() -> ControllerError {
    let message = format!("At most {MAX_GROUPS_PER_REQUEST} groups may be altered by one request.");
    ControllerError::new(ErrorCode::PolicyViolation, message)
}

/// The record that makes the change, or none where nothing changes.
fn alter(
    image: &MetadataImage,
    resource: &ConfigResource,
    change: &ConfigChange,
    repeated: &BTreeSet<&ConfigResource>,
    context: &DecisionContext<'_>,
) -> Result<Option<ControllerRecord>, ControllerError> {
    if repeated.contains(resource) {
        return Err(invalid_request("Each resource must appear at most once."));
    }
    let (present, record) = match resource {
        ConfigResource::Cluster => {
            let present = image.cluster_configs();
            let configs = changed(present, change, dynamic_list_default)?;
            check_brokers(&configs, context)?;
            let configs = canonical_broker_configs(configs);
            (present, ControllerRecord::ClusterConfigsSet { configs })
        }
        ConfigResource::Node(node) => {
            if image.broker(*node).is_none() {
                return Err(invalid_request(format!("No broker with id {node} found.")));
            }
            let present = image.node_configs(*node);
            let configs = changed(present, change, dynamic_list_default)?;
            check_brokers(&configs, context)?;
            let configs = canonical_broker_configs(configs);
            (present, ControllerRecord::NodeConfigsSet { node: *node, configs })
        }
        ConfigResource::Group(name) => {
            let present = image.group_configs(name);
            let configs = changed(present, change, |_| None)?;
            check_group(image, name, &configs, context)?;
            let configs = canonical_group_configs(configs);
            (present, ControllerRecord::GroupConfigsSet { group: name.clone(), configs })
        }
    };
    let is_changed = match &record {
        ControllerRecord::ClusterConfigsSet { configs }
        | ControllerRecord::NodeConfigsSet { configs, .. }
        | ControllerRecord::GroupConfigsSet { configs, .. } => configs != present,
        _ => false,
    };
    Ok(is_changed.then_some(record))
}

fn check_brokers(configs: &Configs, context: &DecisionContext<'_>) -> Result<(), ControllerError> {
    check_dynamic_configs(context.defaults, configs).map_err(|error| {
        let code = match &error {
            DynamicConfigError::Unknown(_) => ErrorCode::InvalidConfig,
            DynamicConfigError::ReadOnly(_)
            | DynamicConfigError::InvalidValue { .. }
            | DynamicConfigError::Conflict(_) => ErrorCode::InvalidRequest,
        };
        ControllerError::new(code, error.to_string())
    })
}

fn check_group(
    image: &MetadataImage,
    name: &str,
    configs: &Configs,
    context: &DecisionContext<'_>,
) -> Result<(), ControllerError> {
    if name.is_empty() {
        return Err(invalid_request("Default group resources are not allowed."));
    }
    if name.len() > MAX_GROUP_NAME {
        let message =
            format!("Only groups whose names have at most {MAX_GROUP_NAME} bytes may have settings.");
        return Err(ControllerError::new(ErrorCode::PolicyViolation, message));
    }
    check_group_configs(context.defaults, configs)
        .map_err(|error| ControllerError::new(ErrorCode::InvalidConfig, error.to_string()))?;
    let is_new = image.group_configs(name).is_empty() && !configs.is_empty();
    if is_new && image.groups_with_configs().len() >= MAX_GROUPS_WITH_CONFIGS {
        let message = format!("At most {MAX_GROUPS_WITH_CONFIGS} groups may have settings of their own.");
        return Err(ControllerError::new(ErrorCode::PolicyViolation, message));
    }
    Ok(())
}
