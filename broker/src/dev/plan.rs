//! Which nodes a local cluster has: their ports, paths and flags. Pure.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use trilog_cluster::ids::NodeId;

use crate::cli::dev::{DevOptions, PEER_PORT_DISTANCE};
use crate::cli::host_port::HostPort;
use crate::cli::http_listener::HTTP_PORT_DISTANCE;

/// A setting that a local cluster has unless the user sets it. Kafka's default of 3 s makes a first try slow; with 0, which
/// Kafka's quick start has, the first of several consumers that a script starts takes every partition, and the others get theirs
/// seconds later, when it sends its next heartbeat.
const SHORT_REBALANCE_DELAY: (&str, &str) = ("group.initial.rebalance.delay.ms", "300");

/// The nodes of a local cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// In the order of their ids, which begin at 1 and have no gap.
    pub(super) nodes: Vec<NodePlan>,
    /// Holds the secret of this cluster, made at its first start.
    pub(super) secret_file: PathBuf,
}

/// One node of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NodePlan {
    /// The node.
    pub(super) id: NodeId,
    /// Where clients reach it. It listens on `::1` too.
    pub(super) address: HostPort,
    /// Where the other nodes reach it.
    pub(super) peer_address: HostPort,
    /// Where its metrics and health are asked for.
    pub(super) http_address: HostPort,
    /// Where it keeps everything.
    pub(super) data_dir: PathBuf,
    /// Holds its process id while it runs.
    pub(super) pid_file: PathBuf,
    /// The whole command line: a node takes nothing from the environment.
    pub(super) arguments: Vec<OsString>,
}

impl Plan {
    /// Lays out what the options ask for.
    pub(super) fn new(options: &DevOptions) -> Self {
        let local = |port| HostPort { host: "127.0.0.1".to_owned(), port };
        let mut nodes: Vec<NodePlan> = (1..=options.nodes)
            .map(|number| NodePlan {
                id: NodeId(number.into()),
                address: local(options.base_port + number - 1),
                peer_address: local(options.base_port + PEER_PORT_DISTANCE + number - 1),
                http_address: local(options.base_port + HTTP_PORT_DISTANCE + number - 1),
                data_dir: options.data_dir.join(format!("node-{number}")),
                pid_file: options.data_dir.join(format!("node-{number}.pid")),
                arguments: Vec::new(),
            })
            .collect();
        let peers: Vec<String> =
            nodes.iter().map(|node| format!("{}@{}", node.id, node.peer_address)).collect();
        let secret_file = options.data_dir.join("cluster.secret");
        for node in &mut nodes {
            node.arguments = arguments(node, &peers.join(","), &secret_file, options);
        }
        assert!(nodes.windows(2).all(|pair| pair[0].id < pair[1].id), "ids ascend");
        Self { nodes, secret_file }
    }

    /// What a client is configured with: all nodes, separated by commas.
    pub(super) fn bootstrap(&self) -> String {
        self.nodes.iter().map(|node| node.address.to_string()).collect::<Vec<_>>().join(",")
    }

    /// The node of this id.
    pub(super) fn node(&self, id: NodeId) -> Option<&NodePlan> {
        self.nodes.iter().find(|node| node.id == id)
    }
}

fn arguments(node: &NodePlan, peers: &str, secret_file: &Path, options: &DevOptions) -> Vec<OsString> {
    // `localhost` is both families, since some clients try ::1 first; what is advertised is the one that always works.
    let mut arguments: Vec<OsString> = vec![
        "serve".into(),
        format!("--node-id={}", node.id).into(),
        "--data-dir".into(),
        node.data_dir.clone().into(),
        format!("--listeners=PLAINTEXT://localhost:{}", node.address.port).into(),
        format!("--advertised-listeners=PLAINTEXT://{}", node.address).into(),
        format!("--peer-listener={}", node.peer_address).into(),
        format!("--http-listener={}", node.http_address).into(),
        format!("--peers={peers}").into(),
        "--cluster-secret-file".into(),
        secret_file.into(),
        format!("--durability={}", options.durability.as_str()).into(),
        format!("--min-free-space={}", options.min_free_space.0).into(),
        format!("--log={}", options.log.filter).into(),
        format!("--log-format={}", options.log.format.as_str()).into(),
        "--exit-with-parent".into(),
    ];
    let (name, value) = SHORT_REBALANCE_DELAY;
    if !options.settings.iter().any(|setting| setting.name == name) {
        arguments.push(format!("--set={name}={value}").into());
    }
    arguments.extend(options.settings.iter().map(|setting| format!("--set={setting}").into()));
    arguments
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::byte_size::ByteSize;
    use crate::cli::serve::{Durability, ServeOptions};
    use crate::cli::setting::Setting;
    use crate::cli::{Invocation, LogOptions, invoke};
    use crate::logging::LogFormat;

    fn understood(node: &NodePlan) -> Box<ServeOptions> {
        let arguments: Vec<&str> = node.arguments.iter().map(|flag| flag.to_str().unwrap()).collect();
        let Ok(Invocation::Serve(serve)) = invoke(&arguments) else { panic!("{arguments:?}") };
        serve
    }

    fn options() -> DevOptions {
        DevOptions {
            nodes: 3,
            base_port: 9092,
            data_dir: "data dir".into(),
            topics: Vec::new(),
            settings: vec!["num.partitions=3".parse::<Setting>().unwrap()],
            durability: Durability::Relaxed,
            min_free_space: ByteSize(5 << 20),
            log: LogOptions { filter: "warn".to_owned(), format: LogFormat::Json },
        }
    }

    #[test]
    fn ports_and_paths_follow_the_node_number() {
        let plan = Plan::new(&options());
        assert_eq!(plan.bootstrap(), "127.0.0.1:9092,127.0.0.1:9093,127.0.0.1:9094");
        let third = plan.node(NodeId(3)).unwrap();
        assert_eq!((third.peer_address.port, third.http_address.port), (10094, 11094));
        assert_eq!(third.data_dir, PathBuf::from("data dir/node-3"));
        assert_eq!(third.pid_file, PathBuf::from("data dir/node-3.pid"));
        assert_eq!(plan.node(NodeId(4)), None);
    }

    #[test]
    fn a_node_understands_the_flags_it_is_given() {
        for node in Plan::new(&options()).nodes {
            let serve = understood(&node);
            assert_eq!((serve.node, &serve.data_dir), (node.id, &node.data_dir));
            assert_eq!(serve.listeners[0].advertised, node.address);
            assert_eq!(serve.peer_listener.as_ref(), Some(&node.peer_address));
            assert_eq!(serve.http_listener.as_ref(), Some(&node.http_address));
            assert_eq!(serve.members().len(), 3);
            assert_eq!(serve.cluster_secret_file, Some("data dir/cluster.secret".into()));
            assert_eq!(serve.durability, Durability::Relaxed);
            assert_eq!(serve.settings.num_partitions, 3);
            assert_eq!(serve.min_free_space, ByteSize(5 << 20));
            assert!(serve.exit_with_parent);
        }
    }

    #[test]
    fn a_group_waits_a_moment_for_more_members_unless_told_otherwise() {
        let delay = |settings: &[&str]| {
            let mut options = options();
            options.settings.extend(settings.iter().map(|setting| setting.parse::<Setting>().unwrap()));
            understood(&Plan::new(&options).nodes[0]).settings.groups.initial_rebalance_delay
        };
        assert_eq!(delay(&[]), Duration::from_millis(300));
        assert_eq!(delay(&["group.initial.rebalance.delay.ms=0"]), Duration::ZERO);
    }
}
