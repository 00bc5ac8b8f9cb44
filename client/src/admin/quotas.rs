//! DescribeClientQuotas and AlterClientQuotas: how much users and clients may take (KIP-546).

use std::collections::BTreeMap;
use std::fmt;

use kafka_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::{AlterClientQuotasRequest, DescribeClientQuotasRequest};
use kafka_protocol::protocol::StrBytes;

use super::requests::checked;
use super::rounds::Policy;
use super::route::Route;
use super::run::{Attempt, Operation};
use super::{Admin, Change, Results};
use crate::Error;
use crate::messages::text;

/// Whom a quota is for: names by kind, where the kind is `user`, `client-id` or `ip`. None stands for the default of the kind: what
/// holds for those that have no quota of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuotaEntity(pub BTreeMap<String, Option<String>>);

impl QuotaEntity {
    /// One user, client or address.
    pub fn of(kind: impl Into<String>, name: impl Into<String>) -> Self {
        Self([(kind.into(), Some(name.into()))].into())
    }

    /// The default of a kind.
    pub fn default_of(kind: impl Into<String>) -> Self {
        Self([(kind.into(), None)].into())
    }
}

impl fmt::Display for QuotaEntity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (kind, name)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            match name {
                Some(name) => write!(f, "{comma}{kind} {name}")?,
                None => write!(f, "{comma}default {kind}")?,
            }
        }
        Ok(())
    }
}

/// Which quotas: names that an entity must have, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuotaFilter {
    /// What each kind must be.
    pub kinds: BTreeMap<String, QuotaMatch>,
    /// Whether entities with other kinds beside these are left out.
    pub strict: bool,
}

/// What a kind of an entity must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QuotaMatch {
    /// This name.
    Name(String),
    /// The default.
    Default,
    /// Any name, or the default.
    Any,
}

/// Limits by name, as `producer_byte_rate`.
pub type Quotas = BTreeMap<String, f64>;

impl Admin {
    /// Lists quotas, by entity.
    ///
    /// # Errors
    ///
    /// [`Error::NotServed`] with brokers that have no quotas; if no broker answers in time.
    pub async fn describe_quotas(&self, filter: QuotaFilter) -> Result<BTreeMap<QuotaEntity, Quotas>, Error> {
        self.run_one(DescribeQuotas, filter).await
    }

    /// Alters quotas. None removes a limit; limits that are not named stay as they are.
    pub async fn alter_quotas(
        &self,
        changes: impl IntoIterator<Item = (QuotaEntity, BTreeMap<String, Option<f64>>)>,
        change: Change,
    ) -> Results<QuotaEntity, ()> {
        let changes: BTreeMap<_, _> = changes.into_iter().collect();
        let entities: Vec<_> = changes.keys().cloned().collect();
        self.run(AlterQuotas { changes, change }, entities).await
    }
}

struct DescribeQuotas;

impl Operation for DescribeQuotas {
    type Key = QuotaFilter;
    type Value = BTreeMap<QuotaEntity, Quotas>;
    const POLICY: Policy = Policy::FREE;

    fn route(&self, _filter: &QuotaFilter) -> Route {
        Route::Any
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        filters: &[QuotaFilter],
    ) -> Result<Results<QuotaFilter, BTreeMap<QuotaEntity, Quotas>>, Error> {
        let mut found = Results::new();
        for filter in filters {
            let component = |(kind, wanted): (&String, &QuotaMatch)| {
                let (number, name) = match wanted {
                    QuotaMatch::Name(name) => (0, Some(text(name))),
                    QuotaMatch::Default => (1, None),
                    QuotaMatch::Any => (2, None),
                };
                ComponentData::default().with_entity_type(text(kind)).with_match_type(number).with_match(name)
            };
            let request = DescribeClientQuotasRequest::default()
                .with_components(filter.kinds.iter().map(component).collect())
                .with_strict(filter.strict);
            let answer = attempt.connection.request(request).await?;
            checked(answer.error_code, answer.error_message)?;
            let rows = answer.entries.unwrap_or_default().into_iter().map(|row| {
                let names =
                    row.entity.into_iter().map(|part| named(&part.entity_type, part.entity_name.as_ref()));
                let values = row.values.into_iter().map(|value| (value.key.to_string(), value.value));
                (QuotaEntity(names.collect()), values.collect())
            });
            found.insert(filter.clone(), Ok(rows.collect()));
        }
        Ok(found)
    }
}

struct AlterQuotas {
    changes: BTreeMap<QuotaEntity, BTreeMap<String, Option<f64>>>,
    change: Change,
}

impl Operation for AlterQuotas {
    type Key = QuotaEntity;
    type Value = ();
    const POLICY: Policy = Policy::OVERWRITES;

    fn route(&self, _entity: &QuotaEntity) -> Route {
        Route::Controller
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        entities: &[QuotaEntity],
    ) -> Result<Results<QuotaEntity, ()>, Error> {
        let entry = |entity: &QuotaEntity| {
            let part = |(kind, name): (&String, &Option<String>)| {
                EntityData::default().with_entity_type(text(kind)).with_entity_name(name.as_deref().map(text))
            };
            let change = |(name, value): (&String, &Option<f64>)| {
                OpData::default()
                    .with_key(text(name))
                    .with_value(value.unwrap_or_default())
                    .with_remove(value.is_none())
            };
            let changes = self.changes.get(entity).into_iter().flatten();
            EntryData::default()
                .with_entity(entity.0.iter().map(part).collect())
                .with_ops(changes.map(change).collect())
        };
        let request = AlterClientQuotasRequest::default()
            .with_entries(entities.iter().map(entry).collect())
            .with_validate_only(self.change == Change::ValidateOnly);
        let answer = attempt.connection.request(request).await?;
        let rows = answer.entries.into_iter().map(|row| {
            let names = row.entity.iter().map(|part| named(&part.entity_type, part.entity_name.as_ref()));
            (QuotaEntity(names.collect()), checked(row.error_code, row.error_message))
        });
        Ok(rows.collect())
    }
}

fn named(kind: &StrBytes, name: Option<&StrBytes>) -> (String, Option<String>) {
    (kind.to_string(), name.map(ToString::to_string))
}
