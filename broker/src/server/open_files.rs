//! How many files the process may have open: every client and every peer is one.
//!
//! Systems start processes with a low limit, often 1,024, for the sake of programs that use select(2), and a high one
//! up to which a process may raise it by itself. Nobody should have to know that to serve a thousand clients.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, warn};

/// What is asked for where there is no upper limit: the most that Linux allows unless it is told otherwise.
const ENOUGH: u64 = 1 << 20;

/// Raises the limit as far as this process may.
pub(super) fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(ENOUGH);
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        Ok(()) => debug!(from = current, to = wanted, "raised the limit of open files"),
        Err(error) => warn!(current, "cannot raise the limit of open files: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_as_high_as_it_may_be() {
        raise_limit();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert!(
            current.is_none_or(|current| current >= maximum.unwrap_or(ENOUGH)),
            "{current:?} {maximum:?}"
        );
    }
}
