//! Where a partition's log may be cut off at its front: at entries as of which the state is kept.
//!
//! A follower that lacks entries which its leader has given up gets a snapshot and then the log. The entries behind the
//! snapshot are its data, so that the snapshot has to be the state as of the cut, and not as of now. It cannot be computed
//! backwards; so with a checkpoint the state is also kept for good, as a *cut point*. A log is cut at a cut point below
//! which everything is deleted; the state kept there then stands for what was given up, and earlier ones go.
//!
//! ```text
//! given up ──────────────┐ cut point      cut point         cut point
//!                        ▼ (the base)     ▼                 ▼
//!   ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┤████████████████┼█████████████████┼███████   entries
//!                              ▲ log start: the cut may move when it passes the next point
//! ```
//!
//! There are a bounded number of them, spread evenly over the log's bytes: the log's space comes back in steps of a few
//! hundredths of its size, or of what lies between two checkpoints, whichever is more.

use trilog_storage::{Store, StoreError, WriteBatch};

use crate::ids::{Offset, RaftGroupId, RaftIndex};
use crate::partition::PartitionState;
use crate::shard::machine::{CheckpointPolicy, damaged};

/// What the keys of kept states begin with; the index of their entry follows.
const KEY_PREFIX: &[u8] = b"cut/";

/// How many states are kept of one partition, beside the base.
const MAX_CUT_POINTS: usize = 32;

/// A place where the log may be cut: behind the entry at `index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CutPoint {
    index: RaftIndex,
    /// The offset after the last record up to there.
    end: Offset,
    /// The bytes of all records up to there.
    bytes: u64,
}

impl CutPoint {
    const fn of(index: RaftIndex, state: &PartitionState) -> Self {
        Self { index, end: state.log_end_offset(), bytes: state.bytes_so_far() }
    }
}

/// The cut points of one partition. Invariant: they rise, in all their fields, and only the base has an index that the log
/// has given up.
#[derive(Debug, Default)]
pub(super) struct CutPoints {
    /// Where the log was cut last.
    base: Option<CutPoint>,
    /// Behind it.
    ahead: Vec<CutPoint>,
}

impl CutPoints {
    /// The cut points that are stored, of a log that has given up everything up to `truncated`.
    pub(super) fn load(store: &Store, group: RaftGroupId, truncated: RaftIndex) -> Result<Self, StoreError> {
        let mut points = Vec::new();
        for (key, state) in store.records(group, KEY_PREFIX)? {
            let index = key[KEY_PREFIX.len()..].try_into().map(u64::from_be_bytes);
            let index = index.map_err(|_| damaged(group, "a kept state does not say as of which entry"))?;
            let state = PartitionState::decode(&state).map_err(|error| damaged(group, &error.to_string()))?;
            points.push(CutPoint::of(RaftIndex(index), &state));
        }
        let ahead = points.split_off(points.partition_point(|point| point.index <= truncated));
        let base = points.pop();
        if base.map_or(RaftIndex(0), |base| base.index) != truncated {
            return Err(damaged(group, "its log was cut where no state is kept"));
        }
        Ok(Self { base, ahead })
    }

    /// The first offset whose record may be there: those before it were given up with the log.
    pub(super) fn readable_from(&self) -> Offset {
        self.base.map_or(Offset(0), |base| base.end)
    }

    /// Whether there are records in `state` behind the last point.
    pub(super) fn lie_before_the_end_of(&self, state: &PartitionState) -> bool {
        self.ahead.last().or(self.base.as_ref()).map_or(Offset(0), |last| last.end) < state.log_end_offset()
    }

    /// Whether `state`, which is that as of the entry at `index`, is as far behind the last point as `policy` has checkpoints
    /// be. More checkpoints than that are written for the node's sake, and would crowd out those of long ago.
    pub(super) fn are_due(&self, index: RaftIndex, state: &PartitionState, policy: CheckpointPolicy) -> bool {
        let last = self.ahead.last().or(self.base.as_ref());
        let (entries, bytes) = last.map_or((0, 0), |last| (last.index.0, last.bytes));
        index.0.saturating_sub(entries) >= policy.every_entries
            || state.bytes_so_far().saturating_sub(bytes) >= policy.every_bytes
    }

    /// Keeps `state`, which is that as of the entry at `index`.
    pub(super) fn keep(
        &mut self,
        group: RaftGroupId,
        index: RaftIndex,
        state: &PartitionState,
        encoded: Vec<u8>,
        batch: &mut WriteBatch,
    ) {
        let point = CutPoint::of(index, state);
        let last = self.ahead.last().or(self.base.as_ref()).copied();
        if last.is_some_and(|last| last.index >= index) {
            return;
        }
        assert!(last.is_none_or(|last| last.end <= point.end), "{group}: the log shrank behind {last:?}");
        batch.put_record(group, &key(index), encoded);
        self.ahead.push(point);
        if self.ahead.len() > MAX_CUT_POINTS {
            self.thin_out(group, batch);
        }
    }

    /// Gives up the point that is missed least: whose neighbours are nearest to each other. The last one stays.
    fn thin_out(&mut self, group: RaftGroupId, batch: &mut WriteBatch) {
        let bytes_before = |at: usize| match at.checked_sub(1) {
            Some(before) => self.ahead[before].bytes,
            None => self.base.map_or(0, |base| base.bytes),
        };
        let gap = |at: &usize| self.ahead[at + 1].bytes - bytes_before(*at);
        if let Some(at) = (0..self.ahead.len() - 1).min_by_key(gap) {
            batch.delete_record(group, &key(self.ahead.remove(at).index));
        }
    }

    /// Moves the base to the last point below which nothing is to be kept: all records up to there are deleted, and of the
    /// entries behind it, up to `applied`, there are as many as the policy has stay. Returns where the log is to be cut, if
    /// it is.
    pub(super) fn advance(
        &mut self,
        group: RaftGroupId,
        applied: RaftIndex,
        state: &PartitionState,
        policy: CheckpointPolicy,
        batch: &mut WriteBatch,
    ) -> Option<RaftIndex> {
        let may_go = |point: &CutPoint| {
            point.end <= state.log_start_offset()
                && (point.index.0.saturating_add(policy.kept_entries) <= applied.0
                    || point.bytes + policy.kept_bytes <= state.bytes_so_far())
        };
        let passed = self.ahead.partition_point(may_go);
        let base = *self.ahead.get(passed.checked_sub(1)?)?;
        let gone = self.base.replace(base).into_iter().chain(self.ahead.drain(..passed));
        for point in gone.filter(|point| point.index < base.index) {
            batch.delete_record(group, &key(point.index));
        }
        Some(base.index)
    }

    /// The log was replaced by a snapshot as of `index`, which is `state`.
    pub(super) fn reset(
        &mut self,
        group: RaftGroupId,
        index: RaftIndex,
        state: &PartitionState,
        encoded: Vec<u8>,
        batch: &mut WriteBatch,
    ) {
        for point in self.base.iter().chain(&self.ahead) {
            batch.delete_record(group, &key(point.index));
        }
        batch.put_record(group, &key(index), encoded);
        *self = Self { base: Some(CutPoint::of(index, state)), ahead: Vec::new() };
    }
}

/// The state that stands for what the log of `group` has given up, up to `truncated`. None if that is nothing.
pub(in crate::shard::machine) fn base_state(
    store: &Store,
    group: RaftGroupId,
    truncated: RaftIndex,
) -> Result<Option<Vec<u8>>, StoreError> {
    store.record(group, &key(truncated))
}

fn key(index: RaftIndex) -> Vec<u8> {
    [KEY_PREFIX, &index.0.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests;
