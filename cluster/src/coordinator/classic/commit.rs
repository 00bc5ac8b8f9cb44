//! Whether a member of a classic group may commit offsets.

use super::group::{LiveGroup, State};
use crate::coordinator::GroupCoordinator;
use crate::coordinator::error::GroupErrorCode;
use crate::coordinator::request::CommitOffsets;
use crate::coordinator::timers::Timer;

impl GroupCoordinator {
    /// Judges a commit to a live classic group. To commit is to be alive: it renews the member's session.
    pub(in crate::coordinator) fn check_classic_commit(
        &mut self,
        request: &CommitOffsets,
    ) -> Result<(), GroupErrorCode> {
        let group = self.classic.get(&request.group).ok_or(GroupErrorCode::UnknownMemberId)?;
        check_commit(group, request)?;
        if let Some(member) = group.members().get(&request.member) {
            let timer = Timer::Session(request.group.clone(), request.member.clone());
            self.timers.set(timer, self.now + member.session_timeout);
        }
        Ok(())
    }
}

fn check_commit(group: &LiveGroup, request: &CommitOffsets) -> Result<(), GroupErrorCode> {
    // An administrator, or a consumer that assigns itself, while nobody is in the group.
    if request.epoch < 0 && group.is_empty() {
        return Ok(());
    }
    let is_anonymous = request.epoch < 0 && request.member.as_str().is_empty() && request.instance.is_none();
    if is_anonymous {
        return Err(GroupErrorCode::UnknownMemberId);
    }
    group.validate_member(&request.member, request.instance.as_ref())?;
    if request.epoch != group.generation().0 {
        return Err(GroupErrorCode::IllegalGeneration);
    }
    // The member has heard of a generation whose assignments it does not have yet: what it commits is of the last one,
    // and may by now be somebody else's. While members join, each may still commit what it had.
    if group.state == State::CompletingRebalance {
        return Err(GroupErrorCode::RebalanceInProgress);
    }
    Ok(())
}
