//! What peers said that no honest peer says: it is dropped, counted, and told of in the log once in a while.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::Shard;
use super::effects::Effect;
use super::group::{MAX_TERM, MAX_TERM_JUMP};
use crate::ids::{NodeId, RaftGroupId};
use crate::transport::LeadershipRow;

/// How long nothing more is told of a peer whose words were refused.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// How many groups may have been made that this node has not heard of.
const MAX_UNKNOWN_GROUPS: u64 = 100_000;

/// When refusals of each peer's words were last told of, and how many were not since.
#[derive(Default)]
pub(super) struct Refused(BTreeMap<NodeId, (Duration, u64)>);

impl Refused {
    /// Whether a refusal is told of, and how many before it were not.
    fn is_told(&mut self, from: NodeId, now: Duration) -> Option<u64> {
        match self.0.get_mut(&from) {
            Some((at, untold)) if now < *at + TELL_AGAIN_AFTER => {
                *untold += 1;
                None
            }
            known => {
                let untold = known.map_or(0, |(_, untold)| *untold);
                self.0.insert(from, (now, 0));
                Some(untold)
            }
        }
    }
}

impl Shard {
    /// A peer's word about a group is dropped.
    pub(super) fn refuse(&mut self, from: NodeId, group: RaftGroupId, why: impl fmt::Display) {
        self.effects.push(Effect::Refused);
        let name = self.image().name_of(group).unwrap_or_else(|| group.to_string());
        match self.refused.is_told(from, self.now) {
            Some(untold) => tracing::warn!(
                peer = from.0,
                group = name,
                untold,
                "dropped what a peer says, as no node of this release says it: {why}"
            ),
            None => tracing::debug!(peer = from.0, group = name, "dropped what a peer says: {why}"),
        }
    }

    /// Whether a node may lead a group as it says it does. What it says of a group that is no more says nothing.
    pub(super) fn is_plausible(&mut self, from: NodeId, row: &LeadershipRow) -> bool {
        let image = self.image();
        let partition = image.partition_of(row.group);
        let replicas = match &partition {
            Some(view) => &view.partition.replicas,
            None if row.group == RaftGroupId::CONTROLLER => &self.nodes,
            None if row.group < image.next_group() => return false,
            None => &self.nodes,
        };
        let is_near = row.group.0.saturating_sub(image.next_group().0) < MAX_UNKNOWN_GROUPS;
        let known = self.groups.get(&row.group).map_or(0, super::Group::term);
        let known = known.max(self.leaderships.term_of(row.group));
        let is_plausible = is_near
            && replicas.contains(&from)
            && row.isr.len() <= replicas.len()
            && row.isr.iter().all(|node| replicas.contains(node))
            && (1..=MAX_TERM.min(known.saturating_add(MAX_TERM_JUMP))).contains(&row.term);
        if !is_plausible {
            self.refuse(from, row.group, "it cannot lead the group, or not in such a term");
        }
        is_plausible
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_a_peer_are_told_of_once_in_a_while() {
        let (mut refused, one, two) = (Refused::default(), NodeId(1), NodeId(2));
        let second = Duration::from_secs(1);
        assert_eq!(refused.is_told(one, second), Some(0));
        assert_eq!(refused.is_told(one, second * 2), None);
        assert_eq!(refused.is_told(two, second * 2), Some(0));
        assert_eq!(refused.is_told(one, second + TELL_AGAIN_AFTER), Some(1));
        assert_eq!(refused.is_told(one, second + TELL_AGAIN_AFTER * 2), Some(0));
    }
}
