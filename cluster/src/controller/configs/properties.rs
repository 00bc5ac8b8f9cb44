//! Whatever settings anybody asks for, they are taken or refused.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::{
    BrokerLayers, BrokerSettings, Configs, Synonyms, TopicSettings, check_dynamic_configs,
    check_group_configs, check_topic_configs, effective_group_configs, effective_topic_configs,
};

/// Names of each kind of value, of topics, nodes and groups, and some that are none.
const NAMES: [&str; 14] = [
    "retention.ms",
    "cleanup.policy",
    "compression.type",
    "max.message.bytes",
    "message.max.bytes",
    "min.insync.replicas",
    "min.cleanable.dirty.ratio",
    "leader.replication.throttled.replicas",
    "max.connections.per.ip.overrides",
    "producer.id.expiration.ms",
    "consumer.session.timeout.ms",
    "consumer.heartbeat.interval.ms",
    "no.such.setting",
    "",
];

fn configs() -> impl Strategy<Value = Configs> {
    let name = prop::sample::select(&NAMES[..]).prop_map(str::to_owned);
    let value = prop_oneof!["[-+]?[0-9]{0,25}", "[a-z0-9:,.* \\[\\]-]{0,30}", ".{0,30}"];
    btree_map(name, value, 0..5)
}

proptest! {
    #[test]
    fn no_value_makes_a_check_panic(of_cluster in configs(), of_topic in configs(), of_group in configs()) {
        let (started, nothing) = (BrokerSettings::default(), Configs::new());
        let is_taken = check_dynamic_configs(&started, &of_cluster).is_ok();
        let layers = BrokerLayers::common(&started, if is_taken { &of_cluster } else { &nothing });
        if check_topic_configs(layers, &of_topic).is_ok() {
            let _ = TopicSettings::effective(layers, &of_topic);
            let _ = effective_topic_configs(layers, &of_topic, Synonyms::Told);
        }
        if check_group_configs(&started, &of_group).is_ok() {
            let _ = effective_group_configs(&started, &of_group);
        }
    }

    #[test]
    fn no_flags_make_a_start_panic(pairs in vec((prop::sample::select(&NAMES[..]), ".{0,30}"), 0..5)) {
        let _ = BrokerSettings::from_pairs(pairs);
    }
}
