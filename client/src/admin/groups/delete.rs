//! DeleteGroups.

use kafka_protocol::messages::DeleteGroupsRequest;

use crate::Error;
use crate::admin::requests::checked;
use crate::admin::rounds::Policy;
use crate::admin::route::{Coordinated, Route};
use crate::admin::run::{Attempt, Operation};
use crate::admin::{Admin, Results};
use crate::messages::group_id;

impl Admin {
    /// Deletes groups with all their offsets. A group that has members is `NON_EMPTY_GROUP`.
    pub async fn delete_groups<G: Into<String>>(
        &self,
        groups: impl IntoIterator<Item = G>,
    ) -> Results<String, ()> {
        self.run(DeleteGroups, groups.into_iter().map(Into::into)).await
    }
}

struct DeleteGroups;

impl Operation for DeleteGroups {
    type Key = String;
    type Value = ();
    const POLICY: Policy = Policy::ONCE;

    fn route(&self, group: &String) -> Route {
        Route::Coordinator(Coordinated::Group(group.clone()))
    }

    async fn ask(&self, attempt: Attempt<'_>, groups: &[String]) -> Result<Results<String, ()>, Error> {
        let names = groups.iter().map(|group| group_id(group)).collect();
        let answer =
            attempt.connection.request(DeleteGroupsRequest::default().with_groups_names(names)).await?;
        let rows = answer.results.into_iter();
        Ok(rows.map(|row| (row.group_id.to_string(), checked(row.error_code, None))).collect())
    }
}
