//! Describing, listing and deleting groups.

use super::GroupCoordinator;
use super::error::{GroupError, GroupErrorCode};
use super::ids::GroupId;
use super::request::{ClassicDescription, ConsumerDescription, ListGroups, ListedGroup};

impl GroupCoordinator {
    pub(super) fn describe_classic(&self, _group: &GroupId) -> Result<ClassicDescription, GroupError> {
        Err(GroupErrorCode::GroupIdNotFound.into())
    }

    pub(super) fn describe_consumer(&self, _group: &GroupId) -> Result<ConsumerDescription, GroupError> {
        Err(GroupErrorCode::GroupIdNotFound.into())
    }

    pub(super) fn list(&self, _filter: &ListGroups) -> Vec<ListedGroup> {
        Vec::new()
    }

    pub(super) fn delete(&mut self, _group: &GroupId) -> Result<(), GroupErrorCode> {
        Err(GroupErrorCode::GroupIdNotFound)
    }
}
