//! The executable under test.
//!
//! `cargo test` builds no binaries of other packages, so the first test that needs it asks cargo for one and takes the path from
//! cargo's own messages. It is built in the profile of the tests, so that what was compiled for them serves it, too: the
//! dependencies, the cluster, the store. Its assertions look while real clients drive it, and it can break promises on purpose.
//! The image of containers is tested as it is shipped.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use tokio::time::timeout;

use crate::waiting::PATIENCE;

/// Names an executable to test instead of building one.
const OVERRIDE: &str = "TRILOG_TEST_BINARY";

/// Where the `trilog` executable is. Built by the first caller, which may take minutes on a fresh checkout.
///
/// # Panics
/// If it does not build.
pub fn trilog() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| std::env::var_os(OVERRIDE).map_or_else(|| faulty().to_path_buf(), PathBuf::from))
}

/// Names the promise that [`faulty`] breaks.
pub const FAULT: &str = "TRILOG_FAULT";

/// Where an executable is that breaks a promise if it is told by [`FAULT`]: a broker with debug assertions. Built by the first
/// caller.
///
/// # Panics
/// If it does not build.
pub fn faulty() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    // Of the whole workspace and together with a test, as cargo gives dependencies the features that all want which it builds, those of
    // tests among them: what was built for the tests is there already.
    PATH.get_or_init(|| build(&["--workspace", "--bin", "trilog", "--test", "system"]))
}

/// Runs the executable with these arguments and environment variables and waits for its end.
///
/// # Panics
/// If it does not end, as one that ought to have been refused may not.
pub async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = tokio::process::Command::new(trilog());
    command.args(arguments).envs(variables.iter().copied()).stdin(Stdio::null()).kill_on_drop(true);
    let ended = timeout(PATIENCE, command.output()).await;
    ended.unwrap_or_else(|_| panic!("trilog {arguments:?} goes on")).expect("the trilog executable starts")
}

/// Gives an executable a second name, under which it stays as it is: builds replace files and do not write to them.
///
/// Where files cannot be linked, a process of its own copies it. Were the copy open for writing in this process, a child that
/// another test forks at that moment would hold it open too, and a file open for writing cannot be executed.
///
/// # Panics
/// If the executable can be neither linked nor copied.
pub(crate) fn keep(executable: &Path, name: &Path) {
    if std::fs::hard_link(executable, name).is_err() {
        let copied = Command::new("cp").arg(executable).arg(name).status();
        assert!(copied.expect("cp starts").success(), "the executable can be copied");
    }
}

fn build(flags: &[&str]) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // What cargo tells a test of its package. ring's build script looks at it, and everything that stands on ring would be compiled once
    // more, here and for the next `cargo test`.
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in names.filter(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
        command.env_remove(name);
    }
    let output = command
        .args(["build", "--message-format=json-render-diagnostics"])
        .args(flags)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "the trilog binary does not build");
    let messages = String::from_utf8_lossy(&output.stdout);
    let executable =
        messages.lines().filter(|line| line.contains("\"name\":\"trilog\"")).find_map(executable);
    executable.expect("cargo names the executable it built")
}

/// The executable's path in one of cargo's messages, if it has one. Paths with quotes or backslashes, which JSON would
/// escape, are not expected where these tests run.
fn executable(message: &str) -> Option<PathBuf> {
    let (_, rest) = message.split_once("\"executable\":\"")?;
    let (path, _) = rest.split_once('"')?;
    Some(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_taken_from_the_artifact_message() {
        let library =
            r#"{"reason":"compiler-artifact","target":{"name":"raft"},"executable":null,"fresh":true}"#;
        assert_eq!(executable(library), None);
        let binary = r#"{"target":{"name":"trilog"},"executable":"/t/release/trilog","fresh":true}"#;
        assert_eq!(executable(binary), Some(PathBuf::from("/t/release/trilog")));
    }
}
