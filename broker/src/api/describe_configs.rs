//! DescribeConfigs (32), versions 1-4: the settings in force of topics, nodes and consumer groups, and where each comes
//! from; and the levels of a node's loggers.
//!
//! A node's own settings depend on its flags, so only that node describes them, and clients ask it. The empty name means the
//! settings of all nodes that were changed while the cluster runs. A group has settings whether it exists or not. Trilog collects no
//! metrics of clients.
//!
//! A request may name as many resources as it likes, but only the first 2,048 are described, and the others refused with
//! POLICY_VIOLATION: a few megabytes of request would be gigabytes of answer.
//!
//! * v1: synonyms, and where a value comes from (KIP-226). v2: throttling is the client's to wait out.
//! * v3: the setting's type and documentation (KIP-569). v4: flexible.

use std::collections::BTreeSet;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use kafka_protocol::protocol::StrBytes;
use trilog_cluster::controller::configs::{
    ConfigSynonym, EffectiveConfig, Synonyms, effective_group_configs, effective_topic_configs,
};
use trilog_cluster::controller::topic_name;

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::config_alteration::{check_own_id, no_client_metrics};
use super::config_description::{
    BROKER, BROKER_LOGGER, CLIENT_METRICS, DYNAMIC_BROKER_LOGGER, GROUP, TOPIC, source_code, type_code,
};
use super::distinct::keep_first;
use super::item_error::{ItemError, parts};
use super::node_configs;
use crate::connection::Reply;
use crate::logging::LogLevels;

/// See the module.
pub(super) struct DescribeConfigs;

/// From this version on types and documentation are told.
const TYPES_FROM: i16 = 3;

/// What a resource with all of its settings and their documentation takes in an answer that is built and encoded, in bytes.
const RESOURCE_BYTES: usize = 24 << 10;

/// Resources of one request that are described, so that the largest answer takes 48 MiB. Tools ask for fewer at a time.
pub(crate) const MOST_DESCRIBED: usize = 2_048;

impl Handler for DescribeConfigs {
    type Request = DescribeConfigsRequest;
    const SERVED: Versions = Versions::new(1, 4);

    fn answer_bytes(_: &Broker, request: &Self::Request, _: i16) -> usize {
        let most = request.resources.len().min(MOST_DESCRIBED);
        most * RESOURCE_BYTES
    }

    fn handle(broker: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { mut request, context } = call;
        keep_first(&mut request.resources, |resource| {
            (resource.resource_type, resource.resource_name.clone())
        });
        let form = Form {
            synonyms: request.include_synonyms,
            types: context.version >= TYPES_FROM,
            documentation: context.version >= TYPES_FROM && request.include_documentation,
        };
        let results = request.resources.into_iter().enumerate().map(|(place, resource)| {
            let configs =
                if place < MOST_DESCRIBED { configs_of(broker, &resource, form) } else { Err(too_many()) };
            result(resource, configs, form)
        });
        context.now(&DescribeConfigsResponse::default().with_results(results.collect()))
    }
}

fn too_many() -> ItemError {
    let message =
        format_args!("Only {MOST_DESCRIBED} resources of a request are described: ask for fewer at once.");
    ItemError::new(ResponseError::PolicyViolation, message)
}

/// What to tell of each setting.
#[derive(Clone, Copy)]
struct Form {
    synonyms: bool,
    types: bool,
    documentation: bool,
}

/// One setting in an answer.
struct Described {
    name: StrBytes,
    value: Option<StrBytes>,
    source: i8,
    synonyms: Vec<DescribeConfigsSynonym>,
    kind: i8,
    is_read_only: bool,
    doc: &'static str,
}

fn configs_of(
    broker: &Broker,
    resource: &DescribeConfigsResource,
    form: Form,
) -> Result<Vec<Described>, ItemError> {
    let (image, name) = (broker.image(), resource.resource_name.as_str());
    let described = |configs: Vec<EffectiveConfig>| Ok(configs.into_iter().map(Described::from).collect());
    match resource.resource_type {
        TOPIC => match image.topic(name) {
            Some(topic) => {
                let layers = image.broker_layers(broker.node.id(), broker.settings());
                let synonyms = if form.synonyms { Synonyms::Told } else { Synonyms::LeftOut };
                described(effective_topic_configs(layers, &topic.configs, synonyms))
            }
            None => Err(match topic_name::check(name) {
                Ok(()) => ItemError::bare(ResponseError::UnknownTopicOrPartition),
                Err(why) => ItemError::new(ResponseError::InvalidTopicException, why),
            }),
        },
        BROKER if name.is_empty() => described(node_configs::of_all_nodes(broker, &image)),
        BROKER => {
            check_own_id(broker, name)?;
            described(node_configs::all(broker, &image))
        }
        GROUP if name.is_empty() => Err(invalid("Group name must not be empty")),
        GROUP => described(effective_group_configs(broker.settings(), image.group_configs(name))),
        BROKER_LOGGER => {
            check_own_id(broker, name)?;
            let filter = broker.started.log.current();
            let filter = filter.map_err(|error| ItemError::new(ResponseError::UnknownServerError, error))?;
            Ok(LogLevels::of(&filter).all().into_iter().map(logger).collect())
        }
        CLIENT_METRICS => Err(no_client_metrics(name)),
        other => Err(invalid(format!("Unsupported resource type: {other}"))),
    }
}

fn invalid(why: impl std::fmt::Display) -> ItemError {
    ItemError::new(ResponseError::InvalidRequest, why)
}

impl From<EffectiveConfig> for Described {
    fn from(config: EffectiveConfig) -> Self {
        let synonym = |synonym: ConfigSynonym| {
            DescribeConfigsSynonym::default()
                .with_name(StrBytes::from_static_str(synonym.name))
                .with_value(Some(StrBytes::from_string(synonym.value)))
                .with_source(source_code(synonym.source))
        };
        Self {
            name: StrBytes::from_static_str(config.name),
            value: config.value.map(StrBytes::from_string),
            source: source_code(config.source),
            synonyms: config.synonyms.into_iter().map(synonym).collect(),
            kind: type_code(config.domain),
            is_read_only: config.is_read_only,
            doc: config.doc,
        }
    }
}

/// A logger and its level. As in Kafka nothing is told of where it comes from, and of its type.
fn logger((name, level): (String, &'static str)) -> Described {
    Described {
        name: StrBytes::from_string(name),
        value: Some(StrBytes::from_static_str(level)),
        source: DYNAMIC_BROKER_LOGGER,
        synonyms: Vec::new(),
        kind: 0,
        is_read_only: false,
        doc: "The level of what is logged by this part of the node.",
    }
}

fn result(
    resource: DescribeConfigsResource,
    outcome: Result<Vec<Described>, ItemError>,
    form: Form,
) -> DescribeConfigsResult {
    let (error_code, error_message) = parts(&outcome);
    let DescribeConfigsResource { resource_type, resource_name, configuration_keys, .. } = resource;
    // No names at all ask for all of them, as in Kafka.
    let keys = configuration_keys.unwrap_or_default();
    let keys: BTreeSet<&str> = keys.iter().map(|key| &**key).collect();
    let wanted = |config: &Described| keys.is_empty() || keys.contains(config.name.as_str());
    let configs = outcome.unwrap_or_default().into_iter().filter(wanted);
    DescribeConfigsResult::default()
        .with_error_code(error_code)
        .with_error_message(error_message)
        .with_resource_type(resource_type)
        .with_resource_name(resource_name)
        .with_configs(configs.map(|config| describe(config, form)).collect())
}

fn describe(config: Described, form: Form) -> DescribeConfigsResourceResult {
    let documentation = form.documentation.then(|| StrBytes::from_static_str(config.doc));
    DescribeConfigsResourceResult::default()
        .with_name(config.name)
        .with_value(config.value)
        .with_read_only(config.is_read_only)
        .with_config_source(config.source)
        .with_synonyms(if form.synonyms { config.synonyms } else { Vec::new() })
        .with_config_type(if form.types { config.kind } else { 0 })
        .with_documentation(documentation)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;
    use trilog_cluster::controller::configs::{BrokerLayers, BrokerSettings, Configs};

    use super::*;

    fn resource(keys: Option<&[&'static str]>) -> DescribeConfigsResource {
        DescribeConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(StrBytes::from_static_str("t"))
            .with_configuration_keys(
                keys.map(|keys| keys.iter().map(|key| StrBytes::from_static_str(key)).collect()),
            )
    }

    fn described() -> Vec<Described> {
        let topic = Configs::from([("retention.ms".to_owned(), "5".to_owned())]);
        let (started, cluster) = (BrokerSettings::default(), Configs::new());
        let configs =
            effective_topic_configs(BrokerLayers::common(&started, &cluster), &topic, Synonyms::Told);
        configs.into_iter().map(Described::from).collect()
    }

    #[test]
    fn only_what_is_asked_for_is_told() {
        let plain = Form { synonyms: false, types: true, documentation: false };
        let all = result(resource(None), Ok(described()), plain);
        assert!(all.configs.len() > 20);
        let none_named = result(resource(Some(&[])), Ok(described()), plain);
        assert_eq!(none_named.configs.len(), all.configs.len());
        let one = result(resource(Some(&["retention.ms", "nope"])), Ok(described()), plain);
        assert_eq!(one.configs.len(), 1);
        let config = &one.configs[0];
        assert_eq!((config.value.as_deref(), config.config_source, config.config_type), (Some("5"), 1, 5));
        assert!(config.synonyms.is_empty() && config.documentation.is_none());
    }

    #[test]
    fn every_version_can_carry_it() {
        for version in DescribeConfigs::SERVED.min..=DescribeConfigs::SERVED.max {
            let types = version >= TYPES_FROM;
            let form = Form { synonyms: true, types, documentation: types };
            let results = vec![
                result(resource(None), Ok(described()), form),
                result(resource(None), Err(ItemError::new(ResponseError::InvalidRequest, "no")), form),
            ];
            DescribeConfigsResponse::default()
                .with_results(results)
                .encode(&mut BytesMut::new(), version)
                .unwrap();
        }
    }
}
