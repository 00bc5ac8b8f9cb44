//! Beginning anew in the same process.
//!
//! After a failed write the store cannot be used any further, and there is no telling which of its threads still holds
//! what. So the process replaces itself by a fresh one: same process id, same standard streams, same environment and
//! arguments, and nothing else of what it was. All files and sockets close, so peers and clients see it as what it is, the
//! end of a node, and nobody has to watch over it for it to come back. For some milliseconds it listens for no signals: one that asks
//! it to end ends it by itself, and the exit status is the signal's.

use std::convert::Infallible;
use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// The hidden flag that tells a process why it was begun anew.
pub(crate) const WRITES_FAILED: &str = "--after-failed-writes";

/// Replaces this process by a fresh one that is told why.
///
/// # Errors
///
/// If the operating system refuses. Otherwise it does not return.
pub(crate) fn begin_anew() -> io::Result<Infallible> {
    let mut arguments: Vec<OsString> = env::args_os().collect();
    if arguments.is_empty() {
        return Err(io::Error::other("this process does not know its own arguments"));
    }
    let name = arguments.remove(0);
    if !arguments.iter().any(|argument| argument == WRITES_FAILED) {
        arguments.push(WRITES_FAILED.into());
    }
    Err(Command::new(executable()?).arg0(name).args(arguments).exec())
}

/// This process's executable. One that was replaced meanwhile, by an update, can still be had from the kernel.
fn executable() -> io::Result<PathBuf> {
    let path = env::current_exe()?;
    Ok(if path.exists() { path } else { PathBuf::from("/proc/self/exe") })
}
