//! Why a command failed, as a person and a script are told.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use thiserror::Error;
use trilog_client::{ConfigError, Error as ClientError, ErrorCode};

/// The exit code of a command line that is wrong, as clap has it.
const WRONG_USE: u8 = 2;

/// The exit code of a command that a signal ended before it was done, as shells have it for SIGINT.
const INTERRUPTED: u8 = 130;

/// Why a command did not do what it was asked. Printed, it is one sentence.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Failure {
    /// The command line asks for something that cannot be, as a flag without the one that it needs. Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// It was tried, and failed. Exit code 1.
    #[error("{0}")]
    Failed(String),
    /// The client failed at what the command was about.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A setting is wrong. Exit code 2.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A signal came before the command was done. Exit code 130.
    #[error("interrupted")]
    Interrupted,
    /// The reader of standard output has gone, and has what it wanted. Exit code 0, without a word.
    #[error("the output is closed")]
    OutputClosed,
}

impl Failure {
    /// A file that cannot be used.
    #[must_use]
    pub fn file(verb: &str, path: &Path, error: &io::Error) -> Self {
        Self::Failed(format!("cannot {verb} {}: {error}", path.display()))
    }

    /// A topic that cannot be used.
    #[must_use]
    pub fn topic(topic: &str, error: &ClientError) -> Self {
        let is_missing = matches!(error, ClientError::Broker { code, .. } if *code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let what = if is_missing { "it does not exist".to_owned() } else { error.to_string() };
        Self::Failed(format!("topic {topic:?}: {what}"))
    }

    /// What a script learns.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Client(ClientError::Config(_)) => ExitCode::from(WRONG_USE),
            Self::Failed(_) | Self::Client(_) => ExitCode::FAILURE,
            Self::Usage(_) | Self::Config(_) => ExitCode::from(WRONG_USE),
            Self::Interrupted => ExitCode::from(INTERRUPTED),
            Self::OutputClosed => ExitCode::SUCCESS,
        }
    }

    /// What a person learns, on standard error.
    pub fn tell(&self) {
        if !matches!(self, Self::OutputClosed) {
            eprintln!("trilog: {}", one_line(&self.to_string()));
        }
    }
}

/// A text in which nothing can move a terminal's cursor: control characters become `?`, line breaks spaces.
#[must_use]
pub fn one_line(text: &str) -> String {
    let plain = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control() => '?',
        c => c,
    };
    text.chars().map(plain).collect()
}

impl From<io::Error> for Failure {
    /// An error of standard output.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Failed(format!("cannot write to standard output: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_and_harmless() {
        assert_eq!(one_line("a\nb\x1b[2Jc"), "a b?[2Jc");
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let closed = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(matches!(closed, Failure::OutputClosed));
    }
}
