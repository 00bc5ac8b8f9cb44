//! A `trilog dev` process with its standard streams.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::binary;
use crate::node::Signal;
use crate::waiting::wait_until;

/// How long a dropped supervisor may take to end its nodes before it is killed itself.
const GRACE: Duration = Duration::from_secs(15);

/// How a local cluster is started.
#[derive(Debug, Clone)]
pub struct DevOptions {
    /// The first node's port; see [`crate::ports::free_block`].
    pub base_port: u16,
    /// The directory that holds all.
    pub data_dir: PathBuf,
    /// Further flags.
    pub flags: Vec<String>,
    /// Environment variables.
    pub variables: BTreeMap<String, String>,
}

impl DevOptions {
    /// Three nodes.
    pub fn new(base_port: u16, data_dir: PathBuf) -> Self {
        Self { base_port, data_dir, flags: Vec::new(), variables: BTreeMap::new() }
    }

    /// With these further flags.
    #[must_use]
    pub fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    /// With this environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// A running `trilog dev`.
#[derive(Debug)]
pub struct Dev {
    process: Child,
    input: Option<ChildStdin>,
    output: Output,
    data_dir: PathBuf,
}

/// Everything the process has said on both streams, line by line.
#[derive(Debug, Clone, Default)]
struct Output {
    lines: Arc<Mutex<Vec<String>>>,
}

impl Output {
    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads a stream to its end on a thread of its own, so that the process never waits for a reader.
    fn follow(&self, stream: impl Read + Send + 'static) {
        let lines = Arc::clone(&self.lines);
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
    }
}

impl Dev {
    /// Starts it; does not wait until it is ready.
    ///
    /// # Panics
    /// If the executable does not start.
    pub fn start(options: &DevOptions) -> Self {
        let mut process = Command::new(binary::trilog())
            .arg("dev")
            .arg(format!("--base-port={}", options.base_port))
            .arg(format!("--data-dir={}", options.data_dir.display()))
            .args(&options.flags)
            .envs(&options.variables)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the trilog executable starts");
        let output = Output::default();
        output.follow(process.stdout.take().expect("its output is a pipe"));
        output.follow(process.stderr.take().expect("its errors are a pipe"));
        let input = process.stdin.take();
        Self { process, input, output, data_dir: options.data_dir.clone() }
    }

    /// Types a command.
    ///
    /// # Panics
    /// If it does not listen any more.
    pub fn say(&mut self, command: &str) {
        let input = self.input.as_mut().expect("its input is open");
        writeln!(input, "{command}").expect("it reads its input");
    }

    /// Ends its standard input.
    pub fn end_input(&mut self) {
        self.input = None;
    }

    /// How many lines it has said so far: a place to [`Dev::hear_after`].
    pub fn heard(&self) -> usize {
        self.output.lines().len()
    }

    /// Waits for a line that suits, from the first line on, and returns it.
    pub async fn hear(&self, what: &str, suits: impl Fn(&str) -> bool) -> String {
        self.hear_after(0, what, suits).await
    }

    /// Waits for a line that suits, behind the first `heard` lines.
    pub async fn hear_after(&self, heard: usize, what: &str, suits: impl Fn(&str) -> bool) -> String {
        wait_until(&format!("trilog dev says {what}"), async || {
            self.output.lines().into_iter().skip(heard).find(|line| suits(line))
        })
        .await
    }

    /// Waits until it says that the cluster is ready.
    pub async fn ready(&self) {
        self.hear("that it is ready", |line| !line.starts_with('[') && line.to_lowercase().contains("ready"))
            .await;
    }

    /// The process id in `node-N.pid`, `None` while there is no such file.
    pub fn node_pid(&self, node: i32) -> Option<u32> {
        let text = std::fs::read_to_string(self.data_dir.join(format!("node-{node}.pid"))).ok()?;
        text.trim().parse().ok()
    }

    /// Sends a signal to the supervisor.
    pub fn signal(&self, signal: Signal) {
        signal.send(self.process.id());
    }

    /// SIGKILL to the supervisor alone.
    ///
    /// # Panics
    /// If it cannot be killed.
    pub fn kill(&mut self) {
        self.process.kill().expect("a child can be killed");
        self.process.wait().expect("a child can be waited for");
    }

    /// Waits for its end and returns how it was.
    pub async fn ended(&mut self) -> ExitStatus {
        let process = &mut self.process;
        wait_until("trilog dev ends", async || process.try_wait().expect("a child can be waited for")).await
    }

    /// Whether it runs.
    ///
    /// # Panics
    /// If that cannot be found out.
    pub fn runs(&mut self) -> bool {
        self.process.try_wait().expect("a child can be waited for").is_none()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- trilog dev said");
            for line in self.output.lines() {
                eprintln!("{line}");
            }
        }
        if matches!(self.process.try_wait(), Ok(None)) {
            Signal::Terminate.send(self.process.id());
            let start = Instant::now();
            while matches!(self.process.try_wait(), Ok(None)) && start.elapsed() < GRACE {
                thread::sleep(Duration::from_millis(20));
            }
            // Its nodes end with it: they watch a pipe that it holds.
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}
