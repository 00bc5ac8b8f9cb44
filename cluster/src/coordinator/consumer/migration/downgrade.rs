//! From a consumer group to a classic group.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::CONSUMER_PROTOCOL_TYPE;
use super::embedded::{to_named, version_of};
use crate::controller::MetadataImage;
use crate::coordinator::GroupCoordinator;
use crate::coordinator::classic::{ClassicGroup, ClassicMember};
use crate::coordinator::consumer::group::ConsumerGroup;
use crate::coordinator::consumer::member::{ClassicMetadata, Member};
use crate::coordinator::ids::{Generation, GroupId, MemberId};
use trilog_protocol::consumer_protocol::encode_assignment;

impl GroupCoordinator {
    /// Makes a classic group of a consumer group in which only classic members are left, if the policy allows it and
    /// a classic group may be so large. Whether it did.
    pub(in crate::coordinator::consumer) fn downgrade_if_all_classic(&mut self, id: &GroupId) -> bool {
        let Some(group) = self.consumer_group(id) else { return false };
        let may = self.settings.migration_policy.allows_downgrade()
            && group.members().len() <= self.settings.max_size
            && group.is_all_classic();
        if !may {
            return false;
        }
        let classic = downgraded(group, &self.image);
        self.remove_consumer_group(id);
        self.install_classic_group(id, classic);
        true
    }
}

/// The group in the terms of the classic protocol. Its generation is the group's epoch, so that it never goes back. That
/// no protocol has been elected says that it has to be rebalanced: to this coordinator, and to the next one if this one
/// is lost before it is done.
fn downgraded(group: &ConsumerGroup, image: &MetadataImage) -> ClassicGroup {
    let convert = |(id, member): (&MemberId, &Member)| {
        let classic = member.metadata.classic.as_ref()?;
        Some((id.clone(), Arc::new(converted(group, member, classic, image))))
    };
    let members: BTreeMap<MemberId, Arc<ClassicMember>> =
        group.members().iter().filter_map(convert).collect();
    ClassicGroup {
        generation: Generation(group.epoch().0),
        protocol_type: Some(CONSUMER_PROTOCOL_TYPE.to_owned()),
        protocol: None,
        leader: members.keys().next().cloned(),
        members,
    }
}

fn converted(
    group: &ConsumerGroup,
    member: &Member,
    classic: &ClassicMetadata,
    image: &MetadataImage,
) -> ClassicMember {
    let version = classic.protocols.first().map_or(0, |supported| version_of(&supported.metadata));
    let assigned = to_named(&member.current.assigned, group, image);
    ClassicMember {
        instance: member.metadata.instance.clone(),
        client_id: member.metadata.client_id.clone(),
        client_host: member.metadata.client_host.clone(),
        session_timeout: classic.session_timeout,
        rebalance_timeout: member.metadata.rebalance_timeout(),
        protocols: classic.protocols.clone(),
        assignment: Bytes::from(encode_assignment(&assigned, version)),
    }
}
