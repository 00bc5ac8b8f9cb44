//! One node's handle: what a broker asks of the cluster.
//!
//! Everything here is either a look at what the [driver](crate::driver) published, or a message to it. Requests for
//! the controller go to wherever it leads; any node takes them.

mod administration;
mod append;
mod confirmation;
mod coordinators;
mod deletion;
mod inspection;
mod link;
mod opening;
mod retention;
#[cfg(test)]
mod tests;
mod vouched_clock;
mod waiting;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
pub use trilog_storage::{BootId, NotABootId, free_space};
use trilog_storage::{OpenError, TailCache};
use uuid::Uuid;

pub use self::append::AppendFuture;
pub use self::confirmation::{ConfirmFuture, Confirmed};
pub use self::coordinators::CoordinateFuture;
pub use self::deletion::DeleteRecordsFuture;
use self::link::Link;
use self::opening::{End, open, start_driver};
pub use self::waiting::Awaited;
use crate::controller::configs::BrokerSettings;
use crate::controller::{
    Broker, ControllerRequest, ControllerResponse, Listener, MAX_REQUEST_BYTES, MetadataImage, Partition,
};
use crate::coordinator::TopicPatterns;
use crate::driver::inbox::{Inbox, Input};
pub use crate::driver::{Append, Durability, FatalError, Held, Reserve};
use crate::driver::{DriverConfig, Published};
use crate::ids::{NodeId, RaftGroupId, TimestampMs, TopicId};
pub use crate::leadership::Leadership;
use crate::metrics::NodeMetrics;
use crate::replica::Replica;
use crate::secret::ClusterSecret;
pub use crate::shard::effects::{AppendError, Appended, DeleteRecordsError, NotController, NotCoordinator};
pub use crate::shard::standing::Standing;
use crate::shard::{CheckpointPolicy, OPENED_PER_ROUND, ProducerLimits, ShardConfig};
use crate::transport::{PeerThread, RpcClient, Transport, TransportConfig};

/// Recent entries that a node keeps in memory, for followers and consumers that keep up.
const TAIL_BYTES: usize = 24 << 20;

/// How long one attempt to reach the controller may take before another is made.
const SUBMIT_ATTEMPT: Duration = Duration::from_secs(2);

/// The pause after an attempt that failed at once.
const SUBMIT_PAUSE: Duration = Duration::from_millis(20);

/// How long a node asks to be registered before it logs that no controller answers.
const REGISTER_ATTEMPT: Duration = Duration::from_secs(60);

/// The pause after an answer that cannot be understood, which comes at once and may come again and again.
const PAUSE_AFTER_BAD_ANSWER: Duration = Duration::from_secs(1);

/// What a node is started with.
#[derive(Debug)]
pub struct NodeConfig {
    /// This node.
    pub node: NodeId,
    /// The cluster it belongs to; nodes of another one are refused.
    pub cluster_id: String,
    /// Where it keeps its data.
    pub data_dir: PathBuf,
    /// Where the other nodes reach it.
    pub peer_listener: std::net::TcpListener,
    /// All nodes of the cluster with their peer addresses (`host:port`), this one included.
    pub peers: BTreeMap<NodeId, String>,
    /// What the nodes of the cluster prove that they have. Without it, a node speaks to peers on its machine's loopback
    /// address alone.
    pub secret: Option<ClusterSecret>,
    /// When a write counts as stored.
    pub durability: Durability,
    /// Which boot of the machine this is; the machine is asked if there is none. Another one than before says that the power
    /// failed meanwhile.
    pub boot: Option<BootId>,
    /// What is kept free on the disk.
    pub reserve: Reserve,
    /// The broker's settings: defaults for topics.
    pub settings: Arc<BrokerSettings>,
    /// Where clients reach it, as registered with the controller.
    pub listeners: Vec<Listener>,
    /// The rack it stands in, for clients that care.
    pub rack: Option<String>,
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What the data directory holds cannot be read, or a thread cannot be started.
    #[error(transparent)]
    Fatal(#[from] FatalError),
    /// The peer listener cannot be used.
    #[error("the peer listener cannot be used: {0}")]
    PeerListener(#[source] std::io::Error),
    /// The data directory belongs to a cluster of other nodes.
    #[error(
        "data directory {} belongs to a cluster of nodes {found}, and --peers names nodes {given}: a cluster keeps the \
         nodes that it was made with, of which only the addresses may change; correct --peers, or choose another --data-dir",
        path.display()
    )]
    OtherPeers {
        /// The data directory.
        path: PathBuf,
        /// The nodes of its cluster.
        found: String,
        /// The nodes that were given.
        given: String,
    },
}

impl StartError {
    /// Whether the disk is full, so that the node can start once there is room.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        match self {
            Self::Open(error) => error.is_no_space(),
            Self::Fatal(error) => error.is_no_space(),
            Self::PeerListener(_) | Self::OtherPeers { .. } => false,
        }
    }
}

/// Why a request for the controller has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// No controller answered in time. Whether the request was carried out is unknown.
    #[error("no controller answered in time")]
    TimedOut,
    /// Another node answered something that this one does not understand.
    #[error("the controller's answer cannot be understood")]
    BadAnswer,
    /// This node has stopped. Whether the request was carried out is unknown.
    #[error("this node has stopped")]
    Ended,
    /// The request is longer than what the controller decides in one go ([`MAX_REQUEST_BYTES`]). It is not carried out.
    #[error("The request asks for too much at once: ask for less in one request.")]
    TooLarge,
}

/// A running node. Clones are the same node.
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
}

struct Shared {
    node: NodeId,
    /// How many nodes the cluster has.
    nodes: usize,
    cluster_id: String,
    settings: Arc<BrokerSettings>,
    published: Arc<Published>,
    inbox: Arc<Inbox>,
    transport: Transport,
    _peer_thread: PeerThread,
    rpc: Arc<RpcClient>,
    metrics: NodeMetrics,
    patterns: Arc<TopicPatterns>,
    /// Lets one question for producers at a time through to the driver.
    producer_questions: Semaphore,
    /// Tells this process from earlier ones of the same node.
    incarnation: Uuid,
    /// The controller has taken what this process says of itself.
    registered: AtomicBool,
    /// How the driver ended, once it has.
    ended: watch::Receiver<Option<End>>,
}

impl Node {
    /// Opens the data directory, joins the cluster and starts to serve. Returns before a controller is elected.
    ///
    /// # Errors
    /// [`StartError`]: the data directory or the peer listener cannot be used.
    pub async fn start(config: NodeConfig) -> Result<Self, StartError> {
        let store = open(&config).await?;
        let NodeConfig {
            node,
            cluster_id,
            peer_listener,
            peers,
            secret,
            durability,
            reserve,
            settings,
            listeners,
            rack,
            ..
        } = config;
        let peer_thread = PeerThread::start().map_err(FatalError::Thread)?;

        let (inbox, published) = (Arc::new(Inbox::default()), Arc::new(Published::new()));
        let rpc = Arc::new(RpcClient::default());
        let nodes: Vec<NodeId> = peers.keys().copied().collect();
        let metrics = NodeMetrics::default();
        let clones = (Arc::clone(&inbox), Arc::clone(&published), Arc::clone(&rpc));
        let link = Link::new(clones, store.clone(), metrics.peers_refused.clone());
        let link = Arc::new(link.map_err(FatalError::Store)?);
        let (store_id, name) = (store.id(), cluster_id.clone());
        let config =
            |listener| TransportConfig { cluster_id: name, node, store: store_id, listener, peers, secret };
        let transport = start_transport(&peer_thread, peer_listener, config, &link)?;

        let patterns = TopicPatterns::on(tokio::runtime::Handle::current());
        let config = DriverConfig {
            shard: ShardConfig {
                node,
                store_id,
                nodes: nodes.clone(),
                defaults: Arc::clone(&settings),
                patterns: Arc::clone(&patterns),
                checkpoints: CheckpointPolicy::default(),
                producers: ProducerLimits::DEFAULT,
                arrivals_per_round: OPENED_PER_ROUND,
            },
            store,
            tail: TailCache::new(TAIL_BYTES),
            durability,
            reserve,
            transport: transport.clone(),
            inbox: Arc::clone(&inbox),
            published: Arc::clone(&published),
            metrics: metrics.clone(),
        };
        let ended = start_driver(config).await?;
        let shared = Shared {
            node,
            nodes: nodes.len(),
            cluster_id,
            settings,
            published,
            inbox,
            transport,
            _peer_thread: peer_thread,
            rpc,
            metrics,
            patterns,
            producer_questions: Semaphore::new(1),
            incarnation: Uuid::new_v4(),
            registered: AtomicBool::new(false),
            ended,
        };
        let node = Self { shared: Arc::new(shared) };
        node.begin(listeners, rack);
        Ok(node)
    }

    /// Begins what a node does by itself once it runs.
    fn begin(&self, listeners: Vec<Listener>, rack: Option<String>) {
        self.attend("registration", self.clone().join_cluster(listeners, rack));
        self.attend("retention", self.clone().keep_retention());
    }

    /// Runs a task that the node cannot do without: its panic ends the node.
    fn attend(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let (running, inbox) = (tokio::spawn(task), Arc::clone(&self.shared.inbox));
        tokio::spawn(async move {
            if running.await.is_err_and(|error| error.is_panic()) {
                inbox.push(Input::Fail(FatalError::Panicked(name)));
            }
        });
    }

    /// Registers this node, and then sees to the consumer groups' partitions.
    async fn join_cluster(self, listeners: Vec<Listener>, rack: Option<String>) {
        self.clone().register(listeners, rack).await;
        self.keep_coordinators().await;
    }

    /// Tells the controller where clients reach this node, until it knows.
    async fn register(self, listeners: Vec<Listener>, rack: Option<String>) {
        let Shared { node, incarnation, .. } = *self.shared;
        let broker = Broker { node, incarnation, listeners, rack };
        let request = ControllerRequest::RegisterBroker(broker);
        loop {
            match self.submit(request.clone(), REGISTER_ATTEMPT).await {
                Ok(ControllerResponse::RegisterBroker(Ok(()))) => {
                    self.shared.registered.store(true, Ordering::Relaxed);
                    return;
                }
                Ok(ControllerResponse::RegisterBroker(Err(error))) => {
                    tracing::error!(?error, "the controller refuses this node");
                    return;
                }
                Err(SubmitError::Ended) => return,
                Err(SubmitError::TimedOut) => {
                    tracing::warn!("no controller yet: is a majority of --peers up and reachable?");
                }
                Ok(_) | Err(SubmitError::BadAnswer | SubmitError::TooLarge) => {
                    tracing::warn!("{}: does every node run the same release?", SubmitError::BadAnswer);
                    tokio::time::sleep(PAUSE_AFTER_BAD_ANSWER).await;
                }
            }
        }
    }

    /// This node.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.shared.node
    }

    /// The cluster's name.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.shared.cluster_id
    }

    /// The broker's settings.
    #[must_use]
    pub fn settings(&self) -> &Arc<BrokerSettings> {
        &self.shared.settings
    }

    /// The cluster's metadata, as of what this node has applied.
    #[must_use]
    pub fn image(&self) -> Arc<MetadataImage> {
        self.shared.published.image()
    }

    /// The node that leads the controller, if it is known.
    #[must_use]
    pub fn controller(&self) -> Option<NodeId> {
        self.leadership(RaftGroupId::CONTROLLER).map(|leadership| leadership.leader)
    }

    /// Whether clients may be sent to `node`: it was heard within the session timeout.
    #[must_use]
    pub fn is_live(&self, node: NodeId) -> bool {
        self.shared.published.is_unfenced(node)
    }

    /// A group's leader, its epoch and its in-sync replicas. None while no leader is known, or the known one is lost.
    #[must_use]
    pub fn leadership(&self, group: RaftGroupId) -> Option<Leadership> {
        self.shared.published.leadership(group)
    }

    /// Whether the partition has just lost its leader and is about to elect another, so that asking again in a moment
    /// is worth it. Not so once that takes longer than a second, or while there is no majority.
    #[must_use]
    pub fn is_electing(&self, partition: &Partition) -> bool {
        self.shared.published.is_electing(partition.group, &partition.replicas)
    }

    /// This node's replica of a group.
    #[must_use]
    pub fn replica(&self, group: RaftGroupId) -> Option<Arc<Replica>> {
        self.shared.published.replica(group)
    }

    /// Asks the controller, wherever it leads, again and again until it answers or `timeout` is over. A request that
    /// met a change of leader may be carried out twice: the second time it finds what the first did.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn submit(
        &self,
        request: ControllerRequest,
        timeout: Duration,
    ) -> Result<ControllerResponse, SubmitError> {
        let deadline = Instant::now() + timeout;
        let request = request.shortened();
        if request.bytes() > MAX_REQUEST_BYTES {
            return Err(SubmitError::TooLarge);
        }
        let mut changes = self.shared.published.subscribe();
        loop {
            changes.mark_unchanged();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(SubmitError::TimedOut);
            }
            let attempt = async {
                if let Some(response) = self.try_submit(&request, left.min(SUBMIT_ATTEMPT)).await? {
                    return Ok(Some(response));
                }
                // Another controller shows as a change; one that is just stepping down, only as time.
                let _ = tokio::time::timeout(left.min(SUBMIT_PAUSE), changes.changed()).await;
                Ok(None)
            };
            tokio::select! {
                biased;
                attempted = attempt => if let Some(response) = attempted? {
                    return Ok(response);
                },
                _ = self.ended() => return Err(SubmitError::Ended),
            }
        }
    }

    /// One attempt; none when there is no controller, or it did not answer.
    async fn try_submit(
        &self,
        request: &ControllerRequest,
        timeout: Duration,
    ) -> Result<Option<ControllerResponse>, SubmitError> {
        let Some(controller) = self.controller() else { return Ok(None) };
        self.ask(controller, request, timeout).await
    }

    /// Hands every leadership over, writes everything to disk and stops.
    ///
    /// # Errors
    /// What failed on the way: then the node stopped as if it had crashed, which loses nothing acknowledged.
    pub async fn shutdown(&self) -> Result<(), Arc<FatalError>> {
        self.shared.inbox.push(Input::Shutdown);
        let ended = self.ended().await;
        self.shared.transport.shutdown().await;
        ended
    }

    /// Resolves when the node has stopped, by itself or on request: with an error if a write or a read failed.
    ///
    /// # Errors
    /// What ended it.
    pub async fn ended(&self) -> Result<(), Arc<FatalError>> {
        let mut ended = self.shared.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or(Ok(())),
            Err(_) => Err(Arc::new(FatalError::Panicked("driver"))),
        }
    }
}

/// Starts to speak with the peers, on their thread.
fn start_transport(
    thread: &PeerThread,
    listener: std::net::TcpListener,
    config: impl FnOnce(tokio::net::TcpListener) -> TransportConfig,
    link: &Arc<Link>,
) -> Result<Transport, StartError> {
    listener.set_nonblocking(true).map_err(StartError::PeerListener)?;
    let _on_it = thread.enter();
    let listener = tokio::net::TcpListener::from_std(listener).map_err(StartError::PeerListener)?;
    let transport = Transport::start(config(listener), Arc::clone(link) as _);
    link.connect(transport.clone());
    Ok(transport)
}

/// The wall clock, as record timestamps count it.
#[must_use]
pub fn wall_clock() -> TimestampMs {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// A fresh topic id. Random ids never meet the two that Kafka reserves.
fn topic_id() -> TopicId {
    TopicId(Uuid::new_v4())
}
