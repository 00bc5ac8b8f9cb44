//! DescribeGroups, ListGroups, DeleteGroups.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{DeleteGroupsRequest, DescribeGroupsRequest, ListGroupsRequest};
use trilog_tests::cluster::shared;
use trilog_tests::group::classic::{ClassicMember, form, part_of};
use trilog_tests::group::consumer::{ConsumerMember, settle};
use trilog_tests::group::offsets::Commit;
use trilog_tests::requests::{error, group_id, only, served};

#[tokio::test]
async fn every_version_describes_a_group_with_its_members() {
    let cluster = shared().await;
    let group = cluster.group("described").await;
    let mut members = [ClassicMember::new(&group).await.named("static"), ClassicMember::new(&group).await];
    form(&mut members).await;
    for version in served::<DescribeGroupsRequest>(&group.connection) {
        let request = DescribeGroupsRequest::default().with_groups(vec![group_id("described")]);
        let answer = group.connection.request_at_version(request, version).await.unwrap();
        let told = only(answer.groups);
        assert_eq!(error(told.error_code), None, "version {version}");
        assert_eq!(told.group_id, group_id("described"));
        let words = [&*told.group_state, &*told.protocol_type, &*told.protocol_data];
        assert_eq!(words, ["Stable", "consumer", "range"], "version {version}");
        assert_eq!(told.authorized_operations, i32::MIN, "version {version}: they were not asked for");
        assert_eq!(told.members.len(), 2, "version {version}");
        for member in &members {
            let row = told.members.iter().find(|row| *row.member_id == *member.id).unwrap();
            let instance = if version >= 4 { member.instance.as_deref() } else { None };
            assert_eq!(row.group_instance_id.as_deref(), instance, "version {version}");
            assert_eq!((&*row.client_id, &*row.client_host), ("trilog-tests", "/127.0.0.1"));
            assert_eq!(row.member_metadata, member.protocols[0].1, "version {version}");
            assert_eq!(row.member_assignment, part_of(&member.id, member.generation), "version {version}");
        }
    }
}

#[tokio::test]
async fn a_group_that_does_not_exist_is_dead() {
    let cluster = shared().await;
    let group = cluster.group("described-missing").await;
    for version in served::<DescribeGroupsRequest>(&group.connection) {
        let request = DescribeGroupsRequest::default().with_groups(vec![group_id("described-missing")]);
        let answer = group.connection.request_at_version(request, version).await.unwrap();
        let told = only(answer.groups);
        // From version 6 on that is an error with a message (KIP-1043).
        let wanted = (version >= 6).then_some(ResponseError::GroupIdNotFound);
        assert_eq!(error(told.error_code), wanted, "version {version}");
        assert_eq!(told.error_message.is_some(), version >= 6, "version {version}");
        assert_eq!(&*told.group_state, "Dead", "version {version}");
        assert!(told.members.is_empty(), "version {version}");
    }
}

#[tokio::test]
async fn states_are_told_as_they_change() {
    let cluster = shared().await;
    cluster.new_partition("states").await;
    let group = cluster.group("states").await;
    group.commit(&Commit::outside("states", 0, 1)).await;
    group.wait_state("Empty").await;
    let [mut one, mut two] = [ClassicMember::new(&group).await, ClassicMember::new(&group).await];
    one.join().await;
    group.wait_state("CompletingRebalance").await;
    let mine = [(one.id.clone(), "all".into())];
    assert_eq!(error(one.try_sync(&mine).await.error_code), None);
    group.wait_state("Stable").await;
    let joining = two.start_join().await;
    group.wait_state("PreparingRebalance").await;
    // Before a protocol is chosen there is none to tell, nor what its members say to it.
    let told = group.describe().await;
    assert_eq!(&*told.protocol_data, "");
    one.hears_of_rebalance().await;
    one.join().await;
    two.finish_join(joining).await;
    for member in [one, two] {
        assert_eq!(member.leave().await, None);
    }
    group.wait_state("Empty").await;
    let told = group.describe().await;
    assert_eq!((&*told.protocol_type, told.members.len()), ("consumer", 0));
}

#[tokio::test]
async fn every_version_lists_groups() {
    let cluster = shared().await;
    cluster.new_partition("listed-offsets").await;
    let group = cluster.group("listed").await;
    let mut member = ClassicMember::new(&group).await;
    form(std::slice::from_mut(&mut member)).await;
    let simple = cluster.group("listed-simple").await;
    simple.commit(&Commit::outside("listed-offsets", 0, 1)).await;
    for version in served::<ListGroupsRequest>(&group.connection) {
        for (group, kind, state) in [(&group, "consumer", "Stable"), (&simple, "", "Empty")] {
            let request = ListGroupsRequest::default();
            let answer = group.connection.request_at_version(request, version).await.unwrap();
            assert_eq!(error(answer.error_code), None, "version {version}");
            let row = answer.groups.iter().find(|row| row.group_id == group_id(&group.name)).unwrap();
            assert_eq!(&*row.protocol_type, kind, "version {version}");
            assert_eq!(&*row.group_state, if version >= 4 { state } else { "" }, "version {version}");
            assert_eq!(&*row.group_type, if version >= 5 { "classic" } else { "" }, "version {version}");
        }
    }
    // A node lists what it coordinates.
    for node in cluster.ids().into_iter().filter(|node| *node != group.node) {
        let answer = cluster.connect(node).await.request(ListGroupsRequest::default()).await.unwrap();
        assert!(answer.groups.iter().all(|row| row.group_id != group_id("listed")));
    }
}

#[tokio::test]
async fn groups_are_listed_by_state_and_type() {
    let cluster = shared().await;
    cluster.new_partition("filtered").await;
    let stable = cluster.group("filtered-stable").await;
    let mut member = ClassicMember::new(&stable).await;
    form(std::slice::from_mut(&mut member)).await;
    let empty = cluster.group("filtered-empty").await;
    empty.commit(&Commit::outside("filtered", 0, 1)).await;
    let consumer = cluster.group("filtered-consumer").await;
    let mut members = [ConsumerMember::new(&consumer, &["filtered"]).await];
    settle(&mut members, &[1]).await;
    let groups = [("stable", stable), ("empty", empty), ("consumer", consumer)];
    for (states, types, wanted) in [
        (vec![], vec![], vec!["stable", "empty", "consumer"]),
        (vec!["Stable"], vec![], vec!["stable", "consumer"]),
        (vec!["empty"], vec![], vec!["empty"]),
        (vec!["STABLE", "Empty", "nonsense"], vec![], vec!["stable", "empty", "consumer"]),
        (vec!["Dead"], vec![], vec![]),
        (vec![], vec!["classic"], vec!["stable", "empty"]),
        (vec![], vec!["Consumer"], vec!["consumer"]),
        (vec!["Stable"], vec!["classic", "consumer"], vec!["stable", "consumer"]),
        (vec!["Empty"], vec!["consumer"], vec![]),
    ] {
        let mut listed = Vec::new();
        for (name, group) in &groups {
            if group.listed(&states, &types).await.is_some() {
                listed.push(*name);
            }
        }
        assert_eq!(listed, wanted, "states {states:?}, types {types:?}");
    }
}

#[tokio::test]
async fn every_version_deletes_a_group_that_is_empty() {
    let cluster = shared().await;
    cluster.new_partition("deleted").await;
    for version in served::<DeleteGroupsRequest>(&cluster.connect(1).await) {
        let group = cluster.group(&format!("deleted-v{version}")).await;
        let delete = async || {
            let request = DeleteGroupsRequest::default().with_groups_names(vec![group_id(&group.name)]);
            let answer = group.connection.request_at_version(request, version).await.unwrap();
            let result = only(answer.results);
            assert_eq!(result.group_id, group_id(&group.name));
            error(result.error_code)
        };
        assert_eq!(delete().await, Some(ResponseError::GroupIdNotFound), "version {version}");
        let mut member = ClassicMember::new(&group).await;
        form(std::slice::from_mut(&mut member)).await;
        group.commit(&Commit::outside("deleted", 0, 4).by(&member.id, member.generation)).await;
        assert_eq!(delete().await, Some(ResponseError::NonEmptyGroup), "version {version}");
        assert_eq!(member.leave().await, None);
        assert_eq!(group.offset("deleted", 0).await, 4, "version {version}");
        assert_eq!(delete().await, None, "version {version}");
        assert_eq!(group.offset("deleted", 0).await, -1, "version {version}");
        assert!(group.listed(&[], &[]).await.is_none(), "version {version}");
    }
}

#[tokio::test]
async fn many_groups_are_described_and_deleted_in_one_request() {
    let cluster = shared().await;
    cluster.new_partition("together").await;
    let names = cluster.names_in_one_partition("together", 4).await;
    let group = cluster.group(&names[0]).await;
    for name in &names[..3] {
        cluster.group(name).await.commit(&Commit::outside("together", 0, 1)).await;
    }
    let ids = names.iter().map(|name| group_id(name)).collect::<Vec<_>>();
    let request = DescribeGroupsRequest::default().with_groups(ids.clone());
    let told = group.connection.request(request).await.unwrap().groups;
    let states = told.iter().map(|row| (row.group_id.clone(), row.group_state.to_string()));
    let wanted = ids.iter().cloned().zip(["Empty", "Empty", "Empty", "Dead"].map(str::to_owned));
    assert!(states.eq(wanted), "{told:?}");
    let request = DeleteGroupsRequest::default().with_groups_names(ids.clone());
    let told = group.connection.request(request).await.unwrap().results;
    for (id, code) in ids.iter().zip([None, None, None, Some(ResponseError::GroupIdNotFound)]) {
        let row = told.iter().find(|row| row.group_id == *id).unwrap();
        assert_eq!(error(row.error_code), code);
    }
}
