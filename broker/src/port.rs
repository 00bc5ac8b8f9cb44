//! Ports that a node is to listen on, when somebody else has them.
//!
//! A port may be taken for a moment: by the node's last process, which is still ending, or by a client's connection, as
//! operating systems give clients ports of the range in which a node may have its own. A client that dials a node that is
//! down may even get the node's own port, and be connected to itself. So a node that finds a port in use tries again for a
//! few seconds, and then says who has it, as far as `/proc` tells this user.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use thiserror::Error;
use tokio::time::{Instant, sleep};
use tracing::warn;

/// How long a port that is in use is tried.
pub(crate) const TAKEN_PATIENCE: Duration = Duration::from_secs(5);

/// Between two attempts.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Why a port cannot be listened on.
#[derive(Debug, Error)]
#[error("{source}{}", by(.holder.as_ref()))]
pub(crate) struct PortError {
    /// What the operating system says.
    #[source]
    pub(crate) source: io::Error,
    /// The process that has the port, if it is in use and that can be told.
    holder: Option<Holder>,
}

fn by(holder: Option<&Holder>) -> String {
    holder.map_or_else(String::new, |holder| format!(", by {holder}"))
}

/// A process that has a port.
#[derive(Debug, PartialEq, Eq)]
struct Holder {
    pid: u32,
    name: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({})", self.pid, self.name)
    }
}

/// Listens on a port. One that is in use is tried until `deadline`, with a line in the log.
///
/// # Errors
///
/// [`PortError`].
pub(crate) async fn listen(host: &str, port: u16, deadline: Instant) -> Result<TcpListener, PortError> {
    let mut told = false;
    loop {
        let source = match TcpListener::bind((host, port)) {
            Ok(socket) => return Ok(socket),
            Err(source) if source.kind() == ErrorKind::AddrInUse => source,
            Err(source) => return Err(PortError { source, holder: None }),
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(PortError { source, holder: holder_of(port, Path::new("/proc")) });
        }
        if !std::mem::replace(&mut told, true) {
            let holder = holder_of(port, Path::new("/proc"));
            warn!("port {port} of {host} is in use{}: trying again for {left:.0?}", by(holder.as_ref()));
        }
        sleep(TRY_AGAIN_AFTER.min(left)).await;
    }
}

/// The process that has a TCP port, whatever it does with it. Other users' processes show nothing of what they have.
fn holder_of(port: u16, proc: &Path) -> Option<Holder> {
    let tables =
        ["net/tcp", "net/tcp6"].map(|table| fs::read_to_string(proc.join(table)).unwrap_or_default());
    let mut sockets: Vec<(bool, String)> =
        tables.iter().flat_map(|table| table.lines()).filter_map(|line| socket_at(port, line)).collect();
    // Whoever listens is more to blame than one of its connections.
    sockets.sort_by_key(|(listens, _)| !listens);
    sockets.iter().find_map(|(_, inode)| owner_of(inode, proc))
}

/// The inode of the socket that a line of a table of connections is about, if it has this port on this side, and whether
/// it listens.
fn socket_at(port: u16, line: &str) -> Option<(bool, String)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    let (_, local_port) = local.rsplit_once(':')?;
    let is_here = u16::from_str_radix(local_port, 16) == Ok(port);
    // A connection that is over and lingers is nobody's any more.
    (is_here && *inode != "0").then(|| (*state == "0A", (*inode).to_owned()))
}

/// The process that has a socket open.
fn owner_of(inode: &str, proc: &Path) -> Option<Holder> {
    let link = format!("socket:[{inode}]");
    let is_it =
        |file: fs::DirEntry| fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == &*link);
    fs::read_dir(proc).ok()?.flatten().find_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let mut files = fs::read_dir(process.path().join("fd")).ok()?.flatten();
        files.any(is_it).then(|| {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            Holder { pid, name: name.trim_end().to_owned() }
        })
    })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn a_process_is_found_by_its_port() {
        for socket in
            [TcpListener::bind((Ipv4Addr::LOCALHOST, 0)), TcpListener::bind((Ipv6Addr::LOCALHOST, 0))]
        {
            // Not every machine has IPv6.
            let Ok(socket) = socket else { continue };
            let port = socket.local_addr().unwrap().port();
            let holder = holder_of(port, Path::new("/proc")).unwrap();
            assert_eq!(holder.pid, std::process::id());
            assert!(!holder.name.is_empty());
        }
        assert_eq!(holder_of(9, Path::new("/nowhere")), None);
    }

    #[test]
    fn a_line_is_about_the_port_on_this_side() {
        let line = |state: &str, inode: &str| {
            format!("0: 0100007F:2384 0100007F:2385 {state} 00:00 00:0 0 1000 0 {inode} 1 0 20")
        };
        assert_eq!(socket_at(9092, &line("0A", "77")), Some((true, "77".to_owned())));
        assert_eq!(socket_at(9092, &line("01", "77")), Some((false, "77".to_owned())));
        assert_eq!(socket_at(9092, &line("06", "0")), None, "it lingers");
        assert_eq!(socket_at(9093, &line("01", "77")), None, "that is the other side's");
        assert_eq!(socket_at(9092, "sl local_address rem_address st"), None);
    }

    #[tokio::test]
    async fn a_port_that_becomes_free_is_waited_for() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let refused = listen("127.0.0.1", port, Instant::now()).await.unwrap_err().to_string();
        assert!(refused.contains(&std::process::id().to_string()), "{refused}");
        // The first future finds the port taken before the second one is polled.
        let deadline = Instant::now() + Duration::from_secs(60);
        let (free, ()) = tokio::join!(listen("127.0.0.1", port, deadline), async { drop(taken) });
        free.unwrap();
    }
}
