//! What a test takes from a shard on purpose, to show that somebody would notice.

use super::Shard;
use super::machine::CoordinatorMachine;

impl Shard {
    /// Nobody counts as slow.
    pub(crate) fn forget_slow_peers(&mut self) {
        for peer in self.nodes.clone() {
            self.leaving.process_changed(peer);
        }
    }

    /// Coordinators take back what they have decided on the use of groups and not proposed yet.
    pub(crate) fn take_back_use(&mut self) {
        self.each_coordinator(CoordinatorMachine::take_back_use);
    }
}
