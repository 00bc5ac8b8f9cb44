//! When a process of ours is asked to end: SIGTERM, SIGINT, and for a node of `trilog dev` the end of its parent.
//!
//! A child cannot be told portably, nor without unsafe code, to die with its parent. It can be given a pipe that only
//! the parent holds open: whatever ends the parent, SIGKILL included, closes it. So a node started with
//! `--exit-with-parent` reads its standard input and takes its end for SIGTERM. SIGHUP is left alone, so that `nohup`
//! keeps its meaning.

use std::fmt;
use std::io::{self, Read};
use std::thread;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// Why the process is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShutdownCause {
    /// SIGTERM.
    Terminated,
    /// SIGINT, which is what Ctrl-C sends.
    Interrupted,
    /// Standard input was closed.
    ParentEnded,
}

impl fmt::Display for ShutdownCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminated => "SIGTERM",
            Self::Interrupted => "SIGINT",
            Self::ParentEnded => "standard input closed",
        })
    }
}

/// Listens for requests to end. From its creation on these signals no longer end the process by themselves.
#[derive(Debug)]
pub(crate) struct ShutdownSignals {
    terminate: Signal,
    interrupt: Signal,
    parent: Option<oneshot::Receiver<()>>,
    asked: bool,
}

impl ShutdownSignals {
    /// Begins to listen; with `exit_with_parent` to standard input as well.
    ///
    /// # Errors
    ///
    /// If the operating system refuses a signal handler or a thread.
    pub(crate) fn listen(exit_with_parent: bool) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            parent: if exit_with_parent { Some(watch_standard_input()?) } else { None },
            asked: false,
        })
    }

    /// Waits for a request to end, and again for the next one: an impatient user's second Ctrl-C counts.
    pub(crate) async fn requested(&mut self) -> ShutdownCause {
        let Self { terminate, interrupt, parent, .. } = self;
        let parent_ended = async {
            match parent.as_mut() {
                // That the watching thread ended without a word means the same.
                Some(ended) => drop(ended.await),
                None => std::future::pending().await,
            }
        };
        let cause = tokio::select! {
            _ = terminate.recv() => ShutdownCause::Terminated,
            _ = interrupt.recv() => ShutdownCause::Interrupted,
            () = parent_ended => ShutdownCause::ParentEnded,
        };
        self.asked = true;
        if cause == ShutdownCause::ParentEnded {
            // A parent ends once; polling the channel again would be an error.
            self.parent = None;
        }
        cause
    }

    /// Whether the process was asked to end, by whatever was waited for or by what nobody has looked at yet.
    pub(crate) async fn were_given(&mut self) -> bool {
        if !self.asked {
            tokio::select! {
                biased;
                _ = self.requested() => {}
                () = std::future::ready(()) => {}
            }
        }
        self.asked
    }
}

/// A thread of its own rather than the runtime's input, whose pending read would hold up the end of the runtime.
fn watch_standard_input() -> io::Result<oneshot::Receiver<()>> {
    let (ended, watch) = oneshot::channel();
    thread::Builder::new().name("parent-watch".to_owned()).spawn(move || {
        let mut input = io::stdin().lock();
        let mut ignored = [0; 64];
        loop {
            match input.read(&mut ignored) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            }
        }
        // Nobody waits any more when the process ends already.
        let _ = ended.send(());
    })?;
    Ok(watch)
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn a_request_that_nobody_has_looked_at_is_found() {
        let mut signals = ShutdownSignals::listen(false).unwrap();
        assert!(!signals.were_given().await);
        kill_process(getpid(), Signal::TERM).unwrap();
        while !signals.were_given().await {
            tokio::task::yield_now().await;
        }
        assert!(signals.were_given().await, "and is not forgotten");
    }
}
