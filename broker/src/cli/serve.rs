//! `trilog serve`: the flags of one node.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use thiserror::Error;
use trilog_cluster::controller::configs::BrokerSettings;
use trilog_cluster::ids::NodeId;
use trilog_cluster::node::BootId;

use super::byte_size::ByteSize;
use super::create_topics::{CreateTopicsArgs, CreateTopicsError, NodeCount};
use super::host_port::HostPort;
use super::http_listener::{HTTP_PORT_DISTANCE, HttpListener};
use super::listener::{Listener, ListenerError, ListenerList};
use super::new_topic::NewTopic;
use super::peers::{Peers, node_id};
use super::setting::{self, Settings, TooManyReplicas, WrongSetting};

/// What a node knows of itself and of its cluster when it starts. Checked: nothing in it needs parsing again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServeOptions {
    /// This node.
    pub(crate) node: NodeId,
    /// Where this node keeps everything.
    pub(crate) data_dir: PathBuf,
    /// Where clients are served; at least one, names and ports unique.
    pub(crate) listeners: Vec<Listener>,
    /// Where the other nodes connect to. `None` in a cluster of one, which has nobody to listen for.
    pub(crate) peer_listener: Option<HostPort>,
    /// The other nodes and where they listen for this one.
    pub(crate) peers: BTreeMap<NodeId, HostPort>,
    /// This node's own entry in `--peers`: where the others were told to find it.
    pub(crate) own_entry: Option<HostPort>,
    /// Holds what the nodes of the cluster prove that they have. Always there if a peer is on another machine.
    pub(crate) cluster_secret_file: Option<PathBuf>,
    /// Where operators ask for metrics and health. `None` if nowhere.
    pub(crate) http_listener: Option<HostPort>,
    /// What the nodes of one cluster have in common, so that a node of another one is not let in.
    pub(crate) cluster_id: String,
    /// What an acknowledgement promises.
    pub(crate) durability: Durability,
    /// Which boot of the machine this is, if that was given.
    pub(crate) boot_id: Option<BootId>,
    /// What is kept free on the disk of the data directory, in bytes.
    pub(crate) min_free_space: ByteSize,
    /// Topics to create once all nodes are there, if they do not exist.
    pub(crate) topics: Vec<NewTopic>,
    /// The broker settings, those that were not given included.
    pub(crate) settings: BrokerSettings,
    /// End as upon SIGTERM when standard input closes.
    pub(crate) exit_with_parent: bool,
    /// This process has begun anew because its writes failed for want of space.
    pub(crate) after_failed_writes: bool,
}

impl ServeOptions {
    /// Every node of the cluster, this one included.
    pub(crate) fn members(&self) -> BTreeSet<NodeId> {
        self.peers.keys().copied().chain([self.node]).collect()
    }
}

/// What is kept free unless somebody says otherwise. What is on its way to the disk when the reserve is reached, some tens
/// of megabytes under full load, still goes there.
pub(super) const DEFAULT_MIN_FREE_SPACE: &str = "256MiB";

/// What an acknowledgement promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Durability {
    /// A majority of the replicas has the record on disk.
    Sync,
    /// A majority's kernels have it; it reaches the disk within 100 ms. If several machines go down at once, it may be lost.
    Relaxed,
}

impl Durability {
    /// The value of `--durability`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Relaxed => "relaxed",
        }
    }
}

/// Flags that are right one by one, yet not together.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum ServeArgsError {
    /// A list of nodes that leaves out the one it is given to.
    #[error(
        "--peers: node {0} (--node-id) is not among them; every node of the cluster is named, this one too"
    )]
    NotAmongPeers(NodeId),
    /// Whoever reaches the peer ports of nodes without a secret could pass for one of them.
    #[error(
        "--cluster-secret-file: has to be given, as --peers names {0}, which is no loopback address, and a node tells its \
         peers from strangers by a secret: make one with openssl rand -base64 32 > FILE, and give every node the same file"
    )]
    NoSecret(HostPort),
    /// Peers and clients cannot share a port.
    #[error("--peer-listener: port {0} is one of --listeners; peers need a port of their own")]
    PeerPortTaken(u16),
    /// There is no port where the HTTP port would be.
    #[error(
        "--http-listener: has to be given, as there is no port {HTTP_PORT_DISTANCE} above {0} (--listeners)"
    )]
    NoHttpPort(u16),
    /// The HTTP port cannot be one of Kafka's or of the peers'.
    #[error(
        "--http-listener: port {0} is taken by --listeners or --peer-listener; it needs a port of its own"
    )]
    HttpPortTaken(u16),
    /// Listeners and advertised listeners do not fit together.
    #[error(transparent)]
    Listeners(#[from] ListenerError),
    /// The topics to create are wrong.
    #[error(transparent)]
    Topics(#[from] CreateTopicsError),
    /// A broker setting is wrong.
    #[error(transparent)]
    Setting(#[from] WrongSetting),
    /// A broker setting asks for more nodes.
    #[error(transparent)]
    Replicas(#[from] TooManyReplicas),
}

#[derive(Clone, Debug, Args)]
pub(super) struct ServeArgs {
    /// This node's number, unique in the cluster; clients see it as the broker id.
    #[arg(
        long,
        env = "TRILOG_NODE_ID",
        default_value = "1",
        value_name = "N",
        value_parser = node_id
    )]
    node_id: NodeId,

    /// Where the node keeps everything; created if missing [default: ./trilog-data/node-N].
    #[arg(long, env = "TRILOG_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Where clients are served: NAME://host:port, several separated by commas. The host localhost is both 127.0.0.1
    /// and ::1; an empty host or 0.0.0.0 is every address.
    #[arg(long, env = "TRILOG_LISTENERS", default_value = "PLAINTEXT://localhost:9092", value_name = "LIST")]
    listeners: ListenerList,

    /// The addresses clients are given, by listener name [default: where each listener listens].
    #[arg(long, env = "TRILOG_ADVERTISED_LISTENERS", value_name = "LIST")]
    advertised_listeners: Option<ListenerList>,

    /// Where the other nodes connect to [default: this node's address in --peers].
    #[arg(long, env = "TRILOG_PEER_LISTENER", value_name = "HOST:PORT")]
    peer_listener: Option<HostPort>,

    /// Where metrics and health are asked for over HTTP, or off [default: on 127.0.0.1, 2000 above the first port of
    /// --listeners].
    #[arg(long, env = "TRILOG_HTTP_LISTENER", value_name = "HOST:PORT|off")]
    http_listener: Option<HttpListener>,

    /// All nodes of the cluster, this one included: 1@host:port,2@host:port,… [default: this node alone].
    #[arg(long, env = "TRILOG_PEERS", value_name = "LIST")]
    peers: Option<Peers>,

    /// The file with the secret that all nodes of the cluster are given, by which they tell one another from strangers;
    /// not needed if all --peers are on loopback. To make one: trilog secret FILE, or openssl rand -base64 32 > FILE.
    #[arg(long, env = "TRILOG_CLUSTER_SECRET_FILE", value_name = "FILE")]
    cluster_secret_file: Option<PathBuf>,

    /// The cluster's name, the same on all its nodes: letters, digits, `.`, `_` and `-`, at most 64.
    #[arg(long, env = "TRILOG_CLUSTER_ID", default_value = "trilog", value_name = "NAME", value_parser = cluster_id)]
    cluster_id: String,

    /// What an acknowledgement promises.
    #[arg(long, env = "TRILOG_DURABILITY", value_enum, default_value = "sync")]
    durability: Durability,

    /// Which boot of the machine this is, for tests that play a power loss [default: what Linux says].
    #[arg(long, env = "TRILOG_BOOT_ID", value_name = "UUID", hide = true)]
    boot_id: Option<BootId>,

    /// What is kept free on the disk: below it the node takes no more records in until there is room.
    #[arg(long, env = "TRILOG_MIN_FREE_SPACE", default_value = DEFAULT_MIN_FREE_SPACE, value_name = "BYTES")]
    min_free_space: ByteSize,

    #[command(flatten)]
    topics: CreateTopicsArgs,

    /// A broker setting by Kafka's name, such as num.partitions=3; repeatable, or several separated by `;`.
    #[arg(long = "set", env = "TRILOG_SET", value_name = "NAME=VALUE")]
    settings: Vec<Settings>,

    /// End when standard input closes: the way `trilog dev` makes sure that no node outlives it.
    #[arg(long, hide = true)]
    exit_with_parent: bool,

    /// How a node whose writes failed starts itself again.
    #[arg(long, hide = true)]
    after_failed_writes: bool,
}

impl ServeArgs {
    pub(super) fn into_options(self) -> Result<ServeOptions, ServeArgsError> {
        let node = self.node_id;
        let mut peers = self.peers.map_or_else(BTreeMap::new, |peers| peers.0);
        let own_entry = peers.remove(&node);
        if own_entry.is_none() && !peers.is_empty() {
            return Err(ServeArgsError::NotAmongPeers(node));
        }
        if self.cluster_secret_file.is_none() && !peers.is_empty() {
            let mut members = own_entry.iter().chain(peers.values());
            if let Some(elsewhere) = members.find(|address| !address.is_loopback()) {
                return Err(ServeArgsError::NoSecret(elsewhere.clone()));
            }
        }
        let peer_listener = self.peer_listener.or_else(|| own_entry.clone());
        let listeners = self.listeners.advertised_as(self.advertised_listeners)?;
        if let Some(taken) = &peer_listener
            && listeners.iter().any(|listener| listener.port == taken.port)
        {
            return Err(ServeArgsError::PeerPortTaken(taken.port));
        }
        let count = NodeCount { nodes: peers.len() + 1, flag: "--peers" };
        let topics = self.topics.into_topics(count)?;
        let settings = setting::check(&setting::joined(self.settings))?;
        setting::check_replicas(&settings, count)?;
        let http_listener = http_address(self.http_listener, &listeners, peer_listener.as_ref())?;
        let options = ServeOptions {
            node,
            data_dir: self.data_dir.unwrap_or_else(|| format!("trilog-data/node-{node}").into()),
            listeners,
            peer_listener,
            peers,
            own_entry,
            cluster_secret_file: self.cluster_secret_file,
            http_listener,
            cluster_id: self.cluster_id,
            durability: self.durability,
            boot_id: self.boot_id,
            min_free_space: self.min_free_space,
            topics,
            settings,
            exit_with_parent: self.exit_with_parent,
            after_failed_writes: self.after_failed_writes,
        };
        assert!(
            options.peers.is_empty() || options.peer_listener.is_some(),
            "who has peers listens for them"
        );
        Ok(options)
    }
}

/// Where the HTTP port listens, be it the default; none if it is off.
fn http_address(
    given: Option<HttpListener>,
    listeners: &[Listener],
    peer_listener: Option<&HostPort>,
) -> Result<Option<HostPort>, ServeArgsError> {
    let first = listeners.first().map_or(0, |listener| listener.port);
    let listener = given.or_else(|| HttpListener::beside(first)).ok_or(ServeArgsError::NoHttpPort(first))?;
    let address = listener.into_address();
    let is_taken = |port| {
        let clients = listeners.iter().map(|listener| listener.port);
        clients.chain(peer_listener.map(|peers| peers.port)).any(|taken| taken == port)
    };
    match address {
        Some(address) if is_taken(address.port) => Err(ServeArgsError::HttpPortTaken(address.port)),
        address => Ok(address),
    }
}

fn cluster_id(text: &str) -> Result<String, String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=64).contains(&text.len()) && text.bytes().all(legal) {
        Ok(text.to_owned())
    } else {
        Err("letters, digits, '.', '_' and '-' are allowed, 1 to 64 of them".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Invocation, invoke};
    use super::*;

    fn serve(flags: &[&str]) -> Result<ServeOptions, String> {
        match invoke(&[&["serve"], flags].concat())? {
            Invocation::Serve(options) => Ok(*options),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn no_flag_is_needed() {
        let options = serve(&[]).unwrap();
        assert_eq!(options.node, NodeId(1));
        assert_eq!(options.data_dir, PathBuf::from("trilog-data/node-1"));
        assert_eq!(options.listeners[0].bind, ["127.0.0.1", "::1"]);
        assert_eq!((options.peer_listener.as_ref(), options.peers.len()), (None, 0));
        assert_eq!(options.members(), BTreeSet::from([NodeId(1)]));
        assert_eq!(options.durability, Durability::Sync);
        assert_eq!(options.http_listener.unwrap().to_string(), "127.0.0.1:11092");
        assert_eq!(options.min_free_space, ByteSize(256 << 20));
        assert!(!options.after_failed_writes);
    }

    #[test]
    fn nodes_may_be_counted_from_0() {
        let options = serve(&["--node-id=0", "--peers=0@localhost:1,1@localhost:2,2@localhost:3"]).unwrap();
        assert_eq!((options.node.to_string(), options.members().len()), ("0".to_owned(), 3));
        assert_eq!(options.data_dir, PathBuf::from("trilog-data/node-0"));
    }

    #[test]
    fn the_own_entry_of_the_peers_is_where_a_node_listens_for_them() {
        let peers = "1@a:10092,2@b:10092,3@c:10092";
        let secret = "--cluster-secret-file=secret";
        let options = serve(&["--node-id", "2", "--peers", peers, secret]).unwrap();
        assert_eq!(options.peer_listener.as_ref().unwrap().to_string(), "b:10092");
        assert_eq!(options.peers.keys().copied().collect::<Vec<_>>(), [NodeId(1), NodeId(3)]);
        assert_eq!(options.members().len(), 3);
        let options =
            serve(&["--node-id", "2", "--peers", peers, secret, "--peer-listener", "0.0.0.0:10092"]).unwrap();
        assert_eq!(options.peer_listener.unwrap().to_string(), "0.0.0.0:10092");
    }

    #[test]
    fn peers_on_other_machines_take_a_secret() {
        let one_elsewhere =
            ["1@localhost:10092,2@10.0.0.2:10092", "1@[::1]:10092,2@b:10092", "1@a:10092,2@127.0.0.1:10092"];
        for peers in one_elsewhere {
            let refused = serve(&["--peers", peers]).unwrap_err();
            assert!(refused.contains("--cluster-secret-file") && refused.contains("openssl"), "{refused}");
            assert!(serve(&["--peers", peers, "--cluster-secret-file", "secret"]).is_ok());
        }
        for near in ["1@localhost:10092,2@127.0.0.2:10092", "1@[::1]:10092,2@[::ffff:127.0.0.1]:1", "1@a:1"] {
            assert_eq!(serve(&["--peers", near]).unwrap().cluster_secret_file, None);
        }
    }

    #[test]
    fn the_http_port_follows_the_first_listener_unless_it_is_told() {
        let http = |flags: &[&str]| {
            serve(flags).map(|options| options.http_listener.map(|address| address.to_string()))
        };
        let listeners = "--listeners=A://localhost:29092,B://localhost:9092";
        assert_eq!(http(&[listeners]).unwrap().as_deref(), Some("127.0.0.1:31092"));
        let told = http(&[listeners, "--http-listener=0.0.0.0:9644"]);
        assert_eq!(told.unwrap().as_deref(), Some("0.0.0.0:9644"));
        assert_eq!(http(&["--http-listener=off"]).unwrap(), None);
        let refused = http(&["--listeners=A://localhost:65000"]).unwrap_err();
        assert!(refused.contains("--http-listener"), "{refused}");
        assert!(http(&["--listeners=A://localhost:65000", "--http-listener=off"]).is_ok());
    }

    #[test]
    fn a_node_that_begins_anew_is_told_so() {
        assert!(serve(&[crate::restart::WRITES_FAILED]).unwrap().after_failed_writes);
    }

    #[test]
    fn settings_repeat() {
        let options = serve(&["--set", "num.partitions=3", "--set", "min.insync.replicas=2"]).unwrap();
        assert_eq!(options.settings.num_partitions, 3);
        assert_eq!(options.settings.given("min.insync.replicas"), Some("2"));
    }

    #[test]
    fn a_wrong_value_names_its_flag() {
        for (flag, value) in [
            ("--node-id", "-1"),
            ("--node-id", "0x"),
            ("--node-id", "one"),
            ("--node-id", "2147483648"),
            ("--listeners", "localhost:9092"),
            ("--listeners", "PLAINTEXT://localhost:0"),
            ("--listeners", "SSL://localhost:9092"),
            ("--listeners", "PLAINTEXT://0.0.0.0:9092"),
            ("--listeners", "A://a:1,B://a:1"),
            ("--advertised-listeners", "OTHER://localhost:9092"),
            ("--advertised-listeners", "PLAINTEXT://0.0.0.0:9092"),
            ("--peer-listener", "10092"),
            ("--peer-listener", "127.0.0.1:9092"),
            ("--http-listener", "9644"),
            ("--http-listener", "127.0.0.1:9092"),
            ("--http-listener", "on"),
            ("--peers", "localhost:10092"),
            ("--peers", "2@localhost:10092"),
            ("--create-topic", "orders"),
            ("--create-topics", "orders:1:2"),
            ("--cluster-id", ""),
            ("--cluster-id", "two words"),
            ("--durability", "maybe"),
            ("--boot-id", "5"),
            ("--min-free-space", "much"),
            ("--set", "num.partitions"),
            ("--set", "num.partitions=0"),
            ("--set", "num.partition=3"),
            ("--set", "default.replication.factor=2"),
        ] {
            let error = serve(&[&format!("{flag}={value}")]).unwrap_err();
            assert!(error.contains(flag), "{flag} {value}: {error}");
        }
    }
}
