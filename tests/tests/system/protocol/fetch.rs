//! Fetch: versions, offsets, and what is refused.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::FetchRequest;
use trilog_tests::admin::NewTopic;
use trilog_tests::batch::{Batch, BatchBuilder, Codec, Record, values};
use trilog_tests::cluster::shared;
use trilog_tests::partition::Partition;
use trilog_tests::requests::{FetchPlan, Target, error, fetched, only, served};
use uuid::Uuid;

#[tokio::test]
async fn every_version_returns_the_records() {
    let cluster = shared().await;
    let partition = cluster.new_partition("fetch-versions").await;
    partition.produce(values(1, &["a", "b"])).await;
    partition.produce(values(2, &["c"])).await;
    for version in served::<FetchRequest>(&partition.connection) {
        for isolation in [0, 1] {
            let request = partition.target.fetch(version, FetchPlan::from(0)).with_isolation_level(isolation);
            let answer = partition.connection.request_at_version(request, version).await.unwrap();
            let answer = fetched(answer);
            assert_eq!(error(answer.error_code), None, "version {version}");
            assert_eq!((answer.partition_index, answer.high_watermark), (0, 3), "version {version}");
            assert_eq!(answer.last_stable_offset, 3, "without transactions all is stable");
            assert_eq!(answer.log_start_offset, if version >= 5 { 0 } else { -1 }, "version {version}");
            let batches = Batch::split(&answer.records.unwrap());
            let texts = batches.iter().flat_map(Batch::values).collect::<Vec<_>>();
            assert_eq!(texts, ["a", "b", "c"], "version {version}");
        }
    }
}

#[tokio::test]
async fn an_offset_within_a_batch_returns_the_whole_batch() {
    let cluster = shared().await;
    let partition = cluster.new_partition("fetch-mid-batch").await;
    for codec in Codec::ALL {
        let records = (0..10).map(|n| Record::new(1, n.to_string())).collect();
        let base = partition.produce(BatchBuilder::new(records).codec(codec).build()).await;
        for offset in base..base + 10 {
            let batches = partition.fetch(offset).await;
            assert_eq!(batches.len(), 1, "offset {offset}");
            assert_eq!((batches[0].base_offset(), batches[0].last_offset()), (base, base + 9));
        }
    }
    // From the middle of the first on, all the others follow.
    assert_eq!(partition.fetch(5).await.len(), 5);
}

#[tokio::test]
async fn at_the_end_there_is_nothing_and_no_error() {
    let cluster = shared().await;
    let partition = cluster.new_partition("fetch-end").await;
    for end in 0..3 {
        let answer = partition.try_fetch(FetchPlan::from(end)).await;
        assert_eq!((error(answer.error_code), answer.high_watermark), (None, end));
        assert_eq!(answer.records.as_deref(), Some(&[][..]), "empty, not null");
        partition.produce(values(1, &["a"])).await;
    }
}

#[tokio::test]
async fn offsets_outside_the_log_are_refused() {
    let cluster = shared().await;
    let partition = cluster.new_partition("fetch-outside").await;
    partition.produce(values(1, &["a", "b"])).await;
    for offset in [3, 1000, i64::MAX, -1, -2, i64::MIN] {
        // Without an error, it would wait for data: the refusal comes at once.
        let plan = FetchPlan { max_wait_ms: 60_000, min_bytes: 1, ..FetchPlan::from(offset) };
        let answer = partition.try_fetch(plan).await;
        assert_eq!(error(answer.error_code), Some(ResponseError::OffsetOutOfRange), "offset {offset}");
        assert!(answer.records.is_none_or(|records| records.is_empty()));
    }
}

#[tokio::test]
async fn unknown_topics_and_partitions_are_refused() {
    let cluster = shared().await;
    let partition = cluster.new_partition("fetch-known").await;
    let plan = FetchPlan { max_wait_ms: 60_000, min_bytes: 1, ..FetchPlan::from(0) };
    for (topic, index) in [("fetch-known", 1), ("fetch-known", -1), ("fetch-unknown", 0)] {
        let target = Target { topic: topic.to_owned(), partition: index, ..partition.target.clone() };
        let answer = partition.connection.request_at_version(target.fetch(11, plan), 11).await.unwrap();
        let code = error(fetched(answer).error_code);
        assert_eq!(code, Some(ResponseError::UnknownTopicOrPartition), "{topic}-{index}");
    }
    for version in served::<FetchRequest>(&partition.connection).filter(|version| *version >= 13) {
        let target = Target { id: Uuid::from_u128(99), ..partition.target.clone() };
        let answer =
            partition.connection.request_at_version(target.fetch(version, plan), version).await.unwrap();
        assert_eq!(
            error(fetched(answer).error_code),
            Some(ResponseError::UnknownTopicId),
            "version {version}"
        );
    }
}

#[tokio::test]
async fn who_does_not_lead_says_so() {
    let cluster = shared().await;
    let led = cluster.new_partition("fetch-not-leader").await;
    led.produce(values(1, &["a"])).await;
    let leader = cluster.leader("fetch-not-leader", 0).await;
    for node in cluster.ids().into_iter().filter(|node| *node != leader) {
        let other = Partition { connection: cluster.connect(node).await, target: led.target.clone() };
        let plan = FetchPlan { max_wait_ms: 60_000, min_bytes: 1, ..FetchPlan::from(0) };
        // From version 11 on, a follower may serve as well (KIP-392).
        let request = other.target.fetch(10, plan);
        let answer = fetched(other.connection.request_at_version(request, 10).await.unwrap());
        assert_eq!(error(answer.error_code), Some(ResponseError::NotLeaderOrFollower), "node {node}");
    }
}

#[tokio::test]
async fn a_client_that_knows_another_epoch_is_told() {
    let cluster = shared().await;
    let partition = cluster.new_partition("fetch-epoch").await;
    partition.produce(values(1, &["a"])).await;
    let current = partition.fetch(0).await[0].leader_epoch();
    let with = |leader_epoch| FetchPlan { leader_epoch, ..FetchPlan::from(0) };
    assert_eq!(error(partition.try_fetch(with(current)).await.error_code), None);
    let newer = partition.try_fetch(with(current + 1)).await;
    assert_eq!(error(newer.error_code), Some(ResponseError::UnknownLeaderEpoch));
    if current > 0 {
        let older = partition.try_fetch(with(current - 1)).await;
        assert_eq!(error(older.error_code), Some(ResponseError::FencedLeaderEpoch));
    }
}

#[tokio::test]
async fn zstd_is_served_in_every_version() {
    let cluster = shared().await;
    let partition = cluster.new_partition("fetch-zstd").await;
    let records = vec![Record::new(1, "a")];
    partition.produce(BatchBuilder::new(records).codec(Codec::Zstd).build()).await;
    // As by Kafka since version 4: rskafka fetches in version 4 and reads zstd.
    for version in served::<FetchRequest>(&partition.connection) {
        let request = partition.target.fetch(version, FetchPlan::from(0));
        let answer = fetched(partition.connection.request_at_version(request, version).await.unwrap());
        assert_eq!(error(answer.error_code), None, "version {version}");
        assert_eq!(Batch::split(&answer.records.unwrap())[0].values(), ["a"], "version {version}");
    }
}

#[tokio::test]
async fn a_client_that_asks_for_a_session_is_served() {
    let cluster = shared().await;
    let partition = cluster.new_partition("fetch-session").await;
    partition.produce(values(1, &["a"])).await;
    for version in served::<FetchRequest>(&partition.connection).filter(|version| *version >= 7) {
        // Epoch 0 asks for a new session. Whether there will be one is the broker's choice; the records come now.
        let request = partition.target.fetch(version, FetchPlan::from(0)).with_session_epoch(0);
        let answer = partition.connection.request_at_version(request, version).await.unwrap();
        assert_eq!(error(answer.error_code), None, "version {version}");
        let row = only(only(answer.responses).partitions);
        assert_eq!(error(row.error_code), None, "version {version}");
        assert_eq!(Batch::split(&row.records.unwrap()).len(), 1, "version {version}");
    }
}

#[tokio::test]
async fn several_topics_are_served_in_one_request() {
    let cluster = shared().await;
    let mut targets = Vec::new();
    for name in ["fetch-several-a", "fetch-several-b"] {
        cluster.create(NewTopic::new(name).assign(0, &[1, 2, 3])).await;
        cluster.leader_where(name, 0, |leader| leader == 1).await;
        let partition = cluster.partition(name, 0).await;
        partition.produce(values(1, &[name])).await;
        targets.push(partition.target);
    }
    let connection = cluster.connect(1).await;
    let mut request = targets[0].fetch(11, FetchPlan::from(0));
    request.topics.push(targets[1].fetch_topic(11, FetchPlan::from(0)));
    let answer = connection.request_at_version(request, 11).await.unwrap();
    let names = answer.responses.iter().map(|topic| topic.topic.to_string()).collect::<Vec<_>>();
    assert_eq!(names, ["fetch-several-a", "fetch-several-b"]);
    for topic in answer.responses {
        let batches = Batch::split(&only(topic.partitions).records.unwrap());
        assert_eq!(batches[0].values(), [topic.topic.to_string()]);
    }
}
