//! `trilog dev`: a local cluster in one command, and a stage for failover.
//!
//! The nodes are child processes of the same executable, so that one can be killed, paused and started again while the
//! others go on: what a user tries here is what happens on three machines. This room starts them, passes their logs
//! on, carries out what is typed, and ends them. It never restarts a node by itself; a node that dies stays down,
//! because watching the cluster do without it is the point.
//!
//! | room | what it tells |
//! | --- | --- |
//! | `plan` | ports, paths and flags of each node |
//! | `data_dir` | who may use the data directory, process ids for scripts |
//! | `ports` | whether the ports are free |
//! | `node_process` | one child: started, signalled, its end reported |
//! | `ready` | when the cluster can be used; the topics asked for |
//! | `commands` | what may be typed |
//! | `supervisor` | what each node is doing, and how commands change it |
//! | `console` | what is said and heard |

mod commands;
mod console;
mod data_dir;
mod node_process;
mod plan;
mod ports;
mod ready;
mod supervisor;

use std::io;
use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;
use trilog_cluster::secret::{ClusterSecret, SecretError};

use self::console::say;
use self::data_dir::{DataDir, DataDirError};
use self::node_process::SpawnError;
use self::plan::Plan;
use self::ports::PortTaken;
use self::ready::{Ready, wait_until_ready};
use self::supervisor::{Next, Supervisor};
use crate::cli::DevOptions;
use crate::port::TAKEN_PATIENCE;
use crate::replicas;
use crate::shutdown::ShutdownSignals;

/// How long nodes of a `trilog dev` that was killed may take to notice and to let go of their ports.
const EARLIER_NODES_END_WITHIN: Duration = Duration::from_secs(10);

/// Why a local cluster did not start.
#[derive(Debug, Error)]
pub(crate) enum DevError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The secret of its nodes cannot be made.
    #[error("--data-dir: {0}")]
    Secret(#[from] SecretError),
    /// Another program listens where a node is to.
    #[error(transparent)]
    PortTaken(#[from] PortTaken),
    /// A node cannot be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The operating system refused a signal handler or a thread, or does not tell which executable this is.
    #[error("cannot watch over the nodes: {0}")]
    Setup(#[source] io::Error),
}

/// Runs a local cluster until it is asked to end, by a signal or by `quit`.
///
/// # Errors
///
/// [`DevError`], if it did not start; no node is left running then.
pub(crate) async fn run(options: DevOptions) -> Result<(), DevError> {
    let mut shutdown = ShutdownSignals::listen(false).map_err(DevError::Setup)?;
    let plan = Plan::new(&options);
    let data_dir = DataDir::claim(&options.data_dir, options.nodes)?;
    ClusterSecret::make(&plan.secret_file)?;
    let patience = if data_dir.left_by_earlier_run() { EARLIER_NODES_END_WITHIN } else { TAKEN_PATIENCE };
    tokio::select! {
        free = ports::wait_until_free(&plan, patience) => free?,
        cause = shutdown.requested() => {
            say(format_args!("{cause}: no node was started"));
            return Ok(());
        }
    }
    let executable = std::env::current_exe().map_err(DevError::Setup)?;
    let mut typed = console::typed_lines().map_err(DevError::Setup)?;

    let started = Instant::now();
    let mut supervisor = Supervisor::start(plan.clone(), executable)?;
    if let Some(caution) = replicas::caution(plan.nodes.len(), "nodes") {
        say(format_args!("caution:   {caution}"));
    }
    say(format_args!("bootstrap: {}", plan.bootstrap()));
    say(format_args!("commands:  {}", commands::ALLOWED));
    if console::is_in_background(&io::stdin()) {
        say("           none are read while this runs in the background of a terminal");
    }

    let first = plan.nodes[0].address.to_string();
    let readiness = wait_until_ready(plan, options.topics);
    tokio::pin!(readiness);
    let (mut is_ready, mut can_type) = (false, true);
    loop {
        tokio::select! {
            cause = shutdown.requested() => {
                say(format_args!("{cause}: stopping"));
                break;
            }
            exit = supervisor.next_exit() => supervisor.ended(exit),
            line = typed.recv(), if can_type => match line {
                Some(line) => if supervisor.obey(&line) == Next::Quit { break },
                None => can_type = false,
            },
            ready = &mut readiness, if !is_ready => {
                is_ready = true;
                announce(&ready, started);
                suggest(&first);
            }
        }
    }
    supervisor.stop_all(&mut shutdown).await;
    drop(data_dir);
    Ok(())
}

/// The two commands by which a newcomer sees a record go in and come out, as this executable was called.
fn suggest(first: &str) {
    let trilog = std::env::args().next().unwrap_or_else(|| "trilog".to_owned());
    say(format_args!("try:       echo hello | {trilog} produce greetings -b {first}"));
    say(format_args!("           {trilog} consume greetings -b {first}"));
}

fn announce(ready: &Ready, started: Instant) {
    for topic in &ready.topics {
        say(topic);
    }
    let seconds = started.elapsed().as_secs_f64();
    say(format_args!("ready after {seconds:.1} s; node {} is the controller", ready.controller));
}
