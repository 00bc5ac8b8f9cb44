//! Committed offsets.

use serde::{Deserialize, Serialize};

use super::GroupCoordinator;
use super::error::GroupErrorCode;
use super::request::{CommitOffsets, DeleteOffsets, FetchOffsets, FetchedTopic, TopicResults};
use crate::ids::TimestampMs;

/// The committed offsets of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GroupOffsets {}

/// A change of a group's offsets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OffsetsRecord {}

impl GroupOffsets {
    /// Whether nothing is committed.
    pub(super) fn is_empty(&self) -> bool {
        true
    }

    pub(super) fn replay(&mut self, _record: &OffsetsRecord) {}
}

impl GroupCoordinator {
    pub(super) fn commit_offsets(&mut self, _request: CommitOffsets) -> Vec<TopicResults> {
        Vec::new()
    }

    pub(super) fn fetch_offsets(&self, _request: &FetchOffsets) -> Result<Vec<FetchedTopic>, GroupErrorCode> {
        Err(GroupErrorCode::CoordinatorNotAvailable)
    }

    pub(super) fn delete_offsets(
        &mut self,
        _request: DeleteOffsets,
    ) -> Result<Vec<TopicResults>, GroupErrorCode> {
        Err(GroupErrorCode::CoordinatorNotAvailable)
    }

    pub(super) fn expire_offsets(&mut self, _wall_clock: TimestampMs) {}

    pub(super) fn forget_deleted_topics(&mut self) {}
}
