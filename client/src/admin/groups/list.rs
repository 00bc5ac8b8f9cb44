//! ListGroups, of every broker.

use std::collections::BTreeMap;

use kafka_protocol::messages::ListGroupsRequest;
use trilog_protocol::ErrorCode;

use crate::Error;
use crate::admin::requests::checked;
use crate::admin::rounds::Policy;
use crate::admin::route::Route;
use crate::admin::run::{Attempt, Operation};
use crate::admin::{Admin, Results};
use crate::messages::{text, version};
use crate::metadata::NodeId;

/// From this version on, groups are filtered by state (KIP-518).
const STATES_FROM: i16 = 4;
/// From this version on, groups are filtered by type (KIP-848).
const TYPES_FROM: i16 = 5;

/// Which groups to list. The default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupFilter {
    /// States, as `Stable` or `Empty`; none means any.
    pub states: Vec<String>,
    /// Types, as `classic` or `consumer`; none means any.
    pub types: Vec<String>,
}

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// Its name.
    pub group: String,
    /// What its members speak: `consumer` for consumers; empty for offsets without members.
    pub protocol_type: String,
    /// Its state; empty from brokers before Kafka 2.6.
    pub state: String,
    /// `classic`, `consumer` or another type; empty from brokers before Kafka 3.8.
    pub kind: String,
}

/// The groups of a cluster.
#[derive(Clone, Debug, Default)]
pub struct GroupsListed {
    /// The groups by name.
    pub groups: Vec<GroupListing>,
    /// The brokers whose groups are missing, each with the reason.
    pub failures: BTreeMap<i32, Error>,
}

impl Admin {
    /// Lists the groups that any broker coordinates.
    ///
    /// # Errors
    ///
    /// If no broker answers in time. Where only some do not, they are in [`GroupsListed::failures`].
    pub async fn list_groups(&self, filter: &GroupFilter) -> Result<GroupsListed, Error> {
        let (groups, failures) = self.of_all_brokers(|| ListGroups { filter: filter.clone() }).await?;
        let mut by_name = BTreeMap::new();
        for group in groups {
            // While a coordinator moves, two brokers may name a group.
            by_name.entry(group.group.clone()).or_insert(group);
        }
        Ok(GroupsListed { groups: by_name.into_values().collect(), failures })
    }
}

impl Admin {
    /// What all brokers list together. Where one of them has left meanwhile, all are asked again: what it coordinated is with others.
    pub(in crate::admin) async fn of_all_brokers<T, O>(
        &self,
        operation: impl Fn() -> O,
    ) -> Result<(Vec<T>, BTreeMap<i32, Error>), Error>
    where
        T: Send + 'static,
        O: Operation<Key = NodeId, Value = Vec<T>>,
    {
        let listed = merged(self.run(operation(), self.broker_ids().await?).await)?;
        if !listed.1.values().any(has_left) {
            return Ok(listed);
        }
        merged(self.run(operation(), self.broker_ids().await?).await)
    }
}

/// Whether the broker is no longer one of the cluster's.
const fn has_left(error: &Error) -> bool {
    matches!(error, Error::Broker { code: ErrorCode::BROKER_ID_NOT_REGISTERED, .. })
}

/// What several brokers listed, and those that did not answer.
///
/// # Errors
///
/// The first broker's error if none has answered.
fn merged<T>(by_broker: Results<NodeId, Vec<T>>) -> Result<(Vec<T>, BTreeMap<i32, Error>), Error> {
    let (mut items, mut failures, mut answers) = (Vec::new(), BTreeMap::new(), 0);
    for (broker, listed) in by_broker {
        match listed {
            Ok(listed) => {
                items.extend(listed);
                answers += 1;
            }
            Err(error) => {
                failures.insert(broker, error);
            }
        }
    }
    match failures.values().next() {
        Some(error) if answers == 0 => Err(error.clone()),
        _ => Ok((items, failures)),
    }
}

struct ListGroups {
    filter: GroupFilter,
}

impl Operation for ListGroups {
    type Key = NodeId;
    type Value = Vec<GroupListing>;
    const POLICY: Policy = Policy::FREE;

    fn route(&self, broker: &NodeId) -> Route {
        Route::Broker(*broker)
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        brokers: &[NodeId],
    ) -> Result<Results<NodeId, Vec<GroupListing>>, Error> {
        let version = version::<ListGroupsRequest>(attempt.connection, i16::MAX)?;
        let GroupFilter { states, types } = &self.filter;
        for (filter, from) in [(states, STATES_FROM), (types, TYPES_FROM)] {
            if !filter.is_empty() && version < from {
                attempt.connection.versions().check::<ListGroupsRequest>(from)?;
            }
        }
        let request = ListGroupsRequest::default()
            .with_states_filter(states.iter().map(|state| text(state)).collect())
            .with_types_filter(types.iter().map(|kind| text(kind)).collect());
        let answer = attempt.connection.request_at_version(request, version).await?;
        checked(answer.error_code, None)?;
        let groups = answer.groups.into_iter().map(|row| GroupListing {
            group: row.group_id.to_string(),
            protocol_type: row.protocol_type.to_string(),
            state: row.group_state.to_string(),
            kind: row.group_type.to_lowercase(),
        });
        let groups: Vec<_> = groups.collect();
        Ok(brokers.iter().map(|broker| (*broker, Ok(groups.clone()))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down() -> Error {
        Error::Unreachable { cause: "refused".to_owned() }
    }

    #[test]
    fn a_broker_that_is_down_hides_only_its_own() {
        let (items, failures) =
            merged([(1, Ok(vec!["a"])), (2, Err(down())), (3, Ok(vec!["b"]))].into()).unwrap();
        assert_eq!(items, ["a", "b"]);
        assert_eq!(failures.keys().collect::<Vec<_>>(), [&2]);
    }

    #[test]
    fn no_answer_at_all_is_an_error() {
        assert!(merged::<u8>([(1, Err(down())), (2, Err(down()))].into()).is_err());
        assert!(merged::<u8>(Results::new()).is_ok());
    }
}
