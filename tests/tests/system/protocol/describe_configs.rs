//! What is told of settings, held name by name against what Kafka tells of its own.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::DescribeConfigsRequest;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use trilog_client::wire::Connection;
use trilog_tests::admin::NewTopic;
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::requests::{only, text};

/// Kafka's answer, recorded.
const KAFKA: &str = include_str!("describe_configs/kafka.txt");

/// Where Trilog's answer is another one, and why.
const DIFFERENCES: &str = include_str!("describe_configs/differences.txt");

/// Kafka's numbers for kinds of resources, and the resources that are asked about.
const RESOURCES: [(&str, i8, &str); 3] = [("TOPIC", 2, "t"), ("BROKER", 4, "1"), ("GROUP", 32, "g")];

/// Settings by kind and name, each as a line of the record has it.
type Told = BTreeMap<(String, String), String>;

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty())
}

fn kafkas() -> Told {
    let setting = |line: &str| {
        let mut parts = line.splitn(3, '|').map(str::to_owned);
        let mut next = || parts.next().expect("a line has a kind, a name and the rest");
        ((next(), next()), next())
    };
    lines(KAFKA).map(setting).collect()
}

fn source(code: i8) -> &'static str {
    match code {
        1 => "DYNAMIC_TOPIC_CONFIG",
        2 => "DYNAMIC_BROKER_CONFIG",
        3 => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        4 => "STATIC_BROKER_CONFIG",
        5 => "DEFAULT_CONFIG",
        8 => "DYNAMIC_GROUP_CONFIG",
        other => panic!("no source has the number {other}"),
    }
}

fn kind(code: i8) -> &'static str {
    let kinds =
        ["UNKNOWN", "BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS", "PASSWORD"];
    kinds[usize::try_from(code).expect("a type has a number")]
}

fn as_recorded(config: &DescribeConfigsResourceResult) -> String {
    let value = |value: &Option<_>| match value {
        Some(value) => String::from(std::ops::Deref::deref(value)),
        None => "null".to_owned(),
    };
    let synonyms: Vec<_> = config
        .synonyms
        .iter()
        .map(|synonym| format!("{}={}@{}", &*synonym.name, value(&synonym.value), source(synonym.source)))
        .collect();
    let access = if config.read_only { "ro" } else { "rw" };
    let (source, kind) = (source(config.config_source), kind(config.config_type));
    format!("{}|{source}|{kind}|{access}|{}", value(&config.value), synonyms.join(" "))
}

async fn told(connection: &Connection, number: i8, name: &str) -> Vec<DescribeConfigsResourceResult> {
    let resource =
        DescribeConfigsResource::default().with_resource_type(number).with_resource_name(text(name));
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource.with_configuration_keys(None)])
        .with_include_synonyms(true);
    let result = only(connection.request(request).await.expect("DescribeConfigs is answered").results);
    assert_eq!(result.error_code, 0, "{name}: {:?}", result.error_message);
    result.configs
}

/// `KIND name reason` or `KIND prefix* reason`.
struct Difference {
    kind: &'static str,
    name: &'static str,
}

impl Difference {
    fn all() -> Vec<Self> {
        let difference = |line: &'static str| {
            let mut words = line.splitn(3, ' ');
            let mut next = || words.next().expect("a difference has a kind, a name and a reason");
            let (kind, name, reason) = (next(), next(), next());
            assert!(reason.len() > 10, "{line}: why?");
            Self { kind, name }
        };
        lines(DIFFERENCES).map(difference).collect()
    }

    fn covers(&self, kind: &str, name: &str) -> bool {
        let is_name =
            self.name.strip_suffix('*').map_or(self.name == name, |prefix| name.starts_with(prefix));
        self.kind == kind && is_name
    }
}

#[tokio::test]
async fn settings_are_told_as_kafka_tells_them() {
    let settings = [("group.initial.rebalance.delay.ms", "0"), ("offsets.topic.replication.factor", "1")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let cluster = Cluster::start(ClusterOptions { settings, ..ClusterOptions::nodes(1) }).await;
    cluster.create(NewTopic::new("t").partitions(1)).await;
    let connection = cluster.connect(1).await;
    let mut trilogs = Told::new();
    for (kind, number, name) in RESOURCES {
        for config in told(&connection, number, name).await {
            trilogs.insert((kind.to_owned(), config.name.to_string()), as_recorded(&config));
        }
    }
    let (kafkas, differences) = (kafkas(), Difference::all());
    let mut met = BTreeSet::new();
    let mut unexplained = Vec::new();
    for key in kafkas.keys().chain(trilogs.keys()).collect::<BTreeSet<_>>() {
        let (kafkas, trilogs) = (kafkas.get(key), trilogs.get(key));
        if kafkas == trilogs {
            continue;
        }
        match differences.iter().position(|known| known.covers(&key.0, &key.1)) {
            Some(at) => drop(met.insert(at)),
            None => {
                unexplained.push(format!("{} {}\n  Kafka  {kafkas:?}\n  Trilog {trilogs:?}", key.0, key.1))
            }
        }
    }
    assert!(unexplained.is_empty(), "without a reason:\n{}", unexplained.join("\n"));
    let gone: Vec<_> = (0..differences.len()).filter(|at| !met.contains(at)).collect();
    let gone: Vec<_> =
        gone.into_iter().map(|at| format!("{} {}", differences[at].kind, differences[at].name)).collect();
    assert!(gone.is_empty(), "differences that are no more: {gone:?}");
}
