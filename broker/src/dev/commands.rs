//! What a user may type while a local cluster runs. Pure.

use thiserror::Error;
use trilog_cluster::ids::NodeId;

/// A line of standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Say how each node does.
    Status,
    /// Do something to one node.
    Node(Action, NodeId),
    /// End the nodes and the cluster.
    Quit,
    /// Say what may be typed.
    Help,
}

/// What can be done to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// SIGKILL: it ends at once and hands nothing over.
    Kill,
    /// SIGTERM: it hands its leaderships over and ends.
    Stop,
    /// SIGSTOP: it hangs, connections and all.
    Pause,
    /// SIGCONT: it goes on.
    Resume,
    /// Start it again on its data.
    Start,
}

/// The answer to `help`, and to anything that is none of these.
pub(super) const ALLOWED: &str = "status, kill N, stop N, pause N, resume N, start N, quit, help";

/// Why a line is no command.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum CommandError {
    /// No such word, or words too many.
    #[error("{0:?} is no command; there are: {ALLOWED}")]
    Unknown(String),
    /// A node is to be named and is not.
    #[error("{word} takes a node, from 1 to {nodes}")]
    Node {
        /// The command.
        word: String,
        /// How many nodes there are.
        nodes: u32,
    },
}

/// Reads one line, typed for a cluster of this many nodes. An empty line asks for nothing.
pub(super) fn parse(line: &str, nodes: u32) -> Result<Option<Command>, CommandError> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (word, operand) = match words[..] {
        [] => return Ok(None),
        [word] => (word, None),
        [word, operand] => (word, Some(operand)),
        _ => return Err(CommandError::Unknown(line.trim().to_owned())),
    };
    let action = match (word, operand) {
        ("status", None) => return Ok(Some(Command::Status)),
        ("quit" | "exit", None) => return Ok(Some(Command::Quit)),
        ("help" | "?", None) => return Ok(Some(Command::Help)),
        ("kill", _) => Action::Kill,
        ("stop", _) => Action::Stop,
        ("pause", _) => Action::Pause,
        ("resume", _) => Action::Resume,
        ("start", _) => Action::Start,
        _ => return Err(CommandError::Unknown(line.trim().to_owned())),
    };
    match operand.and_then(|number| number.parse::<u32>().ok()) {
        Some(number) if (1..=nodes).contains(&number) => Ok(Some(Command::Node(action, NodeId(number)))),
        _ => Err(CommandError::Node { word: word.to_owned(), nodes }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_command_is_understood() {
        assert_eq!(parse("status\n", 3), Ok(Some(Command::Status)));
        assert_eq!(parse(" kill  2 ", 3), Ok(Some(Command::Node(Action::Kill, NodeId(2)))));
        assert_eq!(parse("stop 1", 3), Ok(Some(Command::Node(Action::Stop, NodeId(1)))));
        assert_eq!(parse("pause 3", 3), Ok(Some(Command::Node(Action::Pause, NodeId(3)))));
        assert_eq!(parse("resume 3", 3), Ok(Some(Command::Node(Action::Resume, NodeId(3)))));
        assert_eq!(parse("start 3", 3), Ok(Some(Command::Node(Action::Start, NodeId(3)))));
        assert_eq!(parse("quit", 3), Ok(Some(Command::Quit)));
        assert_eq!(parse("help", 3), Ok(Some(Command::Help)));
        assert_eq!(parse("   ", 3), Ok(None));
    }

    #[test]
    fn anything_else_is_told_what_there_is() {
        for line in ["restart 1", "status 1", "kill 1 2", "quit now"] {
            let error = parse(line, 3).unwrap_err();
            assert!(error.to_string().contains("pause N"), "{error}");
        }
        for line in ["kill", "kill 0", "kill 4", "kill all", "start -1"] {
            let error = parse(line, 3).unwrap_err();
            assert!(error.to_string().ends_with("from 1 to 3"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_node_that_is_named_exists(line in "(kill|stop|start|status|x)? ?[0-9a-z]{0,12}", nodes in 1u32..6) {
            if let Ok(Some(Command::Node(_, node))) = parse(&line, nodes) {
                prop_assert!((1..=nodes).contains(&node.0));
            }
        }
    }
}
