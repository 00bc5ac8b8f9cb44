//! Settings: DescribeConfigs and IncrementalAlterConfigs of every kind of resource, with what no resource has.

use std::rc::Rc;

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{
    AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest, alter_configs_request,
};
use trilog_client::wire::Connection;
use trilog_tests::requests::{only, text};

use crate::stage::{Stage, asked};
use crate::told;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
/// Kafka's number for consumer groups.
pub(crate) const GROUP: i8 = 32;

/// Kafka's numbers for operations on a setting.
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

fn kind_name(kind: i8) -> String {
    match kind {
        TOPIC => "topic".to_owned(),
        BROKER => "broker".to_owned(),
        BROKER_LOGGER => "logger of broker".to_owned(),
        CLIENT_METRICS => "client metrics".to_owned(),
        GROUP => "group".to_owned(),
        other => format!("kind {other}"),
    }
}

fn change(setting: &str, operation: i8, value: Option<&str>) -> AlterableConfig {
    AlterableConfig::default()
        .with_name(text(setting))
        .with_config_operation(operation)
        .with_value(value.map(text))
}

fn resource(kind: i8, name: &str, configs: Vec<AlterableConfig>) -> AlterConfigsResource {
    AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(configs)
}

async fn altered(connection: &Connection, resources: Vec<AlterConfigsResource>) -> String {
    let answer = asked(connection, IncrementalAlterConfigsRequest::default().with_resources(resources)).await;
    let rows = answer.responses.iter().map(|row| {
        let outcome = told::explained(row.error_code, row.error_message.as_ref());
        format!("{} {:?} {outcome}", kind_name(row.resource_type), shortened(&row.resource_name))
    });
    told::sorted(rows)
}

fn shortened(name: &str) -> String {
    if name.len() > 60 { format!("{} bytes", name.len()) } else { name.to_owned() }
}

/// Sets a setting, with no value deletes it, and returns the outcome.
pub(crate) async fn set(
    connection: &Connection,
    kind: i8,
    name: &str,
    setting: &str,
    value: Option<&str>,
) -> String {
    let operation = if value.is_some() { SET } else { DELETE };
    altered(connection, vec![resource(kind, name, vec![change(setting, operation, value)])]).await
}

/// What DescribeConfigs tells of a setting.
pub(crate) async fn value_of(connection: &Connection, kind: i8, name: &str, setting: &str) -> Option<String> {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(Some(vec![text(setting)]));
    let answer = asked(connection, DescribeConfigsRequest::default().with_resources(vec![resource])).await;
    Some(only(answer.results).configs.into_iter().next()?.value?.to_string())
}

pub(crate) async fn bad(stage: Rc<Stage>) {
    let topic = stage.named("topic");
    stage.new_partition(&topic, &[]).await;
    let connection = stage.connect(1).await;
    values(&stage, &connection, &topic).await;
    operations(&stage, &connection, &topic).await;
    repeated(&stage, &connection, &topic).await;
    describe(&stage, &connection, &topic).await;
    replaced(&stage, &connection, &topic).await;
}

/// A kind of resource, its name, a setting, and the value it gets; without one, it is deleted.
type Change<'a> = (i8, &'a str, &'a str, Option<&'a str>);

fn changes_of_topics<'a>(topic: &'a str, none: &'a str, long: &'a str) -> Vec<Change<'a>> {
    vec![
        (TOPIC, topic, "retention.ms", Some("-2")),
        (TOPIC, topic, "retention.ms", Some("0")),
        (TOPIC, topic, "retention.ms", Some("-1")),
        (TOPIC, topic, "retention.ms", Some("")),
        (TOPIC, topic, "retention.ms", Some(" 5000 ")),
        (TOPIC, topic, "retention.ms", Some("9223372036854775808")),
        (TOPIC, topic, "retention.ms", Some("1e3")),
        (TOPIC, topic, "retention.ms", None),
        (TOPIC, topic, "retention.bytes", Some("-2")),
        (TOPIC, topic, "cleanup.policy", Some("shred")),
        (TOPIC, topic, "cleanup.policy", Some("compact,compact")),
        (TOPIC, topic, "cleanup.policy", Some("")),
        (TOPIC, topic, "compression.type", Some("brotli")),
        (TOPIC, topic, "max.message.bytes", Some("-1")),
        (TOPIC, topic, "max.message.bytes", Some("0")),
        (TOPIC, topic, "min.insync.replicas", Some("0")),
        (TOPIC, topic, "min.insync.replicas", Some("4")),
        (TOPIC, topic, "min.insync.replicas", None),
        (TOPIC, topic, "message.timestamp.type", Some("createtime")),
        (TOPIC, topic, "unclean.leader.election.enable", Some("yes")),
        (TOPIC, topic, "segment.bytes", Some("10")),
        (TOPIC, topic, "message.timestamp.before.max.ms", Some("-1")),
        (TOPIC, topic, "no.such.setting", Some("1")),
        (TOPIC, topic, "no.such.setting", None),
        (TOPIC, topic, "", Some("1")),
        (TOPIC, topic, "message.format.version", Some("3.0")),
        (TOPIC, none, "retention.ms", Some("1000")),
        (TOPIC, "", "retention.ms", Some("1000")),
        (TOPIC, "a/b", "retention.ms", Some("1000")),
        (TOPIC, long, "retention.ms", Some("1000")),
        (TOPIC, "__consumer_offsets", "retention.ms", Some("-5")),
    ]
}

/// Changes of resources that are no topics.
const OTHER_CHANGES: [Change<'static>; 47] = [
    (BROKER, "1", "num.partitions", Some("3")),
    (BROKER, "1", "log.retention.ms", Some("0")),
    (BROKER, "1", "log.retention.ms", Some("-2")),
    (BROKER, "", "log.retention.ms", Some("0")),
    (BROKER, "", "log.retention.minutes", Some("0")),
    (BROKER, "", "log.retention.hours", Some("0")),
    (BROKER, "", "node.id", Some("3")),
    (BROKER, "", "message.max.bytes", Some("many")),
    (BROKER, "", "message.max.bytes", Some("-1")),
    (BROKER, "1", "message.max.bytes", Some("-1")),
    (BROKER, "", "max.connections", Some("-1")),
    (BROKER, "1", "max.connections", Some("x")),
    (BROKER, "", "no.such.setting", Some("3")),
    (BROKER, "1", "no.such.setting", Some("3")),
    (BROKER, "1", "", Some("3")),
    (BROKER, "2", "message.max.bytes", Some("1000000")),
    (BROKER, "9", "message.max.bytes", Some("1000000")),
    (BROKER, "-1", "message.max.bytes", Some("1000000")),
    (BROKER, "one", "message.max.bytes", Some("1000000")),
    (BROKER, "01", "message.max.bytes", Some("1000000")),
    (GROUP, "g", "consumer.session.timeout.ms", Some("1")),
    (GROUP, "g", "consumer.session.timeout.ms", Some("-1")),
    (GROUP, "g", "consumer.heartbeat.interval.ms", Some("1")),
    (GROUP, "g", "session.timeout.ms", Some("50000")),
    (GROUP, "g", "consumer.session.timeout.ms", Some("long")),
    (GROUP, "g", "consumer.session.timeout.ms", None),
    (GROUP, "", "consumer.session.timeout.ms", Some("50000")),
    (BROKER_LOGGER, "1", "no.such.logger", Some("INFO")),
    (BROKER_LOGGER, "1", "no.such.logger", None),
    (BROKER_LOGGER, "1", "root", Some("LOUD")),
    (BROKER_LOGGER, "1", "root", Some("")),
    (BROKER_LOGGER, "1", "root", Some("info")),
    (BROKER_LOGGER, "1", "root", None),
    (BROKER_LOGGER, "1", "", Some("INFO")),
    (BROKER_LOGGER, "2", "root", Some("INFO")),
    (BROKER_LOGGER, "", "root", Some("INFO")),
    (BROKER_LOGGER, "x", "root", Some("INFO")),
    (CLIENT_METRICS, "m", "interval.ms", Some("1000")),
    (CLIENT_METRICS, "m", "interval.ms", Some("1")),
    (CLIENT_METRICS, "m", "no.such.setting", Some("1")),
    (CLIENT_METRICS, "", "interval.ms", Some("1000")),
    (0, "", "a", Some("b")),
    (1, "x", "a", Some("b")),
    (3, "x", "a", Some("b")),
    (7, "x", "a", Some("b")),
    (64, "x", "a", Some("b")),
    (-1, "x", "a", Some("b")),
];

/// One setting at a time.
async fn values(stage: &Stage, connection: &Connection, topic: &str) {
    let long = "x".repeat(300);
    let none = stage.named("none");
    let cases = changes_of_topics(topic, &none, &long).into_iter().chain(OTHER_CHANGES);
    for (kind, name, setting, value) in cases {
        let outcome = set(connection, kind, name, setting, value).await;
        let what = value.map_or_else(|| format!("{setting} deleted"), |value| format!("{setting}={value}"));
        stage.note(format!("{} {:?}: {what}", kind_name(kind), shortened(name)), outcome);
    }
    set(connection, CLIENT_METRICS, "m", "interval.ms", None).await;
    for name in ["", "1", "01"] {
        for setting in ["max.connections", "message.max.bytes", "log.retention.ms", "no.such.setting", ""] {
            set(connection, BROKER, name, setting, None).await;
        }
    }
    set(connection, BROKER_LOGGER, "1", "root", Some("INFO")).await;
}

/// Operations on settings that are none, or that a setting does not know.
async fn operations(stage: &Stage, connection: &Connection, topic: &str) {
    let cases: Vec<(&str, i8, &str, Vec<AlterableConfig>)> = vec![
        ("no change", TOPIC, topic, vec![]),
        ("null set", TOPIC, topic, vec![change("retention.ms", SET, None)]),
        ("operation 4", TOPIC, topic, vec![change("retention.ms", 4, Some("1"))]),
        ("operation -1", TOPIC, topic, vec![change("retention.ms", -1, Some("1"))]),
        ("append to a number", TOPIC, topic, vec![change("retention.ms", APPEND, Some("1"))]),
        ("append to a list", TOPIC, topic, vec![change("cleanup.policy", APPEND, Some("compact"))]),
        ("append again", TOPIC, topic, vec![change("cleanup.policy", APPEND, Some("compact"))]),
        ("append null", TOPIC, topic, vec![change("cleanup.policy", APPEND, None)]),
        ("append what is none", TOPIC, topic, vec![change("cleanup.policy", APPEND, Some("shred"))]),
        ("subtract what is not there", TOPIC, topic, vec![change("cleanup.policy", SUBTRACT, Some("shred"))]),
        ("subtract", TOPIC, topic, vec![change("cleanup.policy", SUBTRACT, Some("compact"))]),
        ("subtract the last", TOPIC, topic, vec![change("cleanup.policy", SUBTRACT, Some("delete"))]),
        (
            "a setting twice",
            TOPIC,
            topic,
            vec![change("retention.ms", SET, Some("1000")), change("retention.ms", SET, Some("2000"))],
        ),
        (
            "one good, one bad",
            TOPIC,
            topic,
            vec![change("retention.ms", SET, Some("1000")), change("retention.bytes", SET, Some("-7"))],
        ),
        ("append to loggers", BROKER_LOGGER, "1", vec![change("root", APPEND, Some("INFO"))]),
        ("subtract from loggers", BROKER_LOGGER, "1", vec![change("root", SUBTRACT, Some("INFO"))]),
        ("null as a level", BROKER_LOGGER, "1", vec![change("root", SET, None)]),
        ("no logger", BROKER_LOGGER, "1", vec![]),
        ("no setting of a broker", BROKER, "1", vec![]),
        ("null for a broker", BROKER, "1", vec![change("message.max.bytes", SET, None)]),
        ("no setting of a group", GROUP, "g", vec![]),
    ];
    for (what, kind, name, configs) in cases {
        stage.note(what, altered(connection, vec![resource(kind, name, configs)]).await);
    }
    stage.note("the policy", value_of(connection, TOPIC, topic, "cleanup.policy").await.unwrap_or_default());
    set(connection, TOPIC, topic, "cleanup.policy", None).await;
    set(connection, TOPIC, topic, "retention.ms", None).await;
}

/// One resource twice, very many of them, and none.
async fn repeated(stage: &Stage, connection: &Connection, topic: &str) {
    let good =
        |kind, name: &str, setting, value| resource(kind, name, vec![change(setting, SET, Some(value))]);
    stage.note("no resource", altered(connection, Vec::new()).await);
    let twice = vec![good(TOPIC, topic, "retention.ms", "1000"); 2];
    stage.note("a topic twice", altered(connection, twice).await);
    let twice = vec![good(BROKER, "1", "message.max.bytes", "1000000"); 2];
    stage.note("a broker twice", altered(connection, twice).await);
    let twice = vec![good(GROUP, "twice", "consumer.session.timeout.ms", "50000"); 2];
    stage.note("a group twice", altered(connection, twice).await);
    let twice = vec![good(BROKER_LOGGER, "1", "root", "INFO"); 2];
    stage.note("loggers twice", altered(connection, twice).await);
    let mixed = vec![
        good(TOPIC, topic, "retention.ms", "1000"),
        good(TOPIC, &stage.named("none"), "retention.ms", "1000"),
        good(GROUP, "mixed", "consumer.session.timeout.ms", "1"),
        good(BROKER_LOGGER, "1", "root", "INFO"),
    ];
    stage.note("good ones and bad ones", altered(connection, mixed).await);
    let many: Vec<_> = (0..2_000).map(|n| good(TOPIC, &format!("many-{n}"), "retention.ms", "1")).collect();
    let answer = asked(connection, IncrementalAlterConfigsRequest::default().with_resources(many)).await;
    let mut codes: Vec<_> = answer.responses.iter().map(|row| told::code(row.error_code)).collect();
    codes.dedup();
    stage.note(
        "2,000 topics that do not exist",
        format!("{} of {}", told::list(codes), answer.responses.len()),
    );
    for (kind, name, setting) in [
        (TOPIC, topic, "retention.ms"),
        (BROKER, "1", "message.max.bytes"),
        (GROUP, "twice", "consumer.session.timeout.ms"),
    ] {
        set(connection, kind, name, setting, None).await;
    }
    let only_checked = |configs| {
        let request = IncrementalAlterConfigsRequest::default().with_validate_only(true);
        request.with_resources(vec![configs])
    };
    for (what, request) in [
        ("a good one", only_checked(good(TOPIC, topic, "retention.ms", "7777"))),
        ("a bad one", only_checked(good(TOPIC, topic, "retention.ms", "-7777"))),
        ("a good level", only_checked(good(BROKER_LOGGER, "1", "root", "ERROR"))),
    ] {
        let row = only(asked(connection, request).await.responses);
        stage.note(format!("only checked: {what}"), told::code(row.error_code));
    }
    let root = value_of(connection, BROKER_LOGGER, "1", "root").await;
    stage.note("the level is as before", root.unwrap_or_default());
}

/// DescribeConfigs of resources that are none, and of names that are none.
async fn describe(stage: &Stage, connection: &Connection, topic: &str) {
    let none = stage.named("none");
    let asked_for = |kind, name: &str, keys: Option<&[&str]>| {
        DescribeConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
            .with_configuration_keys(keys.map(|keys| keys.iter().map(|key| text(key)).collect()))
    };
    let two = ["retention.ms", "no.such.setting", "retention.ms", ""];
    let cases: Vec<(&str, Vec<DescribeConfigsResource>)> = vec![
        ("no topic", vec![asked_for(TOPIC, &none, Some(&two))]),
        ("a topic without a name", vec![asked_for(TOPIC, "", Some(&two))]),
        ("a topic that can have no such name", vec![asked_for(TOPIC, "a/b", Some(&two))]),
        ("names that are none", vec![asked_for(TOPIC, topic, Some(&two))]),
        ("a topic twice", vec![asked_for(TOPIC, topic, Some(&two)), asked_for(TOPIC, topic, Some(&[]))]),
        ("another broker", vec![asked_for(BROKER, "2", Some(&two))]),
        ("no broker", vec![asked_for(BROKER, "9", Some(&two))]),
        ("a broker without a number", vec![asked_for(BROKER, "one", Some(&two))]),
        ("all brokers", vec![asked_for(BROKER, "", Some(&two))]),
        ("loggers of another broker", vec![asked_for(BROKER_LOGGER, "2", Some(&["root"]))]),
        ("loggers of no broker", vec![asked_for(BROKER_LOGGER, "", Some(&["root"]))]),
        ("loggers of a broker without a number", vec![asked_for(BROKER_LOGGER, "x", Some(&["root"]))]),
        ("a logger that is none", vec![asked_for(BROKER_LOGGER, "1", Some(&["no.such.logger", "root"]))]),
        ("a group without a name", vec![asked_for(GROUP, "", Some(&two))]),
        ("a group that is none", vec![asked_for(GROUP, &none, Some(&["consumer.session.timeout.ms"]))]),
        ("client metrics", vec![asked_for(CLIENT_METRICS, "none", None)]),
        ("client metrics without a name", vec![asked_for(CLIENT_METRICS, "", None)]),
        ("kind 0", vec![asked_for(0, "x", None)]),
        ("kind 7", vec![asked_for(7, "x", None)]),
        ("kind -1", vec![asked_for(-1, "x", None)]),
        ("nothing", vec![]),
    ];
    for (what, resources) in cases {
        let answer = asked(connection, DescribeConfigsRequest::default().with_resources(resources)).await;
        let rows = answer.results.iter().map(|row| {
            let names = row.configs.iter().map(|config| config.name.as_str());
            let names = if row.configs.len() > 5 { "many".to_owned() } else { told::list(names) };
            let outcome = told::explained(row.error_code, row.error_message.as_ref());
            format!("{} {:?} {outcome} [{names}]", kind_name(row.resource_type), &*row.resource_name)
        });
        stage.note(format!("described: {what}"), told::sorted(rows));
    }
}

/// Settings and their values.
type Settings<'a> = Vec<(&'a str, Option<&'a str>)>;

/// AlterConfigs, which replaces all that a resource has.
async fn replaced(stage: &Stage, connection: &Connection, topic: &str) {
    let none = stage.named("none");
    let cases: Vec<(i8, &str, Settings<'_>)> = vec![
        (TOPIC, topic, vec![("retention.ms", Some("5000"))]),
        (TOPIC, topic, vec![("retention.ms", None)]),
        (TOPIC, topic, vec![("retention.ms", Some("5000")), ("no.such.setting", Some("1"))]),
        (TOPIC, topic, vec![]),
        (TOPIC, &none, vec![("retention.ms", Some("5000"))]),
        (TOPIC, "", vec![]),
        (BROKER, "9", vec![]),
        (BROKER, "1", vec![("num.partitions", Some("1"))]),
        (BROKER_LOGGER, "1", vec![("root", Some("INFO"))]),
        (GROUP, "g", vec![("consumer.session.timeout.ms", Some("1"))]),
        (GROUP, "", vec![]),
        (CLIENT_METRICS, "m", vec![]),
        (7, "x", vec![]),
    ];
    for (kind, name, configs) in cases {
        let settings =
            told::list(configs.iter().map(|(name, value)| format!("{name}={}", value.unwrap_or("null"))));
        let configs = configs.into_iter().map(|(name, value)| {
            alter_configs_request::AlterableConfig::default()
                .with_name(text(name))
                .with_value(value.map(text))
        });
        let resource = alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
            .with_configs(configs.collect());
        let answer = asked(connection, AlterConfigsRequest::default().with_resources(vec![resource])).await;
        let row = only(answer.responses);
        stage.note(
            format!("replaced: {} {name:?} by [{settings}]", kind_name(kind)),
            told::explained(row.error_code, row.error_message.as_ref()),
        );
    }
}
