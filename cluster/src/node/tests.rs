//! Three nodes in one process, over real sockets and real stores.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::{
    Append, AppendError, Appended, Awaited, Durability, Held, Node, NodeConfig, Reserve, StartError,
    SubmitError, wall_clock,
};
use crate::controller::configs::BrokerSettings;
use crate::controller::{
    ControllerRequest, ControllerResponse, CreateTopics, DeleteTopics, ErrorCode, Listener, NewTopic,
    TopicRef,
};
use crate::ids::{NodeId, Offset, RaftGroupId};
use crate::partition::testing::{BatchBuilder, TestRecord};
use crate::partition::{RecordLimits, TimestampType, batches, check_record_set};
use crate::replica::Replica;
use crate::survey::Lag;

const PATIENCE: Duration = Duration::from_secs(30);

struct Cluster {
    nodes: BTreeMap<NodeId, Node>,
    peers: BTreeMap<NodeId, String>,
    dirs: BTreeMap<NodeId, TempDir>,
}

impl Cluster {
    async fn start(nodes: u32) -> Self {
        let ids = || (1..=nodes).map(NodeId);
        let mut listeners: BTreeMap<_, _> =
            ids().map(|id| (id, TcpListener::bind("127.0.0.1:0").unwrap())).collect();
        let peers = listeners.iter().map(|(id, l)| (*id, l.local_addr().unwrap().to_string())).collect();
        let dirs = ids().map(|id| (id, tempfile::tempdir().unwrap())).collect();
        let mut cluster = Self { nodes: BTreeMap::new(), peers, dirs };
        for id in ids() {
            cluster.run(id, listeners.remove(&id).unwrap()).await;
        }
        for node in cluster.nodes.values() {
            let complete = node.await_published(PATIENCE, || node.image().brokers().len() == nodes as usize);
            tokio::select! {
                complete = complete => assert_ne!(complete, Awaited::TimedOut, "not every node registered"),
                ended = node.ended() => panic!("{ended:?}"),
            }
        }
        cluster
    }

    async fn run(&mut self, id: NodeId, peer_listener: TcpListener) {
        let node = self.start_with(id, peer_listener, self.peers.clone()).await.unwrap();
        self.nodes.insert(id, node);
    }

    /// Starts a node on its data directory, as one of these.
    async fn start_with(
        &self,
        id: NodeId,
        peer_listener: TcpListener,
        peers: BTreeMap<NodeId, String>,
    ) -> Result<Node, StartError> {
        let config = NodeConfig {
            node: id,
            cluster_id: "test".into(),
            data_dir: self.dirs[&id].path().to_path_buf(),
            peer_listener,
            peers,
            secret: None,
            durability: Durability::Sync,
            boot: None,
            reserve: Reserve::default(),
            settings: Arc::new(BrokerSettings::default()),
            listeners: vec![Listener { name: "PLAINTEXT".into(), host: "127.0.0.1".into(), port: 9092 }],
            rack: None,
        };
        Node::start(config).await
    }

    async fn restart(&mut self, id: NodeId) {
        let listener = TcpListener::bind(&self.peers[&id]).unwrap();
        self.run(id, listener).await;
    }

    async fn stop(&mut self, id: NodeId) {
        self.nodes.remove(&id).unwrap().shutdown().await.unwrap();
    }

    fn any(&self) -> &Node {
        self.nodes.values().next().unwrap()
    }

    async fn create_topic(&self, name: &str, partitions: i32) -> Vec<RaftGroupId> {
        let topic = NewTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        };
        let request = CreateTopics { topics: vec![topic], validate_only: false };
        let response = self.any().submit(ControllerRequest::CreateTopics(request), PATIENCE).await.unwrap();
        let ControllerResponse::CreateTopics(results) = response else { panic!("{response:?}") };
        // A controller that lost its leadership before it could answer is asked again, and may have made it the first time.
        let outcome = results[0].outcome.as_ref().map_err(|error| error.code);
        assert!(matches!(outcome, Ok(_) | Err(ErrorCode::TopicAlreadyExists)), "{outcome:?}");
        let groups_of = |node: &Node| -> Option<Vec<RaftGroupId>> {
            Some(node.image().topic(name)?.partitions.iter().map(|partition| partition.group).collect())
        };
        for node in self.nodes.values() {
            assert!(node.await_published(PATIENCE, || groups_of(node).is_some()).await.held());
            assert!(node.await_leaders(&groups_of(node).unwrap(), PATIENCE).await.held());
        }
        groups_of(self.any()).unwrap()
    }

    fn leader(&self, group: RaftGroupId) -> Option<&Node> {
        self.nodes.get(&self.any().leadership(group)?.leader)
    }

    /// Appends a record wherever the group leads, as a client does that follows the leader.
    async fn append(&self, group: RaftGroupId, value: &str) -> Appended {
        loop {
            let Some(leader) = self.leader(group) else {
                tokio::task::yield_now().await;
                continue;
            };
            match leader.append(request(group, value)).await {
                Ok(appended) => return appended,
                Err(AppendError::NotLeader) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn read(&self, group: RaftGroupId, from: i64, to: i64) -> Vec<Offset> {
        loop {
            let replica = self.leader(group).and_then(|leader| leader.replica(group));
            if let Some(replica) = replica.filter(|replica| {
                let status = replica.status();
                status.leading.is_some() && status.high_watermark >= Offset(to)
            }) {
                return offsets(&replica, from);
            }
            tokio::task::yield_now().await;
        }
    }
}

fn request(group: RaftGroupId, value: &str) -> Append {
    let batch = BatchBuilder::of_records(&[TestRecord::of_value(value)]).build();
    let batch = check_record_set(batch.into(), &RecordLimits::of_size(1 << 20)).unwrap();
    Append {
        group,
        batch,
        timestamp_type: TimestampType::CreateTime,
        now: wall_clock(),
        min_insync_replicas: None,
        held: Held::default(),
    }
}

/// The base offsets of what can be read.
fn offsets(replica: &Replica, from: i64) -> Vec<Offset> {
    let read = replica.read_blocking(Offset(from), usize::MAX, true).unwrap();
    read.iter().flat_map(batches).map(|batch| batch.unwrap().0.base_offset).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_every_single_node() {
    let mut cluster = Cluster::start(3).await;
    let groups = cluster.create_topic("t", 3).await;
    let leaders: std::collections::BTreeSet<NodeId> =
        groups.iter().map(|group| cluster.any().leadership(*group).unwrap().leader).collect();
    assert_eq!(leaders.len(), 3, "leaders are spread");
    let mut expected = 0;
    for id in [1, 2, 3].map(NodeId) {
        for _ in 0..10 {
            let appended = cluster.append(groups[0], "v").await;
            assert_eq!(appended.base_offset, Offset(expected));
            expected += 1;
        }
        cluster.stop(id).await;
        for _ in 0..10 {
            assert_eq!(cluster.append(groups[0], "v").await.base_offset, Offset(expected));
            expected += 1;
        }
        assert_eq!(cluster.read(groups[0], 0, expected).await.len(), usize::try_from(expected).unwrap());
        cluster.restart(id).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_was_stopped_goes_on_where_it_was() {
    let mut cluster = Cluster::start(3).await;
    let group = cluster.create_topic("t", 1).await[0];
    let gone = cluster.create_topic("gone", 1).await[0];
    cluster.append(gone, "v").await;
    for _ in 0..100 {
        cluster.append(group, "v").await;
    }
    let delete = DeleteTopics { topics: vec![TopicRef::Name("gone".into())] };
    cluster.any().submit(ControllerRequest::DeleteTopics(delete), PATIENCE).await.unwrap();
    for id in [1, 2, 3].map(NodeId) {
        cluster.stop(id).await;
    }
    for id in [1, 2, 3].map(NodeId) {
        cluster.restart(id).await;
    }
    for node in cluster.nodes.values() {
        assert!(node.await_leaders(&[group], PATIENCE).await.held());
        assert!(node.image().topic("gone").is_none());
        assert!(node.replica(gone).is_none());
    }
    assert_eq!(cluster.read(group, 0, 100).await.len(), 100);
    assert_eq!(cluster.append(group, "v").await.base_offset, Offset(100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_alone_is_a_cluster() {
    let cluster = Cluster::start(1).await;
    let group = cluster.create_topic("t", 1).await[0];
    assert_eq!(cluster.append(group, "v").await.base_offset, Offset(0));
    assert_eq!(cluster.read(group, 0, 1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_tells_how_it_stands() {
    let cluster = Cluster::start(1).await;
    let group = cluster.create_topic("t", 1).await[0];
    cluster.append(group, "v").await;
    let node = cluster.any();
    assert!(node.ensure_coordinators(PATIENCE).await, "their groups are surveyed, too");
    let survey = node.survey(PATIENCE).await.unwrap();
    assert!(survey.leads_controller);
    assert_eq!(survey.groups_led, survey.groups, "it is alone");
    assert!(survey.highest_term >= survey.controller_term && survey.controller_term > 0);
    assert_eq!(survey.replication_lag, Lag::default(), "nobody follows");
    assert_eq!(node.acting_leadership(group).map(|known| known.leader), Some(node.id()));
    assert!(node.reaches_majority() && node.reaches_majority_of([NodeId(1)].into_iter()));
    assert!(!node.reaches_majority_of([1, 2, 3].map(NodeId).into_iter()));
    while !node.is_registered() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_node_is_told_from_a_timeout() {
    let mut cluster = Cluster::start(1).await;
    let node = cluster.any().clone();
    assert_eq!(node.await_published(Duration::ZERO, || false).await, Awaited::TimedOut);
    let waiting = node.await_published(PATIENCE, || false);
    let (awaited, ()) = tokio::join!(waiting, cluster.stop(NodeId(1)));
    assert_eq!(awaited, Awaited::Ended);
    assert_eq!(node.await_published(PATIENCE, || false).await, Awaited::Ended, "at once");
    assert!(node.await_published(PATIENCE, || true).await.held(), "what is known stays known");
    let request = ControllerRequest::CreateTopics(CreateTopics { topics: Vec::new(), validate_only: true });
    assert_eq!(node.submit(request, PATIENCE).await, Err(SubmitError::Ended));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_keeps_the_nodes_it_was_made_with_and_not_their_addresses() {
    let mut cluster = Cluster::start(1).await;
    cluster.stop(NodeId(1)).await;
    let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
    let others = (1..=3).map(|id| (NodeId(id), format!("127.0.0.1:{id}"))).collect();
    for _ in 0..2 {
        let refused = cluster.start_with(NodeId(1), listener(), BTreeMap::clone(&others)).await;
        let Err(error @ StartError::OtherPeers { .. }) = refused.map(drop) else { panic!("it starts") };
        let said = error.to_string();
        assert!(said.contains("of nodes 1,") && said.contains("names nodes 1, 2, 3"), "{said}");
    }
    let elsewhere = [(NodeId(1), "127.0.0.1:9".to_owned())].into();
    let node = cluster.start_with(NodeId(1), listener(), elsewhere).await.unwrap();
    assert!(node.await_published(PATIENCE, || node.has_caught_up()).await.held());
    node.shutdown().await.unwrap();
}
