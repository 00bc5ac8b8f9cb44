//! OffsetForLeaderEpoch (KIP-320), while no leader changes. What it says after one does is told in `restart`.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::OffsetForLeaderEpochRequest;
use trilog_tests::batch::values;
use trilog_tests::cluster::shared;
use trilog_tests::partition::{LATEST, Partition};
use trilog_tests::requests::{FetchPlan, Target, epoch_ended, error, listed_offset, served};

#[tokio::test]
async fn every_version_tells_where_the_current_epoch_ends() {
    let cluster = shared().await;
    let partition = cluster.new_partition("epochs-versions").await;
    partition.produce(values(1, &["a", "b"])).await;
    let epoch = partition.fetch(0).await[0].leader_epoch();
    let shown = cluster.partition_metadata("epochs-versions", 0).await.expect("it exists");
    assert_eq!(shown.leader_epoch, epoch, "Metadata and the batches agree");
    for version in served::<OffsetForLeaderEpochRequest>(&partition.connection) {
        let ask = async |asked| {
            let request = partition.target.epoch_end(asked);
            epoch_ended(partition.connection.request_at_version(request, version).await.unwrap())
        };
        let current = ask(epoch).await;
        assert_eq!(error(current.error_code), None, "version {version}");
        assert_eq!((current.leader_epoch, current.end_offset), (epoch, 2), "version {version}");
        let future = ask(epoch + 1).await;
        assert_eq!(error(future.error_code), None, "version {version}");
        assert_eq!((future.leader_epoch, future.end_offset), (-1, -1), "nobody knows of a later epoch");
        if epoch > 0 {
            assert_eq!(ask(0).await.end_offset, 0, "before the first epoch there was nothing");
        }
    }
}

#[tokio::test]
async fn a_client_that_knows_another_epoch_is_told() {
    let cluster = shared().await;
    let partition = cluster.new_partition("epochs-fenced").await;
    partition.produce(values(1, &["a"])).await;
    let epoch = partition.fetch(0).await[0].leader_epoch();
    let ask = async |current| {
        let mut request = partition.target.epoch_end(epoch);
        request.topics[0].partitions[0].current_leader_epoch = current;
        error(epoch_ended(partition.connection.request(request).await.unwrap()).error_code)
    };
    assert_eq!(ask(epoch).await, None);
    assert_eq!(ask(epoch + 1).await, Some(ResponseError::UnknownLeaderEpoch));
    if epoch > 0 {
        assert_eq!(ask(epoch - 1).await, Some(ResponseError::FencedLeaderEpoch));
    }
}

#[tokio::test]
async fn a_wrong_epoch_is_told_by_a_replica_that_does_not_lead_too() {
    let cluster = shared().await;
    let led = cluster.new_partition("epochs-elsewhere").await;
    led.produce(values(1, &["a"])).await;
    let epoch = led.fetch(0).await[0].leader_epoch();
    let leader = cluster.leader("epochs-elsewhere", 0).await;
    let other = cluster.ids().into_iter().find(|node| *node != leader).expect("there are three");
    let partition = Partition { connection: cluster.connect(other).await, target: led.target.clone() };
    let ask = async |current| {
        let mut request = partition.target.epoch_end(epoch);
        request.topics[0].partitions[0].current_leader_epoch = current;
        let ended = error(epoch_ended(partition.connection.request(request).await.unwrap()).error_code);
        let plan = FetchPlan { leader_epoch: current, ..FetchPlan::from(0) };
        let fetched = error(partition.try_fetch(plan).await.error_code);
        assert_eq!(ended, fetched, "epoch {current}");
        ended
    };
    for known in [-1, epoch] {
        assert_eq!(ask(known).await, Some(ResponseError::NotLeaderOrFollower));
    }
    assert_eq!(ask(epoch + 1).await, Some(ResponseError::UnknownLeaderEpoch));
    if epoch > 0 {
        assert_eq!(ask(epoch - 1).await, Some(ResponseError::FencedLeaderEpoch));
    }
}

#[tokio::test]
async fn a_client_that_lists_offsets_with_an_older_epoch_is_told_what_has_it_refresh() {
    let cluster = shared().await;
    let partition = cluster.new_partition("epochs-listed").await;
    let epoch = cluster.partition_metadata("epochs-listed", 0).await.expect("it exists").leader_epoch;
    let ask = async |current| {
        let mut request = partition.target.list_offsets(LATEST);
        request.topics[0].partitions[0].current_leader_epoch = current;
        error(listed_offset(partition.connection.request(request).await.unwrap()).error_code)
    };
    assert_eq!(ask(epoch).await, None);
    assert_eq!(ask(epoch + 1).await, Some(ResponseError::UnknownLeaderEpoch));
    if epoch > 0 {
        // librdkafka's admin client goes on with what it knows when it is told FENCED_LEADER_EPOCH.
        assert_eq!(ask(epoch - 1).await, Some(ResponseError::NotLeaderOrFollower));
    }
}

#[tokio::test]
async fn unknown_partitions_are_refused() {
    let cluster = shared().await;
    let partition = cluster.new_partition("epochs-known").await;
    let target = Target { partition: 3, ..partition.target.clone() };
    let answer = partition.connection.request(target.epoch_end(0)).await.unwrap();
    assert_eq!(error(epoch_ended(answer).error_code), Some(ResponseError::UnknownTopicOrPartition));
}
