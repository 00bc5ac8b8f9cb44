//! Sees what changed in a node's groups between two looks at them.

use std::collections::BTreeMap;

use bytes::Bytes;
use raft::eraftpb::Entry;

use super::call::ReadBatch;
use super::observation::{LogTerms, Observation};
use crate::ids::{NodeId, RaftGroupId, RaftIndex};
use crate::partition::Command;
use crate::shard::{GroupView, Shard};

/// What is known of every replica.
#[derive(Default)]
pub(super) struct Watch {
    seen: BTreeMap<(NodeId, RaftGroupId), Seen>,
    /// The logs as they were when the sync that is under way began.
    syncing: BTreeMap<(NodeId, RaftGroupId), LogTerms>,
}

#[derive(Default)]
struct Seen {
    log: LogTerms,
    /// The index and term of each entry that this process has cut from the log's beginning. The cut may be lost like anything
    /// else, and the entries with it.
    cut: Vec<(u64, u64)>,
    /// What is in the log and not applied yet. By the next look it may be applied, and gone from the log.
    unapplied: BTreeMap<u64, Entry>,
    applied: RaftIndex,
    led: Option<u64>,
}

/// What a look at one group found.
pub(super) struct Changes<'a> {
    node: NodeId,
    view: GroupView<'a>,
    written: Vec<(Entry, Option<u64>)>,
    elected: Option<u64>,
    applied: Vec<Entry>,
    state: Option<(RaftIndex, Bytes)>,
    log: LogTerms,
}

impl Watch {
    /// Looks at all groups of a node, and tells `tell` what is new.
    pub(super) fn look<E>(
        &mut self,
        node: NodeId,
        shard: &Shard,
        mut tell: impl FnMut(&Observation<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for view in shard.group_views() {
            let seen = self.seen.entry((node, view.id())).or_default();
            if let Some(changes) = seen.changes(node, view) {
                changes.tell(&mut tell)?;
            }
        }
        let is_gone =
            |(seen_on, group): &&(NodeId, _)| *seen_on == node && shard.group_view(*group).is_none();
        for gone in self.seen.keys().filter(is_gone).copied().collect::<Vec<_>>() {
            self.seen.remove(&gone);
            tell(&Observation::Removed { group: gone.1 })?;
        }
        Ok(())
    }

    /// A process begins with what is on its disk, all of which is durable. What is not there that was before is gone, and may
    /// have been acknowledged if the node `forgot` something.
    pub(super) fn started<E>(
        &mut self,
        node: NodeId,
        shard: &Shard,
        forgot: bool,
        mut tell: impl FnMut(&Observation<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let before: Vec<_> = self.seen.extract_if(.., |(seen, _), _| *seen == node).collect();
        for ((_, group), seen) in before.into_iter().filter(|_| forgot) {
            let now = shard.group_view(group);
            for (index, term) in seen.cut.into_iter().chain((seen.log.first..).zip(seen.log.terms)) {
                let index = RaftIndex(index);
                let is_there =
                    |view: GroupView<'_>| index < view.first() || view.term_of(index) == Some(term);
                if !now.is_some_and(is_there) {
                    tell(&Observation::Forgotten { node, group, index, term })?;
                }
            }
        }
        self.syncing.retain(|(syncing, _), _| *syncing != node);
        for view in shard.group_views() {
            let seen = Seen::on_disk(view);
            tell(&Observation::Durable { node, group: view.id(), log: &seen.log })?;
            self.seen.insert((node, view.id()), seen);
            let (index, state, is_coordinator) = (view.applied(), view.state(), view.is_coordinator());
            tell(&Observation::State { node, group: view.id(), index, state: &state, is_coordinator })?;
        }
        Ok(())
    }

    /// A sync begins.
    pub(super) fn sync_began(&mut self, node: NodeId) {
        for ((seen_on, group), seen) in &self.seen {
            if *seen_on == node {
                self.syncing.insert((node, *group), seen.log.clone());
            }
        }
    }

    /// The sync that was under way is over.
    pub(super) fn synced<E>(
        &mut self,
        node: NodeId,
        mut tell: impl FnMut(&Observation<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for ((_, group), log) in self.syncing.iter().filter(|((syncing, _), _)| *syncing == node) {
            tell(&Observation::Durable { node, group: *group, log })?;
        }
        self.syncing.retain(|(syncing, _), _| *syncing != node);
        Ok(())
    }
}

impl Seen {
    fn on_disk(view: GroupView<'_>) -> Self {
        let first = view.first().0;
        let terms = (first..=view.last().0).filter_map(|index| view.term_of(RaftIndex(index))).collect();
        let unapplied = view.entries(RaftIndex(view.applied().0 + 1).max(view.first()), view.last());
        let unapplied = unapplied.into_iter().map(|entry| (entry.index, entry)).collect();
        Self {
            log: LogTerms { first, terms },
            cut: Vec::new(),
            unapplied,
            applied: view.applied(),
            led: None,
        }
    }

    fn changes<'a>(&mut self, node: NodeId, view: GroupView<'a>) -> Option<Changes<'a>> {
        let written = self.follow_log(view);
        let elected = view.is_leader().then(|| view.term()).filter(|term| self.led != Some(*term));
        self.led = view.is_leader().then(|| view.term());
        let applied = view.applied();
        let moved = applied > self.applied;
        let left = self.unapplied.split_off(&(applied.0 + 1));
        let entries = std::mem::replace(&mut self.unapplied, left).into_values().collect();
        self.applied = applied;
        if written.is_empty() && elected.is_none() && !moved {
            return None;
        }
        let state = moved.then(|| (applied, view.state()));
        let log = if elected.is_some() { self.log.clone() } else { LogTerms::default() };
        Some(Changes { node, view, written, elected, applied: entries, state, log })
    }

    /// Makes what is known of the log what it is now, and returns the entries that are new in it.
    fn follow_log(&mut self, view: GroupView<'_>) -> Vec<(Entry, Option<u64>)> {
        let (first, last) = (view.first().0, view.last().0);
        if self.log.term_of(first - 1) != view.term_of(RaftIndex(first - 1)) {
            // A snapshot has taken the place of other entries.
            self.unapplied = self.unapplied.split_off(&first);
        }
        if self.log.first == 0 || first > self.log.last() + 1 {
            self.log = LogTerms { first, terms: Vec::new() };
        }
        while self.log.first < first {
            self.cut.push((self.log.first, self.log.terms.remove(0)));
            self.log.first += 1;
        }
        while self.log.last() >= first
            && (self.log.last() > last
                || view.term_of(RaftIndex(self.log.last())) != self.log.terms.last().copied())
        {
            self.unapplied.remove(&self.log.last());
            self.log.terms.pop();
        }
        let entries = view.entries(RaftIndex(self.log.last() + 1), RaftIndex(last));
        let mut written = Vec::with_capacity(entries.len());
        for entry in entries {
            let after = view.term_of(RaftIndex(entry.index - 1));
            self.log.terms.push(entry.term);
            self.unapplied.insert(entry.index, entry.clone());
            written.push((entry, after));
        }
        written
    }
}

impl Changes<'_> {
    fn tell<E>(self, tell: &mut impl FnMut(&Observation<'_>) -> Result<(), E>) -> Result<(), E> {
        let (node, group, voters) = (self.node, self.view.id(), self.view.voters());
        let term = self.view.term();
        for (entry, after) in &self.written {
            tell(&Observation::Written { node, group, entry, after: *after })?;
        }
        if let Some(term) = self.elected {
            tell(&Observation::Elected { node, group, term, voters, log: &self.log })?;
        }
        for entry in &self.applied {
            let holds_batches = self.view.is_partition();
            let batches: Vec<_> =
                holds_batches.then(|| ReadBatch::all(&entry.data)).into_iter().flatten().collect();
            tell(&Observation::Applied { node, group, term, voters, entry, batches: &batches })?;
            if holds_batches && let Ok(Some(Command::RaiseLogStart(before))) = Command::decode(&entry.data) {
                tell(&Observation::Deleted { group, before })?;
            }
        }
        if let Some((index, state)) = &self.state {
            let (index, is_coordinator) = (*index, self.view.is_coordinator());
            tell(&Observation::State { node, group, index, state, is_coordinator })?;
        }
        Ok(())
    }
}
