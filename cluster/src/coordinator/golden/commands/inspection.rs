//! Commands of administrators, and how their answers read.

use crate::coordinator::golden::stage::Stage;
use crate::coordinator::{GroupRequest, ListGroups, ListedGroup};
use crate::script::Words;

/// Carries the command out, if it is one of these.
pub(super) fn run(stage: &mut Stage, command: &str, words: &Words<'_>) -> bool {
    match command {
        "list" => {
            words.only(&["states", "types"]);
            let filter = |name: &str| {
                words
                    .text(name)
                    .map(|values| values.split(',').map(str::to_owned).collect())
                    .unwrap_or_default()
            };
            let filter = ListGroups { states: filter("states"), types: filter("types") };
            stage.ask("", "list", GroupRequest::List(filter));
        }
        "delete" => {
            let group = super::group(words);
            stage.ask("", &format!("delete {}", words.word(0)), GroupRequest::Delete(group));
        }
        _ => return false,
    }
    true
}

/// The groups, a line for each.
pub(in super::super) fn listed(groups: &[ListedGroup]) -> Vec<String> {
    if groups.is_empty() {
        return vec!["nothing".to_owned()];
    }
    let line = |listed: &ListedGroup| {
        let ListedGroup { group, protocol_type, state, group_type } = listed;
        let protocol_type = if protocol_type.is_empty() { "-" } else { protocol_type };
        format!("{group}: {group_type}, {protocol_type}, {state}")
    };
    groups.iter().map(line).collect()
}
