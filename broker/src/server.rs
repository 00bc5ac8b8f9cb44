//! One node: started from its options, served to clients, stopped when asked.
//!
//! A node whose disk is full waits for room before all else, and only its HTTP port says so. The order of starting is that of
//! likely mistakes: addresses are bound first, as a port in use is found before the data directory is touched; clients are
//! served when there is something true to tell them. The order of stopping is that of least harm: leaderships are handed over
//! while clients are still answered, so that they learn of the new leaders here; only then are connections closed.

mod advertised;
mod bind;
mod max_connections;
mod open_files;
mod room;
mod topics;
mod turned_away;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};
use trilog_cluster::controller;
use trilog_cluster::node::{FatalError, Node, NodeConfig, Reserve, StartError};
use trilog_cluster::secret::{ClusterSecret, SecretError};

use self::bind::BindError;
#[cfg(test)]
pub(crate) use self::open_files::{RESERVED_FOR_STORE, RESERVED_PER_PEER};
use self::open_files::{Shares, TooFewFiles};
use crate::api::{KafkaApis, Started};
use crate::cli::{ServeOptions, serve};
use crate::connection::{self, Admission, Limits, Listener, PerAddress};
use crate::http::{self, Lifecycle, Routes};
use crate::logging::LogFilter;
use crate::metrics::{Metrics, Scraper};
use crate::port::TAKEN_PATIENCE;
use crate::replicas;
use crate::shutdown::{ShutdownCause, ShutdownSignals};

/// How many threads may wait for the disk at once, on behalf of consumers that lag behind. More would only
/// queue there.
pub(crate) const MAX_BLOCKING_THREADS: usize = 32;

/// How long an idle connection is kept when there is no limit, among others. Longer than any process runs.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Why a node did not start, or ended other than by request.
#[derive(Debug, Error)]
pub(crate) enum ServeError {
    /// The limit of open files is too low.
    #[error(transparent)]
    Files(#[from] TooFewFiles),
    /// The operating system refused a signal handler or a thread.
    #[error("cannot listen for signals: {0}")]
    Signals(#[source] io::Error),
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The cluster's secret cannot be read.
    #[error("--cluster-secret-file: {error}{advice}", error = .0, advice = how_to_make(.0))]
    Secret(#[from] SecretError),
    /// There is a file in place of the data directory.
    #[error("--data-dir: {} is a file, and a directory is needed; choose another one", .0.display())]
    DataDirIsFile(PathBuf),
    /// The node's data directory or its peers' listener cannot be used.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A listener was lost.
    #[error("clients cannot be served: {0}")]
    Serve(#[source] io::Error),
    /// The HTTP port cannot be served.
    #[error("--http-listener: metrics and health cannot be served: {0}")]
    Http(#[source] io::Error),
    /// Something could not be written or read back. What is on disk is whole; a restart repairs the rest.
    #[error("the node stopped: {0}")]
    Failed(#[source] Arc<FatalError>),
}

/// What to do about a secret that is not there.
fn how_to_make(error: &SecretError) -> String {
    match error {
        SecretError::Io { path, source } if source.kind() == io::ErrorKind::NotFound => {
            format!("; make it once with: trilog secret {}, and give every node a copy", path.display())
        }
        _ => String::new(),
    }
}

impl ServeError {
    /// Whether the node ended by a fault of its own.
    pub(crate) fn is_broken_invariant(&self) -> bool {
        matches!(self, Self::Failed(error) if error.is_broken_invariant())
    }

    /// Whether the disk was full, so that the node can go on once there is room.
    pub(crate) fn is_no_space(&self) -> bool {
        match self {
            Self::Start(error) => error.is_no_space(),
            Self::Failed(error) => error.is_no_space(),
            Self::Files(_)
            | Self::Signals(_)
            | Self::Bind(_)
            | Self::Secret(_)
            | Self::DataDirIsFile(_)
            | Self::Serve(_)
            | Self::Http(_) => false,
        }
    }
}

/// Runs a node until it is asked to end. One whose disk is full meanwhile has ended, too.
///
/// # Errors
///
/// [`ServeError`].
pub(crate) async fn run(options: ServeOptions, log: LogFilter) -> Result<(), ServeError> {
    let file_limit = open_files::raise_limit();
    let peers = options.members().len() - 1;
    let wanted = options.settings.max_connections;
    let files = Shares::of(file_limit, peers, options.http_listener.is_some(), wanted)?;
    let mut signals = ShutdownSignals::listen(options.exit_with_parent).map_err(ServeError::Signals)?;
    let outcome = run_until_asked(options, files, log, &mut signals).await;
    match outcome {
        // Whoever waited for room now would wait for nobody.
        Err(error) if error.is_no_space() && signals.were_given().await => {
            warn!(%error, "ended on a full disk; what is acknowledged is on disk");
            Ok(())
        }
        outcome => outcome,
    }
}

async fn run_until_asked(
    options: ServeOptions,
    files: Shares,
    log: LogFilter,
    signals: &mut ShutdownSignals,
) -> Result<(), ServeError> {
    if options.data_dir.is_file() {
        return Err(ServeError::DataDirIsFile(options.data_dir));
    }
    let secret = options.cluster_secret_file.as_deref().map(ClusterSecret::read).transpose()?;
    let (metrics, lifecycle) = (Metrics::default(), Lifecycle::default());
    let mut http = None;
    if let Some(address) = &options.http_listener {
        let listening = bind::http(address, Instant::now() + TAKEN_PATIENCE);
        let Some(listener) = unless_asked(signals, "its ports were free", listening).await else {
            return Ok(());
        };
        let scraper = Scraper::new(metrics.clone(), options.data_dir.clone());
        let routes = Routes::new(lifecycle.clone(), scraper, log.clone(), address.host.clone());
        let started = http::start(listener?, routes);
        http = Some(started.map_err(ServeError::Http)?);
    }
    let reserve = Reserve(options.min_free_space.0);
    let room = room::await_room(&options.data_dir, reserve, options.after_failed_writes, &lifecycle);
    if unless_asked(signals, "there was room on the disk", room).await.is_none() {
        return Ok(());
    }
    let deadline = Instant::now() + TAKEN_PATIENCE;
    let binding = async {
        let clients = bind::clients(&options.listeners, deadline).await?;
        Ok::<_, BindError>((clients, bind::peers(options.peer_listener.as_ref(), deadline).await?))
    };
    let Some(bound) = unless_asked(signals, "its ports were free", binding).await else { return Ok(()) };
    let (sockets, peer_listener) = bound?;
    announce(&options);
    files.announce();
    let (most, number) = watch::channel(files.clients);
    let limits = (limits(&options), Admission { most: number, per_address: per_address(&options) });
    let (members, topics) = (options.members().len(), options.topics.clone());
    let begun = Started::new(&options, log);
    let starting = Node::start(config(options, secret, peer_listener));
    let Some(node) = unless_asked(signals, "the start was complete", starting).await else { return Ok(()) };
    let node = node?;
    tokio::spawn(advertised::watch(node.clone(), FOREVER));
    tokio::spawn(topics::create_missing(node.clone(), members, topics));
    tokio::spawn(max_connections::follow(node.clone(), files, most, FOREVER));
    lifecycle.started(node.clone());
    let clients = Clients { begun, listeners: sockets, limits, metrics, http };
    serve_clients(&node, clients, &lifecycle, signals).await
}

/// Waits for what a start depends on. None if the process is asked to end before.
async fn unless_asked<T>(
    signals: &mut ShutdownSignals,
    what: &str,
    awaited: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        outcome = awaited => Some(outcome),
        cause = signals.requested() => {
            info!(%cause, "ending before {what}");
            None
        }
    }
}

/// What clients come in on, and what becomes of them.
struct Clients {
    /// What the node was started with.
    begun: Started,
    listeners: Vec<Listener>,
    limits: (Limits, Admission),
    metrics: Metrics,
    /// The thread of the HTTP port.
    http: Option<http::Alive>,
}

/// One line of who this is, and one for each setting that is not a default.
fn announce(options: &ServeOptions) {
    let listeners: Vec<_> = options
        .listeners
        .iter()
        .map(|listener| format!("{}://{}", listener.name, listener.advertised))
        .collect();
    info!(
        version = env!("CARGO_PKG_VERSION"),
        node = %options.node,
        nodes = options.members().len(),
        cluster_id = options.cluster_id,
        listeners = listeners.join(","),
        http = options.http_listener.as_ref().map_or_else(|| "off".to_owned(), ToString::to_string),
        data_dir = %options.data_dir.display(),
        durability = options.durability.as_str(),
        "starting"
    );
    if let Some(caution) = replicas::caution(options.members().len(), "nodes") {
        warn!("--peers: {caution}");
    }
    if options.peers.is_empty() {
        return;
    }
    match &options.cluster_secret_file {
        Some(file) => info!(file = %file.display(), "peers have to prove the cluster's secret"),
        None => warn!(
            "no --cluster-secret-file: every program on this machine can pass for a peer, and peers on other machines are \
             refused"
        ),
    }
}

fn limits(options: &ServeOptions) -> Limits {
    Limits {
        max_idle: options.settings.connections_max_idle.unwrap_or(FOREVER),
        max_request_bytes: options.settings.socket_request_max_bytes,
    }
}

fn per_address(options: &ServeOptions) -> PerAddress {
    PerAddress {
        most: options.settings.max_connections_per_ip,
        overrides: options.settings.max_connections_per_ip_overrides.clone(),
    }
}

fn config(
    options: ServeOptions,
    secret: Option<ClusterSecret>,
    peer_listener: std::net::TcpListener,
) -> NodeConfig {
    let listeners = options.listeners.into_iter().map(|listener| controller::Listener {
        name: listener.name,
        host: listener.advertised.host,
        port: listener.advertised.port,
    });
    // Nobody dials this node's own entry; it is compared with what the others were told.
    let own = options.own_entry.map_or_else(String::new, |address| address.to_string());
    let peers = options.peers.into_iter().map(|(peer, address)| (peer, address.to_string()));
    NodeConfig {
        node: options.node,
        cluster_id: options.cluster_id,
        data_dir: options.data_dir,
        peer_listener,
        peers: peers.chain([(options.node, own)]).collect(),
        secret,
        durability: match options.durability {
            serve::Durability::Sync => trilog_cluster::node::Durability::Sync,
            serve::Durability::Relaxed => trilog_cluster::node::Durability::Relaxed,
        },
        boot: options.boot_id,
        reserve: Reserve(options.min_free_space.0),
        rack: options.settings.rack.clone(),
        settings: Arc::new(options.settings),
        listeners: listeners.collect(),
    }
}

/// Waits until the HTTP port's thread is gone, if there is one.
async fn lost(http: Option<http::Alive>) -> io::Error {
    match http {
        Some(alive) => drop(alive.await),
        None => std::future::pending().await,
    }
    io::Error::other("the http thread panicked")
}

/// Serves clients until the process is asked to end, or the node cannot go on.
async fn serve_clients(
    node: &Node,
    clients: Clients,
    lifecycle: &Lifecycle,
    signals: &mut ShutdownSignals,
) -> Result<(), ServeError> {
    let (stop, stopped) = watch::channel(false);
    let Clients { begun, listeners, limits, metrics, http } = clients;
    let apis = Arc::new(KafkaApis::new(node.clone(), begun, &metrics));
    let serving = async {
        let mut ended = stopped.clone();
        tokio::select! {
            caught_up = turned_away::until_caught_up(node, &listeners, FOREVER) => if caught_up? {
                lifecycle.serving();
                return connection::serve(listeners, apis, limits, metrics, stopped).await;
            },
            _ = ended.wait_for(|stop| *stop) => return Ok(()),
        }
        // The node has stopped before it could serve anybody, and says why itself.
        let _ = ended.wait_for(|stop| *stop).await;
        Ok(())
    };
    tokio::pin!(serving);
    tokio::select! {
        // It ends by itself only if it could not begin.
        served = &mut serving => return served.map_err(ServeError::Serve),
        ended = node.ended() => return ended.map_err(ServeError::Failed),
        error = lost(http) => return Err(ServeError::Http(error)),
        cause = signals.requested() => info!(%cause, "ending: handing leaderships over"),
    }
    lifecycle.stopping();
    let stopping = async {
        let ended = node.shutdown().await;
        stop.send_replace(true);
        ended
    };
    tokio::select! {
        (ended, served) = async { tokio::join!(stopping, &mut serving) } => {
            served.map_err(ServeError::Serve)?;
            ended.map_err(ServeError::Failed)?;
            info!("ended");
        }
        cause = impatience(signals) => {
            warn!(%cause, "asked to end again: ending at once; what is acknowledged is on disk");
        }
    }
    Ok(())
}

/// A second request to end by somebody who will not wait. The parent's end is not one: it comes with the
/// first.
async fn impatience(signals: &mut ShutdownSignals) -> ShutdownCause {
    loop {
        let cause = signals.requested().await;
        if cause != ShutdownCause::ParentEnded {
            return cause;
        }
    }
}
