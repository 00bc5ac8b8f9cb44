//! A pass over all groups for whoever asks how they stand. It changes nothing.

use super::Shard;
use super::group::Group;
use crate::ids::RaftGroupId;
use crate::survey::Survey;

impl Shard {
    /// How this node's groups stand.
    pub(crate) fn survey(&self) -> Survey {
        let mut survey = Survey {
            groups: self.groups.len(),
            groups_awake: self.awake.len(),
            groups_rejoining: self.rejoin.pending(),
            unsynced_bytes: self.unsynced_bytes,
            ..Survey::default()
        };
        for group in self.groups.values() {
            group.count_in(&mut survey);
        }
        let controller = self.groups.get(&RaftGroupId::CONTROLLER);
        survey.controller_term = controller.map_or(0, Group::term);
        survey.leads_controller = controller.is_some_and(|group| group.serving().is_some());
        survey
    }
}
