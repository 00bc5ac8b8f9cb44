//! One `trilog serve` process.

use std::ffi::OsStr;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use uuid::Uuid;

use crate::clock::Clock;
use crate::waiting::wait_until;

/// A node: what it is started with, and its process while it runs.
#[derive(Debug)]
pub struct Node {
    id: i32,
    executable: PathBuf,
    launcher: Vec<String>,
    arguments: Vec<String>,
    address: String,
    http_address: String,
    data_dir: PathBuf,
    log: PathBuf,
    clock: Option<Clock>,
    boot: Option<Uuid>,
    process: Process,
}

/// Whether a node runs, and whose it is.
#[derive(Debug)]
enum Process {
    /// It does not run.
    None,
    /// It runs as a child of this process.
    Child(Child),
    /// It runs, and not by us: it can be talked to and nothing else.
    Foreign,
}

/// What a signal is meant to do to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: end in good order.
    Terminate,
    /// SIGINT: what Ctrl-C sends.
    Interrupt,
    /// SIGSTOP: stand still.
    Pause,
    /// SIGCONT: go on.
    Resume,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Terminate => "TERM",
            Self::Interrupt => "INT",
            Self::Pause => "STOP",
            Self::Resume => "CONT",
        }
    }

    /// Sends it to a process by id, through the shell's own `kill`: the standard library has none, and every system
    /// with a shell has this one.
    ///
    /// After [`Pause`](Self::Pause) returns, no thread of the process runs its own code.
    ///
    /// # Panics
    /// If there is no such process.
    pub fn send(self, pid: u32) {
        let status = Command::new("sh").args(["-c", &format!("kill -{} {pid}", self.name())]).status();
        assert!(status.expect("a shell starts").success(), "no process {pid} to send {} to", self.name());
        while self == Self::Pause && runs(pid) {
            std::thread::yield_now();
        }
    }
}

/// Whether a thread of a process runs its own code, or may before it stops.
///
/// The kernel stops the threads of a process one after another: one thread takes the signal and then tells the others. On a
/// busy machine they go on for milliseconds after `kill` has returned. A thread that waits for a disk (`D`) stops before it
/// runs again.
fn runs(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok());
    // `pid (name) state …`, and the name may hold anything.
    let mut states = stats.filter_map(|stat| stat.rsplit_once(')')?.1.trim_start().chars().next());
    states.any(|state| matches!(state, 'R' | 'S'))
}

impl Node {
    /// A node that does not run yet. `address` is where clients reach it; `log` takes both its output streams.
    pub fn new(
        id: i32,
        executable: PathBuf,
        arguments: Vec<String>,
        address: String,
        data_dir: PathBuf,
        log: PathBuf,
    ) -> Self {
        let (launcher, http_address, clock, boot) = (Vec::new(), String::new(), None, None);
        let process = Process::None;
        Self {
            id,
            executable,
            launcher,
            arguments,
            address,
            http_address,
            data_dir,
            log,
            clock,
            boot,
            process,
        }
    }

    /// The same node, whose HTTP port is at this address, as its arguments say.
    #[must_use]
    pub fn with_http(mut self, http_address: String) -> Self {
        self.http_address = http_address;
        self
    }

    /// The same, started by a command that runs and becomes the one that follows these words, which may be none.
    #[must_use]
    pub fn with_launcher(mut self, launcher: Vec<String>) -> Self {
        self.launcher = launcher;
        self
    }

    /// A node that runs already, started by somebody else.
    pub fn foreign(id: i32, address: String) -> Self {
        let nowhere = PathBuf::new();
        let mut node = Self::new(id, nowhere.clone(), Vec::new(), address, nowhere.clone(), nowhere);
        node.process = Process::Foreign;
        node
    }

    /// The same with a wall clock of its own.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Has its machine boot again: later starts are told of another boot than those before.
    pub fn reboot(&mut self) {
        self.boot = Some(Uuid::new_v4());
    }

    /// Sets its wall clock to so many seconds from the true time, at once and for later starts.
    ///
    /// # Panics
    /// If it has no clock of its own.
    pub fn set_clock(&self, seconds: i64) {
        self.clock.as_ref().expect("the node has a clock of its own").set(seconds);
    }

    fn child(&self) -> Option<&Child> {
        match &self.process {
            Process::Child(child) => Some(child),
            Process::None | Process::Foreign => None,
        }
    }

    /// The process if it is a child, which then counts as not running.
    fn take_child(&mut self) -> Option<Child> {
        match std::mem::replace(&mut self.process, Process::None) {
            Process::Child(child) => Some(child),
            other => {
                self.process = other;
                None
            }
        }
    }

    /// Its number, which is the broker id clients see.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Where clients reach it: `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where it listens for the other nodes: `host:port`.
    ///
    /// # Panics
    /// If it was not told.
    pub fn peer_address(&self) -> &str {
        let told = self.arguments.iter().find_map(|argument| argument.strip_prefix("--peer-listener="));
        told.expect("the node was told where to listen for peers")
    }

    /// Where its HTTP port is: `host:port`.
    pub fn http_address(&self) -> &str {
        &self.http_address
    }

    /// Where it keeps its data.
    pub fn data_dir(&self) -> &PathBuf {
        &self.data_dir
    }

    /// The process id while it runs.
    ///
    /// # Panics
    /// If it was not started here, or has been waited for.
    pub fn pid(&self) -> u32 {
        self.child().expect("the node runs, and as a child of this process").id()
    }

    /// Whether the process was started and has not been ended by [`Node::kill`] or [`Node::stop`]. A node that died by
    /// itself still counts; see [`Node::has_died`].
    pub fn is_started(&self) -> bool {
        !matches!(self.process, Process::None)
    }

    /// Whether the process ended by itself.
    pub fn has_died(&self) -> bool {
        self.child().is_some_and(|process| !is_alive(process.id()))
    }

    /// Starts the process. Its standard input is a pipe that closes when this process ends, which ends the node too.
    ///
    /// # Panics
    /// If it runs already or the executable does not start.
    pub fn start(&mut self) {
        assert!(!self.is_started(), "node {} runs already", self.id);
        let log =
            File::options().create(true).append(true).open(&self.log).expect("a log file can be opened");
        let mut words = self.launcher.iter().map(OsStr::new).chain([self.executable.as_os_str()]);
        let process = Command::new(words.next().expect("an executable"))
            .args(words)
            .arg("serve")
            .args(&self.arguments)
            .arg("--exit-with-parent")
            .envs(self.clock.iter().flat_map(Clock::variables))
            .envs(self.boot.iter().map(|boot| ("TRILOG_BOOT_ID", boot.to_string())))
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a file handle can be cloned"))
            .stderr(log)
            .spawn();
        self.process = Process::Child(process.expect("the trilog executable starts"));
    }

    /// SIGKILL, and not waited for: [`Self::kill`] has to follow.
    pub fn begin_kill(&mut self) {
        if let Process::Child(process) = &mut self.process {
            process.kill().expect("a child can be killed");
        }
    }

    /// SIGKILL, and gone when this returns.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.take_child() {
            process.kill().expect("a child can be killed");
            process.wait().expect("a child can be waited for");
        }
    }

    /// SIGTERM; waits for the end and returns how it was.
    ///
    /// # Panics
    /// If it does not run, or does not end.
    pub async fn stop(&mut self) -> ExitStatus {
        let mut process = self.take_child().expect("the node runs, and as a child of this process");
        Signal::Terminate.send(process.id());
        wait_until("a node ends upon SIGTERM", async || {
            process.try_wait().expect("a child can be waited for")
        })
        .await
    }

    /// What it has logged so far, over all its runs.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Whether it replaces itself by a fresh process, and has logged nothing since it said so.
    pub fn has_announced_another_run(&self) -> bool {
        self.log().lines().next_back().is_some_and(|line| line.contains("beginning anew, once there is room"))
    }

    /// Resident memory in bytes.
    ///
    /// # Panics
    /// If it does not run, or on a system without `/proc`.
    pub fn resident_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most resident memory that the process has had, in bytes, since its start or since the peak was reset through
    /// `/proc/PID/clear_refs`.
    ///
    /// # Panics
    /// As [`Node::resident_bytes`].
    pub fn peak_resident_bytes(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("/proc tells a process's memory");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the line is there");
        let kib = line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kB");
        kib * 1024
    }
}

/// Whether there is a process with this id, a zombie not counted.
pub fn is_alive(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The state follows the name, which is in parentheses.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() && self.log.exists() {
            let log = self.log();
            let lines = log.lines().collect::<Vec<_>>();
            eprintln!("--- node {}, last lines of {}", self.id, self.log.display());
            for line in lines.iter().skip(lines.len().saturating_sub(20)) {
                eprintln!("{line}");
            }
        }
    }
}
