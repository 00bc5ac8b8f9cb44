//! `trilog dev`: the flags of the local cluster.

use std::path::PathBuf;

use clap::Args;
use thiserror::Error;
use trilog_cluster::controller::configs::SettingError;

use super::LogOptions;
use super::byte_size::ByteSize;
use super::create_topics::{CreateTopicsArgs, CreateTopicsError, NodeCount};
use super::http_listener::HTTP_PORT_DISTANCE;
use super::new_topic::NewTopic;
use super::serve::{DEFAULT_MIN_FREE_SPACE, Durability};
use super::setting::{self, Setting, Settings, TooManyReplicas, WrongSetting};

/// What a local cluster is to be. Checked: nothing in it needs parsing again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DevOptions {
    /// How many nodes: from 1 to 5.
    pub(crate) nodes: u16,
    /// The first node's port for clients; see [`MAX_BASE_PORT`].
    pub(crate) base_port: u16,
    /// Holds one directory a node, and the files that tell scripts the process ids.
    pub(crate) data_dir: PathBuf,
    /// Topics to create once the cluster is ready, if they do not exist.
    pub(crate) topics: Vec<NewTopic>,
    /// Broker settings for every node, known to be right.
    pub(crate) settings: Vec<Setting>,
    /// What an acknowledgement promises.
    pub(crate) durability: Durability,
    /// What each node keeps free on its disk, in bytes.
    pub(crate) min_free_space: ByteSize,
    /// What the nodes log, and how.
    pub(crate) log: LogOptions,
}

/// The greatest first port that leaves room for the ports of five nodes, their peer ports, which are
/// [`PEER_PORT_DISTANCE`] above, and their HTTP ports, which are [`HTTP_PORT_DISTANCE`] above.
pub(crate) const MAX_BASE_PORT: u16 = u16::MAX - HTTP_PORT_DISTANCE - 5;

/// A node's port for its peers is its port for clients plus this.
pub(crate) const PEER_PORT_DISTANCE: u16 = 1000;

/// Flags that are right one by one, yet not together.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum DevArgsError {
    /// The topics to create are wrong.
    #[error(transparent)]
    Topics(#[from] CreateTopicsError),
    /// A broker setting is wrong.
    #[error(transparent)]
    Setting(#[from] WrongSetting),
    /// A broker setting asks for more nodes.
    #[error(transparent)]
    Replicas(#[from] TooManyReplicas),
    /// A broker setting that `trilog dev` chooses for each node.
    #[error(
        "--set: {name}: trilog dev chooses this for each node; a node of your own has {flag}: trilog serve {flag}=…"
    )]
    ChosenByDev {
        /// The setting.
        name: String,
        /// The flag of `trilog serve`.
        flag: &'static str,
    },
}

/// The flags of `trilog serve` for which `trilog dev` has the same.
const IN_COMMON: [&str; 1] = ["--data-dir"];

/// A setting that is a flag of `trilog serve` may be none here.
fn refused(wrong: WrongSetting) -> DevArgsError {
    match wrong {
        WrongSetting(SettingError::HasFlag { name, flag }) if !IN_COMMON.contains(&flag) => {
            DevArgsError::ChosenByDev { name, flag }
        }
        wrong => wrong.into(),
    }
}

#[derive(Clone, Debug, Args)]
pub(super) struct DevArgs {
    /// How many nodes: from 1 to 5. An even number survives no more losses than the odd one below it.
    #[arg(long, env = "TRILOG_NODES", default_value_t = 3, value_name = "N", value_parser = nodes)]
    nodes: u16,

    /// The first node's port; the others follow. Each node's port for its peers is 1000 above, its HTTP
    /// port 2000 above.
    #[arg(
        long,
        env = "TRILOG_BASE_PORT",
        default_value_t = 9092,
        value_name = "PORT",
        value_parser = base_port
    )]
    base_port: u16,

    /// Where the nodes keep everything, each in its own node-N.
    #[arg(long, env = "TRILOG_DATA_DIR", default_value = "./trilog-data", value_name = "DIR")]
    data_dir: PathBuf,

    #[command(flatten)]
    topics: CreateTopicsArgs,

    /// A broker setting for every node, such as num.partitions=3; repeatable, or several separated by `;`.
    #[arg(long = "set", env = "TRILOG_SET", value_name = "NAME=VALUE")]
    settings: Vec<Settings>,

    /// What an acknowledgement promises.
    #[arg(long, env = "TRILOG_DURABILITY", value_enum, default_value = "sync")]
    durability: Durability,

    /// What is kept free on the disk: below it a node takes no more records in until there is room.
    #[arg(long, env = "TRILOG_MIN_FREE_SPACE", default_value = DEFAULT_MIN_FREE_SPACE, value_name = "BYTES")]
    min_free_space: ByteSize,
}

impl DevArgs {
    pub(super) fn into_options(self, log: LogOptions) -> Result<DevOptions, DevArgsError> {
        let topics = self.topics.into_topics(NodeCount { nodes: self.nodes.into(), flag: "--nodes" })?;
        // Each node checks them too, but one message is better than three.
        let settings = setting::joined(self.settings);
        let checked = setting::check(&settings).map_err(refused)?;
        setting::check_replicas(&checked, NodeCount { nodes: self.nodes.into(), flag: "--nodes" })?;
        Ok(DevOptions {
            nodes: self.nodes,
            base_port: self.base_port,
            data_dir: self.data_dir,
            topics,
            settings,
            durability: self.durability,
            min_free_space: self.min_free_space,
            log,
        })
    }
}

fn nodes(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(number @ 1..=5) => Ok(number),
        _ => Err("1 to 5 are allowed, and 3 or 5 survive the loss of a node".to_owned()),
    }
}

fn base_port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(port @ 1..=MAX_BASE_PORT) => Ok(port),
        Ok(0) | Err(_) => Err(format!("a port from 1 to {MAX_BASE_PORT} is allowed")),
        Ok(port) => Err(format!(
            "the nodes' HTTP ports, {HTTP_PORT_DISTANCE} above, would begin at {} and there is no port above {}: at most \
             {MAX_BASE_PORT} is allowed",
            u32::from(port) + u32::from(HTTP_PORT_DISTANCE),
            u16::MAX
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Invocation, invoke};
    use super::*;
    use crate::logging::LogFormat;

    fn dev(flags: &[&str]) -> Result<DevOptions, String> {
        match invoke(&[&["dev"], flags].concat())? {
            Invocation::Dev(options) => Ok(options),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn no_flag_is_needed() {
        let options = dev(&[]).unwrap();
        assert_eq!((options.nodes, options.base_port), (3, 9092));
        assert_eq!(options.data_dir, PathBuf::from("./trilog-data"));
        assert_eq!(options.log, LogOptions { filter: "info".to_owned(), format: LogFormat::Text });
    }

    #[test]
    fn a_message_says_why() {
        let refused = |flag: &str| dev(&[flag]).unwrap_err();
        assert!(refused("--base-port=65000").contains("67000"), "{}", refused("--base-port=65000"));
        let chosen = refused("--set=advertised.listeners=A://b:1");
        assert!(chosen.contains("trilog serve --advertised-listeners"), "{chosen}");
        let own = refused("--set=log.dirs=/tmp");
        assert!(own.contains("with the flag --data-dir"), "{own}");
    }

    #[test]
    fn a_wrong_value_names_its_flag() {
        for (flag, value) in [
            ("--nodes", "6"),
            ("--nodes", "0"),
            ("--base-port", "0"),
            ("--base-port", "63531"),
            ("--create-topic", "orders"),
            ("--create-topic", "orders:0:1"),
            ("--create-topic", "orders:1:4"),
            ("--create-topics", "orders:1:1,mail:1:5"),
            ("--set", "="),
            ("--set", "log.dirs=/tmp"),
            ("--set", "advertised.listeners=A://b:1"),
            ("--set", "default.replication.factor=4"),
            ("--set", "offsets.topic.replication.factor=5"),
            ("--durability", "none"),
        ] {
            let error = dev(&[&format!("{flag}={value}")]).unwrap_err();
            assert!(error.contains(flag), "{flag} {value}: {error}");
        }
    }
}
