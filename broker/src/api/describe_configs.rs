//! DescribeConfigs (32), versions 1-4: the settings of topics and brokers in force, and where each comes
//! from.
//!
//! A topic's settings are the same whichever node is asked. A broker's own settings are those it was started
//! with, so only that broker is asked for them (clients do); the empty name stands for what was set for all
//! brokers.
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
    ConfigSource, EffectiveConfig, effective_broker_configs, effective_topic_configs,
};
use trilog_cluster::controller::topic_name;

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::config_description::{BROKER, TOPIC, source_code, type_code};
use super::distinct::keep_first;
use super::item_error::{ItemError, parts};
use crate::connection::Reply;

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
                if place < MOST_DESCRIBED { configs_of(broker, &resource) } else { Err(too_many()) };
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

/// Settings of one resource, and whether clients can change them.
struct Described {
    configs: Vec<EffectiveConfig>,
    read_only: bool,
}

fn configs_of(broker: &Broker, resource: &DescribeConfigsResource) -> Result<Described, ItemError> {
    let (image, settings, name) = (broker.image(), broker.settings(), resource.resource_name.as_str());
    match resource.resource_type {
        TOPIC => match image.topic(name) {
            Some(topic) => {
                let configs = effective_topic_configs(settings, image.cluster_configs(), &topic.configs);
                Ok(Described { configs, read_only: false })
            }
            None => Err(match topic_name::check(name) {
                Ok(()) => ItemError::bare(ResponseError::UnknownTopicOrPartition),
                Err(why) => ItemError::new(ResponseError::InvalidTopicException, why),
            }),
        },
        BROKER => {
            let mut configs = effective_broker_configs(settings, image.cluster_configs());
            match name {
                "" => configs.retain(|config| config.source == ConfigSource::DynamicDefaultBroker),
                id if id == broker.node.id().to_string() => {}
                _ => {
                    let own = broker.node.id();
                    let message =
                        format!("Unexpected broker id, expected {own} or empty string, but received {name}");
                    return Err(ItemError::new(ResponseError::InvalidRequest, message));
                }
            }
            Ok(Described { configs, read_only: true })
        }
        other => {
            let message = format!("Unsupported resource type: {other}");
            Err(ItemError::new(ResponseError::InvalidRequest, message))
        }
    }
}

fn result(
    resource: DescribeConfigsResource,
    outcome: Result<Described, ItemError>,
    form: Form,
) -> DescribeConfigsResult {
    let (error_code, error_message) = parts(&outcome);
    let DescribeConfigsResource { resource_type, resource_name, configuration_keys, .. } = resource;
    let keys: Option<BTreeSet<&str>> =
        configuration_keys.as_ref().map(|keys| keys.iter().map(|key| &**key).collect());
    let wanted = |config: &EffectiveConfig| keys.as_ref().is_none_or(|keys| keys.contains(config.name));
    let configs = outcome.map_or_else(
        |_| Vec::new(),
        |described| {
            let wanted = described.configs.into_iter().filter(wanted);
            wanted.map(|config| describe(config, described.read_only, form)).collect()
        },
    );
    DescribeConfigsResult::default()
        .with_error_code(error_code)
        .with_error_message(error_message)
        .with_resource_type(resource_type)
        .with_resource_name(resource_name)
        .with_configs(configs)
}

fn describe(config: EffectiveConfig, read_only: bool, form: Form) -> DescribeConfigsResourceResult {
    let (name, source) = (StrBytes::from_static_str(config.name), source_code(config.source));
    let value = config.value.map(StrBytes::from_string);
    // The layers that the value in force hides are not told.
    let synonym = DescribeConfigsSynonym::default()
        .with_name(name.clone())
        .with_value(value.clone())
        .with_source(source);
    DescribeConfigsResourceResult::default()
        .with_name(name)
        .with_value(value)
        .with_read_only(read_only)
        .with_config_source(source)
        .with_synonyms(if form.synonyms { vec![synonym] } else { Vec::new() })
        .with_config_type(if form.types { type_code(config.domain) } else { 0 })
        .with_documentation(form.documentation.then(|| StrBytes::from_static_str(config.doc)))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;
    use trilog_cluster::controller::configs::{BrokerSettings, Configs};

    use super::*;

    fn resource(keys: Option<&[&'static str]>) -> DescribeConfigsResource {
        DescribeConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(StrBytes::from_static_str("t"))
            .with_configuration_keys(
                keys.map(|keys| keys.iter().map(|key| StrBytes::from_static_str(key)).collect()),
            )
    }

    fn described() -> Described {
        let topic = Configs::from([("retention.ms".to_owned(), "5".to_owned())]);
        let configs = effective_topic_configs(&BrokerSettings::default(), &Configs::new(), &topic);
        Described { configs, read_only: false }
    }

    #[test]
    fn only_what_is_asked_for_is_told() {
        let plain = Form { synonyms: false, types: true, documentation: false };
        let all = result(resource(None), Ok(described()), plain);
        assert!(all.configs.len() > 20);
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
