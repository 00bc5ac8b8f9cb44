//! Which groups this node has: those whose partitions the metadata places here.
//!
//! The steps of a creation and of a deletion, each of which a crash may come before:
//!
//! 1. The controller's entry is applied. The metadata on disk do not hold it before the next checkpoint, so that a restart
//!    replays it.
//! 2. A later batch creates the group (see [`arrivals`](super::arrivals)); the next one deletes it and writes its tombstone.
//! 3. The purger removes the keys of a deleted group.
//! 4. The batch with the next checkpoint of the metadata removes the tombstone.
//!
//! Until step 4 a restart begins with metadata in which a deleted group is still placed here. Its log is gone, so it would
//! begin anew under a number that had another past. The tombstone tells: [`Shard::open_if_missing`] leaves such a group out.
//! A crash between a snapshot of the metadata and step 2 leaves a group on disk that no metadata name;
//! [`Shard::reconcile`] deletes it.

use trilog_storage::{RaftLog, StoreError};

use super::Shard;
use super::effects::Effect;
use super::group::Group;
use super::machine::{Machine, Purpose, damaged};
use crate::controller::topic_name::CONSUMER_OFFSETS;
use crate::controller::{ControllerRecord, MetadataImage, PartitionRecord};
use crate::ids::{NodeId, RaftGroupId, RaftIndex};

/// How many partitions are opened for each line of the log that says so. That takes a moment each, from a cold disk a
/// second or so for all of them.
const SAY_EVERY_OPENED: u64 = 1000;

impl Shard {
    /// Opens the controller's group, then every group that its checkpoint places here. Later records follow as the
    /// log is replayed.
    pub(super) fn open_groups(&mut self) -> Result<(), StoreError> {
        let nodes = self.nodes.clone();
        self.open_group(RaftGroupId::CONTROLLER, nodes, Purpose::Controller)?;
        self.tell_coordinators(None);
        self.reconcile()
    }

    pub(super) fn image(&self) -> std::sync::Arc<MetadataImage> {
        match self.groups.get(&RaftGroupId::CONTROLLER).map(Group::machine) {
            Some(Machine::Controller(machine)) => std::sync::Arc::clone(machine.image()),
            _ => std::sync::Arc::default(),
        }
    }

    /// Whether a group that is unknown here may yet be made: it is about to be opened, or its number was not allotted when
    /// the metadata was last heard of.
    pub(super) fn may_come(&self, id: RaftGroupId) -> bool {
        self.arrivals.contains(id) || id >= self.image().next_group()
    }

    /// Follows a change of the metadata.
    pub(super) fn follow(&mut self, record: &ControllerRecord) -> Result<(), StoreError> {
        match record {
            ControllerRecord::TopicCreated { name, partitions, .. } => {
                self.open_mine(partitions, purpose_of(name))
            }
            ControllerRecord::PartitionsAdded { id, partitions, .. } => {
                let image = self.image();
                let purpose = image.topic_by_id(*id).map(|topic| purpose_of(&topic.name));
                self.open_mine(partitions, purpose.unwrap_or(Purpose::Partition))
            }
            ControllerRecord::TopicDeleted { .. } => self.drop_unplaced(),
            ControllerRecord::ClusterConfigsSet { .. } | ControllerRecord::NodeConfigsSet { .. } => {
                self.follow_expiration();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Makes the groups match the metadata as a whole, after a start or a snapshot.
    pub(super) fn reconcile(&mut self) -> Result<(), StoreError> {
        self.follow_expiration();
        self.delete_unopened()?;
        self.drop_unplaced()?;
        let image = self.image();
        for (opened, placed) in (1_u64..).zip(image.groups_on(self.node)) {
            if opened.is_multiple_of(SAY_EVERY_OPENED) {
                tracing::info!(opened, "opening partitions");
            }
            let purpose = purpose_of(&placed.topic.name);
            self.open_if_missing(placed.partition.group, &placed.partition.replicas, purpose)?;
        }
        Ok(())
    }

    fn open_mine(&mut self, partitions: &[PartitionRecord], purpose: Purpose) -> Result<(), StoreError> {
        let node = self.node;
        for partition in partitions.iter().filter(|partition| partition.replicas.contains(&node)) {
            self.arrive(RaftGroupId(partition.group), &partition.replicas, purpose)?;
        }
        Ok(())
    }

    pub(super) fn open_if_missing(
        &mut self,
        group: RaftGroupId,
        replicas: &[NodeId],
        purpose: Purpose,
    ) -> Result<(), StoreError> {
        if self.groups.contains_key(&group) || self.store.is_deleted(group) {
            return Ok(());
        }
        self.open_group(group, replicas.to_vec(), purpose)
    }

    /// Drops the groups that the metadata no longer places here.
    fn drop_unplaced(&mut self) -> Result<(), StoreError> {
        let image = self.image();
        // They may be on disk: what was decided since the last checkpoint of the metadata arrives anew with each start.
        for id in self.arrivals.drop_unplaced(|id| image.has_dropped(id)) {
            self.batch.mark_group_deleted(id);
            self.effects.push(Effect::LogCompacted);
        }
        let gone: Vec<RaftGroupId> =
            self.groups.keys().copied().filter(|id| image.has_dropped(*id)).collect();
        for id in gone {
            if let Some(group) = self.groups.remove(&id) {
                group.close(&mut self.effects);
            }
            self.coordinators.remove(&id);
            self.awake.remove(&id);
            self.dirty.remove(id);
            self.rejoin.forget(id);
            self.replays.forget(id);
            self.known_producers.forget(id);
            self.sending.forget(id);
            self.receiving.forget(id);
            self.batch.mark_group_deleted(id);
            self.effects.push(Effect::ReplicaRemoved(id));
        }
        self.leaderships.forget(|id| image.has_dropped(id));
        Ok(())
    }

    /// Deletes the groups that are on disk and that the metadata no longer place here, though they are not open.
    fn delete_unopened(&mut self) -> Result<(), StoreError> {
        let image = self.image();
        for id in self.store.groups()?.into_iter().filter(|id| image.has_dropped(*id)) {
            if !self.groups.contains_key(&id) {
                self.batch.mark_group_deleted(id);
                self.effects.push(Effect::ReplicaRemoved(id));
            }
        }
        Ok(())
    }

    fn open_group(
        &mut self,
        id: RaftGroupId,
        voters: Vec<NodeId>,
        purpose: Purpose,
    ) -> Result<(), StoreError> {
        let (log, fresh) = match RaftLog::open(&self.store, &self.tail, id)? {
            Some(log) => (log, false),
            None => {
                let members: Vec<u64> = voters.iter().map(|voter| u64::from(voter.0)).collect();
                (RaftLog::create(&self.store, &self.tail, id, &members, &mut self.batch), true)
            }
        };
        let is_blank = log.hard_state().term == 0 && log.last() == RaftIndex(0);
        let admission = self.admission_of(id, fresh, is_blank)?;
        let machine = if fresh {
            Machine::new(purpose)
        } else {
            Machine::load(&self.store, id, purpose, log.truncated())?
        };
        let mut group = Group::new(self.node, id, voters, log, machine, self.checkpoints, &self.logger)
            .map_err(|error| damaged(id, &error.to_string()))?;
        group.admit_as(admission);
        // They were kept unseen. What is implausible in them is not told of.
        for message in self.orphans.take(id) {
            if group.scrutinize(&message).is_ok() {
                group.step(message);
            }
        }
        group.publish_opened(&mut self.effects);
        self.plan_first_campaign(&mut group, fresh);
        self.groups.insert(id, group);
        if purpose == Purpose::Coordinator {
            self.coordinators.insert(id);
        }
        self.awake.insert(id);
        self.dirty.insert(id);
        Ok(())
    }
}

/// What the partitions of the topic called `name` are for.
fn purpose_of(name: &str) -> Purpose {
    if name == CONSUMER_OFFSETS { Purpose::Coordinator } else { Purpose::Partition }
}
