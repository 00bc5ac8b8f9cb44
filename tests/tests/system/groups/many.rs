//! A client that makes up names of groups without end: nothing is lost, memory is bounded, and others are served.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{OffsetCommitRequest, OffsetFetchRequest};
use trilog_client::wire::Connection;
use trilog_tests::cluster::{CONSUMER_OFFSETS, Cluster, ClusterOptions, connection_options};
use trilog_tests::group::classic::{ClassicMember, form};
use trilog_tests::group::offsets::{Commit, committed, fetch_group};
use trilog_tests::group::partition_of;
use trilog_tests::requests::error;

/// Groups made up.
const GROUPS: usize = 100_000;
/// Commits in flight on a connection.
const IN_FLIGHT: usize = 500;
/// Groups asked for in one OffsetFetch.
const ASKED: usize = 1000;
/// What the nodes may need for them at most, all together: 2 KiB a group and node.
const MEMORY: u64 = 600 << 20;
/// How many groups a coordinator has room for.
const ROOM: usize = 65_536;

fn name(number: usize) -> String {
    format!("made-up-{number}")
}

/// The offset that is committed for a group, different from its neighbours'.
fn offset(number: usize) -> i64 {
    i64::try_from(number).unwrap() * 7 + 1
}

/// The groups by the node that coordinates them.
async fn by_coordinator(cluster: &Cluster) -> BTreeMap<i32, Vec<usize>> {
    let partitions = cluster.topic(CONSUMER_OFFSETS).await.expect("it exists").partitions;
    let mut groups: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    for number in 0..GROUPS {
        let partition = partition_of(&name(number), partitions.len());
        let row = partitions.iter().find(|row| usize::try_from(row.partition_index) == Ok(partition));
        groups.entry(row.expect("every partition is told").leader_id.0).or_default().push(number);
    }
    groups
}

/// Commits an offset for each group; what became of each, in order.
async fn commit_all(
    connection: Connection,
    groups: &[usize],
    done: &AtomicUsize,
) -> Vec<Option<ResponseError>> {
    let version = connection.versions().negotiate::<OffsetCommitRequest>().unwrap();
    let mut outcomes = Vec::new();
    for chunk in groups.chunks(IN_FLIGHT) {
        let mut pending = Vec::new();
        for number in chunk {
            let request = Commit::outside("made-up", 0, offset(*number)).request(&name(*number), version);
            pending.push(connection.enqueue_at(request, version).await.unwrap());
        }
        for pending in pending {
            outcomes.push(committed(pending.answer().await.unwrap()));
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
    outcomes
}

async fn check_all(connection: Connection, groups: &[usize]) {
    for chunk in groups.chunks(ASKED) {
        let asked = chunk.iter().map(|number| fetch_group(&name(*number), None)).collect();
        let request = OffsetFetchRequest::default().with_groups(asked);
        let answer = connection.request(request).await.unwrap();
        let told = answer.groups.iter().map(|group| {
            assert_eq!(error(group.error_code), None);
            let rows = group.topics.iter().flat_map(|topic| &topic.partitions);
            let offsets = rows.map(|row| row.committed_offset).collect::<Vec<_>>();
            (group.group_id.to_string(), offsets)
        });
        let told = told.collect::<BTreeMap<_, _>>();
        for number in chunk {
            assert_eq!(told[&name(*number)], [offset(*number)], "{}", name(*number));
        }
    }
}

#[tokio::test]
async fn a_hundred_thousand_names_are_kept_and_others_are_served_meanwhile() {
    let settings = ClusterOptions::nodes(3).set("group.initial.rebalance.delay.ms", "0");
    let mut cluster = Cluster::start(settings).await;
    cluster.new_partition("made-up").await;
    let served = cluster.group("served").await;

    let groups = by_coordinator(&cluster).await;
    let done = AtomicUsize::new(0);
    let flood = async {
        let mut clients = Vec::new();
        for (node, groups) in &groups {
            clients.push((cluster.connect(*node).await, groups));
        }
        let [one, two, three] = <[_; 3]>::try_from(clients).unwrap();
        let (one, two, three) = tokio::join!(
            commit_all(one.0, one.1, &done),
            commit_all(two.0, two.1, &done),
            commit_all(three.0, three.1, &done)
        );
        [one, two, three].into_iter().flatten().all(|outcome| outcome.is_none())
    };
    let others = async {
        let mut rounds = 0;
        while done.load(Ordering::Relaxed) < GROUPS {
            let mut members = [ClassicMember::new(&served).await, ClassicMember::new(&served).await];
            form(&mut members).await;
            let commit = Commit::outside("made-up", 0, rounds);
            let commit = commit.by(&members[1].id, members[1].generation);
            assert_eq!(served.commit(&commit).await, None);
            for member in members {
                assert_eq!(member.leave().await, None);
            }
            rounds += 1;
        }
        rounds
    };
    let (all_kept, rounds) = tokio::join!(flood, others);
    assert!(all_kept, "there is room for all of them");
    assert!(rounds > 1, "another group is rebalanced and commits all the while");
    assert_eq!(served.offset("made-up", 0).await, rounds - 1);

    for (node, groups) in &groups {
        check_all(cluster.connect(*node).await, groups).await;
    }
    let memory = cluster.resident_bytes();
    assert!(memory < MEMORY, "{} MiB for {GROUPS} groups", memory >> 20);

    // The nodes come back with all of them.
    for node in cluster.ids() {
        cluster.kill(node);
    }
    for node in cluster.ids() {
        cluster.start_node(node);
    }
    cluster.wait_ready().await.unwrap();
    // Who is asked must not move meanwhile, as leaders do a while after a start.
    cluster.wait_preferred(CONSUMER_OFFSETS).await;
    for (node, groups) in by_coordinator(&cluster).await {
        let address = cluster.node(node).address();
        check_all(Connection::connect(address, &connection_options()).await.unwrap(), &groups).await;
    }
    cluster.assert_alive();
}

#[tokio::test]
async fn a_coordinator_that_is_full_says_so_and_loses_nothing() {
    let cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    cluster.new_partition("made-up").await;
    let partitions = cluster.topic(CONSUMER_OFFSETS).await.expect("it exists").partitions.len();
    let wanted = partition_of(&name(0), partitions);
    let same = (0..).filter(|number| partition_of(&name(*number), partitions) == wanted);
    let groups = same.take(ROOM + 1000).collect::<Vec<_>>();
    let group = cluster.group(&name(0)).await;
    let outcomes = commit_all(group.connection.clone(), &groups, &AtomicUsize::new(0)).await;
    let full = Some(ResponseError::GroupMaxSizeReached);
    assert!(outcomes[..ROOM].iter().all(Option::is_none), "as many as there is room for are kept");
    assert!(outcomes[ROOM..].iter().all(|outcome| *outcome == full), "the others are told");
    check_all(group.connection.clone(), &groups[..ROOM]).await;
    // What it holds it goes on with, and whoever leaves makes room.
    assert_eq!(group.commit(&Commit::outside("made-up", 0, 3)).await, None);
    assert_eq!(group.delete().await, None);
    let last = cluster.group(&name(*groups.last().unwrap())).await;
    assert_eq!(last.commit(&Commit::outside("made-up", 0, 3)).await, None);
    cluster.assert_alive();
}
