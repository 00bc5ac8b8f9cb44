//! Every call of every client, as short as configurations allow.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::admin::{
    Acl, AclFilter, AclOperation, AclResource, Admin, AdminConfig, Change, ConfigChange, ConfigResource,
    ElectionKind, GroupFilter, Isolation, NewPartitions, NewTopic, OffsetSpec, QuotaEntity, QuotaFilter,
    ResetTo, ScramChange, ScramMechanism, TransactionFilter,
};
use crate::consumer::{CommitOffset, Consumer, ConsumerConfig, GroupMetadata, TopicPartition};
use crate::producer::{Producer, ProducerConfig, Record};

/// What all clients of the test are told: little patience, and little memory.
const COMMON: [(&str, &str); 5] = [
    ("request.timeout.ms", "400"),
    ("retry.backoff.ms", "20"),
    ("retry.backoff.max.ms", "40"),
    ("reconnect.backoff.ms", "20"),
    ("receive.message.max.bytes", "4000000"),
];

/// By SASL, which the broker sees first then.
const PLAIN: [(&str, &str); 4] = [
    ("security.protocol", "SASL_PLAINTEXT"),
    ("sasl.mechanism", "PLAIN"),
    ("sasl.username", "u"),
    ("sasl.password", "p"),
];
const SCRAM: [(&str, &str); 4] = [PLAIN[0], ("sasl.mechanism", "SCRAM-SHA-256"), PLAIN[2], PLAIN[3]];

/// A broker's address, and how it is spoken to: with most seeds without SASL, else the lies of the protocol would be rare.
#[derive(Clone)]
struct Place {
    address: String,
    security: &'static [(&'static str, &'static str)],
}

/// How long a consumer polls.
const POLLS: Duration = Duration::from_millis(1500);

fn names<'a>(place: &'a Place, own: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("bootstrap.servers", place.address.as_str())], &COMMON[..], place.security, own].concat()
}

/// Starts all calls, each on its own.
pub(super) fn start_all(address: &str, seed: u64, calls: &mut JoinSet<()>) {
    let security: &[_] = match seed % 8 {
        6 => &PLAIN,
        7 => &SCRAM,
        _ => &[],
    };
    let place = Place { address: address.to_owned(), security };
    for (codec, acks) in [("none", "all"), ("zstd", "all"), ("lz4", "1"), ("gzip", "0")] {
        calls.spawn(produce(place.clone(), codec, acks));
    }
    calls.spawn(transact(place.clone()));
    for protocol in ["classic", "consumer"] {
        for isolation in ["read_committed", "read_uncommitted"] {
            calls.spawn(consume(place.clone(), protocol, isolation));
        }
    }
    calls.spawn(assign(place.clone()));
    administrate(&place, calls);
}

async fn produce(place: Place, codec: &'static str, acks: &'static str) {
    let idempotent = if acks == "all" { "true" } else { "false" };
    let own = [
        ("delivery.timeout.ms", "900"),
        ("compression.type", codec),
        ("acks", acks),
        ("enable.idempotence", idempotent),
        ("max.block.ms", "500"),
    ];
    let config = ProducerConfig::from_names(names(&place, &own)).unwrap();
    let producer = Producer::new(config).unwrap();
    let mut deliveries = Vec::new();
    for number in 0..20 {
        let record = Record::to("t").key(format!("k{number}")).value("v".repeat(100)).header("h", "1");
        if let Ok(delivery) = producer.send(record).await {
            deliveries.push(delivery);
        }
    }
    let _ = producer.partitions("t", Duration::from_millis(300)).await;
    producer.flush().await;
    for delivery in deliveries {
        let _ = delivery.await;
    }
    producer.close().await;
}

async fn transact(place: Place) {
    let own = [("transactional.id", "x"), ("delivery.timeout.ms", "900"), ("max.block.ms", "600")];
    let producer = Producer::new(ProducerConfig::from_names(names(&place, &own)).unwrap()).unwrap();
    let _ = producer.init_transactions().await;
    for number in 0..4 {
        let Ok(mut transaction) = producer.begin_transaction().await else { continue };
        for _ in 0..5 {
            drop(transaction.send(Record::to("t").value("v")).await);
        }
        let offsets = [(TopicPartition::new("t", 0), CommitOffset::at(number))].into();
        let _ = transaction.send_offsets(offsets, &GroupMetadata::of_group("g")).await;
        let _ = if number == 1 { transaction.abort().await } else { transaction.commit().await };
    }
    producer.close().await;
}

async fn consume(place: Place, protocol: &'static str, isolation: &'static str) {
    let own = [
        ("group.id", "g"),
        ("group.protocol", protocol),
        ("isolation.level", isolation),
        ("auto.offset.reset", "earliest"),
        ("session.timeout.ms", "600"),
        ("heartbeat.interval.ms", "100"),
        ("max.poll.interval.ms", "1000"),
        ("default.api.timeout.ms", "600"),
        ("fetch.max.wait.ms", "100"),
        ("auto.commit.interval.ms", "50"),
    ];
    let mut consumer = Consumer::new(ConsumerConfig::from_names(names(&place, &own)).unwrap()).unwrap();
    consumer.subscribe(["t"]).unwrap();
    poll(&mut consumer).await;
    let _ = consumer.unsubscribe().await;
    consumer.subscribe(["t", "u"]).unwrap();
    poll(&mut consumer).await;
    let _ = consumer.commit().await;
    let _ = consumer.close().await;
}

async fn assign(place: Place) {
    let own = [("group.id", "g"), ("default.api.timeout.ms", "600"), ("fetch.max.wait.ms", "100")];
    let mut consumer = Consumer::new(ConsumerConfig::from_names(names(&place, &own)).unwrap()).unwrap();
    let places = [TopicPartition::new("t", 0), TopicPartition::new("t", 1)];
    consumer.assign(places.clone()).unwrap();
    for place in &places {
        consumer.seek(place, 0);
    }
    poll(&mut consumer).await;
    let _ = consumer.watermarks(places.clone()).await;
    let _ = consumer.offsets_for_times(places.iter().map(|place| (place.clone(), 5)).collect()).await;
    let _ = consumer.committed(places).await;
    let _ = consumer.close().await;
}

async fn poll(consumer: &mut Consumer) {
    let polling = async {
        // An error is told and polling goes on; a batch that is damaged is told again each time.
        for _ in 0..200 {
            let _ = consumer.poll().await;
        }
    };
    let _ = timeout(POLLS, polling).await;
}

fn administrate(place: &Place, calls: &mut JoinSet<()>) {
    let own = [("default.api.timeout.ms", "800")];
    let admin = Admin::new(AdminConfig::from_names(names(place, &own)).unwrap()).unwrap();
    let places = || [TopicPartition::new("t", 0), TopicPartition::new("t", 1)];
    let resource = || ConfigResource::Topic("t".to_owned());
    let mut call = |call: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
        calls.spawn(call);
    };
    macro_rules! calls {
        ($($name:ident => $made:expr),+ $(,)?) => {
            $({
                let $name = admin.clone();
                call(Box::pin(async move {
                    let _ = $made.await;
                }));
            })+
        };
    }
    calls! {
        a => a.create_topics([NewTopic::new("n").partitions(1)], Change::Apply),
        a => a.delete_topics(["t"]),
        a => a.describe_topics(["t"]),
        a => a.list_topics(),
        a => a.create_partitions([NewPartitions::total("t", 3)], Change::ValidateOnly),
        a => a.describe_configs([resource()]),
        a => a.alter_configs([(resource(), vec![ConfigChange::set("retention.ms", "1")])], Change::Apply),
        a => a.list_config_resources(),
        a => a.list_groups(&GroupFilter::default()),
        a => a.describe_groups(["g"]),
        a => a.delete_groups(["g"]),
        a => a.list_group_offsets(["g"]),
        a => a.alter_group_offsets("g", BTreeMap::from([(TopicPartition::new("t", 0), CommitOffset::at(5))])),
        a => a.delete_group_offsets("g", places()),
        a => a.plan_reset("g", places(), ResetTo::Earliest),
        a => a.list_offsets(places().map(|place| (place, OffsetSpec::Earliest)), Isolation::ReadCommitted),
        a => a.delete_records(places().map(|place| (place, Some(1)))),
        a => a.describe_cluster(),
        a => a.describe_log_dirs(),
        a => a.elect_leaders(ElectionKind::Preferred, places()),
        a => a.elect_all_leaders(ElectionKind::Unclean),
        a => a.describe_quorum(),
        a => a.describe_producers(places()),
        a => a.list_transactions(&TransactionFilter::default()),
        a => a.describe_transactions(["x"]),
        a => a.list_reassignments(None),
        a => a.alter_reassignments([(TopicPartition::new("t", 0), Some(vec![1, 2]))]),
        a => a.fence_producers(["x"]),
        a => a.describe_acls(AclFilter::default()),
        a => a.create_acls([Acl::allow("User:u", AclOperation::Read, AclResource::Topic, "t")]),
        a => a.delete_acls([AclFilter::default()]),
        a => a.describe_quotas(QuotaFilter::default()),
        a => a.alter_quotas([(QuotaEntity::of("user", "u"), removed())], Change::Apply),
        a => a.describe_users(None),
        a => a.alter_users([(("u".to_owned(), ScramMechanism::Sha256), ScramChange::Delete)]),
    }
}

fn removed() -> BTreeMap<String, Option<f64>> {
    [("producer_byte_rate".to_owned(), None)].into()
}
