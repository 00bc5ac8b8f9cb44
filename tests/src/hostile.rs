//! Attacks on a cluster, and what honest clients and the nodes' memory notice of them.
//!
//! A [`Scenario`] is a cluster and an attack on it. [`play`] starts the cluster, lets a [`probe`] produce and consume a
//! record on each node every 200 ms, runs the attack, and reports the probe's worst acknowledgement and each node's resident
//! memory before, at its peak and afterwards. The command `hostile` plays scenarios at full size; the system tests play the
//! same ones at a small size, where nothing is asserted about time:
//!
//! ```sh
//! cargo run --release -p trilog-tests --bin hostile -- --list
//! cargo run --release -p trilog-tests --bin hostile -- --scenario slow-writers
//! ```
//!
//! # How to add a scenario
//!
//! 1. A file below `hostile/` with a `pub(super) const SCENARIO: Scenario` and its `attack`, and what has to be there before it. The attack panics when something
//!    does not hold that time has no part in; the report tells the rest.
//! 2. A `mod` line and an entry in [`ALL`] below.
//! 3. A test below `tests/tests/system/hostile/` that plays it by [`play_small`].

mod administration;
mod auto_creation;
mod descriptors;
mod expressions;
mod fetch_sessions;
mod fuzz;
mod honest;
mod malformed;
mod many_partitions;
mod many_producers;
pub mod memory;
mod pipelined;
pub mod probe;
mod repeated_names;
pub mod report;
mod slow_http;
mod slow_writers;
mod stranger;
mod unacknowledged;
mod unread_answers;

use std::pin::Pin;
use std::time::Duration;

use kafka_protocol::ResponseError;

use self::memory::Memory;
use self::probe::Probe;
use self::report::Report;
use crate::admin::NewTopic;
use crate::cluster::{Cluster, ClusterOptions};
use crate::requests::{error, only};
use crate::waiting::within;

/// All scenarios, in the order in which the command `hostile` plays them.
pub const ALL: &[&Scenario] = &[
    &slow_writers::SCENARIO,
    &malformed::SCENARIO,
    &descriptors::SCENARIO,
    &slow_http::SCENARIO,
    &many_producers::SCENARIO,
    &pipelined::SCENARIO,
    &many_partitions::SCENARIO,
    &auto_creation::SCENARIO,
    &stranger::SCENARIO,
    &repeated_names::SCENARIO,
    &unacknowledged::SCENARIO,
    &unread_answers::SCENARIO,
    &expressions::SCENARIO,
    &administration::SCENARIO,
    &fetch_sessions::SCENARIO,
    &honest::SCENARIO,
    &fuzz::SCENARIO,
];

/// How large an attack is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Some seconds on a busy machine, as a part of `cargo test`.
    Small,
    /// As large as a stranger would make it.
    Full,
}

impl Size {
    /// One of two numbers.
    pub fn choose<T>(self, small: T, full: T) -> T {
        match self {
            Self::Small => small,
            Self::Full => full,
        }
    }
}

/// An attack at work. It borrows the cluster, so that it can restart nodes.
pub type Attack<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A cluster and an attack on it.
#[derive(Debug)]
pub struct Scenario {
    /// What the command line calls it.
    pub name: &'static str,
    /// What happens, in a line.
    pub what: &'static str,
    /// The cluster that is attacked.
    pub cluster: fn() -> ClusterOptions,
    /// What is there before the attack, and is part of what the nodes' memory is before it: topics, and what an honest use of them
    /// leaves in caches.
    pub prepare: for<'a> fn(&'a mut Cluster, Size) -> Attack<'a>,
    /// The attack. When it returns, all of its connections are closed.
    pub attack: for<'a> fn(&'a mut Cluster, Size) -> Attack<'a>,
}

/// Prepares nothing.
fn nothing(_: &mut Cluster, _: Size) -> Attack<'_> {
    Box::pin(std::future::ready(()))
}

/// How long it may take on a busy machine until ten thousand partitions have leaders.
const CREATED_WITHIN: Duration = Duration::from_secs(300);

/// Creates a topic of very many partitions, and waits until all of them have leaders.
async fn create_wide(cluster: &Cluster, name: &str, partitions: i32) {
    let connection = cluster.connect(1).await;
    let request = NewTopic::new(name).partitions(partitions).request().with_timeout_ms(10_000);
    let created = only(connection.request(request).await.expect("CreateTopics is answered").topics);
    // The answer comes before all of them have, where that takes long.
    let expected = [None, Some(ResponseError::RequestTimedOut)];
    assert!(expected.contains(&error(created.error_code)), "{:?}", created.error_message);
    let led = within(CREATED_WITHIN, async || {
        let rows = cluster.topic(name).await?.partitions;
        let led = rows.iter().filter(|row| row.leader_id.0 > 0).count();
        (i32::try_from(led) == Ok(partitions)).then_some(())
    });
    led.await.unwrap_or_else(|| panic!("not all partitions of {name} have leaders"));
}

/// The scenario of this name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name).copied()
}

/// Plays a scenario on a cluster of its own.
///
/// # Panics
/// If a node ends, the attack finds that something does not hold, or the probe's records are not served.
pub async fn play(scenario: &Scenario, size: Size) -> Report {
    let mut cluster = Cluster::start((scenario.cluster)()).await;
    (scenario.prepare)(&mut cluster, size).await;
    let probe = Probe::start(&cluster).await;
    let mut memory = Memory::before(&cluster);
    (scenario.attack)(&mut cluster, size).await;
    memory.attacked(&cluster);
    let felt = probe.stop();
    memory.settle(&cluster).await;
    cluster.assert_alive();
    Report { scenario: scenario.name, felt, memory }
}

/// Plays a scenario at its small size and asserts what time has no part in: every node lives, no node exceeded the
/// memory that a node may take, and the probe's records were acknowledged and delivered.
///
/// # Panics
/// As [`play`], or if any of this does not hold.
pub async fn play_small(name: &str) {
    let scenario = find(name).unwrap_or_else(|| panic!("there is no scenario {name}"));
    let report = play(scenario, Size::Small).await;
    assert!(report.felt.acknowledged > 0, "the probe got nothing through: {report}");
    assert!(report.memory.is_bounded(), "{report}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for scenario in ALL {
            assert_eq!(
                ALL.iter().filter(|other| other.name == scenario.name).count(),
                1,
                "{}",
                scenario.name
            );
        }
        assert!(find("no such scenario").is_none());
    }
}
