//! How one group stands, counted in with the others.

use super::Group;
use crate::shard::machine::Machine;
use crate::survey::Survey;

impl Group {
    /// Adds this group to `survey`.
    pub(in crate::shard) fn count_in(&self, survey: &mut Survey) {
        let log = &self.node.raft.raft_log;
        survey.highest_term = survey.highest_term.max(self.term());
        survey.commit_lag.count(log.last_index(), log.committed);
        survey.apply_lag.count(log.committed, log.applied);
        if self.serving().is_none() {
            return;
        }
        survey.groups_led += 1;
        let slowest = self.node.raft.prs().iter().map(|(_, progress)| progress.matched).min();
        survey.replication_lag.count(log.committed, slowest.unwrap_or(log.committed));
        if let Machine::Coordinator(machine) = self.machine() {
            machine.count_in(survey);
        }
    }
}
