//! The harness: real processes, real sockets, real clients.
//!
//! The tests that stand on it (`tests/system/`) know a broker only from outside: they start the `trilog` binary, talk to
//! it in the Kafka protocol or through somebody else's client, kill it, and look at what is left.
//!
//! | room | what it tells |
//! | --- | --- |
//! | [`binary`] | the executable under test, built once a run |
//! | [`cluster`] | some `trilog serve` processes that form a cluster, and how to ill-treat them |
//! | [`node`] | one of those processes |
//! | [`links`] | what lies between those processes: to be cut, slowed down, healed |
//! | [`network`] | a network of its own for a cluster, in which packets are lost and cables pulled |
//! | [`clock`] | a wall clock of its own for a process |
//! | [`dev`] | a `trilog dev` process with its standard streams |
//! | [`admin`] | topics and leaders, asked for through the wire |
//! | [`batch`] | record batches built and read byte by byte, wrong ones too |
//! | [`requests`] | requests about one partition, in any version |
//! | [`partition`] | a partition as its leader shows it: write, read back, ask for offsets |
//! | [`group`] | a consumer group as its coordinator shows it, its members, real ones too |
//! | [`http`] | what a node's HTTP port answers |
//! | [`history`], [`checker`] | what clients asked, when, what they were told, and whether a broker may have told them so |
//! | [`workload`] | clients that keep a cluster busy and write down what they are told |
//! | [`nemesis`] | what happens to nodes, and when |
//! | [`copies`] | what each replica has of a topic, read from it |
//! | [`round`] | all of it together: clients, faults, judgement |
//! | [`hostile`] | attacks, and what honest clients and the nodes' memory notice of them |
//! | [`lines`] | a big file of lines, and whether two of them are the same |
//! | [`small_disk`] | a disk that a test can fill |
//! | [`faulty_disk`] | a disk whose power is cut, and that is slow, hangs or fails |
//! | [`ports`], [`scratch`], [`waiting`] | ports, directories and patience |
//! | [`complete`] | what this machine does not allow, and whether that is a failure |
//!
//! Whatever a test starts dies with it: every process is killed when its owner is dropped, and the nodes end by
//! themselves when the test process goes without a word. The files of a test that fails are kept, and their place is
//! printed.

pub mod admin;
pub mod batch;
pub mod binary;
pub mod checker;
pub mod clock;
pub mod cluster;
pub mod complete;
pub mod copies;
pub mod dev;
pub mod failover;
pub mod faulty_disk;
pub mod group;
pub mod history;
pub mod hostile;
pub mod http;
pub mod lines;
pub mod links;
pub mod nemesis;
pub mod network;
pub mod node;
pub mod partition;
pub mod ports;
pub mod requests;
pub mod round;
pub mod scratch;
pub mod small_disk;
pub mod waiting;
pub mod workload;
