//! Offsets and groups that nobody uses any more (KIP-211).
//!
//! A sweep comes every `offsets.retention.check.interval.ms` and looks at all groups. How long offsets are kept after
//! what depends on who is in the group:
//!
//! | group | its offsets go `offsets.retention.minutes` after |
//! | --- | --- |
//! | never had members | their commit |
//! | has no members any more | the first sweep that found it so, or their commit if that was later |
//! | consumers that know what they subscribe to | their commit, unless the group subscribes to the topic |
//! | being rebalanced, or not of consumers | never |
//!
//! A client may have stated an end of its own (OffsetCommit v2 to v4), which then counts instead of the retention. A
//! group that has neither members nor offsets is removed.
//!
//! The wall clock comes from whichever node leads, and may be wrong. It is [vouched for](crate::node) before it expires
//! anything. One that was set back expires nothing until it has caught up; nor do offsets that are committed meanwhile pass for
//! old ones afterwards: no time is noted that is before the last commit.

use std::time::Duration;

use super::GroupOffsets;
use super::committed::{CommittedOffset, OffsetsRecord, PartitionsByTopic};
use crate::coordinator::GroupCoordinator;
use crate::coordinator::ids::GroupId;
use crate::coordinator::records::GroupChange;
use crate::coordinator::view::GroupView;
use crate::ids::{TimestampMs, TopicName};

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
    Unused(TimestampMs),
    /// It does not count at all.
    Never,
}

impl GroupCoordinator {
    /// Finds out when the last offset was committed.
    pub(in crate::coordinator) fn load_last_commit(&mut self) {
        let offsets = self.state.groups().flat_map(|(_, group)| group.offsets.topics());
        let commits =
            offsets.flat_map(|(_, partitions)| partitions.map(|(_, committed)| committed.committed_at));
        self.last_commit = commits.max().unwrap_or(self.last_commit);
    }

    /// One sweep over all groups.
    pub(in crate::coordinator) fn expire_offsets(&mut self, wall_clock: TimestampMs) {
        let groups: Vec<_> =
            self.views().map(|(id, view)| (id.clone(), self.judge(id, view, wall_clock))).collect();
        for (group, verdicts) in groups {
            for verdict in verdicts {
                match verdict {
                    Verdict::Remove => self.remove_group(&group),
                    Verdict::Change(record) => self.record(&group, GroupChange::Offsets(record)),
                }
            }
        }
    }

    fn judge(&self, id: &GroupId, view: GroupView<'_>, now: TimestampMs) -> Vec<Verdict> {
        let Some(offsets) = self.state.group(id).map(|group| &group.offsets) else {
            return if view.is_empty() { vec![Verdict::Remove] } else { Vec::new() };
        };
        let unused_since = unused_since(offsets, view, now.max(self.last_commit));
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

/// Since when a group that had members has none.
fn unused_since(offsets: &GroupOffsets, view: GroupView<'_>, now: TimestampMs) -> Option<TimestampMs> {
    let is_unused = view.is_empty() && !matches!(view, GroupView::Simple);
    is_unused.then(|| offsets.unused_since().unwrap_or(now))
}

fn expired(
    offsets: &GroupOffsets,
    view: GroupView<'_>,
    unused_since: Option<TimestampMs>,
    now: TimestampMs,
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
    now: TimestampMs,
    retention: Duration,
) -> bool {
    let start = match start {
        RetentionStart::Never => return false,
        RetentionStart::Commit => committed.committed_at,
        RetentionStart::Unused(since) => committed.committed_at.max(since),
    };
    match committed.expires_at {
        Some(end) => now >= end,
        None => {
            let age = now.0.saturating_sub(start.0);
            u64::try_from(age).is_ok_and(|age| Duration::from_millis(age) >= retention)
        }
    }
}
