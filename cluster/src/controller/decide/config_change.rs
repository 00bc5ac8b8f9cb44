//! What a change makes of settings: setting by setting (KIP-339), or all at once.

use std::collections::BTreeSet;

use super::{ControllerError, ErrorCode, repeated};
use crate::controller::configs::{Configs, list_value};
use crate::controller::requests::{ConfigAlteration, ConfigChange, ConfigOperation, without_nulls};

/// What `change` makes of the settings `present`. `list_default` tells the default of a setting that is a list, and of nothing
/// else. The outcome is not checked yet.
pub(super) fn changed(
    present: &Configs,
    change: &ConfigChange,
    list_default: impl Fn(&str) -> Option<&'static str>,
) -> Result<Configs, ControllerError> {
    match change {
        ConfigChange::Incremental(changes) => incremental(present, changes, list_default),
        ConfigChange::Replace(configs) => {
            check_repetition(configs.iter().map(|(name, _)| name))?;
            without_nulls(configs).map_err(|names| null_values(&names))
        }
    }
}

fn incremental(
    present: &Configs,
    changes: &[ConfigAlteration],
    list_default: impl Fn(&str) -> Option<&'static str>,
) -> Result<Configs, ControllerError> {
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
                let default = list_default(name).ok_or_else(|| not_a_list(name, *operation))?;
                Some(change_list(configs.get(name).map_or(default, String::as_str), *operation, value))
            }
        };
        match new {
            Some(value) => configs.insert(name.clone(), value),
            None => configs.remove(name),
        };
    }
    Ok(configs)
}

/// A list with the parts of `value` added or taken off.
fn change_list(present: &str, operation: ConfigOperation, value: &str) -> String {
    let mut parts: Vec<_> = list_value(present).collect();
    if operation == ConfigOperation::Subtract {
        let gone: BTreeSet<_> = list_value(value).collect();
        parts.retain(|part| !gone.contains(part));
    } else {
        let mut known: BTreeSet<_> = parts.iter().copied().collect();
        parts.extend(list_value(value).filter(|part| known.insert(part)));
    }
    parts.join(",")
}

fn not_a_list(name: &str, operation: ConfigOperation) -> ControllerError {
    let verb = if operation == ConfigOperation::Append { "APPEND" } else { "SUBTRACT" };
    let message = format!("Can't {verb} to key {name} because its type is not LIST.");
    ControllerError::new(ErrorCode::InvalidConfig, message)
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

/// INVALID_REQUEST for a reason.
pub(super) fn invalid_request(message: impl Into<String>) -> ControllerError {
    ControllerError::new(ErrorCode::InvalidRequest, message)
}
