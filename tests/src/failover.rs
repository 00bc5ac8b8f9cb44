//! What a fault costs its clients, measured over many rounds.
//!
//! A round is a few seconds: a cluster under load, one fault, and a look at what the clients felt. The rounds of a
//! scenario share a cluster and take the nodes in turn; after each of them, everything that was acknowledged is read
//! back. The command `failover` runs scenarios and prints their figures:
//!
//! ```sh
//! cargo run --release -p trilog-tests --bin failover -- --rounds 30
//! ```
//!
//! | scenario | what happens | room |
//! | --- | --- | --- |
//! | `kill` | SIGKILL of a leader's node, which then returns | [`leader_lost`] |
//! | `pause`, `cut` | a leader's node stands still, or is cut off from both others | [`leader_lost`] |
//! | `rolling` | SIGTERM of each node in turn, and its return | [`rolling`] |
//! | `coordinator` | SIGKILL of the node that coordinates a consumer group | [`coordinator`] |
//! | `catch-up` | a node returns to find a gigabyte that it lacks | [`catch_up`] |
//! | `start-up` | SIGKILL of nodes with gigabytes in 1,000 partitions, and their start; only if it is named | [`start_up`] |
//!
//! What a client feels depends on the client, too. This one is librdkafka with its waits between attempts turned down;
//! see [`steady_load`].

pub mod catch_up;
pub mod coordinator;
mod diary;
pub mod figure;
mod flood;
mod journal;
pub mod leader_lost;
mod page_cache;
pub mod rolling;
mod stage;
pub mod start_up;
pub mod steady_load;

use std::str::FromStr;

use self::figure::Figure;
use self::leader_lost::Fault;

/// A kind of fault to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// The leader's node is killed, and returns.
    Kill,
    /// The leader's node stands still.
    Pause,
    /// The leader's node is cut off.
    Cut,
    /// The nodes end in good order and return, one after the other.
    Rolling,
    /// The node of a group's coordinator is killed.
    Coordinator,
    /// A node returns after much was written.
    CatchUp,
    /// Nodes with much on their disks are killed and start. Takes the disk space of three times what they have.
    StartUp,
}

/// What rounds may take and do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Means {
    /// Rounds that write much begin with a [filled page cache](page_cache).
    pub fill_page_cache: bool,
    /// What nodes have on their disks when they start, in gigabytes (10⁹ bytes) of records.
    pub gigabytes: u64,
}

impl Scenario {
    /// All of them that an ordinary machine has room for.
    pub const ALL: [Self; 6] =
        [Self::Kill, Self::Pause, Self::Cut, Self::Rolling, Self::Coordinator, Self::CatchUp];

    /// Runs it for this many rounds.
    ///
    /// # Panics
    /// If anything acknowledged is lost, doubled or out of order, or the cluster does not recover.
    pub async fn run(self, rounds: usize, means: Means) -> Vec<Figure> {
        match self {
            Self::Kill => leader_lost::run(Fault::Kill, rounds).await,
            Self::Pause => leader_lost::run(Fault::Pause, rounds).await,
            Self::Cut => leader_lost::run(Fault::Cut, rounds).await,
            Self::Rolling => rolling::run(rounds).await,
            Self::Coordinator => coordinator::run(rounds).await,
            Self::CatchUp => catch_up::run(rounds, means.fill_page_cache).await,
            Self::StartUp => start_up::run(rounds, means.gigabytes).await,
        }
    }
}

impl FromStr for Scenario {
    type Err = String;

    /// Some figures go by a name of their own, and are taken in the rounds of another.
    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "kill" | "balance" => Ok(Self::Kill),
            "pause" => Ok(Self::Pause),
            "cut" => Ok(Self::Cut),
            "rolling" | "terminate" => Ok(Self::Rolling),
            "coordinator" => Ok(Self::Coordinator),
            "catch-up" => Ok(Self::CatchUp),
            "start-up" => Ok(Self::StartUp),
            other => Err(format!("{other:?} is no scenario")),
        }
    }
}
