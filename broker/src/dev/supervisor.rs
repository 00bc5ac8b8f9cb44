//! What each node of a local cluster is doing, and how commands and exits change it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::warn;
use trilog_cluster::ids::NodeId;

use super::commands::{self, Action, Command};
use super::console::say;
use super::node_process::{Exit, NodeProcess, SpawnError};
use super::plan::Plan;
use crate::shutdown::ShutdownSignals;

/// How long nodes may take to end when the cluster is stopped, before they are killed.
const GRACE: Duration = Duration::from_secs(8);

/// The nodes of a local cluster.
#[derive(Debug)]
pub(super) struct Supervisor {
    plan: Plan,
    executable: PathBuf,
    nodes: BTreeMap<NodeId, State>,
    exits: JoinSet<Exit>,
    /// The whole cluster is being stopped.
    stopping: bool,
}

/// What one node is doing.
#[derive(Debug)]
enum State {
    Up {
        process: NodeProcess,
        /// Paused by a command; a script that pauses a node behind our back is not noticed.
        paused: bool,
        /// A command, not a fault, is about to end it.
        ending: bool,
        /// It is to start again when it has ended.
        again: bool,
    },
    Down {
        /// How it came to that.
        how: String,
    },
}

/// What follows upon a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The cluster goes on.
    GoOn,
    /// The cluster is to be stopped.
    Quit,
}

impl Supervisor {
    /// Starts every node of the plan and says so.
    ///
    /// # Errors
    ///
    /// [`SpawnError`] of the first one that cannot be started; those before it are killed.
    pub(super) fn start(plan: Plan, executable: PathBuf) -> Result<Self, SpawnError> {
        let ids: Vec<NodeId> = plan.nodes.iter().map(|node| node.id).collect();
        let mut supervisor =
            Self { plan, executable, nodes: BTreeMap::new(), exits: JoinSet::new(), stopping: false };
        for id in ids {
            supervisor.spawn(id)?;
        }
        Ok(supervisor)
    }

    fn spawn(&mut self, id: NodeId) -> Result<(), SpawnError> {
        let plan = self.plan.node(id).expect("only nodes of the plan are started");
        let process = NodeProcess::spawn(&self.executable, plan, &mut self.exits)?;
        say(format_args!(
            "node {id}: process {}, {}, {}",
            process.pid,
            plan.address,
            plan.data_dir.display()
        ));
        self.nodes.insert(id, State::Up { process, paused: false, ending: false, again: false });
        Ok(())
    }

    /// Waits for a node to end; for ever while none is up.
    pub(super) async fn next_exit(&mut self) -> Exit {
        match self.exits.join_next().await {
            Some(exit) => exit.expect("the watch over a node neither panics nor is cancelled"),
            None => std::future::pending().await,
        }
    }

    /// Takes note that a node ended, and says so.
    pub(super) fn ended(&mut self, exit: Exit) {
        let Exit { node, status, last_words } = exit;
        let mut how =
            status.map_or_else(|error| format!("its end was not seen: {error}"), |status| status.to_string());
        if let Some(words) = last_words {
            how.push_str(": ");
            how.push_str(&words);
        }
        let (asked, again) = match self.nodes.get(&node) {
            Some(State::Up { ending, again, .. }) => (*ending, *again && !self.stopping),
            _ => (false, false),
        };
        let word = if asked { "ended" } else { "died" };
        let outlook = match (self.stopping, again) {
            (true, _) => String::new(),
            (false, true) => "; it starts again".to_owned(),
            (false, false) => format!("; it stays down until start {node}"),
        };
        say(format_args!("node {node}: {word} ({how}){outlook}"));
        if let Some(plan) = self.plan.node(node)
            && let Err(error) = fs::remove_file(&plan.pid_file)
        {
            warn!(%error, file = %plan.pid_file.display(), "cannot remove");
        }
        self.nodes.insert(node, State::Down { how });
        if again {
            self.start_again(node);
        }
    }

    fn start_again(&mut self, node: NodeId) {
        if let Err(error) = self.spawn(node) {
            say(error);
        }
    }

    /// Carries out a typed line and says what came of it.
    pub(super) fn obey(&mut self, line: &str) -> Next {
        let count = u32::try_from(self.plan.nodes.len()).unwrap_or(u32::MAX);
        match commands::parse(line, count) {
            Ok(None) => {}
            Ok(Some(Command::Quit)) => {
                say("stopping");
                return Next::Quit;
            }
            Ok(Some(Command::Help)) => say(commands::ALLOWED),
            Ok(Some(Command::Status)) => self.report(),
            Ok(Some(Command::Node(action, node))) => self.act(action, node),
            Err(error) => say(error),
        }
        Next::GoOn
    }

    fn report(&self) {
        for plan in &self.plan.nodes {
            let (id, address) = (plan.id, &plan.address);
            match self.nodes.get(&id) {
                Some(State::Up { process, paused, .. }) => {
                    let state = if *paused { "paused" } else { "up" };
                    say(format_args!("node {id}: {state}, process {}, {address}", process.pid));
                }
                Some(State::Down { how }) => say(format_args!("node {id}: down ({how}), {address}")),
                None => say(format_args!("node {id}: not started, {address}")),
            }
        }
    }

    fn act(&mut self, action: Action, node: NodeId) {
        match (action, self.nodes.get_mut(&node)) {
            // What ended it has not taken effect yet: `kill 2` and `start 2` may come in one breath.
            (Action::Start, Some(State::Up { ending: true, again, .. })) => *again = true,
            (Action::Start, Some(State::Up { .. })) => {
                say(format_args!("node {node} is up, there is nothing to start"))
            }
            (Action::Start, _) => self.start_again(node),
            (Action::Kill, Some(State::Up { process, ending, again, .. })) => {
                (*ending, *again) = (true, false);
                process.signal(Signal::KILL);
            }
            (Action::Stop, Some(State::Up { process, ending, again, .. })) => {
                (*ending, *again) = (true, false);
                terminate(process);
            }
            (Action::Pause, Some(State::Up { process, paused, .. })) => {
                *paused = true;
                process.signal(Signal::STOP);
                say(format_args!("node {node}: paused until resume {node}"));
            }
            (Action::Resume, Some(State::Up { process, paused, .. })) => {
                *paused = false;
                process.signal(Signal::CONT);
                say(format_args!("node {node}: resumed"));
            }
            _ => say(format_args!("node {node} is down; start {node} brings it back")),
        }
    }

    /// Ends every node: SIGTERM to all, SIGKILL to those that are still there after a while, or at once when the user
    /// asks again.
    pub(super) async fn stop_all(mut self, shutdown: &mut ShutdownSignals) {
        self.stopping = true;
        for state in self.nodes.values_mut() {
            if let State::Up { process, ending, .. } = state {
                *ending = true;
                terminate(process);
            }
        }
        let patience = sleep(GRACE);
        tokio::pin!(patience);
        let mut killed = false;
        while self.nodes.values().any(|state| matches!(state, State::Up { .. })) {
            tokio::select! {
                exit = self.next_exit() => self.ended(exit),
                _ = shutdown.requested() => self.kill_all(&mut killed),
                () = &mut patience, if !killed => self.kill_all(&mut killed),
            }
        }
        say("stopped");
    }

    fn kill_all(&self, killed: &mut bool) {
        *killed = true;
        for (node, state) in &self.nodes {
            if let State::Up { process, .. } = state {
                say(format_args!("node {node}: killed, it did not end"));
                process.signal(Signal::KILL);
            }
        }
    }
}

/// A paused process would take SIGTERM only once it goes on, whoever paused it.
fn terminate(process: &NodeProcess) {
    process.signal(Signal::TERM);
    process.signal(Signal::CONT);
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;
    use crate::cli::Invocation;

    /// A cluster whose nodes do nothing but wait for the end of their standard input.
    fn cluster(home: &tempfile::TempDir) -> Supervisor {
        let data_dir = home.path().to_str().unwrap();
        let Ok(Invocation::Dev(options)) = crate::cli::invoke(&["dev", "--data-dir", data_dir]) else {
            panic!()
        };
        let mut plan = Plan::new(&options);
        for node in &mut plan.nodes {
            node.arguments = vec!["-c".into(), "exec cat".into()];
        }
        Supervisor::start(plan, "/bin/sh".into()).unwrap()
    }

    fn is_up(cluster: &Supervisor, node: u32) -> bool {
        matches!(cluster.nodes[&NodeId(node)], State::Up { .. })
    }

    #[tokio::test]
    async fn a_node_is_killed_stays_down_and_is_started_again() {
        let home = tempfile::tempdir().unwrap();
        let mut cluster = cluster(&home);
        let pid_file = home.path().join("node-2.pid");
        assert!(pid_file.exists());
        assert_eq!(cluster.obey("kill 2"), Next::GoOn);
        let exit = cluster.next_exit().await;
        assert_eq!(exit.node, NodeId(2));
        assert_eq!(exit.status.as_ref().unwrap().signal(), Some(9));
        cluster.ended(exit);
        assert!(!is_up(&cluster, 2) && is_up(&cluster, 1) && is_up(&cluster, 3));
        assert!(!pid_file.exists());
        cluster.obey("kill 2");
        assert!(!is_up(&cluster, 2), "a node that is down takes no signal");
        cluster.obey("start 2");
        assert!(is_up(&cluster, 2) && pid_file.exists());
    }

    #[tokio::test]
    async fn a_node_that_is_killed_and_started_in_one_breath_is_up_in_the_end() {
        let home = tempfile::tempdir().unwrap();
        let mut cluster = cluster(&home);
        for (commands, up) in [(&["kill 2", "start 2"][..], true), (&["kill 2", "start 2", "stop 2"], false)]
        {
            for command in commands {
                cluster.obey(command);
            }
            let exit = cluster.next_exit().await;
            cluster.ended(exit);
            assert_eq!(is_up(&cluster, 2), up, "{commands:?}");
        }
    }

    #[tokio::test]
    async fn a_paused_node_is_stopped_all_the_same() {
        let home = tempfile::tempdir().unwrap();
        let mut cluster = cluster(&home);
        cluster.obey("pause 1");
        cluster.obey("stop 1");
        let exit = cluster.next_exit().await;
        assert_eq!((exit.node, exit.status.unwrap().signal()), (NodeId(1), Some(15)));
    }

    #[tokio::test]
    async fn everything_ends_with_the_cluster() {
        let home = tempfile::tempdir().unwrap();
        let mut cluster = cluster(&home);
        cluster.obey("pause 3");
        assert_eq!(cluster.obey("quit"), Next::Quit);
        cluster.stop_all(&mut ShutdownSignals::listen(false).unwrap()).await;
        let left = fs::read_dir(home.path()).unwrap().count();
        assert_eq!(left, 0, "no process id is left behind");
    }
}
