//! Some nodes that form a cluster, each a process of its own.
//!
//! Clusters are dear on a small machine: no more than [`CLUSTERS_AT_ONCE`] live at the same time in one test process,
//! and tests that break nothing share one ([`shared`]).

mod options;

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse};
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};
use trilog_client::wire::{Connection, ConnectionOptions};

use crate::binary::{self, FAULT};
use crate::clock::Clock;
use crate::faulty_disk::FaultyDisk;
use crate::links::Links;
use crate::network::Network;
use crate::node::{Node, Signal};
use crate::ports::free_port;
use crate::requests::topic_name;
use crate::scratch::Scratch;
use crate::small_disk::SmallDisk;
use crate::waiting::wait_until;

pub use options::ClusterOptions;

/// Clusters alive at once in a test process. Most of their time is spent waiting, so that there may be more of them than cores.
const CLUSTERS_AT_ONCE: usize = 4;

static PERMITS: Semaphore = Semaphore::const_new(CLUSTERS_AT_ONCE);

/// The right to run a cluster by other means than [`Cluster`], as `trilog dev` does.
///
/// # Panics
/// Never: the semaphore is not closed.
pub async fn permit_to_run() -> SemaphorePermit<'static> {
    PERMITS.acquire().await.expect("the semaphore is never closed")
}

/// The `--cluster-id` of every cluster here.
pub const CLUSTER_ID: &str = "trilog-test";

/// What the nodes of every cluster here prove that they have.
pub const CLUSTER_SECRET: &str = "the secret of the clusters of tests";

/// The topic whose partitions' leaders coordinate the consumer groups.
pub const CONSUMER_OFFSETS: &str = "__consumer_offsets";

/// How often a cluster is tried on other ports when somebody else took one in the meantime.
const ATTEMPTS: usize = 3;

/// A running cluster. Dropped, all its nodes are killed.
#[derive(Debug)]
pub struct Cluster {
    nodes: BTreeMap<i32, Node>,
    links: Option<Links>,
    // Declared behind the nodes: their processes are gone before their network and their files are.
    network: Option<Network>,
    small_disks: BTreeMap<i32, SmallDisk>,
    faulty_disks: BTreeMap<i32, FaultyDisk>,
    scratch: Scratch,
    _permit: SemaphorePermit<'static>,
}

impl Cluster {
    /// Starts a cluster and waits until it is [ready](Self::wait_ready).
    ///
    /// # Panics
    /// If it does not come up.
    pub async fn start(options: ClusterOptions) -> Self {
        let executable = options.fault.map_or(binary::trilog as fn() -> _, |_| binary::faulty);
        let executable = tokio::task::spawn_blocking(executable).await.expect("the executable is there");
        for attempt in 1..=ATTEMPTS {
            let permit = permit_to_run().await;
            let mut cluster = Self::prepare(executable, &options, permit);
            for node in cluster.nodes.values_mut() {
                node.start();
            }
            match cluster.wait_ready().await {
                Ok(()) => return cluster,
                Err(dead) => {
                    let log = cluster.node(dead).log();
                    let clash = log.contains("in use") && attempt < ATTEMPTS;
                    assert!(clash, "node {dead} died while the cluster started:\n{log}");
                }
            }
        }
        unreachable!("the last attempt returns or panics")
    }

    /// A cluster that runs already, started by somebody else: the addresses of its nodes in order of their ids.
    async fn foreign(addresses: &str) -> Self {
        let permit = permit_to_run().await;
        let nodes = (1..).zip(addresses.split(','));
        let nodes = nodes.map(|(id, address)| (id, Node::foreign(id, address.to_owned()))).collect();
        let (small_disks, faulty_disks) = (BTreeMap::new(), BTreeMap::new());
        let scratch = Scratch::new("foreign");
        let cluster =
            Self { nodes, links: None, network: None, small_disks, faulty_disks, scratch, _permit: permit };
        for node in cluster.nodes.values() {
            wait_until(&format!("somebody answers at {}", node.address()), async || {
                Connection::connect(node.address(), &connection_options()).await.ok()
            })
            .await;
        }
        cluster
    }

    /// The nodes, none of which runs. The executable gets another name, so that a build during the tests, which replaces the
    /// file, changes nothing when a node is started again.
    fn prepare(executable: &Path, options: &ClusterOptions, permit: SemaphorePermit<'static>) -> Self {
        let scratch = Scratch::new("cluster");
        let own_executable = scratch.join("trilog");
        binary::keep(executable, &own_executable);
        let ids = (1..=options.nodes).collect::<Vec<_>>();
        let ports = ids.iter().map(|id| (*id, free_port(), free_port())).collect::<Vec<_>>();
        let peer_ports = ports.iter().map(|(id, _, peer)| (*id, *peer)).collect();
        let links = options.links.then(|| Links::new(&peer_ports));
        let network = options.network.then(|| Network::lay(&ids).expect("a network can be laid"));
        let host_of = |id| network.as_ref().map_or_else(|| "127.0.0.1".to_owned(), |it| it.address(id));
        let mount = |id: &i32| {
            let mib = options.small_disks?;
            Some((*id, SmallDisk::mount(mib).expect("a small disk can be mounted")))
        };
        let small_disks = ids.iter().filter_map(mount).collect::<BTreeMap<_, _>>();
        let faulty = ids.iter().filter(|_| options.faulty_disks);
        let faulty = faulty.map(|id| (*id, FaultyDisk::mount().expect("a faulty disk can be mounted")));
        let faulty_disks = faulty.collect::<BTreeMap<_, _>>();
        let secret = scratch.join("cluster.secret");
        std::fs::write(&secret, CLUSTER_SECRET).expect("the secret can be written");
        // Nodes warn of a secret that others may read.
        std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).expect("its owner is this process");
        let nodes = ports.iter().map(|&(id, client_port, peer_port)| {
            let host = host_of(id);
            let address = format!("{host}:{client_port}");
            let http_address = format!("{host}:{}", free_port());
            let own = || {
                let small = small_disks.get(&id).map(SmallDisk::data_dir);
                let disk = small.or_else(|| faulty_disks.get(&id).map(FaultyDisk::data_dir));
                disk.unwrap_or_else(|| scratch.join(&format!("node-{id}")))
            };
            let data_dir = options.data_dirs.get(&id).cloned().unwrap_or_else(own);
            let mut arguments = vec![
                format!("--node-id={id}"),
                format!("--data-dir={}", data_dir.display()),
                format!("--listeners=PLAINTEXT://{address}"),
                format!("--peer-listener={host}:{peer_port}"),
                format!("--peers={}", peers(id, &peer_ports, links.as_ref(), host_of)),
                format!("--cluster-id={CLUSTER_ID}"),
                format!("--cluster-secret-file={}", secret.display()),
                format!("--http-listener={http_address}"),
            ];
            arguments.extend_from_slice(&options.flags);
            arguments.extend(options.settings.iter().map(|(name, value)| format!("--set={name}={value}")));
            let log = scratch.join(&format!("node-{id}.log"));
            let node = Node::new(id, own_executable.clone(), arguments, address, data_dir, log);
            let mut launcher = network.as_ref().map(|network| network.launcher(id)).unwrap_or_default();
            launcher.extend(options.fault.iter().flat_map(|it| ["env".to_owned(), format!("{FAULT}={it}")]));
            if let Some(limit) = options.open_files {
                // The shell becomes the command that follows: its process id is the node's.
                let limited = format!("ulimit -n {limit} && exec \"$0\" \"$@\"");
                launcher.extend(["sh".to_owned(), "-c".to_owned(), limited]);
            }
            let node = node.with_http(http_address).with_launcher(launcher);
            let clock = || Clock::new(scratch.join(&format!("node-{id}.clock")));
            (id, if options.clocks { node.with_clock(clock()) } else { node })
        });
        let nodes = nodes.collect();
        Self { nodes, links, network, small_disks, faulty_disks, scratch, _permit: permit }
    }

    /// The links between the nodes.
    ///
    /// # Panics
    /// If the cluster was not started with [`ClusterOptions::links`].
    pub fn links(&self) -> &Links {
        self.links.as_ref().expect("the cluster was started with links")
    }

    /// The network of the nodes.
    ///
    /// # Panics
    /// If the cluster was not started with [`ClusterOptions::network`].
    pub fn network(&self) -> &Network {
        self.network.as_ref().expect("the cluster was started with a network")
    }

    /// The disk of a node.
    ///
    /// # Panics
    /// If the cluster was not started with [`ClusterOptions::small_disks`].
    pub fn small_disk(&self, id: i32) -> &SmallDisk {
        self.small_disks.get(&id).expect("the cluster was started with small disks")
    }

    /// The disk of a node.
    ///
    /// # Panics
    /// If the cluster was not started with [`ClusterOptions::faulty_disks`].
    pub fn faulty_disk(&self, id: i32) -> &FaultyDisk {
        self.faulty_disks.get(&id).expect("the cluster was started with faulty disks")
    }

    /// Whether a node's syncs may hang or fail at present.
    pub fn has_disk_trouble(&self, id: i32) -> bool {
        self.faulty_disks.get(&id).is_some_and(FaultyDisk::is_troubled)
    }

    /// Makes durable what a test has done to a node's disk; nothing to do unless it is a faulty one.
    pub fn settle_disk(&self, id: i32) {
        self.faulty_disks.get(&id).inspect(|disk| disk.settle());
    }

    /// Cuts the power of these nodes at one moment. The seed decides what survives of what was not synced.
    pub fn cut_power(&mut self, ids: &[i32], seed: u64) {
        for (id, seed) in ids.iter().zip(seed..) {
            self.faulty_disk(*id).cut_power(seed);
        }
        self.come_back_without_processes(ids);
    }

    /// Cuts the power of these nodes at one moment. Nothing survives that was not synced.
    pub fn cut_power_and_lose_unsynced(&mut self, ids: &[i32]) {
        for id in ids {
            self.faulty_disk(*id).cut_power_and_lose_unsynced();
        }
        self.come_back_without_processes(ids);
    }

    /// What a power cut does besides: no process is left, and then there is power again.
    fn come_back_without_processes(&mut self, ids: &[i32]) {
        for id in ids {
            self.kill(*id);
            self.node_mut(*id).reboot();
            self.faulty_disk(*id).restore_power();
        }
    }

    /// A directory for a test's own files.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// The ids of all nodes, running or not.
    pub fn ids(&self) -> Vec<i32> {
        self.nodes.keys().copied().collect()
    }

    /// The ids of the nodes that were started and neither killed nor stopped since.
    pub fn started(&self) -> Vec<i32> {
        self.nodes.values().filter(|node| node.is_started()).map(Node::id).collect()
    }

    /// One node.
    ///
    /// # Panics
    /// If there is none with this id.
    pub fn node(&self, id: i32) -> &Node {
        self.nodes.get(&id).expect("a node of the cluster")
    }

    fn node_mut(&mut self, id: i32) -> &mut Node {
        self.nodes.get_mut(&id).expect("a node of the cluster")
    }

    /// The addresses of all nodes, as clients take them.
    pub fn bootstrap(&self) -> String {
        self.nodes.values().map(Node::address).collect::<Vec<_>>().join(",")
    }

    /// A new connection to a node.
    ///
    /// # Panics
    /// If the node does not answer.
    pub async fn connect(&self, id: i32) -> Connection {
        let connection = Connection::connect(self.node(id).address(), &connection_options()).await;
        connection.expect("a running node answers")
    }

    /// A new connection to some node that runs.
    pub async fn connect_any(&self) -> Connection {
        let first = self.started().first().copied().expect("some node runs");
        self.connect(first).await
    }

    /// SIGKILL.
    pub fn kill(&mut self, id: i32) {
        // A process that waits for its disk does not end before the disk answers.
        let disk = self.faulty_disks.get(&id);
        disk.inspect(|disk| disk.give_up());
        self.nodes.get_mut(&id).expect("a node of the cluster").kill();
        disk.inspect(|disk| disk.wait_again());
    }

    /// SIGKILL to all of these nodes at one moment. A process with gigabytes in memory takes a while to end: the others would elect
    /// meanwhile.
    pub fn kill_at_once(&mut self, ids: &[i32]) {
        ids.iter().for_each(|id| self.node_mut(*id).begin_kill());
        ids.iter().for_each(|id| self.kill(*id));
    }

    /// SIGKILL, and the node believes at its next start that its machine went down, though its files are whole.
    pub fn lose_power(&mut self, id: i32) {
        self.kill(id);
        self.node_mut(id).reboot();
    }

    /// SIGKILL, and the node's disk is gone with it. What was on it is returned, for who wants to put it back by
    /// [`Self::put_back`].
    ///
    /// # Panics
    /// If the data directory cannot be moved away.
    pub fn wipe(&mut self, id: i32) -> PathBuf {
        self.kill(id);
        let from = self.node(id).data_dir();
        // Beside it, and so on the same file system.
        let lost = from.with_file_name(format!("lost-{id}"));
        let _ = std::fs::remove_dir_all(&lost);
        std::fs::rename(from, &lost).expect("a data directory can be moved");
        lost
    }

    /// Gives a node that does not run the disk again that [`Self::wipe`] took from it.
    ///
    /// # Panics
    /// If the data directory cannot be moved back.
    pub fn put_back(&self, id: i32, lost: &Path) {
        let _ = std::fs::remove_dir_all(self.node(id).data_dir());
        std::fs::rename(lost, self.node(id).data_dir()).expect("a data directory can be moved");
    }

    /// SIGTERM; waits for the end.
    ///
    /// # Panics
    /// If the node does not end, or not with exit code 0. One that begins anew after its disk was full runs no code of its own for a
    /// moment, in which the signal ends the process by itself.
    pub async fn stop(&mut self, id: i32) {
        let status = self.node_mut(id).stop().await;
        let is_between_runs = || status.signal().is_some() && self.node(id).has_announced_another_run();
        assert!(status.success() || is_between_runs(), "node {id} ended upon SIGTERM with {status}");
    }

    /// SIGSTOP: the process keeps its sockets and says nothing.
    pub fn pause(&self, id: i32) {
        Signal::Pause.send(self.node(id).pid());
    }

    /// SIGCONT.
    pub fn resume(&self, id: i32) {
        Signal::Resume.send(self.node(id).pid());
    }

    /// Starts a node again, with the same flags and data; does not wait for anything.
    pub fn start_node(&mut self, id: i32) {
        self.node_mut(id).start();
    }

    /// Waits until every running node answers and lists all running nodes, one of them as controller, and the leaders
    /// of all group coordinators.
    ///
    /// # Errors
    /// The id of a node that died by itself.
    ///
    /// # Panics
    /// If it takes too long.
    pub async fn wait_ready(&self) -> Result<(), i32> {
        let started = self.started();
        wait_until(
            &format!("nodes {started:?} know each other, a controller and the coordinators"),
            async || {
                for id in &started {
                    if self.node(*id).has_died() {
                        return Some(Err(*id));
                    }
                    if !self.sees(*id, &started).await {
                        return None;
                    }
                }
                Some(Ok(()))
            },
        )
        .await
    }

    /// Whether this node lists these nodes, one of them as controller, and a leader of each group coordinator.
    async fn sees(&self, id: i32, expected: &[i32]) -> bool {
        let Ok(connection) = Connection::connect(self.node(id).address(), &connection_options()).await else {
            return false;
        };
        let coordinators = MetadataRequestTopic::default().with_name(Some(topic_name(CONSUMER_OFFSETS)));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![coordinators]))
            .with_allow_auto_topic_creation(false);
        let Ok(metadata) = connection.request(request).await else { return false };
        let listed = listed(&metadata);
        expected.iter().all(|id| listed.contains(id))
            && expected.contains(&metadata.controller_id.0)
            && metadata.topics.iter().all(is_led)
    }

    /// Fails if a node has died by itself.
    ///
    /// # Panics
    /// With the node's log.
    pub fn assert_alive(&self) {
        for node in self.nodes.values() {
            assert!(!node.has_died(), "node {} died:\n{}", node.id(), node.log());
        }
    }

    /// Resident memory of all running nodes, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        self.nodes.values().filter(|node| node.is_started()).map(Node::resident_bytes).sum()
    }
}

/// The `--peers` of a node: where it reaches each one, itself included.
fn peers(
    from: i32,
    ports: &BTreeMap<i32, u16>,
    links: Option<&Links>,
    host_of: impl Fn(i32) -> String,
) -> String {
    let peers = ports.iter().map(|(to, port)| match links {
        Some(links) if *to != from => format!("{to}@{}", links.address(from, *to)),
        _ => format!("{to}@{}:{port}", host_of(*to)),
    });
    peers.collect::<Vec<_>>().join(",")
}

/// Whether a topic exists and all of its partitions have leaders.
fn is_led(topic: &MetadataResponseTopic) -> bool {
    topic.error_code == 0 && topic.partitions.iter().all(|partition| partition.error_code == 0)
}

/// The brokers a Metadata answer lists, in order of their ids.
pub fn listed(metadata: &MetadataResponse) -> Vec<i32> {
    let mut ids = metadata.brokers.iter().map(|broker| broker.node_id.0).collect::<Vec<_>>();
    ids.sort_unstable();
    ids
}

/// How the tests' own connections behave: as default, but less patient.
pub fn connection_options() -> ConnectionOptions {
    ConnectionOptions {
        client_id: "trilog-tests".to_owned(),
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(30),
        ..ConnectionOptions::default()
    }
}

/// Names a running cluster that [`shared`] takes instead of starting one: the addresses of its three nodes, in order of
/// their ids. With Apache Kafka there, its tests show whether they ask for what Kafka does; it wants the settings of
/// [`shared_options`] too.
const FOREIGN: &str = "TRILOG_TEST_BOOTSTRAP";

/// The shared cluster: groups settle at once, and sessions may be short.
fn shared_options() -> ClusterOptions {
    ClusterOptions::nodes(3)
        .set("group.initial.rebalance.delay.ms", "0")
        .set("group.min.session.timeout.ms", "500")
        .set("group.consumer.min.heartbeat.interval.ms", "100")
        .set("group.consumer.heartbeat.interval.ms", "100")
}

/// A cluster of three that tests share which break nothing and use topics and groups of their own. It lives while any
/// of them runs.
#[derive(Debug)]
pub struct SharedCluster {
    cluster: Arc<Cluster>,
}

/// Gets hold of the shared cluster, starting it if it does not run.
pub async fn shared() -> SharedCluster {
    static SHARED: Mutex<Weak<Cluster>> = Mutex::const_new(Weak::new());
    let mut shared = SHARED.lock().await;
    let cluster = match shared.upgrade() {
        Some(cluster) => cluster,
        None => Arc::new(match std::env::var(FOREIGN) {
            Ok(addresses) => Cluster::foreign(&addresses).await,
            Err(_) => Cluster::start(shared_options()).await,
        }),
    };
    *shared = Arc::downgrade(&cluster);
    SharedCluster { cluster }
}

impl Deref for SharedCluster {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Drop for SharedCluster {
    fn drop(&mut self) {
        // The cluster may be dropped by another test that went well.
        if std::thread::panicking() {
            self.cluster.scratch.keep();
        }
    }
}
