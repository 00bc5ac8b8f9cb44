//! What must hold, whatever happens.

use std::collections::{BTreeMap, BTreeSet};

use super::client::{Client, Member};
use super::topics::TopicPartition;
use super::world::World;
use crate::coordinator::state::Membership;
use crate::coordinator::{
    ConsumerDescription, CoordinatorState, GroupCoordinator, GroupId, GroupResponse, MemberId,
    NamedTopicPartitions,
};

/// What holds of each group at all times.
pub(super) fn check(world: &mut World) {
    let groups: BTreeSet<_> = world.clients.iter().map(|client| client.identity.group.clone()).collect();
    world.places.check(world.now, &world.coordinator);
    check_room(&world.coordinator, world.limits.groups);
    for group in groups {
        world.offsets.check(&world.coordinator, &world.topics, &group);
        let members = members(&world.coordinator, &group);
        let in_group = |client: &&mut Client| client.identity.group == group;
        let mut clients: Vec<_> = world.clients.iter_mut().filter(in_group).collect();
        clients.iter_mut().for_each(|client| client.is_out |= !members.contains(&client.member().0));
        if let Ok(description) = world.coordinator.describe_consumer(&group) {
            check_described(&description);
            clients.retain(|client| !client.is_out);
            check_owners(&clients, &description);
        }
    }
}

/// Groups of all kinds together are no more than may be.
fn check_room(coordinator: &GroupCoordinator, most: usize) {
    let forming = coordinator.classic.keys().filter(|id| coordinator.state.group(id).is_none()).count();
    assert_eq!(coordinator.forming, forming, "groups that are forming are counted");
    assert!(coordinator.consumer.keys().all(|id| coordinator.state.group(id).is_some()));
    assert!(coordinator.views().count() <= most, "there are too many groups");
}

/// No partition is in two members' assignments, or in two members' targets.
fn check_described(description: &ConsumerDescription) {
    let (mut assigned, mut targeted) = (BTreeSet::new(), BTreeSet::new());
    for member in &description.members {
        for partition in partitions(&member.assignment) {
            assert!(assigned.insert(partition), "{partition:?} is assigned twice in {description:#?}");
        }
        for partition in partitions(&member.target) {
            assert!(targeted.insert(partition), "{partition:?} is a target twice in {description:#?}");
        }
    }
}

fn partitions(topics: &[NamedTopicPartitions]) -> impl Iterator<Item = TopicPartition> {
    topics.iter().flat_map(|topic| topic.partitions.iter().map(|index| (topic.id, *index)))
}

/// In a consumer group, no two members own a partition at the same time, by what they were told and have not given up.
/// In a classic group only the generation says who owns what: a static member that is away keeps its place.
fn check_owners(members: &[&mut Client], description: &ConsumerDescription) {
    let mut owners: BTreeMap<TopicPartition, usize> = BTreeMap::new();
    for client in members {
        let number = client.identity.number;
        for partition in client.owned() {
            let other = owners.insert(*partition, number);
            assert_eq!(other, None, "{partition:?} is owned by {number} too, in {description:#?}");
        }
    }
}

/// The members of a group as the coordinator sees them.
pub(super) fn members(coordinator: &GroupCoordinator, group: &GroupId) -> BTreeSet<MemberId> {
    if let Ok(description) = coordinator.describe_consumer(group) {
        return description.members.into_iter().map(|member| member.member).collect();
    }
    let description = coordinator.describe_classic(group);
    description.into_iter().flat_map(|group| group.members).map(|member| member.member).collect()
}

/// Who was told to own each partition, by generation or epoch: nobody else may be told so in the same one.
#[derive(Default)]
pub(super) struct Promises(BTreeMap<GroupId, BTreeMap<i32, BTreeMap<TopicPartition, String>>>);

impl Promises {
    /// A group without members may begin anew, with its first generation.
    pub(super) fn forget_empty_groups(&mut self, state: &CoordinatorState) {
        self.0.retain(|group, _| match state.group(group).map(|group| &group.membership) {
            None | Some(Membership::None) => false,
            Some(Membership::Classic(group)) => !group.members.is_empty(),
            Some(Membership::Consumer(group)) => !group.is_empty(),
        });
    }

    /// A client has heard an answer, which may say what it owns.
    pub(super) fn keep(&mut self, client: &mut Client, response: &GroupResponse) {
        let (member, epoch) = client.member();
        let told = match (&client.member, response) {
            (Member::Classic(member), GroupResponse::Sync(Ok(_))) => Some(member.owned()),
            (Member::Consumer(member), GroupResponse::ConsumerHeartbeat(Ok(_))) => member.told(),
            _ => None,
        };
        // A static member that is back has another id and the same rights.
        let name = client.identity.instance.as_ref().map_or(member.as_str(), |instance| instance.as_str());
        let owners = self.0.entry(client.identity.group.clone()).or_default().entry(epoch).or_default();
        for partition in told.iter().copied().flatten() {
            let owner = owners.entry(*partition).or_insert_with(|| name.to_owned());
            assert_eq!(owner, name, "{partition:?} was given away twice in generation {epoch}");
        }
        client.is_out &= told.is_none();
    }
}
