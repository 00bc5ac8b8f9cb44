//! Configurations of topics, brokers and groups: described, altered, listed.

use std::collections::BTreeMap;
use std::fmt;

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{
    DescribeConfigsRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest,
};

use super::requests::checked;
use super::rounds::Policy;
use super::route::Route;
use super::run::{Attempt, Operation};
use super::{Admin, Change, Results};
use crate::Error;
use crate::messages::{text, version};

/// From this version on, an answer has the documentation of each entry (KIP-569).
const DOCUMENTED_FROM: i16 = 3;

/// What has a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConfigResource {
    /// A topic.
    Topic(String),
    /// A broker, or the default of all brokers.
    Broker(Option<i32>),
    /// A consumer group.
    Group(String),
    /// The log levels of a broker.
    BrokerLogger(i32),
    /// A subscription to clients' metrics.
    ClientMetrics(String),
}

impl ConfigResource {
    const fn kind(&self) -> i8 {
        match self {
            Self::Topic(_) => 2,
            Self::Broker(_) => 4,
            Self::BrokerLogger(_) => 8,
            Self::ClientMetrics(_) => 16,
            Self::Group(_) => 32,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Topic(name) | Self::Group(name) | Self::ClientMetrics(name) => name.clone(),
            Self::Broker(None) => String::new(),
            Self::Broker(Some(id)) | Self::BrokerLogger(id) => id.to_string(),
        }
    }

    fn of(kind: i8, name: &str) -> Option<Self> {
        match kind {
            2 => Some(Self::Topic(name.to_owned())),
            4 if name.is_empty() => Some(Self::Broker(None)),
            4 => name.parse().ok().map(|id| Self::Broker(Some(id))),
            8 => name.parse().ok().map(Self::BrokerLogger),
            16 => Some(Self::ClientMetrics(name.to_owned())),
            32 => Some(Self::Group(name.to_owned())),
            _ => None,
        }
    }

    /// A broker's own values are known to itself.
    const fn route(&self) -> Route {
        match self {
            Self::Broker(Some(id)) | Self::BrokerLogger(id) => Route::Broker(*id),
            _ => Route::Any,
        }
    }
}

impl fmt::Display for ConfigResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(name) => write!(f, "topic {name}"),
            Self::Broker(None) => f.write_str("all brokers"),
            Self::Broker(Some(id)) => write!(f, "broker {id}"),
            Self::Group(name) => write!(f, "group {name}"),
            Self::BrokerLogger(id) => write!(f, "loggers of broker {id}"),
            Self::ClientMetrics(name) => write!(f, "client metrics {name}"),
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigSource {
    /// Set for the topic.
    Topic,
    /// Set for the broker while it runs.
    DynamicBroker,
    /// Set for all brokers while they run.
    DynamicDefaultBroker,
    /// In the broker's own configuration file.
    StaticBroker,
    /// Kafka's default.
    Default,
    /// A log level that was set while the broker runs.
    DynamicBrokerLogger,
    /// Set for a subscription to clients' metrics.
    ClientMetrics,
    /// Set for the group.
    Group,
    /// Another source, by its code.
    Other(i8),
}

impl ConfigSource {
    const fn of(code: i8) -> Self {
        match code {
            1 => Self::Topic,
            2 => Self::DynamicBroker,
            3 => Self::DynamicDefaultBroker,
            4 => Self::StaticBroker,
            5 => Self::Default,
            6 => Self::DynamicBrokerLogger,
            7 => Self::ClientMetrics,
            8 => Self::Group,
            code => Self::Other(code),
        }
    }

    /// Whether the value was set for this very resource.
    #[must_use]
    pub const fn is_own(self) -> bool {
        matches!(
            self,
            Self::Topic | Self::DynamicBroker | Self::Group | Self::ClientMetrics | Self::DynamicBrokerLogger
        )
    }
}

impl fmt::Display for ConfigSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Topic => "topic",
            Self::DynamicBroker => "broker",
            Self::DynamicDefaultBroker => "all brokers",
            Self::StaticBroker => "broker's file",
            Self::Default => "default",
            Self::DynamicBrokerLogger => "broker's logger",
            Self::ClientMetrics => "client metrics",
            Self::Group => "group",
            Self::Other(code) => return write!(f, "source {code}"),
        })
    }
}

/// A configuration entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its name.
    pub name: String,
    /// Its value; None if it has none, or is not told because it is sensitive.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether it cannot be altered.
    pub read_only: bool,
    /// Whether brokers keep the value to themselves.
    pub sensitive: bool,
    /// What it is for, where the broker tells (Kafka 2.6 and later).
    pub documentation: Option<String>,
}

/// A change of one entry (KIP-339).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// The entry's name.
    pub name: String,
    /// What to do.
    pub operation: ConfigOperation,
}

/// What is done to an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigOperation {
    /// Give it this value.
    Set(String),
    /// Let it have its default.
    Delete,
    /// Add values to a list, separated by commas.
    Append(String),
    /// Remove values from a list, separated by commas.
    Subtract(String),
}

impl ConfigChange {
    /// Gives an entry a value.
    pub fn set(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), operation: ConfigOperation::Set(value.into()) }
    }

    /// Lets an entry have its default.
    pub fn delete(name: impl Into<String>) -> Self {
        Self { name: name.into(), operation: ConfigOperation::Delete }
    }

    fn message(&self) -> AlterableConfig {
        let (code, value) = match &self.operation {
            ConfigOperation::Set(value) => (0, Some(text(value))),
            ConfigOperation::Delete => (1, None),
            ConfigOperation::Append(value) => (2, Some(text(value))),
            ConfigOperation::Subtract(value) => (3, Some(text(value))),
        };
        AlterableConfig::default().with_name(text(&self.name)).with_config_operation(code).with_value(value)
    }
}

impl Admin {
    /// Describes configurations, each by name.
    pub async fn describe_configs(
        &self,
        resources: impl IntoIterator<Item = ConfigResource>,
    ) -> Results<ConfigResource, Vec<ConfigEntry>> {
        self.run(DescribeConfigs, resources).await
    }

    /// Alters configurations. Entries that are not named keep their values. Each resource is altered as a whole or not at all.
    pub async fn alter_configs(
        &self,
        changes: impl IntoIterator<Item = (ConfigResource, Vec<ConfigChange>)>,
        change: Change,
    ) -> Results<ConfigResource, ()> {
        let changes: BTreeMap<_, _> = changes.into_iter().collect();
        let resources: Vec<_> = changes.keys().cloned().collect();
        self.run(AlterConfigs { changes, change }, resources).await
    }

    /// Lists what has a configuration of its own (Kafka 4.1 and later).
    ///
    /// # Errors
    ///
    /// [`Error::NotServed`] with older brokers; if no broker answers in time.
    pub async fn list_config_resources(&self) -> Result<Vec<ConfigResource>, Error> {
        self.run_one(ListConfigResources, ()).await
    }
}

struct DescribeConfigs;

impl Operation for DescribeConfigs {
    type Key = ConfigResource;
    type Value = Vec<ConfigEntry>;
    const POLICY: Policy = Policy::FREE;

    fn route(&self, resource: &ConfigResource) -> Route {
        resource.route()
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        resources: &[ConfigResource],
    ) -> Result<Results<ConfigResource, Vec<ConfigEntry>>, Error> {
        let version = version::<DescribeConfigsRequest>(attempt.connection, i16::MAX)?;
        let resources = resources.iter().map(|resource| {
            DescribeConfigsResource::default()
                .with_resource_type(resource.kind())
                .with_resource_name(text(&resource.name()))
                .with_configuration_keys(None)
        });
        let request = DescribeConfigsRequest::default()
            .with_resources(resources.collect())
            .with_include_documentation(version >= DOCUMENTED_FROM);
        let answer = attempt.connection.request_at_version(request, version).await?;
        let rows = answer.results.into_iter().filter_map(|row| {
            let resource = ConfigResource::of(row.resource_type, &row.resource_name)?;
            let mut entries: Vec<_> = row.configs.into_iter().map(entry).collect();
            entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
            Some((resource, checked(row.error_code, row.error_message).map(|()| entries)))
        });
        Ok(rows.collect())
    }
}

fn entry(row: DescribeConfigsResourceResult) -> ConfigEntry {
    ConfigEntry {
        name: row.name.to_string(),
        value: row.value.map(|value| value.to_string()),
        source: ConfigSource::of(row.config_source),
        read_only: row.read_only,
        sensitive: row.is_sensitive,
        documentation: row.documentation.map(|words| words.to_string()),
    }
}

struct AlterConfigs {
    changes: BTreeMap<ConfigResource, Vec<ConfigChange>>,
    change: Change,
}

impl Operation for AlterConfigs {
    type Key = ConfigResource;
    type Value = ();
    const POLICY: Policy = Policy::IDEMPOTENT;

    fn route(&self, resource: &ConfigResource) -> Route {
        match resource.route() {
            Route::Any => Route::Controller,
            broker => broker,
        }
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        resources: &[ConfigResource],
    ) -> Result<Results<ConfigResource, ()>, Error> {
        let resources = resources.iter().map(|resource| {
            let changes = self.changes.get(resource).into_iter().flatten();
            AlterConfigsResource::default()
                .with_resource_type(resource.kind())
                .with_resource_name(text(&resource.name()))
                .with_configs(changes.map(ConfigChange::message).collect())
        });
        let request = IncrementalAlterConfigsRequest::default()
            .with_resources(resources.collect())
            .with_validate_only(self.change == Change::ValidateOnly);
        let answer = attempt.connection.request(request).await?;
        let rows = answer.responses.into_iter().filter_map(|row| {
            let resource = ConfigResource::of(row.resource_type, &row.resource_name)?;
            Some((resource, checked(row.error_code, row.error_message)))
        });
        Ok(rows.collect())
    }
}

struct ListConfigResources;

impl Operation for ListConfigResources {
    type Key = ();
    type Value = Vec<ConfigResource>;
    const POLICY: Policy = Policy::FREE;

    fn route(&self, (): &()) -> Route {
        Route::Any
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        _all: &[()],
    ) -> Result<Results<(), Vec<ConfigResource>>, Error> {
        // Version 0 lists subscriptions to clients' metrics only.
        attempt.connection.versions().check::<ListConfigResourcesRequest>(1)?;
        let request = ListConfigResourcesRequest::default();
        let answer = attempt.connection.request_at_version(request, 1).await?;
        checked(answer.error_code, None)?;
        let listed = answer.config_resources.into_iter();
        let listed = listed.filter_map(|row| ConfigResource::of(row.resource_type, &row.resource_name));
        Ok([((), Ok(listed.collect()))].into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_known_again_by_kind_and_name() {
        let all = [
            ConfigResource::Topic("t".to_owned()),
            ConfigResource::Broker(None),
            ConfigResource::Broker(Some(3)),
            ConfigResource::Group("g".to_owned()),
            ConfigResource::BrokerLogger(3),
            ConfigResource::ClientMetrics("m".to_owned()),
        ];
        for resource in all {
            assert_eq!(ConfigResource::of(resource.kind(), &resource.name()), Some(resource));
        }
        assert_eq!(ConfigResource::of(4, "x"), None);
        assert_eq!(ConfigResource::of(99, "x"), None);
    }

    #[test]
    fn a_broker_s_own_configuration_is_asked_of_itself() {
        assert_eq!(DescribeConfigs.route(&ConfigResource::Broker(Some(2))), Route::Broker(2));
        assert_eq!(DescribeConfigs.route(&ConfigResource::Broker(None)), Route::Any);
        let alter = AlterConfigs { changes: BTreeMap::new(), change: Change::Apply };
        assert_eq!(alter.route(&ConfigResource::Topic("t".to_owned())), Route::Controller);
    }
}
