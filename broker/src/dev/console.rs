//! What `trilog dev` says and hears: its own words on standard output, the nodes' log lines on standard error, the
//! user's commands on standard input.

use std::fmt::Display;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;
use trilog_cluster::ids::NodeId;

/// How many typed lines wait while a command is carried out; more wait in the terminal or the pipe.
const TYPED_LINES: usize = 16;

/// How often a process in the background looks whether it is in the foreground again and may read what was typed.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// The longest command that is taken: a longer line is a file that was piped in by mistake.
const MAX_LINE_BYTES: usize = 4096;

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
    thread::Builder::new().name("typed-lines".to_owned()).spawn(move || read_lines(io::stdin(), &lines))?;
    Ok(typed)
}

/// Passes the lines of `input` on, until it ends or nobody wants them.
fn read_lines(input: impl AsFd, lines: &mpsc::Sender<String>) {
    let mut pending = Vec::new();
    while let Ok(read @ 1..) = read_in_foreground(&input, &mut pending) {
        let start = pending.len() - read;
        let Some(end) = pending[start..].iter().rposition(|byte| *byte == b'\n') else {
            if pending.len() > MAX_LINE_BYTES {
                pending.clear();
            }
            continue;
        };
        let rest = pending.split_off(start + end + 1);
        pending.pop();
        for line in pending.split(|byte| *byte == b'\n') {
            if lines.blocking_send(String::from_utf8_lossy(line).into_owned()).is_err() {
                return;
            }
        }
        pending = rest;
    }
    if !pending.is_empty() {
        let _ = lines.blocking_send(String::from_utf8_lossy(&pending).into_owned());
    }
}

/// Appends what there is to read. A process in the background of a terminal must not read from it: SIGTTIN would stop the
/// process, which would leave the nodes without anybody who reads their logs. So it waits until there is something, and then
/// until it is in the foreground, where the read returns at once.
fn read_in_foreground(input: &impl AsFd, read: &mut Vec<u8>) -> Result<usize, Errno> {
    loop {
        match poll(&mut [PollFd::new(input, PollFlags::IN)], None) {
            // A process that was stopped and goes on begins anew, and may be in the background by now.
            Err(Errno::INTR) => continue,
            outcome => outcome?,
        };
        if is_in_background(input) {
            thread::sleep(LOOK_AGAIN_AFTER);
            continue;
        }
        let mut buffer = [0; 256];
        match rustix::io::read(input, &mut buffer) {
            Err(Errno::INTR) => {}
            outcome => {
                let length = outcome?;
                read.extend_from_slice(&buffer[..length]);
                return Ok(length);
            }
        }
    }
}

/// Whether `input` is a terminal in whose background this process is. What is no terminal has no background.
pub(super) fn is_in_background(input: &impl AsFd) -> bool {
    tcgetpgrp(input).is_ok_and(|foreground| foreground != getpgrp())
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_come_one_by_one_and_the_last_one_without_its_end() {
        let (input, mut output) = io::pipe().unwrap();
        let (lines, mut typed) = mpsc::channel(10);
        output.write_all(b"status\nkill 2\n\nsta").unwrap();
        let reader = thread::spawn(move || read_lines(input, &lines));
        let mut next = || typed.blocking_recv();
        assert_eq!([next(), next(), next()], ["status", "kill 2", ""].map(|line| Some(line.to_owned())));
        output.write_all(b"rt 2\nquit").unwrap();
        drop(output);
        assert_eq!([next(), next(), next()], [Some("start 2".to_owned()), Some("quit".to_owned()), None]);
        reader.join().unwrap();
    }

    #[test]
    fn a_file_without_lines_takes_no_memory() {
        let (input, mut output) = io::pipe().unwrap();
        let (lines, mut typed) = mpsc::channel(10);
        let reader = thread::spawn(move || read_lines(input, &lines));
        output.write_all(&[b'x'; 10 * MAX_LINE_BYTES]).unwrap();
        output.write_all(b"\nquit\n").unwrap();
        drop(output);
        let first = typed.blocking_recv().unwrap();
        assert!(first.len() <= MAX_LINE_BYTES + 256, "{}", first.len());
        assert_eq!(typed.blocking_recv().as_deref(), Some("quit"));
        reader.join().unwrap();
    }

    #[test]
    fn a_pipe_has_no_background() {
        assert!(!is_in_background(&io::pipe().unwrap().0));
    }
}
