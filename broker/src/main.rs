//! `trilog`: a small broker that speaks the Kafka protocol.
//!
//! One binary for everything: `trilog serve` runs one node, `trilog dev` a local cluster of them, `trilog health` asks a
//! node whether it can be used, `trilog secret` makes the secret of a cluster. The other commands speak to a cluster and are those of
//! `trilog-cli`. This file reads the command line, starts the log and the runtime, and turns an error into one line and exit code 1.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;
use tokio::runtime::{Builder, Runtime};
use trilog_cluster::secret::ClusterSecret;

use crate::cli::Invocation;
use crate::server::ServeError;

mod advice;
mod api;
#[cfg(test)]
mod bounds;
mod cli;
mod connection;
mod dev;
#[cfg(test)]
mod documents;
#[cfg(debug_assertions)]
mod faults;
mod health;
mod http;
mod logging;
mod metrics;
mod port;
mod replicas;
mod restart;
mod server;
mod shutdown;
mod wire;

/// sled allocates whole segments on the thread that writes and frees them on others, which breaks up glibc's heap: a node
/// under load kept twice the memory that it used. jemalloc returns free memory within a second
/// (`.cargo/config.toml`), and large buffers at once. mimalloc kept the memory that idle threads had freed.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let (invocation, log) = cli::parse();
    let log = logging::start(&log.filter, log.format);
    let mut data_dir = None;
    let outcome = match invocation {
        Invocation::Dev(options) => {
            block_on(Builder::new_current_thread().enable_all().build(), dev::run(options))
        }
        Invocation::Serve(options) => {
            data_dir = Some(options.data_dir.clone());
            let mut runtime = Builder::new_multi_thread();
            runtime.enable_all().max_blocking_threads(server::MAX_BLOCKING_THREADS);
            block_on(runtime.build(), server::run(*options, log))
        }
        Invocation::Health(options) => {
            block_on(Builder::new_current_thread().enable_all().build(), health::run(options)).map(say)
        }
        Invocation::Secret(file) => ClusterSecret::make(&file).map_err(Into::into).map(|made| {
            let found = if made { "holds a new secret" } else { "holds a secret already" };
            say(format!("{} {found}", file.display()));
        }),
        Invocation::Cluster(command) => return trilog_cli::run(*command, cli::command()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if error.downcast_ref().is_some_and(ServeError::is_no_space) {
                tracing::error!("{}; beginning anew, once there is room", one_line(error.as_ref()));
                let Err(refused) = restart::begin_anew();
                eprintln!("trilog: cannot begin anew: {refused}");
            }
            eprintln!("trilog: {}", one_line(error.as_ref()));
            let is_broken = error.downcast_ref().is_some_and(ServeError::is_broken_invariant);
            if let Some(data_dir) = data_dir.filter(|_| is_broken) {
                eprintln!("{}", advice::on_broken_invariant(&data_dir));
            }
            ExitCode::FAILURE
        }
    }
}

fn block_on<T, E: Error + 'static>(
    runtime: io::Result<Runtime>,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Box<dyn Error>> {
    let runtime = runtime?;
    let outcome = runtime.block_on(work);
    // Whatever still runs is not waited for: the work has ended, and a blocked read must not keep the process.
    runtime.shutdown_background();
    Ok(outcome?)
}

/// The one line that a command is asked for. A reader that has gone does not want it.
fn say(line: String) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// An error and what lies beneath it. A cause that its parent's message quotes already is not said twice.
fn one_line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use thiserror::Error;

    use super::*;

    #[derive(Debug, Error)]
    #[error("cannot start")]
    struct Outer(#[source] Inner);

    #[derive(Debug, Error)]
    #[error("port in\nuse")]
    struct Inner;

    #[test]
    fn an_error_is_one_line_with_its_causes() {
        assert_eq!(one_line(&Outer(Inner)), "cannot start: port in use");
    }

    #[test]
    fn a_quoted_cause_is_not_repeated() {
        let quoted = io::Error::other(Inner);
        assert_eq!(one_line(&quoted), "port in use");
    }
}
