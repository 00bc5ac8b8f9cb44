//! Records through the client's producer, with a node killed among them.

use rdkafka::message::{Headers, Message};
use trilog_client::{Codec, Delivery, Header, Producer, ProducerConfig, Record};
use trilog_tests::admin::NewTopic;
use trilog_tests::cluster::{Cluster, ClusterOptions, shared};
use trilog_tests::waiting::wait_until;

use super::read_back::read_all;

const RECORDS: usize = 100_000;
const PARTITIONS: i32 = 3;

/// Sends records `range`, each with its own number as value, the partitions in turn.
async fn send(producer: &Producer, topic: &str, range: std::ops::Range<usize>) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    for number in range {
        let partition = i32::try_from(number).unwrap() % PARTITIONS;
        let record = Record::to(topic).partition(partition).value(number.to_string());
        deliveries.push(producer.send(record).await.unwrap());
    }
    deliveries
}

#[tokio::test]
async fn acknowledged_records_survive_a_leaders_death_once_in_order_and_where_they_were_said_to_be() {
    let topic = "client-killed";
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    cluster.create(NewTopic::new(topic).partitions(PARTITIONS).replicas(3)).await;
    let producer = Producer::new(ProducerConfig::new(&cluster.bootstrap()).unwrap()).unwrap();
    let (sender, half) = (producer.clone(), RECORDS / 2);
    let first = tokio::spawn(async move { send(&sender, topic, 0..half).await });
    wait_until("some are acknowledged", async || {
        (producer.metrics().records_delivered > 5_000).then_some(())
    })
    .await;
    let leader = cluster.leader(topic, 0).await;
    cluster.kill(leader);
    let mut deliveries = first.await.unwrap();
    let sender = producer.clone();
    let second = tokio::spawn(async move { send(&sender, topic, half..RECORDS).await });
    cluster.leader_where(topic, 0, |node| node != leader).await;
    cluster.start_node(leader);
    cluster.wait_ready().await.unwrap();
    deliveries.extend(second.await.unwrap());
    producer.close().await;

    let mut said = Vec::new();
    for delivery in deliveries {
        let delivered = delivery.await.expect("every record is acknowledged");
        said.push((delivered.partition, delivered.offset.unwrap()));
    }
    let bootstrap = cluster.bootstrap();
    let read = tokio::task::spawn_blocking(move || {
        read_all(&bootstrap, topic, PARTITIONS, |message| {
            let number = std::str::from_utf8(message.payload().unwrap()).unwrap().parse::<usize>();
            (message.offset(), number.unwrap())
        })
    });
    for (partition, records) in read.await.unwrap() {
        let numbers: Vec<_> = records.iter().map(|(_, number)| *number).collect();
        let sent =
            (usize::try_from(partition).unwrap()..RECORDS).step_by(usize::try_from(PARTITIONS).unwrap());
        assert!(numbers.into_iter().eq(sent), "partition {partition}: nothing lost, doubled or reordered");
        assert!(records.iter().all(|(offset, number)| said[*number] == (partition, *offset)));
    }
    let metrics = producer.metrics();
    assert_eq!((metrics.records_failed, metrics.buffered_bytes), (0, 0));
    cluster.assert_alive();
}

#[tokio::test]
async fn every_part_of_a_record_arrives_as_it_was_sent_under_every_codec() {
    let topic = "client-codecs";
    let cluster = shared().await;
    cluster.create(NewTopic::new(topic).partitions(1).replicas(3)).await;
    let codecs = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
    for codec in codecs {
        let config = ProducerConfig::new(&cluster.bootstrap()).unwrap().compression(codec);
        let producer = Producer::new(config).unwrap();
        let mut headed = Record::to(topic).key("k").value(vec![7; 5000]).header("twice", "1").timestamp(1234);
        headed.headers.push(Header::null("twice"));
        let empty = Record::to(topic).key("").value("").header("", "");
        for record in [headed, empty, Record::to(topic)] {
            drop(producer.send(record).await.unwrap());
        }
        producer.close().await;
    }
    let bootstrap = cluster.bootstrap();
    let read = tokio::task::spawn_blocking(move || {
        read_all(&bootstrap, topic, 1, |message| {
            let headers = message.headers().map_or_else(Vec::new, |headers| {
                let copy = |header: rdkafka::message::Header<'_, &[u8]>| {
                    (header.key.to_owned(), header.value.map(<[u8]>::to_vec))
                };
                headers.iter().map(copy).collect::<Vec<_>>()
            });
            let (key, value) = (message.key().map(<[u8]>::to_vec), message.payload().map(<[u8]>::to_vec));
            (key, value, headers, message.timestamp().to_millis())
        })
    });
    let read = read.await.unwrap().remove(&0).unwrap();
    assert_eq!(read.len(), 3 * codecs.len());
    for records in read.chunks(3) {
        let twice = || "twice".to_owned();
        let headers = vec![(twice(), Some(b"1".to_vec())), (twice(), None)];
        assert_eq!(records[0], (Some(b"k".to_vec()), Some(vec![7; 5000]), headers, Some(1234)));
        let (key, value, headers, _) = &records[1];
        assert_eq!((key.as_deref(), value.as_deref()), (Some(&[][..]), Some(&[][..])));
        assert_eq!(headers, &[(String::new(), Some(Vec::new()))]);
        assert_eq!((&records[2].0, &records[2].1), (&None, &None), "null is not empty");
    }
}

#[tokio::test]
async fn records_of_a_key_go_where_librdkafka_sends_those_of_java() {
    let topic = "client-keys";
    let cluster = shared().await;
    cluster.create(NewTopic::new(topic).partitions(7).replicas(3)).await;
    let config = [("bootstrap.servers", cluster.bootstrap().as_str()), ("acks", "1"), ("linger.ms", "0")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let producer = Producer::new(ProducerConfig::from_names(config).unwrap()).unwrap();
    let mut ours = Vec::new();
    for key in 0..50 {
        let record = Record::to(topic).key(format!("key-{key}"));
        ours.push(producer.send(record).await.unwrap().await.unwrap().partition);
    }
    let bootstrap = cluster.bootstrap();
    let theirs = tokio::task::spawn_blocking(move || {
        use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
        let mut config = rdkafka::config::ClientConfig::new();
        config.set("bootstrap.servers", &bootstrap).set("partitioner", "murmur2_random");
        let producer: BaseProducer = config.create().unwrap();
        for key in 0..50 {
            producer
                .send(BaseRecord::<_, [u8]>::to(topic).key(&format!("key-{key}")).payload(b"theirs"))
                .unwrap();
        }
        producer.flush(trilog_tests::waiting::PATIENCE).unwrap();
        let read = read_all(&bootstrap, topic, 7, |message| {
            let key = String::from_utf8(message.key().unwrap().to_vec()).unwrap();
            (key, message.payload().is_some())
        });
        let rows =
            read.into_iter().flat_map(|(partition, rows)| rows.into_iter().map(move |row| (row, partition)));
        rows.filter(|((_, is_theirs), _)| *is_theirs)
            .map(|((key, _), partition)| (key, partition))
            .collect::<Vec<_>>()
    });
    let theirs = theirs.await.unwrap();
    assert_eq!(theirs.len(), 50);
    for (key, partition) in theirs {
        let number: usize = key.strip_prefix("key-").unwrap().parse().unwrap();
        assert_eq!(ours[number], partition, "{key}");
    }
}
