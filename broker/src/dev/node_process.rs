//! One node as a child process: started, signalled, its log passed on, its end reported.
//!
//! A task owns the child, so a signal can never hit a process that merely got the id of one that ended: only the task
//! knows whether the child was reaped. The child leads a process group of its own, so that Ctrl-C in a terminal reaches
//! us alone and we decide in which order things end. It is told to end when its standard input closes, which happens
//! whatever ends us; see [`crate::shutdown`].

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use thiserror::Error;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::warn;
use trilog_cluster::ids::NodeId;

use super::console;
use super::data_dir::write_pid;
use super::plan::NodePlan;

/// How many signals wait for delivery. They are delivered as soon as the task runs, so that a full queue means a
/// broken runtime.
const WAITING_SIGNALS: usize = 16;

/// How long the last log lines of a node that ended may take before its end is reported without them.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Variables that would reach into a node past the flags it is given. `TRILOG_LOG` is among them: it comes as a flag.
const VARIABLE_PREFIX: &str = "TRILOG_";

/// A node that was started and has not been seen to end.
#[derive(Debug)]
pub(super) struct NodeProcess {
    /// Its process id.
    pub(super) pid: u32,
    signals: mpsc::Sender<Signal>,
}

/// A node that ended.
#[derive(Debug)]
pub(super) struct Exit {
    /// The node.
    pub(super) node: NodeId,
    /// How it ended.
    pub(super) status: io::Result<ExitStatus>,
    /// What it said about it.
    pub(super) last_words: Option<String>,
}

/// Why a node could not be started.
#[derive(Debug, Error)]
pub(crate) enum SpawnError {
    /// The operating system refused the process.
    #[error("cannot start node {node}: {source}")]
    Process {
        /// The node.
        node: NodeId,
        /// What the operating system says.
        source: io::Error,
    },
    /// Its process id could not be written down.
    #[error("--data-dir: cannot write {}: {source}", path.display())]
    PidFile {
        /// The file.
        path: std::path::PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

impl NodeProcess {
    /// Starts a node. Its end will come out of `exits`.
    ///
    /// # Errors
    ///
    /// [`SpawnError`]; no process is left behind.
    pub(super) fn spawn(
        executable: &Path,
        plan: &NodePlan,
        exits: &mut JoinSet<Exit>,
    ) -> Result<Self, SpawnError> {
        let node = plan.id;
        let mut command = Command::new(executable);
        command
            .args(&plan.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with(VARIABLE_PREFIX) {
                command.env_remove(name);
            }
        }
        let child = command.spawn().map_err(|source| SpawnError::Process { node, source })?;
        let pid = child.id().expect("a child that nobody has waited for has an id");
        write_pid(&plan.pid_file, pid)
            .map_err(|source| SpawnError::PidFile { path: plan.pid_file.clone(), source })?;
        let (signals, to_deliver) = mpsc::channel(WAITING_SIGNALS);
        exits.spawn(watch(node, child, to_deliver));
        Ok(Self { pid, signals })
    }

    /// Sends the process a signal, unless it has ended.
    pub(super) fn signal(&self, signal: Signal) {
        if self.signals.try_send(signal).is_err() {
            warn!(pid = self.pid, ?signal, "not delivered: the node has ended, or too many signals wait");
        }
    }
}

/// Lives as long as the child does, and holds the pipe that tells the child that we live.
async fn watch(node: NodeId, mut child: Child, mut signals: mpsc::Receiver<Signal>) -> Exit {
    // `wait` would close it.
    let alive = child.stdin.take();
    let mut logs = JoinSet::new();
    if let Some(output) = child.stdout.take() {
        logs.spawn(console::pass_on(node, output));
    }
    if let Some(errors) = child.stderr.take() {
        logs.spawn(console::pass_on(node, errors));
    }
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            Some(signal) = signals.recv() => deliver(&child, signal),
        }
    };
    drop(alive);
    // What it said last, above all why it ended, belongs before the report of its end.
    let mut last_words = None;
    let _ = timeout(LAST_WORDS, async {
        while let Some(said) = logs.join_next().await {
            last_words = last_words.take().or(said.ok().flatten());
        }
    })
    .await;
    Exit { node, status, last_words }
}

fn deliver(child: &Child, signal: Signal) {
    let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) else { return };
    if let Err(error) = kill_process(pid, signal) {
        warn!(%error, ?signal, "signal not delivered");
    }
}
