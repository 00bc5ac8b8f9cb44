//! The commands of `trilog` that speak to a cluster, as processes: what they print, and how they end.

mod admin;
mod bench;
mod misuse;
mod records;
mod shapes;
mod signals;

use std::path::Path;
use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;
use trilog_tests::binary;
use trilog_tests::waiting::PATIENCE;

/// `trilog` with these arguments, all of its streams pipes.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary::trilog());
    command.args(arguments).env_remove("TRILOG_BROKERS").env_remove("TRILOG_LOG").kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs `trilog` with this input to its end.
async fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut process = command(arguments).spawn().expect("trilog starts");
    let mut stdin = process.stdin.take().expect("it is a pipe");
    let input = input.to_vec();
    // A command that is refused does not read its input.
    let writer = tokio::spawn(async move {
        let _ = stdin.write_all(&input).await;
    });
    let output = timeout(PATIENCE, process.wait_with_output()).await;
    let output = output.unwrap_or_else(|_| panic!("trilog {arguments:?} goes on")).expect("it is waited for");
    writer.abort();
    output
}

/// What a command that has to succeed prints.
async fn printed(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let output = run(arguments, input).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "trilog {arguments:?}: {}: {said}", output.status);
    output.stdout
}

/// What a command says that has to fail with `code`: one sentence, without a backtrace.
async fn refused(arguments: &[&str], input: &[u8], code: i32) -> String {
    let output = run(arguments, input).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "trilog {arguments:?}: {said}");
    assert!(!said.contains("panicked") && !said.trim().is_empty(), "{said}");
    said
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}
