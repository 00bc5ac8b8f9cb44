//! What `trilog dev` says and hears: its own words on standard output, the nodes' log lines on standard error, the
//! user's commands on standard input.

use std::fmt::Display;
use std::io::{self, BufRead, Write};
use std::thread;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;
use trilog_cluster::ids::NodeId;

/// How many typed lines wait while a command is carried out; more wait in the terminal or the pipe.
const TYPED_LINES: usize = 16;

/// How the line begins with which a process of ours ends that fails.
const LAST_WORDS: &[u8] = b"trilog: ";

/// Prints one line. That nobody reads it any more does not end the cluster.
pub(super) fn say(line: impl Display) {
    let mut output = io::stdout().lock();
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}

/// The lines of standard input; the channel closes at its end.
///
/// A thread of its own rather than the runtime's input, whose pending read would hold up the end of the runtime.
///
/// # Errors
///
/// If the operating system refuses the thread.
pub(super) fn typed_lines() -> io::Result<mpsc::Receiver<String>> {
    let (lines, typed) = mpsc::channel(TYPED_LINES);
    thread::Builder::new().name("typed-lines".to_owned()).spawn(move || {
        for line in io::stdin().lock().split(b'\n') {
            let Ok(line) = line else { break };
            if lines.blocking_send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    })?;
    Ok(typed)
}

/// Passes a node's log lines on, each behind the node's id, until the node closes its end.
///
/// Returns the node's last words: what the line says with which a process of ours ends that fails.
///
/// A line is one write, so that lines of several nodes never mix. When our own standard error cannot take more, the
/// node's pipe fills up and the node waits, as it would without us.
pub(super) async fn pass_on(node: NodeId, log: impl AsyncRead + Unpin) -> Option<String> {
    let prefix = format!("[{node}] ").into_bytes();
    let mut log = BufReader::new(log);
    let mut errors = tokio::io::stderr();
    let mut last_words = None;
    loop {
        let mut line = prefix.clone();
        match log.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return last_words,
            Ok(_) => {}
        }
        if let Some(words) = line[prefix.len()..].strip_prefix(LAST_WORDS) {
            last_words = Some(String::from_utf8_lossy(words).trim_end().to_owned());
        }
        if !line.ends_with(b"\n") {
            line.push(b'\n');
        }
        // As in `say`: a log that nobody reads is drained all the same, or the node would hang in its next line.
        let _ = errors.write_all(&line).await;
        let _ = errors.flush().await;
    }
}
