//! What a test takes from a coordinator on purpose, to show that somebody would notice.

use super::offsets::OffsetsRecord;
use super::records::{GroupChange, GroupRecord};
use super::{CoordinatorRecord, CoordinatorState, GroupCoordinator};

impl GroupCoordinator {
    /// Takes back a record of a group's use that it has made since `committed`. Returns whether `record` is one.
    pub(crate) fn take_back_use(&mut self, committed: &CoordinatorState, record: &CoordinatorRecord) -> bool {
        let CoordinatorRecord::Group(GroupRecord { group, change }) = record else { return false };
        let GroupChange::Offsets(OffsetsRecord::Unused { .. }) = change else { return false };
        let since = committed.group(group).and_then(|group| group.offsets.unused_since());
        let change = GroupChange::Offsets(OffsetsRecord::Unused { since });
        self.state.replay(&CoordinatorRecord::Group(GroupRecord { group: group.clone(), change }));
        true
    }
}
