//! OffsetCommit, OffsetFetch, OffsetDelete.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{OffsetCommitRequest, OffsetFetchRequest};
use trilog_tests::admin::NewTopic;
use trilog_tests::cluster::shared;
use trilog_tests::group::classic::{ClassicMember, form};
use trilog_tests::group::embedded::subscription;
use trilog_tests::group::offsets::{Commit, committed, fetch_group, fetch_request, fetched_offsets};
use trilog_tests::requests::{error, group_id, only, served, topic_name};

/// The first version of OffsetFetch whose answer tells leader epochs.
const EPOCHS: i16 = 5;

#[tokio::test]
async fn every_version_gives_back_what_every_version_took() {
    let cluster = shared().await;
    cluster.create(NewTopic::new("offsets-versions").partitions(20)).await;
    cluster.wait_shown("offsets-versions").await;
    let group = cluster.group("offsets-versions").await;
    for version in served::<OffsetCommitRequest>(&group.connection) {
        let metadata = format!("v{version} äöü \u{1f980}\0");
        let mut commit = Commit::outside("offsets-versions", version.into(), 1000 + i64::from(version));
        commit = commit.metadata(Some(&metadata));
        commit.leader_epoch = 3;
        let request = commit.request(&group.name, version);
        let answer = group.connection.request_at_version(request, version).await.unwrap();
        assert_eq!(committed(answer), None, "version {version}");
        for fetch in served::<OffsetFetchRequest>(&group.connection) {
            let request = fetch_request(&group.name, Some(("offsets-versions", &[version.into()])), fetch);
            let answer = group.connection.request_at_version(request, fetch).await.unwrap();
            let answer = fetched_offsets(answer, fetch);
            assert_eq!(error(answer.error_code), None, "version {version}, {fetch}");
            let row = only(only(answer.topics).partitions);
            assert_eq!(error(row.error_code), None, "version {version}, {fetch}");
            assert_eq!(row.committed_offset, commit.offset, "version {version}, {fetch}");
            assert_eq!(row.metadata.as_deref(), Some(metadata.as_str()), "version {version}, {fetch}");
            let epoch = if version >= 6 && fetch >= EPOCHS { 3 } else { -1 };
            assert_eq!(row.committed_leader_epoch, epoch, "version {version}, {fetch}");
        }
    }
}

#[tokio::test]
async fn all_offsets_of_a_group_are_told() {
    let cluster = shared().await;
    for topic in ["offsets-all-a", "offsets-all-b"] {
        cluster.create(NewTopic::new(topic).partitions(3)).await;
        cluster.wait_shown(topic).await;
    }
    let group = cluster.group("offsets-all").await;
    let mut wanted = Vec::new();
    for (topic, partition, offset) in
        [("offsets-all-a", 0, 5), ("offsets-all-a", 2, 0), ("offsets-all-b", 1, i64::MAX)]
    {
        assert_eq!(group.commit(&Commit::outside(topic, partition, offset)).await, None);
        wanted.push((topic.to_owned(), partition, offset));
    }
    // From version 2 on one may ask for all.
    for version in served::<OffsetFetchRequest>(&group.connection).filter(|version| *version >= 2) {
        let request = fetch_request("offsets-all", None, version);
        let answer = group.connection.request_at_version(request, version).await.unwrap();
        let answer = fetched_offsets(answer, version);
        let rows = answer.topics.iter().flat_map(|topic| {
            let row = |partition: i32, offset: i64| (topic.name.to_string(), partition, offset);
            topic.partitions.iter().map(move |one| row(one.partition_index, one.committed_offset))
        });
        let mut rows = rows.collect::<Vec<_>>();
        rows.sort();
        assert_eq!(rows, wanted, "version {version}");
    }
}

#[tokio::test]
async fn where_nothing_was_committed_there_is_no_offset() {
    let cluster = shared().await;
    cluster.new_partition("offsets-none").await;
    for version in served::<OffsetFetchRequest>(&cluster.connect(1).await) {
        let group = cluster.group(&format!("offsets-none-{version}")).await;
        for (topic, partition) in [("offsets-none", 0), ("offsets-none", 99), ("offsets-no-topic", 0)] {
            let request = fetch_request(&group.name, Some((topic, &[partition])), version);
            let answer = group.connection.request_at_version(request, version).await.unwrap();
            let answer = fetched_offsets(answer, version);
            assert_eq!(error(answer.error_code), None, "version {version}");
            let topic = only(answer.topics);
            let row = only(topic.partitions);
            let told = (error(row.error_code), row.committed_offset, row.committed_leader_epoch);
            assert_eq!(told, (None, -1, -1), "version {version}");
            assert_eq!(row.metadata.as_deref(), Some(""), "version {version}");
        }
        assert!(group.offsets().await.is_empty());
    }
}

#[tokio::test]
async fn several_groups_are_asked_for_at_once() {
    let cluster = shared().await;
    cluster.new_partition("offsets-several").await;
    let names = cluster.names_in_one_partition("offsets-several", 3).await;
    let group = cluster.group(&names[0]).await;
    for (name, offset) in names.iter().zip([10, 20]) {
        let one = cluster.group(name).await;
        assert_eq!(one.commit(&Commit::outside("offsets-several", 0, offset)).await, None);
    }
    for version in served::<OffsetFetchRequest>(&group.connection).filter(|version| *version >= 8) {
        for topic in [None, Some(("offsets-several", &[0][..]))] {
            let groups = names.iter().map(|name| fetch_group(name, topic)).collect();
            let request = OffsetFetchRequest::default().with_groups(groups).with_require_stable(true);
            let answer = group.connection.request_at_version(request, version).await.unwrap();
            for (name, offset) in names.iter().zip([Some(10), Some(20), None]) {
                let told = answer.groups.iter().find(|told| told.group_id == group_id(name)).unwrap();
                assert_eq!(error(told.error_code), None);
                let mut rows = told.topics.iter().flat_map(|topic| &topic.partitions);
                let told = rows.next().map(|row| row.committed_offset).filter(|offset| *offset >= 0);
                assert_eq!(told, offset, "{name} in version {version}");
            }
        }
    }
}

#[tokio::test]
async fn the_last_commit_counts() {
    let cluster = shared().await;
    cluster.new_partition("offsets-last").await;
    let group = cluster.group("offsets-last").await;
    for (offset, metadata) in [(9, Some("nine")), (3, None), (4, Some(""))] {
        let commit = Commit::outside("offsets-last", 0, offset).metadata(metadata);
        assert_eq!(group.commit(&commit).await, None);
        let answer = group.try_fetch_offsets(Some(("offsets-last", &[0]))).await.unwrap();
        let row = only(only(answer.topics).partitions);
        // No metadata comes back as empty metadata.
        assert_eq!((row.committed_offset, row.metadata.as_deref()), (offset, metadata.or(Some(""))));
    }
}

#[tokio::test]
async fn a_partition_that_does_not_exist_has_no_offset_to_keep() {
    let cluster = shared().await;
    cluster.new_partition("offsets-exists").await;
    let group = cluster.group("offsets-unknown").await;
    for version in served::<OffsetCommitRequest>(&group.connection) {
        // What exists is kept all the same.
        let mut request = Commit::outside("offsets-exists", 0, version.into()).request(&group.name, version);
        for other in [Commit::outside("offsets-exists", 1, 1), Commit::outside("offsets-missing", 0, 1)] {
            request.topics.extend(other.request(&group.name, version).topics);
        }
        let answer = group.connection.request_at_version(request, version).await.unwrap();
        let told = answer.topics.iter().flat_map(|topic| {
            topic
                .partitions
                .iter()
                .map(|row| (topic.name.clone(), row.partition_index, error(row.error_code)))
        });
        let mut told = told.collect::<Vec<_>>();
        told.sort_by_key(|row| (row.0.to_string(), row.1));
        let unknown = Some(ResponseError::UnknownTopicOrPartition);
        let (exists, missing) = (topic_name("offsets-exists"), topic_name("offsets-missing"));
        let wanted = [(exists.clone(), 0, None), (exists, 1, unknown), (missing, 0, unknown)];
        assert_eq!(told, wanted, "version {version}");
        let offset = group.offset("offsets-exists", 0).await;
        assert_eq!(offset, i64::from(version));
    }
}

#[tokio::test]
async fn offsets_are_deleted() {
    let cluster = shared().await;
    cluster.create(NewTopic::new("offsets-deleted").partitions(2)).await;
    cluster.wait_shown("offsets-deleted").await;
    let group = cluster.group("offsets-deleted").await;
    let no_group = Some(ResponseError::GroupIdNotFound);
    assert_eq!(group.delete_offset("offsets-deleted", 0).await, no_group);
    for partition in 0..2 {
        group.commit(&Commit::outside("offsets-deleted", partition, 5)).await;
    }
    assert_eq!(group.delete_offset("offsets-deleted", 0).await, None);
    assert_eq!(group.offsets().await, [("offsets-deleted".to_owned(), 1, 5)]);
    let unknown = group.delete_offset("offsets-no-topic", 0).await;
    assert_eq!(unknown, Some(ResponseError::UnknownTopicOrPartition));
}

#[tokio::test]
async fn offsets_that_are_in_use_are_not_deleted() {
    let cluster = shared().await;
    for topic in ["offsets-in-use", "offsets-not-in-use"] {
        cluster.new_partition(topic).await;
    }
    let group = cluster.group("offsets-in-use").await;
    let wants = subscription(&["offsets-in-use"], &[]);
    let mut member = ClassicMember::new(&group).await.protocols(&[("range", &wants)]);
    form(std::slice::from_mut(&mut member)).await;
    for topic in ["offsets-in-use", "offsets-not-in-use"] {
        let commit = Commit::outside(topic, 0, 1).by(&member.id, member.generation);
        assert_eq!(group.commit(&commit).await, None);
    }
    let in_use = Some(ResponseError::GroupSubscribedToTopic);
    assert_eq!(group.delete_offset("offsets-in-use", 0).await, in_use);
    assert_eq!(group.delete_offset("offsets-not-in-use", 0).await, None);
    assert_eq!(group.offsets().await, [("offsets-in-use".to_owned(), 0, 1)]);

    // Nobody but its members knows what a group of another kind uses.
    let group = cluster.group("offsets-connect").await;
    let mut member = ClassicMember::new(&group).await.kind("connect");
    form(std::slice::from_mut(&mut member)).await;
    let refused = group.delete_offset("offsets-in-use", 0).await;
    assert_eq!(refused, Some(ResponseError::NonEmptyGroup));
}

#[tokio::test]
async fn a_group_without_a_name_keeps_offsets() {
    let cluster = shared().await;
    cluster.new_partition("offsets-nameless").await;
    let group = cluster.group("").await;
    assert_eq!(group.commit(&Commit::outside("offsets-nameless", 0, 11)).await, None);
    assert_eq!(group.offset("offsets-nameless", 0).await, 11);
}
