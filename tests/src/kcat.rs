//! The real kcat: somebody else's client on somebody else's library (librdkafka 2.0.2 in Debian 12).

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Output, Stdio};

/// A kcat command line. A missing kcat fails the test: a test that is skipped proves nothing.
///
/// # Panics
/// If kcat is not installed.
pub fn kcat(mode: &str, bootstrap: &str, topic: &str) -> Command {
    let found = Command::new("kcat").arg("-V").output().is_ok_and(|output| output.status.success());
    assert!(found, "kcat is not installed; it is in the Debian package `kcat` (apt-get install kcat)");
    let mut command = Command::new("kcat");
    command.args([mode, "-b", bootstrap, "-t", topic, "-p", "0"]);
    command
}

/// `kcat -P`: sends each line of a file to partition 0 with acks=all.
///
/// # Panics
/// If kcat says that anything was not delivered.
pub fn produce_file(bootstrap: &str, topic: &str, file: &Path, flags: &[&str]) {
    let mut command = kcat("-P", bootstrap, topic);
    command.args(["-X", "acks=all"]).args(flags).stdin(File::open(file).expect("the file is there"));
    check(&command.output().expect("kcat starts"));
}

/// `kcat -C`: writes every value of partition 0 to a file, a line each. The client checks each batch's CRC.
///
/// # Panics
/// If kcat fails.
pub fn consume_file(bootstrap: &str, topic: &str, file: &Path) {
    let mut command = kcat("-C", bootstrap, topic);
    command.args(["-o", "beginning", "-e", "-q", "-X", "check.crcs=true"]);
    let output = command.stdout(File::create(file).expect("a file can be made")).output();
    check(&output.expect("kcat starts"));
}

fn check(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kcat ended with {}: {said}", output.status);
    assert!(!said.contains("Delivery failed"), "{said}");
}

/// A `kcat -P` that is fed piece by piece, so that something may happen in between.
#[derive(Debug)]
pub struct SlowProducer {
    process: Child,
    input: ChildStdin,
    lines: BufReader<File>,
}

impl SlowProducer {
    /// Starts kcat; nothing is sent yet. Lines will come from `file`.
    ///
    /// # Panics
    /// If kcat does not start.
    pub fn start(bootstrap: &str, topic: &str, file: &Path, flags: &[&str]) -> Self {
        let mut command = kcat("-P", bootstrap, topic);
        command.args(["-X", "acks=all"]).args(flags).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("kcat starts");
        let input = process.stdin.take().expect("its input is a pipe");
        Self { process, input, lines: BufReader::new(File::open(file).expect("the file is there")) }
    }

    /// Hands over the next `count` lines, or those that are left. Blocks while kcat's own queue is full, which is what
    /// happens while no leader takes them.
    ///
    /// # Panics
    /// If kcat has ended.
    pub fn feed(&mut self, count: usize) {
        let mut line = Vec::new();
        for _ in 0..count {
            line.clear();
            if self.lines.read_until(b'\n', &mut line).expect("the file can be read") == 0 {
                return;
            }
            self.input.write_all(&line).expect("kcat goes on");
        }
    }

    /// Hands over the rest and waits until kcat has delivered everything.
    ///
    /// # Panics
    /// If kcat says that anything was not delivered.
    pub fn finish(mut self) {
        self.feed(usize::MAX);
        drop(self.input);
        check(&self.process.wait_with_output().expect("kcat can be waited for"));
    }
}
