//! Offsets and groups that nobody uses any more (KIP-211).
//!
//! A sweep comes every `offsets.retention.check.interval.ms` and looks at all groups. How long offsets are kept after
//! what depends on who is in the group:
//!
//! | group | its offsets go `offsets.retention.minutes` after |
//! | --- | --- |
//! | never had members | their commit |
//! | has no members any more | the last one has gone, or their commit if that was later |
//! | consumers that know what they subscribe to | their commit, unless the group subscribes to the topic |
//! | being rebalanced, or not of consumers | never |
//!
//! A client may have stated an end of its own (OffsetCommit v2 to v4), which then counts instead of the retention. A
//! group that has neither members nor offsets is removed: also one whose last offset an administrator deleted, which stays an
//! empty group until then.
//!
//! When the last member goes, and when the first one comes, that is [written down](GroupCoordinator::note_use) at once: a
//! group whose members come for two minutes an hour may be empty at every sweep and is in regular use. Only a coordinator
//! that was lost while a group was forming leaves its emptiness to the next sweep. Time is [counted](super::super::service_time)
//! and not read off a wall clock.

use std::time::Duration;

use super::GroupOffsets;
use super::committed::{CommittedOffset, OffsetsRecord, PartitionsByTopic};
use crate::coordinator::GroupCoordinator;
use crate::coordinator::ids::GroupId;
use crate::coordinator::records::GroupChange;
use crate::coordinator::service_time::ServiceTime;
use crate::coordinator::state::{Group, Membership};
use crate::coordinator::view::GroupView;
use crate::ids::TopicName;

/// What becomes of one group.
enum Verdict {
    /// It has neither members nor offsets.
    Remove,
    /// Its offsets change.
    Change(OffsetsRecord),
}

/// From when on the retention of a group's offsets counts.
#[derive(Clone, Copy)]
enum RetentionStart {
    Commit,
    Unused(ServiceTime),
    /// It does not count at all.
    Never,
}

impl GroupCoordinator {
    /// One sweep over all groups. It writes the time down, too, so that the next coordinator goes on counting.
    pub(in crate::coordinator) fn expire_offsets(&mut self) {
        let now = self.time();
        let groups: Vec<_> = self.views().map(|(id, view)| (id.clone(), self.judge(id, view, now))).collect();
        for (group, verdicts) in groups {
            for verdict in verdicts {
                match verdict {
                    Verdict::Remove => self.remove_group(&group),
                    Verdict::Change(record) => self.record(&group, GroupChange::Offsets(record)),
                }
            }
        }
        if self.state.groups().len() > 0 && self.state.time() < now {
            self.record_time(now);
        }
    }

    /// Writes down that the group has no members any more, or that it has some again.
    pub(in crate::coordinator) fn note_use(&mut self, id: &GroupId) {
        let Some(group) = self.state.group(id) else { return };
        let known = group.offsets.unused_since();
        let since = unused_since(group, self.view_of(id, group), self.time());
        if since != known && !group.offsets.is_empty() {
            self.record(id, GroupChange::Offsets(OffsetsRecord::Unused { since }));
        }
    }

    fn judge(&self, id: &GroupId, view: GroupView<'_>, now: ServiceTime) -> Vec<Verdict> {
        let Some(group) = self.state.group(id) else {
            return if view.is_empty() { vec![Verdict::Remove] } else { Vec::new() };
        };
        let offsets = &group.offsets;
        let unused_since = unused_since(group, view, now);
        let expired = expired(offsets, view, unused_since, now, self.settings.offsets_retention);
        let expired_count: usize = expired.values().map(|partitions| partitions.len()).sum();
        if view.is_empty() && expired_count == offsets.len() {
            return vec![Verdict::Remove];
        }
        let mut verdicts = Vec::new();
        if unused_since != offsets.unused_since() {
            verdicts.push(Verdict::Change(OffsetsRecord::Unused { since: unused_since }));
        }
        if !expired.is_empty() {
            verdicts.push(Verdict::Change(OffsetsRecord::Removed(expired)));
        }
        verdicts
    }
}

/// Since when a group that had members has none: from `now` on, unless that is known.
fn unused_since(group: &Group, view: GroupView<'_>, now: ServiceTime) -> Option<ServiceTime> {
    let is_unused = view.is_empty() && !matches!(group.membership, Membership::None);
    is_unused.then(|| group.offsets.unused_since().unwrap_or(now))
}

fn expired(
    offsets: &GroupOffsets,
    view: GroupView<'_>,
    unused_since: Option<ServiceTime>,
    now: ServiceTime,
    retention: Duration,
) -> PartitionsByTopic {
    let start = match unused_since {
        Some(since) => RetentionStart::Unused(since),
        None if matches!(view, GroupView::Simple) || view.knows_subscriptions() => RetentionStart::Commit,
        None => RetentionStart::Never,
    };
    let mut expired = PartitionsByTopic::new();
    for (name, partitions) in offsets.topics().filter(|(name, _)| !view.subscribes_to(name)) {
        for (partition, committed) in partitions {
            if is_expired(committed, start, now, retention) {
                expired.entry(TopicName::clone(name)).or_default().insert(partition);
            }
        }
    }
    expired
}

fn is_expired(
    committed: &CommittedOffset,
    start: RetentionStart,
    now: ServiceTime,
    retention: Duration,
) -> bool {
    let start = match start {
        RetentionStart::Never => return false,
        RetentionStart::Commit => committed.committed_at,
        RetentionStart::Unused(since) => committed.committed_at.max(since),
    };
    match committed.expires_at {
        Some(end) => now >= end,
        None => now.since(start) >= retention,
    }
}
