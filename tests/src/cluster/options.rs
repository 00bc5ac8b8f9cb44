//! What a cluster is to be: how many nodes, with what settings, and on what ground they stand.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a cluster is to be.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// How many nodes; their ids are 1, 2, ….
    pub nodes: i32,
    /// Broker settings by Kafka's names.
    pub settings: Vec<(String, String)>,
    /// Further flags of every node.
    pub flags: Vec<String>,
    /// Whether the nodes talk to each other through [`Links`].
    pub links: bool,
    /// Whether each node has a wall clock of its own; see [`Node::set_clock`].
    pub clocks: bool,
    /// Whether the nodes have a [`Network`](crate::network::Network) of their own.
    pub network: bool,
    /// Whether each node has a [`SmallDisk`](crate::small_disk::SmallDisk), and of how many mebibytes.
    pub small_disks: Option<u64>,
    /// Whether each node has a [`FaultyDisk`](crate::faulty_disk::FaultyDisk).
    pub faulty_disks: bool,
    /// The promise that the nodes break on purpose, see [`faulty`](crate::binary::faulty).
    pub fault: Option<&'static str>,
    /// How many files each node may have open.
    pub open_files: Option<u64>,
    /// The data directories of some nodes; the others' are the cluster's own.
    pub data_dirs: BTreeMap<i32, PathBuf>,
}

impl ClusterOptions {
    /// A cluster of this many nodes with default settings, but that records are kept for ever: those of tests are of 1970.
    pub fn nodes(nodes: i32) -> Self {
        let options = Self {
            nodes,
            settings: Vec::new(),
            flags: Vec::new(),
            links: false,
            clocks: false,
            network: false,
            small_disks: None,
            faulty_disks: false,
            fault: None,
            open_files: None,
            data_dirs: BTreeMap::new(),
        };
        options.set("log.retention.ms", "-1")
    }

    /// The same with one more broker setting.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with one more flag for every node.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// The same with the data of a node somewhere else.
    #[must_use]
    pub fn data_dir(mut self, node: i32, data_dir: PathBuf) -> Self {
        self.data_dirs.insert(node, data_dir);
        self
    }

    /// The same with links between the nodes that can be cut; see [`Cluster::links`].
    #[must_use]
    pub fn links(mut self) -> Self {
        self.links = true;
        self
    }

    /// The same with wall clocks that can be set; only where [`crate::clock::library`] is there.
    #[must_use]
    pub fn clocks(mut self) -> Self {
        self.clocks = true;
        self
    }

    /// The same of brokers that break a promise on purpose.
    #[must_use]
    pub fn fault(mut self, fault: &'static str) -> Self {
        self.fault = Some(fault);
        self
    }

    /// The same with a limit of open files for each node, as `ulimit -n` sets it: the soft and the hard one.
    #[must_use]
    pub fn open_files(mut self, limit: u64) -> Self {
        self.open_files = Some(limit);
        self
    }

    /// The same in a network of its own; see [`Cluster::network`](super::Cluster::network). Links are of no use there.
    #[must_use]
    pub fn network(mut self) -> Self {
        self.network = true;
        self
    }

    /// The same with a disk of so many mebibytes for each node; see [`Cluster::small_disk`](super::Cluster::small_disk).
    #[must_use]
    pub fn small_disks(mut self, mib: u64) -> Self {
        self.small_disks = Some(mib);
        self
    }

    /// The same with a disk for each node whose power can be cut; see
    /// [`Cluster::faulty_disk`](super::Cluster::faulty_disk).
    #[must_use]
    pub fn faulty_disks(mut self) -> Self {
        self.faulty_disks = true;
        self
    }
}
