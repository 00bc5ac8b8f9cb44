//! The places of static members of the consumer protocol that left for a while: nobody takes them before their session is
//! over.

use std::collections::BTreeMap;
use std::time::Duration;

use super::client::SESSION_TIMEOUT;
use crate::coordinator::{
    GroupCoordinator, GroupId, GroupRequest, GroupResponse, InstanceId, MemberEpoch, MemberId,
};

/// The members that are away, and when members were heard.
#[derive(Debug, Default)]
pub(super) struct Places {
    away: BTreeMap<(GroupId, MemberId), Away>,
    heard: BTreeMap<(GroupId, MemberId), Duration>,
    /// When the coordinator took over.
    began: Duration,
}

#[derive(Clone, Debug)]
struct Away {
    instance: InstanceId,
    until: Duration,
}

impl Places {
    /// Somebody asks to join with the classic protocol, which need not be decided at once to have taken a place.
    pub(super) fn ask(&mut self, request: &GroupRequest) {
        if let GroupRequest::Join(request) = request {
            self.give_up(&request.group, request.instance.as_ref());
        }
    }

    /// Takes into account what the coordinator has decided on a request.
    pub(super) fn decide(&mut self, now: Duration, request: &GroupRequest, response: &GroupResponse) {
        match (request, response) {
            (GroupRequest::ConsumerHeartbeat(request), GroupResponse::ConsumerHeartbeat(Ok(_))) => {
                let member = (request.group.clone(), request.member.clone());
                match &request.instance {
                    Some(instance) if request.epoch == MemberEpoch::LEAVE_FOR_A_WHILE => {
                        let heard = self.heard.get(&member).copied().unwrap_or_default();
                        let until = heard.max(self.began) + SESSION_TIMEOUT;
                        self.away.insert(member, Away { instance: instance.clone(), until });
                    }
                    instance => {
                        self.give_up(&request.group, instance.as_ref());
                        self.heard.insert(member, now);
                    }
                }
            }
            (GroupRequest::Leave(request), _) => {
                for leaving in &request.members {
                    self.give_up(&request.group, leaving.instance.as_ref());
                    self.away.remove(&(request.group.clone(), leaving.member.clone()));
                }
            }
            _ => {}
        }
    }

    /// Somebody else has the instance id now.
    fn give_up(&mut self, group: &GroupId, instance: Option<&InstanceId>) {
        self.away.retain(|(of, _), away| of != group || Some(&away.instance) != instance);
    }

    /// Another coordinator takes over: sessions begin anew, of those that have left by what it knows.
    pub(super) fn fail_over(&mut self, now: Duration, coordinator: &GroupCoordinator) {
        self.began = now;
        self.heard.clear();
        self.away.retain(|(group, member), away| {
            away.until = now + SESSION_TIMEOUT;
            epoch_of(coordinator, group, member) == Some(MemberEpoch::LEAVE_FOR_A_WHILE)
        });
    }

    /// Those who are away are still members, until their sessions are over.
    pub(super) fn check(&self, now: Duration, coordinator: &GroupCoordinator) {
        for ((group, member), away) in self.away.iter().filter(|(_, away)| now < away.until) {
            let is_member = epoch_of(coordinator, group, member).is_some();
            assert!(
                is_member,
                "{member} of {group} was to keep its place until {:?}, now is {now:?}",
                away.until
            );
        }
    }
}

fn epoch_of(coordinator: &GroupCoordinator, group: &GroupId, member: &MemberId) -> Option<MemberEpoch> {
    let members = coordinator.describe_consumer(group).ok()?.members;
    members.into_iter().find(|described| described.member == *member).map(|described| described.epoch)
}
