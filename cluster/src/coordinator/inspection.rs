//! Describing, listing and deleting groups.
//!
//! Each protocol describes its own groups and does not know the other's: who describes a group first asks with
//! ConsumerGroupDescribe, and with DescribeGroups when that finds none. A group that has only offsets is, as in Kafka,
//! a classic one that is empty.

use super::GroupCoordinator;
use super::error::{GroupError, GroupErrorCode};
use super::ids::GroupId;
use super::request::{ClassicDescription, ConsumerDescription, ListGroups, ListedGroup};
use super::view::GroupView;

impl GroupCoordinator {
    /// DescribeGroups, of one group.
    pub(super) fn describe_classic(&self, id: &GroupId) -> Result<ClassicDescription, GroupError> {
        match self.view(id) {
            Some(GroupView::Classic(group)) => Ok(group.describe()),
            Some(GroupView::Abandoned(group)) => Ok(group.describe_empty()),
            Some(view @ GroupView::Simple) => Ok(ClassicDescription {
                state: view.state_name(),
                protocol_type: String::new(),
                protocol: String::new(),
                members: Vec::new(),
            }),
            Some(GroupView::Consumer(_)) => Err(not_found(format!("Group {id} is not a classic group."))),
            None => Err(not_found(format!("Group {id} not found."))),
        }
    }

    /// ConsumerGroupDescribe (KIP-848), of one group.
    pub(super) fn describe_consumer(&self, id: &GroupId) -> Result<ConsumerDescription, GroupError> {
        if id.as_str().is_empty() {
            return Err(GroupErrorCode::InvalidGroupId.into());
        }
        match self.view(id) {
            Some(GroupView::Consumer(_)) => Ok(self.describe_consumer_group(id)),
            Some(_) => Err(not_found(format!("Group {id} is not a consumer group."))),
            None => Err(not_found(format!("Group {id} not found."))),
        }
    }

    /// ListGroups: the groups of this coordinator that pass the filter.
    pub(super) fn list(&self, filter: &ListGroups) -> Vec<ListedGroup> {
        let passes = |wanted: &[String], is: &str| {
            wanted.is_empty() || wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(is))
        };
        self.views()
            .filter(|(_, view)| passes(&filter.states, view.state_name()))
            .filter(|(_, view)| passes(&filter.types, view.group_type()))
            .map(|(id, view)| ListedGroup {
                group: id.clone(),
                protocol_type: view.protocol_type().to_owned(),
                state: view.state_name(),
                group_type: view.group_type(),
            })
            .collect()
    }

    /// DeleteGroups, of one group: only one without members goes, offsets and all.
    pub(super) fn delete(&mut self, id: &GroupId) -> Result<(), GroupErrorCode> {
        let view = self.view(id).ok_or(GroupErrorCode::GroupIdNotFound)?;
        if !view.is_empty() {
            return Err(GroupErrorCode::NonEmptyGroup);
        }
        self.remove_group(id);
        Ok(())
    }
}

fn not_found(message: String) -> GroupError {
    GroupError::new(GroupErrorCode::GroupIdNotFound, message)
}
