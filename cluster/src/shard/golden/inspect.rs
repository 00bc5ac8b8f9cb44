//! What a script may look at: how the replicas of a group stand, and what is in a log.

use trilog_storage::{RaftLog, TailCache};

use super::stage::Stage;
use crate::ids::{NodeId, RaftGroupId, RaftIndex};
use crate::shard::Shard;
use crate::shard::group::Group;
use crate::shard::machine::Machine;

/// A line for each node.
pub(super) fn status(stage: &Stage, group: RaftGroupId) -> Vec<String> {
    let line = |(id, node): (&NodeId, &super::node::Node)| {
        if !node.is_running() {
            return format!("{id} is down");
        }
        match node.shard().groups.get(&group) {
            Some(replica) => format!("{id} {}", replica_status(node.shard(), replica)),
            None => format!("{id} has no replica"),
        }
    };
    stage.nodes.iter().map(line).collect()
}

fn replica_status(shard: &Shard, group: &Group) -> String {
    let role = match group.leader() {
        Some(leader) if leader == shard.node => "leads".into(),
        Some(leader) => format!("follows {leader}"),
        None => "knows no leader".into(),
    };
    let mut status = format!("{role} in term {}, commit {}", group.term(), group.commit());
    if let Machine::Partition(machine) = group.machine() {
        status += &format!(", shows up to offset {}", machine.status().high_watermark);
    }
    if group.is_unrecognized() {
        status += ", unrecognized";
    } else if group.is_barred() {
        status += ", barred";
    } else if group.is_forgetful() {
        status += ", forgetful";
    } else if !group.is_admitted() {
        status += ", on probation";
    }
    if group.asleep {
        status += ", asleep";
    }
    status
}

/// A group's log as the node's store has it: what is recorded of it, then its entries.
pub(super) fn log(stage: &Stage, node: NodeId, group: RaftGroupId) -> Vec<String> {
    let store = stage.nodes[&node].store();
    let tail = TailCache::new(0);
    let Some(log) = RaftLog::open(store, &tail, group).unwrap() else {
        return vec!["none".into()];
    };
    let state = log.hard_state();
    let first = log.truncated().next();
    let applied = log.applied();
    let mut lines = vec![format!("term {}, commit {}, checkpoint at {applied}", state.term, state.commit)];
    if log.truncated() > RaftIndex(0) {
        lines.push(format!("nothing up to {}", log.truncated()));
    }
    let reader = store.reader(&tail);
    for index in (first.0..=log.last().0).map(RaftIndex) {
        let entry = reader.entry(group, index).unwrap().expect("a log has no gaps");
        lines.push(stage.vocabulary.entry(group, index.0, entry.term, &entry.payload));
    }
    lines
}
