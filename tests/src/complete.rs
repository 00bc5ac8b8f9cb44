//! Tests that this machine cannot run: without root, a library, or a kernel that allows it.
//!
//! Such a test says so, past the harness, which hides what a test that passes has printed, and ends. Where [`VARIABLE`] is set, as
//! it is in continuous integration, it fails: a test that shows nothing is no test that passed.
//!
//! This file is part of the storage crate's tests, too; it stands on nothing but the standard library.

use std::fmt::Display;
use std::io::Write;

/// The variable that makes a failure of every test that cannot be run. Empty, it counts as not set.
pub const VARIABLE: &str = "TRILOG_TESTS_COMPLETE";

/// Says that a test, or a part of one, is not run, and why.
///
/// # Panics
/// If [`VARIABLE`] is set.
pub fn not_tested(what: &str, why: &dyn Display) {
    let line = format!("NOT TESTED: {what}: {why}");
    assert!(std::env::var_os(VARIABLE).is_none_or(|value| value.is_empty()), "{line} ({VARIABLE} is set)");
    // Not by `eprintln!`, whose lines are shown only if the test fails.
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Runs the test below in a process of its own, with the variable as it is given.
    fn runs(value: Option<&str>) -> (bool, String) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let (_, module) = module_path!().split_once("::").unwrap();
        command.args(["--exact", &format!("{module}::says_so_or_fails")]);
        command.env_remove(VARIABLE).env("TRILOG_TESTS_COMPLETE_OF_ITSELF", "1");
        let output = command.envs(value.map(|value| (VARIABLE, value))).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    #[test]
    fn says_so_or_fails() {
        if std::env::var_os("TRILOG_TESTS_COMPLETE_OF_ITSELF").is_some() {
            return not_tested("what is said of a test", &"there is nothing to test");
        }
        let line = "NOT TESTED: what is said of a test: there is nothing to test\n";
        assert_eq!(runs(None), (true, line.to_owned()));
        assert_eq!(runs(Some("")), (true, line.to_owned()));
        assert!(!runs(Some("1")).0);
    }
}
