//! A consumer group as the node that coordinates it shows it.
//!
//! | room | what it tells |
//! | --- | --- |
//! | [`classic`] | a member whose group's leader assigns: join, sync, heartbeat, leave |
//! | [`consumer`] | a member that the coordinator assigns (KIP-848) |
//! | [`offsets`] | commit, fetch and delete offsets, in any version |
//! | [`embedded`] | what classic members say to one another |
//! | [`librdkafka`] | real consumers, and a ledger of who owned what |
//!
//! Every member has a connection of its own: a broker answers in the order of the requests, so that a join that waits for
//! others would hold up whatever comes behind it.

pub mod classic;
pub mod consumer;
pub mod embedded;
pub mod librdkafka;
pub mod offsets;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_describe_response::DescribedGroup as DescribedConsumerGroup;
use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest,
    ListGroupsRequest,
};
use trilog_client::wire::{ClientError, Connection};

use crate::cluster::{CONSUMER_OFFSETS, Cluster, connection_options};
use crate::requests::{error, group_id, only, text};
use crate::waiting::wait_until;

/// A group, and a connection to the node that coordinated it when this was made.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The coordinator's node.
    pub node: i32,
    /// To the coordinator.
    pub connection: Connection,
}

/// Asks a node, in the highest version, who coordinates a group.
///
/// # Errors
/// [`ClientError`] if there is no answer.
pub async fn find_coordinator(connection: &Connection, group: &str) -> Result<Coordinator, ClientError> {
    let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![text(group)]);
    Ok(only(connection.request(request).await?.coordinators))
}

impl Cluster {
    /// A group through a new connection to its coordinator, which says itself that it is.
    pub async fn group(&self, name: &str) -> Group {
        wait_until(&format!("group {name} has a coordinator"), async || self.try_group(name).await).await
    }

    /// A group if the first running node names a coordinator that agrees to be.
    pub async fn try_group(&self, name: &str) -> Option<Group> {
        let asked = self.node(*self.started().first()?).address();
        let connection = Connection::connect(asked, &connection_options()).await.ok()?;
        let found = find_coordinator(&connection, name).await.ok()?;
        if found.error_code != 0 {
            return None;
        }
        let address = format!("{}:{}", found.host, found.port);
        let connection = Connection::connect(&address, &connection_options()).await.ok()?;
        let group = Group { name: name.to_owned(), node: found.node_id.0, connection };
        let agrees = group.try_fetch_offsets(None).await.is_ok_and(|answer| answer.error_code == 0);
        agrees.then_some(group)
    }

    /// As many names of groups as wanted, the first one as given, that all lie in the same partition of
    /// `__consumer_offsets` and so have the same coordinator.
    ///
    /// # Panics
    /// If there is no such topic.
    pub async fn names_in_one_partition(&self, name: &str, count: usize) -> Vec<String> {
        let topic = self.topic(CONSUMER_OFFSETS).await.expect("the topic of the coordinators exists");
        let partitions = topic.partitions.len();
        let wanted = partition_of(name, partitions);
        let others = (0..).map(|number| format!("{name}-{number}"));
        let same = others.filter(|other| partition_of(other, partitions) == wanted);
        std::iter::once(name.to_owned()).chain(same).take(count).collect()
    }
}

/// Which partition of `__consumer_offsets` is a group's: Java's hash of its name without the sign, modulo their number.
///
/// # Panics
/// If there are no partitions.
pub fn partition_of(group: &str, partitions: usize) -> usize {
    let hash =
        group.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    usize::try_from(hash.checked_abs().unwrap_or(0)).expect("it has no sign") % partitions
}

impl Group {
    /// What DescribeGroups tells, error code and all.
    ///
    /// # Panics
    /// If there is no answer, as in all of these.
    pub async fn describe(&self) -> DescribedGroup {
        self.try_describe().await.expect("DescribeGroups is answered")
    }

    /// What DescribeGroups tells, error code and all.
    ///
    /// # Errors
    /// [`ClientError`] if there is no answer.
    pub async fn try_describe(&self) -> Result<DescribedGroup, ClientError> {
        let request = DescribeGroupsRequest::default().with_groups(vec![group_id(&self.name)]);
        Ok(only(self.connection.request(request).await?.groups))
    }

    /// What ConsumerGroupDescribe tells, error code and all.
    pub async fn describe_consumer(&self) -> DescribedConsumerGroup {
        self.try_describe_consumer().await.expect("ConsumerGroupDescribe is answered")
    }

    /// What ConsumerGroupDescribe tells, error code and all.
    ///
    /// # Errors
    /// [`ClientError`] if there is no answer.
    pub async fn try_describe_consumer(&self) -> Result<DescribedConsumerGroup, ClientError> {
        let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group_id(&self.name)]);
        Ok(only(self.connection.request(request).await?.groups))
    }

    /// The row of this group in ListGroups with these filters, if it is there.
    pub async fn listed(&self, states: &[&str], types: &[&str]) -> Option<ListedGroup> {
        let texts = |list: &[&str]| list.iter().map(|one| text(one)).collect();
        let request =
            ListGroupsRequest::default().with_states_filter(texts(states)).with_types_filter(texts(types));
        let answer = self.connection.request(request).await.expect("ListGroups is answered");
        assert_eq!(error(answer.error_code), None);
        answer.groups.into_iter().find(|group| group.group_id == group_id(&self.name))
    }

    /// Deletes the group; the error if it is refused.
    pub async fn delete(&self) -> Option<ResponseError> {
        let request = DeleteGroupsRequest::default().with_groups_names(vec![group_id(&self.name)]);
        let answer = self.connection.request(request).await.expect("DeleteGroups is answered");
        error(only(answer.results).error_code)
    }

    /// Waits until DescribeGroups tells this state.
    pub async fn wait_state(&self, state: &str) {
        wait_until(&format!("group {} is {state}", self.name), async || {
            (&*self.describe().await.group_state == state).then_some(())
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_the_partition_that_java_gives_it() {
        assert_eq!(partition_of("group", 50), 47);
        assert_eq!(partition_of("", 50), 0);
        // Its hash is the one number without a positive counterpart.
        assert_eq!(partition_of("polygenelubricants", 50), 0);
    }
}
